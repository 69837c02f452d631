"""`os-migrate cleanup`: remove what attempts left, without any journal."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from os_migrate import cleanup as cleaning
from os_migrate.cleanup import Found
from os_migrate.cli.app import Invocation, app, invocation_of, reporting
from os_migrate.cli.migration import calls_of, finish
from os_migrate.errors import CloudError, UserError
from os_migrate.files.filters import listed
from os_migrate.files.workloads import log_names_of
from os_migrate.model import AttemptId
from os_migrate.session import Session, open_session

Which = Annotated[list[str] | None, typer.Argument(metavar="ATTEMPT", help="Only these. [default: all that are found]")]


@app.command()
@reporting
def cleanup(
    ctx: typer.Context,
    which: Which = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Clean up the named attempts though a host still has a connection of their migrator, or there is no host.",
        ),
    ] = False,
) -> None:
    """Remove what migrations left in both clouds and on the hosts, by its tags alone: for when the data dir is lost.

    What was taken from a source server goes back, and the server runs again if it ran. A migration whose twin has run is
    finished instead: nothing that was migrated is removed, and nothing without our tag. What is open in this data dir, or worked
    on by a migrator elsewhere, is left alone.

    For example:

    - `os-migrate cleanup --dry-run`
    - `os-migrate cleanup 3f2a9c01d4 --yes`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    named = [AttemptId(word) for word in which or []]
    if force and not named:
        raise UserError("--force is for attempts that are named", remedy="`os-migrate cleanup --dry-run` lists them")
    with invocation.events(settings) as events, open_session(settings, events, hosts=True, lock=False) as session:
        found = find(session, named, force=force)
    ready = [f for f in found if f.ready]
    if dry_run or not ready:
        invocation.show(listing(found), {"found": [fields(f) for f in found]})
    else:
        confirm(invocation, found, yes=yes)
        names = log_names_of([(f.subject_id, f.name, bool(f.volume_id)) for f in ready])
        with (
            invocation.events(settings, names) as events,
            open_session(settings, events, hosts=True, lock=True) as session,
        ):
            if [f for f in find(session, named, force=force) if f.ready] != ready:
                raise UserError("what is there changed since it was listed", remedy="run the same command again")
            outcomes = cleaning.clean_up(session.world, ready, settings)
            calls = calls_of(session)
        finish(invocation, outcomes, calls)
    if problems := [f for f in found if f.problem]:
        raise CloudError(
            "\n".join(f"attempt {f.attempt} was left alone: {f.problem}" for f in problems),
            remedy="then run the same command again",
        )


def find(session: Session, named: Sequence[AttemptId], *, force: bool) -> list[Found]:
    """Return what is left, of the named attempts only if there are any.

    Raises:
        UserError: a named one has left nothing.
    """
    open_here = [attempt.id for attempt in session.journal.unfinished()]
    found = cleaning.find(session.world, open_here, although_held=named if force else ())
    if missing := set(named) - {f.attempt for f in found}:
        raise UserError(
            f"nothing is left of {', '.join(sorted(missing))}",
            remedy=f"there is something of: {listed([f.attempt for f in found])}",
        )
    return [f for f in found if not named or f.attempt in named]


def confirm(invocation: Invocation, found: Sequence[Found], *, yes: bool) -> None:
    """Show what was found, and ask.

    Raises:
        UserError: there is nobody to ask.
    """
    if not yes and (invocation.as_json or not sys.stdin.isatty()):
        raise UserError("there is nobody to ask", remedy="look with --dry-run first; then give --yes")
    if not invocation.as_json:
        typer.echo(listing(found))
    if not yes:
        typer.confirm("Clean up?", abort=True)


def listing(found: Sequence[Found]) -> str:
    """Return what was found, as people read it."""
    lines: list[str] = []
    for f in found:
        lines += [f"attempt {f.attempt} of {f.name or '(no name)'} ({f.subject_id or 'server unknown'}): {_verdict(f)}"]
        lines += [f"  {what}" for what in f.standing]
    return "\n".join(lines) or "Nothing is left."


def _verdict(found: Found) -> str:
    if found.busy or found.problem:
        return f"left alone: {found.busy or found.problem}"
    if found.twin:
        return f"to be finished, its twin {found.twin} has run"
    if found.copy:
        return f"to be finished, its copy {found.copy} is whole"
    return "to be undone"


def fields(found: Found) -> dict[str, object]:
    """Return what was found as the fields of a JSON line."""
    return {
        "attempt": found.attempt,
        "server_id": found.server_id,
        "volume_id": found.volume_id,
        "name": found.name,
        "twin": found.twin,
        "copy": found.copy,
        "busy": found.busy,
        "problem": found.problem,
        "standing": found.standing,
    }
