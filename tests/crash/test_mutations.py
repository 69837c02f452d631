"""The crash tests notice when a rule of the engine is taken away: each mutation must let some death or failure do harm."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from os_migrate import flow, run
from os_migrate.journal import AttemptState, StepState
from os_migrate.run import Run
from os_migrate.step import Step
from os_migrate.steps.servers import MarkServer, StopServer
from os_migrate.steps.volumes import AttachVolume, DetachVolume
from tests.crash.conftest import Scenes
from tests.crash.instants import FailAt, Survey, die
from tests.crash.test_failures import calls, unavailable
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME

RICH = BY_NAME["volume_boot_two_volumes_running"]
FORGETFUL = Latency(listing=8.0)


def harmful_deaths(scenes: Scenes, latency: Latency, act: str) -> Iterator[int]:
    """Yield the instants at which a death is not made good by the act."""
    with scenes(RICH, latency=latency) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
    yield from (number for number in survey.instants if _does_harm(scenes, latency, number, act))


def _does_harm(scenes: Scenes, latency: Latency, number: int, act: str) -> bool:
    with scenes(RICH, latency=latency) as scene:
        die(scene.migrate, number)
        if not scene.journal.attempts():
            return False
        if act == "rollback" and scene.state in {AttemptState.COMMITTED, AttemptState.MIGRATED}:
            return False
        try:
            getattr(scene, act)()
            (scene.assert_migrated if act == "resume" else scene.assert_as_before)()
        except (AssertionError, AttributeError, TypeError):
            return True
    return False


def harmful_lost_answers(scenes: Scenes) -> Iterator[int]:
    """Yield the calls whose answer can't be lost without leaving something behind."""
    for number in calls(scenes, RICH, FORGETFUL, mutating=True):
        with scenes(RICH, latency=FORGETFUL) as scene:
            scene.migrate(FailAt(number, unavailable, has_effect=True))
            try:
                scene.assert_migrated()
            except AssertionError:
                yield number


def act_before_journal(self: Run, step: Step[Any], *, look: bool) -> Any:
    found = self._find(step) if look and step.handle is None else None
    if found is not None:
        return found
    made = step.do(self.world, self._tag(step))
    self.journal.start(self.attempt.id, step)
    return made


def finished_steps_only(self: Run) -> Iterable[Any]:
    return [record for record in self.journal.steps(self.attempt.id) if record.state is StepState.DONE]


DEATHS = {
    "no_find_before_do": (Run, "_find", lambda self, step: None, PROMPT, "resume"),
    "no_find_before_undo": (Run, "_find", lambda self, step: None, PROMPT, "rollback"),
    "journal_after_act_resumed": (Run, "_do", act_before_journal, PROMPT, "resume"),
    "journal_after_act_rolled_back": (Run, "_do", act_before_journal, PROMPT, "rollback"),
    "undo_of_finished_steps_only": (Run, "steps", finished_steps_only, PROMPT, "rollback"),
    "no_grace": (run, "GRACE_S", 0.0, FORGETFUL, "rollback"),
    "detached_volumes_stay_off": (DetachVolume, "undo", lambda *_: None, PROMPT, "rollback"),
    "server_stays_off": (StopServer, "undo", lambda *_: None, PROMPT, "rollback"),
    "attachments_stay": (AttachVolume, "undo", lambda *_: None, PROMPT, "rollback"),
    "marks_stay": (MarkServer, "undo", lambda *_: None, PROMPT, "rollback"),
    "tags_stay": (flow, "untag", lambda *_: None, PROMPT, "resume"),
}


@pytest.mark.parametrize("mutation", DEATHS)
def test_deaths_do_harm_when_a_rule_is_taken_away(scenes: Scenes, monkeypatch, mutation):
    owner, name, mutant, latency, act = DEATHS[mutation]
    monkeypatch.setattr(owner, name, mutant)
    assert next(harmful_deaths(scenes, latency, act), None) is not None


def test_lost_answers_do_harm_without_a_look_before_the_next_try(scenes: Scenes, monkeypatch):
    monkeypatch.setattr(Run, "_find", lambda self, step: None)
    assert next(harmful_lost_answers(scenes), None) is not None
