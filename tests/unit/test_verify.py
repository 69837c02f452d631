"""The proof, repeated: what is equal, what differs, and what is left of a verification that dies."""

from dataclasses import replace

import pytest

from os_migrate import cleanup
from os_migrate.batch import Result
from os_migrate.errors import CloudError, DigestMismatch, HostError, Interrupted, NotFound, RollbackIncomplete
from os_migrate.events import WorkloadEnded
from os_migrate.model import AttemptId, Side, Tag
from os_migrate.nbd import Coverage
from os_migrate.report import WorkloadReport, read_report, report_files
from os_migrate.verify import State, Verification, verify
from tests.crash.conftest import SHM
from tests.crash.instants import FailAt, Survey, die, sample
from tests.fakes.host import FakeHost
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.state import guest_writes
from tests.fakes.workloads import BY_NAME, Shape

FROM_IMAGE = BY_NAME["image_copied_three_volumes"]
FROM_VOLUME = BY_NAME["volume_boot_two_volumes_running"]
SMALL = Shape("small", data_volumes=1)
U, C = State.UNCHANGED, State.CHANGED


@pytest.fixture(autouse=True)
def _journals_in_memory(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(SHM) if SHM.is_dir() else None)


def migrated(directory, *shapes: Shape, parallel: int = 1, pairs: int = 1) -> Scene:
    scene = Scene(directory, *shapes, parallel=parallel, pairs=pairs)
    scene.assert_migrated(scene.migrate())
    for cloud in (scene.source, scene.destination):
        cloud.hold_dear()
    rest(scene)
    return scene


def rest(scene: Scene) -> None:
    """Let no guest write any more, and take what is there now for how it is to stay."""
    for cloud in (scene.source, scene.destination):
        for machine in cloud._machines.values():
            machine.writes = False
    for host in scene.hosts:
        host.held.clear()
    scene.before = scene.picture()


@pytest.fixture(params=[FROM_IMAGE, FROM_VOLUME], ids=str)
def scene(request, tmp_path) -> Scene:
    return migrated(tmp_path, request.param)


@pytest.fixture
def small(tmp_path) -> Scene:
    return migrated(tmp_path, SMALL)


def proofs(scene: Scene) -> list[WorkloadReport]:
    by_id = {file.stem: read_report(file) for file in report_files(scene.settings.data_dir)}
    return [by_id[w.id] for w in scene.workloads]


def repeat(scene: Scene, hook: Hook | None = None) -> list[Verification]:
    scene.seam.hook = hook or Hook()
    return verify(scene.world, proofs(scene), scene.settings)


def states(found: Verification) -> list[tuple[State, State]]:
    return [(d.source, d.copy) for d in found.disks]


def write_to(scene: Scene, side: Side, number: int) -> None:
    """Write to a disk, as somebody does who may."""
    disk = proofs(scene)[0].disks[number]
    cloud = scene.world.cloud(side)
    volume_id = disk.source_volume_id if side is Side.SOURCE else disk.destination_volume_id
    if volume_id is None:
        machine = scene.source._machines[scene.workloads[0].id]
        machine.local = guest_writes(machine.local, "somebody")
    else:
        volume = cloud._volumes[volume_id]
        volume.data = guest_writes(volume.data, "somebody")
    scene.before = scene.picture()


# What is found ----------------------------------------------------------------------------------------------------------


def test_source_is_unchanged_and_a_twin_that_runs_has_written(scene):
    (found,) = repeat(scene)
    assert found.error is None
    assert states(found) == [(U, C)] * len(scene.source.disks(scene.workloads[0].id))
    scene.assert_as_before()


def test_copy_that_nobody_wrote_to_is_equal(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fakes.nova.guest_writes", lambda data, _text: data)
    scene = migrated(tmp_path, FROM_VOLUME)
    (found,) = repeat(scene)
    assert found.error is None
    assert states(found) == [(U, U)] * 3
    assert all(d.equal and d.source_digest == d.reported_digest for d in found.disks)


@pytest.mark.parametrize("number", [0, 1])
def test_source_that_differs_from_the_report_is_a_failure(scene, number):
    write_to(scene, Side.SOURCE, number)
    (found,) = repeat(scene)
    assert isinstance(found.error, DigestMismatch)
    assert found.disks[number].device in found.error.what
    assert "nothing says that its server was used" in found.error.what
    assert [d.source for d in found.disks].count(C) == 1
    scene.assert_as_before()


def test_source_that_was_used_since_is_told_with_what_was_done_to_it(small):
    write_to(small, Side.SOURCE, 0)
    small.source.start_server(small.workloads[0].id)
    small.clock.sleep(60)
    (found,) = repeat(small)
    assert "its server was used since (start)" in str(found.error)


@pytest.mark.parametrize("side", Side)
def test_disk_that_is_gone_is_told_and_the_others_are_compared(small, side):
    disk = proofs(small)[0].disks[1]
    volume_id = disk.source_volume_id if side is Side.SOURCE else disk.destination_volume_id
    del small.world.cloud(side)._volumes[volume_id]
    (found,) = repeat(small)
    assert isinstance(found.error, NotFound)
    assert f"{disk.device} ({side})" in found.error.what
    assert states(found) == [(U, C), (State.GONE, C) if side is Side.SOURCE else (U, State.GONE)]


def test_server_that_is_gone_with_its_local_disk_is_told(small):
    small.source._machines[small.workloads[0].id].local = None
    server = small.source._machines.pop(small.workloads[0].id)
    (found,) = repeat(small)
    assert isinstance(found.error, NotFound)
    assert states(found)[0] == (State.GONE, C)
    assert server.view.image_id is not None


def unproven(proof: WorkloadReport) -> WorkloadReport:
    disks = tuple(replace(d, source_digest=None, destination_digest=None) for d in proof.disks)
    return replace(proof, disks=disks)


def test_copy_that_was_never_proven_is_proven_where_it_is_equal(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fakes.nova.guest_writes", lambda data, _text: data)
    scene = migrated(tmp_path, SMALL)
    (found,) = verify(scene.world, [unproven(p) for p in proofs(scene)], scene.settings)
    assert found.error is None
    assert all(d.equal and d.source is State.UNKNOWN for d in found.disks)


def test_copy_that_was_never_proven_and_differs_is_a_failure(small):
    (found,) = verify(small.world, [unproven(p) for p in proofs(small)], small.settings)
    assert isinstance(found.error, DigestMismatch)
    assert "never proven" in found.error.what


def test_workload_of_which_nothing_was_copied_says_so_and_needs_no_host(tmp_path):
    scene = migrated(tmp_path, Shape("kept", boot_disk_copy=False))
    world = replace(scene.world, source_host=None, destination_host=None)
    (found,) = verify(world, proofs(scene), scene.settings)
    assert (found.disks, found.error) == ((), None)
    assert "nothing was copied" in found.detail


def test_no_host_is_told_before_anything_is_touched(small):
    with pytest.raises(HostError, match="hosts deploy"):
        verify(replace(small.world, source_host=None), proofs(small), small.settings)
    small.assert_as_before()


def test_one_that_fails_stops_no_other(tmp_path):
    scene = migrated(tmp_path, SMALL, SMALL)
    write_to(scene, Side.SOURCE, 1)
    first, second = repeat(scene)
    assert isinstance(first.error, DigestMismatch)
    assert second.error is None
    assert len(second.disks) == 2


def test_several_are_verified_at_once(tmp_path):
    scene = migrated(tmp_path, SMALL, SMALL, SMALL, parallel=3)
    assert [(v.server_id, v.error) for v in repeat(scene)] == [(w.id, None) for w in scene.workloads]
    scene.assert_as_before()


def test_disks_are_read_on_the_pair_with_the_most_room(tmp_path):
    scene = migrated(tmp_path, SMALL, SMALL, parallel=2, pairs=2)
    hook = Hook()
    assert [v.error for v in repeat(scene, hook)] == [None, None]
    used = {call.where for call in hook.calls if call.verb == "start ScanJob"}
    assert used == {"source host", "source host 2", "destination host", "destination host 2"}
    scene.assert_as_before()


# What it does to get there ----------------------------------------------------------------------------------------------


class Watch(Hook):
    """Note which volumes were attached and detached, and how many temporary ones stood at a time."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.theirs = {v for c in (scene.source, scene.destination) for v in c._volumes}
        self.at_once = 0
        self.touched: set[str] = set()

    def before(self, call) -> None:
        super().before(call)
        for cloud in (self.scene.source, self.scene.destination):
            new = [v for v in cloud._volumes if v not in self.theirs]
            self.at_once = max(self.at_once, len(new))
        for host in self.scene.hosts:
            self.touched |= {v.volume_id for v in host.cloud._machines[host.server_id].view.volumes} & self.theirs


def test_disks_stay_where_they_are_and_one_is_brought_at_a_time(scene):
    before = {v: s.view for c in (scene.source, scene.destination) for v, s in c._volumes.items()}
    watch = Watch(scene)
    repeat(scene, watch)
    assert watch.at_once == 1
    assert watch.touched == set()
    assert {v: s.view for c in (scene.source, scene.destination) for v, s in c._volumes.items()} == before


def test_copies_are_read_only_on_both_hosts(small):
    for host in small.hosts:
        host.read_only.clear()
    repeat(small)
    assert [len(host.read_only) for host in small.hosts] == [2, 2]


def test_it_is_held_on_both_hosts_so_that_cleanup_leaves_it_alone(small):
    repeat(small)
    (attempt,) = small.source_host.held
    assert small.destination_host.held == {attempt}


def test_source_is_read_as_it_was_and_the_copy_as_a_whole(small):
    watched = {}

    def note(call):
        for host in small.hosts:
            watched[host.name] = watched.get(host.name, []) + [u.job.coverage for u in host.units.values()]

    hook = Hook()
    hook.before = note
    repeat(small, hook)
    assert set(watched["source host"]) == {Coverage.MAP}
    assert set(watched["destination host"]) == {Coverage.WHOLE}


def test_version_that_wrote_the_report_is_named_where_the_source_seems_changed(small):
    write_to(small, Side.SOURCE, 1)
    assert "version" not in repeat(small)[0].error.remedy
    (proof,) = proofs(small)
    older = replace(proof, tools={Side.SOURCE: {"os-migrate": "2.0.0"}})
    (found,) = verify(small.world, [older], small.settings)
    assert "try version 2.0.0" in found.error.remedy


def test_its_end_is_told(small):
    told = []
    small.events.subscribe(told.append)
    repeat(small)
    (end,) = [e for e in told if isinstance(e, WorkloadEnded)]
    assert (end.name, end.outcome) == ("web 0", "verified")


# What goes wrong --------------------------------------------------------------------------------------------------------


def instants(directory, shape: Shape) -> list[int]:
    """Return the instants of a verification."""
    directory.mkdir()
    scene = migrated(directory, shape)
    survey = Survey(scene)
    repeat(scene, survey)
    scene.close()
    return survey.instants


@pytest.mark.parametrize("shape", [SMALL, Shape("volume", boot=FROM_VOLUME.boot)], ids=str)
def test_what_a_verification_leaves_that_dies_anywhere_is_cleaned_up(tmp_path, shape):
    found = instants(tmp_path / "measured", shape)
    assert len(found) > 30
    seen = set()
    for number in sample(found, 24):
        directory = tmp_path / str(number)
        directory.mkdir()
        scene = migrated(directory, shape)
        assert die(lambda hook, scene=scene: repeat(scene, hook), number)
        scene.seam.hook = Hook()
        scene.clock.sleep(60)
        seen |= {type(step).__name__ for f in cleanup.find(scene.world, (), although_held=()) for step, _ in f.effects}
        outcomes = scene.cleanup()
        assert all(o.result is Result.ROLLED_BACK for o in outcomes), outcomes
        scene.assert_as_before()
        scene.close()
    assert seen >= {"SnapshotVolume", "CreateVolume", "AttachVolume", "StartJob"}


def test_snapshot_that_belongs_to_the_other_side_of_one_project_is_not_taken_for_ours(small):
    volume_id = proofs(small)[0].disks[1].source_volume_id
    tag = Tag(AttemptId("0123456789"), "SnapshotVolume:destination /dev/vdb")
    snapshot_id = small.source.create_snapshot(volume_id, "x", tag.metadata())
    assert cleanup.find(small.world, ()) == []
    small.source.delete_snapshot(snapshot_id)


def test_verification_that_is_under_way_is_left_alone_by_cleanup(small, tmp_path):
    assert die(lambda hook: repeat(small, hook), instants(tmp_path / "measured", SMALL)[20])
    small.seam.hook = Hook()
    (found,) = cleanup.find(small.world, ())
    assert found.busy == "a migrator works on it"


def test_call_that_fails_anywhere_leaves_nothing(tmp_path):
    found = instants(tmp_path / "measured", SMALL)
    for number in sample(found, 12):
        directory = tmp_path / str(number)
        directory.mkdir()
        scene = migrated(directory, SMALL)
        hook = FailAt(number, CloudError, has_effect=True)
        (one,) = repeat(scene, hook)
        if hook.struck is None or isinstance(one.error, RollbackIncomplete):
            scene.cleanup()
        scene.assert_as_before()
        scene.close()


def test_scan_that_fails_is_an_error_and_leaves_nothing(small, monkeypatch):
    state = FakeHost.state

    def failing(self, unit):
        if "scan" in unit and self is small.destination_host:
            self.fail(unit, "input/output error")
        return state(self, unit)

    monkeypatch.setattr(FakeHost, "state", failing)
    (found,) = repeat(small)
    assert "input/output error" in str(found.error)
    assert found.error.exit_code == 5
    small.assert_as_before()


def test_undo_that_fails_lists_what_stands_and_how_to_go_on(small, monkeypatch):
    def refused(self, snapshot_id):
        raise CloudError("snapshot is busy")

    monkeypatch.setattr(type(small.source), "delete_snapshot", refused)
    (found,) = repeat(small)
    assert isinstance(found.error, RollbackIncomplete)
    assert "os-migrate cleanup" in found.error.remedy
    assert any("openstack volume snapshot delete" in line for line in found.error.standing)
    monkeypatch.undo()
    for host in small.hosts:
        host.held.clear()
    cleanup.clean_up(small.world, cleanup.find(small.world, ()), small.settings)
    small.assert_as_before()


def test_ctrl_c_says_that_cleanup_removes_what_is_left(small, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeHost, "await_device", stop)
    with pytest.raises(Interrupted, match="os-migrate cleanup"):
        repeat(small)
