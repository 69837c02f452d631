"""Networks of the project. External and shared networks of others stay where they are: references to them are kept."""

from typing import Final

from os_migrate.resources.kind import Field, Kind, Write
from os_migrate.resources.neutron import DESCRIPTION, NAME, TAGS, UP, ZONE_HINTS, info, neutron, without
from os_migrate.resources.shapes import ANYTHING, FLAG, NUMBER, TEXT, RefTo
from os_migrate.rest import Json

PROVIDER: Final = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


def without_overlay(network: Json) -> Json:
    """Leave out what an administrator is shown of a network whose type and id the cloud chose by itself.

    Only a network with a physical network was made for it; the numbers of an overlay are the other cloud's to choose.
    """
    if network.get("provider:physical_network"):
        return network
    return without(network, PROVIDER)


NETWORKS: Final = Kind(
    name="networks",
    type="openstack.network.Network",
    word="network",
    collection=neutron("networks"),
    shown=without_overlay,
    hidden=lambda network: str(network.get("name")).startswith("HA network tenant "),
    fields=(
        NAME,
        DESCRIPTION,
        ZONE_HINTS,
        Field("dns_domain", TEXT, default=""),
        UP,
        Field("is_default", FLAG, default=False),
        Field("is_port_security_enabled", FLAG, api="port_security_enabled", default=True),
        Field("is_router_external", FLAG, api="router:external", default=False),
        Field("is_shared", FLAG, api="shared", default=False),
        Field("is_vlan_transparent", FLAG, api="vlan_transparent", write=Write.CREATE),
        Field("mtu", NUMBER),
        Field("project_name", TEXT, write=Write.NEVER),
        Field("provider_network_type", TEXT, api="provider:network_type", write=Write.CREATE),
        Field("provider_physical_network", TEXT, api="provider:physical_network", write=Write.CREATE),
        Field("provider_segmentation_id", NUMBER, api="provider:segmentation_id", write=Write.CREATE),
        Field("qos_policy_ref", RefTo("qos_policies"), api="qos_policy_id"),
        Field("segments", ANYTHING, write=Write.NEVER),
        TAGS,
    ),
    info=info(
        "id", "project_id", "status", "availability_zones", "created_at", "updated_at", "revision_number", "qos_policy_id",
        subnet_ids="subnets",
    ),
)  # fmt: skip
