"""What all files of resources share: how they are read, brought up to date, and written.

A file is read strictly, because an edit that is silently dropped costs a migration: all that is wrong with it is refused at once,
each with its line. Any version is read whose fields are known.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import ClassVar, Final, Generic, Protocol, TypeVar

import yaml

from os_migrate import __version__
from os_migrate.errors import PlanError, Problem
from os_migrate.files import marked
from os_migrate.files.durable import write_atomically
from os_migrate.files.fileformat import Fault, described
from os_migrate.files.marked import Document

try:  # ten times faster, where PyYAML was built with it
    from yaml import CSafeDumper as _Base
except ImportError:
    from yaml import SafeDumper as _Base  # type: ignore[assignment]

VERSION_KEY: Final = "os_migrate_version"
KNOWN_VERSIONS: Final = ("1.", "2.0")
"""Begin the versions whose fields are known here."""


class Described(Protocol):
    """A resource, as a file has it."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]

    @property
    def id(self) -> str:
        """Return the id it had in the cloud that it was exported from."""

    @property
    def name(self) -> str:
        """Return how people call it."""

    @property
    def params(self) -> object:
        """Return what it is."""

    @property
    def migration(self) -> object:
        """Return how to migrate it."""


T = TypeVar("T")
R = TypeVar("R", bound=Described)


def structured(
    document: Document, word: str, command: str, structure: Callable[[object], T | list[Fault]]
) -> tuple[list[tuple[marked.Steps, T]], list[Problem]]:
    """Return the resources of a file, each with the steps to it, and all that is wrong.

    `word` is what a resource is called, `command` what writes the file.
    """
    resources, problems = _resources(document, command)
    good: list[tuple[marked.Steps, T]] = []
    for position, resource in enumerate(resources):
        path = ("resources", position)
        result = structure(resource)
        if isinstance(result, list):
            problems += [_problem(document, path, word, resource, fault) for fault in result]
        else:
            good.append((path, result))
    return good, problems


def refuse(document: Document, problems: Sequence[Problem]) -> None:
    """Raise PlanError if there are problems, with the one that may explain the others."""
    if problems:
        raise PlanError([*_other_version(document), *problems])


def _resources(document: Document, command: str) -> tuple[list[object], list[Problem]]:
    value = document.value()
    remedy = f"it must hold {VERSION_KEY} and resources, as `{command}` writes them"
    if not isinstance(value, dict):
        return [], [Problem(document.where(()), f"this is no resource file: it holds {described(value)}", remedy)]
    problems = [
        Problem(document.where((key,)), f"unknown key {key}", "remove it")
        for key in value
        if key not in {VERSION_KEY, "resources"}
    ]
    version = value.get(VERSION_KEY)
    if isinstance(version, bool) or not isinstance(version, str | float | int):
        what = (
            f"{VERSION_KEY} is missing" if version is None else f"{VERSION_KEY} must be text, is {described(version)}"
        )
        problems.append(Problem(document.where((VERSION_KEY,)), what, remedy))
    resources = value.get("resources")
    if not isinstance(resources, list):
        what = f"resources must be a list, is {described(resources)}"
        problems.append(Problem(document.where(("resources",)), what, remedy))
        return [], problems
    return resources, problems


def _other_version(document: Document) -> list[Problem]:
    """Return the problem that may explain the others: the file is of a version whose fields we don't know."""
    value = document.value()
    version = value.get(VERSION_KEY) if isinstance(value, dict) else None
    if not isinstance(version, str) or version.startswith(KNOWN_VERSIONS):
        return []
    what = f"the file says it is of version {version}, whose fields may differ: this is OS Migrate {__version__}"
    return [Problem(document.where((VERSION_KEY,)), what, "read it with that version, or export again")]


def _problem(document: Document, path: marked.Steps, word: str, resource: object, fault: Fault) -> Problem:
    dotted = ".".join(str(step) for step in fault.path)
    what = f"{word} {_called(resource)}: {dotted + ': ' if dotted else ''}{fault.what}"
    return Problem(document.where((*path, *fault.path)), what, fault.remedy)


def _called(resource: object) -> str:
    """Return what people call a resource that can't be read: its name, its id, or nothing."""
    for section, key in (("params", "name"), ("_info", "id")):
        inner = resource.get(section) if isinstance(resource, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get(key), str):
            return repr(inner[key])
    return "without a name"


def write_resources(file: Path, resources: Sequence[Mapping[str, object]]) -> None:
    """Write a file that only its owner can read, as a whole."""
    write_atomically(file, dump_resources(resources))


def dump_resources(resources: Sequence[Mapping[str, object]]) -> str:
    """Return the text of a file, the same for the same resources."""
    content = {VERSION_KEY: __version__, "resources": list(resources)}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(_Base):
    """Write without aliases: they surprise whoever edits the file."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's signature)
        return True


def _text(dumper: _Base, value: str) -> yaml.ScalarNode:
    """Write text; what doesn't show is escaped, since a plain or quoted line break of Unicode's would be folded."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')


_Dumper.add_representer(str, _text)


@dataclasses.dataclass(frozen=True)
class Merged(Generic[R]):
    """What a file holds after an export; the names of groups say what happened to the resources in them."""

    resources: tuple[R, ...]
    added: tuple[R, ...]
    changed: tuple[R, ...]
    vanished: tuple[R, ...]


def merge(
    old: Sequence[R], new: Sequence[R], alive: AbstractSet[str], *, overwrite_migration_params: bool
) -> Merged[R]:
    """Bring a file up to date with an export.

    Resources are known by id. Those that the export covers are replaced, but for the operator's `_migration_params`;
    those that it doesn't (a filter, an unfinished migration) stay as they are; those that are not `alive` in the source
    leave. The file's order stays, what is new is added at its end, by name.
    """
    exported = {resource.id: resource for resource in new}
    kept: list[R] = []
    changed: list[R] = []
    for before in old:
        if before.id not in alive:
            continue
        after = exported.pop(before.id, before)
        if not overwrite_migration_params:
            after = dataclasses.replace(after, migration=before.migration)
        kept.append(after)
        if (after.params, after.migration) != (before.params, before.migration):
            changed.append(after)
    added = sorted(exported.values(), key=lambda resource: (resource.name, resource.id))
    vanished = tuple(resource for resource in old if resource.id not in alive)
    return Merged((*kept, *added), tuple(added), tuple(changed), vanished)
