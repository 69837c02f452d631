"""What a power loss leaves is what the disk holds at that instant: it is copied then, and read as after a reboot.

The file system writes nothing by itself for minutes, so that what is not synced stays in memory, and is not in the copy.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from os_migrate.files.durable import write_atomically
from os_migrate.journal import Attempt, Journal, StepRecord, StepState
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import SHAPES

IMAGE_MIB = 8

Content = list[tuple[Attempt, list[StepRecord]]]


@contextmanager
def mounted(image: Path, directory: Path) -> Iterator[Path]:
    directory.mkdir()
    argv = ["losetup", "--find", "--show", str(image)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["blockdev", "--setrw", loop], check=True)  # an earlier test's source may have been there
        subprocess.run(["mount", "-o", "commit=300", loop, directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


@dataclass
class Disk:
    """A disk with a file system, and what it held at instants."""

    image: Path
    directory: Path
    instants: list[Path] = field(default_factory=list)

    def lose_power(self) -> None:
        """Keep what the disk holds now."""
        self.instants.append(self.image.with_name(f"instant{len(self.instants)}"))
        shutil.copyfile(self.image, self.instants[-1])

    @contextmanager
    def after(self, instant: Path) -> Iterator[Path]:
        """Mount what the disk held at an instant."""
        with mounted(instant, instant.with_suffix(".mounted")) as directory:
            yield directory


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(IMAGE_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    with mounted(image, tmp_path / "disk") as directory:
        yield Disk(image, directory)


class Watching(Hook):
    """Lose power before every call that changes something in a cloud or on a host."""

    def __init__(self, disk: Disk, scene: Scene) -> None:
        super().__init__()
        self.disk = disk
        self.scene = scene
        self.known: list[Content] = []

    def before(self, call: Call) -> None:
        if call.mutates and call.where != "journal":
            self.disk.lose_power()
            self.known.append(content(self.scene.journal))


def content(journal: Journal) -> Content:
    return [(attempt, journal.steps(attempt.id)) for attempt in journal.attempts()]


def begun(content: Content) -> list[tuple[str, list[str]]]:
    """Return the state of each attempt, and the steps that have begun: how far they are is found out again."""
    return [(attempt.state, [record.step.key for record in steps]) for attempt, steps in content]


def content_of(path: Path) -> Content:
    journal = Journal(path)
    try:
        return content(journal)
    finally:
        journal.close()


def migrate(disk: Disk, tmp_path: Path, *, synced: bool) -> Watching:
    scene = Scene(tmp_path, SHAPES[0])
    scene.journal.close()
    scene.journal = Journal(disk.directory / "journal.sqlite", scene.clock.now)
    if not synced:
        scene.journal._db.execute("PRAGMA synchronous=OFF")
    watching = Watching(disk, scene)
    scene.assert_migrated(scene.migrate(watching))
    scene.close()
    return watching


def test_each_effect_is_in_the_journal_on_the_disk_before_it_happens(disk, tmp_path):
    watching = migrate(disk, tmp_path, synced=True)
    assert len(disk.instants) > 20
    began = set()
    for instant, known in zip(disk.instants, watching.known, strict=True):
        with disk.after(instant) as directory:
            found = content_of(directory / "journal.sqlite")
        assert begun(found) == begun(known)
        ((_, steps),) = found
        began |= {record.step.key for record in steps if record.state is StepState.STARTED}
    assert {"CreateServer:twin", "StopServer:source"} <= began


def test_journal_that_is_not_synced_would_be_lost(disk, tmp_path):
    watching = migrate(disk, tmp_path, synced=False)

    def lost(instant: Path, known: Content) -> bool:
        with disk.after(instant) as directory:
            return content_of(directory / "journal.sqlite") != known

    # Any of them will do: somebody else on this machine may call sync(2).
    assert any(map(lost, reversed(disk.instants), reversed(watching.known)))


def test_file_is_old_or_new_at_any_instant_and_new_once_it_is_written(disk, monkeypatch):
    replace = Path.replace

    def struck(one: Path, other: Path) -> None:
        disk.lose_power()
        replace(one, other)
        disk.lose_power()

    monkeypatch.setattr(Path, "replace", struck)
    file = disk.directory / "workloads.yml"
    write_atomically(file, "old\n" * 5000)
    write_atomically(file, "new\n" * 5000)
    disk.lose_power()
    found = []
    for instant in disk.instants:
        with disk.after(instant) as directory:
            there = directory / file.name
            found.append(there.read_text() if there.exists() else "")
    kinds = {"": "", "old\n" * 5000: "old", "new\n" * 5000: "new"}
    seen = [kinds[text] for text in found]
    assert seen[0] == ""
    assert seen[2] == "old"
    assert seen[-1] == "new"


def test_file_that_is_replaced_and_not_synced_would_be_lost(disk):
    names = [f"file{number}" for number in range(5)]
    for name in names:
        (disk.directory / "new").write_text("new")
        (disk.directory / "new").replace(disk.directory / name)
        disk.lose_power()

    def lost(instant: Path, name: str) -> bool:
        with disk.after(instant) as directory:
            return not (directory / name).exists()

    assert any(map(lost, disk.instants, names))  # as above
