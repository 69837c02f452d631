"""Read and write `workloads.yml` in the format of OS Migrate 1.0.x (docs/files.md).

A file is read strictly, because an edit that is silently dropped costs a migration: unknown keys in `params` and
`_migration_params`, wrong types and missing fields are refused, all at once, each with its line. `_info` is for reading
only, so unknown keys there are ignored. Any version is read whose fields are known.
"""

import dataclasses
import re
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import yaml

from os_migrate import __version__
from os_migrate.errors import PlanError, Problem
from os_migrate.files import marked
from os_migrate.files.durable import write_atomically
from os_migrate.files.fileformat import Fault, described, structure, unstructure
from os_migrate.files.marked import Document
from os_migrate.model import ServerId
from os_migrate.workload import Workload

try:  # ten times faster, where PyYAML was built with it
    from yaml import CSafeDumper as _Base
except ImportError:
    from yaml import SafeDumper as _Base  # type: ignore[assignment]

WORKLOADS_FILE: Final = "workloads.yml"
VERSION_KEY: Final = "os_migrate_version"
KNOWN_VERSIONS: Final = ("1.", "2.0")
"""Begin the versions whose fields are known here."""


def read_workloads(file: Path) -> tuple[Workload, ...]:
    """Return the workloads of a file, in its order.

    Raises:
        PlanError: with every problem, each with its line.
        UserError: the file isn't there or can't be read.
    """
    return _workloads(marked.read(file, absent="run `os-migrate export workloads` first"))


def parse_workloads(text: str, file: str) -> tuple[Workload, ...]:
    """Return the workloads that `text` describes; `file` is for the errors."""
    return _workloads(marked.parse(text, file))


def _workloads(document: Document) -> tuple[Workload, ...]:
    resources, problems = _resources(document)
    workloads: list[Workload] = []
    first: dict[ServerId, str] = {}
    for position, resource in enumerate(resources):
        path = ("resources", position)
        result = structure(resource)
        if not isinstance(result, Workload):
            problems += [_problem(document, path, resource, fault) for fault in result]
            continue
        here = document.where(path)
        if result.id in first:
            what = f"server {result.name!r} has the id of the one at {first[result.id]}: {result.id}"
            problems.append(Problem(here, what, "remove one of them"))
        first.setdefault(result.id, here)
        workloads.append(result)
    if problems:
        raise PlanError([*_other_version(document), *problems])
    return tuple(workloads)


def _resources(document: Document) -> tuple[list[object], list[Problem]]:
    value = document.value()
    remedy = f"it must hold {VERSION_KEY} and resources, as `os-migrate export workloads` writes them"
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
    return [Problem(document.where((VERSION_KEY,)), what, "read it with that version, or export the servers again")]


def _problem(document: Document, path: marked.Steps, resource: object, fault: Fault) -> Problem:
    dotted = ".".join(str(step) for step in fault.path)
    what = f"server {_called(resource)}: {dotted + ': ' if dotted else ''}{fault.what}"
    return Problem(document.where((*path, *fault.path)), what, fault.remedy)


def _called(resource: object) -> str:
    """Return what people call a resource that can't be read: its name, its id, or nothing."""
    for section, key in (("params", "name"), ("_info", "id")):
        inner = resource.get(section) if isinstance(resource, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get(key), str):
            return repr(inner[key])
    return "without a name"


def write_workloads(file: Path, workloads: Sequence[Workload]) -> None:
    """Write a file that only its owner can read: `user_data` may hold secrets."""
    write_atomically(file, dump_workloads(workloads))


def dump_workloads(workloads: Sequence[Workload]) -> str:
    """Return the text of a file, the same for the same workloads."""
    content = {VERSION_KEY: __version__, "resources": [unstructure(w) for w in workloads]}
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
class Merged:
    """What a file holds after an export; the names of groups say what happened to the workloads in them."""

    workloads: tuple[Workload, ...]
    added: tuple[Workload, ...]
    changed: tuple[Workload, ...]
    vanished: tuple[Workload, ...]


def merge(
    old: Sequence[Workload], new: Sequence[Workload], alive: AbstractSet[ServerId], *, overwrite_migration_params: bool
) -> Merged:
    """Bring a file up to date with an export.

    Servers are known by id. Those that the export covers are replaced, but for the operator's `_migration_params`;
    those that it doesn't (a filter, an unfinished migration) stay as they are; those that are not `alive` in the source
    leave. The file's order stays, what is new is added at its end, by name.
    """
    exported = {w.id: w for w in new}
    kept: list[Workload] = []
    changed: list[Workload] = []
    for before in old:
        if before.id not in alive:
            continue
        after = exported.pop(before.id, before)
        if not overwrite_migration_params:
            after = dataclasses.replace(after, migration=before.migration)
        kept.append(after)
        if (after.params, after.migration) != (before.params, before.migration):
            changed.append(after)
    added = sorted(exported.values(), key=lambda w: (w.name, w.id))
    vanished = tuple(w for w in old if w.id not in alive)
    return Merged((*kept, *added), tuple(added), tuple(changed), vanished)


_SAFE: Final = re.compile(r"(?![.-])[\w.+@=-]{1,150}", re.ASCII)
_UNSAFE: Final = re.compile(r"[^\w.+@=-]", re.ASCII)


def log_name(name: str, server_id: ServerId, others: Collection[str] = ()) -> str:
    """Return what a workload's log is called, without the suffix.

    That is the server's name, if it is a plain one and none of `others`; otherwise the name with an underscore for
    every character that a file system or a shell could take amiss, and the id.
    """
    if _SAFE.fullmatch(name) and name not in others:
        return name
    return f"{_UNSAFE.sub('_', name)[:100].lstrip('.-')}-{_UNSAFE.sub('_', server_id)}".lstrip("-")
