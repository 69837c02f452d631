"""`os-migrate export`: of workloads here, of the other kinds in `resources`."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from os_migrate.cli.app import Invocation, app, filter_of, invocation_of, reporting
from os_migrate.cli.resources import KIND_WORDS, Told, end_with, export_kinds
from os_migrate.errors import UserError
from os_migrate.files.resourcefile import Merged, merge
from os_migrate.files.workloads import WORKLOADS_FILE, read_workloads, write_workloads
from os_migrate.journal import Journal
from os_migrate.model import ServerId
from os_migrate.resources.catalog import ALL, WORKLOADS, choose_kinds
from os_migrate.resources.workload import Export, export_all
from os_migrate.session import open_session
from os_migrate.workload import Workload


@app.command("export", no_args_is_help=True)
@reporting
def export_command(
    ctx: typer.Context,
    kinds: Annotated[list[str], typer.Argument(metavar="KIND...|all", help=f"{KIND_WORDS}, {WORKLOADS}, or all.")],
    *,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="NAME|~REGEX", help="Only what is called so; can be repeated. [default: the settings']"
        ),
    ] = None,
    overwrite_migration_params: Annotated[
        bool,
        typer.Option("--overwrite-migration-params", help="Replace your edits to `_migration_params` by the defaults."),
    ] = False,
) -> None:
    """Describe what is in the source, as files that can be edited: one a kind of resource.

    A file that is there is brought up to date: resources are known by id, your edits to `_migration_params` are kept, and
    what is gone leaves the file. What OS Migrate made for itself is left out, and so are servers whose migration is unfinished.
    `all` is every kind that needs no administrator. The data of images is downloaded beside their file, and compared with what
    their cloud says of it.

    For example:

    - `os-migrate export all`
    - `os-migrate export networks subnets --filter '~^shop'`
    - `os-migrate export workloads --filter web1 --filter '~^db'`
    """
    invocation = invocation_of(ctx)
    chosen = choose_kinds([word for word in kinds if word != WORKLOADS])
    servers_too = WORKLOADS in kinds or ALL in kinds
    told = Told([], {})
    if chosen:
        told = export_kinds(
            invocation,
            chosen,
            filters or [],
            overwrite_migration_params=overwrite_migration_params,
            may_match_none=servers_too,
        )
    if servers_too:
        export_workloads(invocation, filters or [], told, overwrite_migration_params=overwrite_migration_params)
    else:
        invocation.show("\n".join(told.lines), told.result)
    end_with(told.errors)


def export_workloads(
    invocation: Invocation, filters: Sequence[str], before: Told, *, overwrite_migration_params: bool
) -> None:
    """Describe the source's servers in `workloads.yml`; `before` is what else was exported."""
    settings = invocation.settings()
    wanted = filter_of(filters) if filters else settings.filter(WORKLOADS)
    file = settings.data_dir / WORKLOADS_FILE
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=False) as session,
    ):
        old = read_workloads(file) if file.exists() else ()
        began = time.time()
        found = export_all(session.world.source, wanted, busy(session.journal, began))
        found = without(found, busy(session.journal, began))
        merged = merge(old, found.workloads, found.alive, overwrite_migration_params=overwrite_migration_params)
        write_workloads(file, merged.resources)
    _show(invocation, file, found, merged, before)
    if found.unfinished:
        names = ", ".join(repr(s.name) for s in found.unfinished)
        raise UserError(
            f"not exported, since their migration is unfinished: {names}; the rest is in {file}",
            remedy="`os-migrate resume` or `os-migrate rollback` where it was begun, then export again",
        )
    if found.failed:
        raise found.failed[0]


def busy(journal: Journal, since: float) -> set[ServerId]:
    """Return the servers with an attempt that was open at `since` or later: what was listed of them may be half done."""
    return {a.server_id for a in journal.attempts() if not a.state.final or (a.ended or 0.0) >= since}


def without(found: Export, server_ids: set[ServerId]) -> Export:
    """Drop servers whose migration began while they were exported."""
    dropped = [w for w in found.workloads if w.id in server_ids]
    return replace(found, workloads=tuple(w for w in found.workloads if w not in dropped))


def _show(invocation: Invocation, file: Path, found: Export, merged: Merged[Workload], before: Told) -> None:
    lines = [*before.lines, f"{file}: {len(merged.resources)} servers"]
    for word, workloads in (("added", merged.added), ("changed", merged.changed), ("gone", merged.vanished)):
        lines += [f"  {word:8} {w.name} ({w.id})" for w in workloads]
    lines += [f"  left out {host.name} ({host.id}): a conversion host" for host in found.hosts]
    lines += [f"warning: nothing matches the filter's {entry}" for entry in found.idle_filters]
    lines += [f"warning: {error}" for error in found.failed]
    result = {
        **before.result,
        "file": str(file),
        "exported": _ids(found.workloads),
        "added": _ids(merged.added),
        "changed": _ids(merged.changed),
        "vanished": _ids(merged.vanished),
        "unfinished": [s.id for s in found.unfinished],
        "conversion_hosts": [s.id for s in found.hosts],
        "idle_filters": list(found.idle_filters),
        "failed": [str(error) for error in found.failed],
    }
    invocation.show("\n".join(lines), result)


def _ids(workloads: Sequence[Workload]) -> list[str]:
    return [w.id for w in workloads]
