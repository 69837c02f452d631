"""Reading a disk in blocks of 64 KiB, and the extents of those that hold data."""

import errno
import fcntl
import io
import os
import queue
import stat
import threading
from typing import Iterable, Iterator, List, Optional, Tuple

from os_migrate_agent.files import Progress
from os_migrate_agent.process import AgentError

CHUNK = 4 * 1024 * 1024  # one read: long enough for any disk to stream
BLOCK = 64 * 1024  # one unit of "holds data or not"; joining smaller gaps costs 5% more bytes and saves most extents
PAGE = 4096  # the alignment that O_DIRECT wants of a buffer, at most
AHEAD = 2  # chunks that are read while one is worked on
NO_DATA = bytes(CHUNK + PAGE)

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10  # linux/falloc.h; a block device has them since Linux 4.9
BLKFLSBUF = 0x1261  # linux/fs.h: write back and drop the cache of a block device

Extent = Tuple[int, int]  # offset and length in bytes


def open_uncached(path: str, flags: int) -> int:
    """Open a disk so that reads come from the storage: a cached page proves nothing, and costs a copy."""
    is_block = stat.S_ISBLK(os.stat(path).st_mode)
    disk = os.open(path, flags | (os.O_DIRECT if is_block else 0))
    if is_block:
        fcntl.ioctl(disk, BLKFLSBUF, 0)
    os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
    return disk


def blocks(
    disk: io.FileIO, extents: Iterable[Extent], progress: Optional[Progress] = None
) -> Iterator[Tuple[int, bytearray]]:
    """Yield the blocks that are not all zero, with their offsets; `extents`, ascending and on the grid, say what to read.

    Zeroes are found by comparing a bytearray with bytes, which is memcmp; a memoryview would be forty times slower.
    """
    done = 0
    for offset, buffer, view in chunks(disk, extents):
        if len(view) < CHUNK or buffer != NO_DATA:
            for at in range(0, len(view), BLOCK):
                block = bytearray(view[at : at + BLOCK])
                if block != NO_DATA[: len(block)]:
                    yield offset + at, block
        done += len(view)
        if progress:
            progress.tell(done)


def chunks(disk: io.FileIO, extents: Iterable[Extent]) -> Iterator[Tuple[int, bytearray, memoryview]]:
    """Yield what a disk holds, in order, with the buffer around it, zero where nothing was ever read.

    A thread reads ahead: a disk and a core can both be busy. A chunk is good until the next one is asked for.
    """
    free: queue.Queue[Optional[bytearray]] = queue.Queue()
    full: queue.Queue[Optional[Tuple[int, bytearray, memoryview]]] = queue.Queue()
    for _ in range(AHEAD + 1):
        free.put(bytearray(CHUNK + PAGE))
    faults: List[Exception] = []

    def read() -> None:
        try:
            for offset, length in _pieces(extents):
                buffer = free.get()
                if buffer is None:
                    return
                view = _aligned(buffer)[:length]
                _fill(disk, offset, view)
                full.put((offset, buffer, view))
        except (AgentError, OSError) as fault:
            faults.append(fault)
        full.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        for chunk in iter(full.get, None):
            yield chunk
            free.put(chunk[1])
        if faults:
            raise faults[0]
    finally:
        free.put(None)
        reader.join()


def _pieces(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Cut extents into chunks."""
    for start, length in extents:
        for offset in range(start, start + length, CHUNK):
            yield offset, min(CHUNK, start + length - offset)


def _aligned(buffer: bytearray) -> memoryview:
    """Return the chunk within a buffer that begins with a page, as O_DIRECT wants it."""
    import ctypes

    skip = -ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % PAGE
    return memoryview(buffer)[skip : skip + CHUNK]


def _fill(disk: io.FileIO, offset: int, view: memoryview) -> None:
    """Fill `view` from the disk; a read may be short, and blocks must stay on their grid."""
    disk.seek(offset)
    filled = 0
    while filled < len(view):
        got = disk.readinto(view[filled:])
        if not got:
            raise AgentError("the disk ends before its size")
        filled += got


def zero(disk: int, extents: Iterable[Extent]) -> None:
    """Make a disk read as zeroes in these extents, as cheaply as it can: by a hole, by an order to it, or by writing them."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    ways = [PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE]
    for offset, length in extents:
        while length and ways:
            if libc.fallocate(disk, ways[0], ctypes.c_longlong(offset), ctypes.c_longlong(length)) == 0:
                break
            if ctypes.get_errno() not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise AgentError("can't zero the disk: " + os.strerror(ctypes.get_errno()))
            ways.pop(0)
        if length and not ways:
            for at, part in _pieces([(offset, length)]):
                os.pwrite(disk, NO_DATA[:part], at)


# Extents -------------------------------------------------------------------------------------------------------------


def joined(extents: Iterable[Extent], size: int) -> List[Extent]:
    """Return extents on the grid of blocks, ascending, each apart from the next; none reaches beyond `size`."""
    found: List[List[int]] = []  # begin and end
    for offset, length in sorted(extents):
        begin = offset // BLOCK * BLOCK
        end = min(-(-(offset + length) // BLOCK) * BLOCK, size)
        if end <= begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([begin, end])
    return [(begin, end - begin) for begin, end in found]


def write_list(extents: Iterable[Extent], size: int) -> str:
    """Return the extents in the format of nbdkit-extentlist-filter(1), holes spelled out."""
    lines = []
    end = 0
    for offset, length in [*extents, (size, 0)]:
        if offset > end:
            lines.append(f"{end} {offset - end} hole,zero\n")
        if length:
            lines.append(f"{offset} {length}\n")
        end = offset + length
    return "".join(lines)


def read_list(text: str) -> List[Extent]:
    """Return the extents of such a list that hold data."""
    rows = (line.split() for line in text.splitlines())
    return [(int(row[0]), int(row[1])) for row in rows if row[2:] != ["hole,zero"]]
