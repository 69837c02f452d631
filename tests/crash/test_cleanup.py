"""The migrator dies, and its journal is lost: `cleanup` brings both clouds to an end from what they hold."""

import pytest

from os_migrate import cleanup
from os_migrate.batch import Outcome, Result
from os_migrate.journal import AttemptState
from os_migrate.model import AttemptId, Loan, Side, Tag, VolumeSpec
from os_migrate.run import GRACE_S
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Commit, Survey, die, sample
from tests.crash.test_crashes import CASES, COMMITTED, IDS, RICH, instants
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook

FIRST_DEATHS = 12
SECOND_DEATHS = 9


def assert_clean(scene: Scene, outcomes: list[Outcome], died: AttemptState | None) -> None:
    """Check the end that fits what was found; a twin that just runs may lack what comes after it."""
    assert all(o.error is None for o in outcomes), outcomes
    assert cleanup.find(scene.world, ()) == []
    if died in COMMITTED or any(o.result is Result.MIGRATED for o in outcomes):
        scene.assert_migrated(floating_ips=died is not AttemptState.RUNNING)
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
