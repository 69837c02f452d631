"""Read and write the files of the kinds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from os_migrate.files import marked
from os_migrate.files.fileformat import Fault
from os_migrate.files.marked import Document
from os_migrate.files.resourcefile import dump_resources, refuse, structured, write_resources
from os_migrate.resources.kind import Kind, Resource


def read_kind(kind: Kind, file: Path) -> tuple[Resource, ...]:
    """Return the resources of a file, in its order.

    Raises:
        PlanError: with every problem, each with its line.
        UserError: the file isn't there or can't be read.
    """
    return _resources(kind, marked.read(file, absent=f"run `os-migrate export {kind.name}` first"))


def parse_kind(kind: Kind, text: str, file: str) -> tuple[Resource, ...]:
    """Return the resources that `text` describes; `file` is for the errors."""
    return _resources(kind, marked.parse(text, file))


def _resources(kind: Kind, document: Document) -> tuple[Resource, ...]:
    good, problems = structured(document, kind.word, f"os-migrate export {kind.name}", partial(_structure, kind))
    refuse(document, problems)
    return tuple(replace(resource, where=document.where(path)) for path, resource in good)


def _structure(kind: Kind, value: object) -> Resource | list[Fault]:
    return kind.structure(value)


def write_kind(kind: Kind, file: Path, resources: Sequence[Resource]) -> None:
    """Write a file as a whole, for its owner only."""
    write_resources(file, [kind.unstructure(resource) for resource in resources])


def dump_kind(kind: Kind, resources: Sequence[Resource]) -> str:
    """Return the text of a file, the same for the same resources."""
    return dump_resources([kind.unstructure(resource) for resource in resources])
