"""Every call of a migration fails once, or goes on failing: each workload still ends in one of its two states."""

import pytest

from os_migrate.batch import Result
from os_migrate.errors import CloudError, CloudUnavailable, HostUnreachable
from os_migrate.journal import AttemptState
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import DoomAt, FailAt
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME, SHAPES

ENDS = {Result.MIGRATED, Result.ROLLED_BACK, Result.SKIPPED, Result.FAILED}
FORGETFUL = Latency(listing=8.0)
TWO = (BY_NAME["image_copied_running"], BY_NAME["volume_boot_two_volumes_running"])


def calls(scenes: Scenes, shape, latency: Latency = PROMPT, *, mutating: bool = False) -> list[int]:
    """Return the numbers of the calls to clouds and hosts, each kind of look once between two calls that change something."""
    hook, numbers, seen = Hook(), [], set()
    with scenes(shape, latency=latency) as scene:
        scene.migrate(hook)
    for number, call in enumerate(hook.calls):
        if call.mutates:
            seen.clear()
        if call.where == "journal" or call in seen or (mutating and not call.mutates):
            continue
        seen.add(call)
        numbers.append(number)
    return numbers


def unavailable(what: str):
    return HostUnreachable(what) if " host" in what else CloudUnavailable(what)


def assert_ended(scene: Scene, hook: FailAt | None = None) -> Result | None:
    """Check that a workload was migrated, or is as it was and the first error is told."""
    state = scene.state
    if state is AttemptState.MIGRATED:
        scene.assert_migrated()
        return Result.MIGRATED
    assert state in {None, AttemptState.ROLLED_BACK}, state
    scene.assert_as_before()
    return Result.ROLLED_BACK


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_refused_call_leaves_all_as_it_was_and_its_error_is_the_first_told(scenes: Scenes, points: Points, shape):
    for number in points(calls(scenes, shape)):
        with scenes(shape) as scene:
            hook = FailAt(number, CloudError)
            try:
                (outcome,) = scene.migrate(hook)
            except CloudError:
                assert scene.state is None  # before anything was touched
                scene.assert_as_before()
                continue
            assert hook.struck is not None
            if scene.state is AttemptState.COMMITTED:  # what is migrated is not undone; the clean-up goes on
                assert outcome.result is Result.FAILED
                scene.assert_migrated(scene.resume())
                continue
            assert_ended(scene)
            if outcome.result is not Result.MIGRATED:
                assert str(hook.struck) in str(outcome.error), outcome
                assert str(hook.struck) in scene.journal.attempts()[-1].error


@pytest.mark.parametrize("has_effect", [False, True], ids=["without_effect", "with_effect"])
@pytest.mark.parametrize("latency", [PROMPT, FORGETFUL], ids=["prompt", "forgetful"])
@pytest.mark.parametrize("shape", TWO, ids=str)
def test_call_without_an_answer_is_made_good_and_nothing_is_made_twice(
    scenes: Scenes, points: Points, shape, latency, has_effect
):
    for number in points(calls(scenes, shape, latency, mutating=True)):
        with scenes(shape, latency=latency) as scene:
            hook = FailAt(number, unavailable, has_effect=has_effect)
            outcomes = scene.migrate(hook)
            assert hook.struck is not None
            scene.assert_migrated(outcomes)


@pytest.mark.parametrize("has_effect", [False, True], ids=["without_effect", "with_effect"])
@pytest.mark.parametrize("shape", TWO, ids=str)
def test_cloud_that_does_not_answer_for_long_leaves_all_as_it_was(scenes: Scenes, points: Points, shape, has_effect):
    for number in points(calls(scenes, shape, FORGETFUL, mutating=True)):
        with scenes(shape, latency=FORGETFUL) as scene:
            hook = FailAt(number, unavailable, has_effect=has_effect, more=3)
            scene.migrate(hook)
            if scene.state is AttemptState.COMMITTED:
                scene.assert_migrated(scene.resume())
            elif scene.state is AttemptState.ROLLING_BACK:
                scene.rollback()
            assert_ended(scene)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_accepted_and_goes_wrong_later_leaves_all_as_it_was(scenes: Scenes, points: Points, shape):
    doomed = 0
    for number in points(calls(scenes, shape, mutating=True)):
        with scenes(shape) as scene:
            hook = DoomAt(number)
            scene.migrate(hook)
            doomed += hook.doomed
            if scene.state is AttemptState.COMMITTED:
                scene.assert_migrated(scene.resume())
            assert_ended(scene)
    assert doomed


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_double_that_was_listed_too_late_is_swept(scenes: Scenes, points: Points, shape):
    late = Latency(listing=15.0)
    for number in points(calls(scenes, shape, late, mutating=True)):
        with scenes(shape, latency=late) as scene:
            scene.migrate(FailAt(number, unavailable, has_effect=True))
            assert_ended(scene)
