"""XFS: whether its log is clean, and how much can be unused.

Layout: "XFS Algorithms & Data Structures", and fs/xfs/libxfs in Linux. partclone does not look at the log.
"""

from typing import Iterator, Tuple

from os_migrate_agent.blocks import CHUNK
from os_migrate_agent.reading import Claim, Window, field, fields, must

SECTOR = 512  # "basic blocks", the unit of the log
RECORD = b"\xfe\xed\xba\xbe"  # begins a record of the log; every other sector there begins with a cycle number
UNMOUNT = 0x20  # the flag of the operation that is written last, and alone, by an unmount
HEADER_FOR = 32 * 1024  # one sector of header for so many bytes of record
KNOWN_INCOMPATIBLE = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80  # not 0x10, which says that it needs a repair
KNOWN_READ_ONLY = 0xF
PLAIN, WITH_CHECKSUMS = 4, 5  # versions
SMALLEST_GROUP = 16 << 20
TOO_MANY_BLOCKS = (
    1 << 32
)  # partclone counts blocks of all groups but the first in 32 bits: it would free the wrong ones


def check(window: Window) -> Claim:
    """Return what an XFS claims; raise Unproven unless its log ends with an unmount."""
    superblock = window.read(0, SECTOR)
    must(superblock[:4] == b"XFSB", "its superblock is not that of XFS")
    block, blocks, realtime, extents = fields(">IQQQ", superblock, 4)
    start, log_blocks = field(">Q", superblock, 48), field(">I", superblock, 96)
    group_blocks, groups = fields(">II", superblock, 84)
    group_bits, free = superblock[124], field(">Q", superblock, 144)
    must(512 <= block <= 65536 and not block & (block - 1), "it has no block size of XFS")
    must(group_blocks and group_bits <= 32 and (groups - 1) * group_blocks < blocks <= groups * group_blocks, "mangled")
    must(block * blocks <= window.length and free <= blocks, "it is larger than what it lies in")
    must(groups == 1 or group_blocks * block >= SMALLEST_GROUP, "its groups are mangled")
    must(blocks < TOO_MANY_BLOCKS, "it has more blocks than partclone can count")
    must(not superblock[126], "its making was not finished")
    must(start and not realtime and not extents, "its log or its data are on another device")
    version = field(">H", superblock, 100) & 0xF
    must(version in (PLAIN, WITH_CHECKSUMS), f"it is of version {version}, which is not known here")
    if version == WITH_CHECKSUMS:
        read_only, incompatible, in_log = fields(">III", superblock, 212)
        must(not read_only & ~KNOWN_READ_ONLY, f"it has features that are not known here: {read_only:#x}")
        must(not incompatible & ~KNOWN_INCOMPATIBLE, f"it needs a repair, or has unknown features: {incompatible:#x}")
        must(not in_log, "its log must be replayed")
    at = ((start >> group_bits) * group_blocks + (start & ((1 << group_bits) - 1))) * block
    length = log_blocks * block
    must(_ends_with_unmount(window, at, length), "its log must be replayed: it was not unmounted")
    heads = [
        (group * group_blocks * block, min(4 * 65536, (blocks - group * group_blocks) * block))
        for group in range(groups)
    ]
    return Claim(block * blocks, free * block, [(at, length), *heads])


def _ends_with_unmount(window: Window, at: int, length: int) -> bool:
    """Tell whether the newest record of the log is that of an unmount (xlog_check_unmount_rec)."""
    sectors = length // SECTOR
    newest = max(_records(window, at, length), default=None)
    if newest is None:
        return False
    _, index = newest
    header = window.read(at + index * SECTOR, SECTOR)
    cycle, version = fields(">II", header, 4)
    operations, size = field(">I", header, 40), field(">I", header, 320)
    headers = -(-size // HEADER_FOR) if version & 2 and size > HEADER_FOR else 1
    behind = index + headers
    payload = window.read(at + behind % sectors * SECTOR, SECTOR)
    # The cycle number takes the place of the payload's first word; past the log's end, the next cycle has begun.
    is_whole = field(">I", payload, 0) == cycle + (behind >= sectors)
    return is_whole and operations == 1 and bool(payload[9] & UNMOUNT)


def _records(window: Window, at: int, length: int) -> Iterator[Tuple[int, int]]:
    """Yield the sequence number of every record of the log, and the sector where it begins."""
    for offset in range(0, length, CHUNK):
        piece = window.read(at + offset, min(CHUNK, length - offset))
        found = piece.find(RECORD)
        while found >= 0:
            if found % SECTOR == 0:
                index = (offset + found) // SECTOR
                number = field(">Q", piece, found + 16)
                must(number & 0xFFFFFFFF == index, "its log is mangled")
                yield number, index
            found = piece.find(RECORD, found + 1)
