"""Answers as Nova, Cinder, Glance and Neutron give them, read into words of ours."""

import pytest

from os_migrate.cloud import views
from os_migrate.model import (
    AddressPair,
    Attachment,
    DhcpOption,
    FixedIp,
    Flavor,
    ServerId,
    ServerStatus,
    SubnetId,
    VolumeAttachment,
    VolumeId,
)

SERVER = {
    "id": "s1",
    "name": "web",
    "status": "ACTIVE",
    "tenant_id": "p1",
    "user_id": "u1",
    "image": {"id": "i1", "links": []},
    "addresses": {
        "front": [
            {"addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"},
            {"addr": "172.31.11.60", "OS-EXT-IPS:type": "floating"},
        ],
        "back": [{"addr": "10.1.0.7", "OS-EXT-IPS:type": "fixed"}],
    },
    "OS-EXT-STS:task_state": None,
    "OS-DCF:diskConfig": "MANUAL",
    "OS-EXT-AZ:availability_zone": "nova",
    "OS-SRV-USG:launched_at": "2026-01-01T00:00:00.000000",
    "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": True}, {"id": "v2"}],
    "config_drive": "True",
    "key_name": "key",
    "metadata": {"a": "b"},
    "tags": ["red"],
    "description": None,
    "locked": True,
}
SMALL, NO_FLAVOR = Flavor("f1", "small", ephemeral_gib=2, swap_mib=64), Flavor("", "")


def attached(volume_id: str, device: str, **more):
    return {"volumeId": volume_id, "device": device} | more


def test_server_is_read():
    server = views.server(SERVER, (), SMALL)
    assert (server.id, server.name, server.flavor_name) == ("s1", "web", "small")
    assert server.image_id == "i1"
    assert server.config_drive
    assert server.locked
    assert server.addresses == ("10.0.0.5", "10.1.0.7", "172.31.11.60")
    assert (server.project_id, server.user_id, server.disk_config) == ("p1", "u1", "MANUAL")
    assert (server.user_data, server.hypervisor_hostname) == (None, None)


def test_server_with_next_to_nothing_is_read():
    server = views.server({"id": "s1", "status": "PAUSED"}, (), NO_FLAVOR)
    assert (server.status, server.raw_status) == (ServerStatus.OTHER, "PAUSED")


@pytest.mark.parametrize(
    ("status", "task", "seen"),
    [
        ("ACTIVE", None, ServerStatus.ACTIVE),
        ("ACTIVE", "image_uploading", ServerStatus.ACTIVE),
        ("ACTIVE", "powering-off", ServerStatus.OTHER),
        ("SHUTOFF", "powering-on", ServerStatus.OTHER),
        ("SHUTOFF", None, ServerStatus.SHUTOFF),
    ],
)
def test_server_that_is_being_switched_is_in_neither_state(status, task, seen):
    assert views.server_status({"status": status, "OS-EXT-STS:task_state": task})[0] is seen


def test_fault_is_told():
    assert (
        views.server(SERVER | {"fault": {"message": "No valid host", "code": 500}}, (), SMALL).fault == "No valid host"
    )


def test_volumes_come_in_the_order_of_their_devices_however_nova_lists_them():
    attachments = [attached("v3", "/dev/vdaa"), attached("v2", "/dev/vdc"), attached("v1", "/dev/vdb")]
    assert views.server_volumes(SERVER, attachments) == (
        VolumeAttachment(VolumeId("v1"), "/dev/vdb", delete_on_termination=True),
        VolumeAttachment(VolumeId("v2"), "/dev/vdc", delete_on_termination=False),
        VolumeAttachment(VolumeId("v3"), "/dev/vdaa", delete_on_termination=False),
    )


@pytest.mark.parametrize("bus", ["vd", "sd", "hd", "xvd"])
def test_boot_volume_comes_first_on_any_bus(bus):
    server = SERVER | {"image": ""}
    devices = [f"/dev/{bus}aa", f"/dev/{bus}b", f"/dev/{bus}a"]
    attachments = [attached(device, device) for device in devices]
    assert [v.device for v in views.server_volumes(server, attachments)] == [devices[2], devices[1], devices[0]]


def test_root_device_name_decides_where_it_is_told():
    server = SERVER | {"image": "", "OS-EXT-SRV-ATTR:root_device_name": "/dev/vdb"}
    volumes = views.server_volumes(server, [attached("v1", "/dev/vda"), attached("v2", "/dev/vdb")])
    assert [v.volume_id for v in volumes] == ["v2", "v1"]


def test_attachment_itself_says_delete_on_termination_since_2_79():
    volumes = views.server_volumes(SERVER, [attached("v1", "/dev/vdb", delete_on_termination=False)])
    assert not volumes[0].delete_on_termination


def test_volume_is_read():
    raw = {
        "id": "v1",
        "name": None,
        "description": None,
        "status": "in-use",
        "size": 3,
        "bootable": "true",
        "encrypted": False,
        "multiattach": False,
        "attachments": [{"server_id": "s1", "device": "/dev/vdb"}, {"server_id": None}],
        "metadata": {"a": "b"},
        "volume_image_metadata": {"hw_disk_bus": "scsi", "min_disk": 0},
    }
    volume = views.volume(raw)
    assert (volume.name, volume.description, volume.volume_type) == ("", "", "")
    assert volume.bootable
    assert volume.attachments == (Attachment(ServerId("s1"), "/dev/vdb"),)
    assert volume.image_metadata == {"hw_disk_bus": "scsi", "min_disk": "0"}


def test_bootable_is_false_when_cinder_says_so_in_words():
    assert not views.volume({"id": "v1", "status": "available", "size": 1, "bootable": "false"}).bootable


def test_image_properties_are_what_glance_does_not_know():
    raw = {
        "id": "i1",
        "name": "image",
        "status": "queued",
        "size": None,
        "virtual_size": None,
        "min_disk": 4,
        "owner": "p1",
        "visibility": "private",
        "tags": [],
        "os_hash_algo": "sha512",
        "hw_firmware_type": "uefi",
        "os_migrate_attempt": "a1",
    }
    image = views.image(raw)
    assert (image.size_bytes, image.virtual_size_bytes, image.min_disk_gib) == (0, 0, 4)
    assert image.project_id == "p1"
    assert image.properties == {"hw_firmware_type": "uefi", "os_migrate_attempt": "a1"}


def test_flavor_without_swap_is_read():
    flavor = views.flavor({"id": "f1", "name": "small", "ram": 256, "vcpus": 1, "disk": 1, "swap": ""})
    assert (flavor.ram_mib, flavor.swap_mib, flavor.ephemeral_gib) == (256, 0, 0)


def test_port_is_read_as_a_tenant_sees_it():
    port = views.port(
        {
            "id": "p1",
            "name": "",
            "network_id": "n1",
            "mac_address": "fa:16:3e:00:00:01",
            "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.5"}],
            "security_groups": ["g1"],
            "device_id": "s1",
            "device_owner": "compute:nova",
            "binding:vnic_type": "direct",
        }
    )
    assert port.fixed_ips == (FixedIp(SubnetId("sub"), "10.0.0.5"),)
    assert (port.vnic_type, port.binding_profile, port.description) == ("direct", {}, "")


def test_free_floating_ip_is_read():
    raw = {
        "id": "f1",
        "floating_ip_address": "172.31.11.60",
        "floating_network_id": "n1",
        "port_id": None,
        "dns_name": "",
    }
    ip = views.floating_ip(raw)
    assert (ip.address, ip.port_id, ip.dns_name, ip.tags) == ("172.31.11.60", None, None, ())


def test_port_is_read_with_all_that_it_may_have():
    raw = {
        "id": "p1",
        "network_id": "n1",
        "mac_address": "fa:16:3e:00:00:01",
        "tags": ["red"],
        "admin_state_up": False,
        "port_security_enabled": False,
        "allowed_address_pairs": [
            {"ip_address": "10.0.0.9", "mac_address": "fa:16:3e:00:00:01"},
            {"ip_address": "10.0.1.0/24", "mac_address": "fa:16:3e:00:00:02"},
        ],
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
        "dns_name": "web",
        "dns_domain": "example.org.",
        "qos_policy_id": "q1",
    }
    port = views.port(raw)
    assert (port.tags, port.is_up, port.has_port_security) == (("red",), False, False)
    assert port.allowed_address_pairs == (AddressPair("10.0.0.9"), AddressPair("10.0.1.0/24", "fa:16:3e:00:00:02"))
    assert port.extra_dhcp_opts == (DhcpOption("mtu", "1400", 4),)
    assert (port.dns_name, port.dns_domain, port.qos_policy_id) == ("web", "example.org.", "q1")


def test_port_of_a_cloud_without_extensions_is_as_usual():
    port = views.port({"id": "p1", "network_id": "n1"})
    assert (port.is_up, port.has_port_security, port.tags, port.dns_name, port.qos_policy_id) == (
        True,
        True,
        (),
        "",
        None,
    )


def test_flavor_within_a_server_tells_its_extra_disks():
    embedded = {"original_name": "big", "vcpus": 2, "ram": 512, "disk": 10, "ephemeral": 20, "swap": 64}
    server = views.server(SERVER | {"server_groups": ["g1"]}, (), views.embedded_flavor(embedded))
    assert (server.flavor_name, server.ephemeral_gib, server.swap_mib) == ("big", 20, 64)
    assert server.group_ids == ("g1",)


@pytest.mark.parametrize(
    ("raw", "policy", "limit"),
    [
        ({"policy": "anti-affinity", "rules": {"max_server_per_host": "3"}}, "anti-affinity", 3),
        ({"policy": "affinity", "rules": {}}, "affinity", None),
        ({"policies": ["soft-affinity"], "metadata": {}}, "soft-affinity", None),
    ],
)
def test_server_group_is_read_as_every_nova_tells_it(raw, policy, limit):
    group = views.server_group({"id": "g1", "name": "apart", "members": ["s1"]} | raw)
    assert (group.policy, group.max_server_per_host, group.members) == (policy, limit, ("s1",))


@pytest.mark.parametrize(
    ("raw", "multiattach"),
    [({}, None), ({"extra_specs": {}}, False), ({"extra_specs": {"multiattach": "<is> True"}}, True)],
)
def test_volume_type_tells_whether_several_servers_can_have_a_volume_where_a_tenant_is_told(raw, multiattach):
    assert views.volume_type({"id": "t", "name": "fast"} | raw).multiattach is multiattach


@pytest.mark.parametrize(
    ("raw", "assigns_itself"),
    [
        ({"ipv6_address_mode": None, "ipv6_ra_mode": None}, False),
        ({"ipv6_address_mode": "dhcpv6-stateful"}, False),
        ({"ipv6_address_mode": "slaac"}, True),
        ({"ipv6_ra_mode": "dhcpv6-stateless"}, True),
    ],
)
def test_subnet_that_assigns_its_addresses_itself_is_known_by_its_modes(raw, assigns_itself):
    assert views.subnet({"id": "s", "network_id": "n"} | raw).assigns_itself is assigns_itself


def test_what_cinder_writes_into_metadata_is_a_flag_and_no_metadata():
    raw = {"id": "v1", "status": "in-use", "size": 1}
    volume = views.volume(raw | {"metadata": {"readonly": "True", "attached_mode": "ro", "backup": "daily"}})
    assert (dict(volume.metadata), volume.read_only) == ({"backup": "daily"}, True)
    assert not views.volume(raw | {"metadata": {"readonly": "False"}}).read_only
