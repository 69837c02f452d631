"""The migrator dies, and dies again while it resumes or rolls back; the last one alive brings the workload to its end."""

import random

import pytest

from os_migrate.journal import AttemptState
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Commit, FailAndDie, FailAndSurvey, KillAt, Survey, die, sample
from tests.crash.test_failures import calls
from tests.fakes.scene import Scene
from tests.fakes.seam import Killed
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME, SHAPES

RICH = BY_NAME["volume_boot_two_volumes_running"]
LOCAL = BY_NAME["image_copied_running"]
FIRST_DEATHS = 12
SECOND_DEATHS = 9
WALKS = 25

CASES = [(RICH, PROMPT), (RICH, Latency.slow()), (RICH, Latency(listing=8.0)), (LOCAL, Latency(listing=8.0))]
IDS = ["prompt", "slow", "forgetful", "forgetful_image"]

DEEPEST = [*((shape, PROMPT) for shape in SHAPES), *CASES[1:]]
DEEPEST_IDS = [*map(str, SHAPES), *IDS[1:]]


def twice(scenes: Scenes, shape, latency, act: str) -> list[tuple[int, int]]:
    """Return pairs of instants: of a death while migrating, and of one in the act that follows it."""
    with scenes(shape, latency=latency) as scene:
        first = Survey(scene)
        scene.migrate(first)
    pairs = []
    for number in sample(first.instants, FIRST_DEATHS):
        with scenes(shape, latency=latency) as scene:
            die(scene.migrate, number)
            if not scene.journal.unfinished() or (act == "rollback" and scene.state is AttemptState.COMMITTED):
                continue
            second = Survey(scene)
            getattr(scene, act)(second)
            pairs += [(number, again) for again in sample(second.instants, SECOND_DEATHS)]
    return pairs


def end(scene: Scene, act: str) -> None:
    """Let a last migrator live, and check where it brings the workload."""
    if scene.journal.unfinished():
        back = act == "rollback" and scene.state is not AttemptState.COMMITTED
        (scene.rollback if back else scene.resume)()
    assert_final(scene)


def assert_final(scene: Scene) -> None:
    if scene.state is AttemptState.MIGRATED:
        scene.assert_migrated()
    else:
        assert scene.state in {None, AttemptState.ROLLED_BACK}
        scene.assert_as_before()


@pytest.mark.parametrize("last", ["resume", "rollback"])
@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_death_while_resuming_is_made_good(scenes: Scenes, points: Points, shape, latency, last):
    pairs = twice(scenes, shape, latency, "resume")
    for number in points(range(len(pairs))):
        with scenes(shape, latency=latency) as scene:
            die(scene.migrate, pairs[number][0])
            assert die(scene.resume, pairs[number][1])
            end(scene, last)


@pytest.mark.parametrize("last", ["resume", "rollback"])
@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_death_while_rolling_back_is_made_good(scenes: Scenes, points: Points, shape, latency, last):
    pairs = twice(scenes, shape, latency, "rollback")
    for number in points(range(len(pairs))):
        with scenes(shape, latency=latency) as scene:
            die(scene.migrate, pairs[number][0])
            assert die(scene.rollback, pairs[number][1])
            if scene.journal.unfinished():
                getattr(scene, last)()
            # A death before the first record of the rollback leaves the migration to be resumed.
            assert_final(scene)


@pytest.mark.parametrize(("shape", "latency"), DEEPEST, ids=DEEPEST_IDS)
def test_death_at_any_instant_of_the_deepest_undo_is_made_good(scenes: Scenes, points: Points, shape, latency):
    """Die first when all is there but the commit, so that everything has to be undone."""
    commit = commit_of(scenes, shape, latency)
    with scenes(shape, latency=latency) as scene:
        assert die(scene.migrate, commit)
        survey = Survey(scene)
        scene.rollback(survey)
    for number in points(survey.instants):
        with scenes(shape, latency=latency) as scene:
            die(scene.migrate, commit)
            assert die(scene.rollback, number)
            end(scene, "rollback" if number % 2 else "resume")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_death_at_any_instant_of_the_undo_after_a_late_failure_is_made_good(scenes: Scenes, points: Points, shape):
    """Let the last look before the commit fail, and die while everything is undone."""
    with scenes(shape) as scene:
        hook = Commit(scene)
        scene.migrate(hook)
        last_look = max(n for n in range(hook.number) if hook.calls[n].where != "journal")
    die_in_undo(scenes, points, shape, last_look)


def test_death_in_the_undo_after_any_failure_is_made_good(scenes: Scenes, points: Points):
    for number in sample(calls(scenes, RICH, mutating=True), FIRST_DEATHS):
        die_in_undo(scenes, points, RICH, number, SECOND_DEATHS)


def die_in_undo(scenes: Scenes, points: Points, shape, failure: int, at_most: int = 10_000) -> None:
    with scenes(shape) as scene:
        survey = FailAndSurvey(failure, scene)
        scene.migrate(survey)
        instants = survey.instants
    for number in points(sample(instants, at_most)):
        with scenes(shape) as scene:
            with pytest.raises(Killed):
                scene.migrate(FailAndDie(failure, number))
            end(scene, "rollback" if number % 2 else "resume")


def commit_of(scenes: Scenes, shape, latency) -> int:
    """Return the number of the call that commits a migration."""
    with scenes(shape, latency=latency) as scene:
        hook = Commit(scene)
        scene.migrate(hook)
        return hook.number


@pytest.mark.parametrize("latency", [PROMPT, Latency.slow(), Latency(listing=8.0)], ids=["prompt", "slow", "forgetful"])
def test_any_chain_of_deaths_resumes_and_rollbacks_ends_well(scenes: Scenes, points: Points, latency):
    for seed in points(range(WALKS)):
        dice = random.Random(seed)
        with scenes(dice.choice(SHAPES), latency=latency) as scene:
            die(scene.migrate, dice.randrange(1, 300))
            for _ in range(8):
                if not scene.journal.unfinished():
                    break
                scene.clock.sleep(dice.choice([0, 0, 1, 5, 60]))
                back = dice.random() < 0.3 and scene.state is not AttemptState.COMMITTED
                try:
                    (scene.rollback if back else scene.resume)(KillAt(dice.randrange(1, 120)))
                except Killed:
                    continue
            end(scene, dice.choice(["resume", "rollback"]))
