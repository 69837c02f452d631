"""Bring `workloads.yml` and `detached_volumes.yml` up to date with the servers and the detached volumes of the source."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from os_migrate.errors import OSMigrateError, UserError
from os_migrate.files.durable import write_atomically
from os_migrate.files.resourcefile import Merged, merge
from os_migrate.files.workloads import dump_workloads, read_detached_volumes, read_workloads
from os_migrate.journal import Journal
from os_migrate.model import ServerId, VolumeId
from os_migrate.resources.detached import ExportedVolumes, export_detached
from os_migrate.resources.workload import Export, export_all
from os_migrate.settings import NameFilter
from os_migrate.workload import DetachedVolume, Workload
from os_migrate.world import Cloud


@dataclass(frozen=True)
class ExportedServers:
    """What an export of servers found; `before` and `after` are what the file held and holds."""

    file: Path
    found: Export
    merged: Merged[Workload]
    before: str
    after: str

    @property
    def error(self) -> OSMigrateError | None:
        """Return why not all servers are in the file as they are."""
        failed = self.found.failed[0] if self.found.failed else None
        return _of_unfinished([server.name for server in self.found.unfinished], self.file) or failed


@dataclass(frozen=True)
class ExportedDetached:
    """What an export of detached volumes found; `before` and `after` are what the file held and holds."""

    file: Path
    found: ExportedVolumes
    merged: Merged[DetachedVolume]
    before: str
    after: str

    @property
    def error(self) -> OSMigrateError | None:
        """Return why not all volumes are in the file as they are."""
        return _of_unfinished([volume.name for volume in self.found.unfinished], self.file)


def _of_unfinished(names: Sequence[str], file: Path) -> UserError | None:
    if not names:
        return None
    return UserError(
        f"not exported, since their migration is unfinished: {', '.join(map(repr, names))}; the rest is in {file}",
        remedy="`os-migrate resume` or `os-migrate rollback` where it was begun, then export again",
    )


def export_servers(
    source: Cloud,
    journal: Journal,
    file: Path,
    wanted: NameFilter,
    *,
    overwrite_migration_params: bool = False,
    write: bool = True,
) -> ExportedServers:
    """Describe the servers that a filter chooses; those whose migration is unfinished are left as the file has them.

    Raises:
        UserError: the filter matches nothing, or the file can't be read or written.
        CloudError: the source can't be listed.
    """
    old = read_workloads(file) if file.exists() else ()
    began = time.time()
    found = export_all(source, wanted, _busy(journal, began))
    found = _without(found, _busy(journal, began))
    merged = merge(old, found.workloads, found.alive, overwrite_migration_params=overwrite_migration_params)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    after = dump_workloads(merged.resources)
    if write and after != before:
        write_atomically(file, after)
    return ExportedServers(file, found, merged, before, after)


def export_detached_volumes(
    source: Cloud,
    journal: Journal,
    file: Path,
    wanted: NameFilter,
    *,
    may_match_none: bool = False,
    overwrite_migration_params: bool = False,
    write: bool = True,
) -> ExportedDetached:
    """Describe the detached volumes that a filter chooses; those whose migration is unfinished are left as the file has them.

    Raises:
        UserError: the filter matches nothing, unless it may, or the file can't be read or written.
        CloudError: the source can't be listed.
    """
    old = read_detached_volumes(file) if file.exists() else ()
    began = time.time()
    found = export_detached(source, wanted, _busy_volumes(journal, began), may_match_none=may_match_none)
    begun = _busy_volumes(journal, began)
    found = replace(found, volumes=tuple(volume for volume in found.volumes if volume.id not in begun))
    merged = merge(old, found.volumes, found.alive, overwrite_migration_params=overwrite_migration_params)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    after = dump_workloads(merged.resources)
    if write and after != before:
        write_atomically(file, after)
    return ExportedDetached(file, found, merged, before, after)


def _busy(journal: Journal, since: float) -> set[ServerId]:
    """Return the servers with an attempt that was open at `since` or later: what was listed of them may be half done."""
    return {a.server_id for a in journal.attempts() if not a.state.final or (a.ended or 0.0) >= since}


def _without(found: Export, server_ids: set[ServerId]) -> Export:
    """Drop servers whose migration began while they were exported."""
    dropped = [w for w in found.workloads if w.id in server_ids]
    return replace(found, workloads=tuple(w for w in found.workloads if w not in dropped))


def _busy_volumes(journal: Journal, since: float) -> set[VolumeId]:
    """Return the detached volumes with an attempt that was open at `since` or later."""
    return {a.volume_id for a in journal.attempts() if not a.state.final or (a.ended or 0.0) >= since}
