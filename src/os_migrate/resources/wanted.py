"""What is wanted in the destination: what the files describe, as the settings and the mapping have it.

Whoever migrates, resumes, plans or imports has it from here and from nowhere else. The server's own name and id stay: a workload
is known by them.
"""

from collections.abc import Sequence

from os_migrate.files.mapping import read_mapping
from os_migrate.files.workloads import (
    DETACHED_VOLUMES_FILE,
    WORKLOADS_FILE,
    read_detached_volumes,
    read_workloads,
)
from os_migrate.mapping import Kind, mapped, mapped_volume
from os_migrate.resources.kind import Resource
from os_migrate.resources.workload import as_set
from os_migrate.settings import Settings
from os_migrate.workload import DetachedVolume, Workload


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


def wanted_detached_volumes(settings: Settings) -> list[DetachedVolume]:
    """Return the detached volumes of the file as they are wanted in the destination.

    Raises:
        UserError: there is no file, or one of the files is wrong.
    """
    return volumes_as_wanted(read_detached_volumes(settings.data_dir / DETACHED_VOLUMES_FILE), settings)


def volumes_as_wanted(described: Sequence[DetachedVolume], settings: Settings) -> list[DetachedVolume]:
    """Return what a file has of detached volumes as it is wanted in the destination.

    Raises:
        UserError: the mapping is wrong.
    """
    mapping = read_mapping(settings.mapping_file)
    return [mapped_volume(volume, mapping) for volume in described]


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
