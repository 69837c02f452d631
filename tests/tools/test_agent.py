"""What the agent finds on a disk, and how it finds the disk."""

import ast
import hashlib
import itertools
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import os_migrate_agent
from os_migrate_agent import devices
from os_migrate_agent.blocks import CHUNK, blocks
from os_migrate_agent.files import Json
from os_migrate_agent.process import AgentError
from os_migrate_agent.scan import task_scan

from .conftest import BLOCK, shaped

VOLUME = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"


@pytest.fixture
def by_id(tmp_path, monkeypatch):
    directory = tmp_path / "by-id"
    directory.mkdir()
    monkeypatch.setattr(devices, "BY_ID_DIR", str(directory))
    return directory


def scan(by_id: Path, content: bytes) -> tuple[Json, list[list[str]]]:
    """Scan a disk of this content; return the result and the lines of its extent list."""
    disk = by_id / f"virtio-{VOLUME[:20]}"
    disk.write_bytes(content)
    result = task_scan(str(by_id / "state"), VOLUME, str(by_id / "extents"), "none", "digest", "600")
    return result, [line.split() for line in (by_id / "extents").read_text().splitlines()]


def plain_digest(content: bytes) -> str:
    """Return the digest by its definition, with no regard to speed."""
    parts = [b"os-migrate disk digest 1\n", struct.pack(">Q", len(content))]
    for offset in range(0, len(content), BLOCK):
        block = content[offset : offset + BLOCK]
        if any(block):
            parts += [struct.pack(">Q", offset), block]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def covered(lines: list[list[str]], content: bytes) -> bytes:
    """Return the disk that a reader sees who takes every hole for zeroes; the list must cover it without a gap."""
    seen = b""
    for offset, length, *kind in lines:
        assert int(offset) == len(seen)
        seen += bytes(int(length)) if kind == ["hole,zero"] else content[len(seen) : len(seen) + int(length)]
    return seen


@pytest.mark.parametrize(
    ("shape", "extents"),
    [("d0d00d", 3), ("dddd", 1), ("0000", 0), ("1", 1), ("0d", 1), ("d0", 1), ("d" + "0" * 200 + "dd" + "0" * 60, 2)],
)
def test_extents_are_the_neighbouring_blocks_that_hold_data(by_id, shape, extents):
    content = shaped(shape)
    result, lines = scan(by_id, content)
    assert result["extents"] == extents == sum(len(line) == 2 for line in lines)
    assert result["data_bytes"] == len(content) - shape.count("0") * BLOCK
    assert covered(lines, content) == content


@pytest.mark.parametrize("size", [1, 512, BLOCK - 1, BLOCK + 1, CHUNK - 1, CHUNK + 513, 2 * CHUNK])
@pytest.mark.parametrize("last", [b"\0", b"\7"])
def test_odd_sizes_are_read_to_the_last_byte(by_id, size, last):
    content = bytes(size - 1) + last
    result, lines = scan(by_id, content)
    assert result["digest"] == plain_digest(content)
    assert result["size_bytes"] == size
    assert covered(lines, content) == content


def test_sparse_file_has_the_digest_of_its_bytes(by_id):
    content = bytes(3 * BLOCK) + b"end"
    digest = scan(by_id, content)[0]["digest"]
    disk = by_id / f"virtio-{VOLUME[:20]}"
    with disk.open("wb") as file:
        file.seek(3 * BLOCK)
        file.write(b"end")
    assert task_scan(str(by_id / "state"), VOLUME, str(by_id / "extents"), "none", "digest", "600")["digest"] == digest


def test_one_flipped_bit_changes_the_digest(by_id):
    content = bytearray(shaped("d0d"))
    before = scan(by_id, content)[0]["digest"]
    assert scan(by_id, content)[0]["digest"] == before
    for at in (0, BLOCK, len(content) - 1):
        content[at] ^= 1
        assert scan(by_id, content)[0]["digest"] != before
        content[at] ^= 1


def test_same_data_in_another_place_or_in_a_larger_disk_is_another_disk(by_id):
    digests = {scan(by_id, shaped(shape))[0]["digest"] for shape in ("d00", "0d0", "00d", "d0", "d", "0", "00")}
    assert len(digests) == 7


# Bytes of a block: none, the first, one in the middle, the last.
marks_of_blocks = st.lists(st.sampled_from([None, 0, 4711, BLOCK - 1]), min_size=1, max_size=9)


@given(marks_of_blocks, st.integers(min_value=0, max_value=BLOCK - 1))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_digest_and_extents_of_any_disk_are_those_of_the_definition(by_id, marks, cut):
    content = bytearray(len(marks) * BLOCK)
    for number, mark in enumerate(marks):
        if mark is not None:
            content[number * BLOCK + mark] = 1
    content = content[: len(content) - cut]
    result, lines = scan(by_id, content)
    assert result["digest"] == plain_digest(content)
    assert covered(lines, content) == content
    assert all(len(a) != len(b) for a, b in itertools.pairwise(lines))  # neighbours are joined


def test_ranges_restrict_what_is_read(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(shaped("dddd"))
    with disk.open("rb", buffering=0) as file:
        found = [offset for offset, _ in blocks(file, [(BLOCK, BLOCK), (3 * BLOCK, BLOCK)])]
    assert found == [BLOCK, 3 * BLOCK]


def test_two_gib_of_zeroes_are_scanned_in_seconds(by_id, benchmark_disk):
    assert task_scan(str(by_id / "state"), VOLUME, str(by_id / "extents"), "none", "digest", "600")["data_bytes"] == 0


@pytest.fixture
def benchmark_disk(by_id):
    with (by_id / f"virtio-{VOLUME[:20]}").open("wb") as file:
        file.truncate(2 * 1024**3)


# Devices -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "virtio-0b1c2d3e-4f50-6172-8",
        f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}",
        "scsi-0QEMU_QEMU_HARDDISK_0b1c2d3e-4f50-6172-8",
        "nvme-QEMU_NVMe_Ctrl_0b1c2d3e-4f50-6172-8",
        "ata-QEMU_HARDDISK_0b1c2d3e-4f50-6172-8",
    ],
)
def test_device_is_known_by_its_serial_on_every_bus(by_id, name):
    (by_id / name).touch()
    (by_id / f"{name}-part1").touch()
    (by_id / "virtio-0b1c2d3e-4f50-6172-9").touch()
    assert devices.find_device(VOLUME) == str(by_id / name)


def test_device_that_is_not_there_is_not_found(by_id):
    (by_id / "virtio-0b1c2d3e-4f50-6172-9").touch()
    assert devices.find_device(VOLUME) is None


def test_two_disks_of_one_serial_are_an_error(by_id):
    (by_id / "virtio-0b1c2d3e-4f50-6172-8").touch()
    (by_id / f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}").touch()
    with pytest.raises(AgentError, match="several disks"):
        devices.find_device(VOLUME)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("serial", b"0b1c2d3e-4f50-6172-8"),
        ("device/serial", b"0b1c2d3e-4f50-6172-8\n"),
        ("device/vpd_pg80", b"\0\x80\0\x24" + VOLUME.encode()),
    ],
)
def test_serial_is_read_from_the_kernel_where_udev_made_no_link(tmp_path, file, content):
    (tmp_path / "device").mkdir()
    (tmp_path / file).write_bytes(content)
    assert devices._serial(str(tmp_path)) in (VOLUME, VOLUME[:20])


def test_agent_speaks_the_python_of_the_oldest_hosts():
    modules = list(Path(os_migrate_agent.__file__).parent.glob("*.py"))
    assert modules
    for module in modules:
        ast.parse(module.read_text(), feature_version=(3, 6))
