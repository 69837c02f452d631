"""Two fake clouds with one server to migrate, in every shape that migrates, and the workload that describes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address

from os_migrate.model import AddressPair, DhcpOption, ImageId, ServerId, VolumeId
from os_migrate.workload import (
    BootVolumeParams,
    FixedIpRef,
    FloatingIpMode,
    FloatingIpParams,
    MigrationParams,
    PortCreationMode,
    PortParams,
    PowerState,
    Ref,
    ServerGroupParams,
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
from tests.fakes.cloud import FakeCloud
from tests.fakes.state import pattern

DRESSED_PORT = {
    "name": "front",
    "description": "the port of the web server",
    "tags": ("red", "blue"),
    "admin_state_up": False,
    "allowed_address_pairs": (AddressPair("10.0.0.250"), AddressPair("10.0.1.0/24", "fa:16:3e:00:00:99")),
    "extra_dhcp_opts": (DhcpOption("bootfile-name", "pxelinux.0"),),
    "dns_name": "web",
    "dns_domain": "example.org.",
    "qos_policy_ref": Ref("slow"),
}
USER_DATA = "I2Nsb3VkLWNvbmZpZyBwYXNzd29yZDogaHVudGVyMg=="


class Boot(StrEnum):
    """What a server boots from."""

    IMAGE = "image"
    VOLUME = "volume"


@dataclass(frozen=True)
class Shape:
    """A kind of workload, and what the operator chose for it."""

    name: str
    boot: Boot = Boot.IMAGE
    data_volumes: int = 0
    boot_disk_copy: bool = True
    data_copy: bool = True
    brought: int = 0  # volumes in the destination that the operator brings, the first to boot from
    runs: bool = False
    ports: PortCreationMode = PortCreationMode.NEUTRON
    floating_ip: FloatingIpMode = FloatingIpMode.SKIP
    holds_address: bool = False  # the destination project holds the floating IP, free
    dressed: bool = False  # it has all that only some servers, ports, volumes and floating IPs have
    locked: bool = False
    power: PowerState = PowerState.RUNNING

    def __str__(self) -> str:
        return self.name


NOVA, NEUTRON = PortCreationMode.NOVA, PortCreationMode.NEUTRON
SHAPES = (
    Shape("image_copied_running", runs=True, ports=NOVA, floating_ip=FloatingIpMode.AUTO, dressed=True),
    Shape("image_kept_one_volume", data_volumes=1, boot_disk_copy=False),
    Shape("image_kept_no_volume", boot_disk_copy=False, ports=NOVA, runs=True),
    Shape(
        "volume_boot_two_volumes_running",
        boot=Boot.VOLUME,
        data_volumes=2,
        runs=True,
        floating_ip=FloatingIpMode.EXISTING,
        holds_address=True,
    ),
    Shape("image_copied_three_volumes", data_volumes=3, floating_ip=FloatingIpMode.NEW, holds_address=True),
    Shape("volume_boot_nova_ports", boot=Boot.VOLUME, ports=NOVA, floating_ip=FloatingIpMode.AUTO, holds_address=True),
    Shape("volumes_brought", boot=Boot.VOLUME, data_volumes=1, data_copy=False, brought=2, runs=True),
    Shape(
        "all_kept",
        boot=Boot.VOLUME,
        data_volumes=1,
        floating_ip=FloatingIpMode.NEW,
        dressed=True,
        locked=True,
        power=PowerState.AS_FOUND,
    ),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def furnish(source: FakeCloud, destination: FakeCloud) -> None:
    """Put into both clouds what every project has."""
    for cloud in (source, destination):
        cloud.add_flavor("m1.small")
        cloud.add_network("public", "203.0.113.0/24", is_external=True)
        cloud.add_network("private", "10.0.0.0/16")
        cloud.add_security_group("web")
        cloud.add_keypair("alice")
        cloud.add_volume_type("default")
        cloud.add_volume_type("fast")
        cloud.add_qos_policy("slow")
    image = source.add_image("cirros")
    destination.add_image("cirros", source._images[ImageId(image.id)].data)


def add_host(cloud: FakeCloud, name: str) -> ServerId:
    """Add a conversion host."""
    image = next(i.view for i in cloud._images.values())
    host_id = cloud.add_server(name, cloud._flavors[0], cloud._networks[1], image=image)
    cloud._machines[host_id].writes = False
    return host_id


def add_workload(
    source: FakeCloud, destination: FakeCloud, shape: Shape, name: str = "web 1", offset: int = 0
) -> Workload:
    """Add a server of a shape to the source, and return the workload that an export would write."""
    image = next(i.view for i in source._images.values()) if shape.boot is Boot.IMAGE else None
    volumes = {source.add_volume("root", 2, bootable=True): True} if shape.boot is Boot.VOLUME else {}
    for number in range(shape.data_volumes):
        volumes[source.add_volume(f"data {number}", number + 1, volume_type="fast")] = number == 1
    server_id = source.add_server(
        name,
        source._flavors[0],
        source._networks[1],
        image=image,
        volumes=volumes,
        runs=shape.runs,
        groups=source._groups,
    )
    source.let_guests_write()
    port_id = next(iter(source._machines[server_id].ports))
    address, mac = str(ip_address("10.0.0.77") + offset), f"fa:16:3e:aa:{0xBB + offset // 256:02x}:{offset % 256:02x}"
    floating = f"203.0.113.{77 + offset}"
    if shape.floating_ip is not FloatingIpMode.SKIP:
        source.add_floating_ip(source._networks[0], floating, port_id)
    if shape.holds_address:
        destination.add_floating_ip(destination._networks[0], floating)
    brought = [destination.add_volume(f"brought {n}", 2, bootable=not n) for n in range(shape.brought)]
    fixed = FixedIpRef(address, Ref("private", "%auth%", "%auth%"))
    port = WorkloadPort(PortParams(Ref("private", "%auth%", "%auth%"), (fixed,), mac, "normal", None, (Ref("web"),)))
    if shape.locked:
        source._set_lock(server_id, "lock")
    if shape.dressed:
        port = replace(port, params=replace(port.params, **DRESSED_PORT))
    params = WorkloadParams(
        name=name,
        flavor_ref=Ref("m1.small"),
        image_ref=Ref("cirros") if shape.boot is Boot.IMAGE else None,
        key_name="alice",
        metadata={"owner": "anything"},
        user_data=USER_DATA,
        security_group_refs=(Ref("web", "%auth%", "%auth%"),),
        ports=(port,),
        floating_ips=_floating_ips(shape, address, floating),
        volumes=tuple(_volume(source, volume_id, dressed=shape.dressed) for volume_id in volumes),
        hostname="www" if shape.dressed else None,
        server_group=ServerGroupParams("apart", "anti-affinity", 2) if shape.dressed else None,
    )
    migration = MigrationParams(
        boot_disk_copy=shape.boot_disk_copy,
        data_copy=shape.data_copy,
        floating_ip_mode=shape.floating_ip,
        port_creation_mode=shape.ports,
        boot_volume_params=BootVolumeParams(),
        boot_volume=VolumeChoice(brought[0] if brought else None),
        additional_volumes=tuple(VolumeChoice(v) for v in brought[1:]),
        power_state=shape.power,
    )
    return Workload(params, WorkloadInfo(id=server_id, status="SHUTOFF"), migration)


def _floating_ips(shape: Shape, fixed: str, address: str) -> tuple[WorkloadFloatingIp, ...]:
    if shape.floating_ip is FloatingIpMode.SKIP:
        return ()
    params = FloatingIpParams(fixed, address, Ref("public"), description="the front door")
    if shape.dressed:
        params = replace(params, dns_name="www", dns_domain="example.org.", tags=("front",), qos_policy_ref=Ref("slow"))
    return (WorkloadFloatingIp(params),)


def _volume(source: FakeCloud, volume_id: VolumeId, *, dressed: bool) -> WorkloadVolume:
    volume = source._volumes[volume_id].view
    params = VolumeParams(
        name=volume.name,
        volume_type=volume.volume_type,
        volume_image_metadata=dict(volume.image_metadata) if volume.bootable else None,
        metadata={"backup": "daily"} if dressed else {},
    )
    return WorkloadVolume(params, VolumeInfo(volume_id, volume.size_gib, volume.bootable))


def expected_disks(source: FakeCloud, destination: FakeCloud, workload: Workload) -> Sequence[bytes]:
    """Return the bytes that the twin's disks are to hold when it first runs."""
    local = source._machines[workload.id].local
    disks = [] if local is None else [local]
    disks += [source._volumes[v.info.id].data for v in workload.params.volumes]
    migration = workload.migration
    if not migration.data_copy:
        chosen = [c.uuid for c in (migration.boot_volume, *migration.additional_volumes) if c.uuid]
        return [pattern(uuid) for uuid in chosen]
    if migration.boot_disk_copy:
        return disks
    return [next(i.data for i in destination._images.values() if i.view.name == "cirros"), *disks[1:]]


__all__ = ["BY_NAME", "SHAPES", "Boot", "Shape", "add_host", "add_workload", "expected_disks", "furnish"]
