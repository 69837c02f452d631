"""The server group that a twin is to be in. Nova lets nothing be written on one, so it can't carry a tag: its name is all there is."""

import threading
from dataclasses import dataclass
from typing import ClassVar, Final

from os_migrate.model import ServerGroupId, Tag
from os_migrate.step import Step
from os_migrate.world import World

_ONE_AT_A_TIME: Final = threading.Lock()
"""Two workloads of one group begin at once: the second is to find what the first has made."""


@dataclass(frozen=True)
class GroupInUse:
    """A server group of the destination; `ours` if it may be that it wasn't there before the attempt."""

    id: ServerGroupId
    ours: bool


@dataclass(frozen=True)
class CreateServerGroup(Step[GroupInUse]):
    """Have a server group of a name and policy: another workload may have made it since it was looked for."""

    name: str
    policy: str
    max_server_per_host: int | None = None
    result_type: ClassVar[object] = GroupInUse

    def find(self, world: World, tag: Tag) -> GroupInUse | None:  # noqa: ARG002
        """Return the group; nobody knows any more who made it."""
        found = self._there(world)
        return GroupInUse(found, ours=True) if found else None

    def do(self, world: World, tag: Tag) -> GroupInUse:  # noqa: ARG002
        """Ask Nova for it, unless it is there."""
        with _ONE_AT_A_TIME:
            if found := self._there(world):
                return GroupInUse(found, ours=False)
            made = world.destination.create_server_group(self.name, self.policy, self.max_server_per_host)
        return GroupInUse(made, ours=True)

    def undo(self, world: World, tag: Tag, made: GroupInUse) -> None:  # noqa: ARG002
        """Delete it if we made it, and no server is in it: another workload's twin may be by now."""
        if not made.ours:
            return
        with _ONE_AT_A_TIME:
            if any(group.id == made.id and not group.members for group in world.destination.server_groups()):
                world.destination.delete_server_group(made.id)

    def leftover(self, made: GroupInUse) -> str:
        """Name the group."""
        return f"destination server group {made.id}: openstack server group delete {made.id}"

    def _there(self, world: World) -> ServerGroupId | None:
        wanted = (self.name, self.policy, self.max_server_per_host)
        for group in world.destination.server_groups():
            if (group.name, group.policy, group.max_server_per_host) == wanted:
                return ServerGroupId(group.id)
        return None
