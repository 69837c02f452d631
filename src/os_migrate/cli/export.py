"""`os-migrate export`: of workloads and detached volumes here, of the other kinds in `resources`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from os_migrate.cli.app import Invocation, app, filter_of, invocation_of, reporting
from os_migrate.cli.resources import KIND_WORDS, Told, end_with, export_kinds
from os_migrate.files.workloads import DETACHED_VOLUMES_FILE, WORKLOADS_FILE
from os_migrate.resources.catalog import ALL, DETACHED_VOLUMES, WORKLOADS, choose_kinds
from os_migrate.servers import ExportedServers, export_detached_volumes, export_servers
from os_migrate.session import open_session
from os_migrate.workload import Workload


@app.command("export", no_args_is_help=True)
@reporting
def export_command(
    ctx: typer.Context,
    kinds: Annotated[
        list[str], typer.Argument(metavar="KIND...|all", help=f"{KIND_WORDS}, {WORKLOADS}, {DETACHED_VOLUMES}, or all.")
    ],
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
    what is gone leaves the file. What OS Migrate made for itself is left out, and so are servers and volumes whose migration is unfinished.
    `all` is every kind that needs no administrator. The data of images is downloaded beside their file, and compared with what
    their cloud says of it.

    For example:

    - `os-migrate export all`
    - `os-migrate export networks subnets --filter '~^shop'`
    - `os-migrate export workloads --filter web1 --filter '~^db'`
    """
    invocation = invocation_of(ctx)
    chosen = choose_kinds([word for word in kinds if word not in {WORKLOADS, DETACHED_VOLUMES}])
    servers_too = WORKLOADS in kinds or ALL in kinds
    volumes_too = DETACHED_VOLUMES in kinds or ALL in kinds
    told = Told([], {})
    if chosen:
        told = export_kinds(
            invocation,
            chosen,
            filters or [],
            overwrite_migration_params=overwrite_migration_params,
            may_match_none=servers_too or volumes_too,
        )
    if volumes_too:
        told = export_volumes(
            invocation,
            filters or [],
            told,
            overwrite_migration_params=overwrite_migration_params,
            may_match_none=servers_too or bool(chosen),
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
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=False) as session,
    ):
        exported = export_servers(
            session.world.source,
            session.journal,
            settings.data_dir / WORKLOADS_FILE,
            wanted,
            overwrite_migration_params=overwrite_migration_params,
        )
    _show(invocation, exported, before)
    if exported.error is not None:
        raise exported.error


def export_volumes(
    invocation: Invocation,
    filters: Sequence[str],
    before: Told,
    *,
    overwrite_migration_params: bool,
    may_match_none: bool,
) -> Told:
    """Describe the source's detached volumes in `detached_volumes.yml`; `before` is what else was exported."""
    settings = invocation.settings()
    wanted = filter_of(filters) if filters else settings.filter("volumes")
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=False) as session,
    ):
        exported = export_detached_volumes(
            session.world.source,
            session.journal,
            settings.data_dir / DETACHED_VOLUMES_FILE,
            wanted,
            may_match_none=bool(filters) and may_match_none,
            overwrite_migration_params=overwrite_migration_params,
        )
    file, found, merged = exported.file, exported.found, exported.merged
    lines = [f"{file}: {len(merged.resources)} detached volumes"]
    for word, changed in (("added", merged.added), ("changed", merged.changed), ("gone", merged.vanished)):
        lines += [f"  {word:8} {v.name} ({v.id})" for v in changed]
    lines += [f"  left out {v.name} ({v.id}): it is {v.status}" for v in found.at_odds]
    lines += [f"warning: nothing matches the filter's {entry}" for entry in found.idle_filters]
    result = {
        "file": str(file),
        "exported": [v.id for v in found.volumes],
        "added": [v.id for v in merged.added],
        "changed": [v.id for v in merged.changed],
        "vanished": [v.id for v in merged.vanished],
        "unfinished": [v.id for v in found.unfinished],
        "at_odds": [v.id for v in found.at_odds],
        "idle_filters": list(found.idle_filters),
    }
    errors = [*before.errors, *([exported.error] if exported.error is not None else [])]
    return Told([*before.lines, *lines], {**before.result, DETACHED_VOLUMES: result}, errors)


def _show(invocation: Invocation, exported: ExportedServers, before: Told) -> None:
    file, found, merged = exported.file, exported.found, exported.merged
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
