"""`os-migrate status`: what the journal knows. It needs no cloud, and works while a migration runs."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.cli.meter import duration
from os_migrate.errors import UserError
from os_migrate.files.filters import listed
from os_migrate.journal import Attempt, AttemptState, Journal, StepRecord, StepState
from os_migrate.session import has_journal, open_journal
from os_migrate.step import Reading


@app.command()
@reporting
def status(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|ID|ATTEMPT", help="One server, volume or attempt.")
    ] = None,
    *,
    steps: Annotated[bool, typer.Option("--steps", help="Show every step.")] = False,
) -> None:
    """Show every migration that was begun, where it is, and what of ours still stands.

    Example: `os-migrate status web1 --steps`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    if not has_journal(settings.data_dir):
        invocation.show(f"Nothing was migrated from {settings.data_dir} yet.", {"attempts": []})
        return
    with open_journal(settings.data_dir) as journal:
        attempts = [a for a in journal.attempts() if name is None or name in {a.id, a.subject_id, a.name}]
        if name is not None and not attempts:
            known = listed(sorted({a.name for a in journal.attempts()}))
            raise UserError(f"there is no migration of {name!r}", remedy=f"there are: {known}")
        reports = [report_of(journal, attempt) for attempt in attempts]
    text = "\n".join(line for report in reports for line in lines_of(report, steps=steps))
    invocation.show(text or "Nothing was migrated yet.", {"attempts": [_fields(r, steps=steps) for r in reports]})


@dataclasses.dataclass(frozen=True)
class AttemptReport:
    """An attempt with its steps and the time of its stages."""

    attempt: Attempt
    steps: tuple[StepRecord, ...]
    stage_seconds: tuple[tuple[str, float], ...]

    @property
    def standing(self) -> list[str]:
        """Return what of an unfinished attempt stands, with the command that removes it by hand."""
        if self.attempt.state.final:
            return []
        effects = [r for r in self.steps if not isinstance(r.step, Reading) and r.state is not StepState.UNDONE]
        return [_standing(record) for record in effects]


def _standing(record: StepRecord) -> str:
    if record.result is None:
        return f"{record.step.key}: begun; whether it had its effect is found out by resume and rollback"
    return record.step.leftover(record.result)


def report_of(journal: Journal, attempt: Attempt) -> AttemptReport:
    """Read an attempt's report from the journal."""
    stages = tuple(journal.stage_seconds(attempt.id).items())
    return AttemptReport(attempt, tuple(journal.steps(attempt.id)), stages)


def lines_of(report: AttemptReport, *, steps: bool) -> list[str]:
    """Return a report as people read it."""
    attempt = report.attempt
    stage = f" in stage {attempt.stage}" if attempt.stage and not attempt.state.final else ""
    lines = [f"{attempt.name or '(no name)'} ({attempt.subject_id})  {attempt.state}{stage}  attempt {attempt.id}"]
    lines.append(f"  began {datetime.fromtimestamp(attempt.started).astimezone():%Y-%m-%d %H:%M:%S}{_ended(attempt)}")
    if attempt.error:
        lines.append(f"  error: {attempt.error}")
    lines += [f"  stage {name}: {duration(seconds)}" for name, seconds in report.stage_seconds]
    if steps:
        lines += [f"  step {_step_line(record)}" for record in report.steps]
    if report.standing:
        lines += ["  stands:", *(f"    {thing}" for thing in report.standing)]
    lines += _advice(attempt)
    return lines


def _ended(attempt: Attempt) -> str:
    return f", took {duration(attempt.ended - attempt.started)}" if attempt.ended is not None else ""


def _step_line(record: StepRecord) -> str:
    result = f" {record.result}" if isinstance(record.result, str) else ""
    error = f" error: {record.error}" if record.error else ""
    return f"{record.step.key}: {record.state}{result}{error}"


def _advice(attempt: Attempt) -> Sequence[str]:
    if attempt.state.final:
        return []
    goes_on = f"  unless it is running: `os-migrate resume {attempt.id}`"
    both = attempt.state is AttemptState.RUNNING
    return [goes_on + (f" or `os-migrate rollback {attempt.id}`" if both else "")]


def _fields(report: AttemptReport, *, steps: bool) -> dict[str, object]:
    fields: dict[str, object] = {
        **dataclasses.asdict(report.attempt),
        "stage_seconds": dict(report.stage_seconds),
        "standing": report.standing,
    }
    if steps:
        fields["steps"] = [
            {"step": r.step.key, "state": r.state, "result": _plain(r.result), "error": r.error} for r in report.steps
        ]
    return fields


def _plain(result: object) -> object:
    """Return a step's result for JSON."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return dataclasses.asdict(result)
    return result
