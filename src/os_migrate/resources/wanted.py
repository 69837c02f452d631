"""What is wanted in the destination: what the files describe, as the settings and the mapping have it.

Whoever migrates, resumes, plans or imports has it from here and from nowhere else. The server's own name and id stay: a workload
is known by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from os_migrate.errors import UserError
from os_migrate.events import Events, Note
from os_migrate.files.filters import listed, select
from os_migrate.files.mapping import read_mapping
from os_migrate.files.workloads import WORKLOADS_FILE, read_workloads
from os_migrate.mapping import Kind, mapped
from os_migrate.resources.kind import Resource
from os_migrate.resources.workload import as_set
from os_migrate.settings import NameFilter, Settings
from os_migrate.workload import Workload


@dataclass(frozen=True)
class Choice:
    """The workloads of the file, those of them that a command is for, and the entries of the filter that match none."""

    everything: Sequence[Workload]
    chosen: Sequence[Workload]
    idle: Sequence[str]

    def tell_of_idle(self, events: Events) -> None:
        """Warn of what may be a slip of the pen."""
        for entry in self.idle:
            events.tell(Note(text=f"nothing matches the filter's {entry}", warning=True))


def described_workloads(settings: Settings) -> list[Workload]:
    """Return the workloads of the file as the settings have them, with the names of the source.

    Raises:
        UserError: there is no file, or it is wrong.
    """
    return [as_set(w, settings.workloads) for w in read_workloads(settings.data_dir / WORKLOADS_FILE)]


def wanted_workloads(settings: Settings) -> list[Workload]:
    """Return the workloads of the file as they are wanted in the destination.

    Raises:
        UserError: there is no file, or one of the files is wrong.
    """
    return as_wanted(read_workloads(settings.data_dir / WORKLOADS_FILE), settings)


def as_wanted(described: Sequence[Workload], settings: Settings) -> list[Workload]:
    """Return what a file has of workloads as it is wanted in the destination.

    Raises:
        UserError: the mapping is wrong.
    """
    mapping = read_mapping(settings.mapping_file)
    return [mapped(as_set(workload, settings.workloads), mapping) for workload in described]


def choose_workloads(settings: Settings, names: Sequence[str], wanted: NameFilter | None) -> Choice:
    """Read the file, and choose: what was named, else what the filter matches; that of the settings, where none is given.

    Raises:
        UserError: a name or a filter matches nothing, or the file can't be used.
    """
    everything = wanted_workloads(settings)
    if names:
        return Choice(everything, named(names, everything), ())
    wanted = settings.filter("workloads") if wanted is None else wanted
    selection = select(wanted, everything, lambda w: w.name, "servers in workloads.yml")
    return Choice(everything, selection.chosen, selection.idle)


def named(names: Sequence[str], workloads: Sequence[Workload]) -> list[Workload]:
    """Return the workloads that were named, by name or id, in the order of the names.

    Raises:
        UserError: a name is nobody's, or that of several.
    """
    chosen: list[Workload] = []
    for name in names:
        found = [w for w in workloads if w.id == name] or [w for w in workloads if w.name == name]
        if not found:
            remedy = f"there are: {listed([w.name for w in workloads])}"
            raise UserError(f"there is no server {name!r} in workloads.yml", remedy=remedy)
        if len(found) > 1:
            ids = ", ".join(w.id for w in found)
            raise UserError(f"{len(found)} servers are called {name!r}", remedy=f"give the id instead: {ids}")
        chosen += [w for w in found if w not in chosen]
    return chosen


def wanted_resources(resources: Sequence[Resource], settings: Settings) -> list[Resource]:
    """Return resources of the files as they are wanted in the destination, without those whose name becomes none.

    Raises:
        UserError: the mapping is wrong.
    """
    mapping = read_mapping(settings.mapping_file)
    renamed = (resource.renamed(mapping.name) for resource in resources)
    return [resource for resource in renamed if resource is not None]


def names_in(resource: Resource) -> set[tuple[Kind, str]]:
    """Return the names that a mapping may change in a resource: its own, and those it refers to."""
    found: set[tuple[Kind, str]] = set()

    def note(kind: Kind, name: str) -> str:
        found.add((kind, name))
        return name

    resource.renamed(note)
    return found
