"""What was not closed cleanly, or is not known here, is in use as a whole."""

import os
import shutil
import struct
import subprocess

import pytest

from os_migrate_agent import fs_xfs, partclone, partitions, views
from os_migrate_agent.reading import Unproven, Window

from .disks import KINDS, MIB, OLD, Disk, assert_whole, mounted, run, tool


def ext(disk: Disk) -> None:
    run("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum", "-E", "nodiscard", disk.path)


def ntfs(disk: Disk) -> None:
    run("mkntfs", "-q", "-F", "-f", disk.path)


def fat(disk: Disk) -> None:
    run("mkfs.vfat", "-F", "16", disk.path)


def poked(make, offset: int, data: bytes):
    def do(disk: Disk) -> None:
        make(disk)
        disk.poke(offset, data)

    return do


def ntfs_record(disk: Disk, number: int) -> int:
    return struct.unpack("<Q", disk.peek(48, 8))[0] * 4096 + number * 1024


def ntfs_dirty(disk: Disk) -> None:
    ntfs(disk)
    at = ntfs_record(disk, 3)
    record = disk.peek(at, 1024)
    information = record.index(struct.pack("<IIB", 0x70, 0x28, 0))
    disk.poke(at + information + 0x18 + 10, b"\x01")


def ntfs_log_in_use(disk: Disk) -> None:
    ntfs(disk)
    record = disk.peek(ntfs_record(disk, 2), 1024)
    data = record.index(struct.pack("<I", 0x80), record[0x14])
    run_at = data + struct.unpack_from("<H", record, data + 0x20)[0]
    sizes, places = record[run_at] & 15, record[run_at] >> 4
    place = int.from_bytes(record[run_at + 1 + sizes :][:places], "little") * 4096
    for number in range(2):
        page = bytearray(4096)
        struct.pack_into("<4sHHQIIH", page, 0, b"RSTR", 30, 9, 0, 4096, 4096, 48)
        struct.pack_into("<QHHHH", page, 48, 5 + number, 1, 0xFFFF, 0xFFFF - number * 0xFFFF, 0)
        disk.poke(place + number * 4096, bytes(page))


def ntfs_hibernated(disk: Disk) -> None:
    ntfs(disk)
    content = disk.path.with_name("hiberfil")
    content.write_bytes(b"hibr" + bytes(8192))
    run("ntfscp", "-q", disk.path, content, "hiberfil.sys")
    content.unlink()


def fat12(disk: Disk) -> None:
    run("mkfs.vfat", "-F", "12", "-s", "16", disk.path)


def luks(disk: Disk) -> None:
    options = "--batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --offset 2048"
    argv = ["cryptsetup", "luksFormat", *options.split(), str(disk.path)]
    subprocess.run(
        [*argv, "--key-file", "/etc/hostname", "--luks2-metadata-size", "16k", "--luks2-keyslots-size", "256k"],
        check=True,
    )


def md(disk: Disk) -> None:
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk.path, "12M")
    at = (disk.size // 512 - 16) & ~7  # metadata 1.0: at the end, and the file system at the beginning looks plain
    superblock = bytearray(256)
    struct.pack_into("<III", superblock, 0, 0xA92B4EFC, 1, 0)
    superblock[16:32] = bytes(range(16))
    struct.pack_into("<Q", superblock, 144, at)
    words = struct.unpack("<64I", superblock)
    total = sum(words)
    struct.pack_into("<I", superblock, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    disk.poke(at * 512, bytes(superblock))


def bitlocker(disk: Disk) -> None:
    disk.poke(0, b"\xeb\x58\x90-FVE-FS-")
    disk.poke(0xA0, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001") + struct.pack("<Q", 0x10000))
    disk.poke(0x10000, b"-FVE-FS-" + struct.pack("<HH", 64, 2))


def suspended(disk: Disk) -> None:
    run("mkswap", disk.path)
    disk.poke(4086, b"S1SUSPEND\0")


CASES = [
    ("ext4", poked(ext, 1024 + 0x3A, b"\0"), "not unmounted cleanly"),
    ("ext4", poked(ext, 1024 + 0x3A, b"\3"), "not unmounted cleanly"),
    ("ext4", poked(ext, 1024 + 0xE8, b"\1"), "orphaned"),
    ("ext4", poked(ext, 1024 + 0x66, b"\0\1"), "not known here"),
    ("ext4", poked(ext, 1024 + 0x4, struct.pack("<I", 1 << 24)), "larger than"),
    ("ext4", poked(ext, 1024 + 0xC, struct.pack("<I", 7)), "partclone"),
    ("ntfs", ntfs_dirty, "marked dirty"),
    ("ntfs", ntfs_log_in_use, "log must be replayed"),
    ("ntfs", ntfs_hibernated, "hibernated"),
    ("vfat", poked(fat, 37, b"\1"), "not unmounted cleanly"),
    ("vfat", fat12, "FAT12"),
    ("swsuspend", suspended, "nothing is known"),
    ("crypto_LUKS", luks, "nothing is known"),
    ("linux_raid_member", md, "nothing is known"),
    ("BitLocker", bitlocker, "nothing is known"),
    ("unknown", lambda disk: disk.poke(0, OLD * MIB), "nothing is known"),
]


@pytest.mark.parametrize(("what", "make", "why"), CASES)
def test_whatever_is_not_closed_or_not_known_comes_whole(blank, tmp_path, what, make, why):
    disk = blank(16)
    make(disk)
    assert_whole(disk, tmp_path, what, why)


def test_fat_that_is_in_use_says_so_in_its_table(blank, tmp_path):
    disk = blank(16)
    fat(disk)
    (reserved,) = struct.unpack("<H", disk.peek(14, 2))
    disk.poke(reserved * 512 + 3, b"\x7f")
    assert_whole(disk, tmp_path, "vfat", "not unmounted cleanly")


@pytest.mark.parametrize(
    ("kind", "why"), [("ext4", "journal"), ("xfs", "log must be replayed"), ("btrfs", "log must be replayed")]
)
def test_file_system_that_was_cut_off_comes_whole(blank, tmp_path, kind, why):
    disk = blank(KINDS[kind][1])
    with disk.device() as device:
        run(*KINDS[kind][2].split(), device)
        with mounted(device, kind, tmp_path / "mounted") as root:
            (root / "file").write_bytes(b"x" * 100_000)
            os.sync()
            with (root / "synced").open("wb") as file:
                file.write(b"y" * 100_000)
                os.fsync(file.fileno())
            shutil.copyfile(device, tmp_path / "cut off")
    disk.path = tmp_path / "cut off"
    assert_whole(disk, tmp_path, kind, why)


def test_log_of_xfs_is_judged_as_its_own_tool_does(blank, tmp_path):
    disk = blank(300)
    cut_off = blank(300, name="cut off")
    with disk.device() as device:
        run("mkfs.xfs", "-q", "-K", "-f", device)
        with mounted(device, "xfs", tmp_path / "mounted") as root:
            for number in range(100):
                (root / str(number)).write_bytes(b"x" * 5000)
            run("xfs_io", "-x", "-c", "freeze", "-c", "thaw", root)
            shutil.copyfile(device, cut_off.path)
    for one in (disk, cut_off):
        with Window(str(one.path), one.size) as window:
            is_clean = True
            try:
                fs_xfs.check(window)
            except Unproven:
                is_clean = False
        assert is_clean == ("<CLEAN>" in run("xfs_logprint", "-t", one.path)) == (one is disk)


# cycle, sector, operations, flags, bytes that a record may have
UNMOUNT_AT_5 = (2, 5, 1, 0x20, 32768)


@pytest.mark.parametrize(
    ("records", "is_clean"),
    [
        ([], False),
        ([UNMOUNT_AT_5], True),
        ([(2, 5, 1, 0, 32768)], False),
        ([(2, 5, 2, 0x20, 32768)], False),
        ([(1, 9, 3, 0, 32768), UNMOUNT_AT_5], True),
        ([UNMOUNT_AT_5, (2, 7, 2, 0, 32768)], False),
        ([(3, 1, 2, 0, 32768), UNMOUNT_AT_5], False),
        ([(2, 31, 1, 0x20, 32768)], True),  # its payload is at the beginning of the log
        ([(2, 5, 1, 0x20, 262144)], True),  # eight sectors of header
        ([(2, 29, 1, 0x20, 131072)], True),
    ],
)
def test_newest_record_of_a_log_of_xfs_decides(tmp_path, records, is_clean):
    log = bytearray(32 * 512)
    for cycle, sector, operations, flags, size in records:
        struct.pack_into(">4sIIIQ", log, sector * 512, b"\xfe\xed\xba\xbe", cycle, 2, 512, cycle << 32 | sector)
        struct.pack_into(">I", log, sector * 512 + 40, operations)
        struct.pack_into(">I", log, sector * 512 + 320, size)
        behind = sector + size // 32768
        struct.pack_into(">IIBB", log, behind % 32 * 512, cycle + behind // 32, 8, 0xAA, flags)
    (tmp_path / "log").write_bytes(bytes(512) + log)
    with Window(str(tmp_path / "log"), 33 * 512) as window:
        assert fs_xfs._ends_with_unmount(window, 512, len(log)) == is_clean


def test_unmount_that_was_torn_is_none(tmp_path):
    log = bytearray(8 * 512)
    struct.pack_into(">4sIIIQ", log, 0, b"\xfe\xed\xba\xbe", 2, 2, 512, 2 << 32)
    struct.pack_into(">I", log, 40, 1)
    struct.pack_into(">IIBB", log, 512, 1, 8, 0xAA, 0x20)  # of the cycle before
    (tmp_path / "log").write_bytes(log)
    with Window(str(tmp_path / "log"), len(log)) as window:
        assert not fs_xfs._ends_with_unmount(window, 0, len(log))


def test_several_devices_of_btrfs_come_whole(blank, tmp_path):
    disk = blank(128)
    other = blank(128, name="other")
    with disk.device() as first, other.device() as second:
        run("mkfs.btrfs", "-q", "-K", "-f", "-m", "raid1", first, second)
    assert_whole(disk, tmp_path, "btrfs", "several devices")


@pytest.mark.parametrize(
    ("stub", "why"),
    [
        ("exit 1", "ended with 1"),
        ("sleep 60", "longer than"),
        ("exit 0", "No such file"),
        ('while [ "$1" != -o ]; do shift; done; printf "0x0 ?\\n0x0 0x1000000 ?\\n" > "$2"', "free"),
        ('while [ "$1" != -o ]; do shift; done; printf "0x0 ?\\n0x0 0x800000 +\\n" > "$2"', "covers"),
    ],
)
def test_tool_that_fails_or_lies_or_hangs_leaves_the_file_system_whole(
    blank, tmp_path, path_first, monkeypatch, stub, why
):
    disk = blank(16)
    ext(disk)
    tool(path_first, "partclone.extfs", stub)
    monkeypatch.setattr(partclone, "LIMIT_S", 0.5)
    assert_whole(disk, tmp_path, "ext4", why)


@pytest.mark.parametrize(
    ("missing", "what"), [("partclone.extfs", "ext4"), ("losetup", "unknown"), ("blkid", "unknown")]
)
def test_host_without_a_tool_copies_whole(blank, tmp_path, monkeypatch, missing, what):
    disk = blank(16)
    ext(disk)
    plain = views.run

    def run_without(argv, **options):
        return plain(["/nowhere/" + argv[0] if argv[0] == missing else argv[0], *argv[1:]], **options)

    for module in (partclone, partitions, views):
        monkeypatch.setattr(module, "run", run_without)
    assert_whole(disk, tmp_path, what, "not installed")
