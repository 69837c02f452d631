import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial

import pytest

from os_migrate.errors import JournalFailed, UserError
from os_migrate.features import ServerGroupTarget
from os_migrate.journal import AttemptState, Journal, StepState
from os_migrate.model import (
    NO_SERVER,
    AddressPair,
    AttemptId,
    DhcpOption,
    FixedIp,
    FlavorId,
    FloatingIp,
    FloatingIpExtras,
    FloatingIpId,
    NetworkId,
    PortId,
    PortSpec,
    QosPolicyId,
    SecurityGroupId,
    ServerAction,
    ServerGroupId,
    ServerId,
    ServerSpec,
    Side,
    SubnetId,
    VolumeId,
    VolumeSpec,
)
from os_migrate.nbd import CopyJob, CopyResult, ExportJob, ScanJob, ScanResult, TunnelJob
from os_migrate.plan import FloatingIpTarget, Target
from os_migrate.step import STEPS
from os_migrate.steps.detached import KeepVolume, MarkVolume, SurveyVolume
from os_migrate.steps.groups import CreateServerGroup, GroupInUse
from os_migrate.steps.network import AssociateFloatingIp, CreateFloatingIp, CreatePort, DressPort
from os_migrate.steps.servers import (
    CreateServer,
    MarkServer,
    ReadActions,
    ResolveTarget,
    SnapshotServer,
    StopServer,
    SurveySource,
)
from os_migrate.steps.states import LockTwin, StopTwin, UnlockServer
from os_migrate.steps.transfer import AwaitJob, ReadTools, StartJob
from os_migrate.steps.volumes import AttachVolume, CreateVolume, DetachVolume, SnapshotVolume
from os_migrate.survey import Disk, Survey
from tests.fakes.scene import Scene
from tests.fakes.workloads import SHAPES, USER_DATA

FIRST_SCHEMA = """
CREATE TABLE attempts (
    id TEXT PRIMARY KEY, server_id TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', started REAL NOT NULL, ended REAL
) STRICT;
CREATE TABLE steps (
    attempt TEXT NOT NULL REFERENCES attempts (id), number INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
    fields TEXT NOT NULL, state TEXT NOT NULL, result TEXT, error TEXT NOT NULL DEFAULT '',
    started REAL NOT NULL, tried REAL NOT NULL, ended REAL,
    PRIMARY KEY (attempt, key)
) STRICT;
CREATE TABLE stages (
    attempt TEXT NOT NULL REFERENCES attempts (id), name TEXT NOT NULL, seconds REAL NOT NULL
) STRICT;
PRAGMA user_version=1;
"""
"""What journals were before attempts knew their destination; there are some."""

TO_SECOND_SCHEMA = """
ALTER TABLE attempts ADD COLUMN destination TEXT NOT NULL DEFAULT '';
PRAGMA user_version=2;
"""
"""What they were before there were attempts of detached volumes."""

SERVER, VOLUME, ATTEMPT = ServerId("server"), VolumeId("volume"), AttemptId("attempt")
HELD = FloatingIp(FloatingIpId("f"), "203.0.113.7", NetworkId("n"), tags=("a", "b"))
PORT = PortSpec(
    NetworkId("n"),
    (FixedIp(SubnetId("s"), "10.0.0.7"),),
    "fa:16:3e:00:00:01",
    (SecurityGroupId("g"),),
    binding_profile={"trusted": True, "slots": [1, 2]},
    tags=("red",),
    has_port_security=False,
    allowed_address_pairs=(AddressPair("10.0.0.0/24"),),
    extra_dhcp_opts=(DhcpOption("mtu", "1400"),),
)
TARGET = Target(
    FlavorId("m1"),
    None,
    (PORT,),
    (
        FloatingIpTarget("10.0.0.7", "203.0.113.7", None, HELD, "door"),
        FloatingIpTarget(None, "x", NetworkId("n"), None, ""),
    ),
    ("web",),
    server_group=ServerGroupTarget("apart", "anti-affinity", 2, ServerGroupId("g")),
    key_name="deploy",
    availability_zone="az1",
    as_found=True,
)
SURVEY = Survey(
    True,
    (Disk("/dev/vda", None, True, True, True, ""), Disk("/dev/vdb", VOLUME, False, False, False, "fast", True)),
    True,
)
SCAN, COPY = ScanResult("sha", 4096, 512, 3), CopyResult(512, 600, 1.5)

EXAMPLES = [
    (SurveySource("source", SERVER), SURVEY),
    (ResolveTarget("destination"), TARGET),
    (ReadActions("source", SERVER), (ServerAction("req-1", "start"), ServerAction("req-2", "stop"))),
    (SurveyVolume("source", VOLUME), SURVEY),
    (MarkVolume("source", VOLUME), VOLUME),
    (KeepVolume("destination volume", VOLUME), VOLUME),
    (UnlockServer("source", SERVER), SERVER),
    (MarkServer("source", SERVER, was_running=True, was_locked=True), SERVER),
    (StopServer("source", SERVER), SERVER),
    (SnapshotServer("boot disk", SERVER, "os-migrate-$(reboot) 💾"), "image"),
    (CreateServer("twin"), SERVER),
    (SnapshotVolume("boot disk", VOLUME, "name"), "snapshot"),
    (CreateVolume("source /dev/vda", Side.SOURCE, "/dev/vda"), VOLUME),
    (DetachVolume("/dev/vdb", SERVER, VOLUME, "/dev/vdb", True), VOLUME),
    (AttachVolume("source /dev/vdb", Side.SOURCE, SERVER, VOLUME), VOLUME),
    (CreatePort("0", description="front"), PortId("port")),
    (CreateServerGroup("twin", "apart", "anti-affinity", 2), GroupInUse(ServerGroupId("g"), ours=True)),
    (DressPort("0", SERVER, PortId("port")), PortId("port")),
    (StopTwin("twin", SERVER), SERVER),
    (LockTwin("twin", SERVER), SERVER),
    (
        CreateFloatingIp(
            "0", SERVER, NetworkId("n"), None, "web", FloatingIpExtras(("a",), "d.", "n", QosPolicyId("q"))
        ),
        FloatingIpId("f"),
    ),
    (AssociateFloatingIp("0", SERVER, FloatingIpId("f"), "10.0.0.7"), FloatingIpId("f")),
    (ReadTools("source", Side.SOURCE), (("os-migrate", "2.0"), ("nbdkit", "1.32.5"))),
    (StartJob("scan", Side.SOURCE, ScanJob(ATTEMPT, VOLUME)), "unit"),
    (StartJob("export", Side.SOURCE, ExportJob(ATTEMPT, VOLUME)), "unit"),
    (StartJob("tunnel", Side.DESTINATION, TunnelJob(ATTEMPT, (VOLUME,), "cloud-user", "192.0.2.1", "alias")), "unit"),
    (StartJob("copy", Side.DESTINATION, CopyJob(ATTEMPT, VOLUME, VolumeId("v2"))), "unit"),
    (AwaitJob("scan", Side.SOURCE, "unit", "/dev/vda", "scan", SERVER), SCAN),
    (AwaitJob("copy", Side.DESTINATION, "unit", "/dev/vda", "copy", SERVER), COPY),
]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


@pytest.fixture
def attempt(journal):
    return journal.begin(SERVER, "web").id


def test_every_kind_of_step_has_an_example():
    assert {type(step).__name__ for step, _ in EXAMPLES} == set(STEPS) - {"Reading"}


@pytest.mark.parametrize(("step", "result"), EXAMPLES, ids=lambda x: getattr(x, "key", "-"))
def test_step_and_its_result_come_back_as_they_were(journal, attempt, step, result):
    journal.start(attempt, step)
    assert journal.step(attempt, step.key).result is None
    journal.record(attempt, step, StepState.DONE, result)
    record = journal.step(attempt, step.key)
    assert record.step == step
    assert record.result == result
    assert record.state is StepState.DONE


@pytest.mark.parametrize("step", [s for s, _ in EXAMPLES], ids=lambda s: s.key)
def test_key_of_a_step_depends_only_on_what_is_journalled(journal, attempt, step):
    journal.start(attempt, step)
    assert journal.steps(attempt)[0].step.key == step.key


def test_specs_stay_out_of_the_journal(journal, attempt, tmp_path):
    spec = ServerSpec("web", FlavorId("m1"), (), (), user_data="c2VjcmV0")
    for step in (
        CreateServer("twin", spec),
        CreatePort("0", PORT),
        CreateVolume("d", Side.SOURCE, "d", VolumeSpec("v", 1)),
    ):
        journal.start(attempt, step)
        kept = journal.step(attempt, step.key).step
        assert kept.spec is None
        assert all(getattr(kept, f.name) == getattr(step, f.name) for f in fields(step) if f.name != "spec")
    assert b"c2VjcmV0" not in b"".join(f.read_bytes() for f in tmp_path.iterdir())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_user_data_is_in_no_file_of_the_data_dir_after_a_migration(tmp_path, shape):
    scene = Scene(tmp_path, shape)
    assert scene.workloads[0].params.user_data == USER_DATA
    scene.migrate()
    scene.close()
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert files
    assert not [f for f in files if USER_DATA.encode() in f.read_bytes()]


def test_unknown_schema_version_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(UserError, match="schema 99"):
        Journal(path)


@pytest.mark.parametrize("later", ["", TO_SECOND_SCHEMA], ids=["first", "second"])
def test_journal_of_an_earlier_schema_is_read_and_goes_on(tmp_path, later):
    path = tmp_path / "journal.sqlite"
    db = sqlite3.connect(path)
    db.executescript(FIRST_SCHEMA + later)
    db.execute(
        "INSERT INTO attempts (id, server_id, name, state, started) VALUES ('old', ?, 'web', 'running', 1)", (SERVER,)
    )
    db.commit()
    db.close()
    for _ in range(2):
        journal = Journal(path)
        assert [(a.id, a.destination, a.volume_id) for a in journal.unfinished()] == [("old", "", "")]
        assert [a.subject_id for a in journal.attempts(SERVER)] == [SERVER]
        journal.close()
    journal = Journal(path)
    assert journal.begin(SERVER, "web", destination="project").destination == "project"
    volume = journal.begin(NO_SERVER, "archive", volume_id=VOLUME)
    assert journal.attempts(VOLUME) == [volume]
    assert (volume.subject_id, volume.server_id) == (VOLUME, "")
    journal.close()


def test_only_the_owner_can_read_the_file(tmp_path):
    Journal(tmp_path / "journal.sqlite").close()
    assert (tmp_path / "journal.sqlite").stat().st_mode & 0o077 == 0


def test_another_connection_reads_while_a_migration_runs(tmp_path, journal, attempt):
    reader = Journal(tmp_path / "journal.sqlite")
    step = StopServer("source", SERVER)
    journal.start(attempt, step)
    assert [r.state for r in reader.steps(attempt)] == [StepState.STARTED]
    journal.record(attempt, step, StepState.MADE, SERVER)
    journal.set_state(attempt, AttemptState.ROLLING_BACK, "why")
    assert reader.step(attempt, step.key).result == SERVER
    assert reader.attempt(attempt).error == "why"
    reader.close()


def test_steps_come_back_in_the_order_in_which_they_began(journal, attempt):
    for step, _ in EXAMPLES:
        journal.start(attempt, step)
    assert [r.step for r in journal.steps(attempt)] == [step for step, _ in EXAMPLES]


def test_step_that_begins_again_keeps_its_place_and_its_result(tmp_path):
    now = iter([100.0, 101.0, 102.0, 150.0])
    journal = Journal(tmp_path / "j", lambda: next(now))
    attempt = journal.begin(SERVER, "web").id
    step = StopServer("source", SERVER)
    journal.start(attempt, step)
    journal.record(attempt, step, StepState.MADE, SERVER)
    journal.start(attempt, step)
    (record,) = journal.steps(attempt)
    assert (record.started, record.tried) == (101.0, 150.0)
    assert (record.state, record.result) == (StepState.MADE, SERVER)
    journal.close()


def test_recorded_error_is_cleared_by_success_and_state_keeps_its_error(journal, attempt):
    step = StopServer("source", SERVER)
    journal.start(attempt, step)
    journal.fail(attempt, step, "no")
    assert journal.step(attempt, step.key).error == "no"
    journal.record(attempt, step, StepState.DONE, SERVER)
    assert journal.step(attempt, step.key).error == ""
    journal.set_state(attempt, AttemptState.RUNNING, "first")
    journal.set_state(attempt, AttemptState.ROLLING_BACK)
    assert journal.attempt(attempt).error == "first"


def test_only_attempts_in_no_final_state_are_unfinished(journal):
    attempts = {state: journal.begin(SERVER, state).id for state in AttemptState}
    for state, attempt in attempts.items():
        journal.set_state(attempt, state)
    open_states = [a.state for a in journal.unfinished()]
    assert open_states == [s for s in AttemptState if s not in {AttemptState.MIGRATED, AttemptState.ROLLED_BACK}]
    assert all((a.ended is not None) == a.state.final for a in journal.attempts())


def test_unknown_attempt_is_the_users_error(journal):
    with pytest.raises(UserError, match="no attempt"):
        journal.attempt(AttemptId("nope"))


def test_seconds_of_a_stage_add_up_over_resumes(journal, attempt):
    for name, seconds in (("export", 1.0), ("transfer", 2.0), ("export", 0.5)):
        journal.leave_stage(attempt, name, seconds)
    assert journal.stage_seconds(attempt) == {"export": 1.5, "transfer": 2.0}


# Several threads ---------------------------------------------------------------------------------------------------------


def held_up(journal, acts):
    """Let all acts begin while the disk is at work; return their errors, and the statements that were executed."""
    said = []
    journal._db.set_trace_callback(said.append)
    with ThreadPoolExecutor(len(acts)) as threads:
        with journal._lock:
            futures = [threads.submit(act) for act in acts]
            while len(journal._waiting) < len(acts):
                time.sleep(0.001)
        return [future.exception() for future in futures], said


def test_those_who_wait_for_the_disk_are_written_together(journal):
    acts = [partial(journal.begin, ServerId(f"s{n}"), "web") for n in range(20)]
    errors, said = held_up(journal, acts)
    assert errors == [None] * 20
    assert said.count("COMMIT") == 1
    assert {a.server_id for a in journal.attempts()} == {f"s{n}" for n in range(20)}


def test_write_that_fails_is_nobody_elses_error(journal):
    twice = journal.begin(ServerId("s"), "web").id
    acts = [partial(journal.begin, ServerId(f"s{n}"), "web", twice if n == 3 else None) for n in range(8)]
    errors, said = held_up(journal, acts)
    assert [isinstance(error, JournalFailed) for error in errors] == [n == 3 for n in range(8)]
    assert "ROLLBACK" in said
    assert len(journal.attempts()) == 8


def test_what_waits_is_not_lost_with_the_thread_that_was_to_write_it(journal, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_commit", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            journal.begin(ServerId("s1"), "web")
    journal.begin(ServerId("s2"), "web")
    assert [a.server_id for a in journal.attempts()] == ["s1", "s2"]
