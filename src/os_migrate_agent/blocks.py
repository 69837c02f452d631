"""Reading a disk in blocks of 64 KiB, and the extents of those that hold data."""

import errno
import fcntl
import io
import os
import queue
import stat
import threading
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

from os_migrate_agent.files import Progress
from os_migrate_agent.process import AgentError

CHUNK = 4 * 1024 * 1024  # one read: long enough for any disk to stream
BLOCK = 64 * 1024  # one unit of "holds data or not"; joining smaller gaps costs 5% more bytes and saves most extents
PAGE = 4096  # the alignment that O_DIRECT wants of a buffer, at most
AHEAD = 2  # chunks that are read while one is worked on
NO_DATA = bytes(CHUNK + PAGE)
NO_BLOCK = bytes(BLOCK)

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10  # linux/falloc.h; a block device has them since Linux 4.9
BEGIN_WRITING = 2  # SYNC_FILE_RANGE_WRITE, linux/fs.h
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
) -> Iterator[Tuple[int, memoryview]]:
    """Yield the blocks that are not all zero, with their offsets; `extents`, ascending and on the grid, say what to read.

    A block is good until the next one is asked for.
    """
    done = 0
    for chunk in chunks(disk, extents):
        yield from chunk.blocks()
        done += len(chunk.view)
        if progress:
            progress.tell(done)


class Chunk(NamedTuple):
    """What a disk holds from an offset on, in a buffer that is zero where nothing was ever read into it."""

    offset: int
    buffer: bytearray
    view: memoryview

    @property
    def end(self) -> int:
        """Return where on the disk it ends."""
        return self.offset + len(self.view)

    def blocks(self) -> Iterator[Tuple[int, memoryview]]:
        """Yield the blocks that are not all zero, with their offsets on the disk.

        Zeroes are found by comparing a bytearray with bytes, which is memcmp; a memoryview would be forty times slower.
        """
        if len(self.view) == CHUNK and self.buffer == NO_DATA:
            return
        for at in range(0, len(self.view), BLOCK):
            block = self.view[at : at + BLOCK]
            if block[0] or bytearray(block) != NO_BLOCK[: len(block)]:
                yield self.offset + at, block


def chunks(disk: io.FileIO, extents: Iterable[Extent]) -> Iterator[Chunk]:
    """Yield what a disk holds, in order.

    A thread reads ahead: a disk and a core can both be busy. A chunk is good until the next one is asked for.
    """
    free: queue.Queue[Optional[bytearray]] = queue.Queue()
    full: queue.Queue[Optional[Chunk]] = queue.Queue()
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
                full.put(Chunk(offset, buffer, view))
        except (AgentError, OSError) as fault:
            faults.append(fault)
        full.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        for chunk in iter(full.get, None):
            yield chunk
            free.put(chunk.buffer)
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


def store(disk: int, begin: int, end: int) -> None:
    """Let the kernel begin to store what was written in a range; that it failed, or can't, is told by the fsync at the end."""
    import ctypes

    ctypes.CDLL(None).sync_file_range(disk, ctypes.c_longlong(begin), ctypes.c_longlong(end - begin), BEGIN_WRITING)


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


def merged(extents: Iterable[Extent]) -> List[Extent]:
    """Return extents ascending and apart."""
    found: List[Extent] = []
    for offset, length in sorted(extents):
        if found and offset <= sum(found[-1]):
            found[-1] = (found[-1][0], max(sum(found[-1]), offset + length) - found[-1][0])
        elif length:
            found.append((offset, length))
    return found


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
