"""Choose resources by name: exact names and regular expressions, which are searched, not anchored."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from os_migrate.errors import UserError
from os_migrate.settings import EVERYTHING, NameFilter, Regex

T = TypeVar("T")

SHOWN: Final = 20
"""So many names fit on a screen; a project may have a thousand."""


@dataclass(frozen=True)
class Selection(Generic[T]):
    """What a filter chose, in the order given, and those of its entries that matched nothing."""

    chosen: tuple[T, ...]
    idle: tuple[str, ...]


def matches(entry: str | Regex, name: str) -> bool:
    """Say whether one entry of a filter matches a name."""
    return re.search(entry.pattern, name) is not None if isinstance(entry, Regex) else entry == name


def select(wanted: NameFilter, things: Iterable[T], name_of: Callable[[T], str], kind: str) -> Selection[T]:
    """Choose what any entry of a filter matches; the default filter may find nothing.

    Raises:
        UserError: the filter matches nothing; the message lists what there was.
    """
    everything = list(things)
    selection = select_any(wanted, everything, name_of)
    if not selection.chosen and wanted != EVERYTHING:
        what = f"the filter {described(wanted)} matches none of the {kind}"
        raise UserError(what, remedy=f"there are: {listed([name_of(t) for t in everything])}")
    return selection


def select_any(wanted: NameFilter, things: Iterable[T], name_of: Callable[[T], str]) -> Selection[T]:
    """Choose what any entry of a filter matches, perhaps nothing."""
    everything = list(things)
    chosen = tuple(t for t in everything if any(matches(entry, name_of(t)) for entry in wanted))
    idle = [entry for entry in wanted if not any(matches(entry, name_of(t)) for t in everything)]
    return Selection(chosen, tuple(described([entry]) for entry in idle if (entry,) != EVERYTHING))


def described(wanted: Iterable[str | Regex]) -> str:
    """Return a filter as it would be typed: `~` marks a regular expression."""
    return ", ".join(f"~{entry.pattern}" if isinstance(entry, Regex) else repr(entry) for entry in wanted) or "(empty)"


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of many."""
    shown = ", ".join(repr(name) for name in sorted(names)[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{shown}{more}" if names else "none"
