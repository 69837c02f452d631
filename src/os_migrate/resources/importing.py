"""Make in a destination what files describe: first decide everything, then act, kind by kind.

    networks ─► subnets ─► routers ─► router_interfaces ─► ... ─► the fields that had to wait (a router's routes)

Resources of one kind are made side by side. One that fails stops those that refer to it, and no others. All is known by what it
is, so the same import again is the retry: it goes on where this one ended.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from os_migrate.errors import OSMigrateError, PlanError, Problem
from os_migrate.events import Events, Note
from os_migrate.pool import Work, at_once
from os_migrate.resources.catalog import REFERRED
from os_migrate.resources.checking import nameless, twice
from os_migrate.resources.compare import Action, Change, Verb, by_mark, decide
from os_migrate.resources.index import Index
from os_migrate.resources.kind import ABSENT, Field, Kind, Resource, Unresolved, Write
from os_migrate.rest import Json, Rest
from os_migrate.world import Clock


class Contents(Protocol):
    """What the resources of a kind hold beside what its collection shows: the data of images."""

    def problems(self, action: Action) -> Sequence[Problem]:
        """Return why a resource can't be made, or isn't what is there, as far as its contents go."""

    def make(self, action: Action, body: Json) -> Json:
        """Create the thing with its contents; one that a run which died has left is no second one."""


@dataclass(frozen=True)
class Done:
    """What became of a resource; `error` says why it isn't as it should be."""

    action: Action
    error: OSMigrateError | None = None


@dataclass(frozen=True)
class Import:
    """What is about to be done, kind by kind, and where.

    `others` is what the destination has besides, `contents` by kind what collections can't carry, `made` the ids of what was made so
    far, by action.
    """

    rest: Rest
    index: Index
    actions: tuple[Action, ...]
    others: tuple[str, ...] = ()
    contents: Mapping[str, Contents] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)


def prepare(
    rest: Rest,
    resources: Sequence[Resource],
    kinds: Sequence[Kind],
    imported: AbstractSet[str],
    contents: Mapping[str, Contents] | None = None,
) -> Import:
    """Decide for all resources before anything is touched; `kinds` are all there are, in their order.

    Of kinds that aren't `imported`, only those fields are looked at that waited for one that is.

    Raises:
        PlanError: with every problem of every kind.
        CloudError: the cloud can't be listed.
    """
    coming = {name: {r.name for r in resources if r.kind.name == name} for name in imported}
    index = Index(rest, kinds, REFERRED, coming=coming)
    actions: list[Action] = []
    others: list[str] = []
    problems = [*twice(resources), *nameless(resources)]
    for kind in kinds:
        of_kind = [resource for resource in resources if resource.kind.name == kind.name]
        known = by_mark(kind, index.things(kind.name), index.scope.project_id) if of_kind else {}
        others += _others(kind, of_kind, known, index)
        for resource in of_kind:
            decided = decide(resource, known, index, imported)
            if not isinstance(decided, Action):
                problems += decided
                continue
            actions.append(decided)
            if contents and kind.name in contents and kind.name in imported:
                problems += contents[kind.name].problems(decided)
    if problems:
        raise PlanError(problems)
    index.coming.clear()
    left = tuple(a for a in map(partial(_only_late, imported), actions) if a is not None)
    return Import(rest, index, left, tuple(others), contents or {})


def _others(
    kind: Kind, resources: Sequence[Resource], known: Mapping[Hashable, Sequence[Json]], index: Index
) -> list[str]:
    """Name what the destination has beside the resources, in what they are parts of: a rule that lets more in than the file says."""
    holder = next((entry for entry in kind.fields if entry.name == kind.within), None)
    if holder is None:
        return []
    holders: set[object] = set()
    marks: set[Hashable] = set()
    for resource in resources:
        with suppress(Unresolved):  # told as a problem
            values = {entry.name: entry.wanted(resource.params, index) for entry in kind.fields}
            holders.add(values[holder.name])
            marks.add(kind.known_by(values))
    left = [thing for mark, things in known.items() if mark not in marks for thing in things]
    described = [kind.describe(thing, index) for thing in left if thing.get(holder.key) in holders]
    return [f"{kind.word} {resource.name} ({resource.id})" for resource in described]


def _only_late(imported: AbstractSet[str], action: Action) -> Action | None:
    """Leave of an action what concerns the kinds that are imported."""
    if action.resource.kind.name in imported:
        return action
    return replace(action, changes=()) if action.late and action.verb is Verb.UPDATE else None


def carry_out(plan: Import, events: Events, *, at_a_time: int, clock: Clock) -> list[Done]:
    """Do what was decided. A resource that fails is told, and stops only what refers to it."""
    by_kind: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_kind.setdefault(action.resource.kind.name, []).append(action)
    done: dict[int, Done] = {}

    def together(actions: Sequence[Action], act: Callable[[Import, Action], str]) -> None:
        works = [Work(partial(_one, plan, events, action, act)) for action in actions]
        for ended in at_once(works, threads=at_a_time, lanes=[0], stop=clock.stop):
            done[id(ended.action)] = ended

    for actions in by_kind.values():
        for wave in _waves(actions):
            together(wave, _make_or_change)
    for actions in by_kind.values():
        together([a for a in actions if a.late and done[id(a)].error is None], _write_late)
    return [done[id(action)] for action in plan.actions]


def _waves(actions: Sequence[Action]) -> Iterator[Sequence[Action]]:
    """Yield the actions of a kind so that a project comes after the one that it is in; what turns in a circle comes last."""
    left = list(actions)
    while left:
        coming = {action.resource.name for action in left}
        ready = [a for a in left if not coming & set(_named_of_own_kind(a.resource))] or left
        yield ready
        left = [] if len(ready) == len(left) else [action for action in left if action not in ready]


def _named_of_own_kind(resource: Resource) -> Iterator[str | None]:
    return (reference.ref.name for reference in resource.refs() if reference.kind == resource.kind.name)


def _one(plan: Import, events: Events, action: Action, act: Callable[[Import, Action], str], _lane: int) -> Done:
    what = str(action.resource)
    try:
        done = act(plan, action)
    except OSMigrateError as error:
        events.tell(Note(text=f"{what}: {error}", warning=True))
        return Done(action, error)
    if done:
        events.tell(Note(text=f"{what}: {done}"))
    return Done(action)


def _make_or_change(plan: Import, action: Action) -> str:
    if action.verb is Verb.CREATE:
        _make(plan, action)
        return "created"
    if action.changes:
        _change(plan, action, action.changes)
        return "updated"
    return ""


def _write_late(plan: Import, action: Action) -> str:
    _change(plan, action, action.late)
    return f"has its {', '.join(change.field for change in action.late)}"


def _make(plan: Import, action: Action) -> None:
    kind = action.resource.kind
    fields = [entry for entry in kind.fields if not entry.after and entry.write is not Write.NEVER]
    values = {entry.name: _value(plan, entry, action) for entry in fields}
    given = [f for f in fields if values[f.name] is not ABSENT and values[f.name] != f.default]
    body = kind.sent({f.key: values[f.name] for f in given if f.send is None})
    if kind.name in plan.contents:
        thing = plan.contents[kind.name].make(action, body)
    else:
        thing = kind.make(plan.rest, kind.collection, body)
    plan.index.put(kind.name, thing)
    plan.made[id(action)] = str(thing["id"])
    _send(plan, action, str(thing["id"]), given)


def _change(plan: Import, action: Action, changes: Sequence[Change]) -> None:
    kind = action.resource.kind
    names = {change.field for change in changes}
    fields = [entry for entry in kind.fields if entry.name in names]
    thing_id = plan.made[id(action)] if action.thing is None else str(action.thing["id"])
    body = {f.key: _value(plan, f, action) for f in fields if f.send is None}
    if body:
        plan.index.put(kind.name, plan.rest.update_in(kind.collection, thing_id, kind.sent(body)))
    _send(plan, action, thing_id, fields)


def _send(plan: Import, action: Action, thing_id: str, fields: Sequence[Field]) -> None:
    for entry in fields:
        if entry.send is not None:
            entry.send(plan.rest, action.resource.kind.collection, thing_id, _value(plan, entry, action))


def _value(plan: Import, entry: Field, action: Action) -> object:
    return entry.wanted(action.resource.params, plan.index)
