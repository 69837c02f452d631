"""What a field of a resource can hold, in a file and in a cloud, and how the two are compared.

file value  ──to_api──►  API value          references by name become ids
            ◄─from_api─
faults      what is wrong with a file value, each with the path to it
refs        the references within a file value
renamed     a file value with other names, as a mapping gives them
canon       one hashable form for all values that mean the same; of file values and of API values
agrees      whether a cloud has what is wanted: what the file leaves unsaid is not compared
"""

import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from os_migrate.files.fileformat import Fault, described, instead_of_text
from os_migrate.files.marked import Steps
from os_migrate.mapping import Kind as Section
from os_migrate.mapping import Rename, renamed_ref
from os_migrate.workload import Ref

SEE: Final = "docs/files.md describes it"


@dataclass(frozen=True)
class Reference:
    """A reference within a resource, and where it is there."""

    path: Steps
    kind: str
    ref: Ref


class Lookup(Protocol):
    """The names and ids of one cloud."""

    def id_of(self, kind: str, ref: Ref) -> str:
        """Return the id of what a reference means. Raise Unresolved if that isn't exactly one thing."""

    def ref_to(self, kind: str, thing_id: str) -> Ref:
        """Return the reference to a thing; one without a name where it isn't seen."""


class Shape:
    """A value that is the same in the file and in the API; null is for whoever holds it."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with a file value."""
        raise NotImplementedError

    def to_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002 (for those with references)
        """Return what the API takes for a file value."""
        return value

    def from_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return what a file says for an API value."""
        return value

    def canon(self, value: object) -> Hashable:
        """Return one form for all values that mean the same."""
        assert isinstance(value, Hashable), "shapes of other values say how"
        return value

    def agrees(self, want: object, have: object) -> bool:
        """Say whether an API value is what is wanted."""
        return self.canon(want) == self.canon(have)

    def refs(self, value: object, path: Steps) -> Iterator[Reference]:  # noqa: ARG002
        """Yield the references within a file value."""
        yield from ()

    def renamed(self, value: object, rename: Rename) -> object:  # noqa: ARG002
        """Return a file value with other names."""
        return value


def _same(value: str) -> str:
    return value


@dataclass(frozen=True)
class Text(Shape):
    """Text; `canonical` raises ValueError for what isn't `what`."""

    what: str = "text"
    canonical: Callable[[str], str] = _same
    choices: tuple[str, ...] = ()

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with a text; its value is not told: it may be a secret."""
        if not isinstance(value, str):
            yield Fault(path, instead_of_text(value), SEE)
            return
        if self.choices and value not in self.choices:
            yield Fault(path, f"must be one of {', '.join(self.choices)}, is {value!r}", SEE)
        try:
            self.canonical(value)
        except ValueError:
            yield Fault(path, f"must be {self.what}, is {value!r}", SEE)

    def canon(self, value: object) -> Hashable:
        """Return one form for all texts that mean the same."""
        try:
            return self.canonical(value) if isinstance(value, str) else super().canon(value)
        except ValueError:  # a cloud's own: it is no business of ours
            return str(value)


@dataclass(frozen=True)
class Scalar(Shape):
    """A number or a flag: a bool is no number."""

    types: tuple[type, ...]
    what: str

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with a number or a flag."""
        if type(value) not in self.types:
            yield Fault(path, f"must be {self.what}, is {described(value)}", SEE)


TEXT: Final = Text()
ADDRESS: Final = Text("an IP address", lambda text: str(ip_address(text)))
CIDR: Final = Text("a network (192.0.2.0/24)", lambda text: str(ip_network(text, strict=False)))
NUMBER: Final = Scalar((int,), "a whole number")
DECIMAL: Final = Scalar((int, float), "a number")
FLAG: Final = Scalar((bool,), "true or false")


class Anything(Shape):
    """Whatever the cloud shows: it is only told."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:  # noqa: ARG002
        """Find nothing wrong."""
        yield from ()

    def canon(self, value: object) -> Hashable:
        """Return something to compare by."""
        return repr(value)


ANYTHING: Final = Anything()


@dataclass(frozen=True)
class Texts(Shape):
    """A mapping of texts."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with each text."""
        if not isinstance(value, dict):
            yield Fault(path, f"must be a mapping, is {described(value)}", SEE)
            return
        for key, item in value.items():
            yield from TEXT.faults(item, (*path, key))

    def from_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return the mapping in the order of its keys."""
        return dict(sorted(_mapping(value).items()))

    def canon(self, value: object) -> Hashable:
        """Return the mapping without an order."""
        return tuple(sorted(_mapping(value).items()))


@dataclass(frozen=True)
class ListOf(Shape):
    """A list; most have no order that means anything, and are sorted in the file."""

    item: Shape
    ordered: bool = False

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with each item."""
        if not isinstance(value, list):
            yield Fault(path, f"must be a list, is {described(value)}", SEE)
            return
        for number, item in enumerate(value):
            yield from self.item.faults(item, (*path, number))

    def to_api(self, value: object, lookup: Lookup) -> object:
        """Return what the API takes for each item."""
        return [self.item.to_api(item, lookup) for item in _list(value)]

    def from_api(self, value: object, lookup: Lookup) -> object:
        """Return what a file says for each item."""
        items = [self.item.from_api(item, lookup) for item in _list(value)]
        return items if self.ordered else sorted(items, key=lambda item: repr(self.item.canon(item)))

    def canon(self, value: object) -> Hashable:
        """Return the items, sorted where they have no order."""
        items = [self.item.canon(item) for item in _list(value)]
        return tuple(items if self.ordered else sorted(items, key=repr))

    def agrees(self, want: object, have: object) -> bool:
        """Say whether there are as many items, and each has its counterpart."""
        wanted, there = _list(want), _list(have)
        if len(wanted) != len(there):
            return False
        if self.ordered:
            return all(map(self.item.agrees, wanted, there))
        for item in wanted:
            found = next((n for n, other in enumerate(there) if self.item.agrees(item, other)), None)
            if found is None:
                return False
            there = [other for n, other in enumerate(there) if n != found]
        return True

    def refs(self, value: object, path: Steps) -> Iterator[Reference]:
        """Yield the references within the items."""
        for number, item in enumerate(_list(value)):
            yield from self.item.refs(item, (*path, number))

    def renamed(self, value: object, rename: Rename) -> object:
        """Return the items with other names."""
        return [self.item.renamed(item, rename) for item in _list(value)]


@dataclass(frozen=True)
class NamesOf(ListOf):
    """A list of names that a section of the mapping is about: two that become one are one, and null is none."""

    section: Section | None = None

    def renamed(self, value: object, rename: Rename) -> object:
        """Return what the names become."""
        assert self.section is not None, "it says of what the names are"
        names = [rename(self.section, str(name)) for name in _list(value)]
        return list(dict.fromkeys(name for name in names if name is not None))


@dataclass(frozen=True)
class Part:
    """A key of a record; `default` is what the API has where the file doesn't say it, and isn't exported."""

    name: str
    shape: Shape
    api: str = ""
    required: bool = False
    default: object = None

    @property
    def key(self) -> str:
        """Return what the API calls it."""
        return self.api or self.name


@dataclass(frozen=True)
class Record(Shape):
    """A mapping with known keys. A key that is null or missing is unsaid: it isn't sent, and not compared."""

    parts: tuple[Part, ...]

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with each key."""
        if not isinstance(value, dict):
            yield Fault(path, f"must be a mapping, is {described(value)}", SEE)
            return
        yield from unknown_keys(value, [part.name for part in self.parts], path)
        for part in self.parts:
            if value.get(part.name) is not None:
                yield from part.shape.faults(value[part.name], (*path, part.name))
            elif part.required:
                yield Fault((*path, part.name), "is missing", SEE)

    def to_api(self, value: object, lookup: Lookup) -> object:
        """Return what the API takes for the keys that are said."""
        given = _mapping(value)
        return {
            part.key: part.shape.to_api(given[part.name], lookup)
            for part in self.parts
            if given.get(part.name) is not None and given[part.name] != part.default
        }

    def from_api(self, value: object, lookup: Lookup) -> object:
        """Return what a file says: what is required, and what differs from the API's default."""
        given = _mapping(value)
        return {
            part.name: part.shape.from_api(given[part.key], lookup)
            for part in self.parts
            if given.get(part.key) is not None and (part.required or given[part.key] != part.default)
        }

    def canon(self, value: object) -> Hashable:
        """Return the keys that are said."""
        given = _mapping(value)
        said = {
            part.key: given.get(part.key, given.get(part.name)) for part in self.parts
        }  # a file's key or the API's: both mean the same part
        return tuple(
            (part.key, part.shape.canon(said[part.key]))
            for part in self.parts
            if said[part.key] is not None and said[part.key] != part.default
        )

    def agrees(self, want: object, have: object) -> bool:
        """Compare what is wanted; where nothing is said, the API's default or whatever the cloud chose will do."""
        wanted, there = _mapping(want), _mapping(have)
        return all(
            part.shape.agrees(wanted[part.key], there[part.key])
            if wanted.get(part.key) is not None and there.get(part.key) is not None
            else wanted.get(part.key) is None and (part.default is None or there.get(part.key) in {None, part.default})
            for part in self.parts
        )

    def refs(self, value: object, path: Steps) -> Iterator[Reference]:
        """Yield the references within the parts."""
        given = _mapping(value)
        for part in self.parts:
            if given.get(part.name) is not None:
                yield from part.shape.refs(given[part.name], (*path, part.name))

    def renamed(self, value: object, rename: Rename) -> object:
        """Return the parts with other names."""
        given = _mapping(value)
        said = [part for part in self.parts if given.get(part.name) is not None]
        return {**given, **{part.name: part.shape.renamed(given[part.name], rename) for part in said}}


_REF_KEYS: Final = ("name", "project_name", "domain_name")


@dataclass(frozen=True)
class RefTo(Shape):
    """A reference to a resource of another kind: by name in the file, an id in the API."""

    kind: str

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with a reference."""
        if not isinstance(value, dict):
            remedy = "write {name: ..., project_name: ..., domain_name: ...}"
            yield Fault(path, f"must be a reference, is {described(value)}", remedy)
            return
        yield from unknown_keys(value, _REF_KEYS, path)
        if value.get("name") is None:
            remedy = "what it referred to was not seen at the export: name it, or make the whole reference null"
            yield Fault((*path, "name"), "is missing", remedy)
        for key in _REF_KEYS:
            if value.get(key) is not None:
                yield from TEXT.faults(value[key], (*path, key))

    def to_api(self, value: object, lookup: Lookup) -> object:
        """Return the id that a reference means."""
        return lookup.id_of(self.kind, ref_of(value))

    def from_api(self, value: object, lookup: Lookup) -> object:
        """Return the reference to an id."""
        return unstructured_ref(lookup.ref_to(self.kind, str(value)))

    def canon(self, value: object) -> Hashable:
        """Return an id as it is, a reference as its parts."""
        return ref_of(value) if isinstance(value, dict) else super().canon(value)

    def refs(self, value: object, path: Steps) -> Iterator[Reference]:
        """Yield the reference itself."""
        yield Reference(path, self.kind, ref_of(value))

    def renamed(self, value: object, rename: Rename) -> object:
        """Return the reference with other names."""
        section = Section(self.kind) if self.kind in set(Section) else None
        return unstructured_ref(renamed_ref(ref_of(value), section, rename))


def unknown_keys(value: Mapping[str, object], known: tuple[str, ...] | list[str], path: Steps) -> Iterator[Fault]:
    """Yield a fault for each key that isn't known, with the one that was probably meant."""
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else "remove it; docs/files.md lists the keys"
            yield Fault((*path, key), "unknown key", remedy)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def ref_of(value: object) -> Ref:
    """Return the reference that a file value is."""
    given = _mapping(value)
    texts = {key: text if isinstance(text, str) else None for key, text in given.items()}
    return Ref(texts.get("name"), texts.get("project_name"), texts.get("domain_name"))


def unstructured_ref(ref: Ref) -> dict[str, object]:
    """Return a reference as a file has it."""
    return {"name": ref.name, "project_name": ref.project_name, "domain_name": ref.domain_name}
