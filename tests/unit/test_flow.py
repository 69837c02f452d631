from dataclasses import replace

import pytest

from os_migrate import batch, flow
from os_migrate.batch import Result
from os_migrate.errors import CloudError, DigestMismatch, RollbackIncomplete, SourceChanged, TransferError
from os_migrate.events import Note
from os_migrate.failure import error_text
from os_migrate.journal import AttemptState, Journal
from os_migrate.model import AttemptId, Loan, ServerStatus, Side
from os_migrate.nbd import Compression, CopyJob, Coverage, ScanJob, SendJob, TunnelJob
from os_migrate.preflight import take_inventory
from os_migrate.run import Run
from os_migrate.settings import TransferSettings
from os_migrate.steps.transfer import StartJob
from tests.crash.instants import die
from tests.fakes.journal import TestJournal
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import BY_NAME, SHAPES

RICH = BY_NAME["volume_boot_two_volumes_running"]
LOCAL = BY_NAME["image_copied_running"]


class At(Hook):
    """Do something to the world when a call comes for the first time."""

    def __init__(self, verb, act) -> None:
        super().__init__()
        self.verb, self.act = verb, act

    def before(self, call: Call) -> None:
        super().before(call)
        if call.verb == self.verb and self.act:
            act, self.act = self.act, None
            act()


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path, RICH)


def test_copy_that_differs_from_its_source_is_never_kept(scene):
    scene.destination_host.corrupts = True
    (outcome,) = scene.migrate()
    assert outcome.result is Result.ROLLED_BACK
    assert isinstance(outcome.error, DigestMismatch)
    scene.assert_as_before()


@pytest.mark.parametrize("verb", ["start ScanJob", "start ExportJob", "start TunnelJob", "start CopyJob", "state"])
@pytest.mark.parametrize("side", ["source_host", "destination_host"])
def test_rebooted_host_never_makes_a_wrong_copy(scene, side, verb):
    scene.migrate(At(verb, getattr(scene, side).reboot))
    if scene.state is AttemptState.MIGRATED:
        scene.assert_migrated()
    else:
        scene.assert_as_before()


def test_source_volumes_are_read_only_again_on_a_host_that_was_restarted_before_the_resume(scene):
    hook = Hook()
    Scene(_sub(scene), RICH).migrate(hook)
    die(scene.migrate, next(n for n, c in enumerate(hook.calls) if c.verb == "start ScanJob"))
    scene.source_host.reboot()
    scene.assert_migrated(scene.resume())


@pytest.mark.parametrize("side", ["source", "destination"])
def test_attach_limit_of_a_host_that_is_hit_leaves_all_as_it_was(scene, side):
    host = getattr(scene, f"{side}_host")
    host.cloud.attach_limits[host.server_id] = 2
    (outcome,) = scene.migrate()
    assert outcome.result is Result.ROLLED_BACK
    assert "maximum number of volumes" in str(outcome.error)
    scene.assert_as_before()


@pytest.mark.parametrize("way", ["attaching", "detaching"])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_volume_that_stays_on_its_way_is_waited_for_and_given_back_when_the_cloud_lets_go(scene, side, way):
    cloud = getattr(scene, side)
    cloud.sticks.add(way)
    began = scene.clock.now()
    (outcome,) = scene.migrate()
    assert outcome.result is Result.ROLLBACK_INCOMPLETE
    assert "not within 600 s" in outcome.detail
    assert "still standing" in outcome.detail
    assert 600 < scene.clock.now() - began < 3 * 3600
    status = scene.source.server(scene.workloads[0].id).status
    assert status is (ServerStatus.SHUTOFF if side == "source" else ServerStatus.ACTIVE)  # not without its volumes
    cloud.sticks.clear()
    scene.rollback()
    scene.assert_as_before()


def test_cut_tunnel_is_a_transfer_error_and_leaves_all_as_it_was(scene):
    def cut():
        scene.clock.sleep(1)
        (tunnel,) = [u for u in scene.destination_host.units if u.endswith("-tunnel")]
        scene.destination_host.fail(tunnel, "timeout, server not responding")

    jobs = iter([None, None, cut])

    class SecondCopy(At):
        def before(self, call):
            Hook.before(self, call)
            if call.verb == "start CopyJob" and (act := next(jobs, None)):
                act()

    (outcome,) = scene.migrate(SecondCopy("start CopyJob", None))
    assert isinstance(outcome.error, TransferError)
    scene.assert_as_before()


def test_copy_that_goes_on_while_nobody_watches_is_adopted(scene):
    hook = Hook()
    Scene(_sub(scene), RICH).migrate(hook)
    first_copy = next(n for n, c in enumerate(hook.calls) if c.verb == "start CopyJob")
    die(scene.migrate, first_copy + 2)
    scene.clock.sleep(3600)
    again = Hook()
    scene.assert_migrated(scene.resume(again))
    copies = [c for c in again.calls if c.verb == "start CopyJob"]
    assert len(copies) == len(scene.workloads[0].params.volumes) - 1


def _sub(scene):
    directory = scene.settings.data_dir / "other"
    directory.mkdir()
    return directory


def test_source_that_somebody_started_meanwhile_never_runs_beside_its_twin(scene):
    (outcome,) = scene.migrate(At("start CopyJob", lambda: scene.source.start_server(scene.workloads[0].id)))
    assert outcome.result is Result.ROLLED_BACK
    assert isinstance(outcome.error, SourceChanged)
    scene.assert_as_before()


@pytest.mark.parametrize("verb", ["create_server", "associate_floating_ip"])
def test_source_that_somebody_started_while_its_twin_was_built_does_not_run_beside_it(scene, verb):
    (outcome,) = scene.migrate(At(verb, lambda: scene.owner_starts(scene.workloads[0])))
    assert outcome.result is Result.ROLLED_BACK
    assert isinstance(outcome.error, SourceChanged)
    scene.assert_as_before()


def die_before_the_twin(scene):
    hook = Hook()
    Scene(_sub(scene), *scene.shapes).migrate(hook)
    die(scene.migrate, next(n for n, c in enumerate(hook.calls) if c.verb == "create_server"))
    scene.seam.hook = Hook()


def use(scene):
    """Let somebody start the source server, work with it and stop it again."""
    server_id = scene.workloads[0].id
    scene.source.start_server(server_id)
    scene.clock.sleep(60)
    scene.source.stop_server(server_id)
    scene.clock.sleep(60)


def test_source_that_was_used_before_the_resume_is_copied_again(scene):
    die_before_the_twin(scene)
    use(scene)
    scene.assert_migrated(scene.resume())
    assert [a.state for a in scene.journal.attempts()] == [AttemptState.ROLLED_BACK, AttemptState.MIGRATED]


def test_source_that_runs_before_the_resume_is_undone_where_it_may_not_be_stopped(tmp_path):
    scene = Scene(tmp_path, BY_NAME["image_copied_three_volumes"])
    die_before_the_twin(scene)
    scene.source.start_server(scene.workloads[0].id)
    scene.clock.sleep(60)
    (outcome,) = scene.resume()
    assert outcome.result is Result.FAILED
    assert "it is running" in outcome.detail
    assert [a.state for a in scene.journal.attempts()] == [AttemptState.ROLLED_BACK]
    scene.source.stop_server(scene.workloads[0].id)
    scene.assert_as_before()


def test_source_that_was_used_during_the_copy_is_not_migrated(scene):
    (outcome,) = scene.migrate(At("start CopyJob", lambda: use(scene)))
    assert outcome.result is Result.ROLLED_BACK
    assert "start" in str(outcome.error)
    scene.assert_as_before()


def test_source_that_somebody_started_between_two_looks_at_it_is_not_migrated(scene):
    server_id = scene.workloads[0].id
    start = At("server_actions", lambda: scene.source.start_server(server_id))

    class StartAndStop(At):
        def before(self, call):
            start.before(call)
            super().before(call)

    (outcome,) = scene.migrate(StartAndStop("start CopyJob", lambda: scene.source.stop_server(server_id)))
    assert outcome.result is Result.ROLLED_BACK
    assert isinstance(outcome.error, SourceChanged)
    scene.assert_as_before()


def test_source_that_was_locked_during_the_copy_is_no_mistake_in_the_input(scene):
    machine = scene.source._machines[scene.workloads[0].id]

    def lock(*, locked=True):
        machine.view = replace(machine.view, locked=locked)

    (outcome,) = scene.migrate(At("start CopyJob", lock))
    assert "it is locked" in str(outcome.error)
    assert isinstance(outcome.error, SourceChanged)
    assert "nothing was touched" not in error_text(outcome.error)
    assert isinstance(outcome.later_error, RollbackIncomplete)  # a locked server takes nothing back
    lock(locked=False)
    scene.rollback()
    scene.assert_as_before()


def test_source_whose_cloud_hides_what_was_done_to_it_is_migrated(scene):
    scene.source.server_actions = lambda server_id: []
    scene.assert_migrated(scene.migrate())


def test_what_is_taken_from_the_source_is_on_loan_until_it_is_back(scene):
    (workload,) = scene.workloads
    seen = []

    def look():
        server = scene.source._machines[workload.id].view
        volumes = [
            s.view for v, s in scene.source._volumes.items() if v in {w.info.id for w in workload.params.volumes}
        ]
        seen.append((Loan.of(server), [loan for v in volumes if (loan := Loan.of(v))]))

    scene.migrate(At("start CopyJob", look))
    ((server, volumes),) = seen
    assert server.was_running
    assert {loan.attempt for loan in (server, *volumes)} == {scene.journal.attempts()[0].id}
    detached = scene.source._machines[workload.id].view.volumes[1:]
    back = {(v.device, v.delete_on_termination) for v in detached}
    assert {(loan.device, loan.delete_on_termination) for loan in volumes} == back
    assert not list(scene.source.tagged(Loan.KEY))


def test_server_that_another_data_dir_has_taken_is_refused(scene):
    die_before_the_twin(scene)
    other = Journal(scene.settings.data_dir / "another.sqlite")
    outcomes = batch.migrate(scene.world, other, scene.workloads, scene.settings)
    assert outcomes[0].result is Result.FAILED
    assert "os-migrate cleanup" in outcomes[0].detail
    assert other.attempts() == []


def test_server_that_another_data_dir_takes_in_the_same_moment_is_left_to_it(scene):
    def lend():
        loan = Loan(AttemptId("another"), scene.workloads[0].id)
        scene.source.set_server_metadata(scene.workloads[0].id, loan.metadata())

    (outcome,) = scene.migrate(At("server", lend))
    assert outcome.result is Result.ROLLED_BACK
    assert "attempt another" in outcome.detail
    assert Loan.of(scene.source.server(scene.workloads[0].id)).attempt == "another"
    scene.source.set_server_metadata(scene.workloads[0].id, Loan.returned())
    scene.assert_as_before()


def test_running_server_is_refused_unless_stopping_was_asked_for(scene):
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, stop_before_migration=False))
    (outcome,) = scene.migrate()
    assert outcome.result is Result.FAILED
    assert "it is running" in outcome.detail
    scene.assert_as_before()


def test_server_that_was_off_stays_off_after_a_rollback(tmp_path):
    scene = Scene(tmp_path, BY_NAME["image_copied_three_volumes"])
    scene.destination_host.corrupts = True
    scene.migrate()
    scene.assert_as_before()
    assert scene.source.server(scene.workloads[0].id).status is ServerStatus.SHUTOFF


def test_stages_come_in_the_order_of_the_sequence(scene):
    scene.migrate()
    (attempt,) = scene.journal.attempts()
    assert list(scene.journal.stage_seconds(attempt.id)) == [
        "check destination",
        "stop source",
        "check source",
        "export volumes",
        "transfer volumes",
        "create instance",
        "clean up source",
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stages_can_be_called_one_at_a_time_by_processes_of_their_own(tmp_path, shape):
    scene = Scene(tmp_path, shape)
    (workload,) = scene.workloads
    attempt = scene.journal.begin(workload.id, workload.name).id

    def process() -> Run:
        """Open the journal anew, as a module of Ansible does."""
        scene.journal.close()
        scene.journal = TestJournal(tmp_path / "journal.sqlite", scene.seam, scene.clock)
        return Run(scene.world, scene.journal, scene.journal.attempt(attempt), scene.settings)

    def inventory():
        return take_inventory(scene.destination)

    flow.check_destination(process(), workload, inventory())
    flow.stop_source(process(), workload)
    flow.check_source(process(), workload)
    flow.export_volumes(process(), workload)
    run = process()
    flow.transfer_volumes(run, workload, flow.export_volumes(run, workload))
    run = process()
    target = flow.check_destination(run, workload, inventory())
    flow.create_instance(
        run, workload, target, flow.transfer_volumes(run, workload, flow.export_volumes(run, workload))
    )
    flow.clean_up_source(process())
    scene.assert_migrated()


def test_copies_of_all_disks_run_at_the_same_time(scene):
    most = 0

    class Count(Hook):
        def before(self, call):
            nonlocal most
            units = scene.destination_host.units.values()
            most = max(most, sum(isinstance(u.job, CopyJob) and u.state.status == "running" for u in units))
            super().before(call)

    scene.migrate(Count())
    assert most == 3


def jobs_at_copy(scene, **transfer):
    """Migrate; return the jobs of the source host and of the destination host when the first copy begins."""
    scene.settings = replace(scene.settings, transfer=TransferSettings(**transfer))
    jobs = []
    look = At("start CopyJob", lambda: jobs.extend([u.job for u in h.units.values()] for h in scene.hosts))
    scene.assert_migrated(scene.migrate(look))
    return jobs


def test_disks_are_shared_out_among_the_connections(scene):
    _, there = jobs_at_copy(scene, connections=2)
    tunnels = [job for job in there if isinstance(job, TunnelJob)]
    assert [len(tunnel.volume_ids) for tunnel in tunnels] == [2, 1]
    assert len({volume for tunnel in tunnels for volume in tunnel.volume_ids}) == 3


def test_there_are_no_more_connections_than_disks(scene):
    _, there = jobs_at_copy(scene, connections=9)
    assert [len(job.volume_ids) for job in there if isinstance(job, TunnelJob)] == [1, 1, 1]


def test_without_compression_nothing_is_sent_but_nbd(scene):
    here, there = jobs_at_copy(scene, compression=Compression.NONE)
    assert not any(isinstance(job, SendJob) for job in here)
    assert [job.streams for job in there if isinstance(job, TunnelJob)] == [False]


def test_limit_is_the_smaller_of_that_of_the_run_and_of_the_pair(scene):
    _, there = jobs_at_copy(scene, limit_mbit=80.0, pair_limit_mbit=40.0)
    assert [job.limit_bytes_s for job in there if isinstance(job, TunnelJob)] == [5e6]


@pytest.mark.parametrize("sparsify", [Coverage.MAP, Coverage.VIRT_SPARSIFY, Coverage.WHOLE])
def test_source_is_scanned_as_it_was_set_and_the_copy_where_it_was_written(scene, sparsify):
    scene.settings = replace(scene.settings, transfer=TransferSettings(sparsify=sparsify, sparsify_timeout_s=5.0))
    scene.assert_migrated(scene.migrate())
    steps = scene.journal.steps(scene.journal.attempts()[-1].id)
    jobs = [
        (r.step.side, r.step.job) for r in steps if isinstance(r.step, StartJob) and isinstance(r.step.job, ScanJob)
    ]
    assert {job.coverage for side, job in jobs if side is Side.SOURCE} == {sparsify}
    assert {job.timeout_s for side, job in jobs if side is Side.SOURCE} == {5.0}
    assert {job.coverage for side, job in jobs if side is Side.DESTINATION} == {Coverage.COPIED}


def test_copy_says_why_it_is_compressed_or_not(scene):
    told = []
    scene.events.subscribe(told.append)
    scene.assert_migrated(scene.migrate())
    assert "copy of /dev/vda by zstd -3: the link is slow" in [e.text for e in told if isinstance(e, Note)]


def test_destination_volumes_have_type_boot_flag_and_properties_of_their_source(scene):
    scene.migrate()
    (workload,) = scene.workloads
    twin = scene.destination.server(scene.twins(workload)[0])
    ours = [scene.destination.volume(v.volume_id) for v in twin.volumes]
    theirs = [scene.source.volume(v.volume_id) for v in scene.source.server(workload.id).volumes]
    for copy, original in zip(ours, theirs, strict=True):
        assert (copy.name, copy.size_gib, copy.volume_type) == (original.name, original.size_gib, original.volume_type)
        assert copy.bootable == original.bootable
        assert copy.image_metadata == original.image_metadata


def test_properties_of_a_local_boot_disk_reach_its_volume_without_our_tags(tmp_path):
    scene = Scene(tmp_path, LOCAL)
    scene.migrate()
    twin = scene.destination.server(scene.twins(scene.workloads[0])[0])
    volume = scene.destination.volume(twin.volumes[0].volume_id)
    assert volume.bootable
    assert dict(volume.image_metadata) == {"hw_disk_bus": "virtio"}


@pytest.mark.parametrize("kind", ["server", "volume", "port", "floating IP"])
def test_attempt_ends_though_the_owner_deleted_something_of_the_twin_after_the_commit(tmp_path, kind):
    scene = Scene(tmp_path, BY_NAME["image_copied_three_volumes"])

    def refuse():
        raise CloudError("no")

    (outcome,) = scene.migrate(At("describe_port", refuse))
    assert outcome.result is Result.FAILED
    scene.seam.hook = Hook()
    cloud, (twin,) = scene.destination, scene.twins(scene.workloads[0])
    volume_id = cloud.server(twin).volumes[-1].volume_id
    lose = {
        "server": lambda: cloud.delete_server(twin),
        "volume": lambda: (cloud.detach_volume(twin, volume_id), cloud.delete_volume(volume_id)),
        "port": lambda: cloud.delete_port(next(p.id for p in cloud.ports() if p.device_id == twin)),
        "floating IP": lambda: cloud.delete_floating_ip(next(ip.id for ip in cloud.floating_ips() if ip.port_id)),
    }
    lose[kind]()
    (outcome,) = scene.resume()
    assert outcome.result is Result.MIGRATED, outcome
    scene.assert_nothing_left()


def test_twin_has_metadata_tags_key_and_user_data_of_the_file(scene):
    scene.migrate()
    (workload,) = scene.workloads
    twin = scene.destination.server(scene.twins(workload)[0])
    assert twin.metadata["owner"] == "anything"
    assert (twin.key_name, twin.user_data) == (workload.params.key_name, workload.params.user_data)
