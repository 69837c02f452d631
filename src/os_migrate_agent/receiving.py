"""Receive what `sending` sends, and write it to a volume."""

import collections
import json
import os
import shutil
import socket
import subprocess
import time
from typing import Callable, List, Tuple

from os_migrate_agent.blocks import BLOCK, Extent, store, zero
from os_migrate_agent.files import Json, Progress
from os_migrate_agent.process import AgentError
from os_migrate_agent.sending import END, FAULT, FRAME
from os_migrate_agent.sockets import SEND_GREETING

ANSWER_S = 60  # what the other host may take to try its levels of zstd, under emulation
SETTLED = 1 << 20  # bytes after which the link shows what it carries: what buffers took in says nothing of it
MEASURED_S = 0.3  # a link that was watched for so long has shown what it carries
WORTH = 64 << 20  # what is less is copied before it is measured
PIECE = 4 * BLOCK  # one write: after longer ones, SSH and TCP would have to get going again
STORE_AT = 16 << 20  # bytes that wait in memory before they are stored: all that waits at the end is waited for
UNZSTD = ["zstd", "-q", "-d", "-c"]
ReadInto = Callable[[memoryview], int]  # returns how many bytes it read, 0 at the end


class LinkBroken(AgentError):
    """The other host went away."""


class Receiver:
    """Write to a disk what comes over a link, zeroes between, over one connection after the other if the link breaks.

    `compression` is `os_migrate.nbd.Compression`; which level brings the data soonest is found out while the first of it comes.
    `in_use` is what may hold data: it says how far the copy is.
    """

    def __init__(self, path: str, compression: str, disk: int, in_use: List[Extent], progress: Progress) -> None:
        self._path = path
        self._always = compression == "zstd"
        self._disk = disk
        self._in_use = collections.deque(in_use)
        self._passed = 0  # bytes of what was in use that are behind
        self._progress = progress
        self._offset = 0  # up to here all is written
        self._stored = 0  # up to here the kernel was asked to store it
        self.written: List[Extent] = []
        self.wire_bytes = 0
        self.sent: Json = {}
        self._measuring = shutil.which("zstd") is not None and sum(length for _, length in in_use) >= WORTH
        self.reason = "there is little to copy" if shutil.which("zstd") else "the destination host has no zstd"
        self.level = 1 if self._always and shutil.which("zstd") and not self._measuring else 0

    def receive(self) -> None:
        """Receive what is missing.

        Raises:
            LinkBroken: before the end.
            AgentError: the source can't be read.
        """
        while not self.sent:
            with ask(self._path, {"do": "send", "level": self.level, "from": self._offset}) as client:
                client.settimeout(None)  # a silent link is ended by SSH's keepalive
                if self.level:
                    self._decompress(client)
                else:
                    self._write_frames(client.recv_into)

    def _decompress(self, client: socket.socket) -> None:
        zstd = subprocess.Popen(UNZSTD, stdin=client.fileno(), stdout=subprocess.PIPE)
        assert zstd.stdout is not None, "a pipe"
        try:
            self._write_frames(zstd.stdout.readinto)  # type: ignore[attr-defined]
            self.wire_bytes += _read_by(zstd.pid)
        finally:
            zstd.kill()
            zstd.wait()
            zstd.stdout.close()

    def _write_frames(self, read_into: ReadInto) -> None:
        """Write what comes, until its end, or until another level is better."""
        header, buffer = memoryview(bytearray(FRAME.size)), memoryview(bytearray(PIECE))
        link = _Link()
        while True:
            offset, length = FRAME.unpack(_exactly(read_into, header))
            if offset in (FAULT, END):
                words = bytes(_exactly(read_into, memoryview(bytearray(length)))).decode("utf-8", "replace")
                if offset == FAULT:
                    raise AgentError("the source can't be read: " + words)
                self.sent = json.loads(words)
                self._zero_to(self.sent["size_bytes"])
                return
            self._zero_to(offset)
            for left in range(length, 0, -PIECE):
                self._write(_exactly(read_into, buffer[:left]))
                link.carried(min(left, PIECE))
                if self._measuring and link.seconds >= MEASURED_S:
                    self._choose(link.bytes_s)
                    if self.level:
                        return

    def _choose(self, link_bytes_s: float) -> None:
        """Find out which level is the best for a link; this is done once."""
        self._measuring = False
        try:
            chosen = answer(self._path, {"do": "choose", "link_bytes_s": link_bytes_s, "always": self._always})
        except LinkBroken as fault:  # the copy knows how to wait for the link
            chosen = {"level": 1 if self._always else 0, "reason": f"what zstd brings could not be measured: {fault}"}
        self.level, self.reason = chosen["level"], chosen["reason"]

    def _zero_to(self, offset: int) -> None:
        zero(self._disk, [(self._offset, offset - self._offset)])
        self._offset = offset

    def _write(self, content: memoryview) -> None:
        """Write what comes next."""
        at = self._offset
        while content:
            count = os.pwrite(self._disk, content, self._offset)
            self._offset, content = self._offset + count, content[count:]
        begin, length = self.written.pop() if self.written and sum(self.written[-1]) == at else (at, 0)
        self.written.append((begin, length + self._offset - at))
        if not self.level:
            self.wire_bytes += self._offset - at
        if self._offset - self._stored >= STORE_AT:
            store(self._disk, self._stored, self._offset)
            self._stored = self._offset
        self._tell()

    def _tell(self) -> None:
        while self._in_use and sum(self._in_use[0]) <= self._offset:
            self._passed += self._in_use.popleft()[1]
        begun = max(0, self._offset - self._in_use[0][0]) if self._in_use else 0
        self._progress.tell(self._passed + begun)


class _Link:
    """What a link carries, by what came over it."""

    def __init__(self) -> None:
        self._came = 0
        self._counted = 0
        self._began = 0.0

    def carried(self, count: int) -> None:
        """Take in what came just now."""
        self._came += count
        if self._began:
            self._counted += count
        elif self._came >= SETTLED:
            self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return for how long it was watched."""
        return time.monotonic() - self._began if self._counted else 0.0

    @property
    def bytes_s(self) -> float:
        """Return what it carries, in bytes a second."""
        return self._counted / max(self.seconds, 1e-3)


def _exactly(read_into: ReadInto, view: memoryview) -> memoryview:
    filled = 0
    while filled < len(view):
        got = read_into(view[filled:])
        if not got:
            raise LinkBroken("the stream ended too early")
        filled += got
    return view


def _read_by(pid: int) -> int:
    """Return how many bytes a process has read (proc(5))."""
    with open(f"/proc/{pid}/io") as file:
        return int(dict(line.split(": ") for line in file)["rchar"])


def look(path: str) -> Tuple[List[Extent], int]:
    """Return what is in use of the volume that is sent there, and its size."""
    seen = answer(path, {"do": "look"})
    return [(offset, length) for offset, length in seen["in_use"]], seen["size_bytes"]


def answer(path: str, request: Json) -> Json:
    """Return what a sender answers to a request, in one line."""
    with ask(path, request) as client, client.makefile("rb") as stream:
        try:
            line = stream.readline()
        except OSError as error:
            raise LinkBroken(f"{path}: {error}") from None
    if not line.endswith(b"\n"):
        raise LinkBroken("the other host gave no answer")
    return dict(json.loads(line.decode()))


def ask(path: str, request: Json) -> socket.socket:
    """Return a connection to a sender that was asked for something."""
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(ANSWER_S)
        client.connect(path)
        if client.recv(len(SEND_GREETING), socket.MSG_WAITALL) != SEND_GREETING:
            raise LinkBroken("nobody sends on " + path)
        client.sendall(json.dumps(request).encode() + b"\n")
    except OSError as error:
        client.close()
        raise LinkBroken(f"{path}: {error}") from None
    except AgentError:
        client.close()
        raise
    return client
