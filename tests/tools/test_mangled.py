"""Maps and file systems that are mangled: refused, or read to an end."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_migrate_agent import partclone, usage
from os_migrate_agent.reading import Unproven, Window

from .disks import MIB, run

pieces = st.lists(st.tuples(st.integers(1, 1 << 40), st.sampled_from("+?")), min_size=1, max_size=8)


def domain(rows: list[tuple[int, str]]) -> list[str]:
    lines = ["# Domain logfile created by partclone", "0x00000000     ?", "#      pos        size  status"]
    end = 0
    for length, status in rows:
        lines.append(f"0x{end:08X}  0x{length:08X}  {status}")
        end += length
    return lines


@given(pieces)
def test_map_is_read_as_it_is_written(rows):
    text = "\n".join(domain(rows)) + "\n"
    size = sum(length for length, _ in rows)
    found = partclone.read_domain(text, size)
    assert sum(length for _, length in found) == sum(length for length, status in rows if status == "+")
    with pytest.raises(Unproven):
        partclone.read_domain(text, size + 1)


@given(pieces, st.data())
def test_map_that_lost_or_gained_a_line_or_its_order_or_its_end_is_refused(rows, data):
    lines = domain(rows)
    size = sum(length for length, _ in rows)
    at = data.draw(st.integers(3, len(lines) - 1))
    mangled = {
        "lost": lines[:at] + lines[at + 1 :],
        "gained": [*lines[: at + 1], *lines[at:]],
        "order": lines[:3] + lines[:2:-1] if len(rows) > 1 else lines[:3],
        "position": [lines[0], *lines[2:]],
    }[data.draw(st.sampled_from(["lost", "gained", "order", "position"]))]
    with pytest.raises(Unproven):
        partclone.read_domain("\n".join(mangled) + "\n", size)
    text = "\n".join(lines) + "\n"
    with pytest.raises(Unproven):
        partclone.read_domain(text[: data.draw(st.integers(0, len(text) - 1))], size)


@given(pieces, st.data())
def test_letter_of_a_map_that_is_not_of_its_format_is_refused(rows, data):
    lines = domain(rows)
    at = data.draw(st.integers(3, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    letter = data.draw(st.characters(codec="ascii", exclude_characters="0123456789abcdefABCDEF+? "))
    lines[at] = lines[at][:place] + letter + lines[at][place + 1 :]
    changed = "\n".join(lines) + "\n" != "\n".join(domain(rows)) + "\n"
    with pytest.raises(Unproven) if changed else contextlib.nullcontext():
        partclone.read_domain("\n".join(lines) + "\n", sum(length for length, _ in rows))


IMAGES = {
    "ext4": (8, "mkfs.ext4 -q -F"),
    "xfs": (300, "mkfs.xfs -q -f"),
    "btrfs": (128, "mkfs.btrfs -q -f"),
    "ntfs": (8, "mkntfs -q -F -f"),
    "vfat": (8, "mkfs.vfat -F 16 -s 1"),
}


def make_image(kind: str, path: Path, size_mib: int = 0, mkfs: str = "") -> Path:
    """Make a file system in a file that has holes where nothing is."""
    with path.open("wb") as file:
        file.truncate((size_mib or IMAGES[kind][0]) * MIB)
    run(*(mkfs or IMAGES[kind][1]).split(), path)
    return path


@pytest.fixture(scope="module", params=IMAGES)
def image(request, tmp_path_factory) -> Iterator[tuple[str, Path, list[int]]]:
    """Yield a kind, a disk with such a file system, and the places on it where metadata are."""
    path = make_image(request.param, tmp_path_factory.mktemp("images") / "image")
    with path.open("rb") as file:
        places = [at for at in range(0, path.stat().st_size, 512) if file.read(512) != bytes(512)]
    yield request.param, path, places
    path.unlink()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_file_system_that_is_mangled_anywhere_is_read_to_an_end(image, data):
    kind, path, places = image
    at = data.draw(st.sampled_from(places)) + data.draw(st.integers(0, 511))
    poison = data.draw(st.binary(min_size=1, max_size=8))
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        plain = file.read(len(poison))
        file.seek(at)
        file.write(poison)
        try:
            with Window(str(path), path.stat().st_size) as window:
                claim = usage.CHECKS[kind](window)
            assert all(0 <= offset <= offset + length <= window.length for offset, length in claim.keep)
        except usage.FAULTS:
            pass
        finally:
            file.seek(at)
            file.write(plain)


SUPERBLOCK = 65536  # of btrfs
ONE = struct.pack("<Q", 1)


@pytest.mark.parametrize(
    ("kind", "offset", "data", "why"),
    [
        ("ext4", 1024 + 0x60, b"\x46", "replayed"),
        ("ext4", 1024 + 0x65, b"\x02", "not known here"),  # clusters of blocks
        ("xfs", 126, b"\x01", "not finished"),
        ("xfs", 219, b"\x10", "needs a repair"),
        ("xfs", 223, b"\x01", "log must be replayed"),
        ("xfs", 48, bytes(8), "another device"),
        ("xfs", 16, struct.pack(">Q", 9), "another device"),
        ("xfs", 101, b"\x03", "version 3"),
        ("xfs", 8, struct.pack(">Q", 1 << 40), "mangled"),
        ("btrfs", SUPERBLOCK + 0x60, ONE, "log must be replayed"),
        ("btrfs", SUPERBLOCK + 0x88, struct.pack("<Q", 2), "several devices"),
        ("btrfs", SUPERBLOCK + 0x38, struct.pack("<Q", 1 << 32), "seed"),
        ("btrfs", SUPERBLOCK + 0xBC, b"\xff", "not known here"),
        ("btrfs", SUPERBLOCK + 0x78, ONE, "it counts 1"),
        ("btrfs", SUPERBLOCK + 0x48, ONE, "not what it should be"),
        ("vfat", 38, b"\x00", "kind is not clear"),
        ("vfat", 54, b"FAT12", "kind is not clear"),
        ("vfat", 11, b"\x07\x00", "mangled"),
        ("ntfs", 40, struct.pack("<Q", 1 << 40), "larger than"),
        ("ntfs", 48, ONE, "not what it should be"),
    ],
)
def test_file_system_is_refused_for_each_thing_that_is_odd(tmp_path, kind, offset, data, why):
    path = make_image(kind, tmp_path / "image")
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    with Window(str(path), path.stat().st_size) as window, pytest.raises(Unproven, match=why):
        usage.CHECKS[kind](window)


def test_xfs_with_more_blocks_than_partclone_counts_is_refused(tmp_path):
    path = make_image("xfs", tmp_path / "image")
    with path.open("r+b") as file:
        for offset, form, number in ((8, ">Q", 1 << 33), (84, ">I", 1 << 28), (88, ">I", 32)):
            file.seek(offset)
            file.write(struct.pack(form, number))
    with Window(str(path), 1 << 50) as window, pytest.raises(Unproven, match="partclone can count"):
        usage.CHECKS["xfs"](window)


def test_fat_that_keeps_one_table_only_is_refused(tmp_path):
    path = make_image("vfat", tmp_path / "image", 40, "mkfs.vfat -F 32 -s 1")
    with Window(str(path), path.stat().st_size) as window:
        assert usage.CHECKS["vfat"](window).free_bytes > 32 * MIB
    with path.open("r+b") as file:
        file.seek(40)
        file.write(b"\x81")
    with Window(str(path), path.stat().st_size) as window, pytest.raises(Unproven, match="one of its tables"):
        usage.CHECKS["vfat"](window)
