"""Describe the twin: its volumes, its disks in their order, and the server itself; or the copy of a detached volume. Pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from os_migrate.model import BlockDevice, Nic, PortSpec, ServerGroupId, ServerSpec, Tag, VolumeId, VolumeSpec
from os_migrate.plan import Target
from os_migrate.survey import Disk
from os_migrate.workload import (
    DetachedVolume,
    EncryptedVolumes,
    MigrationParams,
    PortCreationMode,
    VolumeMigration,
    VolumeParams,
    Workload,
)

NAME_LIMIT = 255
"""The longest name that Cinder and Nova take."""

HOSTNAME_LIMIT = 63


def server_name(workload: Workload) -> str:
    """Return the twin's name: the workload's, without what Nova refuses, or the id where nothing is left."""
    return _printable(workload.name) or workload.id


def usual_hostname(name: str, server_id: str) -> str:
    """Return the hostname that Nova makes of a server's name.

    Source: sanitize_hostname in https://opendev.org/openstack/nova/src/branch/master/nova/utils.py
    """
    known = name.encode("latin-1", "ignore").decode("latin-1")[:HOSTNAME_LIMIT]
    return re.sub(r"[^\w.-]+", "", re.sub(r"[ _.]", "-", known)).lower().strip(".-") or f"Server-{server_id}"


def boot_volume_name(workload: Workload, prefix: str) -> str:
    """Return the name of a volume that a boot disk is copied into, where nobody says another."""
    return _printable(f"{prefix}{workload.name}")


def _printable(name: str) -> str:
    """Return a name without what Nova refuses in one: spaces around it, control characters, and all beyond U+FFFF.

    Source: valid_name_regex in https://opendev.org/openstack/nova/src/branch/master/nova/api/validation/parameter_types.py
    """
    kept = [c for c in name if c < "\uffff" and ((kind := unicodedata.category(c)) == "Zs" or kind[0] not in "CZ")]
    return "".join(kept).strip()[:NAME_LIMIT].strip()


def volume_spec(
    workload: Workload, disk: Disk, size_gib: int, image_metadata: Mapping[str, str], prefix: str
) -> VolumeSpec:
    """Describe a destination volume: the file's word where there is one, the source's size and boot flag always."""
    unsaid = VolumeParams(name=boot_volume_name(workload, prefix))
    params = next((v.params for v in workload.params.volumes if v.info.id == disk.volume_id), unsaid)
    if disk.is_boot:
        override = workload.migration.boot_volume_params
        params = replace(
            params,
            name=override.name or params.name,
            description=override.description or params.description,
            volume_type=override.volume_type or params.volume_type,
            availability_zone=override.availability_zone or params.availability_zone,
        )
    origin = disk.volume_id or workload.id
    return _volume_spec(params, disk, size_gib, image_metadata, origin, workload.migration)


def copy_spec(volume: DetachedVolume, disk: Disk, size_gib: int, image_metadata: Mapping[str, str]) -> VolumeSpec:
    """Describe the copy of a detached volume, likewise."""
    return _volume_spec(volume.params, disk, size_gib, image_metadata, volume.id, volume.migration)


def _volume_spec(
    params: VolumeParams,
    disk: Disk,
    size_gib: int,
    image_metadata: Mapping[str, str],
    origin: str,
    migration: MigrationParams | VolumeMigration,
) -> VolumeSpec:
    if params.volume_image_metadata is not None:
        image_metadata = params.volume_image_metadata
    return VolumeSpec(
        name=params.name or "",
        size_gib=size_gib,
        description=params.description or "",
        volume_type=params.volume_type or None,
        availability_zone=params.availability_zone or None,
        bootable=disk.bootable,
        image_metadata=boot_properties(image_metadata),
        metadata={**params.metadata, Tag.ORIGIN_KEY: origin},
        must_be_encrypted=disk.encrypted and migration.encrypted_volumes is EncryptedVolumes.ENCRYPT,
    )


def boot_properties(image_metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the image properties that decide how a server boots from a volume: firmware, machine, buses, guest.

    Source: https://docs.openstack.org/glance/latest/admin/useful-image-properties.html
    """
    kept = ("hw_", "os_", "img_", "architecture", "hypervisor_type", "vm_mode")
    identity = ("os_hash_", "os_migrate_", "img_signature")
    return {k: v for k, v in image_metadata.items() if k.startswith(kept) and not k.startswith(identity)}


def is_to_be_dressed(workload: Workload, spec: PortSpec, number: int) -> bool:
    """Say whether a port lacks something when its server is there: what whoever makes it can't give it."""
    if workload.migration.port_creation_mode is PortCreationMode.NEUTRON:
        return bool(spec.tags) or spec.dns_name is not None or spec.dns_domain is not None
    plain = PortSpec(spec.network_id, spec.fixed_ips, spec.mac_address, spec.security_group_ids)
    of_nova = replace(plain, vnic_type=spec.vnic_type, binding_profile=spec.binding_profile)
    return spec != of_nova or workload.params.ports[number].params.security_group_refs is not None


def block_devices(
    workload: Workload, target: Target, copied: Sequence[tuple[Disk, VolumeId]]
) -> tuple[BlockDevice, ...]:
    """Return the twin's disks in their order. Volumes that the operator brings are never deleted with the twin."""
    devices: list[BlockDevice] = []
    if target.image_id is not None:
        devices.append(BlockDevice(boot_index=0, image_id=target.image_id, delete_on_termination=True))
    for disk, volume_id in copied:
        index = 0 if disk.is_boot else -1
        devices.append(BlockDevice(index, volume_id, delete_on_termination=disk.delete_on_termination))
    if not workload.migration.data_copy:
        if workload.migration.boot_volume.uuid and target.image_id is None:
            devices.append(BlockDevice(boot_index=0, volume_id=workload.migration.boot_volume.uuid))
        brought = [choice.uuid for choice in workload.migration.additional_volumes if choice.uuid]
        devices += [BlockDevice(boot_index=-1, volume_id=uuid) for uuid in brought]
    return tuple(devices)


def server_spec(
    workload: Workload,
    target: Target,
    nics: tuple[Nic, ...],
    copied: Sequence[tuple[Disk, VolumeId]],
    group_id: ServerGroupId | None = None,
) -> ServerSpec:
    """Describe the twin."""
    params = workload.params
    return ServerSpec(
        name=server_name(workload),
        flavor_id=target.flavor_id,
        nics=nics,
        block_devices=block_devices(workload, target, copied),
        image_id=target.image_id,
        key_name=target.key_name,
        security_group_names=target.security_group_names,
        availability_zone=target.availability_zone,
        config_drive=bool(params.config_drive) or None,
        disk_config=params.disk_config,
        description=params.description,
        metadata={**params.metadata, Tag.ORIGIN_KEY: workload.id},
        tags=params.tags,
        user_data=params.user_data,
        scheduler_hints=params.scheduler_hints
        if group_id is None
        else {**(params.scheduler_hints or {}), "group": group_id},
        hostname=params.hostname,
    )
