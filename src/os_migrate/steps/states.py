"""The lock of the source server, which keeps its tenant from doing anything to it; and the states that its twin takes over."""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from os_migrate.errors import NotFound
from os_migrate.model import ServerId, ServerStatus, Tag
from os_migrate.step import Lasts, Step
from os_migrate.world import World


@dataclass(frozen=True)
class UnlockServer(Step[ServerId]):
    """Unlock the source server, before all else: a locked one can't even be marked. Its undo locks it again, after all else."""

    server_id: ServerId
    lasts: ClassVar[Lasts] = Lasts.MIGRATION
    in_order: ClassVar[bool] = True

    @property
    def handle(self) -> ServerId:
        """Return the server."""
        return self.server_id

    def do(self, world: World, tag: Tag) -> ServerId:  # noqa: ARG002
        """Unlock it."""
        world.source.unlock_server(self.server_id)
        return self.server_id

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:  # noqa: ARG002
        """Lock it; its owner may have deleted it."""
        with suppress(NotFound):
            world.source.lock_server(made)

    def leftover(self, made: ServerId | None) -> str:
        """Name the server."""
        server = made or self.server_id
        return f"source server {server} is unlocked: openstack server lock {server}"


@dataclass(frozen=True)
class StopTwin(Step[ServerId]):
    """Switch the twin off, whose source was off when its migration began. It has run: that is what the commit waits for."""

    server_id: ServerId

    @property
    def handle(self) -> ServerId:
        """Return the server."""
        return self.server_id

    def do(self, world: World, tag: Tag) -> ServerId:  # noqa: ARG002
        """Ask for the shutdown, unless its owner has deleted it."""
        with suppress(NotFound):
            world.destination.stop_server(self.server_id)
        return self.server_id

    def settle(self, world: World, tag: Tag, made: ServerId) -> ServerId:  # noqa: ARG002
        """Wait until it is off."""
        with suppress(NotFound):
            world.destination.await_server(made, ServerStatus.SHUTOFF, world.timeout_s)
        return made

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:
        """Do nothing: a twin that was committed is never undone."""

    def leftover(self, made: ServerId) -> str:
        """Name the server."""
        return f"destination server {made} is off: openstack server start {made}"


@dataclass(frozen=True)
class LockTwin(Step[ServerId]):
    """Lock the twin of a server that was locked: after all else, since nothing can be changed of it then."""

    server_id: ServerId

    @property
    def handle(self) -> ServerId:
        """Return the server."""
        return self.server_id

    def do(self, world: World, tag: Tag) -> ServerId:  # noqa: ARG002
        """Lock it, unless its owner has deleted it."""
        with suppress(NotFound):
            world.destination.lock_server(self.server_id)
        return self.server_id

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:
        """Do nothing: a twin that was committed is never undone."""

    def leftover(self, made: ServerId) -> str:
        """Name the server."""
        return f"destination server {made} is locked: openstack server unlock {made}"
