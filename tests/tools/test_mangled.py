"""Maps and file systems that are mangled: refused, or read to an end."""

import contextlib
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


@pytest.fixture(scope="module", params=IMAGES)
def image(request, tmp_path_factory) -> Iterator[tuple[str, Path, list[int]]]:
    """Yield a kind, a disk with such a file system, and the places on it where metadata are."""
    size_mib, mkfs = IMAGES[request.param]
    path = tmp_path_factory.mktemp("images") / "image"
    with path.open("wb") as file:
        file.truncate(size_mib * MIB)
    run(*mkfs.split(), path)
    with path.open("rb") as file:
        places = [at for at in range(0, size_mib * MIB, 512) if any(file.read(512))]
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
