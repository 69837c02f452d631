"""Volumes that no server has, migrated between two real clouds: in one run, again, and with a death in the copy."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from lab import scenario
from lab.scenario import Guest, Shape
from tests.acceptance.operating import SLOWLY, Done, Operator
from tests.acceptance.watching import HOSTS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

WRITER = Shape("volume-writer", "10.0.0.131")
READER = Shape("volume-reader", "10.0.0.131")
FILES, RANDOM, KILLED = "detached files", "detached-random", "detached-killed"
FILES_MIB, RANDOM_MIB, KILLED_MIB = 8, 24, 96
METADATA = {"owner": "päivi"}


@dataclass(frozen=True)
class Scene:
    """What there was before the migration, and what it said."""

    operator: Operator
    volumes: dict[str, Any]
    files: str
    before: tuple[scenario.Holdings, scenario.Holdings]
    exported: Done
    done: Done

    def copy(self, destination: Any, name: str, done: Done | None = None) -> Any:
        (disk,) = (done or self.done).results[name]["report"]["disks"]
        return destination.block_storage.get_volume(disk["destination_volume_id"])


@contextmanager
def attached(cloud: Any, server: Any, volume: Any, guest: Guest) -> Iterator[str]:
    """Attach a volume to a server for a while; yield the disk that its guest sees, by the volume's serial."""
    scenario.attach_volume(cloud, server, volume)
    yield scenario.wait_for("the guest to see the disk", partial(disk_or_none, guest, volume.id), 60)
    cloud.compute.delete_volume_attachment(server, volume.id)
    scenario.wait_for(
        "the volume to be free", lambda: cloud.block_storage.get_volume(volume.id).status == "available" or None
    )


def disk_or_none(guest: Guest, volume_id: str) -> str | None:
    serials = guest.run("cat /sys/block/vd*/serial 2>/dev/null; true")
    return scenario.disk_of(guest, volume_id) if volume_id[:20] in serials else None


def fill(guest: Guest, disk: str, mib: int) -> str:
    """Write random bytes to a disk from its start on, without any file system; return their checksum."""
    return guest.run(
        f"dd if=/dev/urandom of={disk} bs=1M count={mib} 2>/dev/null; sync; {checksum(disk, mib)}", timeout_s=300
    )


def checksum(disk: str, mib: int) -> str:
    return f"dd if={disk} bs=1M count={mib} 2>/dev/null | sha256sum"


def state_of(cloud: Any, volume: Any) -> tuple[object, ...]:
    """Return what of a volume must not change when it is migrated."""
    now = cloud.block_storage.get_volume(volume.id)
    return now.status, list(now.attachments), now.size, now.name, metadata_of(now), now.is_bootable


def metadata_of(volume: Any) -> dict[str, str]:
    """Return a volume's metadata without what Cinder writes there."""
    return {key: value for key, value in volume.metadata.items() if key not in {"readonly", "attached_mode"}}


@pytest.fixture(scope="module")
def scene(operator: Operator, source: Any, destination: Any) -> Iterator[Scene]:
    server = scenario.create_server(source, WRITER)
    volumes = {
        name: scenario.create_volume(source, name, 1, description="kept of old", metadata=METADATA)
        for name in (FILES, RANDOM, KILLED)
    }
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    with attached(source, server, volumes[FILES], guest) as disk:
        files = scenario.write_files(guest, disk, FILES_MIB)
    for name, mib in ((RANDOM, RANDOM_MIB), (KILLED, KILLED_MIB)):
        with attached(source, server, volumes[name], guest) as disk:
            fill(guest, disk, mib)
    before = scenario.holdings(source), scenario.holdings(destination)
    exported = operator.must("--json", "export", "detached_volumes", "--filter", "~^detached")
    done = operator.run("--json", "import", "detached_volumes", FILES, RANDOM)
    yield Scene(operator, volumes, files, before, exported, done)
    for cloud in (source, destination):
        scenario.delete_servers(cloud, keep=lambda s: s.name in HOSTS.values())


def test_export_describes_detached_volumes_and_no_others(scene: Scene) -> None:
    exported = scene.exported.result["detached_volumes"]["exported"]
    assert sorted(exported) == sorted(volume.id for volume in scene.volumes.values())


def test_both_are_migrated_and_proven(scene: Scene) -> None:
    assert {name: outcome["result"] for name, outcome in scene.done.results.items()} == {
        FILES: "migrated",
        RANDOM: "migrated",
    }
    assert scene.done.exit_code == 0
    for name in (FILES, RANDOM):
        report = scene.done.results[name]["report"]
        (disk,) = report["disks"]
        assert report["source_volume_id"] == disk["source_volume_id"] == scene.volumes[name].id
        assert disk["source_digest"] == disk["destination_digest"]
        assert len(disk["source_digest"]) == 64


def test_file_system_is_copied_by_its_map_and_what_has_none_whole(scene: Scene) -> None:
    (by_map,) = scene.done.results[FILES]["report"]["disks"]
    assert [part["what"] for part in by_map["parts"] if part["how"] == "map"] in (["ext2"], ["ext4"])
    assert by_map["wire_bytes"] < 64 << 20
    (whole,) = scene.done.results[RANDOM]["report"]["disks"]
    assert {part["how"] for part in whole["parts"]} == {"whole"}
    assert RANDOM_MIB << 20 <= whole["data_bytes"] < (RANDOM_MIB + 8) << 20


def test_copies_have_the_properties_of_their_sources(scene: Scene, source: Any, destination: Any) -> None:
    for name in (FILES, RANDOM):
        kept, copy = source.block_storage.get_volume(scene.volumes[name].id), scene.copy(destination, name)
        assert (copy.name, copy.description, copy.size) == (kept.name, kept.description, kept.size)
        assert (copy.status, copy.is_bootable, copy.volume_type) == ("available", kept.is_bootable, kept.volume_type)
        assert metadata_of(copy) == {**METADATA, "os_migrate_source_id": kept.id}


def test_sources_are_as_they_were(scene: Scene, source: Any) -> None:
    for name, volume in scene.volumes.items():
        assert state_of(source, volume) == ("available", [], 1, name, METADATA, False)


def test_nothing_else_is_new_in_either_cloud(scene: Scene, source: Any, destination: Any) -> None:
    assert scenario.holdings(source) == scene.before[0]
    now = scenario.holdings(destination)
    grown = {kind: len(ids - scene.before[1][kind]) for kind, ids in now.items() if ids - scene.before[1][kind]}
    assert grown == {"volumes": 2}


def test_a_second_run_changes_nothing_and_says_so(scene: Scene, source: Any, destination: Any) -> None:
    before = scenario.holdings(source), scenario.holdings(destination)
    again = scene.operator.must("--json", "import", "detached_volumes", FILES, RANDOM)
    assert {outcome["result"] for outcome in again.results.values()} == {"skipped"}
    assert all("already migrated" in outcome["detail"] for outcome in again.results.values())
    assert (scenario.holdings(source), scenario.holdings(destination)) == before


def test_verify_repeats_the_proof(scene: Scene, source: Any, destination: Any) -> None:
    before = scenario.holdings(source), scenario.holdings(destination)
    done = scene.operator.must("--json", "verify", FILES, RANDOM)
    for verification in done.result["verifications"]:
        (disk,) = verification["disks"]
        assert (disk["source"], disk["copy"], disk["equal"]) == ("unchanged", "unchanged", True)
    assert (scenario.holdings(source), scenario.holdings(destination)) == before


def kill_in_the_copy(operator: Operator, name: str) -> None:
    """Start the migration of a volume, and kill it with SIGKILL when it says that it waits for the copy."""
    command = operator.command("--verbose", "import", "detached_volumes", name, *SLOWLY)
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as migrator:
        assert migrator.stderr is not None
        said = ""
        for line in migrator.stderr:
            said += line
            if "step AwaitJob:copy" in line:
                break
        migrator.kill()
    assert "step AwaitJob:copy" in said, said


def test_killed_in_the_copy_it_is_rolled_back_and_then_resumed(scene: Scene, source: Any, destination: Any) -> None:
    volume = scene.volumes[KILLED]
    before = scenario.holdings(source), scenario.holdings(destination)
    as_it_was = state_of(source, volume)

    kill_in_the_copy(scene.operator, KILLED)
    assert state_of(source, volume)[0] == "in-use"
    exported = scene.operator.run("export", "detached_volumes", "--filter", KILLED)
    assert exported.exit_code == 2
    assert "unfinished" in exported.err
    scene.operator.must("rollback", KILLED)
    assert (scenario.holdings(source), scenario.holdings(destination)) == before
    assert state_of(source, volume) == as_it_was

    kill_in_the_copy(scene.operator, KILLED)
    done = scene.operator.must("--json", "resume", KILLED)
    assert done.results[KILLED]["result"] == "migrated"
    (disk,) = done.results[KILLED]["report"]["disks"]
    assert disk["source_digest"] == disk["destination_digest"]
    assert disk["data_bytes"] >= KILLED_MIB << 20
    assert state_of(source, volume) == as_it_was
    assert scene.copy(destination, KILLED, done).status == "available"
    assert "os_migrate_attempt" not in scene.copy(destination, KILLED, done).metadata


def test_copy_can_be_used_and_holds_the_same_files(scene: Scene, destination: Any) -> None:
    """Last of all: whoever mounts a copy writes to it."""
    server = scenario.create_server(destination, READER)
    guest = scenario.guest_of(destination, server)
    guest.await_ssh()
    with attached(destination, server, scene.copy(destination, FILES), guest) as disk:
        assert scenario.read_files(guest, disk) == scene.files
