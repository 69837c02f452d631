"""Find out what of a disk is in use: all but what is proven not to be.

A disk has a table of partitions or none; a partition has a file system, swap, LVM's volumes, or something that is not known
here. A file system has two witnesses, itself and partclone's map (or virt-sparsify's), and what is unused must be so for both
(docs/decisions/0005). Whatever is unknown, encrypted, part of a RAID or not closed cleanly is in use as a whole, and so is all
that lies between partitions: boot loaders live there, tables and their copies. Where it is zeroes, the scan leaves it out.
"""

import os
from typing import Callable, Dict, List, NamedTuple, Tuple

from os_migrate_agent import fs_btrfs, fs_ext, fs_fat, fs_ntfs, fs_swap, fs_xfs, lvm, partclone
from os_migrate_agent.blocks import Extent, merged, open_uncached
from os_migrate_agent.files import Json
from os_migrate_agent.partitions import kind_of, partitions, probe
from os_migrate_agent.process import AgentError
from os_migrate_agent.reading import Claim, Unproven, Window
from os_migrate_agent.views import view

CHECKS: Dict[str, Callable[[Window], Claim]] = {
    "ext2": fs_ext.check,
    "ext3": fs_ext.check,
    "ext4": fs_ext.check,
    "xfs": fs_xfs.check,
    "btrfs": fs_btrfs.check,
    "ntfs": fs_ntfs.check,
    "vfat": fs_fat.check,
}

# What reading a disk whose content nobody vouches for can come to; then it is copied whole.
FAULTS = (Unproven, AgentError, OSError, ValueError, LookupError, ArithmeticError, MemoryError)

Found = Tuple[List[Extent], List[Json]]


class Area(NamedTuple):
    """Some ranges of a disk that belong together: a partition, or a logical volume."""

    device: str
    runs: List[Extent]
    name: str  # of the volume; "" for a partition or a disk

    @property
    def length(self) -> int:
        """Return how many bytes it has."""
        return sum(length for _, length in self.runs)

    def on_disk(self, extents: List[Extent]) -> List[Extent]:
        """Return extents of the area as extents of the disk."""
        found = []
        begin = 0
        for at, length in self.runs:
            for offset, size in extents:
                first, last = max(offset, begin), min(offset + size, begin + length)
                if first < last:
                    found.append((at + first - begin, last - first))
            begin += length
        return found

    def of_disk(self, extents: List[Extent]) -> List[Extent]:
        """Return what extents of the disk, ascending, have of the area, as extents of it."""
        found = []
        begin = 0
        for at, length in self.runs:
            for offset, size in extents:
                first, last = max(offset, at), min(offset + size, at + length)
                if first < last:
                    found.append((begin + first - at, last - first))
            begin += length
        return merged(found)

    def part(self, what: str, extents: List[Extent], how: str, why: str = "") -> Found:
        """Return the part's extents on the disk, and its description."""
        there = merged(self.on_disk(extents))
        described: Json = {
            "offset": self.runs[0][0],
            "length": self.length,
            "what": f"lvm: {self.name}: {what}" if self.name else what,
            "used_bytes": sum(length for _, length in there),
            "how": how,
        }
        if why:
            described["why"] = why
        return there, [described]

    def whole(self, what: str, why: str) -> Found:
        """Return all of it."""
        return self.part(what, [(0, self.length)], "whole", why)


Witness = Callable[[Area, str, str, int], Tuple[List[Extent], str]]
"""Tells which bytes of a file system are used, and how it knows: from the area, its path, its kind and its size."""


def in_use(device: str, size: int, directory: str) -> Found:
    """Return the extents of a disk that must be copied, ascending and apart, and a description of each part.

    `directory` is private, for temporary files. Nothing is written to the disk, and nothing is left behind.
    """
    return examined(device, size, by_partclone(directory))


def by_partclone(directory: str) -> Witness:
    """Return partclone as a witness."""
    return lambda _area, path, kind, size: (partclone.used(path, kind, size, directory), "map")


def examined(device: str, size: int, witness: Witness) -> Found:
    """Return what of a disk is in use, by a witness."""
    disk = Area(device, [(0, size)], "")
    what = "unknown"
    try:
        os.close(open_uncached(device, os.O_RDONLY))  # what is cached of it may be old
        with view(device, disk.runs) as path:
            found = probe(path)
        if "PTTYPE" not in found or "TYPE" in found:  # with both, it is told there that this can't be
            return _sorted([_area(disk, witness)])
        what = "partition table"
        rows = partitions(device, size)
    except FAULTS as fault:
        return disk.whole(what, str(fault))
    parts = []
    end = 0
    for offset, length in [*rows, (size, 0)]:
        if offset > end:
            parts.append(_between(device, end, offset, size))
        if length:
            parts.append(_area(Area(device, [(offset, length)], ""), witness))
        end = offset + length
    return _sorted(parts)


def _sorted(parts: List[Found]) -> Found:
    extents = merged([extent for found, _ in parts for extent in found])
    return extents, sorted((row for _, rows in parts for row in rows), key=lambda row: int(row["offset"]))


def _between(device: str, begin: int, end: int, size: int) -> Found:
    """Return what no partition has: no file system says what of it is unused."""
    has_table = begin == 0 or end == size
    what = "partition table" if has_table else "not partitioned"
    return Area(device, [(begin, end - begin)], "").whole(what, "what lies between partitions is nobody's")


def _area(area: Area, witness: Witness) -> Found:
    """Return what of a partition, a logical volume or a disk without partitions is in use."""
    kind = "unknown"
    try:
        with view(area.device, area.runs) as path:
            kind = kind_of(probe(path)) or "unknown"
            if kind == "LVM2_member" and not area.name:
                pieces = lvm.pieces(path, area.length)
            elif kind == "swap":
                with Window(path, area.length) as window:
                    return area.part(kind, fs_swap.in_use(window), "header")
            elif kind in CHECKS:
                return area.part(kind, *_file_system(area, path, kind, witness))
            else:
                return area.whole(kind, "nothing is known of what it has in use")
    except FAULTS as fault:
        return area.whole(kind, str(fault) or type(fault).__name__)
    return _volumes(area, pieces, witness)


def _file_system(area: Area, path: str, kind: str, witness: Witness) -> Tuple[List[Extent], str]:
    """Return what a file system has in use, all but what both itself and the witness have for unused; and how it is known."""
    with Window(path, area.length) as window:
        claim = CHECKS[kind](window)
    told, how = witness(area, path, kind, claim.size_bytes)
    mapped = merged([*told, *claim.keep])
    unused = sum(size for _, size in without(claim.size_bytes, mapped))
    if unused > claim.free_bytes:
        raise Unproven(f"{unused} bytes of it are said to be unused, it has {claim.free_bytes} free itself")
    return [*mapped, (claim.size_bytes, area.length - claim.size_bytes)], how


def _volumes(area: Area, pieces: List[lvm.Piece], witness: Witness) -> Found:
    """Return what a physical volume has in use: its metadata, and what its logical volumes have."""
    begin = area.runs[0][0]
    parts = []
    taken = []
    for piece in pieces:
        taken += piece.runs
        runs = [(begin + offset, length) for offset, length in piece.runs]
        if not piece.name:
            parts.append(Area(area.device, runs, "").part("lvm: not allocated", [], "unused"))
        elif piece.why:
            parts.append(Area(area.device, runs, piece.name).whole("unknown", piece.why))
        else:
            parts.append(_area(Area(area.device, runs, piece.name), witness))
    rest = without(area.length, merged(taken))
    for offset, length in rest:
        parts.append(Area(area.device, [(begin + offset, length)], "").whole("lvm: metadata", "it is small"))
    return _sorted(parts)


def without(length: int, taken: List[Extent]) -> List[Extent]:
    """Return what of a range isn't taken."""
    found = []
    end = 0
    for offset, size in [*taken, (length, 0)]:
        if min(offset, length) > end:
            found.append((end, min(offset, length) - end))
        end = max(end, offset + size)
    return found
