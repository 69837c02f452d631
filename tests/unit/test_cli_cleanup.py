"""`os-migrate cleanup`, as its user sees it."""

import pytest

from os_migrate.errors import HostUnreachable
from os_migrate.journal import AttemptState
from os_migrate.model import AttemptId, ServerStatus
from tests.crash.instants import Survey, die
from tests.fakes.host import FakeHost
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.workloads import BY_NAME
from tests.unit.test_cli import Commands, outcomes_of

RICH = BY_NAME["volume_boot_two_volumes_running"]


@pytest.fixture
def scene(tmp_path) -> Scene:
    """Return a scene whose migrator died in the middle, with its data dir."""
    (tmp_path / "measured").mkdir()
    measured = Scene(tmp_path / "measured", RICH)
    survey = Survey(measured)
    measured.migrate(survey)
    measured.close()
    scene = Scene(tmp_path, RICH)
    assert die(scene.migrate, survey.instants[len(survey.instants) // 2])
    return scene


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    """Return the commands of an operator who has lost the data dir; the migrator's connections are gone too."""
    for host in scene.hosts:
        host.held.clear()
    scene.seam.hook = Hook()
    scene.journal.set_state(attempt_of(scene), AttemptState.ROLLED_BACK)  # as good as lost
    return Commands(scene, tmp_path, monkeypatch)


def attempt_of(scene: Scene) -> AttemptId:
    return scene.journal.attempts()[0].id


def test_dry_run_lists_what_stands_and_touches_nothing(run, scene):
    before = scene.picture()
    done = run("cleanup", "--dry-run")
    assert done.exit_code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"attempt {attempt_of(scene)} of web 0 ({scene.workloads[0].id}): to be undone"
    assert (
        f"  source server {scene.workloads[0].id} is stopped: openstack server start {scene.workloads[0].id}" in lines
    )
    assert scene.picture() == before


def test_yes_removes_it_all(run, scene):
    done = run("cleanup", "--yes")
    assert done.exit_code == 0, done.err
    scene.assert_as_before()
    assert done.out.splitlines()[-1] == "1 rolled back"
    assert run("cleanup", "--dry-run").out == "Nothing is left.\n"


def test_result_is_given_to_machines(run):
    assert outcomes_of(run.json("cleanup", "--yes")) == {"web 0": "rolled back"}


def test_nothing_is_done_where_nobody_can_be_asked(run, scene):
    before = scene.picture()
    for done in (run("cleanup"), run.json("cleanup")):
        assert done.exit_code == 2
    assert scene.picture() == before


def test_attempts_can_be_named(run, scene):
    done = run("cleanup", "0123456789", "--yes")
    assert done.exit_code == 2
    assert f"there is something of: '{attempt_of(scene)}'" in done.err
    assert run("cleanup", attempt_of(scene), "--yes").exit_code == 0
    scene.assert_as_before()


def test_what_a_migrator_works_on_is_left_alone_unless_it_is_named_with_force(run, scene):
    scene.destination_host.hold(attempt_of(scene))
    before = scene.picture()
    done = run("cleanup", "--yes")
    assert done.exit_code == 0
    assert "left alone: a migrator works on it" in done.out
    assert scene.picture() == before
    assert run("cleanup", "--yes", "--force").exit_code == 2
    assert run("cleanup", attempt_of(scene), "--yes", "--force").exit_code == 0
    scene.assert_as_before()


def test_what_is_open_in_this_data_dir_is_for_resume_or_rollback(run, scene):
    scene.journal.set_state(attempt_of(scene), AttemptState.RUNNING)
    done = run("cleanup", "--yes")
    assert done.exit_code == 0
    assert f"`os-migrate rollback {attempt_of(scene)}`" in done.out


def test_host_that_runs_and_does_not_answer_stops_it_before_anything_is_touched(run, scene, monkeypatch):
    def silent(_self):
        raise HostUnreachable("no route to host", remedy="see the network")

    monkeypatch.setattr(FakeHost, "attempts", silent)
    before = scene.picture()
    done = run("cleanup", "--yes")
    assert done.exit_code == 4
    assert "or stop its server" in done.err
    assert scene.picture() == before


def test_host_that_is_off_holds_nothing(run, scene):
    scene.destination.stop_server(scene.destination_host.server_id)
    scene.destination.await_server(scene.destination_host.server_id, ServerStatus.SHUTOFF, 60)
    scene.destination_host.reboot()
    scene.destination_host.hold(attempt_of(scene))
    done = run("cleanup", "--dry-run")
    assert "to be undone" in done.out
