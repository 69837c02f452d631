"""`os-migrate export KIND...` and `os-migrate import KIND...`, for the kinds beside workloads."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import typer

from os_migrate.cli.app import Invocation, filter_of
from os_migrate.errors import OSMigrateError, UserError
from os_migrate.failure import error_text
from os_migrate.files.blobs import Blobs
from os_migrate.kinds import Exported, Imported, chosen, finishing, import_resources, read_files
from os_migrate.kinds import export_kinds as bring_up_to_date
from os_migrate.model import Side
from os_migrate.resources.catalog import KINDS
from os_migrate.resources.compare import Verb
from os_migrate.resources.images import IMAGES
from os_migrate.resources.kind import Kind
from os_migrate.resources.wanted import wanted_resources
from os_migrate.session import open_cloud
from os_migrate.world import SystemClock

KIND_WORDS: Final = ", ".join(kind.name for kind in KINDS)


@dataclasses.dataclass(frozen=True)
class Told:
    """What a command found, for people and for machines; `errors` are those that stopped nothing else."""

    lines: Sequence[str]
    result: Mapping[str, object]
    errors: Sequence[OSMigrateError] = ()


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
    with invocation.events(settings) as events, open_cloud(settings, events, Side.SOURCE, lock=False) as cloud:
        exported = bring_up_to_date(
            cloud,
            settings,
            events,
            kinds,
            lambda kind: settings.data_dir / kind.file,
            filter_of(filters) if filters else None,
            may_match_none=may_match_none,
            overwrite_migration_params=overwrite_migration_params,
        )
    return _told_of_export(exported, Blobs(settings.images.blobs_dir))


def import_kinds(invocation: Invocation, kinds: Sequence[Kind], filters: Sequence[str], *, dry_run: bool) -> None:
    """Make in the destination what the files describe."""
    settings = invocation.settings()

    def file_of(kind: Kind) -> Path:
        return settings.data_dir / kind.file

    found = [
        *read_files(kinds, file_of, missing_is_fine=len(kinds) > 1),
        *read_files(finishing(kinds), file_of, missing_is_fine=True),
    ]
    if not any(file_of(kind).exists() for kind in kinds):
        raise UserError(f"{settings.data_dir} has no file of these kinds", remedy="run `os-migrate export` first")
    resources = wanted_resources(chosen(found, settings, filter_of(filters) if filters else None), settings)
    with (
        invocation.events(settings) as events,
        open_cloud(settings, events, Side.DESTINATION, lock=not dry_run) as cloud,
    ):
        imported = import_resources(
            cloud,
            settings,
            events,
            resources,
            {kind.name for kind in kinds},
            dry_run=dry_run,
            clock=SystemClock(),
        )
    _show_import(invocation, imported)
    end_with(imported.errors)


def end_with(errors: Iterable[OSMigrateError]) -> None:
    """Show errors that stopped nothing else, each once, and end with the exit code of the first; go on if there are none."""
    different = list(dict.fromkeys(errors))
    for error in different:
        typer.echo(error_text(error), err=True)
    if different:
        raise typer.Exit(different[0].exit_code)


def _told_of_export(exported: Sequence[Exported], blobs: Blobs) -> Told:
    lines: list[str] = []
    results: list[Mapping[str, object]] = []
    for entry in exported:
        found, merged = entry.found, entry.merged
        lines.append(f"{entry.file}: {len(merged.resources)} {found.kind.name.replace('_', ' ')}")
        for word, resources in (("added", merged.added), ("changed", merged.changed), ("gone", merged.vanished)):
            lines += [f"  {word:8} {r.name} ({r.id})" for r in resources]
        lines += [f"  left out {left}" for left in found.left_out]
        if found.kind is IMAGES:
            lines += _told_of_data(entry, blobs)
        lines += [f"warning: nothing matches the filter's {idle}" for idle in found.idle_filters]
        lines += [
            f"warning: {unseen} is something that the project can't see: name it, or make it null"
            for unseen in found.unseen
        ]
        results.append(entry.fields())
    return Told(lines, {"kinds": results}, [error for entry in exported for error in entry.errors])


def _told_of_data(exported: Exported, blobs: Blobs) -> list[str]:
    """Return the lines about images' data: what came, what didn't, and what is left of images that are gone."""
    fetched = exported.fetched
    lines = [f"  data     {entry.resource.name}: {entry.file}" for entry in fetched if entry.is_new]
    lines += [f"  data     {entry.resource.name}: FAILED: {entry.error.what}" for entry in fetched if entry.error]
    if there := sum(not entry.is_new and entry.error is None for entry in fetched):
        lines.append(f"  data of {there} images was there already")
    files = [blobs.find(image.id, image.name) for image in exported.merged.vanished]
    return [
        *lines,
        *(f"  data of an image that is gone: {file}: delete it if nobody needs it" for file in files if file),
    ]


SIGNS = {Verb.CREATE: "+", Verb.UPDATE: "~"}


def _show_import(invocation: Invocation, imported: Imported) -> None:
    lines: list[str] = []
    for entry in imported.done:
        action = entry.action
        if action.verb is Verb.SAME and entry.error is None:
            continue
        failed = f": FAILED: {entry.error.what}" if entry.error else ""
        lines.append(f"{SIGNS.get(action.verb, ' ')} {action.resource}{failed}")
        lines += [f"    ~ {change}" for change in (*action.changes, *action.late) if action.verb is Verb.UPDATE]
    good = [entry.action.verb for entry in imported.done if entry.error is None]
    words = {Verb.CREATE: "to create", Verb.UPDATE: "to update", Verb.SAME: "same"}
    if not imported.dry_run:
        words |= {Verb.CREATE: "created", Verb.UPDATE: "updated"}
    counts = [f"{good.count(verb)} {word}" for verb, word in words.items() if verb in good]
    if len(good) < len(imported.done):
        counts.append(f"{len(imported.done) - len(good)} failed")
    lines.append(", ".join(counts) or "Nothing to do.")
    invocation.show("\n".join(lines), imported.fields())
