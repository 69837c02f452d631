"""First process of a cloud's container: start services, restart those that end, reap orphans.

The services are in /etc/lab/services.json: {NAME: {"argv": [...], "env": {...}}}. Control is by a UNIX socket: one line of
JSON a connection, answered by one line with the state of every service.

    -> {"do": "start" | "stop" | "restart" | "state", "services": [NAME, ...]}
    <- {NAME: {"pid": 17 | null, "wanted": true, "since": 1700000000.0, "starts": 1, "exit": "code 1" | null}, ...}
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

SERVICES_FILE = Path("/etc/lab/services.json")
SOCKET_PATH = "/run/supervisor.sock"
LOG_DIR = Path("/var/log/lab")
# How often ended children are looked for, and how soon one that ended is started again.
TICK_S = 0.2
RESTART_DELAY_S = 2.0
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
}


@dataclass
class Service:
    """A service and what is known of its process."""

    name: str
    argv: list[str]
    env: dict[str, str]
    pid: int | None = None
    wanted: bool = False
    since: float = 0.0
    starts: int = 0
    exit: str | None = None
    start_at: float | None = None

    def start(self) -> None:
        """Start the process if it isn't running."""
        self.wanted = True
        self.start_at = None
        if self.pid is not None:
            return
        self.pid = os.fork()
        if self.pid == 0:
            self._exec()
        self.since = time.time()
        self.starts += 1

    def _exec(self) -> None:
        """Turn the forked child into the service, with its output in its log."""
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(LOG_DIR / f"{self.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            os.execvpe(self.argv[0], self.argv, {**ENVIRONMENT, **self.env})
        except OSError as error:
            os.write(2, f"can't run {self.argv}: {error}\n".encode())
            os._exit(127)

    def stop(self) -> None:
        """Ask the process, and what it started in its session, to end."""
        self.wanted = False
        self.start_at = None
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)

    def ended(self, status: int) -> None:
        """Note that the process ended, and when to start it again."""
        code = os.waitstatus_to_exitcode(status)
        self.exit = f"code {code}" if code >= 0 else f"signal {-code}"
        self.pid = None
        if self.wanted:
            self.start_at = time.time() + RESTART_DELAY_S

    def state(self) -> dict[str, object]:
        """Return what a client is told."""
        keys = ("pid", "wanted", "since", "starts", "exit")
        return {key: getattr(self, key) for key in keys}


class Supervisor:
    """The services and the control socket."""

    def __init__(self) -> None:
        """Read the services and open the control socket."""
        specification = json.loads(SERVICES_FILE.read_text())
        self.services = {name: Service(name, spec["argv"], spec["env"]) for name, spec in specification.items()}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(SOCKET_PATH)
        self.listener.listen(16)

    def run(self) -> None:
        """Serve until killed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while True:
                if selector.select(TICK_S):
                    self._answer()
                self._reap()
                for service in self.services.values():
                    if service.start_at is not None and time.time() >= service.start_at:
                        service.start()

    def _answer(self) -> None:
        """Do what one client asks; a client that says nothing sensible gets no answer."""
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            connection.settimeout(2)
            request = json.loads(connection.makefile().readline())
            for name in request.get("services", []):
                self._do(request["do"], self.services[name])
            state = {name: service.state() for name, service in self.services.items()}
            connection.sendall(json.dumps(state).encode() + b"\n")

    def _do(self, action: str, service: Service) -> None:
        if action == "start":
            service.start()
        elif action == "stop":
            service.stop()
        elif action == "restart":
            service.stop()
            service.wanted = True
            if service.pid is None:
                service.start()

    def _reap(self) -> None:
        """Collect every ended child, orphans of services too: the first process inherits them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for service in self.services.values():
                if service.pid == pid:
                    service.ended(status)
                    print(f"{time.strftime('%F %T')} {service.name} ended: {service.exit}", flush=True)


if __name__ == "__main__":
    Supervisor().run()
