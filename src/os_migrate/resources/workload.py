"""Servers: what a cloud shows of them, as the workloads of `workloads.yml`.

`listing_of` asks the source once for everything that servers refer to; `export` turns one server into a workload and
asks for nothing. What an export must not record: a conversion host, and a server whose migration is unfinished, since
its volumes may hang on a conversion host just then.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from os_migrate.errors import OSMigrateError, UserError
from os_migrate.files.filters import select
from os_migrate.model import Loan, Named, Server, ServerId, Tag, Volume, VolumeAttachment
from os_migrate.resources.listing import Listing, listing_of
from os_migrate.resources.ports import describe_floating_ip, describe_port, floating_ips_of, ports_of
from os_migrate.settings import NameFilter, WorkloadSettings
from os_migrate.twin import usual_hostname
from os_migrate.workload import (
    CURRENT,
    DeviceInfo,
    MigrationParams,
    Ref,
    ServerGroupParams,
    VolumeChoice,
    VolumeInfo,
    VolumeParams,
    Workload,
    WorkloadInfo,
    WorkloadParams,
    WorkloadVolume,
)
from os_migrate.world import Cloud

HOST_FLAG: Final = "conversion_host"
"""Metadata that is "true" on conversion hosts, those of OS Migrate 1.0.x among them."""

HOST_MARK: Final = "os_migrate_conversion_host"
"""Metadata of the conversion hosts that we deploy, whatever its value."""

TAG_KEYS: Final = {Tag.ATTEMPT_KEY, Tag.STEP_KEY, Tag.ORIGIN_KEY, Loan.KEY}


@dataclass(frozen=True)
class Export:
    """What an export found. `unfinished` and `hosts` are servers it left out; `failed` says why the rest is missing."""

    workloads: tuple[Workload, ...]
    alive: AbstractSet[ServerId]
    unfinished: tuple[Server, ...]
    hosts: tuple[Server, ...]
    idle_filters: tuple[str, ...]
    failed: tuple[OSMigrateError, ...]


def as_set(workload: Workload, settings: WorkloadSettings) -> Workload:
    """Return a workload with what the settings say of all workloads; where they say nothing, the file decides."""
    migration = workload.migration
    boot = migration.boot_disk_copy if settings.boot_disk_copy is None else settings.boot_disk_copy
    data = migration.data_copy and settings.data_copy
    return replace(workload, migration=replace(migration, boot_disk_copy=boot, data_copy=data))


def is_conversion_host(server: Server) -> bool:
    """Say whether a server is a conversion host, by its metadata."""
    return server.metadata.get(HOST_FLAG, "").lower() == "true" or HOST_MARK in server.metadata


def export_all(cloud: Cloud, wanted: NameFilter, unfinished: AbstractSet[ServerId]) -> Export:
    """Export the servers that a filter chooses, by name; one that can't be described doesn't stop the others.

    `unfinished` are those with an open attempt in our journal; those that are on loan have one in somebody's.

    Raises:
        UserError: the filter matches nothing.
    """
    everything = sorted(cloud.servers(), key=lambda s: (s.name, s.id))
    hosts = [s for s in everything if is_conversion_host(s)]
    selection = select(wanted, [s for s in everything if s not in hosts], lambda s: s.name, "servers")
    ready = [s for s in selection.chosen if s.id not in unfinished]
    lent: set[ServerId] = set()
    listing = listing_of(cloud) if ready else None
    workloads: list[Workload] = []
    failed: list[OSMigrateError] = []
    for listed in ready:
        assert listing is not None, "it was asked for"
        try:
            server = cloud.server(listed.id)  # a list tells no devices
            if Loan.of(server):
                lent.add(server.id)
                continue
            workloads.append(export(server, cloud.server_security_groups(server.id), listing))
        except OSMigrateError as error:
            failed.append(error)
    return Export(
        workloads=tuple(workloads),
        alive={s.id for s in everything},
        unfinished=tuple(s for s in selection.chosen if s.id in unfinished | lent),
        hosts=tuple(hosts),
        idle_filters=selection.idle,
        failed=tuple(failed),
    )


def export(server: Server, groups: Sequence[Named], listing: Listing) -> Workload:
    """Describe a server.

    Raises:
        UserError: one of its volumes isn't in the project's list, so it can't be described.
    """
    group_ids = sorted({g.id: g.name for g in groups}.items(), key=lambda pair: (pair[1], pair[0]))
    ports = ports_of(server, listing)
    usual = usual_hostname(server.name, server.id)
    hostnames = {usual, server.hostname or usual}
    params = WorkloadParams(
        name=server.name,
        flavor_ref=Ref(server.flavor_name or None),
        image_ref=listing.ref(listing.images, server.image_id) if server.image_id else None,
        description=server.description,
        availability_zone=server.availability_zone,
        config_drive=server.config_drive or None,
        disk_config=server.disk_config,
        key_name=server.key_name,
        metadata=_of_its_owner(server.metadata),
        tags=server.tags,
        user_data=server.user_data,
        security_group_refs=tuple(_group_ref(group_id, name, listing) for group_id, name in group_ids),
        ports=tuple(describe_port(port, {group_id for group_id, _ in group_ids}, hostnames, listing) for port in ports),
        floating_ips=tuple(describe_floating_ip(ip, listing) for ip in floating_ips_of(ports, listing)),
        volumes=tuple(_volume(attachment, server, listing) for attachment in server.volumes),
        hostname=None if server.hostname == usual else server.hostname,
        server_group=_server_group(server, listing),
    )
    info = WorkloadInfo(
        id=server.id,
        status=server.raw_status or server.status,
        flavor_id=listing.flavor_ids.get(server.flavor_name),
        project_id=server.project_id or None,
        user_id=server.user_id or None,
        security_group_ids=tuple(group_id for group_id, _ in group_ids),
        created_at=server.created_at or None,
        updated_at=server.updated_at or None,
        launched_at=server.launched_at or None,
        hypervisor_hostname=server.hypervisor_hostname,
    )
    from_volume = server.image_id is None
    return Workload(params, info, MigrationParams(boot_disk_copy=from_volume, additional_volumes=(VolumeChoice(),)))


def _group_ref(group_id: str, name: str, listing: Listing) -> Ref:
    group = listing.security_groups.get(group_id)
    return listing.ref_to(group) if group is not None else Ref(name, CURRENT, CURRENT)


def _server_group(server: Server, listing: Listing) -> ServerGroupParams | None:
    for group_id in server.group_ids:  # at most one
        if group := listing.server_groups.get(group_id):
            return ServerGroupParams(group.name, group.policy, group.max_server_per_host)
    return None


def _of_its_owner(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in TAG_KEYS}


def _volume(attachment: VolumeAttachment, server: Server, listing: Listing) -> WorkloadVolume:
    volume = listing.volumes.get(attachment.volume_id)
    if volume is None:
        what = (
            f"server {server.name!r} ({server.id}) has a volume that the project doesn't list: {attachment.volume_id}"
        )
        raise UserError(what, remedy="export as a user of the volume's project, or detach the volume")
    device = DeviceInfo(server_id=server.id, volume_id=volume.id, device=attachment.device)
    return WorkloadVolume(params_of_volume(volume), VolumeInfo(volume.id, volume.size_gib, volume.bootable, (device,)))


def params_of_volume(volume: Volume) -> VolumeParams:
    """Describe what a volume is."""
    return VolumeParams(
        name=volume.name,
        description=volume.description or None,
        availability_zone=volume.availability_zone or None,
        volume_type=volume.volume_type or None,
        volume_image_metadata=volume.image_metadata,
        metadata=_of_its_owner(volume.metadata),
    )
