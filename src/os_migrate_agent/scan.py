"""Find out where a volume holds data, and digest it."""

import os
import shutil
from typing import Iterable, List, Tuple

from os_migrate_agent.blocks import Extent, blocks, joined, open_uncached, read_list, write_list
from os_migrate_agent.devices import device_of
from os_migrate_agent.digest import Digest
from os_migrate_agent.files import Json, Progress, private_directory, write_text
from os_migrate_agent.sparsify import in_use_by_virt_sparsify
from os_migrate_agent.usage import in_use

KNOWN = ("map", "virt-sparsify")  # how a file system's use was found out, rather than that all of it is read


def task_scan(state: str, volume_id: str, extents_path: str, coverage: str, depth: str, timeout_s: str) -> Json:
    """Write down where a volume holds data, and return its digest.

    `coverage` and `depth` (`os_migrate.nbd`) say what is in use, and how much of it is read: what is "copied" was listed in the
    extents by the copy.
    """
    device = device_of(volume_id)
    with open(device, "rb", buffering=0, opener=open_uncached) as disk:
        size = disk.seek(0, os.SEEK_END)
        used, parts = _in_use(device, size, coverage, extents_path, float(timeout_s))
        to_read, known = _to_read(depth, used, parts, size)
        progress = Progress(state, sum(length for _, length in to_read))
        found = Digest(size)
        data = known
        for offset, block in blocks(disk, to_read, progress):
            if depth == "digest":
                found.take(offset, block)
            data.append((offset, len(block)))
    data = joined(data, size)
    if coverage != "copied":
        write_text(extents_path, write_list(data, size))
    return {
        "digest": str(found) if depth == "digest" else "",
        "size_bytes": size,
        "data_bytes": sum(length for _, length in data),
        "extents": len(data),
        "used_bytes": sum(length for _, length in used),
        "parts": parts,
    }


def _in_use(
    device: str, size: int, coverage: str, extents_path: str, timeout_s: float
) -> Tuple[List[Extent], List[Json]]:
    """Return what is in use, on the grid of blocks, and what it was found to be."""
    parts: List[Json] = []
    if coverage == "copied":
        with open(extents_path) as file:
            extents = read_list(file.read())
    elif coverage == "none":
        extents = [(0, size)]
    else:
        directory = private_directory(extents_path)
        if coverage == "map":
            extents, parts = in_use(device, size, directory)
        else:
            extents, parts = in_use_by_virt_sparsify(device, size, directory, timeout_s)
        shutil.rmtree(directory)
    return joined(extents, size), parts


def _to_read(depth: str, used: List[Extent], parts: List[Json], size: int) -> Tuple[List[Extent], List[Extent]]:
    """Return what of the extents in use is read, and the rest, which counts as data."""
    if depth == "digest":
        return used, []
    if depth == "nothing":
        return [], used
    mapped = [(part["offset"], part["offset"] + part["length"]) for part in parts if part["how"] in KNOWN]
    inside = [piece for extent in used for piece in _cut(extent, mapped)]
    outside = [piece for extent in used for piece in _cut(extent, _between(mapped, size))]
    return joined(outside, size), inside


def _between(ranges: Iterable[Tuple[int, int]], size: int) -> List[Tuple[int, int]]:
    """Return what lies between ranges (begin, end)."""
    gaps = []
    end = 0
    for begin, stop in sorted(ranges):
        if begin > end:
            gaps.append((end, begin))
        end = max(end, stop)
    return [*gaps, (end, size)]


def _cut(extent: Extent, ranges: Iterable[Tuple[int, int]]) -> List[Extent]:
    """Return what of an extent lies in ranges (begin, end)."""
    begin, end = extent[0], sum(extent)
    cut = [(max(begin, low), min(end, high)) for low, high in ranges]
    return [(low, high - low) for low, high in cut if low < high]
