from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from os_migrate import run as run_module
from os_migrate.errors import (
    AccessRefused,
    CloudError,
    CloudUnavailable,
    HostUnreachable,
    RollbackIncomplete,
    UserError,
)
from os_migrate.events import Events, Note, Retrying, StageEnded, StepDone, StepFailed, StepUndone
from os_migrate.journal import Journal, StepState
from os_migrate.model import ServerId
from os_migrate.run import GRACE_S, PAUSES_S, Run
from os_migrate.settings import Settings
from os_migrate.step import STEPS, Lasts, Reading, Step
from os_migrate.world import World
from tests.fakes.seam import FakeClock, Killed

LOG: list[str] = []
"""What the steps of these tests did."""

RAISES: dict[str, list[Exception | BaseException]] = {}
"""What their verbs raise, one after another, by "verb subject"."""

THERE: set[str] = set()
"""Which effects are there."""


def act(verb: str, subject: str) -> None:
    LOG.append(f"{verb} {subject}")
    if queue := RAISES.get(f"{verb} {subject}"):
        raise queue.pop(0)


@dataclass(frozen=True)
class Make(Step[str]):
    lasts: ClassVar[Lasts] = Lasts.MIGRATION

    def find(self, world, tag):
        act("find", self.subject)
        return f"id-{self.subject}" if self.subject in THERE else None

    def do(self, world, tag):
        act("do", self.subject)
        THERE.add(self.subject)
        return f"id-{self.subject}"

    def settle(self, world, tag, made):
        act("settle", self.subject)
        return made

    def undo(self, world, tag, made):
        act("undo", self.subject)
        THERE.discard(self.subject)


@dataclass(frozen=True)
class Ordered(Make):
    in_order: ClassVar[bool] = True

    @property
    def handle(self):
        return f"id-{self.subject}"


@dataclass(frozen=True)
class On(Make):
    host: str


@dataclass(frozen=True)
class Keep(Make):
    lasts: ClassVar[Lasts] = Lasts.FOREVER


@dataclass(frozen=True)
class Look(Reading[str]):
    def do(self, world, tag):
        act("do", self.subject)
        return "seen"


for kind in (Make, Ordered, On, Keep, Look):
    STEPS.pop(kind.__name__)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    LOG.clear()
    RAISES.clear()
    THERE.clear()
    for kind in (Make, Ordered, On, Keep, Look):
        monkeypatch.setitem(STEPS, kind.__name__, kind)


@pytest.fixture
def told():
    return []


@pytest.fixture
def run(tmp_path, told):
    clock = FakeClock()
    journal = Journal(tmp_path / "journal.sqlite", clock.now)
    world = World(None, None, None, None, Events(told.append), clock)  # type: ignore[arg-type]
    yield Run(world, journal, journal.begin(ServerId("s"), "web"), Settings(tmp_path))
    journal.close()


def told_of(told, kind):
    return [event for event in told if isinstance(event, kind)]


def test_step_is_done_once_and_its_result_is_remembered(run, told):
    assert [run.perform(Make("a")) for _ in range(2)] == ["id-a", "id-a"]
    assert LOG == ["do a", "settle a"]
    assert [e.step for e in told_of(told, StepDone)] == ["Make:a"]


def test_step_is_journalled_before_it_acts(run):
    RAISES["do a"] = [Killed()]
    with pytest.raises(Killed):
        run.perform(Make("a"))
    assert [r.state for r in run.steps()] == [StepState.STARTED]


def test_handle_is_journalled_before_the_effect_is_whole(run):
    RAISES["settle a"] = [Killed()]
    with pytest.raises(Killed):
        run.perform(Make("a"))
    (record,) = run.steps()
    assert (record.state, record.result) == (StepState.MADE, "id-a")
    run.perform(Make("a"))
    assert LOG == ["do a", "settle a", "settle a"]


def test_error_that_passes_is_tried_again_with_a_look_before(run, told):
    RAISES["do a"] = [CloudUnavailable("busy"), HostUnreachable("gone")]
    assert run.perform(Make("a")) == "id-a"
    assert LOG == ["do a", "find a", "do a", "find a", "do a", "settle a"]
    assert [e.pause_s for e in told_of(told, Retrying)] == list(PAUSES_S[:2])


def test_call_that_had_its_effect_is_not_made_again(run):
    RAISES["do a"] = [CloudUnavailable("lost the answer")]
    THERE.add("a")
    run.perform(Make("a"))
    assert LOG == ["do a", "find a", "settle a"]


def test_error_that_does_not_pass_is_raised_in_the_end(run, told):
    RAISES["do a"] = [CloudUnavailable(str(n)) for n in range(9)]
    with pytest.raises(CloudUnavailable):
        run.perform(Make("a"))
    assert LOG.count("do a") == len(PAUSES_S) + 1
    assert run.steps()[0].error
    assert told_of(told, StepFailed)


def test_refusal_is_not_tried_again(run):
    RAISES["do a"] = [CloudError("no")]
    with pytest.raises(CloudError):
        run.perform(Make("a"))
    assert LOG == ["do a"]


def test_effect_is_looked_for_a_grace_after_the_last_try(run):
    clock = run.world.clock
    for _ in range(2):
        RAISES["do a"] = [Killed()]
        with pytest.raises(Killed):
            run.perform(Make("a"))
        clock.sleep(GRACE_S - 1)
    began = clock.now()
    run.perform(Make("a"))
    assert clock.now() - began == pytest.approx(1)


def test_clock_that_was_set_back_makes_nobody_wait_longer_than_the_grace(run, monkeypatch):
    RAISES["do a"] = [Killed()]
    with pytest.raises(Killed):
        run.perform(Make("a"))
    clock = FakeClock(run.world.clock.now() - 1e6)
    later = replace(run, world=replace(run.world, clock=clock))
    began = clock.now()
    later.perform(Make("a"))
    assert clock.now() - began <= GRACE_S


def test_step_whose_handle_is_known_is_not_looked_for(run):
    RAISES["do a"] = [CloudUnavailable("busy")]
    run.perform(Ordered("a"))
    assert LOG == ["do a", "do a", "settle a"]


def test_reading_is_read_once(run):
    assert [run.perform(Look("a")) for _ in range(2)] == ["seen", "seen"]
    run.undo(*Lasts)
    assert LOG == ["do a"]


def test_step_that_was_begun_on_something_else_is_refused(run):
    RAISES["do a"] = [Killed()]
    with pytest.raises(Killed):
        run.perform(On("a", "old host"))
    with pytest.raises(UserError, match="old host"):
        run.perform(On("a", "new host"))
    assert LOG == ["do a"]


# Undo --------------------------------------------------------------------------------------------------------------------


def test_undo_goes_backwards_over_the_wanted_lifetimes_and_only_once(run, told):
    for step in (Make("a"), Keep("b"), Make("c")):
        run.perform(step)
    LOG.clear()
    for _ in range(2):
        run.undo(Lasts.MIGRATION)
    assert LOG == ["undo c", "undo a"]
    assert [e.step for e in told_of(told, StepUndone)] == ["Make:c", "Make:a"]
    assert run.perform(Make("a")) == "id-a"
    assert LOG == ["undo c", "undo a"]


def test_step_without_a_known_handle_is_undone_only_if_found(run):
    for subject in "ab":
        RAISES[f"do {subject}"] = [Killed()]
        with pytest.raises(Killed):
            run.perform(Make(subject))
    THERE.add("b")
    LOG.clear()
    run.undo(*Lasts)
    assert LOG == ["find b", "undo b", "find a"]


def test_undo_goes_on_past_failures_and_lists_what_stands(run):
    for subject in "abc":
        run.perform(Make(subject))
    RAISES["undo b"] = [CloudError("in use")]
    with pytest.raises(RollbackIncomplete) as caught:
        run.undo(*Lasts)
    assert [s.startswith("Make:b: id-b") for s in caught.value.standing] == [True]
    assert "in use" in caught.value.standing[0]
    assert {"b"} == THERE
    run.undo(*Lasts)
    assert set() == THERE


def test_what_stands_is_named_even_where_its_handle_was_only_found_by_looking(run):
    for subject in "ab":
        RAISES[f"do {subject}"] = [Killed()]
        with pytest.raises(Killed):
            run.perform(Make(subject))
    THERE.add("a")
    RAISES["undo a"] = [CloudError("in use")]
    RAISES["find b"] = [CloudError("no answer")]
    with pytest.raises(RollbackIncomplete) as caught:
        run.undo(*Lasts)
    unknown, found = caught.value.standing
    assert "id-a" in found
    assert "os_migrate_attempt=" in unknown


def test_fault_of_ours_in_one_undo_does_not_keep_the_others_from_being_tried(run):
    for subject in "ab":
        run.perform(Make(subject))
    RAISES["undo b"] = [ZeroDivisionError()]
    with pytest.raises(RollbackIncomplete):
        run.undo(*Lasts)
    assert {"b"} == THERE


def test_steps_in_order_wait_for_a_later_one_that_failed(run):
    for step in (Ordered("a"), Make("b"), Ordered("c")):
        run.perform(step)
    RAISES["undo c"] = [CloudError("in use")]
    with pytest.raises(RollbackIncomplete) as caught:
        run.undo(*Lasts)
    assert {"a", "c"} == THERE
    assert len(caught.value.standing) == 2
    LOG.clear()
    run.undo(*Lasts)
    assert LOG == ["undo c", "undo a"]


def test_undo_that_passes_is_tried_again(run):
    run.perform(Make("a"))
    RAISES["undo a"] = [CloudUnavailable("busy")] * 3
    run.undo(*Lasts)
    assert set() == THERE


def test_what_never_passed_is_tried_once_at_each_later_step(run, told):
    for subject in "abc":
        run.perform(Make(subject))
    RAISES["undo c"] = [HostUnreachable("dead")] * 9
    RAISES["undo b"] = [HostUnreachable("dead")] * 9
    RAISES["undo a"] = [CloudUnavailable("busy")] * 2
    LOG.clear()
    with pytest.raises(RollbackIncomplete):
        run.undo(*Lasts)
    assert Counter(LOG) == {"undo c": len(PAUSES_S) + 1, "undo b": 1, "undo a": 3}


def test_host_that_refuses_us_is_not_tried_again(run):
    RAISES["do a"] = [AccessRefused("another key")]
    with pytest.raises(AccessRefused):
        run.perform(Make("a"))
    assert LOG == ["do a"]


# Stages ------------------------------------------------------------------------------------------------------------------


def test_stage_within_a_stage_is_part_of_it(run, told):
    with run.stage("outer"), run.stage("inner"):
        pass
    assert [e.stage for e in told_of(told, StageEnded)] == ["outer"]
    assert run.journal.attempt(run.attempt.id).stage == "outer"


def test_stage_that_failed_is_remembered_as_where_it_ended(run, told):
    with pytest.raises(CloudError), run.stage("export"):
        raise CloudError("no")
    assert not told_of(told, StageEnded)
    assert run.journal.attempt(run.attempt.id).stage == "export"
    with run.stage("next"):
        pass
    assert [e.stage for e in told_of(told, StageEnded)] == ["next"]


def test_patience_is_about_a_minute_and_begins_with_the_grace():
    assert run_module.PAUSES_S[0] == GRACE_S
    assert 40 <= sum(PAUSES_S) <= 90


def test_what_a_cloud_tells_goes_to_the_workload_that_is_worked_on(run, told):
    with run.stage("outer"), run.stage("inner"):
        run.world.events.tell_of_work(Note(text="trying again"))
    run.world.events.tell_of_work(Note(text="trying still"))
    assert [e.workload for e in told if isinstance(e, Note)] == [run.attempt.server_id, ""]
