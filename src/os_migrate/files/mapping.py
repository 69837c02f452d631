"""Read the mapping file (docs/mapping.md): what is called otherwise in the destination."""

import difflib
import re
from pathlib import Path

from os_migrate.errors import PlanError, Problem
from os_migrate.files import marked
from os_migrate.files.fileformat import described
from os_migrate.files.marked import BadValueError, Document, Steps
from os_migrate.mapping import NULL_MEANS, Entry, Kind, NameMap, NameMapping

SHAPES = ({"name", "to"}, {"regex", "to"}, {"default"})
"""The keys of an entry, in the three shapes that it may have."""


def read_mapping(file: Path | None) -> NameMapping:
    """Return the mapping of a file; where there is none, every name keeps itself.

    Raises:
        PlanError: with every problem, each with its line.
        UserError: the file isn't there or can't be read.
    """
    if file is None:
        return NameMapping()
    absent = "make it, or unset os_migrate_mapping_file: without it every name keeps itself"
    return _mapping(marked.read(file, absent=absent), file.name)


def parse_mapping(text: str, file: str) -> NameMapping:
    """Return the mapping that `text` says; `file` is for the errors."""
    return _mapping(marked.parse(text, file), file)


def _mapping(document: Document, short: str) -> NameMapping:
    value = document.value()
    if value is None:
        return NameMapping()
    if not isinstance(value, dict):
        what = f"this is no mapping file: it holds {described(value)}"
        raise PlanError([Problem(document.where(()), what, f"its sections are {', '.join(Kind)}")])
    problems: list[Problem] = []
    kinds: dict[Kind, NameMap] = {}
    for word, section in value.items():
        if word not in set(Kind):
            near = difflib.get_close_matches(word, list(Kind), n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(Kind)}"
            problems.append(Problem(document.where((word,)), f"unknown section {word}", remedy))
            continue
        reader = _Section(document, Kind(word), short, problems)
        kinds[Kind(word)] = reader.read(section)
    if problems:
        raise PlanError(problems)
    return NameMapping(kinds)


class _Section:
    """Read one section, and collect what is wrong with it."""

    def __init__(self, document: Document, kind: Kind, short: str, problems: list[Problem]) -> None:
        self._document = document
        self._kind = kind
        self._short = short  # the file's name as messages of a plan have it
        self._problems = problems
        self._names: dict[str, Entry] = {}
        self._regexes: list[Entry] = []
        self._default: Entry | None = None

    def read(self, section: object) -> NameMap:
        """Read a mapping of exact names, or a list of entries; null is a section that is empty yet."""
        if isinstance(section, dict):
            for name, to in section.items():
                self._take({"name": name, "to": to}, (self._kind, name))
        elif isinstance(section, list):
            for position, item in enumerate(section):
                self._take(item, (self._kind, position))
        elif section is not None:
            self._problem((self._kind,), f"it must hold names or a list of entries, not {described(section)}")
        return NameMap(self._names, tuple(self._regexes), self._default)

    def _take(self, item: object, steps: Steps) -> None:
        try:
            self._add(item, f"{self._short}:{self._document.line(steps)}")
        except BadValueError as error:
            self._problem(steps, str(error))

    def _add(self, item: object, where: str) -> None:
        if not isinstance(item, dict) or set(item) not in SHAPES:
            raise BadValueError("an entry is {name: NAME, to: NAME}, {regex: PATTERN, to: NAME} or {default: NAME}")
        to = self._target(item["default"] if "default" in item else item["to"])
        if "default" in item:
            _refuse_second(self._default, "a default")
            self._default = Entry("", to, where)
        elif "name" in item:
            entry = Entry(_text(item["name"]), to, where)
            _refuse_second(self._names.get(entry.source), repr(entry.source))
            self._names[entry.source] = entry
        else:
            entry = Entry(_text(item["regex"]), to, where, regex=True)
            _refuse_bad_regex(entry)
            _refuse_second(next((e for e in self._regexes if e.source == entry.source), None), repr(entry.source))
            self._regexes.append(entry)

    def _target(self, value: object) -> str | None:
        if value is not None:
            return _text(value)
        if self._kind not in NULL_MEANS:
            raise BadValueError("nothing here can become null: name what is to be used instead")
        return None

    def _problem(self, steps: Steps, what: str) -> None:
        self._problems.append(Problem(self._document.where(steps), f"{self._kind}: {what}", "see docs/mapping.md"))


def _text(value: object) -> str:
    """Read a name; a number would not be written back as it stands (1.10), so it is refused."""
    if isinstance(value, str) and value:
        return value
    raise BadValueError(
        f"a name must be text, and in quotes if it looks like something else; here is {described(value)}"
    )


def _refuse_bad_regex(entry: Entry) -> None:
    try:
        pattern = re.compile(entry.source)
    except re.error as error:
        raise BadValueError(f"bad regular expression {entry.source!r}: {error}") from None
    try:
        pattern.sub(entry.to or "", "")  # which looks at the replacement first, whatever matches
    except (re.error, IndexError) as error:
        what = f"bad backreference in {entry.to!r}: {error}; {entry.source!r} has {pattern.groups} groups"
        raise BadValueError(what) from None


def _refuse_second(first: Entry | None, what: str) -> None:
    if first is not None:
        raise BadValueError(f"{what} is given twice, first at {first.where}")
