"""The runner: it performs steps and undoes them, and writes to the journal before and after.

    perform   journal `started` > do > journal `made` > settle > journal `done` (`made` is left out where nothing settles)
              a step that is recorded as done returns its recorded result; one that a crash left open is looked for
              before it is done (again)
    undo      steps in reverse order; a step whose handle is unknown is looked for first

A failed step is never continued: its attempt is undone as a whole (`flow`).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from os_migrate.errors import CloudUnavailable, HostUnreachable, OSMigrateError, RollbackIncomplete, UserError
from os_migrate.events import Retrying, StageEnded, StageStarted, StepDone, StepFailed, StepStarted, StepUndone, at_work
from os_migrate.journal import Attempt, AttemptState, Journal, StepRecord, StepState, same_in_journal
from os_migrate.model import AttemptId, Tag
from os_migrate.settings import Settings
from os_migrate.step import Lasts, Step
from os_migrate.world import World

R = TypeVar("R")

GRACE_S: Final = 10.0
"""A cloud may have accepted a create that it doesn't list yet. That long after the last try of a step, its effect is looked for:
seconds are what replicated databases and message queues lag."""

PAUSES_S: Final = (GRACE_S, 15.0, 30.0)
"""Pauses between the tries of a step whose error passes: together near a minute, as long as a restart of an API takes. The first
is the grace: a call whose answer was lost may have been accepted."""

PASSES: Final = (CloudUnavailable, HostUnreachable)

HOLD_AGAIN_S: Final = 20.0
"""How often an attempt is held again: a hold ends with its connection, which may break while nothing is asked of a host."""

LET_GO_S: Final = 5.0
"""What the answer of a host is waited for at the end, so that no connection is made after they are closed."""


@contextmanager
def held(world: World, attempt: AttemptId) -> Iterator[None]:
    """Hold an attempt on the hosts that can be reached: see `cleanup`. Who needs a host asks it for more than that."""

    def hold() -> None:
        for host in (world.source_host, world.destination_host):
            if host is not None and not ended.is_set():
                with suppress(OSMigrateError):
                    host.hold(attempt)

    def hold_again() -> None:
        while not ended.wait(HOLD_AGAIN_S):
            hold()

    ended = threading.Event()
    hold()
    holder = threading.Thread(target=hold_again, name=f"hold-{attempt}", daemon=True)
    holder.start()
    try:
        yield
    finally:
        ended.set()
        holder.join(LET_GO_S)


def hold_of_cleanup(attempt: AttemptId) -> AttemptId:
    """Return what a clean-up of an attempt holds on the hosts, so that a migrator which still has its journal leaves it alone."""
    return AttemptId(f"cleanup-{attempt}")


def our_fault(error: Exception) -> OSMigrateError:
    """Return the error of ours for one that nobody expected."""
    return OSMigrateError(f"{type(error).__name__}: {error}", remedy="this is a fault of OS Migrate; please report it")


@dataclass
class Run:
    """One attempt being carried out (or undone) by this process."""

    world: World
    journal: Journal
    attempt: Attempt
    settings: Settings
    again: str = ""
    """The command that goes on where this run stopped."""
    _stages: list[str] = field(default_factory=list)
    _hopeless: set[type[OSMigrateError]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Say how to go on, unless that was said."""
        self.again = self.again or f"os-migrate resume {self.attempt.id}"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell and record a stage of the sequence. A stage within a stage is part of it."""
        if self._stages:
            yield
            return
        workload = self.attempt.subject_id
        self.journal.enter_stage(self.attempt.id, name)
        self.world.events.tell(StageStarted(workload=workload, stage=name))
        began = time.monotonic()
        self._stages.append(name)
        try:
            with at_work(workload):
                yield
        finally:
            self._stages.pop()
        seconds = time.monotonic() - began
        self.journal.leave_stage(self.attempt.id, name, seconds)
        self.world.events.tell(StageEnded(workload=workload, stage=name, seconds=seconds))

    def enter(self, state: AttemptState, error: str | None = None) -> None:
        """Move the attempt to a state."""
        self.journal.set_state(self.attempt.id, state, error)

    def steps(self) -> list[StepRecord]:
        """Return the attempt's steps so far."""
        return self.journal.steps(self.attempt.id)

    def result_of(self, step: Step[R]) -> R | None:
        """Return what a step returned when it was performed; None if it wasn't yet."""
        record = self.journal.step(self.attempt.id, step.key)
        return cast("R | None", record.result) if record else None

    def perform(self, step: Step[R]) -> R:
        """Bring about a step's effect, once per attempt, and return its result."""
        record = self.journal.step(self.attempt.id, step.key)
        if record and record.state in {StepState.DONE, StepState.UNDONE}:
            return cast("R", record.result)
        self.world.clock.sleep(0)  # here a run that is to stop does
        began = time.monotonic()
        tag = self._tag(step)
        self.world.events.tell(StepStarted(workload=self.attempt.subject_id, step=step.key))
        try:
            if record:
                self._refuse_another(step, record)
            made = record.result if record else None
            if made is None:
                made = self.patiently(step.key, lambda tries: self._do(step, look=record is not None or tries > 0))
            result = made
            if type(step).settle is not Step.settle:  # else the effect is whole at once, and the next record says it
                self.journal.record(self.attempt.id, step, StepState.MADE, made)
                result = self.patiently(step.key, lambda _: step.settle(self.world, tag, made))
        except OSMigrateError as error:
            self.journal.fail(self.attempt.id, step, str(error))
            self.world.events.tell(StepFailed(workload=self.attempt.subject_id, step=step.key, error=str(error)))
            raise
        self.journal.record(self.attempt.id, step, StepState.DONE, result)
        seconds = time.monotonic() - began
        self.world.events.tell(StepDone(workload=self.attempt.subject_id, step=step.key, seconds=seconds))
        return result

    def _refuse_another(self, step: Step[Any], record: StepRecord) -> None:
        """Refuse to go on with a step that was begun on something else: its undo goes by what the journal says."""
        if not same_in_journal(step, record.step):
            raise UserError(
                f"{step.key} was begun before with something else: {record.step}",
                remedy="the conversion hosts or the settings changed since; migrate again",
            )

    def _do(self, step: Step[R], *, look: bool) -> R:
        found = self._find(step) if look and step.handle is None else None
        if found is not None:
            return found
        self.journal.start(self.attempt.id, step)
        return step.do(self.world, self._tag(step))

    def _find(self, step: Step[R]) -> R | None:
        """Look for the effect of a step that was tried before, when enough time has passed for it to be listed."""
        record = self.journal.step(self.attempt.id, step.key)
        if record is not None:
            self._outlast_grace(record)
        return step.find(self.world, self._tag(step))

    def _outlast_grace(self, record: StepRecord) -> None:
        waited_s = max(0.0, self.world.clock.now() - record.tried)  # a clock can be set back
        self.world.clock.sleep(max(0.0, GRACE_S - waited_s))

    def undo(self, *lifetimes: Lasts) -> None:
        """Undo the steps of the given lifetimes, last first; go on past failures and raise RollbackIncomplete at the end."""
        failures: list[tuple[StepRecord, OSMigrateError]] = []
        self.journal.sync()
        for record in reversed(self.steps()):
            if record.state is StepState.UNDONE or record.step.lifetime not in lifetimes:
                continue
            try:
                self.world.clock.sleep(0)
                if record.step.in_order:
                    self._refuse_out_of_order(failed for failed, _ in failures)
                self._undo(record)
            except Exception as raised:  # noqa: BLE001 (one undo that fails must not keep the others from being tried)
                error = raised if isinstance(raised, OSMigrateError) else our_fault(raised)
                self.journal.fail(self.attempt.id, record.step, str(error))
                event = StepFailed(
                    workload=self.attempt.subject_id, step=record.step.key, error=str(error), undoing=True
                )
                self.world.events.tell(event)
                failures.append((record, error))
        if failures:
            standing = [f"{self._leftover(record.step)} [{error}]" for record, error in failures]
            raise RollbackIncomplete(
                f"{self.attempt.name}: {len(failures)} of our effects could not be removed",
                standing,
                remedy=f"mend the cause, then `{self.again}`; or remove what is listed by hand",
            ) from failures[0][1]

    def _leftover(self, step: Step[Any]) -> str:
        record = self.journal.step(self.attempt.id, step.key)
        made = step.handle if record is None or record.result is None else record.result
        if made is None:
            return f"{step.key}, if it was made: look for {Tag.ATTEMPT_KEY}={self.attempt.id}"
        return step.leftover(made)

    def _refuse_out_of_order(self, failed: Iterable[StepRecord]) -> None:
        waits_for = [record.step.key for record in failed if record.step.in_order]
        if waits_for:
            raise OSMigrateError(f"not tried: it waits for {', '.join(waits_for)}")

    def _undo(self, record: StepRecord) -> None:
        step = record.step

        def undo(_tries: int) -> None:
            made = record.result
            if made is None:
                made = self._find_again(step)
            elif step.handle is None and record.tried > record.started:
                self._outlast_grace(record)  # it may have been made twice, and the first not be listed yet
            if made is not None:
                step.undo(self.world, self._tag(step), made)

        self.patiently(step.key, undo)
        self.journal.record(self.attempt.id, step, StepState.UNDONE)
        self.world.events.tell(StepUndone(workload=self.attempt.subject_id, step=step.key))

    def _find_again(self, step: Step[R]) -> R | None:
        """Return, and record, the handle of a step whose record ends before it was known."""
        found = self._find(step)  # also where the handle is known, for its grace
        made = found if step.handle is None else step.handle
        if made is not None:
            self.journal.record(self.attempt.id, step, StepState.MADE, made)
        return made

    def patiently(self, what: str, act: Callable[[int], R]) -> R:
        """Call `act(tries)`, with the number of tries before, until it raises no error of the kind that passes.

        What didn't pass once is tried only once from then on: a rollback must not wait for a dead host at every step.
        """
        tries = 0
        while True:
            try:
                return act(tries)
            except PASSES as error:
                kind = next(kind for kind in PASSES if isinstance(error, kind))
                if tries == len(PAUSES_S):
                    self._hopeless.add(kind)
                if kind in self._hopeless:
                    raise
                pause_s = PAUSES_S[tries]
                event = Retrying(workload=self.attempt.subject_id, step=what, error=str(error), pause_s=pause_s)
                self.world.events.tell(event)
                self.world.clock.sleep(pause_s)
                tries += 1

    def _tag(self, step: Step[Any]) -> Tag:
        return Tag(self.attempt.id, step.key)
