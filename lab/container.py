"""A cloud's container: namespaces, an overlay on the shared root filesystem, a supervisor as first process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

from lab import process
from lab.errors import LabError, ServiceFailed, UsageError, tail_of
from lab.settings import Cloud

_ENTER_ROOT = Path(__file__).parent / "inside" / "enter_root.py"
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONWARNINGS": "ignore",
    "TERM": os.environ.get("TERM", "dumb"),
}
# A service that was started so often without staying up won't come up by itself.
_STARTS_BEFORE_GIVING_UP = 4


class ServiceState(TypedDict):
    """What the supervisor knows of a service."""

    pid: int | None
    wanted: bool
    since: float
    starts: int
    exit: str | None


class Container:
    """The container of one cloud, running or not."""

    def __init__(self, cloud: Cloud) -> None:
        """Take the cloud; nothing is started."""
        self.cloud = cloud
        self._pid_file = cloud.directory / "pid"

    @property
    def pid(self) -> int | None:
        """Process of the supervisor as the machine numbers it, or None if the container isn't up."""
        try:
            pid, started = map(int, self._pid_file.read_text().split())
        except (OSError, ValueError):
            return None
        return pid if started and _start_time(pid) == started else None

    @property
    def is_up(self) -> bool:
        """Tell whether the supervisor answers."""
        try:
            self.state()
        except LabError:
            return False
        return True

    def start(self, rootfs: Path) -> None:
        """Start the supervisor in new namespaces. The network namespace has to be there."""
        directory = self.cloud.directory
        log = self.cloud.log_directory / "supervisor.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # --fork makes unshare wait for the first process, as a parent that `stop` and the kernel leave alone.
            parent = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.cloud.namespace),
                    *("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork"),
                    *(sys.executable, str(_ENTER_ROOT), self.cloud.name, str(directory), str(rootfs)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + 30
        while not self.is_up:
            if parent.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(tail_of(log, 30))
                raise LabError(f"{self.cloud.name}: the container doesn't start; the end of {log}:\n{tail}")
            child = _only_child(parent.pid)
            if child:
                self._pid_file.write_text(f"{child} {_start_time(child)}\n")
            time.sleep(0.1)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the machine's command line that runs `argv` in the container."""
        pid = self.pid
        if pid is None:
            raise UsageError(f"{self.cloud.name} is not up; `python -m lab up` starts it")
        nsenter = ["nsenter", "--target", str(pid), "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd"]
        environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return [*nsenter, "env", "--ignore-environment", *environment, *argv]

    def run(self, *argv: str, log: str | None = None, stdin: str | None = None) -> str:
        """Run a program in the container and return its output; with `log`, write it to that log instead."""
        return process.run(
            self.command(argv), log=self.cloud.log_directory / f"{log}.log" if log else None, stdin=stdin
        )

    def state(self) -> dict[str, ServiceState]:
        """Return the state of every service."""
        return self._ask("state", [])

    def start_services(self, names: Iterable[str]) -> None:
        """Start services that aren't running."""
        self._ask("start", names)

    def stop_services(self, names: Iterable[str], timeout_s: float = 20) -> None:
        """Stop services and wait until they have ended, but no longer than `timeout_s`."""
        stopping = list(names)
        self._ask("stop", stopping)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and any(self.state()[name]["pid"] for name in stopping):
            time.sleep(0.2)

    def check_services(self) -> None:
        """Raise ServiceFailed for a service that keeps ending."""
        for name, state in self.state().items():
            if state["wanted"] and state["pid"] is None and state["starts"] >= _STARTS_BEFORE_GIVING_UP:
                raise self.failure(name, f"ended {state['starts']} times, last with {state['exit']}")

    def failure(self, service: str, reason: str) -> ServiceFailed:
        """Return the error for a service that doesn't come up."""
        return ServiceFailed(self.cloud.name, service, reason, self.cloud.log_directory / f"{service}.log")

    def kill(self) -> None:
        """Kill the first process: the kernel kills all others in the container, and drops its mounts."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while self.pid is not None and time.monotonic() < deadline:
                time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def _ask(self, action: str, services: Iterable[str]) -> dict[str, ServiceState]:
        pid = self.pid
        if pid is None:
            raise UsageError(f"{self.cloud.name} is not up; `python -m lab up` starts it")
        request = json.dumps({"do": action, "services": list(services)}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(f"/proc/{pid}/root/run/supervisor.sock")
                connection.sendall(request)
                answer = connection.makefile().readline()
        except OSError as error:
            raise LabError(f"{self.cloud.name}: the supervisor does not answer: {error}") from error
        if not answer:
            raise LabError(f"{self.cloud.name}: the supervisor did not understand {request!r}")
        state: dict[str, ServiceState] = json.loads(answer)
        return state


def _start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot, or 0 if there is none: pid and start time are unique."""
    try:
        # The second field is the program's name in parentheses, and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def _only_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None
