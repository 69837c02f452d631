"""What a migration can't keep: refused, unless the operator says in `_migration_params` that it may be lost. Pure.

Each finding is what is wrong, and its remedy. What is asked of a destination that doesn't know it is in `features`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from os_migrate.model import Flavor, Server, Volume, VolumeType
from os_migrate.sizes import Finding
from os_migrate.workload import EncryptedVolumes, Loss, MigrationParams, PortCreationMode, VolumeMigration, Workload

ANY_VNIC: Final = {None, "", "normal"}


def lost_of_source(workload: Workload, server: Server, volumes: Iterable[Volume]) -> Iterator[Finding]:
    """Yield what of the source can't be brought anywhere."""
    if server.ephemeral_gib and Loss.EPHEMERAL_DISKS not in workload.migration.may_lose:
        yield (
            f"it has ephemeral disks of {server.ephemeral_gib} GiB, whose data no snapshot has",
            f"copy what is needed to a volume, then {_accept(Loss.EPHEMERAL_DISKS)}",
        )
    if not workload.migration.data_copy:
        return
    for volume in volumes:
        if volume.multiattach and len(volume.attachments) > 1:
            yield f"volume {volume.name or volume.id} is attached to other servers too", "detach it there first"
        yield from lost_of_volume(volume, workload.migration)


def lost_of_volume(volume: Volume, migration: MigrationParams | VolumeMigration) -> Iterator[Finding]:
    """Yield what of a volume a copy wouldn't have, wherever it is."""
    what = f"volume {volume.name or volume.id}"
    if volume.encrypted and migration.encrypted_volumes is EncryptedVolumes.REFUSE:
        yield (
            f"{what} is encrypted, and a tenant isn't told which volume types of the destination encrypt",
            "set encrypted_volumes: encrypt, with a volume_type that does; or plain, if it need not be encrypted there",
        )
    if volume.read_only and Loss.READ_ONLY not in migration.may_lose:
        yield f"{what} is read-only, and its copy would not be", _accept(Loss.READ_ONLY)


def lost_in_destination(
    workload: Workload, server: Server, volumes: Iterable[Volume], flavor: Flavor | None, types: Iterable[VolumeType]
) -> Iterator[Finding]:
    """Yield what the flavor and the volume types of the destination don't keep."""
    migration = workload.migration
    if flavor is not None and flavor.swap_mib < server.swap_mib and Loss.SWAP_DISK not in migration.may_lose:
        yield (
            f"it has a swap disk of {server.swap_mib} MiB, flavor {flavor.name!r} one of {flavor.swap_mib}",
            f"edit flavor_ref, or {_accept(Loss.SWAP_DISK)}",
        )
    if not migration.data_copy:
        return
    by_name = {kind.name: kind for kind in types}
    wanted = _types_wanted(workload)
    for volume in volumes:
        yield from lost_with_type(volume, by_name.get(wanted.get(volume.id) or ""), migration)


def lost_with_type(
    volume: Volume, kind: VolumeType | None, migration: MigrationParams | VolumeMigration
) -> Iterator[Finding]:
    """Yield what of a volume a copy of a volume type, or of none that was named, wouldn't have."""
    if volume.encrypted and migration.encrypted_volumes is EncryptedVolumes.ENCRYPT and kind is None:
        yield (
            f"volume {volume.name or volume.id} is to be encrypted, and has no volume_type",
            "name one that encrypts",
        )
    if volume.multiattach and not (kind and kind.multiattach) and Loss.MULTIATTACH not in migration.may_lose:
        named = f"volume type {kind.name!r} isn't known to allow that" if kind else "it has no volume_type"
        yield (
            f"volume {volume.name or volume.id} can be attached to several servers, its copy could not: {named}",
            f"name one that does in volume_type, or {_accept(Loss.MULTIATTACH)}",
        )


def lost_by_nova(workload: Workload) -> Iterator[Finding]:
    """Yield what a port made by Nova can't have, and is nowhere said to be lost."""
    if workload.migration.port_creation_mode is not PortCreationMode.NOVA:
        return
    for port in workload.params.ports:
        kind = port.params.binding_vnic_type
        if kind not in ANY_VNIC and Loss.VNIC_TYPE not in workload.migration.may_lose:
            yield (
                f"a port on {port.params.network_ref} has vnic type {kind}; Nova makes normal ones",
                f"set port_creation_mode: neutron, or {_accept(Loss.VNIC_TYPE)}",
            )


def _accept(loss: Loss) -> str:
    return f"set may_lose: [{loss}]"


def _types_wanted(workload: Workload) -> Mapping[str, str | None]:
    """Return the volume types that copies are to have, by the ids of their sources."""
    types: dict[str, str | None] = {v.info.id: v.params.volume_type for v in workload.params.volumes}
    override = workload.migration.boot_volume_params.volume_type
    if override and workload.params.image_ref is None and workload.params.volumes:
        types[workload.params.volumes[0].info.id] = override
    return types
