"""Let no more through than a limit: what ssh runs to connect (ProxyCommand), since it has no limit of its own."""

import fcntl
import os
import socket
import struct
import threading
import time

from os_migrate_agent.files import RUN_DIR

PART = 64 * 1024  # what is let through at a time
AHEAD_S = 0.05  # what may be let through at once after a pause
CLOCK = struct.Struct("d")
CLOCK_PATH = os.path.join(RUN_DIR, "throttle")


def task_throttle(limit: str, address: str, port: str) -> None:
    """Connect stdin and stdout with a server; what comes from there passes at `limit` bytes a second.

    All throttles of this host share the limit: each part is given its own time, after all that were before it.
    """
    server = socket.create_connection((address, int(port)), timeout=20)
    server.settimeout(None)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=_pass_on, args=(server,), daemon=True).start()
    clock = os.open(CLOCK_PATH, os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        part = server.recv(PART)
        if not part:
            return
        time.sleep(wait_s(clock, len(part) / float(limit)))
        _write(1, part)


def _pass_on(server: socket.socket) -> None:
    while True:
        part = os.read(0, PART)
        if not part:
            server.shutdown(socket.SHUT_WR)
            return
        server.sendall(part)


def _write(fd: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(fd, view) :]


def wait_s(clock: int, takes_s: float) -> float:
    """Take the next time that is free, for as long as a part takes to pass; return how long to wait for it.

    `clock` is a file that all throttles share: it holds the end of the last time that was taken.
    """
    now = time.monotonic()  # the same for all processes, on Linux
    fcntl.flock(clock, fcntl.LOCK_EX)
    try:
        told = os.pread(clock, CLOCK.size, 0)
        end = CLOCK.unpack(told)[0] if len(told) == CLOCK.size else 0.0
        begin = max(end, now - AHEAD_S)
        os.pwrite(clock, CLOCK.pack(begin + takes_s), 0)
    finally:
        fcntl.flock(clock, fcntl.LOCK_UN)
    return max(0.0, begin - now)
