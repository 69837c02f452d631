"""Bring `workloads.yml` up to date with the servers of the source."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from os_migrate.errors import OSMigrateError, UserError
from os_migrate.files.durable import write_atomically
from os_migrate.files.resourcefile import Merged, merge
from os_migrate.files.workloads import dump_workloads, read_workloads
from os_migrate.journal import Journal
from os_migrate.model import ServerId
from os_migrate.resources.workload import Export, export_all
from os_migrate.settings import NameFilter
from os_migrate.workload import Workload
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
        if self.found.unfinished:
            names = ", ".join(repr(s.name) for s in self.found.unfinished)
            return UserError(
                f"not exported, since their migration is unfinished: {names}; the rest is in {self.file}",
                remedy="`os-migrate resume` or `os-migrate rollback` where it was begun, then export again",
            )
        return self.found.failed[0] if self.found.failed else None


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


def _busy(journal: Journal, since: float) -> set[ServerId]:
    """Return the servers with an attempt that was open at `since` or later: what was listed of them may be half done."""
    return {a.server_id for a in journal.attempts() if not a.state.final or (a.ended or 0.0) >= since}


def _without(found: Export, server_ids: set[ServerId]) -> Export:
    """Drop servers whose migration began while they were exported."""
    dropped = [w for w in found.workloads if w.id in server_ids]
    return replace(found, workloads=tuple(w for w in found.workloads if w not in dropped))
