"""Compare a copy with its source in full, so that a fast wrong copy can't win.

With a file system: every file, and every byte outside its partition; the blocks that are free there may differ. Without
one: every byte.
"""

import errno
import os
from pathlib import Path
from typing import IO, Final

from bench.disks import MIB, Disk, Format, attached, opened
from bench.trees import differences, tree_of
from lab.errors import LabError
from lab.process import run

CHUNK: Final = 4 * MIB

CHECKS: Final = {
    Format.EXT4: ("e2fsck", "-f", "-n"),
    Format.XFS: ("xfs_repair", "-n"),
    Format.NTFS: ("ntfsfix", "--no-action"),
}


class CopyDiffers(LabError):
    """A copy is not what its source is."""


def compare(disk: Disk, copy: Path, directory: Path) -> None:
    """Raise CopyDiffers if a copy isn't as good as its source."""
    if copy.stat().st_size < disk.size_bytes:
        raise CopyDiffers(f"the copy of {disk.recipe.name} is too small")
    kind = disk.recipe.format
    end = disk.start + disk.length
    parts = [(0, disk.start), (end, disk.size_bytes)] if kind.has_files else [(0, disk.size_bytes)]
    for begin, until in parts:
        _compare_bytes(disk, copy, begin, until)
    if not kind.has_files:
        return
    with attached(copy, disk.start, disk.length, read_only=True) as loop:
        run([*CHECKS[kind], loop])
    with opened(copy, disk.start, disk.length, kind, directory) as root:
        different = differences(disk.tree, tree_of(root))
    if different:
        raise CopyDiffers(
            f"{len(different)} files of {disk.recipe.name} differ in the copy: {', '.join(different[:5])}"
        )


def _compare_bytes(disk: Disk, copy: Path, begin: int, until: int) -> None:
    """Compare a range; what is a hole in both files is not read."""
    with disk.path.open("rb") as one, copy.open("rb") as other:
        at = begin
        while (data := min(_next_data(one, at, until), _next_data(other, at, until))) < until:
            wanted = min(CHUNK, until - data)
            if os.pread(one.fileno(), wanted, data) != os.pread(other.fileno(), wanted, data):
                raise CopyDiffers(f"the copy of {disk.recipe.name} differs between {data} and {data + wanted}")
            at = data + wanted


def _next_data(file: IO[bytes], at: int, until: int) -> int:
    """Return where a file's data goes on, `until` if it doesn't before that."""
    if at >= until:
        return until
    try:
        return os.lseek(file.fileno(), at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return until
        raise
