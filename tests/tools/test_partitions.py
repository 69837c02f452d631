"""What of a disk is in use, by its table of partitions."""

import struct

import pytest

from .disks import KINDS, MIB, assert_whole, files_of, loop, made, run, shown, with_table

GPT = "label: gpt\nstart=1MiB, size=24MiB\nstart=25MiB, size=20MiB\nstart=50MiB, size=4MiB\n"
MBR = "label: dos\nstart=1MiB, size=24MiB\nstart=25MiB, size=35MiB, type=5\nstart=26MiB, size=20MiB\nstart=50MiB, size=4MiB, type=82\n"


@pytest.mark.parametrize(
    ("table", "kinds", "second", "sector"),
    [(GPT, ("ext2", "fat16"), 25, 512), (MBR, ("ntfs", "ntfs"), 26, 512), (GPT, ("ntfs", "ntfs"), 25, 4096)],
)
def test_partitions_of_every_table_are_mapped_and_all_else_is_copied(blank, tmp_path, table, kinds, second, sector):
    disk = blank(64, sector)
    with_table(disk, table)
    disk.poke(100, b"boot code")
    with loop(disk.path, MIB, 24 * MIB) as device:
        files = made(device, kinds[0], tmp_path / "mounted")
    with loop(disk.path, second * MIB, 20 * MIB) as device:
        more = made(device, kinds[1], tmp_path / "fat", seed=1)
    with loop(disk.path, 50 * MIB, 4 * MIB) as device:
        run("mkswap", "--uuid", "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa", device)
    extents, parts = disk.examine(tmp_path / "private")
    in_parts = [row for row in shown(parts) if row[0] not in ("partition table", "not partitioned")]
    assert in_parts == [*((KINDS[kind][0], "map") for kind in kinds), ("swap", "header")]
    assert {row[1] for row in shown(parts) if row not in in_parts} == {"whole"}
    assert sum(part["length"] for part in parts) == disk.size
    assert sum(part["used_bytes"] for part in parts) == sum(length for _, length in extents)
    twin = disk.copied(extents, tmp_path / "twin")
    for begin, end in ((0, MIB), (54 * MIB, 64 * MIB), (46 * MIB, 50 * MIB)):
        assert twin.peek(begin, end - begin) == disk.peek(begin, end - begin)
    with twin.device() as device:
        assert run("sfdisk", "--dump", device).count("start=") == table.count("start=")
    with loop(twin.path, MIB, 24 * MIB) as device:
        assert files_of(device, kinds[0], tmp_path / "again") == files
    with loop(twin.path, second * MIB, 20 * MIB) as device:
        assert files_of(device, kinds[1], tmp_path / "fat again") == more
    with loop(twin.path, 50 * MIB, 4 * MIB) as device:
        assert "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa" in run("blkid", "-p", device)
    assert twin.peek(50 * MIB + 65536, 4 * MIB - 65536) == bytes(4 * MIB - 65536)


def test_disk_that_is_made_for_other_sectors_comes_whole(blank, tmp_path):
    disk = blank(64, 4096)
    with_table(disk, GPT)
    disk.sector = 512
    assert_whole(disk, tmp_path, "partition table", "GPT can't be read")


def test_overlapping_partitions_come_whole(blank, tmp_path):
    disk = blank(16)
    with_table(disk, "label: dos\nstart=1MiB, size=4MiB\nstart=6MiB, size=4MiB\n")
    disk.poke(446 + 16 + 8, struct.pack("<I", 4 * 2048))
    assert_whole(disk, tmp_path, "partition table", "overlap")


def test_partition_that_reaches_beyond_the_disk_comes_whole(blank, tmp_path):
    disk = blank(16)
    with_table(disk, "label: dos\nstart=1MiB, size=4MiB\n")
    disk.poke(446 + 12, struct.pack("<I", 40 * 2048))
    assert_whole(disk, tmp_path, "partition table", "beyond its end")


def test_file_system_below_a_table_comes_whole(blank, tmp_path):
    disk = blank(16)
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk.path)
    run(
        "sfdisk",
        "--quiet",
        "--no-tell-kernel",
        "--wipe",
        "never",
        disk.path,
        text="label: dos\nstart=1MiB, size=4MiB\n",
    )
    extents, (part,) = disk.examine(tmp_path / "private")
    assert extents == [(0, disk.size)]
    assert part["how"] == "whole"


def test_what_lies_beyond_a_file_system_is_in_use(blank, tmp_path):
    disk = blank(24)
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk.path, "16M")
    extents, (part,) = disk.examine(tmp_path / "private")
    assert part["how"] == "map"
    assert extents[-1] == (16 * MIB, 8 * MIB)
