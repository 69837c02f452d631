"""What `world.Cloud` promises, asked of the fake and of real clouds alike: a fake that disagrees is a bug."""

from collections import Counter
from dataclasses import replace

import pytest

from os_migrate.errors import CloudError, NotFound
from os_migrate.model import (
    AddressPair,
    ApiVersions,
    BlockDevice,
    DhcpOption,
    FixedIp,
    FlavorId,
    FloatingIpId,
    ImageId,
    NetworkId,
    Nic,
    PortId,
    PortSpec,
    Quoted,
    ServerGroupId,
    ServerId,
    ServerStatus,
    SnapshotId,
    VolumeId,
    VolumeSpec,
)
from os_migrate.survey import LEAVES_DISKS
from os_migrate.twin import usual_hostname
from os_migrate.world import Cloud
from tests.contract.conftest import TIMEOUT_S, Place

# The SDK warns of the end of its statistics, which nobody asked it for.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

NOBODY = "00000000-0000-4000-8000-000000000000"
TAG = {"os_migrate_attempt": "contract", "os_migrate_step": "Contract:1"}


GROUPS = [("soft-anti-affinity", None), ("affinity", None), ("anti-affinity", 2)]


def one(things, thing_id):
    (found,) = [thing for thing in things if thing.id == thing_id]
    return found


# What isn't there --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda cloud: cloud.server(ServerId(NOBODY)),
        lambda cloud: cloud.await_server(ServerId(NOBODY), ServerStatus.ACTIVE, TIMEOUT_S),
        lambda cloud: cloud.stop_server(ServerId(NOBODY)),
        lambda cloud: cloud.start_server(ServerId(NOBODY)),
        lambda cloud: cloud.set_server_metadata(ServerId(NOBODY), TAG),
        lambda cloud: cloud.create_server_image(ServerId(NOBODY), "image", TAG),
        lambda cloud: cloud.volume(VolumeId(NOBODY)),
        lambda cloud: cloud.await_volume(VolumeId(NOBODY), "available", TIMEOUT_S),
        lambda cloud: cloud.dress_volume(VolumeId(NOBODY), bootable=True, image_metadata={}),
        lambda cloud: cloud.set_volume_metadata(VolumeId(NOBODY), TAG),
        lambda cloud: cloud.create_snapshot(VolumeId(NOBODY), "snapshot", TAG),
        lambda cloud: cloud.await_snapshot(SnapshotId(NOBODY), TIMEOUT_S),
        lambda cloud: cloud.image(ImageId(NOBODY)),
        lambda cloud: cloud.await_image(ImageId(NOBODY), TIMEOUT_S),
        lambda cloud: cloud.describe_port(PortId(NOBODY), "text"),
        lambda cloud: cloud.dress_port(PortId(NOBODY), PortSpec(NetworkId(""), ())),
        lambda cloud: cloud.tag_floating_ip(FloatingIpId(NOBODY), ["a"]),
        lambda cloud: cloud.lock_server(ServerId(NOBODY)),
        lambda cloud: cloud.unlock_server(ServerId(NOBODY)),
        lambda cloud: cloud.describe_floating_ip(FloatingIpId(NOBODY), "text"),
        lambda cloud: cloud.associate_floating_ip(FloatingIpId(NOBODY), None, None),
    ],
)
def test_what_is_not_there_is_not_found(cloud: Cloud, ask):
    with pytest.raises(NotFound):
        ask(cloud)


@pytest.mark.parametrize(
    "delete",
    [
        lambda cloud: cloud.delete_server(ServerId(NOBODY)),
        lambda cloud: cloud.delete_volume(VolumeId(NOBODY)),
        lambda cloud: cloud.delete_snapshot(SnapshotId(NOBODY)),
        lambda cloud: cloud.delete_image(ImageId(NOBODY)),
        lambda cloud: cloud.delete_server_group(ServerGroupId(NOBODY)),
        lambda cloud: cloud.delete_port(PortId(NOBODY)),
        lambda cloud: cloud.delete_floating_ip(FloatingIpId(NOBODY)),
        lambda cloud: cloud.detach_volume(ServerId(NOBODY), VolumeId(NOBODY)),
    ],
)
def test_deleting_what_is_not_there_succeeds(cloud: Cloud, delete):
    delete(cloud)


# Volumes and snapshots ---------------------------------------------------------------------------------------------------


def test_volume_is_listed_with_what_it_was_made_with(place: Place, cloud: Cloud):
    volume_id = place.volume(description="a disk", metadata=TAG)

    volume = one(cloud.volumes(), volume_id)
    assert volume == cloud.volume(volume_id)
    assert (volume.status, volume.size_gib, volume.description) == ("available", 1, "a disk")
    assert dict(volume.metadata) == TAG
    assert not volume.bootable
    assert volume.attachments == ()


def test_metadata_of_a_volume_is_set_and_removed_by_key(place: Place, cloud: Cloud):
    volume_id = place.volume(metadata=TAG)

    for _ in range(2):
        cloud.set_volume_metadata(volume_id, {"os_migrate_attempt": None, "os_migrate_source_id": "4711"})
        wanted = {"os_migrate_step": TAG["os_migrate_step"], "os_migrate_source_id": "4711"}
        assert dict(cloud.volume(volume_id).metadata) == wanted


def test_dressing_a_volume_twice_is_the_same_as_once(place: Place, cloud: Cloud):
    volume_id = place.volume()

    for _ in range(2):
        cloud.dress_volume(volume_id, bootable=True, image_metadata={"hw_disk_bus": "virtio", "os_type": "linux"})
        volume = cloud.volume(volume_id)
        assert volume.bootable
        assert dict(volume.image_metadata) == {"hw_disk_bus": "virtio", "os_type": "linux"}


def test_volume_from_an_image_is_bootable_and_has_its_properties(place: Place, cloud: Cloud):
    volume = cloud.volume(place.volume(image_id=place.image_id))

    assert volume.bootable
    assert cloud.image(place.image_id).properties.items() <= volume.image_metadata.items()


def test_volume_from_a_snapshot_has_its_size(place: Place, cloud: Cloud):
    snapshot_id = place.snapshot(place.volume(), TAG)

    snapshot = cloud.await_snapshot(snapshot_id, TIMEOUT_S)
    assert snapshot == one(cloud.snapshots(), snapshot_id)
    assert dict(snapshot.metadata) == TAG
    copy = cloud.volume(place.volume(snapshot_id=snapshot_id))
    assert (copy.status, copy.size_gib) == ("available", 1)


def test_deleted_volume_and_snapshot_are_gone_at_once(place: Place, cloud: Cloud):
    volume_id = place.volume()
    snapshot_id = place.snapshot(volume_id, TAG)
    cloud.await_snapshot(snapshot_id, TIMEOUT_S)

    for _ in range(2):
        cloud.delete_snapshot(snapshot_id)
    for _ in range(2):
        cloud.delete_volume(volume_id)

    assert snapshot_id not in {snapshot.id for snapshot in cloud.snapshots()}
    with pytest.raises(NotFound):
        cloud.volume(volume_id)


def test_volume_of_an_unknown_type_is_refused(cloud: Cloud):
    with pytest.raises(CloudError):
        cloud.create_volume(VolumeSpec(name="contract", size_gib=1, volume_type="no such type"))


def test_waiting_ends_when_its_time_is_over(place: Place, cloud: Cloud):
    with pytest.raises(CloudError, match="not within"):
        cloud.await_volume(place.volume(), "in-use", 1.0)


# Servers -----------------------------------------------------------------------------------------------------------------


def test_server_is_listed_with_what_it_was_made_with(place: Place, cloud: Cloud):
    server_id = place.server(metadata=TAG, tags=("red", "blue"), description="a server")

    server = cloud.server(server_id)
    assert (server.status, server.raw_status) == (ServerStatus.ACTIVE, "ACTIVE")
    assert dict(server.metadata) == TAG
    assert sorted(server.tags) == ["blue", "red"]
    assert server.description == "a server"
    assert server.image_id == place.image_id
    assert server.flavor_name == one(cloud.flavors(), place.flavor_id).name
    assert server.project_id == cloud.project_id()
    assert server.volumes == ()
    assert dict(one(cloud.servers(), server_id).metadata) == TAG


def test_stopping_and_starting_twice_is_the_same_as_once(cloud: Cloud, server_id: ServerId):
    for _ in range(2):
        cloud.stop_server(server_id)  # the second while it is being stopped
    assert cloud.server(server_id).status is ServerStatus.OTHER
    assert cloud.await_server(server_id, ServerStatus.SHUTOFF, TIMEOUT_S).status is ServerStatus.SHUTOFF
    cloud.stop_server(server_id)

    cloud.start_server(server_id)
    assert cloud.await_server(server_id, ServerStatus.ACTIVE, TIMEOUT_S).status is ServerStatus.ACTIVE
    cloud.start_server(server_id)


def test_metadata_of_a_server_is_set_and_removed_by_key(cloud: Cloud, server_id: ServerId):
    cloud.set_server_metadata(server_id, {"a": "1", "b": "2"})
    for _ in range(2):
        cloud.set_server_metadata(server_id, {"a": None, "b": "3"})
        assert dict(cloud.server(server_id).metadata) == {"b": "3"}


def test_server_that_cannot_be_built_is_a_cloud_error(place: Place, cloud: Cloud):
    port_id = place.port()
    port = one(cloud.ports(), port_id)

    with pytest.raises(CloudError):
        cloud.await_server(
            place.server(wait=False, nics=(Nic(network_id=port.network_id, fixed_ip=port.fixed_ips[0].ip_address),)),
            ServerStatus.ACTIVE,
            TIMEOUT_S,
        )


def test_server_of_an_unknown_flavor_is_refused(place: Place):
    with pytest.raises(CloudError):
        place.server(flavor_id=FlavorId(NOBODY))


def test_image_of_a_server_is_tagged_and_as_large_as_its_disk(place: Place, cloud: Cloud, server_id: ServerId):
    image_id = cloud.create_server_image(server_id, place.name("image"), TAG)
    place.cleanup.callback(cloud.delete_image, image_id)

    image = cloud.await_image(image_id, TIMEOUT_S)
    assert TAG.items() <= image.properties.items()
    assert image.min_disk_gib == one(cloud.flavors(), place.flavor_id).disk_gib
    assert one(cloud.images(), image_id).name == image.name
    cloud.await_server(server_id, ServerStatus.ACTIVE, TIMEOUT_S)
    for _ in range(2):
        cloud.delete_image(image_id)
    with pytest.raises(NotFound):
        cloud.image(image_id)


def test_what_was_done_to_a_server_is_remembered(place: Place, cloud: Cloud, server_id: ServerId):
    def done_to_it() -> Counter[str]:
        actions = cloud.server_actions(server_id)
        assert len({a.request_id for a in actions}) == len(actions)
        return Counter(a.action for a in actions)

    before, volume_id = done_to_it(), place.volume()
    assert before["create"] == 1
    cloud.attach_volume(server_id, volume_id, device=None, delete_on_termination=False)
    cloud.set_volume_metadata(volume_id, {"a": "1"})
    cloud.set_server_metadata(server_id, {"a": "1"})
    cloud.detach_volume(server_id, volume_id)
    cloud.stop_server(server_id)
    cloud.await_server(server_id, ServerStatus.SHUTOFF, TIMEOUT_S)
    image_id = cloud.create_server_image(server_id, place.name("image"), TAG)
    place.cleanup.callback(cloud.delete_image, image_id)
    cloud.await_image(image_id, TIMEOUT_S)
    ours = done_to_it() - before
    assert ours == {"attach_volume": 1, "detach_volume": 1, "stop": 1, "createImage": 1}
    assert set(ours) <= LEAVES_DISKS

    cloud.start_server(server_id)
    cloud.await_server(server_id, ServerStatus.ACTIVE, TIMEOUT_S)
    assert done_to_it() - before - ours == {"start": 1}
    with pytest.raises(NotFound):
        cloud.server_actions(ServerId(NOBODY))


def test_locked_server_can_neither_be_marked_nor_stopped_but_unlocked(place: Place, cloud: Cloud):
    server_id = place.server()
    place.cleanup.callback(cloud.unlock_server, server_id)
    for _ in range(2):
        cloud.lock_server(server_id)
    assert cloud.server(server_id).locked
    for act in (
        lambda: cloud.set_server_metadata(server_id, {"a": "1"}),
        lambda: cloud.stop_server(server_id),
        lambda: cloud.delete_server(server_id),
    ):
        with pytest.raises(CloudError):
            act()
    for _ in range(2):
        cloud.unlock_server(server_id)
    assert not cloud.server(server_id).locked
    assert {a.action for a in cloud.server_actions(server_id)} - {"create"} <= LEAVES_DISKS
    cloud.set_server_metadata(server_id, {"a": "1"})


def test_hostname_is_the_names_or_the_one_that_was_asked_for(place: Place, cloud: Cloud):
    assert cloud.takes_hostnames()
    usual, given = place.server(), place.server(hostname="shop")
    assert cloud.server(usual).hostname == usual_hostname(cloud.server(usual).name, usual)
    assert cloud.server(given).hostname == "shop"


def test_server_group_has_its_servers_and_outlives_them(place: Place, cloud: Cloud):
    name = place.name("group")
    made = [cloud.create_server_group(name, policy, limit) for policy, limit in GROUPS]
    for group_id in made:
        place.cleanup.callback(cloud.delete_server_group, group_id)
    groups = [one(cloud.server_groups(), group_id) for group_id in made]
    assert [(g.name, g.policy, g.max_server_per_host) for g in groups] == [(name, *group) for group in GROUPS]

    server_id = place.server(scheduler_hints={"group": made[0]})
    assert cloud.server(server_id).group_ids == (made[0],)
    assert one(cloud.server_groups(), made[0]).members == (server_id,)
    cloud.delete_server(server_id)
    assert one(cloud.server_groups(), made[0]).members == ()
    for _ in range(2):
        cloud.delete_server_group(made[0])
    assert made[0] not in {group.id for group in cloud.server_groups()}


# Volumes of servers ------------------------------------------------------------------------------------------------------


def test_volumes_are_attached_once_and_in_order(place: Place, cloud: Cloud, server_id: ServerId):
    first, second = place.volume(), place.volume()
    place.cleanup.callback(cloud.detach_volume, server_id, first)
    place.cleanup.callback(cloud.detach_volume, server_id, second)

    cloud.attach_volume(server_id, second, device=None, delete_on_termination=True)
    for _ in range(2):
        cloud.attach_volume(server_id, first, device="/dev/vdq", delete_on_termination=False)

    volumes = cloud.server(server_id).volumes
    assert [(v.volume_id, v.delete_on_termination) for v in volumes] == [(second, True), (first, False)]
    assert all(v.device.startswith("/dev/") for v in volumes)
    assert [v.volume_id for v in one(cloud.servers(), server_id).volumes] == [second, first]
    volume = cloud.volume(first)
    assert volume.status == "in-use"
    assert [a.server_id for a in volume.attachments] == [server_id]

    for _ in range(2):
        cloud.detach_volume(server_id, second)
    assert [v.volume_id for v in cloud.server(server_id).volumes] == [first]
    assert cloud.volume(second).status == "available"
    assert cloud.volume(second).attachments == ()


def test_volume_that_another_server_has_is_refused(place: Place, cloud: Cloud, server_id: ServerId):
    volume_id = place.volume()
    other = place.server()
    place.cleanup.callback(cloud.detach_volume, server_id, volume_id)
    cloud.attach_volume(server_id, volume_id, device=None, delete_on_termination=False)

    with pytest.raises(CloudError):
        cloud.attach_volume(other, volume_id, device=None, delete_on_termination=False)
    cloud.detach_volume(other, volume_id)
    assert [a.server_id for a in cloud.volume(volume_id).attachments] == [server_id]


def test_attached_volume_can_be_snapshotted_but_not_deleted(place: Place, cloud: Cloud, server_id: ServerId):
    volume_id = place.volume()
    place.cleanup.callback(cloud.detach_volume, server_id, volume_id)
    cloud.attach_volume(server_id, volume_id, device=None, delete_on_termination=False)

    with pytest.raises(CloudError):
        cloud.delete_volume(volume_id)
    snapshot_id = place.snapshot(volume_id, TAG)
    assert cloud.await_snapshot(snapshot_id, TIMEOUT_S).volume_id == volume_id
    assert cloud.volume(volume_id).status == "in-use"
    cloud.delete_snapshot(snapshot_id)  # it belongs to the attachment: before the volume is detached


def test_server_takes_along_only_the_volumes_that_are_to_go_with_it(place: Place, cloud: Cloud):
    boot, data, kept = place.volume(image_id=place.image_id), place.volume(), place.volume()
    server_id = place.server(
        block_devices=(
            BlockDevice(boot_index=0, volume_id=boot, delete_on_termination=True),
            BlockDevice(boot_index=-1, volume_id=data, delete_on_termination=True),
            BlockDevice(boot_index=-1, volume_id=kept, delete_on_termination=False),
        )
    )

    server = cloud.server(server_id)
    assert server.image_id is None
    assert [(v.volume_id, v.delete_on_termination) for v in server.volumes] == [
        (boot, True),
        (data, True),
        (kept, False),
    ]
    for _ in range(2):
        cloud.delete_server(server_id)
    with pytest.raises(NotFound):
        cloud.server(server_id)
    assert cloud.await_volume(kept, "available", TIMEOUT_S).attachments == ()
    cloud.delete_volume(boot)
    cloud.delete_volume(data)


# Network -----------------------------------------------------------------------------------------------------------------


def test_port_has_the_address_and_mac_that_were_asked_for(place: Place, cloud: Cloud):
    address, mac = place.free_address(), "fa:16:3e:0c:0c:01"
    subnet = next(subnet for subnet in cloud.subnets() if subnet.network_id == place.network_id)
    spec = PortSpec(place.network_id, (FixedIp(subnet.id, address),), mac, name=place.name("port"))
    port_id = place.port(spec, "made by os_migrate_attempt=contract")

    port = one(cloud.ports(), port_id)
    assert port.fixed_ips == (FixedIp(subnet.id, address),)
    assert (port.mac_address, port.name, port.network_id) == (mac, spec.name, place.network_id)
    assert port.description == "made by os_migrate_attempt=contract"
    assert port.security_group_ids == ()
    assert port.device_id == ""
    with pytest.raises(CloudError):
        cloud.create_port(spec, "the address is taken")
    cloud.describe_port(port_id, "")
    assert one(cloud.ports(), port_id).description == ""


def test_port_outlives_the_server_that_it_was_given_to(place: Place, cloud: Cloud):
    port_id = place.port()
    server_id = place.server(nics=(Nic(port_id=port_id), Nic(network_id=place.network_id)))

    port = one(cloud.ports(), port_id)
    assert port.device_id == server_id
    assert len([p for p in cloud.ports() if p.device_id == server_id]) == 2
    cloud.delete_server(server_id)
    ports = {p.id: p for p in cloud.ports()}
    assert ports[port_id].device_id == ""
    assert not [p for p in ports.values() if p.device_id == server_id]


def test_floating_ip_is_moved_described_and_deleted(place: Place, cloud: Cloud):
    port_id, other = place.port(), place.port()
    port = one(cloud.ports(), port_id)
    floating_ip_id = place.floating_ip(port.id, "made by os_migrate_attempt=contract")

    ip = one(cloud.floating_ips(), floating_ip_id)
    assert (ip.port_id, ip.network_id) == (port.id, place.external_id)
    assert ip.description == "made by os_migrate_attempt=contract"
    cloud.associate_floating_ip(floating_ip_id, None, None)
    assert one(cloud.floating_ips(), floating_ip_id).port_id is None
    cloud.associate_floating_ip(floating_ip_id, other, None)
    assert one(cloud.floating_ips(), floating_ip_id).port_id == other
    cloud.associate_floating_ip(floating_ip_id, port.id, port.fixed_ips[0].ip_address)
    cloud.describe_floating_ip(floating_ip_id, "a web server")
    ip = one(cloud.floating_ips(), floating_ip_id)
    assert (ip.description, ip.port_id, ip.fixed_ip_address) == ("a web server", port.id, port.fixed_ips[0].ip_address)
    for _ in range(2):
        cloud.delete_floating_ip(floating_ip_id)
    assert floating_ip_id not in {ip.id for ip in cloud.floating_ips()}


def test_port_is_dressed_whoever_made_it(place: Place, cloud: Cloud):
    server_id = place.server()
    (made_by_nova,) = [p for p in cloud.ports() if p.device_id == server_id]
    for port_id in (place.port(), made_by_nova.id):
        spec = PortSpec(
            place.network_id,
            (),
            name=place.name("port"),
            tags=("blue", "red"),
            is_up=False,
            allowed_address_pairs=(AddressPair("10.0.0.240"), AddressPair("10.0.9.0/24", "fa:16:3e:0c:0c:02")),
            extra_dhcp_opts=(DhcpOption("bootfile-name", "pxelinux.0"),),
        )
        before = one(cloud.ports(), port_id)
        for _ in range(2):
            cloud.dress_port(port_id, spec)
        port = one(cloud.ports(), port_id)
        assert (port.name, port.is_up, sorted(port.tags)) == (spec.name, False, ["blue", "red"])
        assert set(port.allowed_address_pairs) == set(spec.allowed_address_pairs)
        assert port.extra_dhcp_opts == spec.extra_dhcp_opts
        assert port.security_group_ids == ()
        kept = (port.fixed_ips, port.mac_address, port.device_id, port.description)
        assert kept == (before.fixed_ips, before.mac_address, before.device_id, before.description)
    insecure = PortSpec(place.network_id, (), has_port_security=False)
    port_id = place.port(insecure)
    assert not one(cloud.ports(), port_id).has_port_security
    with pytest.raises(CloudError):
        cloud.create_port(replace(insecure, allowed_address_pairs=(AddressPair("10.0.0.240"),)), "refused")


def test_port_that_is_made_with_all_it_is_has_it_at_once(place: Place, cloud: Cloud):
    spec = PortSpec(
        place.network_id,
        (),
        allowed_address_pairs=(AddressPair("10.0.0.241"),),
        extra_dhcp_opts=(DhcpOption("mtu", "1400"),),
    )
    port_id = place.port(spec)
    port = one(cloud.ports(), port_id)
    assert port.allowed_address_pairs == spec.allowed_address_pairs
    assert port.extra_dhcp_opts == spec.extra_dhcp_opts
    assert (port.has_port_security, port.is_up, port.tags, port.qos_policy_id) == (True, True, (), None)


def test_floating_ip_is_tagged(place: Place, cloud: Cloud):
    floating_ip_id = place.floating_ip(place.port())
    for _ in range(2):
        cloud.tag_floating_ip(floating_ip_id, ["blue", "red"])
    assert sorted(one(cloud.floating_ips(), floating_ip_id).tags) == ["blue", "red"]


# What there is to build with ---------------------------------------------------------------------------------------------


def test_what_there_is_to_build_with_is_listed(place: Place, cloud: Cloud):
    assert one(cloud.flavors(), place.flavor_id).disk_gib >= 1
    assert one(cloud.images(), place.image_id).status == "active"
    assert not one(cloud.networks(), place.network_id).is_external
    assert one(cloud.networks(), place.external_id).is_external
    assert place.network_id in {subnet.network_id for subnet in cloud.subnets()}
    assert "nova" in {zone.name for zone in cloud.availability_zones()}
    assert "nova" in {zone.name for zone in cloud.volume_zones()}
    assert all(group.name for group in cloud.security_groups())
    assert all(key.id == key.name for key in cloud.keypairs())
    assert all(kind.name for kind in cloud.volume_types())
    assert {
        "port-security",
        "allowed-address-pairs",
        "extra_dhcp_opt",
        "standard-attr-tag",
    } <= cloud.network_extensions()
    assert all(policy.name for policy in cloud.qos_policies())


# Quotas ------------------------------------------------------------------------------------------------------------------


def used(cloud: Cloud) -> dict[tuple[Quoted, str], int]:
    return {(quota.of, quota.volume_type): quota.used for quota in cloud.quotas()}


def test_every_quota_is_told_to_a_tenant(cloud: Cloud):
    assert {quota.of for quota in cloud.quotas() if not quota.volume_type} == set(Quoted)


def test_what_is_made_counts_for_its_quotas(place: Place, cloud: Cloud):
    before = used(cloud)
    volume_id = place.volume()
    cloud.await_snapshot(place.snapshot(volume_id, TAG), TIMEOUT_S)
    place.port()
    now, kind = used(cloud), cloud.volume(volume_id).volume_type

    grown = {key: now[key] - before[key] for key in now if now[key] != before[key]}
    assert grown == {
        (Quoted.VOLUMES, ""): 1,
        (Quoted.VOLUMES, kind): 1,
        (Quoted.SNAPSHOTS, ""): 1,
        (Quoted.SNAPSHOTS, kind): 1,
        (Quoted.GIGABYTES, ""): 2,  # a snapshot counts as large as its volume
        (Quoted.GIGABYTES, kind): 2,
        (Quoted.PORTS, ""): 1,
    }


def test_server_counts_with_what_its_flavor_has_and_with_the_port_that_nova_makes(place: Place, cloud: Cloud):
    before = used(cloud)
    place.server()
    now = used(cloud)

    flavor = one(cloud.flavors(), place.flavor_id)
    wanted = {Quoted.INSTANCES: 1, Quoted.CORES: flavor.vcpus, Quoted.RAM: flavor.ram_mib, Quoted.PORTS: 1}
    assert {of: now[of, ""] - before[of, ""] for of in wanted} == wanted


def test_floating_ip_counts(place: Place, cloud: Cloud):
    before = used(cloud)
    server_id = place.server()
    place.floating_ip(next(port.id for port in cloud.ports() if port.device_id == server_id))
    assert used(cloud)[Quoted.FLOATING_IPS, ""] == before[Quoted.FLOATING_IPS, ""] + 1


def test_no_service_is_missing_and_nova_says_its_version(cloud: Cloud):
    assert cloud.api_versions() == ApiVersions(compute="2.90")
