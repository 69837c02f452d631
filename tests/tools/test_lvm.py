"""What of a physical volume of LVM is in use."""

import json
from pathlib import Path

import pytest

from os_migrate_agent import lvm, usage, views
from os_migrate_agent.reading import Unproven

from .disks import MIB, files_of, loop, made, run, shown, tool, with_table


def lvm_run(device: str, *argv: object) -> None:
    config = lvm.CONFIG.format(device)
    run(argv[0], "--driverloaded", "n", "--config", config, *argv[1:])


def lvcreate(device: str, size_mib: int, name: str) -> None:
    lvm_run(device, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-L", f"{size_mib}M", "-n", name, "vg")


def test_logical_volumes_are_mapped_and_what_is_not_allocated_is_unused(blank, tmp_path):
    disk = blank(96)
    with_table(disk, "label: gpt\nstart=1MiB, size=90MiB\n")
    with loop(disk.path, MIB, 90 * MIB) as device:
        lvm_run(device, "pvcreate", "-q", device)
        lvm_run(device, "vgcreate", "-q", "vg", device)
        lvcreate(device, 24, "root")
        lvcreate(device, 8, "swap")
        lvcreate(device, 8, "odd")
        lvcreate(device, 4, "split")
        lvcreate(device, 4, "behind")
        lvm_run(device, "lvextend", "-q", "-L", "+4M", "vg/split")
    with loop(disk.path, 2 * MIB, 24 * MIB) as device:
        files = made(device, "ntfs", tmp_path / "mounted")
    with loop(disk.path, 26 * MIB, 8 * MIB) as device:
        run("mkswap", device)
    extents, parts = disk.examine(tmp_path / "private")
    assert shown(parts) == [
        ("partition table", "whole"),
        ("lvm: metadata", "whole"),
        ("lvm: vg/root: ntfs", "map"),
        ("lvm: vg/swap: swap", "header"),
        ("lvm: vg/odd: unknown", "whole"),
        ("lvm: vg/split: unknown", "whole"),
        ("lvm: vg/behind: unknown", "whole"),
        ("lvm: not allocated", "unused"),
        ("lvm: metadata", "whole"),
        ("partition table", "whole"),
    ]
    assert "can't be joined" in parts[5]["why"]
    twin = disk.copied(extents, tmp_path / "twin")
    assert twin.peek(34 * MIB, 20 * MIB) == disk.peek(34 * MIB, 20 * MIB)
    assert twin.peek(54 * MIB, 32 * MIB) == bytes(32 * MIB)
    with loop(twin.path, 2 * MIB, 24 * MIB) as device:
        assert files_of(device, "ntfs", tmp_path / "again") == files
    with loop(twin.path, MIB, 90 * MIB) as device:
        lvm_run(device, "vgck", "vg")


def test_volume_in_pieces_is_mapped_in_its_own_order(blank, tmp_path, monkeypatch):
    """Join the pieces as the device mapper would: this machine's kernel may have none."""
    disk = blank(64)
    source = blank(24, name="source")
    with source.device() as device:
        files = made(device, "ntfs", tmp_path / "mounted")
    runs = [(32 * MIB, 12 * MIB), (8 * MIB, 12 * MIB)]
    disk.poke(32 * MIB, source.peek(0, 12 * MIB))
    disk.poke(8 * MIB, source.peek(12 * MIB, 12 * MIB))
    joined = tmp_path / "joined"

    def mapped(device, wanted):
        with Path(device).open("rb") as whole, joined.open("wb") as out:
            for offset, length in wanted:
                whole.seek(offset)
                out.write(whole.read(length))
        return str(joined), ["true"]

    monkeypatch.setattr(views, "_mapped", mapped)
    extents, (part,) = usage._area(usage.Area(str(disk.path), runs, "vg/lv"), usage.by_partclone(str(tmp_path)))
    assert (part["what"], part["how"], part["length"]) == ("lvm: vg/lv: ntfs", "map", 24 * MIB)
    twin = disk.copied(extents, tmp_path / "twin")
    source.poke(0, twin.peek(32 * MIB, 12 * MIB) + twin.peek(8 * MIB, 12 * MIB))
    with source.device() as device:
        assert files_of(device, "ntfs", tmp_path / "again") == files


def test_pieces_are_joined_by_a_table_in_sectors(tmp_path, path_first, monkeypatch):
    monkeypatch.setattr(views, "MAPPER_CONTROL", str(tmp_path / "control"))
    tool(path_first, "modprobe", f'echo "$@" > {tmp_path}/loaded')
    tool(path_first, "dmsetup", f'echo "$@" >> {tmp_path}/said; [ "$1" = create ] && cat >> {tmp_path}/said; true')
    path, remove = views._mapped("/dev/sdx", [(32 * MIB, 12 * MIB), (8 * MIB, MIB)])
    words, *rows = (tmp_path / "said").read_text().splitlines()
    assert (tmp_path / "loaded").read_text() == "--quiet dm_mod\n"
    assert rows == ["0 24576 linear /dev/sdx 65536", "24576 2048 linear /dev/sdx 16384"]
    assert words == "create --readonly " + path.removeprefix("/dev/mapper/")
    assert remove[:3] == ["dmsetup", "remove", "--deferred"]


ROW = {
    "pv_name": "/dev/x", "vg_name": "vg", "pv_count": "1", "vg_extent_size": "4194304", "pe_start": "1048576", "pvseg_start": "0",
    "pvseg_size": "2", "segtype": "linear", "lv_name": "lv", "lv_attr": "-wi-------", "lv_size": "8388608",
    "seg_start_pe": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"segtype": "thin-pool"}, "thin-pool"),
        ({"segtype": "raid1"}, "raid1"),
        ({"segtype": "striped"}, "striped"),
        ({"lv_attr": "owi-------"}, "owi"),
        ({"lv_name": "[lv_tdata]"}, "not a plain"),
        ({"lv_size": "16777216"}, "not all on this disk"),
        ({"seg_start_pe": "2"}, "not all on this disk"),
        ({}, ""),
    ],
)
def test_logical_volume_that_is_not_plain_or_not_all_here_comes_whole(change, why):
    (piece,) = lvm._read([dict(ROW, **change)], 64 * MIB)
    assert piece.runs == [(MIB, 8 * MIB)]
    assert why in piece.why
    assert bool(piece.why) == bool(why)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [dict(ROW, vg_name="")],
        [dict(ROW, pv_count="2")],
        [dict(ROW, pvseg_start="1")],
        [ROW, ROW],
        [dict(ROW, pvseg_size="99")],
        [{"pv_name": "x"}],
    ],
)
def test_physical_volume_that_is_odd_comes_whole(rows, tmp_path, path_first):
    report = json.dumps({"report": [{"pvseg": rows}]})
    tool(path_first, "pvs", f"cat <<'E'\n{report}\nE\n")
    with pytest.raises(Unproven):
        lvm.pieces("/dev/x", 64 * MIB)
