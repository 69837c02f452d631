"""Copies of what of a disk is in use alone are whole: they are clean, and have every file."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from os_migrate_agent import fs_ext, usage, views
from os_migrate_agent.reading import Window

from .disks import KINDS, MIB, files_of, made, mounted, run, tool, tree


@pytest.mark.parametrize("kind", KINDS)
def test_copy_of_what_is_in_use_is_clean_and_has_every_file(blank, tmp_path, kind):
    disk = blank(KINDS[kind][1])
    with disk.device() as device:
        files = made(device, kind, tmp_path / "mounted")
    extents, (part,) = disk.examine(tmp_path / "private")
    assert part["how"] == "map", part
    twin = disk.copied(extents, tmp_path / "twin")
    copied = twin.path.read_bytes()
    assert b"DELETED!" * 512 in disk.path.read_bytes()
    assert b"DELETED!" * 512 not in copied
    assert part["used_bytes"] == sum(length for _, length in extents) < disk.size / 2
    with twin.device() as device:
        assert files_of(device, kind, tmp_path / "mounted again") == files


@pytest.mark.parametrize(
    "options", ["^flex_bg", "^flex_bg,^sparse_super,^resize_inode", "meta_bg,^resize_inode", "sparse_super2", "64bit"]
)
def test_metadata_of_every_group_of_ext_are_kept_whatever_the_map_says(blank, tmp_path, options):
    # Groups that were never used are marked so, and a partclone may leave all of them out, with the superblock's copies.
    disk = blank(64)
    run("mkfs.ext4", "-q", "-F", "-b", "1024", "-O", options, "-E", "nodiscard", disk.path)
    with Window(str(disk.path), disk.size) as window:
        kept = usage.merged(fs_ext.check(window).keep)
    said = run("dumpe2fs", disk.path)
    places = re.findall(r"(?:superblock|bitmap|Inode table|Group descriptors?) at (\d+)(?:-(\d+))?", said)
    assert len(places) > 8 * 3
    for begin, end in places:
        offset, length = int(begin) * 1024, (int(end or begin) - int(begin) + 1) * 1024
        assert any(at <= offset and offset + length <= at + size for at, size in kept), (begin, end)


def test_both_copies_of_metadata_of_btrfs_are_in_use(blank, tmp_path):
    disk = blank(128)
    with disk.device() as device:
        files = made(device, "btrfs", tmp_path / "mounted")
    twin = disk.copied(disk.examine(tmp_path / "private")[0], tmp_path / "twin")
    with twin.device() as device, mounted(device, "btrfs", tmp_path / "again") as root:
        assert "no errors found" in run("btrfs", "scrub", "start", "-B", root)
        assert tree(root) == files


def test_files_without_checksums_are_in_use(blank, tmp_path):
    disk = blank(128)
    with disk.device() as device:
        run("mkfs.btrfs", "-q", "-K", "-f", device)
        with mounted(device, "btrfs", tmp_path / "mounted") as root:
            (root / "moves the next").write_bytes(b"x" * 9 * MIB)
            os.sync()
            (root / "plain").touch()
            run("chattr", "+C", root / "plain")
            (root / "plain").write_bytes(b"PLAIN" * MIB)
            (root / "moves the next").unlink()
    extents, (part,) = disk.examine(tmp_path / "private")
    assert part["how"] == "map"
    with disk.copied(extents, tmp_path / "twin").device() as device:
        assert files_of(device, "btrfs", tmp_path / "again") == {"plain": b"PLAIN" * MIB}


def test_process_that_is_killed_leaves_no_device_behind(blank, tmp_path, path_first):
    disk = blank(16)
    run("mkfs.ext4", "-q", "-F", disk.path)
    tool(path_first, "partclone.extfs", "sleep 60")
    text = f"from os_migrate_agent.usage import in_use; in_use({str(disk.path)!r}, {disk.size}, {str(tmp_path)!r})"
    environment = dict(os.environ, PYTHONPATH=str(Path(usage.__file__).parents[1]))
    process = subprocess.Popen([sys.executable, "-c", text], env=environment, start_new_session=True)
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("map-*")):  # partclone is about to be asked
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert run("losetup", "--associated", disk.path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while run("losetup", "--associated", disk.path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("there", [True, False])
def test_loop_devices_are_asked_for_where_the_kernel_has_not_loaded_them(
    blank, tmp_path, path_first, monkeypatch, there
):
    disk = blank(16)
    run("mkfs.ext4", "-q", "-F", disk.path)
    control = tmp_path / "loop-control"
    if there:
        control.touch()
    monkeypatch.setattr(views, "LOOP_CONTROL", str(control))
    tool(path_first, "modprobe", f'echo "$@" >> {tmp_path}/said')
    _extents, (part,) = disk.examine(tmp_path / "private")
    assert part["how"] == "map"
    said = (tmp_path / "said").read_text().splitlines() if (tmp_path / "said").exists() else []
    assert set(said) == (set() if there else {"--quiet loop"})


def test_all_of_the_agent_is_in_the_dialect_of_the_oldest_python():
    modules = sorted(Path(usage.__file__).parent.glob("*.py"))
    assert len(modules) > 10
    for path in modules:
        ast.parse(path.read_text(), feature_version=(3, 6))
