"""The servers of our data behind Unix sockets: NBD's, and our own (`sending`)."""

import contextlib
import os
import socket
import struct
import time
from typing import Callable, List, NoReturn

from os_migrate_agent.devices import device_of
from os_migrate_agent.files import POLL_S
from os_migrate_agent.process import AgentError

LOOK_S = 0.5  # how often it is asked whether the server is still there: that takes a process
SEND_GREETING = b"OSMSEND1"  # as long as NBD's own


def await_servers(paths: List[str], timeout_s: float, has_failed: Callable[[], bool]) -> None:
    """Return when a server answers on each of the sockets; through a tunnel, that is the server at its far end."""
    began = time.monotonic()
    deadline, look = began + timeout_s, began + LOOK_S
    for path in paths:
        while not answers(path):
            if time.monotonic() > look:
                if has_failed():
                    raise AgentError(f"the process behind {path} ended")
                look = time.monotonic() + LOOK_S
            if time.monotonic() > deadline:
                raise AgentError(f"nothing answers on {path} after {timeout_s} s")
            time.sleep(POLL_S)


def answers(path: str) -> bool:
    """Tell whether a server greets on a Unix socket; take leave of NBD's properly, so that it logs no error."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(20)
        try:
            client.connect(path)
            greeting = client.recv(8, socket.MSG_WAITALL)
            if greeting == SEND_GREETING:
                return True
            client.recv(10, socket.MSG_WAITALL)
            # Fixed newstyle, no zeroes; then NBD_OPT_ABORT, without data (NBD's protocol, "Handshake phase").
            client.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 2, 0))
            client.recv(20, socket.MSG_WAITALL)
        except OSError:
            return False
        return greeting == b"NBDMAGIC"


def listen(path: str) -> socket.socket:
    """Return a socket that its owner (the SSH user) and root can connect to, and nobody else."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # left by a server that was killed
    server = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    server.bind(path)
    os.chown(path, int(os.environ.get("OS_MIGRATE_OWNER", "0")), -1)
    server.listen(64)
    return server


def task_serve(volume_id: str, path: str, *command: str) -> NoReturn:
    """Become a server of the volume."""
    argv = [word.replace("{device}", device_of(volume_id)) for word in command]
    server = listen(path)
    first = 3  # sd_listen_fds(3): the descriptors handed over begin there
    os.dup2(server.fileno(), first)
    os.set_inheritable(first, True)  # noqa: FBT003 (it takes no keyword)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execvp(argv[0], argv)
