"""What the services answer, as the words of `model`. Pure; what a tenant doesn't see may be missing."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from os_migrate.model import (
    AddressPair,
    Attachment,
    DhcpOption,
    FixedIp,
    Flavor,
    FloatingIp,
    FloatingIpId,
    Image,
    ImageId,
    Named,
    Network,
    NetworkId,
    Port,
    PortId,
    QosPolicyId,
    SecurityGroupId,
    Server,
    ServerGroup,
    ServerGroupId,
    ServerId,
    ServerStatus,
    Snapshot,
    SnapshotId,
    Subnet,
    SubnetId,
    Volume,
    VolumeAttachment,
    VolumeId,
    VolumeType,
)

Json = Mapping[str, Any]

IMAGE_FIELDS = frozenset(
    """
    id name status visibility size virtual_size min_disk min_ram owner checksum os_hash_algo os_hash_value os_hidden
    created_at updated_at tags self file schema protected container_format disk_format locations direct_url stores
    """.split()  # noqa: SIM905 (a list of quoted words would be 27 lines)
)
"""What Glance says of every image; anything beside these is a property.

Source: https://docs.openstack.org/api-ref/image/v2/#show-image-schema
"""

CINDERS_OWN = frozenset({"readonly", "attached_mode"})
"""What Cinder itself writes into the metadata of a volume that it shows; nobody can set it as metadata.

Source: _visible_admin_metadata_keys in https://opendev.org/openstack/cinder/src/branch/master/cinder/api/api_utils.py
"""

AUTOMATIC_MODES = frozenset({"slaac", "dhcpv6-stateless"})
"""Of a subnet whose addresses follow from prefix and MAC: Neutron refuses to be asked for one.

Source: is_auto_address_subnet in https://opendev.org/openstack/neutron/src/branch/master/neutron/common/ipv6_utils.py
"""

POWER_TASKS = frozenset({"powering-off", "powering-on"})
"""Source: https://docs.openstack.org/nova/latest/reference/vm-states.html"""

FIRST_DISK = "/dev/(v|s|h|xv|ub|f)da"
"""The first disk of any bus, as Nova names them."""


def named(raw: Json) -> Named:
    """Read anything that has an id and a name."""
    return Named(id=raw["id"], name=raw.get("name") or "", project_id=raw.get("project_id") or raw.get("tenant_id"))


def server(raw: Json, volumes: tuple[VolumeAttachment, ...], flavor: Flavor) -> Server:
    """Read a server of Nova; its volumes, and of old clouds its flavor, are told by other calls."""
    status, raw_status = server_status(raw)
    return Server(
        id=ServerId(raw["id"]),
        name=raw.get("name") or "",
        status=status,
        raw_status=raw_status,
        fault=(raw.get("fault") or {}).get("message", ""),
        description=raw.get("description"),
        image_id=ImageId(raw["image"]["id"]) if raw.get("image") else None,
        flavor_name=flavor.name,
        key_name=raw.get("key_name"),
        availability_zone=raw.get("OS-EXT-AZ:availability_zone") or None,
        config_drive=str(raw.get("config_drive", "")).lower() == "true",
        disk_config=raw.get("OS-DCF:diskConfig"),
        metadata=dict(raw.get("metadata") or {}),
        tags=tuple(raw.get("tags") or ()),
        user_data=raw.get("OS-EXT-SRV-ATTR:user_data"),
        volumes=volumes,
        addresses=addresses(raw),
        project_id=raw.get("tenant_id") or "",
        user_id=raw.get("user_id") or "",
        created_at=raw.get("created") or "",
        updated_at=raw.get("updated") or "",
        launched_at=raw.get("OS-SRV-USG:launched_at") or "",
        hypervisor_hostname=raw.get("OS-EXT-SRV-ATTR:hypervisor_hostname"),
        locked=bool(raw.get("locked")),
        hostname=raw.get("OS-EXT-SRV-ATTR:hostname") or None,
        ephemeral_gib=flavor.ephemeral_gib,
        swap_mib=flavor.swap_mib,
        group_ids=tuple(ServerGroupId(group_id) for group_id in raw.get("server_groups") or ()),
    )


def server_status(raw: Json) -> tuple[ServerStatus, str]:
    """Return a server's status, and how to tell people.

    Nova goes on saying ACTIVE of a server that is being stopped, and SHUTOFF of one that is being started; neither state
    decides anything then, so it is OTHER here.
    """
    status = str(raw.get("status", ""))
    task = raw.get("OS-EXT-STS:task_state")
    if task in POWER_TASKS:
        return ServerStatus.OTHER, f"{status} ({task})"
    return (ServerStatus(status) if status in ServerStatus.__members__ else ServerStatus.OTHER), status


def addresses(raw: Json) -> tuple[str, ...]:
    """Return a server's fixed addresses in Nova's order, which is the order of its ports, then its floating ones."""
    all_of_them = [entry for network in (raw.get("addresses") or {}).values() for entry in network]
    fixed = [entry["addr"] for entry in all_of_them if entry.get("OS-EXT-IPS:type") != "floating"]
    floating = [entry["addr"] for entry in all_of_them if entry.get("OS-EXT-IPS:type") == "floating"]
    return (*fixed, *floating)


def unlocated_volumes(raw: Json) -> tuple[VolumeAttachment, ...]:
    """Return the volumes as a list of servers shows them: without devices."""
    return tuple(
        VolumeAttachment(
            VolumeId(entry["id"]), device="", delete_on_termination=bool(entry.get("delete_on_termination"))
        )
        for entry in raw.get("os-extended-volumes:volumes_attached") or ()
    )


def server_volumes(raw: Json, attachments: Iterable[Json]) -> tuple[VolumeAttachment, ...]:
    """Return a server's volumes in the order of their devices, the boot volume first.

    That is the guest's order too: libvirt sorts the disks of a bus by their targets. Nova lists attachments as its database
    gives them, by whichever index it took. Nova tells a tenant neither the boot index nor the root device's name. A server that shows an image boots from a
    local disk. Otherwise the root is the first disk of its bus: Nova names the root before it names the others.
    """
    outlasting = {v.volume_id: v.delete_on_termination for v in unlocated_volumes(raw)}
    volumes = [
        VolumeAttachment(
            VolumeId(entry["volumeId"]),
            device=entry.get("device") or "",
            # In the attachment since 2.79, in the server since 2.3.
            delete_on_termination=bool(
                entry.get("delete_on_termination", outlasting.get(VolumeId(entry["volumeId"]), False))
            ),
        )
        for entry in attachments
    ]
    volumes.sort(key=lambda v: (len(v.device), v.device))
    if raw.get("image"):
        return tuple(volumes)
    root = re.escape(raw.get("OS-EXT-SRV-ATTR:root_device_name") or "") or FIRST_DISK  # administrators see the name
    return tuple(sorted(volumes, key=lambda v: re.fullmatch(root, v.device) is None))


def volume(raw: Json) -> Volume:
    """Read a volume of Cinder."""
    return Volume(
        id=VolumeId(raw["id"]),
        name=raw.get("name") or "",
        status=raw["status"],
        size_gib=int(raw["size"]),
        description=raw.get("description") or "",
        volume_type=raw.get("volume_type") or "",
        availability_zone=raw.get("availability_zone") or "",
        bootable=str(raw.get("bootable", "")).lower() == "true",
        multiattach=bool(raw.get("multiattach")),
        encrypted=bool(raw.get("encrypted")),
        read_only=str((raw.get("metadata") or {}).get("readonly", "")).lower() == "true",
        attachments=tuple(
            Attachment(ServerId(entry["server_id"]), entry.get("device") or "")
            for entry in raw.get("attachments") or ()
            if entry.get("server_id")
        ),
        metadata={key: value for key, value in (raw.get("metadata") or {}).items() if key not in CINDERS_OWN},
        image_metadata={key: str(value) for key, value in (raw.get("volume_image_metadata") or {}).items()},
    )


def snapshot(raw: Json) -> Snapshot:
    """Read a snapshot of Cinder."""
    return Snapshot(
        id=SnapshotId(raw["id"]),
        name=raw.get("name") or "",
        status=raw["status"],
        volume_id=VolumeId(raw["volume_id"]),
        metadata=dict(raw.get("metadata") or {}),
    )


def image(raw: Json) -> Image:
    """Read an image of Glance; sizes are None there until its data has come."""
    return Image(
        id=raw["id"],
        name=raw.get("name") or "",
        project_id=raw.get("owner"),
        status=raw["status"],
        min_disk_gib=int(raw.get("min_disk") or 0),
        min_ram_mib=int(raw.get("min_ram") or 0),
        virtual_size_bytes=int(raw.get("virtual_size") or 0),
        size_bytes=int(raw.get("size") or 0),
        properties={key: value for key, value in raw.items() if key not in IMAGE_FIELDS and isinstance(value, str)},
    )


def volume_type(raw: Json) -> VolumeType:
    """Read a volume type of Cinder; since 19.0 a tenant sees whether its volumes can be attached to several servers."""
    specs = raw.get("extra_specs")
    multiattach = None if specs is None else str(specs.get("multiattach")).lower() == "<is> true"
    return VolumeType(raw["id"], raw.get("name") or "", multiattach=multiattach)


def embedded_flavor(raw: Json) -> Flavor:
    """Read a flavor as a server shows it since 2.47: without an id, as it was when the server was made."""
    return Flavor(
        id="",
        name=str(raw["original_name"]),
        vcpus=int(raw.get("vcpus") or 0),
        ram_mib=int(raw.get("ram") or 0),
        disk_gib=int(raw.get("disk") or 0),
        ephemeral_gib=int(raw.get("ephemeral") or 0),
        swap_mib=int(raw.get("swap") or 0),
    )


def server_group(raw: Json) -> ServerGroup:
    """Read a server group of Nova: before 2.64 it has a list of one policy, and no rules."""
    limit = (raw.get("rules") or {}).get("max_server_per_host")
    return ServerGroup(
        id=raw["id"],
        name=raw.get("name") or "",
        project_id=raw.get("project_id"),
        policy=raw.get("policy") or next(iter(raw.get("policies") or ()), ""),
        max_server_per_host=None if limit is None else int(limit),
        members=tuple(ServerId(member) for member in raw.get("members") or ()),
    )


def flavor(raw: Json) -> Flavor:
    """Read a flavor of Nova, which says "" for no swap."""
    return Flavor(
        id=raw["id"],
        name=raw.get("name") or "",
        vcpus=int(raw.get("vcpus") or 0),
        ram_mib=int(raw.get("ram") or 0),
        disk_gib=int(raw.get("disk") or 0),
        ephemeral_gib=int(raw.get("OS-FLV-EXT-DATA:ephemeral") or 0),
        swap_mib=int(raw.get("swap") or 0),
    )


def network(raw: Json) -> Network:
    """Read a network of Neutron."""
    return Network(
        id=raw["id"],
        name=raw.get("name") or "",
        project_id=raw.get("project_id") or raw.get("tenant_id"),
        is_external=bool(raw.get("router:external")),
    )


def subnet(raw: Json) -> Subnet:
    """Read a subnet of Neutron."""
    return Subnet(
        id=raw["id"],
        name=raw.get("name") or "",
        project_id=raw.get("project_id") or raw.get("tenant_id"),
        network_id=NetworkId(raw["network_id"]),
        cidr=raw.get("cidr") or "",
        assigns_itself=bool({raw.get("ipv6_address_mode"), raw.get("ipv6_ra_mode")} & AUTOMATIC_MODES),
    )


def port(raw: Json) -> Port:
    """Read a port of Neutron; a tenant doesn't see the binding profile."""
    return Port(
        id=PortId(raw["id"]),
        name=raw.get("name") or "",
        network_id=NetworkId(raw["network_id"]),
        mac_address=raw.get("mac_address") or "",
        fixed_ips=tuple(FixedIp(SubnetId(ip["subnet_id"]), ip["ip_address"]) for ip in raw.get("fixed_ips") or ()),
        device_id=raw.get("device_id") or "",
        device_owner=raw.get("device_owner") or "",
        description=raw.get("description") or "",
        security_group_ids=tuple(SecurityGroupId(group) for group in raw.get("security_groups") or ()),
        vnic_type=raw.get("binding:vnic_type") or "normal",
        binding_profile=dict(raw.get("binding:profile") or {}),
        tags=tuple(raw.get("tags") or ()),
        is_up=bool(raw.get("admin_state_up", True)),
        has_port_security=bool(raw.get("port_security_enabled", True)),
        allowed_address_pairs=tuple(
            AddressPair(pair["ip_address"], _unless(pair.get("mac_address"), raw.get("mac_address")))
            for pair in raw.get("allowed_address_pairs") or ()
        ),
        extra_dhcp_opts=tuple(
            DhcpOption(option["opt_name"], option.get("opt_value"), int(option.get("ip_version") or 4))
            for option in raw.get("extra_dhcp_opts") or ()
        ),
        dns_name=raw.get("dns_name") or "",
        dns_domain=raw.get("dns_domain") or "",
        qos_policy_id=_qos(raw),
    )


def _unless(value: str | None, default: str | None) -> str | None:
    return None if value == default else value


def _qos(raw: Json) -> QosPolicyId | None:
    return QosPolicyId(raw["qos_policy_id"]) if raw.get("qos_policy_id") else None


def floating_ip(raw: Json) -> FloatingIp:
    """Read a floating IP of Neutron."""
    return FloatingIp(
        id=FloatingIpId(raw["id"]),
        address=raw["floating_ip_address"],
        network_id=NetworkId(raw["floating_network_id"]),
        port_id=PortId(raw["port_id"]) if raw.get("port_id") else None,
        router_id=raw.get("router_id"),
        fixed_ip_address=raw.get("fixed_ip_address"),
        description=raw.get("description") or "",
        dns_domain=raw.get("dns_domain") or None,
        dns_name=raw.get("dns_name") or None,
        tags=tuple(raw.get("tags") or ()),
        qos_policy_id=_qos(raw),
    )
