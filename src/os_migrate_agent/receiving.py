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
FLOOD = 2 << 20  # bytes that a measurement begins with
FLOOD_S = 0.3  # a link that was measured for so long has shown what it carries
FLOOD_SHARE = 32  # no more than this part of the data is spent on that
PIECE = 4 * BLOCK  # one write: after longer ones, SSH and TCP would have to get going again
STORE_AT = 16 << 20  # bytes that wait in memory before they are stored: all that waits at the end is waited for
UNZSTD = ["zstd", "-q", "-d", "-c"]
WORTH = 64 << 20  # what is less is copied before it is measured

ReadInto = Callable[[memoryview], int]  # returns how many bytes it read, 0 at the end


class LinkBroken(AgentError):
    """The other host went away."""


def level_for(path: str, data: int, *, always: bool) -> Tuple[int, str]:
    """Return the level of compression that brings `data` bytes over the link soonest, 0 for none; and why."""
    if shutil.which("zstd") is None:
        return 0, "the destination host has no zstd"
    if data < WORTH:
        return (1, "") if always else (0, "there is little to copy")
    try:
        link_bytes_s = _link_bytes_s(path, data // FLOOD_SHARE)
        chosen = _ask(path, {"do": "choose", "link_bytes_s": link_bytes_s, "always": always})
    except (LinkBroken, OSError) as fault:  # the copy knows how to wait for the link
        return (1 if always else 0), f"the link could not be measured: {fault}"
    return chosen["level"], chosen["reason"]


def _link_bytes_s(path: str, most: int) -> float:
    """Measure what a link carries: with more and more bytes, until that has taken long enough to tell."""
    count = FLOOD
    while True:
        with _request(path, {"do": "flood", "bytes": count}) as client:
            uncounted = _drain(client, count // 4)  # what buffers took in says nothing of the link
            began = time.monotonic()
            counted = _drain(client, count - uncounted)
            took_s = max(time.monotonic() - began, 1e-3)
        if took_s >= FLOOD_S or count * 4 > most:
            return counted / took_s
        count *= 4


def _drain(client: socket.socket, count: int) -> int:
    """Receive at least `count` bytes; return how many."""
    drained = 0
    while drained < count:
        got = len(client.recv(1 << 16))
        if not got:
            raise LinkBroken("the link broke while it was measured")
        drained += got
    return drained


class Receiver:
    """Write to a disk what comes over a link, zeroes between, over one connection after the other if the link breaks.

    `in_use` is what may hold data: it says how far the copy is.
    """

    def __init__(self, path: str, level: int, disk: int, in_use: List[Extent], progress: Progress) -> None:
        self._path = path
        self._level = level
        self._disk = disk
        self._in_use = collections.deque(in_use)
        self._passed = 0  # bytes of what was in use that are behind
        self._progress = progress
        self._offset = 0  # up to here all is written
        self._stored = 0  # up to here the kernel was asked to store it
        self.written: List[Extent] = []
        self.wire_bytes = 0
        self.sent: Json = {}

    def receive(self) -> None:
        """Receive what is missing.

        Raises:
            LinkBroken: before the end.
            AgentError: the source can't be read.
        """
        with _request(self._path, {"do": "send", "level": self._level, "from": self._offset}) as client:
            client.settimeout(None)  # a silent link is ended by SSH's keepalive
            if not self._level:
                self.wire_bytes += self._write_frames(client.recv_into)
                return
            zstd = subprocess.Popen(UNZSTD, stdin=client.fileno(), stdout=subprocess.PIPE)
            assert zstd.stdout is not None, "a pipe"
            try:
                self._write_frames(zstd.stdout.readinto)  # type: ignore[attr-defined]
                self.wire_bytes += _read_by(zstd.pid)
            finally:
                zstd.kill()
                zstd.wait()
                zstd.stdout.close()

    def _write_frames(self, read_into: ReadInto) -> int:
        """Write what comes; return how many bytes that were."""
        header, buffer = memoryview(bytearray(FRAME.size)), memoryview(bytearray(PIECE))
        came: int = 0
        while True:
            offset, length = FRAME.unpack(_exactly(read_into, header))
            came += FRAME.size + length
            if offset in (FAULT, END):
                words = bytes(_exactly(read_into, memoryview(bytearray(length)))).decode("utf-8", "replace")
                if offset == FAULT:
                    raise AgentError("the source can't be read: " + words)
                self.sent = json.loads(words)
                self._zero_to(self.sent["size_bytes"])
                return came
            self._zero_to(offset)
            for left in range(length, 0, -PIECE):
                self._write(_exactly(read_into, buffer[:left]))
            self._tell()

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
        if self._offset - self._stored >= STORE_AT:
            store(self._disk, self._stored, self._offset)
            self._stored = self._offset

    def _tell(self) -> None:
        while self._in_use and sum(self._in_use[0]) <= self._offset:
            self._passed += self._in_use.popleft()[1]
        begun = max(0, self._offset - self._in_use[0][0]) if self._in_use else 0
        self._progress.tell(self._passed + begun)


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


def _ask(path: str, request: Json) -> Json:
    with _request(path, request) as client, client.makefile("rb") as answer:
        line = answer.readline()
    if not line:
        raise LinkBroken("the other host gave no answer")
    return dict(json.loads(line.decode()))


def _request(path: str, request: Json) -> socket.socket:
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
