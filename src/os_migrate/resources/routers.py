"""Routers of the project, with their external gateway and extra routes; their interfaces are a kind of their own."""

from typing import Final

from os_migrate.resources.kind import Field, Kind, Write
from os_migrate.resources.neutron import DESCRIPTION, NAME, ROUTE, TAGS, UP, ZONE_HINTS, info, neutron
from os_migrate.resources.shapes import ADDRESS, FLAG, ListOf, Part, Record, RefTo
from os_migrate.rest import Json

GATEWAY: Final = Record((
    Part("network_ref", RefTo("networks"), api="network_id", required=True),
    Part("enable_snat", FLAG, default=True),
    Part(
        "external_fixed_ips",
        ListOf(Record((Part("ip_address", ADDRESS), Part("subnet_ref", RefTo("subnets"), api="subnet_id")))),
    ),
))  # fmt: skip


def without_outer_addresses(router: Json) -> Json:
    """Leave out the router's own addresses in the external network: the other cloud has others. A file may ask for some."""
    gateway = router.get("external_gateway_info")
    if not gateway:
        return {**router, "external_gateway_info": None} if "external_gateway_info" in router else router
    return {**router, "external_gateway_info": {key: v for key, v in gateway.items() if key != "external_fixed_ips"}}


ROUTERS: Final = Kind(
    name="routers",
    type="openstack.network.Router",
    word="router",
    collection=neutron("routers"),
    exported_as=without_outer_addresses,
    fields=(
        NAME,
        DESCRIPTION,
        ZONE_HINTS,
        Field("external_gateway_refinfo", GATEWAY, api="external_gateway_info", default=None, null_says=True),
        Field("flavor_ref", RefTo("network_flavors"), api="flavor_id", write=Write.CREATE),
        UP,
        Field("is_distributed", FLAG, api="distributed", default=False),
        Field("is_ha", FLAG, api="ha", default=False),
        # A next hop has to be in a network of the router's.
        Field("routes", ListOf(ROUTE), default=[], after="router_interfaces"),
        TAGS,
    ),
    info=info(
        "id", "project_id", "status", "availability_zones", "created_at", "updated_at", "revision_number", "flavor_id",
        "external_gateway_info", "routes",
    ),
)  # fmt: skip
