"""Send what of a volume is in use, and read it only once for all that is wanted of it: what holds data, its digest, a copy.

    client                                      server
                                                greets
    {"do": "look"}                     ──>      {"size_bytes": S, "in_use": [[offset, length], ...]}
    {"do": "send", "level": L, "from": O} ──>   zstd( offset, length, bytes;  ...  END, length, what was sent )
    {"do": "choose", "link_bytes_s": R, "always": B}
                                       ──>      {"level": L, "reason": ...}; level 0 is not to compress

One request a connection. A connection that breaks is made again, and goes on with what is missing.
"""

import functools
import json
import os
import socket
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, List, NoReturn, Optional, Tuple, Union

from os_migrate_agent.blocks import BLOCK, Extent, chunks, merged, open_uncached, read_list
from os_migrate_agent.devices import device_of
from os_migrate_agent.digest import Digest
from os_migrate_agent.files import Json
from os_migrate_agent.process import AgentError
from os_migrate_agent.sockets import SEND_GREETING, listen

FRAME = struct.Struct(">QI")  # offset and length of what follows
FAULT = (1 << 64) - 1  # in place of an offset: what follows says why the source can't be read
END = FAULT - 1  # in place of an offset: what follows says, in JSON, what was sent
LEVELS = (1, 3, 6, 9)  # of zstd; beyond, it is slower than any link that is worth a migration
SAMPLES = 8  # pieces of the data that are compressed to see what it would bring
SAMPLE = 512 * 1024
GAIN = 1.1  # what compression must bring, at least: it costs both hosts their cores
REQUEST_S = 60  # what a client may take to say what it wants
ZSTD = ["zstd", "-q", "-c", "-T0"]

Block = Tuple[int, memoryview]  # offset, and bytes that are not all zero
Measured = Tuple[float, float]  # bytes compressed a second; what a byte becomes
Put = Callable[[Union[bytes, memoryview]], object]  # sends all of it


class Sent:
    """What was read of a volume for whoever it is sent to: how much of it holds data, and its digest.

    It outlives connections: one that goes on where another broke need not begin anew.
    """

    def __init__(self, size: int, *, with_digest: bool) -> None:
        self._lock = threading.Lock()
        self.size = size
        self._digest = Digest(size) if with_digest else None
        self._data_bytes = 0
        self._extents = 0
        self._data_end = 0
        self.end = 0  # all before was taken in

    def take(self, blocks: List[Block], end: int) -> None:
        """Take in the blocks that hold data, of all that was read up to `end`; what was taken in before is passed over."""
        with self._lock:  # a connection that is yet to notice its end may still read
            for offset, block in blocks:
                if offset < self.end:
                    continue
                if self._digest:
                    self._digest.take(offset, block)
                self._extents += offset != self._data_end or not self._extents
                self._data_bytes += len(block)
                self._data_end = offset + len(block)
            self.end = max(self.end, end)

    def summary(self) -> Json:
        """Return what was sent, as `os_migrate.nbd.ScanResult` has it."""
        return {
            "digest": str(self._digest) if self._digest else "",
            "size_bytes": self.size,
            "data_bytes": self._data_bytes,
            "extents": self._extents,
        }


def task_send(volume_id: str, path: str, extents_path: str, digest: str) -> NoReturn:
    """Serve what is in use of a volume to whoever connects, each in a thread of its own."""
    device = device_of(volume_id)
    with open(extents_path) as file:
        extents = read_list(file.read())
    with open(device, "rb") as disk:
        sent = Sent(disk.seek(0, os.SEEK_END), with_digest=digest == "digest")
    server = listen(path)
    while True:
        client, _ = server.accept()
        threading.Thread(target=_serve, args=(client, device, extents, sent), daemon=True).start()


def _serve(client: socket.socket, device: str, extents: List[Extent], sent: Sent) -> None:
    with client:
        try:
            client.settimeout(REQUEST_S)
            client.sendall(SEND_GREETING)
            line = client.makefile("rb").readline()
            client.settimeout(None)
            if line:  # else it only wanted to know whether we are there
                _answer(client, json.loads(line.decode()), device, extents, sent)
        except OSError:
            return  # the client went away: it comes again if it wants


def _answer(client: socket.socket, request: Json, device: str, extents: List[Extent], sent: Sent) -> None:
    if request["do"] == "look":
        client.sendall(json.dumps({"size_bytes": sent.size, "in_use": extents}).encode() + b"\n")
    elif request["do"] == "choose":
        pieces = sample(device, extents)
        measure = functools.partial(_measure, pieces)
        level, reason = choose(request["link_bytes_s"], measure, always=request["always"])
        client.sendall(json.dumps({"level": level, "reason": reason}).encode() + b"\n")
    elif request["level"]:
        _compress(client, request["level"], functools.partial(_send, device, extents, request["from"], sent))
    else:
        _send(device, extents, request["from"], sent, client.sendall)


def _compress(client: socket.socket, level: int, send: Callable[[Put], None]) -> None:
    """Let zstd stand between what sends and the client."""
    zstd = subprocess.Popen([*ZSTD, f"-{level}"], stdin=subprocess.PIPE, stdout=client.fileno())
    assert zstd.stdin is not None, "a pipe"
    try:
        send(zstd.stdin.write)
        zstd.stdin.close()
        zstd.wait()
    finally:
        zstd.kill()
        zstd.wait()


def _send(device: str, extents: List[Extent], start: int, sent: Sent, put: Put) -> None:
    """Put the data from an offset on as frames, or as much of it as can be read, and why no more."""
    try:
        with open(device, "rb", buffering=0, opener=open_uncached) as disk, ThreadPoolExecutor(1) as digester:
            for chunk in chunks(disk, _between(extents, sent.end, start)):  # what sent it before was restarted
                sent.take(list(chunk.blocks()), chunk.end)
            for chunk in chunks(disk, _between(extents, start, FAULT)):
                blocks = list(chunk.blocks())
                taken = digester.submit(sent.take, blocks, chunk.end)
                for offset, length in merged((at, len(block)) for at, block in blocks):
                    put(FRAME.pack(offset, length))
                    put(chunk.view[offset - chunk.offset :][:length])
                taken.result()
    except ConnectionError:  # the client went away
        raise
    except (AgentError, OSError) as fault:
        words = str(fault).encode()
        put(FRAME.pack(FAULT, len(words)) + words)
    else:
        words = json.dumps(sent.summary()).encode()
        put(FRAME.pack(END, len(words)) + words)


def _between(extents: List[Extent], begin: int, end: int) -> List[Extent]:
    """Return what extents have in a range."""
    cut = [(max(offset, begin), min(offset + length, end)) for offset, length in extents]
    return [(first, last - first) for first, last in cut if first < last]


# The level -----------------------------------------------------------------------------------------------------------


def choose(
    link_bytes_s: float, measure: Callable[[int], Optional[Measured]], *, always: bool = False
) -> Tuple[int, str]:
    """Return the level with which the data passes the link soonest, 0 for none (unless one is wanted `always`), and why.

    A byte passes when it is compressed and sent, whichever takes longer; both go on at the same time.
    """
    best, best_bytes_s, why = 0, 0.0 if always else link_bytes_s * GAIN, ""
    for level in LEVELS:
        measured = measure(level)
        if measured is None:
            return 0, "the source host has no zstd"
        compressed_bytes_s, ratio = measured
        passed_bytes_s = min(compressed_bytes_s, link_bytes_s / ratio)
        said = f"level {level} makes {ratio:.2f} of a byte, {compressed_bytes_s / 1e6:.0f} MB/s"
        why = why or said
        if passed_bytes_s > best_bytes_s:
            best, best_bytes_s, why = level, passed_bytes_s, said
        if compressed_bytes_s < link_bytes_s / ratio or ratio * GAIN > 1:
            break  # a higher level is slower still; and what the first can't make smaller, none can by enough
    return best, f"the link carries {link_bytes_s / 1e6:.1f} MB/s, zstd at {why}"


def sample(device: str, extents: List[Extent]) -> List[bytes]:
    """Return some of the data, from all over the disk: what is sent of it, so no blocks of zeroes."""
    total = sum(length for _, length in extents)
    wanted = [total * number // SAMPLES for number in range(SAMPLES)]
    pieces = []
    passed = 0
    with open(device, "rb") as disk:
        for offset, length in extents:
            while wanted and wanted[0] < passed + length:
                at = wanted.pop(0) - passed
                disk.seek(offset + at)
                piece = disk.read(min(SAMPLE, length - at))
                blocks = [piece[begin : begin + BLOCK] for begin in range(0, len(piece), BLOCK)]
                pieces.append(b"".join(block for block in blocks if block.strip(b"\0")))
            passed += length
    return pieces


def _measure(pieces: List[bytes], level: int) -> Optional[Measured]:
    """Return how fast, and to how much, zstd compresses; None if there is none."""
    data = b"".join(pieces)
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*ZSTD, f"-{level}"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
        )
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        raise AgentError(f"zstd ended with {done.returncode}")
    took_s = max(time.monotonic() - began, 1e-3)
    return len(data) / took_s, max(len(done.stdout), 1) / max(len(data), 1)
