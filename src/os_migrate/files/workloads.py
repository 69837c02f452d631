"""Read and write `workloads.yml` in the format of OS Migrate 1.0.x (docs/files.md).

Unknown keys in `params` and `_migration_params`, wrong types and missing fields are refused. `_info` is for reading only, so
unknown keys there are ignored.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from os_migrate.errors import Problem
from os_migrate.files import marked
from os_migrate.files.fileformat import structure, unstructure
from os_migrate.files.marked import Document
from os_migrate.files.resourcefile import dump_resources, refuse, structured, write_resources
from os_migrate.model import ServerId
from os_migrate.workload import Workload

WORKLOADS_FILE: Final = "workloads.yml"


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
    good, problems = structured(document, "server", "os-migrate export workloads", structure)
    first: dict[ServerId, str] = {}
    for path, workload in good:
        here = document.where(path)
        if workload.id in first:
            what = f"server {workload.name!r} has the id of the one at {first[workload.id]}: {workload.id}"
            problems.append(Problem(here, what, "remove one of them"))
        first.setdefault(workload.id, here)
    refuse(document, problems)
    return tuple(workload for _, workload in good)


def write_workloads(file: Path, workloads: Sequence[Workload]) -> None:
    """Write a file that only its owner can read: `user_data` may hold secrets."""
    write_resources(file, [unstructure(workload) for workload in workloads])


def dump_workloads(workloads: Sequence[Workload]) -> str:
    """Return the text of a file, the same for the same workloads."""
    return dump_resources([unstructure(workload) for workload in workloads])


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


def log_names_of(servers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what each server's log is called, by id; the servers are pairs of id and name."""
    pairs = list(servers)
    return {
        server_id: log_name(name, ServerId(server_id), [other for other_id, other in pairs if other_id != server_id])
        for server_id, name in pairs
    }
