"""The stages of the migration of a server, or of a detached volume, each on a session of its own; they have only the journal in common.

    prelim, check_destination    touch nothing
    go_forward                   begins an attempt, or goes on with the open one, up to a stage of `flow`
    clean_up                     finishes an attempt whose twin runs, and undoes any other

A stage that fails leaves its attempt as it is, marked as failed: such a one is undone, never continued.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from os_migrate import detached, flow
from os_migrate.batch import Result, ids_of, refuse_cleaned_up, refuse_elsewhere
from os_migrate.errors import NotFound, OSMigrateError, PlanError, RollbackIncomplete, UserError
from os_migrate.events import Note, WorkloadEnded, WorkloadStarted
from os_migrate.journal import Attempt, AttemptState, Journal, StepRecord, StepState
from os_migrate.model import AttemptId, Side
from os_migrate.pairs import free_disks, pair_of
from os_migrate.plan import Inventory, Target, copy_of, twin_of
from os_migrate.preflight import Checked, check, take_inventory
from os_migrate.resources.workload import is_conversion_host
from os_migrate.run import Run, held, our_fault
from os_migrate.settings import Settings
from os_migrate.step import Reading
from os_migrate.steps.servers import ResolveTarget
from os_migrate.workload import DetachedVolume, Subject, Workload
from os_migrate.world import World

UNDONE_NEXT = {AttemptState.FAILED, AttemptState.ROLLING_BACK}


class NothingToDo(UserError):
    """It was migrated from another data dir, or isn't to be migrated at all."""


class Stage(StrEnum):
    """How far an attempt is taken."""

    STOP = "stop"
    CHECK = "check"
    EXPORT = "export"
    TRANSFER = "transfer"
    CREATE = "create"


@dataclass(frozen=True)
class Left:
    """What a stage left: its attempt, the attempt's steps, and whether it changed anything in a cloud or on a host."""

    attempt: Attempt
    steps: Sequence[StepRecord]
    changed: bool


def prelim(world: World, journal: Journal, workload: Subject) -> str:
    """Return why there is nothing to do for a workload; "" if there is something, be it only to clean up."""
    if any(not attempt.state.final for attempt in journal.attempts(workload.id)):
        return ""
    if there := _migrated_already(world, workload):
        return there
    ours = {host.server_id for side in Side for host in world.hosts(side)}
    with suppress(NotFound):  # that is for the checks to tell
        if isinstance(workload, Workload) and (
            workload.id in ours or is_conversion_host(world.source.server(workload.id))
        ):
            return "it is a conversion host"
    return ""


def _migrated_already(world: World, workload: Subject) -> str:
    """Return what was made of a workload or a volume, if it is there; "" if not."""
    if isinstance(workload, DetachedVolume):
        copy = copy_of(workload, world.destination.volumes())
        return f"already migrated: volume {copy.id}" if copy else ""
    twin = twin_of(workload, world.destination.servers())
    return f"already migrated: server {twin.id}" if twin else ""


def check_destination(world: World, journal: Journal, workload: Subject, settings: Settings) -> tuple[str, ...]:
    """Check all that a migration of this workload needs; return the warnings. One that is on its way was checked when it began.

    Raises:
        PlanError: with every problem.
        UserError: an attempt failed, and must be undone before.
    """
    last = last_attempt(journal, workload.id, None)
    if last is not None and not last.state.final:
        refuse_to_go_on(last)
        return ()
    return _checked(world, journal, workload, settings)[0].warnings


def go_forward(
    world: World,
    journal: Journal,
    workload: Subject,
    settings: Settings,
    stage: Stage,
    attempt_id: str | None = None,
) -> Left:
    """Take a workload up to a stage, by way of all that come before; what is done is left alone.

    `attempt_id` is the attempt that is to be gone on with, if the caller knows one.

    Raises:
        UserError: the attempt can't be gone on with, or isn't this workload's.
        NothingToDo: it was migrated already, and this journal doesn't know it.
        PlanError: what keeps one from being begun; nothing was touched.
    """
    workloads = replace(settings.workloads, stop_before_migration=stage is Stage.STOP)
    settings = replace(settings, workloads=workloads)
    attempt = last_attempt(journal, workload.id, attempt_id)
    if attempt is not None and attempt.state is AttemptState.MIGRATED and attempt_id is None:
        attempt = attempt if _migrated_already(world, workload) else None  # deleted since
    if attempt is not None and attempt.state in {AttemptState.COMMITTED, AttemptState.MIGRATED}:
        return Left(attempt, journal.steps(attempt.id), changed=False)
    if attempt is None or (attempt.state is AttemptState.ROLLED_BACK and attempt_id is None):
        attempt, inventory = _begin(world, journal, workload, settings)
    else:
        refuse_to_go_on(attempt)
        refuse_elsewhere(world, [attempt])
        refuse_cleaned_up(world, [attempt])
        inventory = None
    run = Run(world.through(world.pairs[_pair(world, journal, attempt, settings)]), journal, attempt, settings)
    before = _effects(run)
    with _working(run):
        if isinstance(workload, DetachedVolume):
            _take_volume(run, workload, stage)
        else:
            target = run.result_of(ResolveTarget("destination"))
            if target is None:  # it is begun just now, or died in its first moments
                target = flow.check_destination(run, workload, inventory or take_inventory(world.destination))
            SEQUENCE[stage](run, workload, target)
    return Left(journal.attempt(attempt.id), run.steps(), changed=_effects(run) != before)


def clean_up(
    world: World, journal: Journal, settings: Settings, attempt_id: AttemptId, *, after_failure: bool = False
) -> Left:
    """Give back what an attempt took: finish one whose twin runs, unless it is `after_failure`, and undo any other.

    Raises:
        RollbackIncomplete: something of ours still stands; the attempt stays open.
    """
    attempt = journal.attempt(attempt_id)
    committed = attempt.state is AttemptState.COMMITTED
    if attempt.state.final or (committed and after_failure):
        return Left(attempt, journal.steps(attempt.id), changed=False)
    refuse_elsewhere(world, [attempt])
    refuse_cleaned_up(world, [attempt])
    pair: int | None = None
    with suppress(OSMigrateError):  # what stands on a host that can't be had is told by its undo
        pair = pair_of(world, attempt, journal.steps(attempt.id))
    run = Run(world.through(world.pairs[pair or 0]), journal, attempt, settings)
    _tell_begin(run, "clean up" if committed else "roll back")
    with _working(run):
        if committed:
            flow.clean_up_source(run)
        else:
            flow.roll_back(run)
    _tell_end(run, Result.MIGRATED if committed else Result.ROLLED_BACK)
    return Left(journal.attempt(attempt.id), run.steps(), changed=True)


def last_attempt(journal: Journal, subject_id: str | None, attempt_id: str | None) -> Attempt | None:
    """Return the attempt that was named, else the last one of a server or a detached volume.

    Raises:
        UserError: the journal doesn't know the one that was named, or it is of something else.
    """
    if attempt_id:
        attempt = journal.attempt(AttemptId(attempt_id))
        if subject_id not in {None, attempt.subject_id}:
            raise UserError(
                f"attempt {attempt_id} is of {attempt.subject_id} ({attempt.name}), not of {subject_id}",
                remedy="give what the stage before returned for this one",
            )
        return attempt
    return next(reversed(journal.attempts(subject_id)), None) if subject_id else None


# Attempts --------------------------------------------------------------------------------------------------------------


def refuse_to_go_on(attempt: Attempt) -> None:
    """Raise UserError if an attempt is undone, or is to be."""
    if attempt.state is AttemptState.ROLLED_BACK:
        raise UserError(f"{attempt.name}: attempt {attempt.id} was rolled back", remedy="migrate again")
    if attempt.state in UNDONE_NEXT:
        why = f": {attempt.error}" if attempt.error else ""
        raise UserError(
            f"{attempt.name}: attempt {attempt.id} is {attempt.state}{why}",
            remedy=f"undo it, with import_workload_src_cleanup or `os-migrate rollback {attempt.id}`; then migrate again",
        )


def _begin(world: World, journal: Journal, workload: Subject, settings: Settings) -> tuple[Attempt, Inventory]:
    """Check as `os-migrate migrate` does, and begin an attempt."""
    checked, inventory = _checked(world, journal, workload, settings)
    server_id, volume_id = ids_of(workload)
    attempt = journal.begin(server_id, workload.name, destination=inventory.project_id, volume_id=volume_id)
    _tell_begin(Run(world, journal, attempt, settings), "migrate")
    for text in checked.warnings:
        world.events.tell(Note(workload=workload.id, text=text, warning=True))
    return attempt, inventory


def _pair(world: World, journal: Journal, attempt: Attempt, settings: Settings) -> int:
    """Return the pair of hosts that an attempt goes through: before it has anything there, the one with the most room."""
    pair = pair_of(world, attempt, journal.steps(attempt.id))
    if pair is not None:
        return pair
    others = [other.id for other in journal.unfinished() if other.id != attempt.id]
    free = free_disks(world, journal, settings.conversion.disks, others)
    return max(range(len(free)), key=free.__getitem__)


def _checked(world: World, journal: Journal, workload: Subject, settings: Settings) -> tuple[Checked, Inventory]:
    checks = check(world, journal, [workload], settings)
    (checked,) = checks.workloads
    if checked.skip:
        raise NothingToDo(f"{workload.name}: {checked.skip}", remedy="leave it out")
    if checked.problems:
        raise PlanError(checked.problems)
    return replace(checked, warnings=(*checked.warnings, *checks.unchecked)), checks.inventory


def _effects(run: Run) -> tuple[AttemptState, dict[str, StepState]]:
    state = run.journal.attempt(run.attempt.id).state
    return state, {record.step.key: record.state for record in run.steps() if not isinstance(record.step, Reading)}


# The stages ------------------------------------------------------------------------------------------------------------


def _stop(run: Run, workload: Workload, _target: Target) -> None:
    flow.stop_source(run, workload)


def _check(run: Run, workload: Workload, target: Target) -> None:
    _stop(run, workload, target)
    flow.check_source(run, workload)


def _export(run: Run, workload: Workload, target: Target) -> None:
    _check(run, workload, target)
    flow.export_volumes(run, workload)


def _transfer(run: Run, workload: Workload, target: Target) -> None:
    _check(run, workload, target)
    flow.transfer_volumes(run, workload, flow.export_volumes(run, workload))


def _create(run: Run, workload: Workload, target: Target) -> None:
    _check(run, workload, target)
    copied = flow.transfer_volumes(run, workload, flow.export_volumes(run, workload))
    flow.create_instance(run, workload, target, copied)


SEQUENCE: Mapping[Stage, Callable[[Run, Workload, Target], None]] = {
    Stage.STOP: _stop,
    Stage.CHECK: _check,
    Stage.EXPORT: _export,
    Stage.TRANSFER: _transfer,
    Stage.CREATE: _create,
}


def _take_volume(run: Run, volume: DetachedVolume, stage: Stage) -> None:
    exported = detached.export_volumes(run, volume)
    if stage is Stage.TRANSFER:
        detached.transfer_volumes(run, volume, exported)


@contextmanager
def _working(run: Run) -> Iterator[None]:
    """Hold the attempt; if the stage fails, mark it as failed, with the error that is told."""
    with held(run.world, run.attempt.id):
        try:
            yield
        except Exception as raised:  # a fault of ours must not let a failed attempt be gone on with either
            error = raised if isinstance(raised, OSMigrateError) else our_fault(raised)
            state = run.journal.attempt(run.attempt.id).state
            if state is AttemptState.RUNNING:
                if isinstance(error, RollbackIncomplete) and isinstance(error.__cause__, OSMigrateError):
                    error = error.__cause__  # of the transfer's end: all will be undone, so its cause is what to tell
                run.enter(AttemptState.FAILED, str(error))
            undoing = state is AttemptState.ROLLING_BACK
            _tell_end(run, Result.ROLLBACK_INCOMPLETE if undoing else Result.FAILED, str(error))
            if error is raised:
                raise
            raise error from raised


def _tell_begin(run: Run, activity: str) -> None:
    attempt = run.attempt
    run.world.events.tell(
        WorkloadStarted(workload=attempt.subject_id, name=attempt.name, attempt=attempt.id, activity=activity)
    )


def _tell_end(run: Run, result: Result, detail: str = "") -> None:
    attempt = run.attempt
    run.world.events.tell(WorkloadEnded(workload=attempt.subject_id, name=attempt.name, outcome=result, detail=detail))
