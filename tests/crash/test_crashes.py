"""The migrator dies at every instant of a migration; then `resume` finishes it, or `rollback` undoes it."""

import pytest

from os_migrate.batch import Result
from os_migrate.journal import AttemptState
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Commit, OwnerStartsAt, Survey, die, sample
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME, SHAPES, Shape

COMMITTED = {AttemptState.COMMITTED, AttemptState.MIGRATED}
RICH = BY_NAME["volume_boot_two_volumes_running"]
"""The shape with the most kinds of steps."""

CASES = [
    *((shape, PROMPT) for shape in SHAPES),
    (RICH, Latency.slow()),
    (RICH, Latency(listing=8.0)),
    (BY_NAME["image_copied_running"], Latency(listing=8.0)),
]
IDS = [*map(str, SHAPES), "slow", "forgetful", "forgetful_image"]


def instants(scenes: Scenes, shape: Shape, latency: Latency) -> list[int]:
    with scenes(shape, latency=latency) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
        return survey.instants


@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_resume_finishes_what_died_at_any_instant(scenes: Scenes, points: Points, shape, latency):
    for number in points(instants(scenes, shape, latency)):
        with scenes(shape, latency=latency) as scene:
            assert die(scene.migrate, number)
            if scene.state is None:
                scene.assert_as_before()
            else:
                scene.assert_migrated(scene.resume())


@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_rollback_undoes_what_died_at_any_instant_before_the_commit(scenes: Scenes, points: Points, shape, latency):
    for number in points(instants(scenes, shape, latency)):
        with scenes(shape, latency=latency) as scene:
            assert die(scene.migrate, number)
            if scene.state in COMMITTED:
                break
            outcomes = scene.rollback()
            assert all(o.result is Result.ROLLED_BACK for o in outcomes), outcomes
            scene.assert_as_before()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_source_that_its_owner_starts_at_any_instant_runs_beside_no_twin_but_a_committed_one(
    scenes: Scenes, points: Points, shape
):
    with scenes(shape) as scene:
        hook = Commit(scene)
        scene.migrate(hook)
    build = next(n for n, c in enumerate(hook.calls) if c.verb == "create_server")
    calls = {*sample(instants(scenes, shape, PROMPT), 25), *range(build, hook.number + 10)}
    ends = set()
    for number in points(sorted(calls)):
        with scenes(shape) as scene:
            (outcome,) = scene.migrate(OwnerStartsAt(number, scene))
            too_late = scene.owner_started.get(scene.workloads[0].id)
            ends.add((outcome.result, too_late))
            if outcome.result is Result.MIGRATED:
                assert too_late is not False
                scene.assert_migrated()
            else:
                scene.assert_as_before()
    assert {(Result.ROLLED_BACK, False), (Result.MIGRATED, True)} <= ends


def test_resume_with_other_conversion_hosts_ends_well(scenes: Scenes, points: Points):
    ends = set()
    for number in points(instants(scenes, RICH, PROMPT)):
        with scenes(RICH) as scene:
            assert die(scene.migrate, number)
            scene.replace_hosts()
            if scene.journal.unfinished():
                scene.resume()
            ends.add(scene.state)
            if scene.state is AttemptState.MIGRATED:
                scene.assert_migrated()
            else:
                assert scene.state in {None, AttemptState.ROLLED_BACK}
                scene.assert_as_before()
    assert {AttemptState.MIGRATED, AttemptState.ROLLED_BACK} <= ends
