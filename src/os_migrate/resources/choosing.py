"""Choose what is copied, servers or detached volumes, of what a file describes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from os_migrate.errors import UserError
from os_migrate.events import Events, Note
from os_migrate.files.filters import listed, select
from os_migrate.files.workloads import DETACHED_VOLUMES_FILE, WORKLOADS_FILE
from os_migrate.resources.catalog import DETACHED_VOLUMES, WORKLOADS
from os_migrate.resources.wanted import wanted_detached_volumes, wanted_workloads
from os_migrate.settings import NameFilter, Settings
from os_migrate.workload import Subject

S = TypeVar("S", bound=Subject)


@dataclass(frozen=True)
class Movable:
    """A kind of what is copied, as its file describes it; `filter` is what its filter in the settings is for."""

    word: str
    file: str
    filter: str
    read: Callable[[Settings], Sequence[Subject]]

    @property
    def words(self) -> str:
        """Return how messages call all of them."""
        return f"{self.word}s in {self.file}"


SERVERS: Final = Movable("server", WORKLOADS_FILE, WORKLOADS, wanted_workloads)
VOLUMES: Final = Movable("volume", DETACHED_VOLUMES_FILE, DETACHED_VOLUMES, wanted_detached_volumes)
MOVABLE: Final = {WORKLOADS: SERVERS, DETACHED_VOLUMES: VOLUMES}


@dataclass(frozen=True)
class Choice:
    """What a file describes, what of that is chosen, and the entries of the filter that match nothing."""

    everything: Sequence[Subject]
    chosen: Sequence[Subject]
    idle: Sequence[str]

    def tell_of_idle(self, events: Events) -> None:
        """Warn of what may be a slip of the pen."""
        for entry in self.idle:
            events.tell(Note(text=f"nothing matches the filter's {entry}", warning=True))


def choose(settings: Settings, kind: Movable, names: Sequence[str], wanted: NameFilter | None) -> Choice:
    """Read the file, and choose: what was named, else what the filter matches; that of the settings, where none is given.

    Raises:
        UserError: a name or a filter matches nothing, or the file can't be used.
    """
    everything = kind.read(settings)
    if names:
        return Choice(everything, named(names, everything, kind), ())
    wanted = settings.filter(kind.filter) if wanted is None else wanted
    selection = select(wanted, everything, lambda w: w.name, kind.words)
    return Choice(everything, selection.chosen, selection.idle)


def named(names: Sequence[str], workloads: Sequence[S], kind: Movable) -> list[S]:
    """Return what was named of a kind, by name or id, in the order of the names.

    Raises:
        UserError: a name is nobody's, or that of several.
    """
    chosen: list[S] = []
    for name in names:
        found = [w for w in workloads if w.id == name] or [w for w in workloads if w.name == name]
        if not found:
            remedy = f"there are: {listed([w.name for w in workloads])}"
            raise UserError(f"there is no {kind.word} {name!r} in {kind.file}", remedy=remedy)
        if len(found) > 1:
            ids = ", ".join(w.id for w in found)
            raise UserError(f"{len(found)} {kind.word}s are called {name!r}", remedy=f"give the id instead: {ids}")
        chosen += [w for w in found if w not in chosen]
    return chosen
