"""The interfaces of the project's routers: ports that belong to a router, one resource each."""

from collections.abc import Hashable, Mapping
from typing import Final

from os_migrate.resources.kind import Field, Kind, Write, identity, of_project
from os_migrate.resources.neutron import info, neutron
from os_migrate.resources.shapes import ADDRESS, ListOf, Part, Record, RefTo, Text
from os_migrate.rest import Collection, Json, Rest

OWNER: Final = "network:router_interface"
OWNERS: Final = (OWNER, "network:router_interface_distributed", "network:ha_router_replicated_interface")
"""The first is what every cloud makes its own of: a distributed router's interface, or a redundant one's."""

ROUTERS: Final = neutron("routers")
SUBNETS: Final = neutron("subnets")


def is_interface(port: Json) -> bool:
    """Say whether a port is a router's interface to an inner network."""
    return port.get("device_owner") in OWNERS


def of_any_router(port: Json) -> Json:
    """Return a port without what tells how its cloud makes routers."""
    return {**port, "device_owner": OWNER}


def subnets_of(fixed_ips: Hashable) -> Hashable:
    """Return the subnets that an interface connects: a router has one interface to a subnet."""
    assert isinstance(fixed_ips, tuple), "it is a list's"
    return tuple(sorted(repr(dict(fixed_ip).get("subnet_id")) for fixed_ip in fixed_ips))


def router_of(params: Mapping[str, object]) -> str:
    """Return the name of the interface's router."""
    return _name(params.get("device_ref"))


def label(params: Mapping[str, object]) -> str:
    """Return what people call an interface: its router, and where it leads."""
    fixed_ips = params.get("fixed_ips_refs")
    subnets = (
        [_name(ip.get("subnet_ref")) for ip in fixed_ips if isinstance(ip, dict)] if isinstance(fixed_ips, list) else []
    )
    return f"{router_of(params)} to {', '.join(sorted(subnets))}"


def _name(ref: object) -> str:
    return str(ref.get("name")) if isinstance(ref, dict) else ""


def connect(rest: Rest, ports: Collection, body: Json) -> Json:
    """Connect a router to subnets.

    With the subnet's gateway address that is one call. Any other address takes a port first; one with these addresses that belongs
    to nothing is that of a run that died here.
    """
    wanted = body["fixed_ips"]
    if len(wanted) == 1 and wanted[0].get("ip_address") in {None, _gateway(rest, wanted[0]["subnet_id"])}:
        interface = {"subnet_id": wanted[0]["subnet_id"]}
    else:
        free = [p for p in rest.list_of(ports, {"network_id": body["network_id"]}) if not p.get("device_id")]
        shape = FIXED_IPS.shape
        port = next((p for p in free if shape.agrees(wanted, p.get("fixed_ips"))), None)
        if port is None:
            new = {"network_id": body["network_id"], "fixed_ips": wanted, "security_groups": []}
            port = rest.create_in(ports, new)
        interface = {"port_id": port["id"]}
    answer = rest.act_on(ROUTERS, body["device_id"], "add_router_interface", interface)
    (port,) = rest.list_of(ports, {"id": answer["port_id"]})
    return port


def _gateway(rest: Rest, subnet_id: str) -> object:
    (subnet,) = rest.list_of(SUBNETS, {"id": subnet_id})
    return subnet.get("gateway_ip")


FIXED_IPS: Final = Field(
    "fixed_ips_refs",
    ListOf(Record((Part("ip_address", ADDRESS), Part("subnet_ref", RefTo("subnets"), api="subnet_id", required=True)))),
    api="fixed_ips",
    required=True,
    write=Write.CREATE,
    identifies=subnets_of,
)

ROUTER_INTERFACES: Final = Kind(
    name="router_interfaces",
    type="openstack.network.RouterInterface",
    word="router interface",
    collection=neutron("ports"),
    label=label,
    query=of_project,
    hidden=lambda port: not is_interface(port),
    shown=of_any_router,
    make=connect,
    filter="routers",
    filtered_by=router_of,
    fields=(
        Field("device_owner", Text(choices=OWNERS), write=Write.NEVER),
        Field("device_ref", RefTo("routers"), api="device_id", required=True, write=Write.CREATE, identifies=identity),
        FIXED_IPS,
        Field("network_ref", RefTo("networks"), api="network_id", required=True, write=Write.CREATE),
    ),
    info=info("id", "device_id", "network_id", "fixed_ips"),
)
