"""Why a detached volume can't be migrated, or need not be."""

from collections.abc import Iterable, Iterator

from os_migrate.errors import Problem
from os_migrate.losses import lost_of_volume, lost_with_type
from os_migrate.model import AttemptId, Tag, Volume
from os_migrate.plan.inventory import Inventory
from os_migrate.plan.source import loan_problem
from os_migrate.sizes import Finding
from os_migrate.workload import DetachedVolume


def copy_of(volume: DetachedVolume, volumes: Iterable[Volume]) -> Volume | None:
    """Return the volume that a source volume was migrated to: known by our tag, not by its name."""
    for there in volumes:
        if there.metadata.get(Tag.ORIGIN_KEY) == volume.id and Tag.ATTEMPT_KEY not in there.metadata:
            return there
    return None


def source_volume_problems(
    volume: DetachedVolume, there: Volume | None, attempt: AttemptId | None = None
) -> list[Problem]:
    """Return why a detached volume can't leave its source as it is now."""
    if there is None:
        return [Problem(_where(volume), f"there is no volume {volume.id} in the source", "export again")]
    problems = [lent] if (lent := loan_problem(there, attempt)) else []
    return problems + [Problem(_where(volume), what, remedy) for what, remedy in _findings(volume, there)]


def destination_volume_problems(volume: DetachedVolume, there: Volume | None, inventory: Inventory) -> list[Problem]:
    """Return what the destination lacks for a detached volume."""
    params = volume.params
    kind = next((t for t in inventory.volume_types if t.name == params.volume_type), None)
    found: list[Finding] = []
    if params.volume_type and kind is None:
        what = f"there is no volume type {params.volume_type!r} in the destination"
        found.append((what, "edit volume_type; null takes the default"))
    elif there is not None:
        found += lost_with_type(there, kind, volume.migration)
    if params.availability_zone and params.availability_zone not in {zone.name for zone in inventory.volume_zones}:
        what = f"there is no volume availability zone {params.availability_zone!r} in the destination"
        found.append((what, "edit it; null lets Cinder choose"))
    return [Problem(_where(volume), what, remedy) for what, remedy in found]


def _where(volume: DetachedVolume) -> str:
    return f"volume {volume.name!r} ({volume.id})"


def _findings(volume: DetachedVolume, there: Volume) -> Iterator[Finding]:
    if there.attachments:
        servers = ", ".join(attachment.server_id for attachment in there.attachments)
        yield f"it is attached to {servers}", "migrate it with its server, or detach it; then export again"
    elif there.status != "available":
        yield f"it is {there.status}", "it must be available: see what ails it, or wait"
    if there.size_gib != volume.info.size:
        yield (
            f"it has {there.size_gib} GiB, the file says {volume.info.size}",
            "export it again: a volume is migrated at its size",
        )
    yield from lost_of_volume(there, volume.migration)
