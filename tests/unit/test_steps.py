"""What single steps promise beyond what the crash tests show."""

from dataclasses import replace

import pytest

from os_migrate.errors import CloudUnavailable, HostUnreachable, TransferError
from os_migrate.events import Note
from os_migrate.model import (
    AttemptId,
    FloatingIpId,
    Loan,
    NetworkId,
    PortId,
    PortSpec,
    ServerId,
    ServerStatus,
    Side,
    Tag,
    VolumeId,
    VolumeSpec,
)
from os_migrate.nbd import CopyResult, ExportJob, JobState, JobStatus, ScanJob
from os_migrate.step import STEPS, Lasts, Reading
from os_migrate.steps.network import AssociateFloatingIp, port_of
from os_migrate.steps.servers import StopServer, SurveySource
from os_migrate.steps.transfer import OUTAGE_S, STALL_S, AwaitJob, StartJob
from os_migrate.steps.volumes import AttachVolume, CreateVolume, DetachVolume
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME
from tests.unit.test_journal import EXAMPLES

RICH = BY_NAME["volume_boot_two_volumes_running"]
TAG = Tag(AttemptId("a1"), "step")


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path, RICH)


@pytest.fixture
def server_id(scene):
    return scene.workloads[0].id


@pytest.mark.parametrize(("step", "result"), EXAMPLES, ids=lambda x: getattr(x, "key", "-"))
def test_leftover_says_what_stands_and_the_command_that_removes_it(step, result):
    if isinstance(step, Reading):
        return
    text = step.leftover(result)
    assert ": openstack " in text or ": sudo systemctl stop " in text
    assert "None" not in text


def test_steps_that_only_the_transfer_needs_are_in_the_destination(scene):
    for side, lasts in ((Side.SOURCE, Lasts.MIGRATION), (Side.DESTINATION, Lasts.TRANSFER)):
        assert AttachVolume("x", side, "h", "v").lifetime is lasts
        assert StartJob("x", side, ExportJob("a", "v")).lifetime is lasts
    assert CreateVolume("x", Side.SOURCE, "d").lifetime is Lasts.MIGRATION
    assert CreateVolume("x", Side.DESTINATION, "d").lifetime is Lasts.FOREVER


def test_every_effect_can_be_undone():
    for name, kind in STEPS.items():
        if not issubclass(kind, Reading):
            assert "undo" in vars(kind), name
            assert "find" in vars(kind) or "handle" in vars(kind), name


def test_survey_lists_the_boot_disk_first_and_all_that_is_put_back(scene, server_id):
    survey = SurveySource("s", server_id).do(scene.world, TAG)
    assert survey.was_running
    assert [d.is_boot for d in survey.disks] == [True, False, False]
    assert [d.device for d in survey.disks] == ["/dev/vda", "/dev/vdb", "/dev/vdc"]
    assert [d.delete_on_termination for d in survey.disks] == [True, False, True]


def test_survey_of_an_image_booted_server_has_a_local_boot_disk(tmp_path):
    scene = Scene(tmp_path, BY_NAME["image_kept_one_volume"])
    survey = SurveySource("s", scene.workloads[0].id).do(scene.world, TAG)
    assert [(d.volume_id is None, d.is_boot) for d in survey.disks] == [(True, True), (False, False)]


def test_stopped_server_is_started_again_even_while_it_is_going_off(scene, server_id):
    step = StopServer("source", server_id)
    step.do(scene.world, TAG)
    step.undo(scene.world, TAG, server_id)
    assert scene.source.server(server_id).status is ServerStatus.ACTIVE


def test_server_that_was_never_stopped_is_left_alone(scene, server_id):
    calls = scene.seam.hook.calls
    StopServer("source", server_id).undo(scene.world, TAG, server_id)
    assert "stop_server" not in {c.verb for c in calls}
    assert scene.source.server(server_id).status is ServerStatus.ACTIVE


def test_volume_that_is_still_being_made_is_deleted_when_it_is_ready(scene):
    volume_id = scene.destination.create_volume(VolumeSpec("v", 1))
    CreateVolume("x", Side.DESTINATION, "d").undo(scene.world, TAG, volume_id)
    assert volume_id not in scene.destination._volumes


def test_undo_of_what_is_gone_already_succeeds(scene, server_id):
    world = scene.world
    CreateVolume("x", Side.SOURCE, "d").undo(world, TAG, "gone")
    AttachVolume("x", Side.SOURCE, scene.source_host.server_id, "gone").undo(world, TAG, "gone")
    StartJob("x", Side.SOURCE, ScanJob("a", "v")).undo(world, TAG, "gone")
    attached = scene.source.server(server_id).volumes[1]
    step = DetachVolume("b", server_id, attached.volume_id, attached.device, attached.delete_on_termination)
    step.undo(world, TAG, attached.volume_id)
    assert scene.source.server(server_id).volumes[1] == attached


def test_floating_ip_that_somebody_else_uses_is_not_taken_for_ours(scene):
    cloud = scene.destination
    (held, born), *_ = cloud._floating_ips.values()
    network = next(n for n in cloud._networks if n.name == "private")
    port_id = cloud.create_port(PortSpec(NetworkId(network.id), ()), "somebody's")
    step = AssociateFloatingIp("0", "twin", held.id, None)
    cloud._floating_ips[held.id] = (replace(held, port_id=port_id), born)
    assert step.find(scene.world, TAG) is None
    cloud._set_port(port_id, device_id="twin")
    assert step.find(scene.world, TAG) == FloatingIpId(held.id)


@pytest.mark.parametrize("end", ["moved", "deleted"])
def test_floating_ip_that_its_owner_took_from_the_twin_is_left_to_them(scene, end):
    scene.migrate()
    world, ports = scene.world, scene.destination.ports()
    twin = ServerId(scene.twins(scene.workloads[0])[0])
    (held,) = (ip for ip in scene.destination.floating_ips() if ip.port_id)
    other = next(port for port in ports if port.device_id == scene.destination_host.server_id)
    if end == "moved":
        scene.destination.associate_floating_ip(held.id, other.id, None)
    else:
        scene.destination.delete_floating_ip(held.id)
    AssociateFloatingIp("0", twin, held.id, None).undo(world, TAG, held.id)
    assert [ip.port_id for ip in scene.destination.floating_ips()] == [other.id] * (end == "moved")


def test_port_that_is_not_listed_yet_is_waited_for(scene):
    with pytest.raises(CloudUnavailable):
        port_of(scene.world, "nobody", None)
    port_id = next(iter(scene.destination._machines[scene.destination_host.server_id].ports))
    assert port_of(scene.world, scene.destination_host.server_id, None) == PortId(port_id)


def test_awaited_job_tells_its_progress_in_bytes(scene, server_id):
    told = []
    scene.events.subscribe(told.append)
    scene.migrate()
    copies = [e for e in told if getattr(e, "activity", "") == "copy" and hasattr(e, "done_bytes")]
    for device in ("/dev/vda", "/dev/vdb", "/dev/vdc"):
        done = [e.done_bytes for e in copies if e.disk == device]
        assert done == sorted(done)
        assert done[-1] == [e.total_bytes for e in copies if e.disk == device][-1]


class Answers:
    """A host whose next answers are given; the last is given for ever. An error is raised."""

    name, server_id = "the host", ServerId("h")

    def __init__(self, *answers, server_id="host"):
        self.answers = list(answers)
        self.server_id = server_id

    def state(self, unit):
        return self._next()

    def stop(self, unit):
        self._next()

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


SILENT = HostUnreachable("the host: no route")
RUNNING = JobState(JobStatus.RUNNING, 5, 10)
DONE = JobState(JobStatus.DONE, 10, 10, result=CopyResult(10, 10, 1.0))
AWAIT = AwaitJob("copy", Side.DESTINATION, "os-migrate-x", "/dev/vda", "copy", "s")


def awaited(scene, *answers):
    """Await a job on a host that answers like that; return its result and what was told."""
    notes = []
    scene.events.subscribe(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    world = replace(scene.world, destination_host=Answers(*answers))
    return AWAIT.do(world, TAG), notes


def test_host_that_is_silent_for_minutes_again_and_again_is_asked_until_it_answers(scene):
    outage = [SILENT] * int(OUTAGE_S - 20)
    result, notes = awaited(scene, *outage, RUNNING, *outage, RUNNING, *outage, DONE)
    assert result == DONE.result
    assert notes == ["copy of /dev/vda: the host: no route; it goes on there without us, we ask for 300 s more"] * 3


def test_host_that_is_silent_for_long_ends_the_wait(scene):
    began = scene.clock.now()
    with pytest.raises(TransferError, match="the host has not answered for 300 s: the host: no route"):
        awaited(scene, RUNNING, SILENT)
    assert scene.clock.now() - began < OUTAGE_S + 10


def test_job_that_got_over_its_trouble_is_told_of_once(scene):
    troubled = replace(RUNNING, trouble="the link broke")
    _, notes = awaited(scene, RUNNING, troubled, troubled, DONE)
    assert notes == ["copy of /dev/vda: the link broke"]


def test_trouble_that_came_and_went_while_nobody_asked_is_told_at_the_end(scene):
    _, notes = awaited(scene, RUNNING, replace(DONE, trouble="the link broke"))
    assert notes == ["copy of /dev/vda: the link broke"]


def test_trouble_that_was_told_is_not_told_again_at_the_end(scene):
    _, notes = awaited(scene, replace(RUNNING, trouble="the link broke"), replace(DONE, trouble="the link broke"))
    assert notes == ["copy of /dev/vda: the link broke"]


def test_job_that_does_not_move_is_told_of(scene):
    _, notes = awaited(scene, *[RUNNING] * int(STALL_S * 2 + 100), DONE)
    assert len(notes) == 2
    assert notes[0].startswith("copy of /dev/vda: nothing has moved for 120 s")


@pytest.mark.parametrize("end", ["off", "deleted"])
def test_job_of_a_host_that_is_off_or_deleted_has_ended(scene, end):
    host_id = scene.destination_host.server_id
    step = StartJob("x", Side.DESTINATION, ScanJob(AttemptId("a1"), VolumeId("v")), host_id)
    world = replace(scene.world, destination_host=Answers(SILENT, server_id=host_id))
    with pytest.raises(HostUnreachable):
        step.undo(world, TAG, step.handle)
    if end == "off":
        scene.destination.stop_server(host_id)
        scene.destination.await_server(host_id, ServerStatus.SHUTOFF, 60)
        step.undo(world, TAG, step.handle)
    else:
        scene.destination.delete_server(host_id)
        step.undo(replace(world, destination_host=None), TAG, step.handle)


@pytest.mark.parametrize("gone", ["server", "volume"])
def test_what_its_owner_deleted_need_not_be_given_back(scene, server_id, gone):
    detach = DetachVolume("d", server_id, volume_id := data_volume(scene, server_id), "/dev/vdc", False)
    stop = StopServer("s", server_id)
    scene.source.stop_server(server_id)
    scene.source.await_server(server_id, ServerStatus.SHUTOFF, 60)
    detach.do(scene.world, TAG)
    if gone == "server":
        scene.source.delete_server(server_id)
        stop.undo(scene.world, TAG, server_id)
    else:
        scene.source.delete_volume(volume_id)
    detach.undo(scene.world, TAG, volume_id)
    if gone == "server":
        assert Loan.of(scene.source.volume(volume_id)) is None


def data_volume(scene, server_id):
    return scene.source.server(server_id).volumes[-1].volume_id


def test_job_that_is_gone_is_named_with_its_host(scene, server_id):
    step = AwaitJob("scan", Side.SOURCE, "os-migrate-x", "/dev/vda", "scan", server_id)
    with pytest.raises(Exception, match="source host knows no os-migrate-x"):
        step.do(scene.world, TAG)
