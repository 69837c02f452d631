"""Compare two sets of files: what differs but for ids, times and all else that is only told. Pure."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from os_migrate.resources.compare import Change
from os_migrate.resources.kind import ABSENT, Field, Resource, Write


@dataclass(frozen=True)
class Difference:
    """A resource that only one side has (`changes` are empty then), or that differs."""

    kind: str
    word: str
    name: str
    only_in: str = ""
    changes: tuple[Change, ...] = ()


def differences(first: Sequence[Resource], second: Sequence[Resource]) -> list[Difference]:
    """Return what differs between two files of a kind: resources are known by what identifies them, their order means nothing."""
    one, other = _by_mark(first), _by_mark(second)
    found: list[Difference] = []
    for mark in (*one, *(mark for mark in other if mark not in one)):
        ours, theirs = one.get(mark, []), other.get(mark, [])
        for mine, its in zip(ours, theirs, strict=False):
            changes = tuple(_changes(mine, its))
            if changes:
                found.append(replace(_difference(mine), changes=changes))
        found += [replace(_difference(r), only_in="first") for r in ours[len(theirs) :]]
        found += [replace(_difference(r), only_in="second") for r in theirs[len(ours) :]]
    return found


def _by_mark(resources: Sequence[Resource]) -> dict[Hashable, list[Resource]]:
    known: dict[Hashable, list[Resource]] = {}
    for resource in resources:
        known.setdefault(resource.mark(), []).append(resource)
    return known


def _difference(resource: Resource) -> Difference:
    return Difference(resource.kind.name, resource.kind.word, resource.name)


def _changes(mine: Resource, its: Resource) -> list[Change]:
    fields = [entry for entry in mine.kind.fields if entry.write is not Write.NEVER]
    return [
        Change(entry.name, mine.params.get(entry.name), its.params.get(entry.name))
        for entry in fields
        if _canon(entry, mine.params) != _canon(entry, its.params)
    ]


def _canon(entry: Field, params: Mapping[str, object]) -> Hashable:
    value = params.get(entry.name)
    if value is None and entry.default is not ABSENT:
        value = entry.default
    return None if value is None else entry.shape.canon(value)
