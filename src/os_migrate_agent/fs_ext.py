"""ext2, ext3 and ext4: whether one was closed cleanly, and where its metadata are.

Layout: Documentation/filesystems/ext4 in Linux. partclone was seen to leave out the superblock copies and inode tables of
groups that are marked BLOCK_UNINIT, so all of a group's metadata are kept, whatever the map says.
"""

from typing import Iterator, List

from os_migrate_agent.blocks import Extent
from os_migrate_agent.reading import Claim, Window, field, fields, must

CLEAN = 1  # s_state: unmounted cleanly, no errors, no orphans; nothing else may be set
SPARSE_SUPER2 = 0x200  # compatible features
RECOVER, META_BG, WIDE = 0x4, 0x10, 0x80  # incompatible features
SPARSE_SUPER, ORPHAN_PRESENT = 0x1, 0x10000  # read-only compatible features
# Those whose layout is known here. Not among them: compression, journal devices, clusters of blocks, snapshots.
KNOWN_INCOMPATIBLE = 0x2 | META_BG | 0x40 | WIDE | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
KNOWN_READ_ONLY = SPARSE_SUPER | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x400 | 0x1000 | 0x2000 | 0x8000


def check(window: Window) -> Claim:
    """Return what an ext file system claims; raise Unproven unless it was closed cleanly."""
    superblock = window.read(1024, 1024)
    must(field("<H", superblock, 0x38) == 0xEF53, "its superblock is not that of ext")
    must(field("<H", superblock, 0x3A) == CLEAN, "it was not unmounted cleanly, or has errors")
    _compatible, incompatible, read_only = fields("<III", superblock, 0x5C)
    must(not incompatible & RECOVER, "its journal must be replayed")
    must(not read_only & ORPHAN_PRESENT and not field("<I", superblock, 0xE8), "it has orphaned inodes")
    must(not incompatible & ~KNOWN_INCOMPATIBLE, f"it has features that are not known here: {incompatible:#x}")
    must(not read_only & ~KNOWN_READ_ONLY, f"it has features that are not known here: {read_only:#x}")
    layout = _Layout(superblock)
    must(layout.blocks * layout.block <= window.length, "it is larger than what it lies in")
    return Claim(layout.blocks * layout.block, layout.free * layout.block, list(layout.metadata(window)))


class _Layout:
    """Where things are in an ext file system, in blocks."""

    def __init__(self, superblock: bytes) -> None:
        self._compatible, self._incompatible, self._read_only = fields("<III", superblock, 0x5C)
        self._log_block = field("<I", superblock, 0x18)
        must(self._log_block <= 6, "it has no block size of ext")
        self.block = 1024 << self._log_block
        wide = bool(self._incompatible & WIDE)
        self.blocks = field("<I", superblock, 0x4) + (wide and field("<I", superblock, 0x150) << 32)
        self.free = field("<I", superblock, 0xC) + (wide and field("<I", superblock, 0x158) << 32)
        self._first = field("<I", superblock, 0x14)
        self._group_blocks = field("<I", superblock, 0x20)
        inode_bytes = field("<H", superblock, 0x58) if field("<I", superblock, 0x4C) else 128  # revision 0 has no field
        self._table_blocks = -(-field("<I", superblock, 0x28) * inode_bytes // self.block)
        self._descriptor_bytes = field("<H", superblock, 0xFE) if wide else 32
        must(self._group_blocks and 32 <= self._descriptor_bytes <= self.block, "its groups are mangled")
        must(self._first < self.blocks and self.free <= self.blocks, "its size is mangled")
        self._reserved_blocks = field("<H", superblock, 0xCE)
        self._first_meta_group = field("<I", superblock, 0x104)
        self._backups = fields("<II", superblock, 0x24C)
        self._groups = -(-(self.blocks - self._first) // self._group_blocks)
        self._descriptors_a_block = self.block // self._descriptor_bytes
        self._descriptor_blocks = -(-self._groups // self._descriptors_a_block)

    def metadata(self, window: Window) -> Iterator[Extent]:
        """Yield, in bytes, every group's superblock copy, descriptors, bitmaps and inode table."""
        yield self._bytes(0, self._first + 1)
        for number in range(self._descriptor_blocks):
            at, length = self._bytes(self._descriptor_block(number), 1)
            descriptors = window.read(at, length)
            yield at, length
            begin = number * self._descriptors_a_block
            for group in range(begin, min(begin + self._descriptors_a_block, self._groups)):
                offset = (group - begin) * self._descriptor_bytes
                yield from self._of_group(group, descriptors[offset : offset + self._descriptor_bytes])

    def _of_group(self, group: int, descriptor: bytes) -> List[Extent]:
        start = self._first + group * self._group_blocks
        has_meta = bool(self._incompatible & META_BG)
        found = []
        if self._has_superblock(group):
            behind = 1 if has_meta else self._descriptor_blocks + self._reserved_blocks
            found.append(self._bytes(start, min(1 + behind, self.blocks - start)))
        elif has_meta:
            found.append(self._bytes(start, 1))
        places = [field("<I", descriptor, at) for at in (0, 4, 8)]
        if self._descriptor_bytes >= 64:
            places = [low + (field("<I", descriptor, at) << 32) for low, at in zip(places, (0x20, 0x24, 0x28))]
        for place, length in zip(places, (1, 1, self._table_blocks)):
            must(place, "a group has no place for its metadata")
            found.append(self._bytes(place, length))
        return found

    def _descriptor_block(self, number: int) -> int:
        if not self._incompatible & META_BG or number < self._first_meta_group:
            return self._first + 1 + number
        group = number * self._descriptors_a_block
        return self._first + group * self._group_blocks + int(self._has_superblock(group))

    def _has_superblock(self, group: int) -> bool:
        if group == 0:
            return True
        if self._compatible & SPARSE_SUPER2:
            return group in self._backups
        if group == 1 or not self._read_only & SPARSE_SUPER:
            return True
        return any(_is_power(group, base) for base in (3, 5, 7))

    def _bytes(self, block: int, count: int) -> Extent:
        must(block + count <= self.blocks, "its metadata lie outside of it")
        return block * self.block, count * self.block


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
