"""Volumes that no server has: what a cloud shows of them, as the resources of `detached_volumes.yml`.

What an export must not record: what OS Migrate made for itself, a data volume that is away from its server for a migration, and a
detached volume whose own migration is unfinished.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from os_migrate.files.filters import Selection, select, select_any
from os_migrate.model import Loan, Volume, VolumeId, tag_of
from os_migrate.resources.workload import params_of_volume
from os_migrate.settings import NameFilter
from os_migrate.workload import DetachedVolume, VolumeInfo
from os_migrate.world import Cloud


@dataclass(frozen=True)
class ExportedVolumes:
    """What an export found. It left out those that are `unfinished`, and those `at_odds`, which are in no state to be migrated."""

    volumes: tuple[DetachedVolume, ...]
    alive: AbstractSet[VolumeId]
    unfinished: tuple[Volume, ...]
    at_odds: tuple[Volume, ...]
    idle_filters: tuple[str, ...]


def export_detached(
    cloud: Cloud, wanted: NameFilter, unfinished: AbstractSet[VolumeId], *, may_match_none: bool
) -> ExportedVolumes:
    """Export the detached volumes that a filter chooses, by name.

    `unfinished` are those with an open attempt in our journal; those that are on loan have one in somebody's.

    Raises:
        UserError: the filter matches nothing.
    """
    everything = [v for v in cloud.volumes() if _is_detached(v) or v.id in unfinished]
    in_order = sorted(everything, key=lambda v: (v.name, v.id))
    chosen: Selection[Volume]
    if may_match_none:
        chosen = select_any(wanted, in_order, lambda v: v.name)
    else:
        chosen = select(wanted, in_order, lambda v: v.name, "detached volumes")
    busy = [v for v in chosen.chosen if v.id in unfinished or Loan.of(v)]
    ready = [v for v in chosen.chosen if v not in busy]
    return ExportedVolumes(
        volumes=tuple(describe(v) for v in ready if v.status == "available"),
        alive={v.id for v in everything},
        unfinished=tuple(busy),
        at_odds=tuple(v for v in ready if v.status != "available"),
        idle_filters=chosen.idle,
    )


def describe(volume: Volume) -> DetachedVolume:
    """Describe a volume."""
    return DetachedVolume(params_of_volume(volume), VolumeInfo(volume.id, volume.size_gib, volume.bootable))


def _is_detached(volume: Volume) -> bool:
    """Say whether nobody has a volume but, perhaps, an attempt that migrates it by itself."""
    loan = Loan.of(volume)
    if loan is not None:
        return not loan.server_id
    return not volume.attachments and tag_of(volume) is None
