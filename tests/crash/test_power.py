"""The migrator's machine loses power at every instant: what wasn't on disk is gone from its journal. What acted is found all the same."""

import pytest

from os_migrate.journal import AttemptState
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Survey, die
from tests.crash.test_crashes import COMMITTED, RICH, instants
from tests.fakes.journal import TestJournal
from tests.fakes.scene import Scene
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME

CASES = [(RICH, PROMPT), (RICH, Latency(listing=8.0)), (BY_NAME["image_copied_running"], PROMPT)]
IDS = ["prompt", "forgetful", "image"]


@pytest.mark.parametrize("act", ["resume", "rollback"])
@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_power_that_fails_at_any_instant_leaves_what_can_be_finished(
    scenes: Scenes, points: Points, shape, latency, act
):
    for number in points(instants(scenes, shape, latency)):
        with scenes(shape, latency=latency) as scene:
            assert die(scene.migrate, number)
            scene.lose_power()
            end(scene, act)


def end(scene: Scene, act: str) -> None:
    if scene.state is None:
        scene.assert_as_before()
    elif act == "resume":
        outcomes = scene.resume() if scene.journal.unfinished() else None
        scene.assert_migrated(outcomes)
    elif scene.state not in COMMITTED:
        scene.rollback()
        scene.assert_as_before()


def test_power_that_fails_while_an_attempt_is_undone_leaves_what_can_be_undone(scenes: Scenes, points: Points):
    numbers = instants(scenes, RICH, PROMPT)
    middle = numbers[len(numbers) * 2 // 3]
    with scenes(RICH) as scene:
        assert die(scene.migrate, middle)
        assert scene.state not in COMMITTED
        survey = Survey(scene)
        scene.rollback(survey)
    for number in points(survey.instants):
        with scenes(RICH) as scene:
            assert die(scene.migrate, middle)
            die(scene.rollback, number)
            scene.lose_power()
            if scene.journal.unfinished():
                scene.rollback()
            assert scene.state is AttemptState.ROLLED_BACK
            scene.assert_as_before()


@pytest.mark.parametrize("rule", ["start is not waited for", "undo is not waited for"])
def test_power_that_fails_does_harm_when_a_rule_is_taken_away(scenes: Scenes, monkeypatch, rule):
    if rule.startswith("undo"):
        monkeypatch.setattr(TestJournal, "sync", lambda *_: None)
    else:
        monkeypatch.setattr("os_migrate.journal.Reading", object)
    assert any(does_harm(scenes, number) for number in instants(scenes, RICH, PROMPT))


def does_harm(scenes: Scenes, number: int) -> bool:
    with scenes(RICH) as scene:
        assert die(scene.migrate, number)
        scene.lose_power()
        try:
            end(scene, "resume")
        except AssertionError:
            return True
    return False
