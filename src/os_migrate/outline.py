"""Outline a migration from what is known before it: the disks that are copied, and all that is made in both clouds. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from os_migrate.model import GIB, Flavor, FlavorId, Side, Volume, VolumeId
from os_migrate.plan.made import Kind, Made
from os_migrate.plan.resolve import Target
from os_migrate.survey import LOCAL_BOOT_DISK, Disk
from os_migrate.twin import boot_volume_name, server_name, volume_spec
from os_migrate.workload import DetachedVolume, FloatingIpMode, Workload


@dataclass(frozen=True)
class OutlinedDisk:
    """A disk that is copied. `volume_id` is None for a boot disk that is local to Nova."""

    device: str
    volume_id: VolumeId | None
    size_gib: int
    is_boot: bool
    source_type: str = ""

    @property
    def size_bytes(self) -> int:
        """Return the disk's size."""
        return self.size_gib * GIB


def copied_disks(workload: Workload, volumes: Mapping[VolumeId, Volume], local_gib: int) -> tuple[OutlinedDisk, ...]:
    """Return the disks that are copied, the boot disk first. A local one has the size that its flavor and image give it."""
    if not workload.migration.data_copy:
        return ()
    disks: list[OutlinedDisk] = []
    if workload.params.image_ref is not None:
        disks.append(OutlinedDisk(LOCAL_BOOT_DISK, None, local_gib, is_boot=True))
    for volume in workload.params.volumes:
        there = volumes.get(volume.info.id)
        device = next((a.device for a in volume.info.attachments if a.device), "")
        kind = there.volume_type if there else ""
        name = device or volume.params.name or volume.info.id
        disks.append(OutlinedDisk(name, volume.info.id, volume.info.size, is_boot=not disks, source_type=kind))
    return tuple(disk for disk in disks if workload.migration.boot_disk_copy or not disk.is_boot)


def detached_disk(volume: DetachedVolume, there: Volume | None) -> OutlinedDisk:
    """Return a detached volume as the disk that is copied."""
    return OutlinedDisk(
        volume.id, volume.id, volume.info.size, is_boot=False, source_type=there.volume_type if there else ""
    )


def made_of_volume(volume: DetachedVolume) -> tuple[Made, ...]:
    """Return all that the migration of a detached volume makes."""
    name, kind = volume.name, volume.params.volume_type or ""
    return (Made(Side.DESTINATION, Kind.VOLUME, name, volume.info.size, kind, detail=volume.id),)


def all_made(
    workload: Workload,
    disks: Sequence[OutlinedDisk],
    target: Target | None,
    flavors: Mapping[FlavorId, Flavor],
    prefix: str,
) -> tuple[Made, ...]:
    """Return all that a migration makes; without a target, as far as the file tells."""
    flavor = flavors.get(target.flavor_id) if target is not None else None
    return (
        *_in_source(workload, disks, prefix),
        Made(Side.DESTINATION, Kind.SERVER, server_name(workload), flavor=flavor),
        *(_volume(workload, disk, prefix) for disk in disks),
        *_ports(workload),
        *_floating_ips(workload, target),
    )


def _in_source(workload: Workload, disks: Sequence[OutlinedDisk], prefix: str) -> Iterator[Made]:
    """Yield what `bring` makes of the boot disk; data volumes are detached, and nothing is made of them."""
    name = boot_volume_name(workload, prefix)
    for disk in disks:
        if disk.is_boot:
            kind = Kind.IMAGE if disk.volume_id is None else Kind.SNAPSHOT
            yield Made(Side.SOURCE, kind, name, disk.size_gib, disk.source_type, temporary=True)
            yield Made(Side.SOURCE, Kind.VOLUME, name, disk.size_gib, disk.source_type, temporary=True)


def _volume(workload: Workload, disk: OutlinedDisk, prefix: str) -> Made:
    known = Disk(disk.device, disk.volume_id, disk.is_boot, disk.is_boot, False, disk.source_type)  # noqa: FBT003 (in the order of the class)
    spec = volume_spec(workload, known, disk.size_gib, {}, prefix)
    detail = disk.device if disk.device != spec.name else ""
    return Made(Side.DESTINATION, Kind.VOLUME, spec.name, disk.size_gib, spec.volume_type or "", detail=detail)


def _ports(workload: Workload) -> Iterator[Made]:
    for port in workload.params.ports:
        addresses = (
            ", ".join(fixed.ip_address for fixed in port.params.fixed_ips_refs) or "an address of Neutron's choice"
        )
        yield Made(Side.DESTINATION, Kind.PORT, addresses, detail=f"network {port.params.network_ref.name}")


def _floating_ips(workload: Workload, target: Target | None) -> Iterator[Made]:
    """Yield the floating IPs that are new; one that the project holds is only moved."""
    if target is not None:
        for ip in target.floating_ips:
            if ip.existing is None:
                yield Made(Side.DESTINATION, Kind.FLOATING_IP, "a new address", detail=f"in place of {ip.address}")
    elif workload.migration.floating_ip_mode is FloatingIpMode.NEW:
        for _ in workload.params.floating_ips:
            yield Made(Side.DESTINATION, Kind.FLOATING_IP, "a new address")
