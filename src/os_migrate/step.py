"""A step: one effect in a cloud or on a host, that can be found again and undone.

A step is a frozen dataclass. Its fields are all that its undo needs; they are written to the journal before it acts, so a
rollback replays nothing. The verbs:

    find     is my effect already there?  one query by tag; asked only when a crash left that open. A step whose handle is
             known beforehand isn't looked for: its effect may be under way and not show yet; it can be done and undone again
    do       make the effect, return a handle to it (an id)
    settle   wait until the effect is whole; return what the flow wants to know of it
    undo     remove the effect; "already gone" is success

The runner (`run.py`) calls them; nobody else does.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from os_migrate.model import Tag
from os_migrate.world import World

R = TypeVar("R")


class Lasts(StrEnum):
    """How long a step's effect is wanted when all goes well."""

    TRANSFER = "transfer"  # until the data is in the destination
    MIGRATION = "migration"  # until the twin runs
    FOREVER = "forever"  # it is what was migrated


STEPS: dict[str, type["Step[Any]"]] = {}
"""Every kind of step by name. A kind that is removed or renamed keeps its entry: journals refer to it."""


@dataclass(frozen=True)
class Step(Generic[R]):
    """One journalled effect. `subject` tells the steps of a kind apart within an attempt."""

    subject: str

    result_type: ClassVar[Any] = str
    lasts: ClassVar[Lasts] = Lasts.FOREVER
    in_order: ClassVar[bool] = False
    """Whether its undo must wait for that of all later steps like it: the source server's disks have an order, and it
    doesn't start without them, nor beside its twin."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        STEPS[cls.__name__] = cls

    @property
    def key(self) -> str:
        """Name this step within its attempt; part of its tag."""
        return f"{type(self).__name__}:{self.subject}"

    @property
    def lifetime(self) -> Lasts:
        """Return how long the effect is wanted; a kind whose steps differ overrides this."""
        return self.lasts

    @property
    def handle(self) -> R | None:
        """Return the effect's handle if it is known before the effect is there; then `do` and `undo` may be repeated."""
        return None

    def find(self, world: World, tag: Tag) -> R | None:  # noqa: ARG002
        """Return the effect's handle if it is there; None where it is known anyway, or where there is no effect."""
        return None

    def do(self, world: World, tag: Tag) -> R:
        """Make the effect, tagged, and return its handle."""
        raise NotImplementedError

    def settle(self, world: World, tag: Tag, made: R) -> R:  # noqa: ARG002 (most effects are whole at once)
        """Wait until the effect is whole."""
        return made

    def undo(self, world: World, tag: Tag, made: R) -> None:
        """Remove the effect; succeed if it is gone already."""
        raise NotImplementedError

    def leftover(self, made: R) -> str:
        """Say what stands if the undo failed, and the command that removes it."""
        return f"{self.key}: {made}"


@dataclass(frozen=True)
class Reading(Step[R]):
    """A step without an effect, journalled for its result: what was read once stays true for the whole attempt."""

    def undo(self, world: World, tag: Tag, made: R) -> None:
        """Do nothing."""
