"""Many workloads or detached volumes, several at once: each in an attempt of its own; a failure stays with its workload.

They begin in the order of the file, or the smallest first. One begins, and its server is stopped, only when a pair of conversion hosts
has room for its disks: it doesn't wait in the middle, and it goes through that pair to its end.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial

from os_migrate import detached, flow
from os_migrate.errors import (
    HostError,
    Interrupted,
    OSMigrateError,
    PlanError,
    RollbackIncomplete,
    SourceChanged,
    UserError,
)
from os_migrate.events import BatchStarted, Note, WorkloadEnded, WorkloadStarted
from os_migrate.failure import error_fields
from os_migrate.journal import Attempt, AttemptState, Journal
from os_migrate.model import NO_SERVER, NO_VOLUME, ServerId, Side, VolumeId
from os_migrate.nbd import HostedAttempt
from os_migrate.pairs import disks_held, free_disks, pair_of
from os_migrate.plan import Inventory
from os_migrate.pool import Work, at_once
from os_migrate.preflight import Checked, check, take_inventory
from os_migrate.report import WorkloadReport, report_file
from os_migrate.run import Run, held, hold_of_cleanup, our_fault
from os_migrate.settings import Settings
from os_migrate.workload import DetachedVolume, Subject
from os_migrate.world import World


class Result(StrEnum):
    """How a workload's migration ended."""

    MIGRATED = "migrated"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"
    ROLLBACK_INCOMPLETE = "rollback incomplete"


@dataclass(frozen=True)
class Outcome:
    """What became of one workload, or of one detached volume; the other id is "".

    `error` is the first one; `later_error` what its undo, or a new migration after it, met.
    """

    server_id: ServerId
    name: str
    result: Result
    detail: str = ""
    error: OSMigrateError | None = None
    seconds: float = 0.0
    report: WorkloadReport | None = None
    later_error: OSMigrateError | None = None
    volume_id: VolumeId = NO_VOLUME

    @property
    def subject_id(self) -> str:
        """Return the id in the source of what was to be migrated."""
        return self.volume_id or self.server_id

    @property
    def errors(self) -> tuple[OSMigrateError, ...]:
        """Return the errors, the first one first."""
        return tuple(error for error in (self.error, self.later_error) if error is not None)

    @property
    def exit_code(self) -> int:
        """Return how the command is to end: of an incomplete rollback by what it met, else by the first error."""
        if self.result in {Result.MIGRATED, Result.SKIPPED} or not self.errors:
            return 0
        return self.errors[-1 if self.result is Result.ROLLBACK_INCOMPLETE else 0].exit_code

    @property
    def fields(self) -> dict[str, object]:
        """Return the outcome for machines."""
        return {
            "server_id": self.server_id,
            "volume_id": self.volume_id,
            "name": self.name,
            "result": self.result,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "error": error_fields(self.error) if self.error else None,
            "later_error": error_fields(self.later_error) if self.later_error else None,
            "report": asdict(self.report) if self.report else None,
        }


def migrate(world: World, journal: Journal, workloads: Sequence[Subject], settings: Settings) -> list[Outcome]:
    """Migrate workloads, or detached volumes. All are checked before the first is touched.

    Raises:
        Interrupted: the operator stopped the run; what is open can be resumed.
    """
    checks = check(world, journal, workloads, settings)
    outcomes: dict[str, Outcome | None] = {c.workload.id: _refuse_or_skip(world, c) for c in checks.workloads}
    for text in checks.unchecked:
        world.events.tell(Note(text=text))

    def begin(workload: Subject, pair: int) -> Outcome:
        server_id, volume_id = ids_of(workload)
        project_id = checks.inventory.project_id
        attempt = journal.begin(server_id, workload.name, destination=project_id, volume_id=volume_id)
        run = Run(world.through(world.pairs[pair]), journal, attempt, settings)
        return carry_out(run, "migrate", partial(_forward, workload=workload, inventory=checks.inventory))

    ready = [c.workload for c in checks.workloads if outcomes[c.workload.id] is None]
    works = [Work(partial(begin, w), w.copied_disks) for w in ready]
    ended = _at_once(world, journal, settings, works)
    outcomes.update({o.subject_id: o for o in ended})
    return [o for w in workloads if (o := outcomes[w.id]) is not None]


def resume(
    world: World, journal: Journal, attempts: Sequence[Attempt], workloads: Sequence[Subject], settings: Settings
) -> list[Outcome]:
    """Finish attempts that a crash or an interruption left open: forward, or back if they failed or were being undone.

    One whose source was used meanwhile is undone, and migrated anew.

    Raises:
        UserError: a workload isn't in its file any more, or an attempt is finished, goes into another project, or is being
            cleaned up elsewhere.
        Interrupted: the operator stopped the run again.
    """
    _refuse_finished(attempts)
    refuse_elsewhere(world, attempts)
    by_id: dict[str, Subject] = {w.id: w for w in workloads}
    missing = [a for a in attempts if a.state is AttemptState.RUNNING and a.subject_id not in by_id]
    if missing:
        file = "detached_volumes.yml" if missing[0].volume_id else "workloads.yml"
        names = ", ".join(a.name for a in missing if bool(a.volume_id) is bool(missing[0].volume_id))
        raise UserError(f"not in {file}: {names}", remedy="put them back, or `os-migrate rollback`")
    refuse_cleaned_up(world, attempts)
    inventory = take_inventory(world.destination) if any(a.state is AttemptState.RUNNING for a in attempts) else None

    def go_on(attempt: Attempt, pair: int) -> Outcome:
        here = world.through(world.pairs[pair])
        run = Run(here, journal, attempt, settings)
        if attempt.state is AttemptState.COMMITTED:
            return carry_out(run, "resume", _finish)
        if attempt.state is not AttemptState.RUNNING or inventory is None:
            return carry_out(run, "roll back", _back)
        workload = by_id[attempt.subject_id]
        outcome = carry_out(run, "resume", partial(_forward, workload=workload, inventory=inventory))
        if isinstance(outcome.error, SourceChanged) and outcome.result is Result.ROLLED_BACK:
            outcome = _migrate_anew(replace(here, other_pairs=()), journal, workload, settings, outcome)
        return outcome

    works: list[Work[Outcome]] = []
    refused: list[Outcome] = []
    for attempt in attempts:
        steps = journal.steps(attempt.id)
        forward = attempt.state is AttemptState.RUNNING
        pair: int | None = None
        try:
            pair = pair_of(world, attempt, steps)
        except OSMigrateError as error:
            if forward:
                ids, told = (attempt.server_id, attempt.name), str(error)
                outcome = Outcome(*ids, Result.FAILED, told, error, volume_id=attempt.volume_id)
                refused.append(_tell_end(world, outcome))
                continue
        back = 0 if pair is None else max(disks_held(steps).values(), default=0)
        works.append(Work(partial(go_on, attempt), by_id[attempt.subject_id].copied_disks if forward else back, pair))
    return [*_at_once(world, journal, settings, works, attempts), *refused]


def _migrate_anew(world: World, journal: Journal, workload: Subject, settings: Settings, undone: Outcome) -> Outcome:
    """Migrate a workload whose last attempt was undone just now; what keeps that from beginning stops nobody else."""
    try:
        (outcome,) = migrate(world, journal, [workload], settings)
    except Interrupted:
        raise KeyboardInterrupt from None  # of all, not of this one only
    except Exception as raised:  # noqa: BLE001 (as in carry_out)
        error = raised if isinstance(raised, OSMigrateError) else our_fault(raised)
        detail = f"{undone.detail}; and it was not migrated anew: {error}"
        return _tell_end(world, replace(undone, detail=detail, later_error=error))
    return outcome


def rollback(world: World, journal: Journal, attempts: Sequence[Attempt], settings: Settings) -> list[Outcome]:
    """Undo open attempts in both clouds.

    Raises:
        UserError: the twin of one already runs: it may hold new data, so it is not deleted. Or an attempt is finished, goes
            into another project, or is being cleaned up elsewhere.
        Interrupted: the operator stopped the run.
    """
    _refuse_finished(attempts)
    refuse_elsewhere(world, attempts)
    committed = [a.name for a in attempts if a.state is AttemptState.COMMITTED]
    if committed:
        raise UserError(
            f"already running in the destination: {', '.join(committed)}",
            remedy="`os-migrate resume` finishes the clean-up of the source",
        )
    refuse_cleaned_up(world, attempts)

    def undo(attempt: Attempt, pair: int) -> Outcome:
        return carry_out(Run(world.through(world.pairs[pair]), journal, attempt, settings), "roll back", _back)

    works: list[Work[Outcome]] = []
    for attempt in attempts:
        pair: int | None = None
        with suppress(OSMigrateError):  # what stands on a host that can't be had is told by its undo
            pair = pair_of(world, attempt, journal.steps(attempt.id))
        works.append(Work(partial(undo, attempt), lane=pair))
    return _at_once(world, journal, settings, works, attempts)


def _at_once(
    world: World,
    journal: Journal,
    settings: Settings,
    works: Sequence[Work[Outcome]],
    given: Sequence[Attempt] = (),
) -> list[Outcome]:
    """Do works on the pairs of hosts, beside what open attempts have there that are not among the given ones."""
    ours = {attempt.id for attempt in given}
    others = {attempt.id for attempt in journal.unfinished()} - ours
    lanes = free_disks(world, journal, settings.conversion.disks, others)
    world.events.tell(BatchStarted(total=len(works)))
    try:
        return at_once(works, threads=settings.workloads.parallel, lanes=lanes, stop=world.clock.stop)
    except KeyboardInterrupt:
        begun = [a for a in journal.unfinished() if a.id not in others]
        going_on = [a for a in begun if a.id in ours or a.state is not AttemptState.FAILED]
        if not going_on:
            raise Interrupted("stopped before anything was in progress", remedy="run the same command again") from None
        raise Interrupted(
            f"stopped while {', '.join(a.name for a in going_on)} was in progress",
            remedy=f"`os-migrate resume {' '.join(a.id for a in going_on)}`",
        ) from None


def _refuse_finished(attempts: Sequence[Attempt]) -> None:
    """Raise UserError if nothing is left to do for one: undoing what is migrated would delete it."""
    finished = [f"{a.name} ({a.state})" for a in attempts if a.state.final]
    if finished:
        raise UserError(f"finished already: {', '.join(finished)}", remedy="`os-migrate status` lists what is open")


def refuse_elsewhere(world: World, attempts: Sequence[Attempt]) -> None:
    """Raise UserError if one goes into another destination project: there, what it made would seem to be gone."""
    project_id = world.destination.project_id()
    elsewhere = [a for a in attempts if a.destination not in {"", project_id}]
    if elsewhere:
        raise UserError(
            f"begun into another destination project than {project_id}: {', '.join(a.name for a in elsewhere)}",
            remedy="use the credentials with which it began: "
            + ", ".join(f"{a.name} goes into project {a.destination}" for a in elsewhere),
        )


def refuse_cleaned_up(world: World, attempts: Sequence[Attempt]) -> None:
    """Raise UserError if a clean-up works on one; held before that is asked, so that of two that begin at once one sees the other."""
    by_hold = {hold_of_cleanup(a.id): a for a in attempts}
    for host in [host for side in Side for host in world.hosts(side)]:
        hosted: Sequence[HostedAttempt] = ()
        with suppress(HostError):  # what needs a host finds out by itself
            for attempt in attempts:
                host.hold(attempt.id)
            hosted = host.attempts()
        if names := [by_hold[h.attempt].name for h in hosted if h.held and h.attempt in by_hold]:
            raise UserError(
                f"a clean-up from another data dir works on it: {', '.join(names)}",
                remedy="wait until it has ended; then the same command again finds out what is left to do",
            )


def _refuse_or_skip(world: World, checked: Checked) -> Outcome | None:
    """Return why a workload is not migrated in this run, or None."""
    workload = checked.workload
    server_id, volume_id = ids_of(workload)
    if checked.skip:
        skipped = Outcome(server_id, workload.name, Result.SKIPPED, checked.skip, volume_id=volume_id)
        return _tell_end(world, skipped)
    if checked.problems:
        error = PlanError(checked.problems)
        failed = Outcome(server_id, workload.name, Result.FAILED, str(error), error, volume_id=volume_id)
        return _tell_end(world, failed)
    for text in checked.warnings:
        world.events.tell(Note(workload=workload.id, text=text, warning=True))
    return None


def ids_of(workload: Subject) -> tuple[ServerId, VolumeId]:
    """Return the ids that an attempt has of what it migrates."""
    return (NO_SERVER, workload.id) if isinstance(workload, DetachedVolume) else (workload.id, NO_VOLUME)


def carry_out(run: Run, activity: str, act: Callable[[Run], Outcome]) -> Outcome:
    """Run `act`, and turn whatever it raises into an outcome, undoing what isn't committed."""
    world, attempt = run.world, run.attempt
    world.events.tell(
        WorkloadStarted(workload=attempt.subject_id, name=attempt.name, attempt=attempt.id, activity=activity)
    )
    began = time.monotonic()
    with held(world, attempt.id):
        try:
            outcome = act(run)
        except OSMigrateError as error:
            outcome = _fail(run, error)
        except Exception as error:  # noqa: BLE001 (the runner: a fault of ours must not leave a server off either)
            outcome = _fail(run, our_fault(error))
    return _tell_end(world, replace(outcome, volume_id=attempt.volume_id), time.monotonic() - began)


def _forward(run: Run, workload: Subject, inventory: Inventory) -> Outcome:
    if isinstance(workload, DetachedVolume):
        detached.migrate(run, workload)
    else:
        flow.migrate(run, workload, inventory)
    return _migrated(run)


def _finish(run: Run) -> Outcome:
    flow.clean_up_source(run)
    return _migrated(run)


def _migrated(run: Run) -> Outcome:
    proof = flow.proof_of(run)
    made = (
        f"volume {proof.disks[0].destination_volume_id}"
        if proof.source_volume_id
        else f"server {proof.destination_server_id}"
    )
    detail = f"{made}; proof in {report_file(proof, run.settings.data_dir)}"
    return Outcome(run.attempt.server_id, run.attempt.name, Result.MIGRATED, detail, report=proof)


def _back(run: Run) -> Outcome:
    flow.roll_back(run)
    return Outcome(run.attempt.server_id, run.attempt.name, Result.ROLLED_BACK, "as it was before")


def _fail(run: Run, error: OSMigrateError) -> Outcome:
    """Undo a failed attempt, unless its twin runs already or the operator wants to look at it."""
    attempt = run.journal.attempt(run.attempt.id)
    if attempt.state in {AttemptState.COMMITTED, AttemptState.MIGRATED}:
        detail = f"migrated, but the clean-up failed: {error}; `{run.again}` goes on"
        return Outcome(attempt.server_id, attempt.name, Result.FAILED, detail, error)
    if attempt.state is AttemptState.ROLLING_BACK:
        return Outcome(attempt.server_id, attempt.name, Result.ROLLBACK_INCOMPLETE, _standing(run, error), error)
    if isinstance(error, RollbackIncomplete):  # of the transfer's end: all will be undone, so its cause is what to tell
        error = error.__cause__ if isinstance(error.__cause__, OSMigrateError) else error
    if not run.settings.workloads.cleanup_on_failure:
        run.enter(AttemptState.FAILED, str(error))
        run.world.events.tell(
            Note(workload=attempt.subject_id, text=f"left as it is: `os-migrate rollback {attempt.id}`")
        )
        return Outcome(attempt.server_id, attempt.name, Result.FAILED, str(error), error)
    try:
        flow.roll_back(run, str(error))
    except Exception as raised:  # noqa: BLE001 (a fault of ours in one undo must not end the run of the others)
        second = raised if isinstance(raised, OSMigrateError) else our_fault(raised)
        detail = f"{error}; and {_standing(run, second)}"
        return Outcome(attempt.server_id, attempt.name, Result.ROLLBACK_INCOMPLETE, detail, error, later_error=second)
    return Outcome(attempt.server_id, attempt.name, Result.ROLLED_BACK, str(error), error)


def _standing(run: Run, error: OSMigrateError) -> str:
    """Say what an undo met, and what still stands."""
    if isinstance(error, RollbackIncomplete):
        return f"{error}; still standing: " + "; ".join(error.standing)
    return f"the rollback failed: {error}; `{run.again}` goes on"


def _tell_end(world: World, outcome: Outcome, seconds: float = 0.0) -> Outcome:
    event = WorkloadEnded(
        workload=outcome.subject_id,
        name=outcome.name,
        outcome=outcome.result,
        detail=outcome.detail,
        seconds=seconds,
    )
    world.events.tell(event)
    return replace(outcome, seconds=seconds)
