"""Servers: what a cloud shows of them, as the workloads of `workloads.yml`.

`listing_of` asks the source once for everything that servers refer to; `export` turns one server into a workload and
asks for nothing. What an export must not record: a conversion host, and a server whose migration is unfinished, since
its volumes may hang on a conversion host just then.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from os_migrate.errors import OSMigrateError, UserError
from os_migrate.files.filters import select
from os_migrate.model import (
    FixedIp,
    FloatingIp,
    Loan,
    Named,
    Port,
    PortId,
    Server,
    ServerId,
    Tag,
    Volume,
    VolumeAttachment,
    VolumeId,
)
from os_migrate.settings import NameFilter, WorkloadSettings
from os_migrate.workload import (
    CURRENT,
    DeviceInfo,
    FixedIpRef,
    FloatingIpInfo,
    FloatingIpParams,
    MigrationParams,
    PortInfo,
    PortParams,
    Ref,
    VolumeChoice,
    VolumeInfo,
    VolumeParams,
    Workload,
    WorkloadFloatingIp,
    WorkloadInfo,
    WorkloadParams,
    WorkloadPort,
    WorkloadVolume,
)
from os_migrate.world import Cloud

HOST_FLAG: Final = "conversion_host"
"""Metadata that is "true" on conversion hosts, those of OS Migrate 1.0.x among them."""

HOST_MARK: Final = "os_migrate_conversion_host"
"""Metadata of the conversion hosts that we deploy, whatever its value."""

TAG_KEYS: Final = {Tag.ATTEMPT_KEY, Tag.STEP_KEY, Tag.ORIGIN_KEY, Loan.KEY}

N = TypeVar("N", bound=Named)


@dataclass(frozen=True)
class Listing:
    """What the servers of a project refer to."""

    project_id: str
    flavor_ids: Mapping[str, str]
    images: Mapping[str, Named]
    networks: Mapping[str, Named]
    subnets: Mapping[str, Named]
    security_groups: Mapping[str, Named]
    volumes: Mapping[VolumeId, Volume]
    ports: Sequence[Port]
    floating_ips: Sequence[FloatingIp]

    def ref(self, things: Mapping[str, N], thing_id: str | None) -> Ref:
        """Return the reference to a thing: by name, and `%auth%` where it is the project's own."""
        thing = things.get(thing_id or "")
        return self.ref_to(thing) if thing is not None else Ref(None)

    def ref_to(self, thing: Named) -> Ref:
        """Return the reference to a thing."""
        ours = CURRENT if thing.project_id == self.project_id else None
        return Ref(thing.name, project_name=ours, domain_name=ours)


@dataclass(frozen=True)
class Export:
    """What an export found. `unfinished` and `hosts` are servers it left out; `failed` says why the rest is missing."""

    workloads: tuple[Workload, ...]
    alive: AbstractSet[ServerId]
    unfinished: tuple[Server, ...]
    hosts: tuple[Server, ...]
    idle_filters: tuple[str, ...]
    failed: tuple[OSMigrateError, ...]


def listing_of(cloud: Cloud) -> Listing:
    """Ask a cloud for everything that its servers refer to."""
    return Listing(
        project_id=cloud.project_id(),
        flavor_ids={f.name: f.id for f in cloud.flavors()},
        images=_by_id(cloud.images()),
        networks=_by_id(cloud.networks()),
        subnets=_by_id(cloud.subnets()),
        security_groups=_by_id(cloud.security_groups()),
        volumes={v.id: v for v in cloud.volumes()},
        ports=cloud.ports(),
        floating_ips=cloud.floating_ips(),
    )


def _by_id(things: Sequence[N]) -> dict[str, N]:
    return {thing.id: thing for thing in things}


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
    ports = _ports_of(server, listing)
    params = WorkloadParams(
        name=server.name,
        flavor_ref=Ref(server.flavor_name or None),
        image_ref=listing.ref(listing.images, server.image_id) if server.image_id else None,
        description=server.description,
        availability_zone=server.availability_zone,
        config_drive=server.config_drive or None,
        disk_config=server.disk_config,
        key_name=server.key_name,
        metadata={key: value for key, value in server.metadata.items() if key not in TAG_KEYS},
        tags=server.tags,
        user_data=server.user_data,
        security_group_refs=tuple(_group_ref(group_id, name, listing) for group_id, name in group_ids),
        ports=tuple(_port(port, {group_id for group_id, _ in group_ids}, listing) for port in ports),
        floating_ips=tuple(_floating_ip(ip, listing) for ip in _floating_ips_of(ports, listing)),
        volumes=tuple(_volume(attachment, server, listing) for attachment in server.volumes),
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


def _ports_of(server: Server, listing: Listing) -> list[Port]:
    """Return a server's ports in Nova's order: that of its addresses."""
    order = {address: number for number, address in enumerate(server.addresses)}

    def rank(port: Port) -> tuple[int, str]:
        return min((order.get(ip.ip_address, len(order)) for ip in port.fixed_ips), default=len(order)), port.id

    return sorted((p for p in listing.ports if p.device_id == server.id), key=rank)


def _port(port: Port, server_group_ids: AbstractSet[str], listing: Listing) -> WorkloadPort:
    groups: tuple[Ref, ...] | None = None
    if set(port.security_group_ids) != server_group_ids:  # else the server's own say it all
        refs = [listing.ref(listing.security_groups, group_id) for group_id in port.security_group_ids]
        groups = tuple(sorted(refs, key=lambda ref: ref.name or ""))
    return WorkloadPort(
        PortParams(
            network_ref=listing.ref(listing.networks, port.network_id),
            fixed_ips_refs=tuple(_fixed_ip(ip, listing) for ip in port.fixed_ips),
            mac_address=port.mac_address,
            binding_vnic_type=port.vnic_type,
            binding_profile=port.binding_profile,
            security_group_refs=groups,
        ),
        PortInfo(port.id, port.device_id, port.device_owner),
    )


def _fixed_ip(ip: FixedIp, listing: Listing) -> FixedIpRef:
    return FixedIpRef(ip.ip_address, listing.ref(listing.subnets, ip.subnet_id))


def _floating_ips_of(ports: Sequence[Port], listing: Listing) -> list[FloatingIp]:
    order: dict[PortId | None, int] = {port.id: number for number, port in enumerate(ports)}
    ours = [ip for ip in listing.floating_ips if ip.port_id in order]
    return sorted(ours, key=lambda ip: (order[ip.port_id], ip.address))


def _floating_ip(ip: FloatingIp, listing: Listing) -> WorkloadFloatingIp:
    return WorkloadFloatingIp(
        FloatingIpParams(
            fixed_ip_address=ip.fixed_ip_address,
            floating_ip_address=ip.address,
            floating_network_ref=listing.ref(listing.networks, ip.network_id),
            description=ip.description,
            dns_domain=ip.dns_domain,
            dns_name=ip.dns_name,
        ),
        FloatingIpInfo(ip.id, ip.network_id, ip.port_id, ip.router_id, ip.tags),
    )


def _volume(attachment: VolumeAttachment, server: Server, listing: Listing) -> WorkloadVolume:
    volume = listing.volumes.get(attachment.volume_id)
    if volume is None:
        what = (
            f"server {server.name!r} ({server.id}) has a volume that the project doesn't list: {attachment.volume_id}"
        )
        raise UserError(what, remedy="export as a user of the volume's project, or detach the volume")
    device = DeviceInfo(server_id=server.id, volume_id=volume.id, device=attachment.device)
    return WorkloadVolume(
        VolumeParams(
            name=volume.name,
            description=volume.description or None,
            availability_zone=volume.availability_zone or None,
            volume_type=volume.volume_type or None,
            volume_image_metadata=volume.image_metadata,
        ),
        VolumeInfo(volume.id, volume.size_gib, volume.bootable, attachments=(device,)),
    )
