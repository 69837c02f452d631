"""The rules of security groups. A rule has no name: it is known by all that it says, and is never changed."""

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from os_migrate.resources.kind import Field, Kind, Write, identity, of_project
from os_migrate.resources.neutron import info, neutron
from os_migrate.resources.shapes import CIDR, NUMBER, TEXT, RefTo, Shape, Text

PROTOCOLS: Final = {
    "1": "icmp", "2": "igmp", "4": "ipip", "6": "tcp", "8": "egp", "17": "udp", "33": "dccp", "41": "ipv6-encap", "43": "ipv6-route",
    "44": "ipv6-frag", "46": "rsvp", "47": "gre", "50": "esp", "51": "ah", "58": "ipv6-icmp", "59": "ipv6-nonxt",
    "60": "ipv6-opts", "89": "ospf", "112": "vrrp", "113": "pgm", "132": "sctp", "136": "udplite",
}  # fmt: skip
"""Neutron takes numbers and names, and keeps what it was given: both are the same rule."""

ICMP: Final = {"icmp", "icmpv6", "ipv6-icmp"}
ANYWHERE: Final = {"0.0.0.0/0", "::/0"}


def in_one_form(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a rule says as Neutron compares it: ICMP of IPv6 has one name there, whatever it is called."""
    protocol = values.get("protocol")
    if not isinstance(protocol, str):
        return values
    name = PROTOCOLS.get(protocol, protocol.lower())
    if name in ICMP and values.get("ether_type") == "IPv6":
        name = "ipv6-icmp"
    return {**values, "protocol": name}


def anywhere(prefix: Hashable) -> Hashable:
    """Return a prefix; that of all addresses is the same as none."""
    return None if prefix in ANYWHERE else prefix


def group_of(params: Mapping[str, object]) -> str:
    """Return the name of the rule's group."""
    ref = params.get("security_group_ref")
    return str(ref.get("name")) if isinstance(ref, dict) else ""


def label(params: Mapping[str, object]) -> str:
    """Return a rule as people read it: `web: ingress IPv4 tcp 80-80 192.0.2.0/24`."""
    remote = params.get("remote_group_ref") or params.get("remote_address_group_ref")
    ports = [params.get("port_range_min"), params.get("port_range_max")]
    parts = [
        params.get("direction"),
        params.get("ether_type"),
        params.get("protocol"),
        "-".join("" if port is None else str(port) for port in ports) if ports != [None, None] else None,
        params.get("remote_ip_prefix"),
        f"group {remote.get('name')}" if isinstance(remote, dict) else None,
    ]
    return f"{group_of(params)}: {' '.join(str(part) for part in parts if part is not None)}"


def _says(
    name: str,
    shape: Shape,
    *,
    api: str = "",
    required: bool = False,
    identifies: Callable[[Hashable], Hashable] = identity,
) -> Field:
    """Return a field that is part of what a rule is known by, so that it never differs."""
    return Field(
        name, shape, api=api, required=required, default=None, write=Write.CREATE, compared=False, identifies=identifies
    )


SECURITY_GROUP_RULES: Final = Kind(
    name="security_group_rules",
    type="openstack.network.SecurityGroupRule",
    word="security group rule",
    collection=neutron("security_group_rules"),
    label=label,
    query=of_project,
    normal=in_one_form,
    within="security_group_ref",
    filter="security_groups",
    filtered_by=group_of,
    fields=(
        _says("security_group_ref", RefTo("security_groups"), api="security_group_id", required=True),
        Field("description", TEXT, default="", write=Write.CREATE, compared=False),
        _says("direction", Text(choices=("ingress", "egress")), required=True),
        _says("ether_type", Text(choices=("IPv4", "IPv6")), api="ethertype", required=True),
        _says("protocol", TEXT),
        _says("port_range_min", NUMBER),
        _says("port_range_max", NUMBER),
        _says("remote_ip_prefix", CIDR, identifies=anywhere),
        _says("remote_group_ref", RefTo("security_groups"), api="remote_group_id"),
        _says("remote_address_group_ref", RefTo("address_groups"), api="remote_address_group_id"),
    ),
    info=info(
        "id", "project_id", "security_group_id", "remote_group_id", "remote_address_group_id", "created_at", "updated_at",
        "revision_number",
    ),
)  # fmt: skip
