"""`os-migrate validate` and `os-migrate diff`: what can be said of files alone."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.cli.resources import KIND_WORDS
from os_migrate.errors import PlanError, UserError
from os_migrate.files.fileformat import unstructure
from os_migrate.files.workloads import DETACHED_VOLUMES_FILE, WORKLOADS_FILE, read_detached_volumes, read_workloads
from os_migrate.kinds import check_files, contents_of
from os_migrate.model import Side
from os_migrate.resources.catalog import ALL, DETACHED_VOLUMES, KINDS, WORKLOADS, choose_kinds
from os_migrate.resources.compare import Change
from os_migrate.resources.differing import Difference, differences
from os_migrate.resources.files import read_kind
from os_migrate.resources.importing import prepare
from os_migrate.resources.kind import Kind, Resource
from os_migrate.resources.wanted import wanted_resources
from os_migrate.session import open_cloud
from os_migrate.workload import Subject
from os_migrate.world import SystemClock

DIFFERENT: Final = 1
"""The exit code of `diff` where something differs, as that of diff(1)."""


@dataclasses.dataclass(frozen=True)
class Moved:
    """A kind of what is copied, and what reads its file."""

    word: str
    file: str
    read: Callable[[Path], Sequence[Subject]]


MOVED: Final = {
    WORKLOADS: Moved("server", WORKLOADS_FILE, read_workloads),
    DETACHED_VOLUMES: Moved("volume", DETACHED_VOLUMES_FILE, read_detached_volumes),
}


@app.command()
@reporting
def validate(
    ctx: typer.Context,
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND]...",
            help=f"{KIND_WORDS}, {WORKLOADS}, {DETACHED_VOLUMES}. [default: all files that are there]",
        ),
    ] = None,
    *,
    destination: Annotated[
        bool, typer.Option("--destination", help="Ask the destination too, as an import would before it begins.")
    ] = False,
) -> None:
    """Check the files of the data directory: syntax, fields, doubles, and references between them. No cloud is asked.

    With `--destination` it is checked what an import would refuse: references that mean nothing there or several things, and
    fields that can't be changed any more.

    Example: `os-migrate validate networks subnets --destination`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    words = kinds or [ALL]
    chosen = choose_kinds([word for word in words if word not in MOVED], also_for_admins=True)
    found = check_files(
        chosen,
        lambda kind: settings.data_dir / kind.file,
        named=set(words),
        copied={name: settings.data_dir / moved.file for name, moved in MOVED.items() if {name, ALL} & set(words)},
        dangle=not destination,
    )
    if found.problems:
        raise PlanError(found.problems)
    if destination:
        with invocation.events(settings) as events, open_cloud(settings, events, Side.DESTINATION, lock=False) as cloud:
            contents = contents_of(cloud, settings, events, SystemClock())
            wanted = wanted_resources(found.resources, settings)
            prepare(cloud, wanted, KINDS, {kind.name for kind in chosen}, contents)
    lines = [f"{name}.yml: {count} {name.replace('_', ' ')}, nothing wrong" for name, count in found.counts.items()]
    invocation.show("\n".join(lines) or "There are no files to check.", {"files": found.counts})


def _read(kind: Kind, file: Path, *, must_exist: bool) -> Sequence[Resource]:
    return read_kind(kind, file) if must_exist or file.exists() else ()


@app.command()
@reporting
def diff(
    ctx: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A", help="A data directory, or a file of one.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
) -> None:
    """Show what differs between two data directories, or two files: all but ids, times, and what else is only told in `_info`.

    The exit code is 0 where nothing differs, and 1 where something does.

    Example: `os-migrate diff exported-from-source exported-from-destination`
    """
    found: list[Difference] = []
    if first.is_dir() != second.is_dir():
        raise UserError("a directory and a file can't be compared", remedy="name two of the same")
    if first.is_dir():
        for kind in KINDS:
            a, b = first / kind.file, second / kind.file
            found += differences(_read(kind, a, must_exist=False), _read(kind, b, must_exist=False))
        for moved in MOVED.values():
            a, b = first / moved.file, second / moved.file
            if a.exists() or b.exists():
                found += _moved(moved, a, b)
    elif first.name in {moved.file for moved in MOVED.values()}:
        found += _moved(MOVED[first.stem], first, second)
    else:
        kind = _kind_of(first)
        found += differences(read_kind(kind, first), read_kind(kind, second))
    result = {"equal": not found, "differences": [dataclasses.asdict(difference) for difference in found]}
    invocation_of(ctx).show(_text(found, str(first), str(second)), result)
    if found:
        raise typer.Exit(DIFFERENT)


def _kind_of(file: Path) -> Kind:
    for kind in KINDS:
        if kind.name == file.stem:
            return kind
    names = ", ".join(kind.file for kind in KINDS)
    others = ", ".join(moved.file for moved in MOVED.values())
    raise UserError(f"{file} isn't called as a file of a kind", remedy=f"it must be one of {names}, {others}")


def _moved(moved: Moved, first: Path, second: Path) -> list[Difference]:
    one, other = (_params_by_name(moved, file) for file in (first, second))
    found: list[Difference] = []
    for name in (*one, *(name for name in other if name not in one)):
        ours, theirs = one.get(name, []), other.get(name, [])
        for mine, its in zip(ours, theirs, strict=False):
            changes = tuple(Change(key, mine[key], its.get(key)) for key in mine if mine[key] != its.get(key))
            if changes:
                found.append(Difference(Path(moved.file).stem, moved.word, name, changes=changes))
        found += [Difference(Path(moved.file).stem, moved.word, name, only_in="first") for _ in ours[len(theirs) :]]
        found += [Difference(Path(moved.file).stem, moved.word, name, only_in="second") for _ in theirs[len(ours) :]]
    return found


def _params_by_name(moved: Moved, file: Path) -> dict[str, list[dict[str, object]]]:
    """Return what servers or volumes are, by name, without what is only told."""
    found: dict[str, list[dict[str, object]]] = {}
    for subject in moved.read(file) if file.exists() else ():
        params = _without_info(unstructure(subject)["params"])
        assert isinstance(params, dict), "what a file describes is a mapping"
        found.setdefault(subject.name, []).append(params)
    return found


def _without_info(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_info(item) for key, item in value.items() if key != "_info"}
    return [_without_info(item) for item in value] if isinstance(value, list) else value


def _text(found: Sequence[Difference], first: str, second: str) -> str:
    lines: list[str] = []
    for difference in found:
        what = f"{difference.word} {difference.name}"
        if difference.only_in:
            sign, where = ("-", first) if difference.only_in == "first" else ("+", second)
            lines.append(f"{sign} {what} (only in {where})")
        else:
            lines += [f"~ {what}", *(f"    {change}" for change in difference.changes)]
    return "\n".join([*lines, f"{len(found)} differ" if found else "Nothing differs."])
