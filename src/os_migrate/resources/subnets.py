"""Subnets of the project."""

from typing import Final

from os_migrate.resources.kind import Field, Kind, Write
from os_migrate.resources.neutron import DESCRIPTION, NAME, ROUTE, TAGS, info, neutron
from os_migrate.resources.shapes import ADDRESS, CIDR, FLAG, NUMBER, TEXT, ListOf, Part, Record, RefTo, Text

IPV6_MODE: Final = Text(choices=("slaac", "dhcpv6-stateful", "dhcpv6-stateless"))
POOL: Final = Record((Part("start", ADDRESS, required=True), Part("end", ADDRESS, required=True)))

SUBNETS: Final = Kind(
    name="subnets",
    type="openstack.subnet.Subnet",
    word="subnet",
    collection=neutron("subnets"),
    fields=(
        NAME,
        DESCRIPTION,
        Field("network_ref", RefTo("networks"), api="network_id", required=True, write=Write.CREATE),
        Field("ip_version", NUMBER, required=True, write=Write.CREATE),
        Field("cidr", CIDR, required=True, write=Write.CREATE),
        Field("allocation_pools", ListOf(POOL)),
        Field("gateway_ip", ADDRESS, null_says=True),
        Field("dns_nameservers", ListOf(ADDRESS, ordered=True), default=[]),
        Field("host_routes", ListOf(ROUTE), default=[]),
        Field("is_dhcp_enabled", FLAG, api="enable_dhcp", default=True),
        Field("ipv6_address_mode", IPV6_MODE, write=Write.CREATE),
        Field("ipv6_ra_mode", IPV6_MODE, write=Write.CREATE),
        Field("service_types", ListOf(TEXT), default=[]),
        Field("segment_ref", RefTo("segments"), api="segment_id", write=Write.CREATE),
        Field("subnet_pool_ref", RefTo("subnetpools"), api="subnetpool_id", write=Write.CREATE),
        Field("use_default_subnet_pool", FLAG, api="use_default_subnetpool", default=False, write=Write.CREATE),
        TAGS,
    ),
    info=info(
        "id", "project_id", "network_id", "created_at", "updated_at", "revision_number", "segment_id",
        prefix_length="prefixlen", subnet_pool_id="subnetpool_id",
    ),
)  # fmt: skip
