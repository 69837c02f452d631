"""The disks that are copied: made once, kept in the cache.

A disk with a file system is like a real boot disk: a GPT, a partition for the boot loader, and one with files, 30% of it in
use and as much again written and deleted, in turns, so that what is in use is scattered and what is free is not zero.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from bench.trees import Tree, tree_of
from lab.process import run

MIB: Final = 1 << 20
SECTOR: Final = 512
IN_USE: Final = 0.30
RECIPE_VERSION: Final = 1
"""A disk that an older recipe made is made again."""

WORDS: Final = 6000
"""How many words the text is made of: zstd brings it to a third or less, as it does logs and programs."""


class Format(StrEnum):
    """What is on a disk."""

    EXT4 = "ext4"
    XFS = "xfs"
    NTFS = "ntfs"
    RANDOM = "random"
    ZERO = "zero"

    @property
    def has_files(self) -> bool:
        """Tell whether there is a file system on it."""
        return self not in {Format.RANDOM, Format.ZERO}


MKFS: Final = {
    # Nothing is left to the kernel to do later, while a copy is being measured.
    Format.EXT4: ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
    Format.XFS: ("mkfs.xfs", "-q", "-f", "-K"),
    Format.NTFS: ("mkntfs", "--quiet", "--fast", "--force"),
}
MOUNT: Final = {
    Format.EXT4: ("mount", "-t", "ext4"),
    Format.XFS: ("mount", "-t", "xfs"),
    Format.NTFS: ("ntfs-3g",),
}
READ_ONLY: Final = {Format.EXT4: "ro,noload", Format.XFS: "ro,norecovery,nouuid", Format.NTFS: "ro"}
"""As a disk is looked at: nothing is replayed, nothing is written."""


@dataclass(frozen=True)
class Recipe:
    """How a disk is made."""

    name: str
    size_mib: int
    format: Format
    is_text: bool = False
    seed: int = 1


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe("ext4-8g", 8192, Format.EXT4),
        Recipe("xfs-8g", 8192, Format.XFS),
        Recipe("ext4-2g", 2048, Format.EXT4),
        Recipe("ext4-2g-b", 2048, Format.EXT4, seed=2),
        Recipe("ext4-text", 512, Format.EXT4, is_text=True),
        Recipe("ntfs-2g", 2048, Format.NTFS),
        Recipe("random-1g", 1024, Format.RANDOM),
        Recipe("zero-8g", 8192, Format.ZERO),
    )
}


@dataclass(frozen=True)
class Disk:
    """A disk of the cache: `start` and `length` are those of the partition that holds files, in bytes."""

    recipe: Recipe
    path: Path
    in_use_bytes: int
    start: int
    length: int
    tree: Tree

    @property
    def size_bytes(self) -> int:
        """Return the disk's size."""
        return self.recipe.size_mib * MIB


def prepare(name: str, directory: Path, say: Callable[[str], None]) -> Disk:
    """Return a disk, made if it isn't there yet."""
    recipe = RECIPES[name]
    path, facts = directory / f"{name}.raw", directory / f"{name}.json"
    made_of = {"version": RECIPE_VERSION, **asdict(recipe)}
    if not (facts.exists() and path.exists() and json.loads(facts.read_text())["recipe"] == made_of):
        say(f"making the disk {name}, {recipe.size_mib} MiB")
        facts.unlink(missing_ok=True)
        start, length, in_use, tree = _make(recipe, path, directory)
        found = {"recipe": made_of, "in_use_bytes": in_use, "start": start, "length": length, "tree": tree}
        facts.write_text(json.dumps(found))
    known = json.loads(facts.read_text())
    return Disk(recipe, path, known["in_use_bytes"], known["start"], known["length"], known["tree"])


def _make(recipe: Recipe, path: Path, directory: Path) -> tuple[int, int, int, Tree]:
    """Make a disk; return where its files are, how much of it is in use, and its files."""
    path.unlink(missing_ok=True)
    path.touch()
    size = recipe.size_mib * MIB
    os.truncate(path, size)
    dice = random.Random(recipe.seed)
    if recipe.format is Format.ZERO:
        return 0, 0, 0, {}
    if recipe.format is Format.RANDOM:
        with path.open("r+b") as file:
            for _ in range(recipe.size_mib):
                file.write(dice.randbytes(MIB))
            os.fsync(file.fileno())
        return 0, 0, size, {}
    start, length = _partition(path)
    with attached(path, start, length) as loop:
        run([*MKFS[recipe.format], loop])
        with mounted(loop, recipe.format, directory, options="rw") as root:
            _fill(root, round(length * IN_USE), dice, is_text=recipe.is_text)
        in_use = _in_use(loop, recipe.format, length)
    with opened(path, start, length, recipe.format, directory) as root:
        tree = tree_of(root)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return start, length, in_use, tree


def _partition(path: Path) -> tuple[int, int]:
    """Write a GPT with a boot loader's partition and one for files; return where the latter is."""
    run(
        ["sfdisk", "--quiet", path],
        stdin="label: gpt\nsize=1MiB, type=21686148-6449-6E6F-744E-656564454649\ntype=linux\n",
    )
    table = json.loads(run(["sfdisk", "--json", path]))["partitiontable"]["partitions"]
    return table[1]["start"] * SECTOR, table[1]["size"] * SECTOR


@contextmanager
def attached(path: Path, start: int, length: int, *, read_only: bool = False) -> Iterator[str]:
    """Show a part of a file as a block device."""
    words = ["losetup", "--find", "--show", "--offset", str(start), "--sizelimit", str(length)]
    loop = run([*words, *(["--read-only"] if read_only else []), path]).strip()
    try:
        if not read_only:
            run(["blockdev", "--setrw", loop])  # the kernel keeps that flag for the next user of the device
        yield loop
    finally:
        run(["losetup", "--detach", loop])


@contextmanager
def mounted(device: str, kind: Format, directory: Path, *, options: str) -> Iterator[Path]:
    """Mount a file system in a directory of its own."""
    point = directory / "mount"
    point.mkdir(exist_ok=True)
    run([*MOUNT[kind], "-o", options, device, point])
    try:
        yield point
    finally:
        run(["umount", point])


@contextmanager
def opened(path: Path, start: int, length: int, kind: Format, directory: Path) -> Iterator[Path]:
    """Show the files of a disk, which nothing is written to."""
    with (
        attached(path, start, length, read_only=True) as loop,
        mounted(loop, kind, directory, options=READ_ONLY[kind]) as root,
    ):
        yield root


def _fill(root: Path, wanted_bytes: int, dice: random.Random, *, is_text: bool) -> None:
    """Write files of many sizes; of every two, one stays."""
    words = _vocabulary(dice)
    written = number = 0
    while written < wanted_bytes:
        size = min(_file_size(dice), wanted_bytes - written + MIB)
        for kind in ("kept", "gone"):
            folder = root / kind / f"{number // 100}"
            folder.mkdir(parents=True, exist_ok=True)
            data = _text(words, size, dice) if is_text else dice.randbytes(size)
            (folder / f"{number}").write_bytes(data)
        written += size
        number += 1
    run(["sync", "--file-system", root])  # what is deleted before it was written would leave no trace
    shutil.rmtree(root / "gone")


def _file_size(dice: random.Random) -> int:
    """Return a size: most files are small, most bytes are in large ones."""
    return dice.choices(
        (dice.randint(1, 64 * 1024), dice.randint(64 * 1024, MIB), dice.randint(MIB, 24 * MIB)), (50, 30, 20)
    )[0]


def _vocabulary(dice: random.Random) -> list[str]:
    letters = "eeeetttaaaooinnsshhrrdlcumwfgypbvk"
    return ["".join(dice.choices(letters, k=dice.randint(2, 10))) for _ in range(WORDS)]


def _text(words: list[str], size: int, dice: random.Random) -> bytes:
    """Return lines of words, a few of them frequent."""
    weights = [1 / (rank + 3) for rank in range(len(words))]
    lines = bytearray()
    while len(lines) < size:
        said = dice.choices(words, weights, k=12_000)
        lines += "\n".join(" ".join(said[at : at + 12]) for at in range(0, len(said), 12)).encode()
    return bytes(lines[:size])


def _in_use(loop: str, kind: Format, length: int) -> int:
    """Return how much of a file system is in use, its own structures included, as itself says."""
    if kind is Format.EXT4:
        said = dict(line.split(":", 1) for line in run(["dumpe2fs", "-h", loop]).splitlines() if ":" in line)
        return (int(said["Block count"]) - int(said["Free blocks"])) * int(said["Block size"])
    if kind is Format.XFS:
        said = dict(line.split(" = ") for line in run(["xfs_db", "-r", "-c", "sb 0", "-c", "p", loop]).splitlines())
        return (int(said["dblocks"]) - int(said["fdblocks"])) * int(said["blocksize"])
    words = run(["ntfsinfo", "--mft", "--force", loop])
    facts = dict(line.strip().split(":", 1) for line in words.splitlines() if ":" in line)
    free = int(facts["Free Clusters"].split()[0])
    return length - free * int(facts["Cluster Size"])
