"""Disks with tables, file systems and files, made by the usual tools, and copies of what of them is in use."""

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from os_migrate_agent.blocks import Extent
from os_migrate_agent.files import Json
from os_migrate_agent.usage import in_use

MIB = 1 << 20
OLD_MIB = 48  # of more, a large disk has holes: only files get there
OLD = b"\xa5"  # what the disk held before: what is in use must not be read from the rest


# kind: what mounts it, MiB, how it is made, how it is checked
KINDS = {
    "ext2": ("ext2", 24, "mkfs.ext2 -q -F -E nodiscard", "e2fsck -f -n"),
    "ext3": ("ext3", 24, "mkfs.ext3 -q -F -b 1024 -E nodiscard", "e2fsck -f -n"),
    "ext4": ("ext4", 64, "mkfs.ext4 -q -F -E nodiscard", "e2fsck -f -n"),
    "ext4, groups apart": (
        "ext4",
        64,
        "mkfs.ext4 -q -F -b 1024 -O ^flex_bg,^resize_inode -E nodiscard",
        "e2fsck -f -n",
    ),
    "ext4, meta_bg": ("ext4", 64, "mkfs.ext4 -q -F -b 1024 -O meta_bg,^resize_inode -E nodiscard", "e2fsck -f -n"),
    "xfs": ("xfs", 300, "mkfs.xfs -q -K -f", "xfs_repair -n"),
    "btrfs": ("btrfs", 128, "mkfs.btrfs -q -K -f", "btrfs check --check-data-csum"),
    "ntfs": ("ntfs", 24, "mkntfs -q -F -f", "ntfsfix -n"),
    "fat16": ("vfat", 20, "mkfs.vfat -F 16", "fsck.vfat -n"),
    "fat32": ("vfat", 40, "mkfs.vfat -F 32 -s 1", "fsck.vfat -n"),
}


def run(*argv: object, text: str | None = None) -> str:
    done = subprocess.run([str(word) for word in argv], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


@contextlib.contextmanager
def loop(path: Path | str, offset: int = 0, length: int = 0, *options: object) -> Iterator[str]:
    argv = ["losetup", "--find", "--show", *options, "--offset", offset, "--sizelimit", length, path]
    device = run(*argv).strip()
    try:
        run("blockdev", "--setrw", device)
        yield device
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(device: str, kind: str, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    run(*(["ntfs-3g"] if kind == "ntfs" else ["mount", "-t", kind]), device, at)
    try:
        yield at
    finally:
        run("umount", at)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@dataclass
class Disk:
    """A disk in a file, full of old data."""

    path: Path
    size: int
    sector: int = 512

    def __post_init__(self) -> None:
        with self.path.open("wb") as file:
            for _ in range(min(self.size // MIB, OLD_MIB)):
                file.write(OLD * MIB)
            file.truncate(self.size)
        with self.path.open("r+b") as file:  # the tools ask about old tables
            file.write(bytes(MIB))
            file.seek(-MIB, os.SEEK_END)
            file.write(bytes(MIB))

    @contextlib.contextmanager
    def device(self) -> Iterator[str]:
        with loop(self.path, 0, 0, "--sector-size", self.sector) as device:
            yield device

    def poke(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def peek(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def examine(self, directory: Path) -> tuple[list[Extent], list[Json]]:
        """Ask for what is in use; whatever is asked, nothing may be left behind, and the disk stays as it is."""
        directory.mkdir(exist_ok=True)
        with self.device() as device:
            run("blockdev", "--setro", device)
            extents, parts = in_use(device, self.size, str(directory))
            deadline = time.monotonic() + 5
            while run("losetup", "--associated", device):  # the kernel removes it a little after its last user
                assert time.monotonic() < deadline, "a loop device was left behind"
                time.sleep(0.01)
        assert list(directory.iterdir()) == []
        end = 0
        for offset, length in extents:
            assert offset >= end
            assert length > 0
            end = offset + length
        assert end <= self.size
        return extents, parts

    def copied(self, extents: list[Extent], path: Path) -> "Disk":
        """Return a disk that was blank, and has the extents of this one."""
        twin = object.__new__(Disk)
        twin.path, twin.size, twin.sector = path, self.size, self.sector
        with self.path.open("rb") as source, path.open("wb") as target:
            target.truncate(self.size)
            for offset, length in extents:
                source.seek(offset)
                target.seek(offset)
                target.write(source.read(length))
        return twin


def fill(root: Path, seed: int = 0) -> None:
    """Write files, and delete some of them."""
    dice = random.Random(seed)
    (root / "directory").mkdir()
    for number in range(24):
        parent = root / "directory" if number % 3 else root
        (parent / f"file {number}").write_bytes(dice.randbytes(dice.choice([0, 100, 5000, 70_000, 400_000])))
    (root / "large").write_bytes(dice.randbytes(2 * MIB))
    (root / "deleted").write_bytes(b"DELETED!" * (MIB // 4))
    os.sync()
    (root / "deleted").unlink()
    for number in range(0, 24, 4):
        next(root.rglob(f"file {number}")).unlink()


def made(device: str, kind: str, at: Path, seed: int = 0) -> dict[str, bytes]:
    """Make a file system on a device, with files, some of them deleted; return what is in the others."""
    mounts, _, mkfs, _ = KINDS[kind]
    run(*mkfs.split(), device)
    if mounts != "vfat":
        with mounted(device, mounts, at) as root:
            fill(root, seed)
            return tree(root)
    here = at / "files"
    here.mkdir(parents=True, exist_ok=True)
    fill(here, seed)
    (here / "deleted").write_bytes(b"DELETED!" * (MIB // 4))
    run("mcopy", "-s", "-i", device, *sorted(here.iterdir()), "::")
    run("mdel", "-i", device, "::deleted")
    (here / "deleted").unlink()
    return tree(here)


def files_of(device: str, kind: str, at: Path) -> dict[str, bytes]:
    """Check a file system, and return what is in its files."""
    mounts, _, _, fsck = KINDS[kind]
    run(*fsck.split(), device)
    if mounts != "vfat":
        with mounted(device, mounts, at) as root:
            return tree(root)
    out = at / "out"
    out.mkdir(parents=True)
    run("mcopy", "-s", "-n", "-i", device, "::*", out)
    return tree(out)


def with_table(disk: Disk, table: str) -> None:
    with disk.device() as device:
        run("sfdisk", "--quiet", "--no-tell-kernel", device, text=table)


def shown(parts) -> list[tuple[str, str]]:
    return [(part["what"], part["how"]) for part in parts]


def assert_whole(disk: Disk, tmp_path: Path, what: str, why: str) -> None:
    extents, (part,) = disk.examine(tmp_path / "private")
    assert extents == [(0, disk.size)]
    assert (part["what"], part["how"], part["used_bytes"]) == (what, "whole", disk.size)
    assert why in part["why"]


def tool(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text("#!/bin/sh\n" + text)
    (directory / name).chmod(0o755)
