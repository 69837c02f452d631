"""Decide what becomes of a resource of a file: made, changed, or left alone because it is there already. Pure.

known in the destination by   nothing   ► create
what identifies it            one       ► same, or update with the fields that differ
                              several   ► refused, with the candidates
"""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from os_migrate.errors import Problem
from os_migrate.resources.kind import ABSENT, Field, Kind, Resource, Unresolved, Write
from os_migrate.resources.shapes import Lookup
from os_migrate.rest import Json

LONG: Final = 160
"""Public keys are longer, and are told apart by their ends."""


class Verb(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    SAME = "same"


@dataclass(frozen=True)
class Change:
    """A field that differs, in the words of the file."""

    field: str
    old: object
    new: object

    def __str__(self) -> str:
        return f"{self.field}: {shown(self.old)} -> {shown(self.new)}"


@dataclass(frozen=True)
class Action:
    """What is to be done for a resource. `thing` is what is there already.

    `late` are the fields that are written when all kinds are there, `waits` the names of those that wait for a kind that
    isn't imported now.
    """

    verb: Verb
    resource: Resource
    changes: tuple[Change, ...] = ()
    late: tuple[Change, ...] = ()
    waits: tuple[str, ...] = ()
    thing: Json | None = None


def shown(value: object) -> str:
    """Return a value of a file as people read it: a reference is its name."""
    if isinstance(value, dict):
        if set(value) == {"name", "project_name", "domain_name"}:
            return str(value["name"])
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return (
        repr(value if len(value) <= LONG else f"{value[:40]}...{value[-40:]}") if isinstance(value, str) else str(value)
    )


def by_mark(kind: Kind, things: Sequence[Json], project_id: str) -> dict[Hashable, list[Json]]:
    """Return the project's things of a kind by what they are known by."""
    known: dict[Hashable, list[Json]] = {}
    for thing in things:
        if kind.ours(thing, project_id):
            seen = kind.shown(thing)
            known.setdefault(kind.known_by({f.name: seen.get(f.key) for f in kind.fields}), []).append(thing)
    return known


def decide(
    resource: Resource, known: Mapping[Hashable, Sequence[Json]], lookup: Lookup, imported: AbstractSet[str]
) -> Action | list[Problem]:
    """Compare a resource with what is there; `imported` are the kinds that will be there in the end."""
    kind = resource.kind
    wanted, problems = _wanted(resource, lookup)
    if problems:
        return problems
    there = known.get(kind.known_by(wanted), ())
    if len(there) > 1:
        ids = ", ".join(str(thing["id"]) for thing in there)
        what = f"the destination has {len(there)} of {resource}: {ids}"
        return [Problem(resource.where, what, "rename or delete the others")]
    thing = there[0] if there else None
    seen = kind.shown(thing) if thing is not None else {}
    old = {entry.name: entry.shown(seen, lookup) for entry in kind.fields}
    if thing is None:
        differing = [f for f in kind.fields if wanted[f.name] is not ABSENT and wanted[f.name] != f.default]
    else:
        differing = [f for f in kind.fields if not f.agrees(wanted[f.name], seen)]
        if fixed := [f for f in differing if f.write is Write.CREATE]:
            return [_cant_change(resource, _change(f, old, resource), thing) for f in fixed]
    late = tuple(_change(f, old, resource) for f in differing if f.after in imported)
    waits = tuple(f.name for f in differing if f.after and f.after not in imported)
    changes = tuple(_change(f, old, resource) for f in differing if not f.after) if thing is not None else ()
    verb = Verb.CREATE if thing is None else Verb.UPDATE if changes or late else Verb.SAME
    return Action(verb, resource, changes, late, waits, thing)


def _wanted(resource: Resource, lookup: Lookup) -> tuple[dict[str, object], list[Problem]]:
    wanted: dict[str, object] = {}
    problems: list[Problem] = []
    for entry in resource.kind.fields:
        try:
            wanted[entry.name] = ABSENT if entry.write is Write.NEVER else entry.wanted(resource.params, lookup)
        except Unresolved as error:
            what = f"{resource}: {entry.name}: {error.what}"
            problems.append(Problem(resource.where, what, error.remedy))
    return wanted, problems


def _change(entry: Field, old: Mapping[str, object], resource: Resource) -> Change:
    return Change(entry.name, old[entry.name], resource.params[entry.name])


def _cant_change(resource: Resource, change: Change, thing: Json) -> Problem:
    word = resource.kind.word
    what = f"{resource} is there already ({thing['id']}), and this can't be changed: {change}"
    return Problem(resource.where, what, f"edit the file, or rename or delete the {word} in the destination")
