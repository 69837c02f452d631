"""The migrator dies, and its journal is lost: `cleanup` brings both clouds to an end from what they hold."""

import time
from dataclasses import replace

import pytest

from os_migrate import batch, cleanup, run
from os_migrate.batch import Outcome, Result
from os_migrate.errors import CloudError, CloudUnavailable, HostError, UserError
from os_migrate.journal import AttemptState
from os_migrate.model import AttemptId, Loan, ServerStatus, Side, Tag, VolumeSpec
from os_migrate.run import GRACE_S
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Commit, FailAt, Survey, die, sample
from tests.crash.test_crashes import CASES, COMMITTED, IDS, RICH, instants
from tests.fakes.cloud import FakeCloud
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import BY_NAME, add_host

BROUGHT = BY_NAME["volumes_brought"]
FIRST_DEATHS = 12
SECOND_DEATHS = 9
LAST = 60


def assert_clean(scene: Scene, outcomes: list[Outcome], died: AttemptState | None) -> None:
    """Check the end that fits what was found; a twin that just runs may lack what comes after it."""
    assert all(o.error is None for o in outcomes), outcomes
    assert cleanup.find(scene.world, ()) == []
    scene.give_what_no_cleanup_knows()
    if died in COMMITTED or any(o.result is Result.MIGRATED for o in outcomes):
        scene.assert_migrated(floating_ips=False, dress=False)
    else:
        scene.assert_as_before()


@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_cleanup_ends_what_died_at_any_instant(scenes: Scenes, points: Points, shape, latency):
    ends = set()
    for number in points(instants(scenes, shape, latency)):
        with scenes(shape, latency=latency) as scene:
            assert die(scene.migrate, number)
            died = scene.state
            scene.clock.sleep(GRACE_S)
            outcomes = scene.cleanup()
            ends |= {o.result for o in outcomes}
            assert_clean(scene, outcomes, died)
    assert ends == {Result.ROLLED_BACK, Result.MIGRATED}


def test_cleanup_that_dies_is_made_good_by_another(scenes: Scenes, points: Points):
    for number in sample(instants(scenes, RICH, CASES[0][1]), FIRST_DEATHS):
        with scenes(RICH) as scene:
            die(scene.migrate, number)
            second = Survey(scene)
            scene.cleanup(second)
        for again in points(sample(second.instants, SECOND_DEATHS)):
            with scenes(RICH) as scene:
                die(scene.migrate, number)
                died = scene.state
                die(scene.cleanup, again)
                assert_clean(scene, scene.cleanup(), died)


def test_what_is_worked_on_is_left_alone(scenes: Scenes):
    with scenes(RICH) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
        middle = survey.instants[len(survey.instants) // 2]
    with scenes(RICH) as scene:
        die(scene.migrate, middle)
        scene.seam.hook = Hook()
        (attempt,) = scene.journal.unfinished()
        (held,) = cleanup.find(scene.world, ())
        assert held.busy == "a migrator works on it"
        assert cleanup.clean_up(scene.world, [held], scene.settings) == []
        (forced,) = cleanup.find(scene.world, (), although_held=[attempt.id])
        assert forced.ready
        (open_here,) = cleanup.find(scene.world, [attempt.id], although_held=[attempt.id])
        assert "os-migrate rollback" in open_here.busy


def left(scenes: Scenes, scene: Scene) -> AttemptId:
    """Let a migrator die in the middle; return its attempt, which nobody holds any more."""
    die(scene.migrate, sample(instants(scenes, RICH, CASES[0][1]), 3)[1])
    scene.seam.hook = Hook()
    for host in scene.hosts:
        host.held.clear()
    return scene.journal.unfinished()[0].id


def test_workload_without_a_copy_is_held_too_where_there_are_hosts(scenes: Scenes):
    with scenes(BROUGHT) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
    held = 0
    for number in survey.instants:
        with scenes(BROUGHT) as scene:
            die(scene.migrate, number)
            scene.seam.hook = Hook()
            found = cleanup.find(scene.world, ())
            held += len(found)
            assert all(f.busy == "a migrator works on it" for f in found)
    assert held


@pytest.mark.parametrize("status", ["ACTIVE", "REBOOT"])
def test_conversion_host_that_cannot_be_asked_stops_it(scenes: Scenes, status):
    """Of other settings, or in the middle of something: who knows what goes on there."""
    with scenes(RICH) as scene:
        left(scenes, scene)
        machine = scene.source._machines[add_host(scene.source, "conv of others")]
        known = {"ACTIVE": ServerStatus.ACTIVE}.get(status, ServerStatus.OTHER)
        machine.view = replace(machine.view, metadata={"conversion_host": "true"}, status=known, raw_status=status)
        with pytest.raises(HostError, match="is a conversion host, and isn't the one of these settings"):
            cleanup.find(scene.world, ())
        machine.view = replace(machine.view, status=ServerStatus.SHUTOFF, raw_status="SHUTOFF")
        (found,) = cleanup.find(scene.world, ())
        assert found.ready


def test_host_that_reboots_is_asked_all_the_same(scenes: Scenes):
    with scenes(RICH) as scene:
        scene.destination_host.hold(left(scenes, scene))
        machine = scene.destination._machines[scene.destination_host.server_id]
        machine.view = replace(machine.view, status=ServerStatus.OTHER, raw_status="REBOOT")
        (found,) = cleanup.find(scene.world, ())
        assert found.busy == "a migrator works on it"


def test_twin_whose_source_is_in_another_project_is_not_finished_without_it(scenes: Scenes):
    """Else the next clean-up would find its source on loan and no twin, and would start it."""
    with scenes(RICH) as scene:
        scene.migrate(FailAt(survey_of(scenes).index(Call("destination", "describe_port")), CloudError))
        assert scene.state is AttemptState.COMMITTED
        scene._restart(None)
        elsewhere = FakeCloud("elsewhere", scene.clock, scene.seam)
        (found,) = cleanup.find(replace(scene.world, source=elsewhere, source_host=None), ())
        assert f"its source server {scene.workloads[0].id} isn't in this source project" in found.problem
        (here,) = cleanup.find(scene.world, ())
        assert here.ready


def survey_of(scenes: Scenes) -> list[Call]:
    """Return all calls of a migration."""
    with scenes(RICH) as scene:
        scene.migrate(hook := Hook())
        return hook.calls


def test_what_no_host_can_tell_of_needs_the_word_of_the_operator(scenes: Scenes):
    with scenes(RICH) as scene:
        attempt = left(scenes, scene)
        for host in scene.hosts:
            machine = host.cloud._machines[host.server_id]
            off = {"status": ServerStatus.SHUTOFF, "raw_status": "SHUTOFF"}
            machine.view = replace(machine.view, metadata={"conversion_host": "true"}, **off)
        blind = replace(scene.world, source_host=None, destination_host=None)
        (found,) = cleanup.find(blind, ())
        assert "no host is there to tell whether a migrator works on it" in found.problem
        (forced,) = cleanup.find(blind, (), although_held=[attempt])
        assert forced.ready


@pytest.mark.parametrize("act", ["resume", "rollback"])
def test_what_a_cleanup_works_on_is_left_to_it(scenes: Scenes, act):
    with scenes(RICH) as scene:
        left(scenes, scene)
        found = cleanup.find(scene.world, ())
        refused = []

        class Another(Hook):
            def before(self, call):
                super().before(call)
                if call.verb == "stop" and not refused:
                    refused.append(other(scene, act))
                    assert [f.busy for f in cleanup.find(scene.world, ())] == ["a clean-up works on it"]

        scene.seam.hook = Another()
        (outcome,) = cleanup.clean_up(scene.world, found, scene.settings)
        assert outcome.result is Result.ROLLED_BACK
        (error,) = refused
        assert "a clean-up from another data dir works on it" in error
        scene.assert_as_before()


def other(scene: Scene, act: str) -> str:
    """Return how a migrator elsewhere is refused that still has the journal."""
    attempts = scene.journal.unfinished()
    given = [attempts, scene.workloads] if act == "resume" else [attempts]
    with pytest.raises(UserError) as caught:
        getattr(batch, act)(scene.world, scene.journal, *given, scene.settings)
    return str(caught.value)


def test_attempt_is_held_again_when_its_connection_broke(scenes: Scenes, monkeypatch):
    monkeypatch.setattr(run, "HOLD_AGAIN_S", 0.01)
    with scenes(RICH) as scene:
        attempt = AttemptId("0123456789")
        with run.held(scene.world, attempt):
            assert all(attempt in host.held for host in scene.hosts)
            scene.destination_host.held.clear()
            deadline = time.monotonic() + 20
            while attempt not in scene.destination_host.held:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_twin_whose_source_was_started_before_the_commit_is_for_a_person_to_judge(scenes: Scenes):
    with scenes(RICH) as scene:
        commit = Commit(scene)
        scene.migrate(commit)
    with scenes(RICH) as scene:
        die(scene.migrate, commit.number)
        scene.owner_starts(scene.workloads[0])
        assert scene.cleanup() == []
        (found,) = cleanup.find(scene.world, ())
        (twin,) = scene.twins(scene.workloads[0])
        assert found.problem == f"its source server runs too: stop that to keep {twin}, or delete {twin} to keep that"
        scene.destination.delete_server(twin)
        assert_clean(scene, scene.cleanup(), None)


def test_lent_volume_that_is_on_another_server_now_is_for_a_person_to_detach(scenes: Scenes):
    problems = [p for number in instants(scenes, RICH, CASES[0][1]) if (p := problem_after_theft(scenes, number))]
    assert problems
    assert all("attached to another server" in problem for problem in problems)


def problem_after_theft(scenes: Scenes, number: int) -> str | None:
    """Return what is said when a lent volume was attached to a server of its owner; None if none is free at that instant."""
    with scenes(RICH, RICH) as scene:
        die(scene.migrate, number)
        scene.seam.hook = Hook()
        free = [v for v in scene.source.volumes() if Loan.of(v) and v.status == "available"]
        if not free:
            return None
        scene.source.attach_volume(scene.workloads[1].id, free[0].id, device=None, delete_on_termination=False)
        attempt = scene.journal.attempts()[0].id
        (found,) = cleanup.find(scene.world, (), although_held=[attempt])
        return found.problem or "none"


def test_volume_that_belongs_to_the_other_side_of_one_project_is_not_taken_for_ours(scenes: Scenes):
    with scenes(RICH) as scene:
        tag = Tag(AttemptId("0123456789"), "CreateVolume:destination /dev/vdb")
        volume = scene.source.create_volume(VolumeSpec("data", 1, metadata=tag.metadata()))
        assert [f.effects for f in cleanup.find(scene.world, ())] == []
        scene.destination.create_volume(VolumeSpec("data", 1, metadata=tag.metadata()))
        (found,) = cleanup.find(scene.world, ())
        assert {step.side for step, _ in found.effects} == {Side.DESTINATION}
        assert volume not in [handle for _, handle in found.effects]


@pytest.mark.parametrize("act", [Scene.rollback, Scene.resume])
def test_what_a_clean_up_finished_is_not_undone_by_the_journal_that_turns_up_again(scenes: Scenes, act):
    finished = 0
    for number in instants(scenes, RICH, CASES[0][1])[-LAST:]:
        with scenes(RICH) as scene:
            die(scene.migrate, number)
            committed = scene.state in COMMITTED
            journal = scene.journal_file()
            scene.clock.sleep(GRACE_S)
            if committed or [o.result for o in scene.cleanup()] != [Result.MIGRATED]:
                continue
            finished += 1
            scene.find_journal(journal)
            (outcome,) = act(scene)
            assert outcome.result is Result.ROLLBACK_INCOMPLETE
            assert "was kept, and may hold new data" in str(outcome.errors[-1])
            scene.assert_migrated(floating_ips=False, dress=False)
    assert finished


@pytest.mark.parametrize("act", [Scene.rollback, Scene.resume])
def test_journal_that_turns_up_again_leaves_a_later_attempt_alone(scenes: Scenes, act):
    with scenes(RICH) as scene:
        die(scene.migrate, in_the_copy(scenes))
        journal = scene.journal_file()
        scene.clock.sleep(GRACE_S)
        assert [o.result for o in scene.cleanup()] == [Result.ROLLED_BACK]
        assert [o.result for o in scene.migrate()] == [Result.MIGRATED]
        scene.find_journal(journal)
        (outcome,) = act(scene)
        assert outcome.result is Result.ROLLBACK_INCOMPLETE
        assert "is what was made of" in str(outcome.errors[-1])
        scene.assert_migrated()


def test_journal_that_turns_up_again_leaves_another_attempt_that_works_alone(scenes: Scenes):
    with scenes(RICH) as scene:
        die(scene.migrate, in_the_copy(scenes))
        journal = scene.journal_file()
        scene.clock.sleep(GRACE_S)
        scene.cleanup()
        die(scene.migrate, in_the_copy(scenes))
        later, lent = scene.journal_file(), scene.picture()
        scene.find_journal(journal)
        (outcome,) = scene.rollback()
        assert outcome.result is Result.ROLLBACK_INCOMPLETE
        assert "attempt " in str(outcome.errors[-1])
        assert scene.picture() == lent
        scene.find_journal(later)
        assert [o.result for o in scene.resume()] == [Result.MIGRATED]
        scene.assert_migrated()


def test_destination_that_dies_in_the_copy_does_not_keep_the_source_from_being_given_back(scenes: Scenes):
    number = in_the_copy(scenes)
    with scenes(RICH) as scene:
        (outcome,) = scene.migrate(DestinationDies(number))
        assert outcome.result is Result.ROLLBACK_INCOMPLETE
        server = scene.source.server(scene.workloads[0].id)
        assert server.status is ServerStatus.ACTIVE
        assert len(server.volumes) == len(scene.workloads[0].params.volumes)
        assert [o.result for o in scene.rollback()] == [Result.ROLLED_BACK]
        scene.assert_as_before()


def in_the_copy(scenes: Scenes) -> int:
    with scenes(RICH) as scene:
        hook = Hook()
        scene.migrate(hook)
        return hook.calls.index(Call("destination host", "start CopyJob")) + 3


class DestinationDies(Hook):
    """The destination, its host too, answers nobody any more from a call on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def before(self, call: Call) -> None:
        super().before(call)
        if len(self.calls) >= self.number and call.where.startswith("destination"):
            raise CloudUnavailable("the destination is down")
