"""The vocabulary in which a kind of resource is written down: a table of its fields, and what is special about it.

A kind is one module with one `Kind`, mostly a table; `catalog` lists them in the order in which they need one another. All that
is done to resources (read, write, compare, export, import) is done by tables, in the modules beside this one.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Final

from os_migrate.errors import UserError
from os_migrate.files.fileformat import Fault, described
from os_migrate.files.marked import Steps
from os_migrate.mapping import Kind as Section
from os_migrate.mapping import Rename, Renamed
from os_migrate.resources.shapes import SEE, Lookup, Reference, Shape, unknown_keys
from os_migrate.rest import Collection, Json, Rest


class Absent(Enum):
    """Stands for a default that there isn't: null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Write(StrEnum):
    """When a field can be written."""

    ALWAYS = "always"
    CREATE = "create"  # it can't be changed afterwards: a difference is a problem
    NEVER = "never"  # the cloud decides: it is told, and not compared


class Unresolved(UserError):
    """A reference means nothing in a cloud, or several things."""


def identity(value: Hashable) -> Hashable:
    """Return the value itself: the whole field identifies."""
    return value


@dataclass(frozen=True)
class Field:
    """One key of `params`: what it holds, and how it gets in and out of a cloud.

    `api` is what the API calls it, where it calls it otherwise. `default` is what the API takes where nothing is given: what is
    equal to it isn't sent on create, since the mere mention of some fields takes an administrator. A key that is missing in the
    file, or null, says nothing: whatever is there stays; with `null_says`, null is a value. `identifies` makes the field part
    of what a resource is known by. `send` writes it where that takes a call of its own. `after` is a kind that must be there
    before it can be written.
    """

    name: str
    shape: Shape
    api: str = ""
    required: bool = False
    default: object = ABSENT
    write: Write = Write.ALWAYS
    null_says: bool = False
    compared: bool = True
    identifies: Callable[[Hashable], Hashable] | None = None
    send: Callable[[Rest, Collection, str, object], None] | None = None
    after: str = ""

    @property
    def key(self) -> str:
        """Return what the API calls it."""
        return self.api or self.name

    def said(self, params: Mapping[str, object]) -> bool:
        """Say whether the file says anything of this field."""
        return self.name in params and (self.null_says or params[self.name] is not None)

    def faults(self, params: Mapping[str, object], path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with the field's value."""
        value = params.get(self.name)
        if value is not None:
            yield from self.shape.faults(value, (*path, self.name))
        elif self.required:
            yield Fault((*path, self.name), "is missing", "add it, or export it again")

    def wanted(self, params: Mapping[str, object], lookup: Lookup) -> object:
        """Return the API's value for what the file says, ABSENT where it says nothing.

        Raises:
            Unresolved: a reference isn't one thing in the cloud.
        """
        if not self.said(params):
            return ABSENT
        value = params[self.name]
        return None if value is None else self.shape.to_api(value, lookup)

    def shown(self, thing: Json, lookup: Lookup) -> object:
        """Return what a file says for what a cloud has."""
        value = thing.get(self.key)
        if value is None:
            return None if self.default is ABSENT else self.default
        return self.shape.from_api(value, lookup)

    def agrees(self, want: object, thing: Json) -> bool:
        """Say whether a cloud has what is wanted; it can't be told where the cloud doesn't show the field."""
        if want is ABSENT or not self.compared or self.write is Write.NEVER or self.key not in thing:
            return True
        have = thing[self.key]
        if have is None and self.default is not ABSENT:
            have = self.default
        if want is None or have is None:
            return want is have
        return self.shape.agrees(want, have)

    def mark(self, value: object) -> Hashable:
        """Return this field's part of what a resource is known by."""
        assert self.identifies is not None, "only fields that identify are asked"
        value = self.default if value is None or value is ABSENT else value
        return self.identifies(None if value is None or value is ABSENT else self.shape.canon(value))


@dataclass(frozen=True)
class Resource:
    """One resource of a file, its values as the file has them. `where` is its place there, for messages."""

    kind: "Kind"
    params: Mapping[str, object]
    info: Mapping[str, object]
    migration: Mapping[str, object]
    where: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """Return the id it had in the cloud that it was exported from."""
        return str(self.info.get("id") or "")

    @property
    def name(self) -> str:
        """Return how people call it."""
        return self.kind.label(self.params)

    def __str__(self) -> str:
        """Return it as messages have it: with where its name is from, if a mapping gave it."""
        name = self.params.get("name")
        origin = f" ({name.origin})" if isinstance(name, Renamed) else ""
        return f"{self.kind.word} {self.name}{origin}"

    def mark(self) -> Hashable:
        """Return what it is known by within its file."""
        return self.kind.known_by(self.params)

    def refs(self) -> Iterator[Reference]:
        """Yield all references, with their paths in the resource."""
        for entry in self.kind.fields:
            if self.params.get(entry.name) is not None:
                yield from entry.shape.refs(self.params[entry.name], ("params", entry.name))

    def renamed(self, rename: Rename) -> "Resource | None":
        """Return it with other names, its own and those it refers to; None where its own becomes none."""
        said = [entry for entry in self.kind.fields if self.params.get(entry.name) is not None]
        params = {**self.params, **{f.name: f.shape.renamed(self.params[f.name], rename) for f in said}}
        if self.kind.section in set(Section) and self.params.get("name"):
            params["name"] = rename(Section(self.kind.section), str(self.params["name"]))
            if params["name"] is None:
                return None
        return replace(self, params=params)


def named(params: Mapping[str, object]) -> str:
    """Return the name that a resource has."""
    return str(params.get("name") or "")


def owner_of(thing: Json) -> str | None:
    """Return the id of the project that a thing belongs to: each service calls it otherwise."""
    owner: str | None = thing.get("project_id") or thing.get("tenant_id") or thing.get("owner")
    return owner


def own(thing: Json, project_id: str) -> bool:
    """Say whether a thing is the project's own."""
    return owner_of(thing) == project_id


def create(rest: Rest, collection: Collection, body: Json) -> Json:
    """Create a thing as most are created."""
    return rest.create_in(collection, body)


def list_all(rest: Rest, collection: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List a collection as most are listed."""
    return rest.list_of(collection, query)


def anybodys(_thing: Json, _project_id: str) -> bool:
    """Say that a thing counts, whoever has it: it belongs to no project."""
    return True


def of_project(project_id: str) -> Mapping[str, str]:
    """Return the query for what is the project's own."""
    return {"project_id": project_id}


def everything(_project_id: str) -> Mapping[str, str]:
    """Return the query for all that the project can see."""
    return {}


def as_it_is(thing: Json) -> Json:
    """Return a thing as the cloud shows it."""
    return thing


def as_said(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return what identifies a resource as it is said."""
    return values


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    name         its file, its word on the command line, its filter; `word` is one of it
    type         what a resource of the file says it is
    info         pairs of a key of `_info` and the API's
    label        what people call one
    query        what is asked for when its collection is listed
    listed       lists it, where that takes more than one call; each thing has an `id`
    ours         whether a thing is the project's own
    hidden       whether a thing is no resource at all: a service made it for itself
    shown        a thing as the table is to see it
    exported_as  what of that is told in a file
    unfit        why a thing can't leave its cloud; "" where it can
    normal       what identifies a resource, in one form
    within       a field that refers to what a resource is a part of: what else is in there is told at an import
    sent         a body as the service takes it
    make         creates one from a body
    lacks        what new ones lack, as whoever imports them is told
    mapped_as    the section of the mapping for its names, where it isn't its own
    filter       the kind whose filter chooses, by the name that `filtered_by` says
    for_admin    only an administrator can use it: `all` leaves it out
    """

    name: str
    type: str
    word: str
    collection: Collection
    fields: tuple[Field, ...]
    info: tuple[tuple[str, str], ...]
    migration: tuple[Field, ...] = ()
    label: Callable[[Mapping[str, object]], str] = named
    query: Callable[[str], Mapping[str, str]] = everything
    listed: Callable[[Rest, Collection, Mapping[str, str]], Sequence[Json]] = list_all
    ours: Callable[[Json, str], bool] = own
    hidden: Callable[[Json], bool] = lambda _: False
    shown: Callable[[Json], Json] = as_it_is
    exported_as: Callable[[Json], Json] = as_it_is
    unfit: Callable[[Json], str] = lambda _: ""
    normal: Callable[[Mapping[str, object]], Mapping[str, object]] = as_said
    within: str = ""
    sent: Callable[[Json], Json] = as_it_is
    make: Callable[[Rest, Collection, Json], Json] = create
    lacks: str = ""
    mapped_as: str = ""
    filter: str = ""
    filtered_by: Callable[[Mapping[str, object]], str] | None = None
    for_admin: bool = False

    @property
    def section(self) -> str:
        """Return the section of the mapping that its names are in, if there is one."""
        return self.mapped_as or self.name

    @property
    def file(self) -> str:
        """Return the name of its file in the data dir."""
        return f"{self.name}.yml"

    def filter_name(self, params: Mapping[str, object]) -> str:
        """Return the name that a filter is matched with."""
        return (self.filtered_by or self.label)(params)

    def structure(self, value: object) -> Resource | list[Fault]:
        """Return the resource that a file describes, or all that is wrong with it."""
        if not isinstance(value, dict):
            return [Fault((), f"must be a mapping, is {described(value)}", SEE)]
        if value.get("type") != self.type:
            return [Fault(("type",), f"type must be {self.type}", SEE)]
        faults = list(unknown_keys(value, ["type", "params", "_info", "_migration_params"], ()))
        params = _section(value, "params", faults)
        info = _section(value, "_info", faults)
        migration = _section(value, "_migration_params", faults)
        for section, given, fields in (
            ("params", params, self.fields),
            ("_migration_params", migration, self.migration),
        ):
            faults += unknown_keys(given, [entry.name for entry in fields], (section,))
            for entry in fields:
                faults += entry.faults(given, (section,))
        return faults or Resource(self, params, info, migration)

    def unstructure(self, resource: Resource) -> dict[str, object]:
        """Return a resource as the file has it, keys in the table's order."""
        return {
            "type": self.type,
            "params": _in_order(resource.params, [entry.name for entry in self.fields]),
            "_info": _in_order(resource.info, [name for name, _ in self.info]),
            "_migration_params": _in_order(resource.migration, [entry.name for entry in self.migration]),
        }

    def describe(self, thing: Json, lookup: Lookup) -> Resource:
        """Return the resource that a thing in a cloud is."""
        seen = self.exported_as(self.shown(thing))
        return Resource(
            self,
            params={entry.name: entry.shown(seen, lookup) for entry in self.fields},
            info={name: thing.get(key) for name, key in self.info},
            migration={entry.name: None if entry.default is ABSENT else entry.default for entry in self.migration},
        )

    def known_by(self, values: Mapping[str, object]) -> Hashable:
        """Return what a resource is known by, from the values of its fields: all as the file has them, or all as the API does."""
        values = self.normal(values)
        return tuple(entry.mark(values.get(entry.name)) for entry in self.fields if entry.identifies is not None)


def _section(value: Mapping[str, object], name: str, faults: list[Fault]) -> Mapping[str, object]:
    given = value.get(name)
    if given is None:
        given = {}
    if isinstance(given, dict):
        return given
    faults.append(Fault((name,), f"must be a mapping, is {described(given)}", SEE))
    return {}


def _in_order(values: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    known = {name: values[name] for name in names if name in values}
    return {**known, **values}
