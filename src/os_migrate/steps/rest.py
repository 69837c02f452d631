"""Wait until what somebody asked for before, and who may be dead now, has come to its end; then it can be undone."""

from collections.abc import Callable, Container

from os_migrate.errors import NotFound
from os_migrate.events import Note
from os_migrate.model import ServerId, ServerStatus, Side, VolumeId
from os_migrate.world import World

POLL_S = 2.0

VOLUME_MOVES = frozenset({"creating", "downloading", "reserved", "attaching", "detaching"})
"""A volume on its way to another state: Cinder and Nova refuse nearly everything then.

Source: https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes
"""


def await_volume_at_rest(world: World, side: Side, volume_id: VolumeId) -> bool:
    """Wait until a volume isn't on its way any more; say whether it is there."""
    try:
        _wait_while(
            world, lambda: world.cloud(side).volume(volume_id).status, VOLUME_MOVES, f"{side} volume {volume_id}"
        )
    except NotFound:
        return False
    return True


def await_server_at_rest(world: World, server_id: ServerId) -> None:
    """Wait until a source server is neither going on nor off."""
    _wait_while(
        world, lambda: world.source.server(server_id).status, {ServerStatus.OTHER}, f"source server {server_id}"
    )


def _wait_while(world: World, look: Callable[[], str], moves: Container[str], what: str) -> None:
    """Wait at most as long as for anything; what moves even then is left to the cloud to refuse."""
    deadline = world.clock.now() + world.timeout_s
    told = False
    while (status := look()) in moves and world.clock.now() < deadline:
        if not told:
            world.events.tell(Note(text=f"{what} is {status}: waiting until it isn't, {world.timeout_s:.0f} s at most"))
            told = True
        world.clock.sleep(POLL_S)
