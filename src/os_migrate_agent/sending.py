"""Send what a volume holds, compressed: for links that are slower than zstd. NBD itself has no compression.

    client                                      server
                                                greets
    {"do": "flood", "bytes": N}        ──>      N bytes that nothing compresses: the client times them
    {"do": "choose", "link_bytes_s": R, "always": B}
                                       ──>      {"level": L, "reason": ...}; level 0 is not to compress
    {"do": "send", "level": L, "from": O} ──>   zstd( offset, length, bytes;  ...  size, 0 )

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
from typing import IO, Callable, List, NoReturn, Optional, Tuple

from os_migrate_agent.blocks import Extent, chunks, open_uncached, read_list
from os_migrate_agent.devices import device_of
from os_migrate_agent.files import Json
from os_migrate_agent.process import AgentError
from os_migrate_agent.sockets import SEND_GREETING, listen

FRAME = struct.Struct(">QI")  # offset and length of what follows; length 0 ends it
FAULT = (1 << 64) - 1  # in place of an offset: what follows says why the source can't be read
LEVELS = (1, 3, 6, 9)  # of zstd; beyond, it is slower than any link that is worth a migration
SAMPLES = 8  # pieces of the data that are compressed to see what it would bring
SAMPLE = 512 * 1024
GAIN = 1.1  # what compression must bring, at least: it costs both hosts their cores
REQUEST_S = 60  # what a client may take to say what it wants
ZSTD = ["zstd", "-q", "-c", "-T0"]

Measured = Tuple[float, float]  # bytes compressed a second; what a byte becomes


def task_send(volume_id: str, path: str, extents_path: str) -> NoReturn:
    """Serve a volume's data to whoever connects, each in a thread of its own."""
    device = device_of(volume_id)
    with open(extents_path) as file:
        extents = read_list(file.read())
    server = listen(path)
    while True:
        client, _ = server.accept()
        threading.Thread(target=_serve, args=(client, device, extents), daemon=True).start()


def _serve(client: socket.socket, device: str, extents: List[Extent]) -> None:
    with client:
        try:
            client.settimeout(REQUEST_S)
            client.sendall(SEND_GREETING)
            line = client.makefile("rb").readline()
            client.settimeout(None)
            if line:  # else it only wanted to know whether we are there
                _answer(client, json.loads(line.decode()), device, extents)
        except OSError:
            return  # the client went away: it comes again if it wants


def _answer(client: socket.socket, request: Json, device: str, extents: List[Extent]) -> None:
    if request["do"] == "flood":
        noise = os.urandom(1 << 20)
        for left in range(request["bytes"], 0, -len(noise)):
            client.sendall(noise[:left])
    elif request["do"] == "choose":
        pieces = sample(device, extents)
        measure = functools.partial(_measure, pieces)
        level, reason = choose(request["link_bytes_s"], measure, always=request["always"])
        client.sendall(json.dumps({"level": level, "reason": reason}).encode() + b"\n")
    else:
        _send(client, request["level"], request["from"], device, extents)


def _send(client: socket.socket, level: int, start: int, device: str, extents: List[Extent]) -> None:
    """Send the extents from an offset on, as frames, through zstd."""
    missing = [(max(offset, start), offset + length - max(offset, start)) for offset, length in extents]
    zstd = subprocess.Popen([*ZSTD, f"-{level}"], stdin=subprocess.PIPE, stdout=client.fileno())
    assert zstd.stdin is not None, "a pipe"
    try:
        _write_frames(zstd.stdin, device, [extent for extent in missing if extent[1] > 0])
        zstd.stdin.close()
        zstd.wait()
    finally:
        zstd.kill()
        zstd.wait()


def _write_frames(stream: IO[bytes], device: str, extents: List[Extent]) -> None:
    """Write the extents, or as much of them as can be read, and why no more."""
    try:
        with open(device, "rb", buffering=0, opener=open_uncached) as disk:
            for offset, _, view in chunks(disk, extents):
                stream.write(FRAME.pack(offset, len(view)))
                stream.write(view)
            stream.write(FRAME.pack(disk.seek(0, os.SEEK_END), 0))
    except BrokenPipeError:  # the client went away
        raise
    except (AgentError, OSError) as fault:
        words = str(fault).encode()
        stream.write(FRAME.pack(FAULT, len(words)) + words)


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
        if compressed_bytes_s < link_bytes_s / ratio:
            break  # a higher level is slower still
    return best, f"the link carries {link_bytes_s / 1e6:.1f} MB/s, zstd at {why}"


def sample(device: str, extents: List[Extent]) -> List[bytes]:
    """Return some of the data, from all over the disk."""
    total = sum(length for _, length in extents)
    wanted = [total * number // SAMPLES for number in range(SAMPLES)]
    pieces = []
    passed = 0
    with open(device, "rb") as disk:
        for offset, length in extents:
            while wanted and wanted[0] < passed + length:
                at = wanted.pop(0) - passed
                disk.seek(offset + at)
                pieces.append(disk.read(min(SAMPLE, length - at)))
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
