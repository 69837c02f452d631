"""The commands, on fake clouds and hosts; and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from os_migrate import batch, servers
from os_migrate.batch import Outcome, Result
from os_migrate.cli import app, cleanup, export, hosts, migration, plan, verify
from os_migrate.cli.app import hoisted
from os_migrate.errors import AccessRefused, CloudError, DigestMismatch, Interrupted, PlanError, Problem
from os_migrate.files.workloads import read_workloads, write_workloads
from os_migrate.hosts.deploy import Deployed
from os_migrate.hosts.hosting import MARK_KEY
from os_migrate.journal import AttemptState
from os_migrate.model import AttemptId, Side, Tag, VolumeSpec
from os_migrate.session import Session
from os_migrate.workload import Workload
from tests.fakes.host import FakeHost
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import Shape


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, object]:
        (line,) = [line for line in self.lines if line["event"] == "result"]
        return line


class Commands:
    """The command line over a scene of two fake clouds."""

    def __init__(self, scene: Scene, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = scene
        self.directory = directory
        self.sessions: list[tuple[bool, bool]] = []
        for module in (cleanup, export, migration, hosts, plan, verify):
            monkeypatch.setattr(module, "open_session", self._open)

    def __call__(self, *words: str) -> Ran:
        argv = ["--data-dir", str(self.directory), *words]
        done = CliRunner().invoke(app, hoisted(argv), catch_exceptions=False)
        return Ran(done.exit_code, done.stdout, done.stderr)

    def json(self, *words: str) -> Ran:
        return self(*words, "--json")

    @property
    def file(self) -> Path:
        return self.directory / "workloads.yml"

    @contextmanager
    def _open(self, settings, events, *, hosts, lock, checks_hosts=False):
        self.sessions.append((hosts, lock))
        world = replace(self.scene.world, events=events)
        sides = {Side.SOURCE: self.scene.source, Side.DESTINATION: self.scene.destination}
        yield Session(settings, self.scene.journal, world, sides)


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path, Shape("one", data_volumes=1), Shape("two", data_volumes=1))


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    commands = Commands(scene, tmp_path, monkeypatch)
    write_workloads(commands.file, scene.workloads)
    return commands


def outcomes_of(ran: Ran) -> dict[str, str]:
    outcomes = ran.result["outcomes"]
    assert isinstance(outcomes, list)
    return {outcome["name"]: outcome["result"] for outcome in outcomes}


# Migrate ----------------------------------------------------------------------------------------------------------------


def test_migrate_migrates_what_the_file_describes(run):
    done = run("migrate")
    assert done.exit_code == 0, done.err
    run.scene.assert_migrated()
    assert "digests equal: " in done.out
    assert done.out.splitlines()[-1] == "2 migrated"


def test_a_second_migrate_changes_nothing_and_says_so(run):
    run("migrate")
    before = run.scene.picture()
    again = run("migrate")
    assert again.exit_code == 0
    assert again.out.splitlines()[-1] == "2 skipped"
    assert "already migrated" in again.out
    assert run.scene.picture() == before


def test_import_workloads_is_migrate(run):
    assert outcomes_of(run.json("import", "workloads")) == {"web 0": "migrated", "web 1": "migrated"}


@pytest.mark.parametrize(
    "words", [["web 1"], ["--filter", "web 1"], ["--filter", "~1$"], ["--set", "os_migrate_workloads_filter=[web 1]"]]
)
def test_servers_can_be_chosen(run, words):
    assert outcomes_of(run.json("migrate", *words)) == {"web 1": "migrated"}


def test_a_server_can_be_named_by_id(run):
    assert outcomes_of(run.json("migrate", run.scene.workloads[0].id)) == {"web 0": "migrated"}


def test_an_unknown_name_is_refused_with_the_known_ones(run):
    done = run("migrate", "web 2")
    assert done.exit_code == 2
    assert "Error: there is no server 'web 2' in workloads.yml\n  there are: 'web 0', 'web 1'" in done.err


def test_a_name_of_several_is_refused_with_their_ids(run):
    twins = [replace(w, params=replace(w.params, name="same")) for w in run.scene.workloads]
    write_workloads(run.file, twins)
    done = run("migrate", "same")
    assert done.exit_code == 2
    assert all(w.id in done.err for w in twins)


def test_a_filter_that_matches_nothing_ends_with_2(run):
    done = run("migrate", "--filter", "nobody")
    assert done.exit_code == 2
    assert "matches none of the servers in workloads.yml" in done.err


def test_a_bad_pattern_ends_with_2(run):
    done = run("migrate", "--filter", "~(")
    assert done.exit_code == 2
    assert "bad regular expression" in done.err


def test_hosts_are_opened_also_where_nothing_is_copied_for_they_tell_that_it_is_worked_on(run):
    run("migrate", "--set", "os_migrate_workloads_data_copy=false")
    run("migrate")
    assert run.sessions == [(True, True), (True, True)]


def test_logs_and_states_are_written_for_each_server(run):
    run("migrate")
    names = {p.name for p in (run.directory / "workload_logs").iterdir()}
    stems = [f"web_{number}-{w.id}" for number, w in enumerate(run.scene.workloads)]
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".log", ".state")}
    state = json.loads((run.directory / "workload_logs" / f"{stems[0]}.state").read_text())
    assert set(state.values()) == {100.0}
    assert len(state) == 2


def test_mistakes_in_the_file_end_with_2_and_are_all_told(run):
    text = run.file.read_text().replace("key_name:", "kye_name:").replace("data_copy: true", "data_copy: 1")
    run.file.write_text(text)
    done = run("migrate")
    assert done.exit_code == 2
    assert done.err.startswith(
        f"Error: nothing was touched, there are {text.count('kye_name') + text.count('data_copy: 1')} problems:\n"
    )
    assert f"{run.file}:" in done.err
    assert run.sessions == []


def test_no_file_says_to_export_first(run):
    run.file.unlink()
    done = run("migrate")
    assert done.exit_code == 2
    assert "os-migrate export workloads" in done.err


# How it ends ------------------------------------------------------------------------------------------------------------


def engine(monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> list[Sequence[Workload]]:
    """Put an engine in place whose workloads end with the given errors."""
    asked: list[Sequence[Workload]] = []

    def migrate(_world, _journal, workloads, _settings) -> list[Outcome]:
        asked.append(workloads)
        pairs = zip(workloads, errors, strict=True)
        return [
            Outcome(w.id, w.name, Result.MIGRATED if error is None else Result.ROLLED_BACK, str(error or ""), error)
            for w, error in pairs
        ]

    monkeypatch.setattr(batch, "migrate", migrate)
    return asked


@pytest.mark.parametrize(
    ("errors", "exit_code"),
    [
        ((None, None), 0),
        ((None, DigestMismatch("differs", remedy="look at it")), 5),
        ((CloudError("quota"), DigestMismatch("differs")), 3),
        ((PlanError([Problem("here", "bad")]), None), 2),
    ],
)
def test_a_run_ends_with_the_code_of_the_first_failure(run, monkeypatch, errors, exit_code):
    engine(monkeypatch, *errors)
    done = run("migrate")
    assert done.exit_code == exit_code
    for error in filter(None, errors):
        assert getattr(error, "what", "") in done.err or "here: bad" in done.err


def test_json_tells_events_then_one_result(run, monkeypatch):
    done = run.json("migrate")
    assert {"workload_started", "stage_started", "progress", "workload_ended"} <= {line["event"] for line in done.lines}
    assert done.lines[-1]["event"] == "result"
    outcome = done.result["outcomes"][0]  # type: ignore[index]
    assert outcome["report"]["disks"][0]["source_digest"] == outcome["report"]["disks"][0]["destination_digest"]
    engine(monkeypatch, None, CloudError("quota", remedy="ask for more"))
    error = run.json("migrate").result["outcomes"][1]["error"]  # type: ignore[index]
    assert error == {"kind": "CloudError", "exit_code": 3, "what": "quota", "remedy": "ask for more"}


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def migrate(*_: object) -> None:
        raise error

    monkeypatch.setattr(batch, "migrate", migrate)


def test_an_interrupted_run_ends_with_6_and_the_command_that_resumes(run, monkeypatch):
    raising(monkeypatch, Interrupted("stopped while web was in progress", remedy="`os-migrate resume a1`"))
    done = run("migrate")
    assert (done.exit_code, "os-migrate resume a1" in done.err) == (6, True)
    raising(monkeypatch, KeyboardInterrupt())
    done = run("migrate")
    assert (done.exit_code, "os-migrate resume" in done.err) == (6, True)


class NoTwinAndNoWayBack(Hook):
    """Refuse the twin, and then that its volumes go back to the source server."""

    def __init__(self) -> None:
        super().__init__()
        self.struck = False

    def before(self, call: Call) -> None:
        super().before(call)
        if call.verb == "create_server":
            self.struck = True
            raise CloudError("no valid host", remedy="another flavor")
        if self.struck and call.verb == "attach_volume":
            raise CloudError("does not attach")


def test_first_error_is_read_first_and_what_the_undo_met_after_it(run):
    run.scene.seam.hook = NoTwinAndNoWayBack()
    done = run("migrate", "web 0")
    assert done.exit_code == 7
    before, first, second = done.err.split("Error: ")
    assert before.endswith("rollback incomplete\n")
    assert first == "no valid host\n  another flavor\n"
    assert second.splitlines()[1] == "  still standing:"
    assert "does not attach" in second


def test_machines_get_the_first_error_and_what_the_undo_met_too(run):
    run.scene.seam.hook = NoTwinAndNoWayBack()
    (outcome,) = run.json("migrate", "web 0").result["outcomes"]
    assert (outcome["error"]["kind"], outcome["error"]["what"]) == ("CloudError", "no valid host")
    assert outcome["later_error"]["kind"] == "RollbackIncomplete"
    assert len(outcome["later_error"]["standing"]) >= 1


def test_a_fault_of_ours_is_a_block_and_with_verbose_a_traceback(run, monkeypatch):
    raising(monkeypatch, ZeroDivisionError("oops"))
    done = run("migrate")
    assert done.exit_code == 1
    assert "Error: ZeroDivisionError: oops\n  this is a fault of OS Migrate" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in run("migrate", "--verbose").err


def test_errors_are_json_lines_too(run):
    done = run.json("migrate", "nobody")
    assert done.lines[-1]["event"] == "error"
    assert (done.lines[-1]["exit_code"], done.lines[-1]["kind"]) == (2, "UserError")


def test_wrong_settings_are_all_told(run):
    done = run("status", "--set", "os_migrate_tiemout=1", "--set", "os_migrate_timeout=soon")
    assert done.exit_code == 2
    assert "there are 2 problems" in done.err
    assert "did you mean os_migrate_timeout?" in done.err


# Resume, rollback, status -----------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(run, monkeypatch) -> Commands:
    """Stop a migration half-way."""

    def stop(self, volume_id, timeout_s, *, read_only):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(run.scene.destination_host), "await_device", stop)
        done = run("migrate", "web 0")
    assert done.exit_code == 6, done.err
    assert f"os-migrate resume {run.scene.journal.unfinished()[0].id}" in done.err
    return run


def test_resume_finishes_what_was_interrupted(interrupted):
    done = interrupted("resume")
    assert done.exit_code == 0, done.err
    assert interrupted.scene.state is AttemptState.MIGRATED
    assert interrupted("resume").out == "Nothing is open.\n"


@pytest.mark.parametrize("by", ["name", "id", "attempt"])
def test_rollback_undoes_what_was_interrupted(interrupted, by):
    (attempt,) = interrupted.scene.journal.unfinished()
    which = {"name": "web 0", "id": attempt.server_id, "attempt": attempt.id}[by]
    done = interrupted("rollback", which)
    assert done.exit_code == 0, done.err
    assert "rolled back" in done.out
    interrupted.scene.assert_as_before()


def test_resume_of_what_is_not_open_is_refused(interrupted):
    done = interrupted("resume", "web 1")
    assert done.exit_code == 2
    assert "nothing is open for 'web 1'" in done.err
    assert "'web 0'" in done.err


def test_status_shows_what_is_open_what_stands_and_what_to_do(interrupted):
    interrupted.sessions.clear()
    (attempt,) = interrupted.scene.journal.unfinished()
    shown = interrupted("status").out
    assert f"web 0 ({attempt.server_id})  running in stage export volumes  attempt {attempt.id}" in shown
    stands = shown.split("stands:\n")[1]
    assert "source volume volume-" in stands
    assert "Survey" not in stands
    assert f"os-migrate rollback {attempt.id}" in shown
    assert "CreateVolume" not in shown.split("stands:")[0]
    assert "CreateVolume" in interrupted("status", "web 0", "--steps").out
    assert interrupted.sessions == []


def test_status_tells_of_a_step_that_a_crash_left_open(interrupted):
    journal = interrupted.scene.journal
    (attempt,) = journal.unfinished()
    made = next(r for r in journal.steps(attempt.id) if r.step.key.startswith("CreateVolume"))
    journal.start(attempt.id, replace(made.step, subject="another"))
    assert "CreateVolume:another: begun; whether" in interrupted("status").out


def test_status_as_json_has_the_steps(interrupted):
    done = interrupted.json("status", "web 0", "--steps")
    attempt = done.result["attempts"][0]  # type: ignore[index]
    assert attempt["state"] == "running"
    assert attempt["standing"]
    assert {step["state"] for step in attempt["steps"]} >= {"done"}


def test_status_of_nothing_says_so(tmp_path):
    done = CliRunner().invoke(app, ["--data-dir", str(tmp_path / "new"), "status"])
    assert done.exit_code == 0
    assert "Nothing was migrated" in done.stdout
    assert not (tmp_path / "new").exists()


def test_status_of_an_unknown_server_is_refused(interrupted):
    assert interrupted("status", "nobody").exit_code == 2


# Export -----------------------------------------------------------------------------------------------------------------


def test_export_writes_the_file_and_says_what_is_new(run):
    run.file.unlink()
    done = run("export", "workloads")
    assert done.exit_code == 0, done.err
    assert {w.id for w in run.scene.workloads} <= {w.id for w in read_workloads(run.file)}
    assert "added    web 0" in done.out
    assert run.sessions == [(False, False)]
    again = run("export", "workloads")
    assert "added" not in again.out
    assert "changed" not in again.out


def test_what_was_exported_migrates(run):
    run.file.unlink()
    run("export", "workloads", "--filter", "~^web")
    assert outcomes_of(run.json("migrate")) == {"web 0": "migrated", "web 1": "migrated"}


def test_an_export_with_a_filter_leaves_the_rest_of_the_file(run):
    before = read_workloads(run.file)
    run("export", "workloads", "--filter", "web 1")
    after = read_workloads(run.file)
    assert [w.id for w in after] == [w.id for w in before]
    assert after[0] == before[0]


def test_edits_to_migration_params_survive_unless_told_otherwise(run):
    run.file.write_text(run.file.read_text().replace("boot_disk_copy: true", "boot_disk_copy: false"))
    edited = [w.migration for w in read_workloads(run.file)]
    run("export", "workloads")
    assert [w.migration for w in read_workloads(run.file)][:2] == edited
    run("export", "workloads", "--overwrite-migration-params")
    modes = [w.migration.port_creation_mode for w in read_workloads(run.file)]
    assert set(modes) == {"nova"}


def test_a_server_that_is_gone_leaves_the_file_and_is_named(run):
    ghost = replace(run.scene.workloads[0], info=replace(run.scene.workloads[0].info, id="ghost"))
    write_workloads(run.file, [ghost, *run.scene.workloads])
    done = run("export", "workloads")
    assert "gone     web 0 (ghost)" in done.out
    assert "ghost" not in {w.id for w in read_workloads(run.file)}


def test_an_export_never_records_a_half_done_migration(interrupted):
    before = read_workloads(interrupted.file)
    done = interrupted("export", "workloads")
    assert done.exit_code == 2
    assert "their migration is unfinished: 'web 0'" in done.err
    after = {w.id: w for w in read_workloads(interrupted.file)}
    assert after[before[0].id] == before[0]


def test_an_export_drops_what_began_to_migrate_meanwhile(run, monkeypatch):
    run.file.unlink()
    one, two = run.scene.workloads
    export_all = servers.export_all

    def during(*args: object):
        found = export_all(*args)
        run.scene.journal.begin(one.id, one.name)
        return found

    monkeypatch.setattr(servers, "export_all", during)
    run("export", "workloads")
    ids = {w.id for w in read_workloads(run.file)}
    assert one.id not in ids
    assert two.id in ids


def test_conversion_hosts_are_never_exported(run):
    for key in list(run.scene.source._machines):
        machine = run.scene.source._machines[key]
        if machine.view.name == "conv":
            machine.view = replace(machine.view, metadata={"conversion_host": "true"})
    done = run("export", "workloads")
    assert "conv" not in {w.name for w in read_workloads(run.file)}
    assert "a conversion host" in done.out


# Hosts ------------------------------------------------------------------------------------------------------------------


def test_hosts_are_not_deleted_under_an_open_migration(interrupted, monkeypatch):
    deleted = []
    monkeypatch.setattr(hosts.hosts, "delete", lambda *args: deleted.append(args) or ())
    done = interrupted("hosts", "delete")
    assert done.exit_code == 2
    assert "migrations are open that need the conversion hosts: 'web 0'" in done.err
    assert deleted == []
    assert interrupted("hosts", "delete", "--force").exit_code == 0
    assert len(deleted) == 1


@pytest.fixture
def hosts_of_another(run, monkeypatch) -> Commands:
    """Let hosts be there on which the migrator of another data dir is at work: this one's journal knows nothing of it."""
    mine = {Side.SOURCE: run.scene.source_host, Side.DESTINATION: run.scene.destination_host}
    for side, host in mine.items():
        machine = host.cloud._machines[host.server_id]
        machine.view = replace(machine.view, name="os_migrate_conv_" + side[:3], metadata={MARK_KEY: side.value})
    settings = [f"--set=os_migrate_{s}_conversion_manage_fip=false" for s in ("src", "dst")]
    settings += [
        f"--set=os_migrate_{s}_conversion_host_name=os_migrate_conv_{n}" for s, n in (("src", "sou"), ("dst", "des"))
    ]
    by_id = {host.server_id: host for host in mine.values()}
    monkeypatch.setattr(hosts.hosts, "open_remote_host", lambda _settings, _name, server_id, _address: by_id[server_id])
    monkeypatch.setattr(hosts.hosts, "delete", lambda *_: ())
    monkeypatch.setattr(FakeHost, "close", lambda _: None, raising=False)
    return lambda *words: run("hosts", "delete", *settings, *words)


@pytest.mark.parametrize("side", Side)
def test_hosts_are_not_deleted_under_another_migrator(run, hosts_of_another, side):
    assert hosts_of_another().exit_code == 0
    host = run.scene.source_host if side is Side.SOURCE else run.scene.destination_host
    host.hold(AttemptId("0123456789"))
    done = hosts_of_another()
    assert done.exit_code == 2
    assert "a migrator works through the conversion hosts on attempt 0123456789" in done.err
    assert hosts_of_another("--force").exit_code == 0
    other = next(s for s in Side if s is not side)
    assert hosts_of_another("--side", other).exit_code == 0


def test_host_that_cannot_be_asked_is_deleted_unless_volumes_of_a_migration_hang_on_it(
    run, hosts_of_another, monkeypatch
):
    def silent(_self):
        raise AccessRefused("its host key isn't known")

    monkeypatch.setattr(FakeHost, "attempts", silent)
    assert hosts_of_another().exit_code == 0
    cloud, tag = run.scene.source, Tag(AttemptId("0123456789"), "CreateVolume:source /dev/vda")
    volume_id = cloud.create_volume(VolumeSpec("v", 1, metadata=tag.metadata()))
    cloud.await_volume(volume_id, "available", 60)
    cloud.attach_volume(run.scene.source_host.server_id, volume_id, device=None, delete_on_termination=False)
    done = hosts_of_another()
    assert done.exit_code == 2
    assert "0123456789" in done.err


@pytest.mark.parametrize("command", ["deploy", "delete"])
def test_one_side_can_be_chosen(run, monkeypatch, command):
    seen = []

    def act(_clouds, settings, *_):
        seen.append([(getattr(settings.host(side), command)) for side in Side])
        return Deployed((), ()) if command == "deploy" else ()

    monkeypatch.setattr(hosts.hosts, command, act)
    for side in ([], ["--side", "source"], ["--side", "destination"]):
        assert run("hosts", command, *side).exit_code == 0
    assert seen == [[True, True], [True, False], [False, True]]


def test_hosts_that_are_not_ready_end_with_4(run, monkeypatch):
    problems = (
        Problem("source conversion host 'x'", "it isn't there", "deploy"),
        Problem("destination conversion host 'y'", "lacks nbdcopy"),
    )
    monkeypatch.setattr(hosts.hosts, "check", lambda *_: problems)
    done = run("hosts", "check")
    assert done.exit_code == 4
    assert "it isn't there" in done.err
    assert "lacks nbdcopy" in done.err
    assert "nbdcopy" not in run("hosts", "check", "--side", "source").err
    monkeypatch.setattr(hosts.hosts, "check", lambda *_: ())
    assert run("hosts", "check").exit_code == 0


# Words ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "hoped"),
    [
        (["migrate", "a", "--json"], ["--json", "migrate", "a"]),
        (["migrate", "--set", "x=1", "a", "-q"], ["--set", "x=1", "-q", "migrate", "a"]),
        (["migrate", "--data-dir=/x"], ["--data-dir=/x", "migrate"]),
        (["migrate", "--filter", "a"], ["migrate", "--filter", "a"]),
        (["migrate", "--", "--json"], ["migrate", "--", "--json"]),
        (["migrate", "--set"], ["migrate", "--set"]),
    ],
)
def test_global_options_may_stand_behind_the_command(given, hoped):
    assert hoisted(given) == hoped


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["export", "workloads"],
        ["import", "workloads"],
        ["migrate"],
        ["resume"],
        ["rollback"],
        ["status"],
        ["hosts", "deploy"],
        ["hosts", "check"],
        ["hosts", "delete"],
    ],
)
def test_help_teaches_with_an_example(words):
    done = CliRunner().invoke(app, [*words, "--help"], terminal_width=120)
    assert done.exit_code == 0
    assert f"os-migrate {' '.join(words) or 'migrate'}" in " ".join(done.stdout.split())


@pytest.mark.parametrize("words", [["migrate", "--nonsense"], ["nonsense"], ["--set", "novalue", "status"]])
def test_wrong_words_end_with_2(words):
    assert CliRunner().invoke(app, words).exit_code == 2


STOPPED = """
import sys, time
from os_migrate.files import config
from os_migrate.cli import main, status
def wait(_):
    print("waiting", flush=True)
    time.sleep(60)
status.has_journal = wait
sys.argv = ["os-migrate", "--data-dir", sys.argv[1], "status"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_stops_as_ctrl_c_does(tmp_path, number):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 6
    assert "os-migrate resume" in err
    assert time.monotonic() - began < 20
