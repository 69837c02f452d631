"""Servers with every property that the lab has, migrated between two real clouds, and compared property by property.

Both clouds are asked through `os_migrate.cloud`, which `tests/contract` holds to what the clouds say.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lab import scenario
from lab.settings import CLOUDS_YAML
from os_migrate.cloud import OpenStackCloud, connect
from os_migrate.model import (
    AddressPair,
    BlockDevice,
    DhcpOption,
    FixedIp,
    FlavorId,
    FloatingIp,
    ImageId,
    NetworkId,
    Nic,
    Port,
    PortSpec,
    SecurityGroupId,
    Server,
    ServerGroupId,
    ServerId,
    ServerSpec,
    ServerStatus,
    Tag,
    VolumeSpec,
)
from os_migrate.settings import CloudSettings
from tests.acceptance.operating import Done, Operator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(2400),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*"),
]

KEPT, FROM_IMAGE, EPHEMERAL = "all kept", "image kept", "with an ephemeral disk"
TIMEOUT_S = 600.0
PROPERTIES = {"hw_machine_type": "q35", "hw_disk_bus": "virtio", "os_distro": "debian", "img_config_drive": "optional"}


@dataclass(frozen=True)
class Scene:
    """The two clouds, what the source held before the migration, and what the migration said."""

    source: OpenStackCloud
    destination: OpenStackCloud
    before: dict[str, Server]
    ports: dict[str, list[Port]]
    floating_ip: FloatingIp
    refused: Done
    done: Done

    def twin(self, name: str) -> Server:
        return self.destination.server(self.done.results[name]["report"]["destination_server_id"])

    def twin_ports(self, name: str) -> list[Port]:
        return ports_of(self.destination, self.twin(name).id)


def addresses_of(port: Port) -> list[str]:
    return sorted(ip.ip_address for ip in port.fixed_ips)


def ports_of(cloud: OpenStackCloud, server_id: ServerId) -> list[Port]:
    """Return a server's ports in the order of their first addresses."""
    ports = [port for port in cloud.ports() if port.device_id == server_id]
    return sorted(ports, key=lambda port: min(addresses_of(port)))


def named(things: Any, name: str) -> Any:
    (found,) = [thing for thing in things if thing.name == name]
    return found


@dataclass(frozen=True)
class Maker:
    """Makes things in the source; all of them go at the end."""

    cloud: OpenStackCloud
    cleanup: ExitStack

    def server(self, name: str, nics: tuple[Nic, ...], devices: tuple[BlockDevice, ...], **more: Any) -> Server:
        flavor = more.pop("flavor", scenario.FLAVOR)
        spec = ServerSpec(name, FlavorId(named(self.cloud.flavors(), flavor).id), nics, devices, **more)
        server_id = self.cloud.create_server(spec)
        self.cleanup.callback(forget_server, self.cloud, server_id)
        return self.cloud.await_server(server_id, ServerStatus.ACTIVE, TIMEOUT_S)

    def port(self, address: str, *more_addresses: str, **more: Any) -> Port:
        network = named(self.cloud.networks(), scenario.NETWORK)
        subnet = next(s for s in self.cloud.subnets() if s.network_id == network.id)
        fixed = tuple(FixedIp(subnet.id, a) for a in (address, *more_addresses))
        spec = PortSpec(NetworkId(network.id), fixed, **more)
        port_id = self.cloud.create_port(spec, spec.description)
        self.cleanup.callback(self.cloud.delete_port, port_id)
        self.cloud.dress_port(port_id, spec)
        return next(port for port in self.cloud.ports() if port.id == port_id)

    def volume(self, spec: VolumeSpec) -> Any:
        volume_id = self.cloud.create_volume(spec)
        self.cleanup.callback(self.cloud.delete_volume, volume_id)
        self.cloud.await_volume(volume_id, "available", TIMEOUT_S)
        return volume_id

    def off(self, server_id: ServerId) -> Server:
        self.cloud.stop_server(server_id)
        return self.cloud.await_server(server_id, ServerStatus.SHUTOFF, TIMEOUT_S)


def forget_server(cloud: OpenStackCloud, server_id: ServerId) -> None:
    cloud.unlock_server(server_id)
    cloud.delete_server(server_id)


def forget_all(cloud: OpenStackCloud, servers: set[ServerId]) -> None:
    """Delete all servers but those that were there, with their volumes, ports and floating IPs; and all server groups."""
    for server in cloud.servers():
        if server.id in servers:
            continue
        ports = ports_of(cloud, server.id)
        forget_server(cloud, server.id)
        for ip in cloud.floating_ips():
            if ip.port_id in {port.id for port in ports}:
                cloud.delete_floating_ip(ip.id)
        for port in ports:
            cloud.delete_port(port.id)
        for volume in server.volumes:
            cloud.delete_volume(volume.volume_id)
    for group in cloud.server_groups():
        cloud.delete_server_group(ServerGroupId(group.id))


@pytest.fixture(scope="module")
def scene(operator: Operator) -> Iterator[Scene]:
    source, destination = (connect(CloudSettings(cloud=c), CLOUDS_YAML, name=c) for c in ("src", "dst"))
    with ExitStack() as cleanup:
        there = {server.id for server in destination.servers()}
        cleanup.callback(forget_all, destination, there)
        yield migrated(operator, source, destination, cleanup)


def migrated(operator: Operator, source: OpenStackCloud, destination: OpenStackCloud, cleanup: ExitStack) -> Scene:
    make = Maker(source, cleanup)
    image_id = ImageId(named(source.images(), scenario.TINY_IMAGE).id)
    group = SecurityGroupId(named(source.security_groups(), scenario.SECURITY_GROUP).id)
    kept = make_kept(make, image_id, group)
    floating_ip = add_floating_ip(make, ports_of(source, kept.id)[0])
    pairs = (AddressPair("10.0.0.240"),)
    nova = make.port(
        "10.0.0.145", name="novas", description="made again by Nova", tags=("a",), allowed_address_pairs=pairs
    )
    from_image = make.server(FROM_IMAGE, (Nic(port_id=nova.id),), (BlockDevice(0, image_id=image_id),))
    admin = scenario.connect("src-admin")
    flavor = admin.compute.create_flavor(name="ephemeral", ram=128, vcpus=1, disk=1, ephemeral=1)
    cleanup.callback(admin.compute.delete_flavor, flavor)
    network = NetworkId(named(source.networks(), scenario.NETWORK).id)
    disk = (BlockDevice(0, image_id=image_id),)
    make.server(EPHEMERAL, (Nic(network_id=network),), disk, flavor="ephemeral")
    make.off(kept.id)
    make.off(from_image.id)
    source.lock_server(kept.id)
    before = {KEPT: source.server(kept.id), FROM_IMAGE: source.server(from_image.id)}
    operator.must("export", "workloads")

    def edit(described: dict[str, Any], params: dict[str, Any]) -> None:
        if described["name"] == KEPT:
            params.update(port_creation_mode="neutron", power_state="as_found")

    operator.edit_workloads(edit)
    refused = operator.run("migrate", KEPT, EPHEMERAL)
    unlock = ("--set", "os_migrate_workload_unlock_before_migration=true")
    return Scene(
        source=source,
        destination=destination,
        before=before,
        ports={name: ports_of(source, server.id) for name, server in before.items()},
        floating_ip=floating_ip,
        refused=refused,
        done=operator.must("--json", "migrate", KEPT, FROM_IMAGE, *unlock),
    )


def make_kept(make: Maker, image_id: ImageId, group: SecurityGroupId) -> Server:
    """Make a server with all that a server can have."""
    cloud = make.cloud
    group_id = cloud.create_server_group("apart", "soft-anti-affinity", None)
    make.cleanup.callback(cloud.delete_server_group, group_id)
    words = {"description": "a disk", "metadata": {"backup": "daily"}}
    boot = make.volume(VolumeSpec("shop-boot", 1, image_id=image_id, **words))
    cloud.dress_volume(boot, bootable=True, image_metadata=PROPERTIES)
    data = make.volume(VolumeSpec("shop-data", 1, **words))
    front = make.port(
        "10.0.0.141",
        "10.0.0.142",
        mac_address="fa:16:3e:0f:1d:01",
        security_group_ids=(group,),
        name="front",
        description="the front door",
        tags=("red", "blue"),
        allowed_address_pairs=(AddressPair("10.0.0.241"), AddressPair("10.0.9.0/24", "fa:16:3e:0f:1d:99")),
        extra_dhcp_opts=(DhcpOption("bootfile-name", "pxelinux.0"),),
    )
    back = make.port("10.0.0.143", mac_address="fa:16:3e:0f:1d:02", has_port_security=False)
    return make.server(
        KEPT,
        (Nic(port_id=front.id), Nic(port_id=back.id)),
        (
            BlockDevice(0, volume_id=boot, delete_on_termination=False),
            BlockDevice(-1, volume_id=data, delete_on_termination=True),
        ),
        key_name=scenario.KEYPAIR,
        availability_zone="nova",
        config_drive=True,
        disk_config="MANUAL",
        description="sells things",
        metadata={"owner": "päivi"},
        tags=("red", "blue"),
        hostname="shop",
        scheduler_hints={"group": group_id},
    )


def add_floating_ip(make: Maker, port: Port) -> FloatingIp:
    """Lead a floating IP to a port's second address."""
    cloud = make.cloud
    external = NetworkId(named(cloud.networks(), scenario.EXTERNAL_NETWORK).id)
    ip_id = cloud.create_floating_ip(external, port.id, addresses_of(port)[1], None, "the shop's address")
    make.cleanup.callback(cloud.delete_floating_ip, ip_id)
    cloud.tag_floating_ip(ip_id, ["front"])
    return next(ip for ip in cloud.floating_ips() if ip.id == ip_id)


def test_server_is_as_it_was(scene: Scene) -> None:
    old, twin = scene.before[KEPT], scene.twin(KEPT)
    assert (old.status, old.locked, old.hostname) == (ServerStatus.SHUTOFF, True, "shop")
    for key in (
        "name",
        "status",
        "description",
        "flavor_name",
        "key_name",
        "availability_zone",
        "config_drive",
        "disk_config",
        "locked",
        "hostname",
        "image_id",
    ):
        assert getattr(twin, key) == getattr(old, key), key
    assert sorted(twin.tags) == sorted(old.tags)
    assert {k: v for k, v in twin.metadata.items() if k != Tag.ORIGIN_KEY} == old.metadata
    (old_group,) = [g for g in scene.source.server_groups() if g.id in old.group_ids]
    (group,) = [g for g in scene.destination.server_groups() if g.id in twin.group_ids]
    assert (group.name, group.policy, group.members) == (old_group.name, old_group.policy, (twin.id,))


def test_source_is_as_it_was(scene: Scene) -> None:
    for name, old in scene.before.items():
        now = scene.source.server(old.id)
        assert replace(now, updated_at=old.updated_at) == old, name
        assert ports_of(scene.source, old.id) == scene.ports[name]


def test_port_is_as_it_was(scene: Scene) -> None:
    for old, port in zip(scene.ports[KEPT], scene.twin_ports(KEPT), strict=True):
        assert addresses_of(port) == addresses_of(old)
        for key in ("mac_address", "name", "description", "vnic_type", "is_up", "has_port_security"):
            assert getattr(port, key) == getattr(old, key), key
        assert sorted(port.tags) == sorted(old.tags)
        assert set(port.allowed_address_pairs) == set(old.allowed_address_pairs)
        assert port.extra_dhcp_opts == old.extra_dhcp_opts
    group = named(scene.destination.security_groups(), scenario.SECURITY_GROUP)
    assert [p.security_group_ids for p in scene.twin_ports(KEPT)] == [(group.id,), ()]


def test_port_without_port_security_has_none(scene: Scene) -> None:
    assert [p.has_port_security for p in scene.twin_ports(KEPT)] == [True, False]


def test_port_that_nova_makes_is_dressed(scene: Scene) -> None:
    (old,), (port,) = scene.ports[FROM_IMAGE], scene.twin_ports(FROM_IMAGE)
    for key in ("name", "description", "tags", "allowed_address_pairs", "is_up", "has_port_security"):
        assert getattr(port, key) == getattr(old, key), key
    assert port.mac_address != old.mac_address


def test_floating_ip_is_as_it_was(scene: Scene) -> None:
    ports = [port.id for port in scene.twin_ports(KEPT)]
    (ip,) = [ip for ip in scene.destination.floating_ips() if ip.port_id in ports]
    old = scene.floating_ip
    assert (ip.fixed_ip_address, ip.description, ip.tags) == (old.fixed_ip_address, old.description, old.tags)


def test_volumes_are_as_they_were(scene: Scene) -> None:
    old, twin = scene.before[KEPT], scene.twin(KEPT)
    assert [v.delete_on_termination for v in twin.volumes] == [v.delete_on_termination for v in old.volumes]
    for before, now in zip(old.volumes, twin.volumes, strict=True):
        volume, copy = scene.source.volume(before.volume_id), scene.destination.volume(now.volume_id)
        for key in ("name", "description", "size_gib", "volume_type", "availability_zone", "bootable"):
            assert getattr(copy, key) == getattr(volume, key), key
        assert {k: v for k, v in copy.metadata.items() if k != Tag.ORIGIN_KEY} == volume.metadata
        assert volume.metadata == {"backup": "daily"}
    boot = scene.destination.volume(twin.volumes[0].volume_id)
    assert PROPERTIES.items() <= boot.image_metadata.items()


def test_image_booted_server_stays_image_booted(scene: Scene) -> None:
    twin = scene.twin(FROM_IMAGE)
    assert twin.image_id == named(scene.destination.images(), scenario.TINY_IMAGE).id
    assert twin.status is ServerStatus.ACTIVE
    assert twin.volumes == ()


def test_server_with_an_ephemeral_disk_is_refused(scene: Scene) -> None:
    assert scene.refused.exit_code == 2
    assert "ephemeral disks of 1 GiB" in scene.refused.err
    assert "it is locked" in scene.refused.err
