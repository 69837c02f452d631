"""btrfs: every extent that its extent tree has, in all copies.

Layout: "On-disk Format" in btrfs' documentation. partclone was seen to map one copy of duplicated metadata only, and older
ones to lose data without checksums; so the map is joined with what the extent tree says.
"""

import bisect
import time
from typing import Iterator, List, NamedTuple, Tuple

from os_migrate_agent.blocks import BLOCK, Extent
from os_migrate_agent.reading import Claim, Window, field, fields, must

SUPERBLOCK = 64 * 1024
SUPERBLOCKS = (64 << 10, 64 << 20, 256 << 30)
RESERVED = 1 << 20  # at the beginning: boot loaders use it
SEEDING = 1 << 32
KNOWN_INCOMPATIBLE = 0x77F  # not RAID5, RAID1C3, zones, or the newer trees
KNOWN_READ_ONLY = 0x7  # the free space tree, and verity
PROFILES, DUP = 0x7F8, 0x20  # of a chunk: where its stripes are
KEY = "<QBQ"
KEY_BYTES, ITEM_BYTES, POINTER_BYTES, HEADER_BYTES = 17, 25, 33, 101
ROOT_ITEM, EXTENT_ITEM, METADATA_ITEM, CHUNK_ITEM = 132, 168, 169, 228
EXTENT_TREE = 2
WALK_LIMIT_S = 600

Item = Tuple[int, int, int, bytes]  # a key's object, type and offset; what it holds


class Chunk(NamedTuple):
    """A range of logical addresses, and where its copies are on the device."""

    logical: int
    length: int
    copies: List[int]


def check(window: Window) -> Claim:
    """Return what a btrfs claims; raise Unproven unless it is whole, on one device, and without a log."""
    superblock = window.read(SUPERBLOCK, 4096)
    must(superblock[0x40:0x48] == b"_BHRfS_M", "its superblock is not that of btrfs")
    must(not field("<Q", superblock, 0x60), "its log must be replayed")
    must(field("<Q", superblock, 0x88) == 1, "it has several devices")
    flags, total = field("<Q", superblock, 0x38), field("<Q", superblock, 0x70)
    used, node_bytes = field("<Q", superblock, 0x78), field("<I", superblock, 0x94)
    read_only, incompatible = fields("<QQ", superblock, 0xB4)
    must(not flags & SEEDING, "it is the seed of others")
    must(not incompatible & ~KNOWN_INCOMPATIBLE, f"it has features that are not known here: {incompatible:#x}")
    must(not read_only & ~KNOWN_READ_ONLY, f"it has features that are not known here: {read_only:#x}")
    must(4096 <= node_bytes <= 65536 and not node_bytes & (node_bytes - 1), "it has no size of nodes")
    must(total <= window.length and field("<Q", superblock, 0xD1) == total, "it is not as large as what it lies in")
    tree = _Tree(window, node_bytes, superblock)
    keep = [(0, RESERVED)] + [(at, 4096) for at in SUPERBLOCKS if at + 4096 <= total]
    seen = 0
    for logical, length in _extents(tree, superblock):
        seen += length
        for at in tree.places(logical, length):
            if at <= sum(keep[-1]) + BLOCK and at >= keep[-1][0]:
                keep[-1] = (keep[-1][0], max(sum(keep[-1]), at + length) - keep[-1][0])
            else:
                keep.append((at, length))
    must(seen == used, f"its extents have {seen} bytes, it counts {used}")
    return Claim(total // node_bytes * node_bytes, total - used, keep)


def _extents(tree: "_Tree", superblock: bytes) -> Iterator[Extent]:
    """Yield every extent of data and metadata, by its logical address."""
    generation, root = fields("<QQ", superblock, 0x48)
    roots = [
        (field("<Q", data, 176), data[238])
        for thing, kind, _, data in tree.items(root, superblock[0xC6], generation)
        if (thing, kind) == (EXTENT_TREE, ROOT_ITEM)
    ]
    must(len(roots) == 1, "it has no extent tree")
    for thing, kind, offset, _ in tree.items(*roots[0]):
        if kind == EXTENT_ITEM:
            yield thing, offset
        elif kind == METADATA_ITEM:
            yield thing, tree.node_bytes


class _Tree:
    """The trees of a btrfs, read through its chunks."""

    def __init__(self, window: Window, node_bytes: int, superblock: bytes) -> None:
        self._window = window
        self.node_bytes = node_bytes
        self._device = field("<Q", superblock, 0xC9)
        self._deadline = time.monotonic() + WALK_LIMIT_S
        self._chunks: List[Chunk] = []
        self._starts: List[int] = []
        array = superblock[0x32B : 0x32B + field("<I", superblock, 0xA0)]
        system = []
        while array:
            (_, kind, logical), count = fields(KEY, array), field("<H", array, KEY_BYTES + 44)
            must(kind == CHUNK_ITEM, "its system chunks are mangled")
            system.append(self._chunk(logical, array[KEY_BYTES:]))
            array = array[KEY_BYTES + 48 + 32 * count :]
        self._set_chunks(system)
        chunk_root = field("<Q", superblock, 0x58)
        items = list(self.items(chunk_root, superblock[0xC7]))
        self._set_chunks([self._chunk(offset, data) for _, kind, offset, data in items if kind == CHUNK_ITEM])

    def _set_chunks(self, chunks: List[Chunk]) -> None:
        self._chunks = sorted(chunks)
        self._starts = [chunk.logical for chunk in self._chunks]

    def _chunk(self, logical: int, data: bytes) -> Chunk:
        length, (kind,), count = field("<Q", data, 0), fields("<Q", data, 24), field("<H", data, 44)
        must(kind & PROFILES in (0, DUP), "it has a chunk that is striped")
        stripes = [fields("<QQ", data, 48 + 32 * number) for number in range(count)]
        must(stripes and all(device == self._device for device, _ in stripes), "it has a chunk on another device")
        must(all(at + length <= self._window.length for _, at in stripes), "it has a chunk outside of it")
        return Chunk(logical, length, [at for _, at in stripes])

    def places(self, logical: int, length: int) -> List[int]:
        """Return where all copies of a range are."""
        number = bisect.bisect_right(self._starts, logical) - 1
        must(number >= 0, "an extent is in no chunk")
        chunk = self._chunks[number]
        inside = logical - chunk.logical
        must(inside + length <= chunk.length, "an extent is in no chunk")
        return [at + inside for at in chunk.copies]

    def items(self, logical: int, level: int, generation: int = 0) -> Iterator[Item]:
        """Yield all items of a tree, in order."""
        must(time.monotonic() < self._deadline, f"its trees were not read in {WALK_LIMIT_S} s")
        node = self._window.read(self.places(logical, self.node_bytes)[0], self.node_bytes)
        count = field("<I", node, 0x60)
        is_it = field("<Q", node, 0x30) == logical and node[0x64] == level
        must(is_it and generation in (0, field("<Q", node, 0x50)), "a node of its trees is not what it should be")
        for number in range(count):
            if level:
                at = HEADER_BYTES + number * POINTER_BYTES + KEY_BYTES
                yield from self.items(field("<Q", node, at), level - 1, field("<Q", node, at + 8))
            else:
                at = HEADER_BYTES + number * ITEM_BYTES
                thing, kind, offset = fields(KEY, node, at)
                begin, length = fields("<II", node, at + KEY_BYTES)
                must(HEADER_BYTES + begin + length <= len(node), "a node of its trees is mangled")
                yield thing, kind, offset, node[HEADER_BYTES + begin :][:length]
