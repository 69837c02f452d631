"""`os-migrate export KIND...` and `os-migrate import KIND...`, for the kinds beside workloads."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import typer

from os_migrate.cli.app import Invocation, filter_of
from os_migrate.cli.failure import error_fields, error_text
from os_migrate.errors import Interrupted, PlanError, Problem, UserError
from os_migrate.events import Note
from os_migrate.files.filters import select, select_any
from os_migrate.files.resourcefile import Merged, merge
from os_migrate.model import Side
from os_migrate.resources.catalog import KINDS
from os_migrate.resources.compare import Action, Verb
from os_migrate.resources.exporting import Found, Wish, export
from os_migrate.resources.files import read_kind, write_kind
from os_migrate.resources.importing import Done, carry_out, prepare
from os_migrate.resources.kind import Kind, Resource
from os_migrate.resources.wanted import wanted_resources
from os_migrate.session import open_cloud
from os_migrate.settings import NameFilter, Settings
from os_migrate.world import SystemClock

KIND_WORDS: Final = ", ".join(kind.name for kind in KINDS)

INFRASTRUCTURE: Final = {
    "networks": "net_name",
    "subnets": "subnet_name",
    "routers": "router_name",
    "security_groups": "secgroup_name",
    "keypairs": "keypair_name",
}
"""The kinds of which `hosts deploy` makes one, and the settings that name it."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What a command found, for people and for machines."""

    lines: Sequence[str]
    result: Mapping[str, object]
    error: UserError | None = None


def export_kinds(
    invocation: Invocation,
    kinds: Sequence[Kind],
    filters: Sequence[str],
    *,
    overwrite_migration_params: bool,
    may_match_none: bool,
) -> Told:
    """Describe resources of the source in their files; a filter of the command line may be for what is exported beside them."""
    settings = invocation.settings()
    files = {kind.name: settings.data_dir / kind.file for kind in kinds}
    old = read_files(kinds, settings, missing_is_fine=True)
    wish = Wish(
        {kind.name: _filter(settings, kind, filters) for kind in kinds},
        {kind: _made_by_us(settings, field) for kind, field in INFRASTRUCTURE.items()},
        whole_cloud=not settings.source.filter_current_project,
        one_filter=bool(filters) and (may_match_none or len(kinds) > 1),
    )
    merged: list[tuple[Found, Merged[Resource]]] = []
    with invocation.events(settings) as events, open_cloud(settings, events, Side.SOURCE, lock=False) as cloud:
        exported = export(cloud, kinds, KINDS, wish)
        if filters and not may_match_none and not any(found.resources for found in exported):
            raise UserError("the filter matches nothing", remedy="check its spelling")
        for found in exported:
            of_kind = [r for r in old if r.kind is found.kind]
            result = merge(of_kind, found.resources, found.alive, overwrite_migration_params=overwrite_migration_params)
            write_kind(found.kind, files[found.kind.name], result.resources)
            merged.append((found, result))
    return _told_of_export(settings, merged)


def import_kinds(invocation: Invocation, kinds: Sequence[Kind], filters: Sequence[str], *, dry_run: bool) -> None:
    """Make in the destination what the files describe."""
    settings = invocation.settings()
    imported = {kind.name for kind in kinds}
    finishing = [k for k in KINDS if k not in kinds and any(f.after in imported for f in k.fields)]
    found = [
        *read_files(kinds, settings, missing_is_fine=len(kinds) > 1),
        *read_files(finishing, settings, missing_is_fine=True),
    ]
    if not any((settings.data_dir / kind.file).exists() for kind in kinds):
        raise UserError(f"{settings.data_dir} has no file of these kinds", remedy="run `os-migrate export` first")
    resources = wanted_resources(_chosen(found, settings, filters), settings)
    clock = SystemClock()
    with (
        invocation.events(settings) as events,
        open_cloud(settings, events, Side.DESTINATION, lock=not dry_run) as cloud,
    ):
        plan = prepare(cloud, resources, KINDS, imported)
        for action in plan.actions:
            for name in action.waits:
                events.tell(Note(text=f"{action.resource}: {name} will come with {_after(action, name)}"))
        for other in plan.others:
            events.tell(Note(text=f"the destination has what the file doesn't: {other}", warning=True))
        if dry_run:
            done = [Done(action) for action in plan.actions]
        else:
            try:
                done = carry_out(plan, events, at_a_time=settings.api_calls_parallel, clock=clock)
            except KeyboardInterrupt:
                raise Interrupted("stopped on request", remedy="the same command again goes on where it was") from None
    _show_import(invocation, done, plan.others, dry_run=dry_run)
    errors = [d.error for d in done if d.error is not None]
    for error in errors:
        typer.echo(error_text(error), err=True)
    if errors:
        raise typer.Exit(errors[0].exit_code)


def read_files(kinds: Sequence[Kind], settings: Settings, *, missing_is_fine: bool) -> list[Resource]:
    """Read the files of kinds. Raise PlanError with the problems of all of them."""
    resources: list[Resource] = []
    problems: list[Problem] = []
    for kind in kinds:
        file = settings.data_dir / kind.file
        if missing_is_fine and not file.exists():
            continue
        try:
            resources += read_kind(kind, file)
        except PlanError as error:
            problems += error.problems
    if problems:
        raise PlanError(problems)
    return resources


def _filter(settings: Settings, kind: Kind, filters: Sequence[str]) -> NameFilter:
    return filter_of(filters) if filters else settings.filter(kind.filter or kind.name)


def _chosen(resources: Sequence[Resource], settings: Settings, filters: Sequence[str]) -> list[Resource]:
    """Return what the filters choose, kind by kind; one of the command line need not match something of each kind."""
    kinds: dict[str, list[Resource]] = {}
    for resource in resources:
        kinds.setdefault(resource.kind.name, []).append(resource)
    chosen: list[Resource] = []
    for of_kind in kinds.values():
        kind = of_kind[0].kind
        wanted = _filter(settings, kind, filters)
        if filters and len(kinds) > 1:
            chosen += select_any(wanted, of_kind, _filter_name).chosen
        else:
            chosen += select(wanted, of_kind, _filter_name, f"{kind.name} in {kind.file}").chosen
    if resources and not chosen:
        raise UserError("the filter matches nothing in the files", remedy="check its spelling")
    return chosen


def _filter_name(resource: Resource) -> str:
    return resource.kind.filter_name(resource.params)


def _made_by_us(settings: Settings, field: str) -> frozenset[str]:
    return frozenset(str(getattr(settings.host(side), field)) for side in Side)


def _after(action: Action, name: str) -> str:
    return next(f"`os-migrate import {f.after}`" for f in action.resource.kind.fields if f.name == name)


def _told_of_export(settings: Settings, merged: Iterable[tuple[Found, Merged[Resource]]]) -> Told:
    lines: list[str] = []
    results: list[Mapping[str, object]] = []
    for found, result in merged:
        file = settings.data_dir / found.kind.file
        lines.append(f"{file}: {len(result.resources)} {found.kind.name.replace('_', ' ')}")
        for word, resources in (("added", result.added), ("changed", result.changed), ("gone", result.vanished)):
            lines += [f"  {word:8} {r.name} ({r.id})" for r in resources]
        lines += [f"warning: nothing matches the filter's {entry}" for entry in found.idle_filters]
        lines += [
            f"warning: {entry} is something that the project can't see: name it, or make it null"
            for entry in found.unseen
        ]
        results.append(
            {
                "kind": found.kind.name,
                "file": str(file),
                "exported": [r.id for r in found.resources],
                "added": [r.id for r in result.added],
                "changed": [r.id for r in result.changed],
                "vanished": [r.id for r in result.vanished],
                "idle_filters": list(found.idle_filters),
                "unseen": list(found.unseen),
            }
        )
    return Told(lines, {"kinds": results})


SIGNS = {Verb.CREATE: "+", Verb.UPDATE: "~"}


def _show_import(invocation: Invocation, done: Sequence[Done], others: Sequence[str], *, dry_run: bool) -> None:
    lines: list[str] = []
    for entry in done:
        action = entry.action
        if action.verb is Verb.SAME and entry.error is None:
            continue
        failed = f": FAILED: {entry.error.what}" if entry.error else ""
        lines.append(f"{SIGNS.get(action.verb, ' ')} {action.resource}{failed}")
        lines += [f"    ~ {change}" for change in (*action.changes, *action.late) if action.verb is Verb.UPDATE]
    good = [entry.action.verb for entry in done if entry.error is None]
    words = {Verb.CREATE: "to create", Verb.UPDATE: "to update", Verb.SAME: "same"}
    if not dry_run:
        words |= {Verb.CREATE: "created", Verb.UPDATE: "updated"}
    counts = [f"{good.count(verb)} {word}" for verb, word in words.items() if verb in good]
    if len(good) < len(done):
        counts.append(f"{len(done) - len(good)} failed")
    lines.append(", ".join(counts) or "Nothing to do.")
    invocation.show(
        "\n".join(lines), {"dry_run": dry_run, "resources": [_fields(entry) for entry in done], "others": list(others)}
    )


def _fields(entry: Done) -> dict[str, object]:
    action = entry.action
    return {
        "kind": action.resource.kind.name,
        "name": action.resource.name,
        "action": action.verb,
        "changes": [dataclasses.asdict(change) for change in (*action.changes, *action.late)],
        "waits": list(action.waits),
        "error": error_fields(entry.error) if entry.error else None,
    }
