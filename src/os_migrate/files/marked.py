"""YAML whose every value knows its line, so that an error in an operator's file can say where it is.

PyYAML's parser is used down to its nodes; the values are built here. What differs from `yaml.safe_load`, on purpose: a
key given twice is refused, dates and sexagesimal numbers stay text (`11:22:33:44:55:66` is a MAC address), and an
unknown tag (`!vault`) becomes a `Tagged` value, which whoever doesn't expect it refuses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from os_migrate.errors import PlanError, Problem, UserError

Steps = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

# The C parser is ten times faster; a file of a thousand servers has a hundred thousand lines.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

STANDARD = "tag:yaml.org,2002:"
"""Begins the tags of YAML's own types, and of the Python objects that PyYAML could make: here nothing makes them."""

KNOWN: Final = {
    STANDARD + kind for kind in ("null", "bool", "int", "float", "str", "timestamp", "value", "merge", "map", "seq")
}

DEEPEST: Final = 50
"""A file of ours is ten values deep; the parser would crash far beyond."""

_TRUE = {"true", "yes", "on"}
_DECIMAL = re.compile(r"[-+]?[0-9][0-9_]*")


class BadValueError(ValueError):
    """A value in a file isn't what is wanted; the message says what is, without the value: it may be a secret."""


@dataclass(frozen=True)
class Tagged:
    """A value with a YAML tag that means nothing here; its content is not kept."""

    tag: str

    def __str__(self) -> str:
        return f"a {self.tag.replace(STANDARD, '!!')} value"


@dataclass(frozen=True)
class Document:
    """A parsed file: `file` is how errors call it."""

    file: str
    root: yaml.Node | None

    def value(self) -> object:
        """Build the whole document out of dicts, lists, strings, numbers, booleans and None.

        Raises:
            PlanError: with every key that is given twice, and every alias that contains itself.
        """
        builder = _Builder(self.file)
        built = builder.build(self.root) if self.root is not None else None
        if builder.problems:
            raise PlanError(builder.problems)
        return built

    def line(self, steps: Steps) -> int:
        """Return the line of the value that `steps` lead to, or of the nearest value around it."""
        node, line = self.root, 1
        for step in steps:
            found = next((pair for pair in _children(node) if pair[0] == step), None)
            if found is None:
                break
            _, line, node = found
        return line

    def where(self, steps: Steps) -> str:
        """Return `file:line` of a value."""
        return f"{self.file}:{self.line(steps)}"


def read(file: Path, *, absent: str) -> Document:
    """Read and parse a file of one YAML document; `absent` is the remedy where there is none.

    Raises:
        UserError: it can't be read.
        PlanError: it isn't YAML; with line and column.
    """
    try:
        if file.exists() and not file.is_file():  # to open a pipe would wait for ever
            raise UserError(f"{file} is not a file", remedy="move it away, or name another")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"there is no {file}", remedy=absent) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PlanError([Problem(f"{file}:{line}", "this is not UTF-8 text", "save the file as UTF-8")]) from None
    except OSError as error:
        raise UserError(
            f"can't read {file}: {error.strerror}", remedy="mend what is in the way, or name another"
        ) from None
    return parse(text, str(file))


def parse(text: str, file: str) -> Document:
    """Parse one YAML document.

    Raises:
        PlanError: it isn't YAML; with line and column.
    """
    try:
        _refuse_depth(text, file)
        return Document(file, yaml.compose(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        where = _place(file, error.problem_mark or error.context_mark)
        if "nesting depth" in str(error.problem):  # libyaml's own limit, which may come first
            raise _too_deep(where) from None
        what = f"this is not YAML: {error.problem or error.context}"
        raise PlanError([Problem(where, what, "mend the line or the one before it")]) from None
    except yaml.reader.ReaderError as error:
        # PyYAML's two parsers disagree on how they count up to it.
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        before = text[: odd.start()] if odd else ""
        where = f"{file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        what = f"this is not YAML: {error.reason}"
        raise PlanError([Problem(where, what, 'remove the character, or write it as "\\x07"')]) from None


def _refuse_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _too_deep(_place(file, event.start_mark))


def _too_deep(where: str) -> PlanError:
    return PlanError([Problem(where, f"this is more than {DEEPEST} values deep", "no file of ours is")])


def _place(file: str, mark: Any) -> str:
    """Return `file:line:column` of one of PyYAML's marks: its two parsers have different ones."""
    return f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1"


def _children(node: yaml.Node | None) -> Iterator[tuple[str | int, int, yaml.Node]]:
    """Yield key or position, line, and node of what a mapping or list holds."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value if isinstance(key, yaml.ScalarNode) else "", key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield position, value.start_mark.line + 1, value


class _Builder:
    """Turn nodes into values; an aliased node is built once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._built: dict[int, object] = {}
        self._open: set[int] = set()

    def build(self, node: yaml.Node) -> object:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._built:
            return self._built[id(node)]
        if id(node) in self._open:
            self._problem(node, "this value contains itself", "write it out")
            return None
        self._open.add(id(node))
        value = self._value(node)
        self._open.discard(id(node))
        self._built[id(node)] = value
        return value

    def _value(self, node: yaml.Node) -> object:
        if node.tag not in KNOWN:
            return Tagged(node.tag)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        assert isinstance(node, yaml.SequenceNode), "there is no fourth kind of node"
        return [self.build(value) for value in node.value]

    def _mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        built: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key must be text", "write the key as text")
                continue
            key = key_node.value
            if key in built:
                self._problem(key_node, f"{key} is given twice", "keep one of them")
            built[key] = self.build(value_node)
        return built

    def _scalar(self, node: yaml.ScalarNode) -> object:
        try:
            return _scalar(node)
        except ValueError:
            self._problem(node, "this is no number that can be read", "mend it, or put it in quotes")
            return None

    def _problem(self, node: yaml.Node, what: str, remedy: str) -> None:
        self.problems.append(Problem(f"{self.file}:{node.start_mark.line + 1}", what, remedy))


def _scalar(node: yaml.ScalarNode) -> object:
    """Return a scalar's value. Raise ValueError for a number that is none, or has thousands of digits."""
    text: str = node.value
    if node.tag not in KNOWN:
        return Tagged(node.tag)
    match node.tag.removeprefix(STANDARD):
        case "null":
            return None
        case "bool":
            return text.lower() in _TRUE
        case "int" if _DECIMAL.fullmatch(text) and (text.strip("+-") == "0" or not text.strip("+-").startswith("0")):
            return int(text.replace("_", ""))
        case "float" if ":" not in text:
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        case _:  # text; and what YAML 1.1 reads as octal, sexagesimal, date or merge key
            return text
