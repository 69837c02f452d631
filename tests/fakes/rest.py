"""The fake's collections, as Neutron's REST API has them: what it takes, what it makes by itself, what it refuses.

The networks, subnets, groups and ports of the typed fakes are the same ones: what either side makes, both show.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from ipaddress import ip_address, ip_network

from os_migrate.model import FixedIp, Named, Network, NetworkId, Port, PortId, PortSpec, Subnet, SubnetId
from os_migrate.rest import Collection, Json, Scope
from tests.fakes.neutron import FakeNeutron

NETWORK = {
    "description": "", "availability_zone_hints": [], "availability_zones": ["nova"], "dns_domain": "", "admin_state_up": True,
    "port_security_enabled": True, "shared": False, "mtu": 1442, "status": "ACTIVE", "tags": [], "subnets": [], "is_default": False,
    "router:external": False, "qos_policy_id": None, "vlan_transparent": None, "revision_number": 1,
}  # fmt: skip
SUBNET = {
    "description": "", "allocation_pools": None, "gateway_ip": "", "dns_nameservers": [], "host_routes": [], "enable_dhcp": True,
    "ipv6_address_mode": None, "ipv6_ra_mode": None, "service_types": [], "segment_id": None, "subnetpool_id": None, "tags": [],
    "ip_version": 4, "revision_number": 1,
}  # fmt: skip
ROUTER = {
    "description": "", "availability_zone_hints": [], "availability_zones": ["nova"], "external_gateway_info": None, "flavor_id": None,
    "admin_state_up": True, "routes": [], "status": "ACTIVE", "tags": [], "revision_number": 1,
}  # fmt: skip
GROUP = {"description": "", "stateful": True, "tags": [], "revision_number": 1}
RULE = {
    "description": "", "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None, "remote_ip_prefix": None,
    "remote_group_id": None, "remote_address_group_id": None, "revision_number": 0,
}  # fmt: skip
DEFAULTS = {
    "networks": NETWORK,
    "subnets": SUBNET,
    "routers": ROUTER,
    "security_groups": GROUP,
    "security_group_rules": RULE,
    "ports": {"name": "", "security_groups": [], "fixed_ips": [], "device_owner": "", "device_id": ""},
}
REQUIRED = {"name", "network_id", "cidr", "security_group_id", "direction"}
FIXED = {
    "networks": {"availability_zone_hints", "vlan_transparent", "project_id"},
    "subnets": {"network_id", "ip_version", "cidr", "ipv6_address_mode", "ipv6_ra_mode", "subnetpool_id", "project_id"},
    "routers": {"availability_zone_hints", "flavor_id", "project_id"},
    "security_groups": {"project_id"},
    "security_group_rules": set(RULE) | {"security_group_id", "direction"},
}
"""What the API takes on create only."""

FOR_ADMINS = {"shared", "router:external", "is_default", "provider:network_type", "distributed", "ha"}


def _sent(body: Json) -> Json:
    """Return what arrives of a body: JSON."""
    return json.loads(json.dumps(body))


class FakeRest(FakeNeutron):
    """The part of `world.Cloud` that is `rest.Rest`."""

    @property
    def _own(self) -> str:
        return f"project-{self._name}"

    def scope(self) -> Scope:
        return Scope(self._own, f"name of {self._own}", "Default", "default", f"user-{self._name}")

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        with self._reads(f"list {collection.many}"):
            things = self._shelf(collection.many).values()
            return [deepcopy(t) for t in things if all(t.get(key) == value for key, value in (query or {}).items())]

    def create_in(self, collection: Collection, body: Json) -> Json:
        with self._does(f"create {collection.one}"):
            body = _sent(body)
            self._refuse_for_admins(collection, body)
            thing = {**DEFAULTS.get(collection.many, {}), **body}
            thing |= {"id": self._new_id(collection.one), "project_id": self._own}
            thing |= {"created_at": f"{self.clock.now()}", "updated_at": f"{self.clock.now()}"}
            if unknown := set(body) - set(DEFAULTS[collection.many]) - REQUIRED:
                raise self._refuse(f"unrecognized attribute(s) {sorted(unknown)}")
            getattr(self, f"_made_{collection.one}")(thing)
            self._shelf(collection.many)[thing["id"]] = thing
            return deepcopy(thing)

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        with self._does(f"update {collection.one}"):
            body = _sent(body)
            thing = self._get(self._shelf(collection.many), thing_id, collection.one)
            if fixed := set(body) & (FIXED.get(collection.many, set()) | {"tags", "id"}):
                raise self._refuse(f"cannot update read-only attribute {sorted(fixed)}")
            self._refuse_for_admins(collection, body)
            if "routes" in body:
                self._refuse_unconnected(thing, body["routes"])
            if "external_gateway_info" in body:
                body = {**body, "external_gateway_info": self._gateway(body["external_gateway_info"])}
            thing.update(body)
            return deepcopy(thing)

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        with self._does(f"{action} {collection.one}"):
            body = _sent(body)
            thing = self._get(self._shelf(collection.many), thing_id, collection.one)
            if action == "tags":
                thing["tags"] = sorted(body["tags"])
                return {"tags": thing["tags"]}
            return getattr(self, f"_act_{action}")(thing, body)

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        with self._does(f"delete {collection.one}"):
            self._shelf(collection.many).pop(thing_id, None)
            for typed in (self._networks, self._subnets, self._groups):
                typed[:] = [thing for thing in typed if thing.id != thing_id]
            if collection.many == "ports":
                self._lose_port(PortId(thing_id))
            if collection.many == "security_groups":
                rules = self._shelf("security_group_rules")
                for rule in [r for r in rules.values() if r["security_group_id"] == thing_id]:
                    del rules[rule["id"]]
            for group in self._shelf("security_groups").values():
                group["security_group_rules"] = [r for r in group["security_group_rules"] if r["id"] != thing_id]

    # Inside ----------------------------------------------------------------------------------------------------------
    def _shelf(self, many: str) -> dict[str, Json]:
        """Return the things of a collection: those that the typed fakes know, and what else was said of them."""
        shelf = self._shelves.setdefault(many, {})
        if many == "ports":
            return {port.id: self._port(port) for port, _ in self._ports.values()}
        typed = {"networks": self._networks, "subnets": self._subnets, "security_groups": self._groups}.get(many)
        for thing in typed or ():
            if thing.id not in shelf:
                raw = {**DEFAULTS[many], "id": thing.id, "name": thing.name, "project_id": thing.project_id}
                if many == "security_groups":
                    raw["security_group_rules"] = []
                if isinstance(thing, Network):
                    raw["router:external"] = thing.is_external
                if isinstance(thing, Subnet):
                    raw |= {"network_id": thing.network_id, "cidr": thing.cidr}
                    self._furnish_subnet(raw)
                shelf[thing.id] = raw
        return shelf

    def _refuse_for_admins(self, collection: Collection, body: Json) -> None:
        default = DEFAULTS.get(collection.many, {})
        if asked := [key for key in sorted(FOR_ADMINS & set(body)) if body[key] != default.get(key)]:
            raise self._refuse(f"rule:create_{collection.one}:{asked[0]} is disallowed by policy")

    def _made_network(self, network: Json) -> None:
        self._networks.append(Network(network["id"], network["name"], self._own))

    def _made_subnet(self, subnet: Json) -> None:
        self._get(self._shelf("networks"), subnet["network_id"], "network")
        for other in self._shelf("subnets").values():
            same = other["network_id"] == subnet["network_id"]
            if same and ip_network(other["cidr"]).overlaps(ip_network(subnet["cidr"])):
                raise self._refuse(f"{subnet['cidr']} overlaps with another subnet")
        self._furnish_subnet(subnet)
        network_id = NetworkId(subnet["network_id"])
        self._subnets.append(Subnet(subnet["id"], subnet.get("name", ""), self._own, network_id, subnet["cidr"]))

    @staticmethod
    def _furnish_subnet(subnet: Json) -> None:
        """Choose what Neutron chooses: the gateway, and the pools around it."""
        network = ip_network(subnet["cidr"])
        if subnet["gateway_ip"] == "":
            subnet["gateway_ip"] = str(network[1])
        if subnet["allocation_pools"] is None:
            first = 2 if subnet["gateway_ip"] == str(network[1]) else 1
            subnet["allocation_pools"] = [{"start": str(network[first]), "end": str(network[-2])}]

    def _gateway(self, gateway: Json | None) -> Json | None:
        """Give the router an address in the external network."""
        if not gateway:
            return None
        network = self._get(self._shelf("networks"), gateway["network_id"], "network")
        if not network["router:external"]:
            raise self._refuse(f"network {network['id']} is not external")
        (subnet, *_) = [s for s in self._shelf("subnets").values() if s["network_id"] == network["id"]]
        fixed = [
            {"subnet_id": subnet["id"], "ip_address": f"{ip_network(subnet['cidr'])[int(next(self._numbers)) % 200]}"}
        ]
        return {"enable_snat": True, "external_fixed_ips": fixed, **gateway}

    def _made_router(self, router: Json) -> None:
        if router["routes"]:
            raise self._refuse("attribute 'routes' not allowed in POST")
        router["external_gateway_info"] = self._gateway(router["external_gateway_info"])

    def _refuse_unconnected(self, router: Json, routes: Sequence[Json]) -> None:
        subnets = {s["id"]: ip_network(s["cidr"]) for s in self._shelf("subnets").values()}
        ports = [p for p, _ in self._ports.values() if p.device_id == router["id"]]
        connected = [subnets[ip.subnet_id] for port in ports for ip in port.fixed_ips]
        for route in routes:
            if not any(ip_address(route["nexthop"]) in network for network in connected):
                raise self._refuse("Invalid format for routes: the nexthop is not connected with router")

    def _port(self, port: Port) -> Json:
        fixed = [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips]
        return {
            "id": port.id, "name": port.name, "network_id": port.network_id, "device_id": port.device_id, "fixed_ips": fixed,
            "device_owner": port.device_owner, "project_id": self._own, "security_groups": list(port.security_group_ids),
        }  # fmt: skip

    def _made_port(self, port: Json) -> None:
        fixed = tuple(FixedIp(SubnetId(ip["subnet_id"]), ip["ip_address"]) for ip in port["fixed_ips"])
        port["id"] = self._make_port(PortSpec(NetworkId(port["network_id"]), fixed)).id

    def _act_add_router_interface(self, router: Json, body: Json) -> Json:
        if "subnet_id" in body:
            subnet = self._get(self._shelf("subnets"), body["subnet_id"], "subnet")
            if not subnet["gateway_ip"]:
                raise self._refuse(f"subnet {subnet['id']} must have a gateway IP")
            fixed = (FixedIp(SubnetId(subnet["id"]), subnet["gateway_ip"]),)
            port = self._make_port(PortSpec(NetworkId(subnet["network_id"]), fixed))
        else:
            port, _ = self._get(self._ports, body["port_id"], "port")
            if port.device_id:
                raise self._refuse(f"port {port.id} is in use")
        taken = {ip.subnet_id for p, _ in self._ports.values() if p.device_id == router["id"] for ip in p.fixed_ips}
        if taken & {ip.subnet_id for ip in port.fixed_ips}:
            raise self._refuse("router already has a port on the subnet")
        self._set_port(port.id, device_id=router["id"], device_owner="network:router_interface")
        return {"id": router["id"], "port_id": port.id, "subnet_ids": [ip.subnet_id for ip in port.fixed_ips]}

    def _act_remove_router_interface(self, router: Json, body: Json) -> Json:
        self._lose_port(body["port_id"])
        return {"id": router["id"], "port_id": body["port_id"]}

    def _made_security_group(self, group: Json) -> None:
        """Make a group with the rules that let everything out."""
        if all(other.id != group["id"] for other in self._groups):
            self._groups.append(Named(group["id"], group["name"], self._own))
        group["security_group_rules"] = []
        self._shelf("security_groups")[group["id"]] = group
        for version in ("IPv4", "IPv6"):
            self._add_rule({"security_group_id": group["id"], "direction": "egress", "ethertype": version})

    def _add_rule(self, said: Json) -> Json:
        rule = {**RULE, **said, "id": self._new_id("rule"), "project_id": self._own}
        self._shelf("security_group_rules")[rule["id"]] = rule
        self._shelf("security_groups")[rule["security_group_id"]]["security_group_rules"].append(rule)
        return rule

    def _made_security_group_rule(self, rule: Json) -> None:
        group = self._get(self._shelf("security_groups"), rule["security_group_id"], "security group")
        if rule["ethertype"] == "IPv6" and rule["protocol"] in {"icmp", "icmpv6"}:
            rule["protocol"] = "ipv6-icmp"
        told = set(RULE) | {"direction"}
        told -= {"description", "revision_number"}
        for other in group["security_group_rules"]:
            if all(other[key] == rule[key] for key in told):
                raise self._refuse(f"security group rule already exists: {other['id']}")
        group["security_group_rules"].append(rule)

    def make_default_group(self) -> None:
        """Make what Neutron makes when a project is first looked at."""
        group = {**GROUP, "id": self._new_id("group"), "name": "default", "description": "Default security group"}
        self._made_security_group(group | {"project_id": self._own})
        for version in ("IPv4", "IPv6"):
            rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": version}
            self._add_rule({**rule, "remote_group_id": group["id"]})
