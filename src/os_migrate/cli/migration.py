"""`os-migrate migrate` (also `import workloads`), `import detached_volumes`, `resume` and `rollback`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from os_migrate import batch
from os_migrate.batch import Outcome, Result
from os_migrate.cli.app import Invocation, app, filter_of, invocation_of, reporting
from os_migrate.cli.meter import duration, size
from os_migrate.cli.resources import KIND_WORDS, import_kinds
from os_migrate.errors import UserError
from os_migrate.failure import error_text
from os_migrate.files.filters import listed
from os_migrate.files.workloads import log_names_of
from os_migrate.journal import Attempt
from os_migrate.model import Side
from os_migrate.resources import choosing
from os_migrate.resources.catalog import WORKLOADS, choose_kinds
from os_migrate.resources.choosing import MOVABLE, SERVERS, VOLUMES, Choice, Movable
from os_migrate.session import Session, has_journal, open_journal, open_session
from os_migrate.settings import Settings

Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="NAME|~REGEX", help="Only these servers; can be repeated. [default: the settings']"
    ),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME|ID", help="Servers, by name or id.")]
Attempts = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME|ID|ATTEMPT", help="Servers, volumes or attempts. [default: all that are open]"),
]


@app.command()
@reporting
def migrate(ctx: typer.Context, names: Names = None, *, filters: Filters = None) -> None:
    """Migrate the servers that `workloads.yml` describes.

    All are checked before the first is touched. One that fails is undone in both clouds and doesn't stop the others. What
    is migrated already is skipped, so the same command again is the retry.

    For example:

    - `os-migrate migrate web1 web2`
    - `os-migrate migrate --filter '~^db' --set os_migrate_workload_stop_before_migration=true`
    """
    _migrate(invocation_of(ctx), SERVERS, names or [], filters or [])


@app.command("import", no_args_is_help=True)
@reporting
def import_command(
    ctx: typer.Context,
    kinds: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND...|all",
            help=f"{KIND_WORDS}, or all; or `workloads`, and which servers; or `detached_volumes`, and which volumes.",
        ),
    ],
    *,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="NAME|~REGEX", help="Only what is called so; can be repeated. [default: the settings']"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made and changed.")] = False,
) -> None:
    """Make in the destination what the files describe: one file a kind of resource.

    Kinds are made in the order in which they need one another, after everything was checked. What is there already is left
    alone, or updated where it differs, so the same command again is the retry; nothing is ever deleted. `all` is every kind that
    needs no administrator, but for what is copied: servers are migrated when the rest is there, by `os-migrate migrate`, which
    `os-migrate import workloads` is another name of, and detached volumes by `os-migrate import detached_volumes`.

    For example:

    - `os-migrate import all --dry-run`
    - `os-migrate import networks subnets`
    - `os-migrate import workloads web1 --filter '~^db'`
    - `os-migrate import detached_volumes archive`
    """
    invocation = invocation_of(ctx)
    first, *names = kinds
    if first not in MOVABLE:
        import_kinds(invocation, choose_kinds(kinds), filters or [], dry_run=dry_run)
        return
    if dry_run:
        plan = "os-migrate plan" if first == WORKLOADS else "os-migrate plan --detached-volumes"
        raise UserError(f"{first} have no --dry-run", remedy=f"`{plan}` shows what migrating them would do")
    _migrate(invocation, MOVABLE[first], names, filters or [])


@app.command()
@reporting
def resume(ctx: typer.Context, which: Attempts = None) -> None:
    """Finish what a crash or Ctrl-C left open.

    Migrations go forward from where they were (a copy that went on meanwhile is adopted); what was being undone is undone.

    Example: `os-migrate resume web1`
    """

    def act(session: Session, attempts: Sequence[Attempt]) -> list[Outcome]:
        open_kinds = {VOLUMES if attempt.volume_id else SERVERS for attempt in attempts}
        there = [kind for kind in open_kinds if (session.settings.data_dir / kind.file).exists()]
        workloads = [subject for kind in there for subject in kind.read(session.settings)]
        return batch.resume(session.world, session.journal, attempts, workloads, session.settings)

    _take_up(invocation_of(ctx), which or [], act)


@app.command()
@reporting
def rollback(ctx: typer.Context, which: Attempts = None) -> None:
    """Undo what a crash, Ctrl-C or a failed clean-up left open, in both clouds.

    The source server gets its volumes back, and runs again if it ran before. What is migrated is never undone.

    Example: `os-migrate rollback web1`
    """

    def act(session: Session, attempts: Sequence[Attempt]) -> list[Outcome]:
        return batch.rollback(session.world, session.journal, attempts, session.settings)

    _take_up(invocation_of(ctx), which or [], act)


def _migrate(invocation: Invocation, kind: Movable, names: Sequence[str], filters: Sequence[str]) -> None:
    settings = invocation.settings()
    choice = choose(settings, kind, names, filters)
    log_names = log_names_of([(w.id, w.name, kind is VOLUMES) for w in choice.everything])
    with invocation.events(settings, log_names) as events:
        choice.tell_of_idle(events)
        with open_session(settings, events, hosts=True, lock=True, checks_hosts=True) as session:
            outcomes = batch.migrate(session.world, session.journal, choice.chosen, settings)
            calls = calls_of(session)
    finish(invocation, outcomes, calls)


def choose(settings: Settings, kind: Movable, names: Sequence[str], filters: Sequence[str]) -> Choice:
    """Read the file, and choose: what was named, else what the filter matches, else what that of the settings does.

    Raises:
        UserError: a name or a filter matches nothing, or the file can't be used.
    """
    return choosing.choose(settings, kind, names, filter_of(filters) if filters else None)


def _take_up(
    invocation: Invocation, which: Sequence[str], act: Callable[[Session, Sequence[Attempt]], list[Outcome]]
) -> None:
    settings = invocation.settings()
    attempts = open_attempts(settings, which)
    if not attempts:
        invocation.show("Nothing is open.", {"outcomes": []})
        return
    with (
        invocation.events(
            settings, log_names_of([(a.subject_id, a.name, bool(a.volume_id)) for a in attempts])
        ) as events,
        open_session(settings, events, hosts=True, lock=True) as session,
    ):
        still_open = [session.journal.attempt(a.id) for a in attempts]
        outcomes = act(session, [a for a in still_open if not a.state.final])
        calls = calls_of(session)
    finish(invocation, outcomes, calls)


def open_attempts(settings: Settings, which: Sequence[str]) -> list[Attempt]:
    """Return the unfinished attempts that `which` names, all if it is empty.

    Raises:
        UserError: one names nothing that is open.
    """
    if not has_journal(settings.data_dir):
        attempts = []
    else:
        with open_journal(settings.data_dir) as journal:
            attempts = journal.unfinished()
    if not which:
        return attempts
    chosen: list[Attempt] = []
    for word in which:
        found = [a for a in attempts if word in {a.id, a.subject_id, a.name}]
        if not found:
            names = listed([a.name for a in attempts])
            raise UserError(f"nothing is open for {word!r}", remedy=f"open are: {names}; `os-migrate status` shows all")
        chosen += [a for a in found if a not in chosen]
    return chosen


def calls_of(session: Session) -> dict[str, int]:
    """Return how many API calls each cloud was asked."""
    return {side: session.world.cloud(side).calls for side in Side}


def finish(invocation: Invocation, outcomes: Sequence[Outcome], calls: Mapping[str, int]) -> None:
    """Show what became of each workload, errors on stderr; end with the code of the first failure."""
    result = {"outcomes": [outcome.fields for outcome in outcomes], "api_calls": dict(calls)}
    invocation.show(summary(outcomes), result)
    for outcome in outcomes:
        if outcome.errors:
            typer.echo(f"{outcome.name or '(no name)'} ({outcome.subject_id}): {outcome.result}", err=True)
        for error in outcome.errors:
            typer.echo(error_text(error), err=True)
    if failed := [outcome.exit_code for outcome in outcomes if outcome.exit_code]:
        raise typer.Exit(failed[0])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as people read them: a line each, and the proof of every disk."""
    if not outcomes:
        return "Nothing to do."
    lines: list[str] = []
    for outcome in outcomes:
        lines.append(
            f"{outcome.name or '(no name)'} ({outcome.subject_id}): {outcome.result}, {duration(outcome.seconds)}"
        )
        if outcome.detail and outcome.detail != str(outcome.error):
            lines.append(f"  {outcome.detail}")
        for disk in outcome.report.disks if outcome.report else ():
            proof = f"digests equal: {disk.source_digest}" if disk.proven else "NOT PROVEN"
            sizes = f"{size(disk.data_bytes)} of data in {size(disk.size_bytes)}, {size(disk.wire_bytes)} sent"
            lines.append(f"  {disk.device}: {sizes}; {proof}")
    counts = {result: sum(o.result is result for o in outcomes) for result in Result}
    lines.append(", ".join(f"{count} {result}" for result, count in counts.items() if count))
    return "\n".join(lines)
