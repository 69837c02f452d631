"""Which pair of conversion hosts an attempt goes through: the journal knows.

Whatever an attempt does to a host is a step that names the host, journalled before it acts. So an attempt that was begun belongs to
the pair that its steps name, and one whose steps name none has nothing on any host, and may go through whichever has room.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from os_migrate.errors import NotFound, UserError
from os_migrate.journal import Attempt, Journal, StepRecord, StepState
from os_migrate.model import AttemptId, ServerId, ServerStatus, Side
from os_migrate.steps.transfer import StartJob
from os_migrate.steps.volumes import AttachVolume
from os_migrate.world import World


def pair_of(world: World, attempt: Attempt, steps: Iterable[StepRecord]) -> int | None:
    """Return the number of the pair in `world.pairs` that an attempt goes through; None if it may go through any.

    A host that was deleted counts for nothing: what the attempt had there is gone, and its steps find that out.

    Raises:
        UserError: a host of the attempt's runs, and the settings no longer name it.
    """
    named = list(_hosts_of(steps))
    for side, host_id in named:
        if all(host.server_id != host_id for host in world.hosts(side)) and _runs(world, side, host_id):
            raise UserError(
                f"{attempt.name}: attempt {attempt.id} goes through the {side} conversion host {host_id}, "
                "which is none of those that the settings name",
                remedy="set os_migrate_conversion_host_pairs, and the hosts' names, as they were",
            )
    for side, host_id in named:
        for number, pair in enumerate(world.pairs):
            host = pair.host(side)
            if host is not None and host.server_id == host_id:
                return number
    return None


def disks_held(steps: Iterable[StepRecord]) -> Counter[ServerId]:
    """Return how many volumes an attempt has, or may have, on each host."""
    return Counter(
        record.step.host_id
        for record in steps
        if isinstance(record.step, AttachVolume) and record.state is not StepState.UNDONE
    )


def free_disks(world: World, journal: Journal, disks: int, others: Iterable[AttemptId]) -> list[int]:
    """Return how many volumes each pair can take beside those that other attempts hold, which are left alone; at least one."""
    held = sum((disks_held(journal.steps(other)) for other in others), Counter[ServerId]())
    ids = [[host.server_id for side in Side if (host := pair.host(side)) is not None] for pair in world.pairs]
    return [max(1, disks - max((held[host_id] for host_id in pair), default=0)) for pair in ids]


def _hosts_of(steps: Iterable[StepRecord]) -> Iterable[tuple[Side, ServerId]]:
    """Yield the hosts that steps name, each once, in the order of the steps: the source's first."""
    found: dict[tuple[Side, ServerId], None] = {}
    for record in steps:
        if isinstance(record.step, AttachVolume | StartJob) and record.step.host_id is not None:
            found[record.step.side, record.step.host_id] = None
    return found


def _runs(world: World, side: Side, host_id: ServerId) -> bool:
    with suppress(NotFound):
        return world.cloud(side).server(host_id).status is ServerStatus.ACTIVE
    return False
