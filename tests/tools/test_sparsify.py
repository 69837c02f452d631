"""virt-sparsify as a witness: what it trims, and what it is not believed."""

import shutil
import time
from pathlib import Path

import pytest

from os_migrate_agent.sparsify import in_use_by_virt_sparsify

from .disks import MIB, Disk, files_of, loop, made, run, shown, tool, with_table

SPARSIFY = """
for overlay; do :; done
[ "$LIBGUESTFS_BACKEND $LIBGUESTFS_BACKEND_SETTINGS" = "direct force_tcg" ] || exit 3
qemu-io -f qcow2 -d unmap -c "write -P 0x77 0 64k" -c "discard {offset} {length}" "$overlay"
"""


def sparsified(disk: Disk, tmp_path: Path, timeout_s: float = 30):
    private = tmp_path / "private"
    private.mkdir(exist_ok=True)
    before = disk.path.read_bytes()
    found = in_use_by_virt_sparsify(str(disk.path), disk.size, str(private), timeout_s)
    assert disk.path.read_bytes() == before
    assert list(private.iterdir()) == []
    return found


def test_what_virt_sparsify_trims_is_not_in_use(blank, tmp_path, path_first):
    disk = blank(48)
    with_table(disk, "label: gpt\nstart=1MiB, size=46MiB\n")
    with loop(disk.path, MIB, 46 * MIB) as device:
        files = made(device, "ntfs", tmp_path / "mounted")
    mapped, _ = disk.examine(tmp_path / "private")
    (gap,) = [
        (end, 8 * MIB) for end in [-(-sum(e) // 65536) * 65536 for e in mapped] if not touches(mapped, end, 8 * MIB)
    ][:1]
    tool(path_first, "virt-sparsify", SPARSIFY.format(offset=gap[0], length=gap[1]))
    extents, parts = sparsified(disk, tmp_path)
    assert shown(parts)[1] == ("ntfs", "virt-sparsify")
    assert extents == [(0, gap[0]), (sum(gap), disk.size - sum(gap))]
    with loop(disk.copied(extents, tmp_path / "twin").path, MIB, 46 * MIB) as device:
        assert files_of(device, "ntfs", tmp_path / "again") == files


def touches(extents, offset: int, length: int) -> bool:
    return any(at < offset + length and offset < at + size for at, size in extents)


@pytest.mark.parametrize(
    ("kind", "how", "what_else"),
    [("ntfs", "whole", "free itself"), ("btrfs", "map", ""), ("unknown", "whole", "nothing is known")],
)
def test_what_virt_sparsify_trims_wrongly_is_in_use(blank, tmp_path, path_first, kind, how, what_else):
    disk = blank(128 if kind == "btrfs" else 16)
    if kind != "unknown":
        with disk.device() as device:
            made(device, kind, tmp_path / "mounted")
    tool(path_first, "virt-sparsify", SPARSIFY.format(offset=0, length=disk.size))
    extents, (part,) = sparsified(disk, tmp_path)
    assert (part["how"], part["what"]) == (how, kind)
    assert what_else in part.get("why", "")
    assert extents == disk.examine(tmp_path / "private")[0] or how == "whole"


@pytest.mark.parametrize(
    ("stub", "why"),
    [
        (None, "not installed"),
        ("echo no kernel >&2; exit 1", "no kernel"),
        (SPARSIFY.format(offset=0, length=16 * MIB) + "sleep 60", "longer than"),
        ("for overlay; do :; done; echo > $overlay", "qemu-img"),
        ("for overlay; do :; done; qemu-img resize -q $overlay 32M", "covers"),
    ],
)
def test_virt_sparsify_that_is_not_there_or_fails_or_hangs_is_done_without(
    blank, tmp_path, path_first, monkeypatch, stub, why
):
    disk = blank(16)
    run("mkntfs", "-q", "-F", "-f", disk.path)
    if stub:
        tool(path_first, "virt-sparsify", stub)
    else:
        (path_first / "qemu-img").symlink_to(str(shutil.which("qemu-img")))
        monkeypatch.setenv("PATH", f"{path_first}:/usr/sbin:/sbin")
    began = time.monotonic()
    extents, (part,) = sparsified(disk, tmp_path, 1)
    assert time.monotonic() - began < 20
    assert part["how"] == "map"
    assert "virt-sparsify was of no use" in part["why"]
    assert why in part["why"]
    assert extents == disk.examine(tmp_path / "private")[0]
