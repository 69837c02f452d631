"""Read and write `workloads.yml` and `detached_volumes.yml` in the format of OS Migrate 1.0.x (docs/files.md).

Unknown keys in `params` and `_migration_params`, wrong types and missing fields are refused. `_info` is for reading only, so
unknown keys there are ignored.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from os_migrate.errors import Problem
from os_migrate.files import marked
from os_migrate.files.fileformat import structure, unstructure
from os_migrate.files.marked import Document
from os_migrate.files.resourcefile import dump_resources, refuse, structured, write_resources
from os_migrate.workload import DetachedVolume, Subject, Workload

WORKLOADS_FILE: Final = "workloads.yml"
DETACHED_VOLUMES_FILE: Final = "detached_volumes.yml"

S = TypeVar("S", Workload, DetachedVolume)


def read_workloads(file: Path) -> tuple[Workload, ...]:
    """Return the workloads of a file, in its order.

    Raises:
        PlanError: with every problem, each with its line.
        UserError: the file isn't there or can't be read.
    """
    return _workloads(marked.read(file, absent="run `os-migrate export workloads` first"))


def read_detached_volumes(file: Path) -> tuple[DetachedVolume, ...]:
    """Return the detached volumes of a file, in its order.

    Raises:
        PlanError: with every problem, each with its line.
        UserError: the file isn't there or can't be read.
    """
    return _detached_volumes(marked.read(file, absent="run `os-migrate export detached_volumes` first"))


def parse_workloads(text: str, file: str) -> tuple[Workload, ...]:
    """Return the workloads that `text` describes; `file` is for the errors."""
    return _workloads(marked.parse(text, file))


def parse_detached_volumes(text: str, file: str) -> tuple[DetachedVolume, ...]:
    """Return the detached volumes that `text` describes; `file` is for the errors."""
    return _detached_volumes(marked.parse(text, file))


def _detached_volumes(document: Document) -> tuple[DetachedVolume, ...]:
    return _subjects(document, DetachedVolume, "volume", "os-migrate export detached_volumes")


def _workloads(document: Document) -> tuple[Workload, ...]:
    return _subjects(document, Workload, "server", "os-migrate export workloads")


def _subjects(document: Document, kind: type[S], word: str, command: str) -> tuple[S, ...]:
    good, problems = structured(document, word, command, partial(structure, kind))
    first: dict[str, str] = {}
    for path, subject in good:
        here = document.where(path)
        if subject.id in first:
            what = f"{word} {subject.name!r} has the id of the one at {first[subject.id]}: {subject.id}"
            problems.append(Problem(here, what, "remove one of them"))
        first.setdefault(subject.id, here)
    refuse(document, problems)
    return tuple(subject for _, subject in good)


def write_workloads(file: Path, subjects: Sequence[Subject]) -> None:
    """Write a file that only its owner can read: `user_data` may hold secrets."""
    write_resources(file, [unstructure(subject) for subject in subjects])


def dump_workloads(workloads: Sequence[Subject]) -> str:
    """Return the text of a file, the same for the same workloads."""
    return dump_resources([unstructure(workload) for workload in workloads])


_SAFE: Final = re.compile(r"(?![.-])[\w.+@=-]{1,150}", re.ASCII)
_UNSAFE: Final = re.compile(r"[^\w.+@=-]", re.ASCII)


def log_name(name: str, subject_id: str, others: Collection[str] = ()) -> str:
    """Return what a workload's log is called, without the suffix.

    That is the server's name, if it is a plain one and none of `others`; otherwise the name with an underscore for
    every character that a file system or a shell could take amiss, and the id.
    """
    if _SAFE.fullmatch(name) and name not in others:
        return name
    return f"{_UNSAFE.sub('_', name)[:100].lstrip('.-')}-{_UNSAFE.sub('_', subject_id)}".lstrip("-")


def log_names_of(subjects: Iterable[tuple[str, str, bool]]) -> dict[str, str]:
    """Return what each log is called, by id. Given are id, name, and whether it is a detached volume: its log always has its id."""
    given = list(subjects)
    return {
        subject_id: log_name(name, subject_id, [n for other, n, _ in given if is_volume or other != subject_id])
        for subject_id, name, is_volume in given
    }
