"""Log and state files of the workloads."""

import json
import stat

import pytest

from os_migrate import logs
from os_migrate.events import Note, Progress, StageStarted, StepFailed, WorkloadEnded, WorkloadStarted
from os_migrate.logs import LogFiles, Throttle, make_files


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path, clock):
    listener = LogFiles(tmp_path / "workload_logs", {"s1": "web"}, clock)
    yield listener
    listener.close()


def progress(done: int, total: int = 1000, disk: str = "/dev/vda", activity: str = "copy") -> Progress:
    return Progress(workload="s1", disk=disk, activity=activity, done_bytes=done, total_bytes=total)


def test_each_event_is_a_line_with_its_time(files, tmp_path):
    files(WorkloadStarted(workload="s1", name="web", attempt="a1", activity="migrate"))
    files(StageStarted(workload="s1", stage="export volumes"))
    files(StepFailed(workload="s1", step="CreateVolume:x", error="no\nspace"))
    files(Note(text="belongs to no workload"))
    lines = (tmp_path / "workload_logs" / "web.log").read_text().splitlines()
    assert [line.partition("Z ")[2] for line in lines[:3]] == [
        "migrate, attempt a1",
        "stage export volumes",
        "step CreateVolume:x failed: no",
    ]
    assert lines[3] == "    space"
    assert len(lines) == 4


def test_a_later_run_adds_to_the_log(tmp_path, clock):
    for _ in range(2):
        listener = LogFiles(tmp_path, {"s1": "web"}, clock)
        listener(StageStarted(workload="s1", stage="x"))
        listener.close()
    assert len((tmp_path / "web.log").read_text().splitlines()) == 2


def test_only_the_owner_can_read_them(files, tmp_path):
    files(WorkloadStarted(workload="s1", name="web", attempt="a1", activity="migrate"))
    directory = tmp_path / "workload_logs"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()} == {
        "web.log": 0o600,
        "web.state": 0o600,
    }


def test_the_state_file_has_percentages_by_device(files, tmp_path, clock):
    state = tmp_path / "workload_logs" / "web.state"
    files(WorkloadStarted(workload="s1", name="web", attempt="a1", activity="migrate"))
    assert json.loads(state.read_text()) == {}
    files(progress(500, activity="scan"))
    assert json.loads(state.read_text()) == {"/dev/vda": 0.0}
    clock.seconds += 2
    files(progress(123))
    assert json.loads(state.read_text()) == {"/dev/vda": 12.3}
    clock.seconds += 2
    files(progress(1000))
    files(progress(10, activity="verify"))
    files(progress(0, disk="/dev/vdb"))
    assert json.loads(state.read_text()) == {"/dev/vda": 100.0, "/dev/vdb": 0.0}


def test_the_state_file_is_written_once_a_second_at_most(files, tmp_path, clock, monkeypatch):
    written = []
    monkeypatch.setattr(logs, "write_atomically", lambda _file, text: written.append(text))
    for done in range(100):
        clock.seconds += 0.1
        files(progress(done))
    assert len(written) <= 12


def test_progress_is_logged_every_ten_seconds_and_at_its_end(files, tmp_path, clock):
    for done in range(0, 1001, 10):
        files(progress(done))
        clock.seconds += 0.25
    lines = (tmp_path / "workload_logs" / "web.log").read_text().splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith("copy /dev/vda: 100.0 % (1000 of 1000 bytes)")


def test_progress_of_unknown_size_is_not_all_done(clock):
    throttle = Throttle(10, clock)
    assert throttle.passes(progress(0, 0))
    assert not throttle.passes(progress(0, 0))
    assert logs.percent(0, 0) == 0.0


def test_a_log_that_cannot_be_written_stops_no_migration(tmp_path, clock):
    (tmp_path / "workload_logs").write_text("a file where the directory should be")
    listener = LogFiles(tmp_path / "workload_logs", {"s1": "web"}, clock)
    listener(WorkloadStarted(workload="s1", name="web", attempt="a1", activity="migrate"))
    listener(WorkloadEnded(workload="s1", name="web", outcome="migrated"))
    assert listener.failure


def test_percentages_of_an_earlier_process_go_on_until_the_workload_is_migrated_anew(tmp_path, clock):
    listener = LogFiles(tmp_path, {"s1": "web"}, clock)
    listener(progress(1000))
    later = LogFiles(tmp_path, {"s1": "web"}, clock)
    later(progress(500, disk="/dev/vdb"))
    assert json.loads((tmp_path / "web.state").read_text()) == {"/dev/vda": 100.0, "/dev/vdb": 50.0}
    anew = LogFiles(tmp_path, {"s1": "web"}, clock)
    anew(WorkloadStarted(workload="s1", name="web", attempt="a2", activity="migrate"))
    assert json.loads((tmp_path / "web.state").read_text()) == {}


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_state_file_that_is_none_is_begun_anew(tmp_path, clock, text):
    (tmp_path / "web.state").write_text(text)
    LogFiles(tmp_path, {"s1": "web"}, clock)(progress(500))
    assert json.loads((tmp_path / "web.state").read_text()) == {"/dev/vda": 50.0}


def test_files_are_made_empty_and_what_is_there_is_kept(tmp_path):
    log, state = make_files(tmp_path / "logs", "web")
    assert (log.read_text(), json.loads(state.read_text())) == ("", {})
    assert stat.S_IMODE(log.stat().st_mode) == stat.S_IMODE(state.stat().st_mode) == 0o600
    log.write_text("a line\n")
    state.write_text('{"/dev/vda": 100.0}\n')
    make_files(tmp_path / "logs", "web")
    assert (log.read_text(), state.read_text()) == ("a line\n", '{"/dev/vda": 100.0}\n')
