"""The fake's collections, as Neutron's REST API has them: what it takes, what it makes by itself, what it refuses.

The networks, subnets, groups and ports of the typed fakes are the same ones: what either side makes, both show.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

from os_migrate.model import Network, NetworkId, Subnet
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
DEFAULTS = {"networks": NETWORK, "subnets": SUBNET}
FIXED = {
    "networks": {"availability_zone_hints", "vlan_transparent", "project_id"},
    "subnets": {"network_id", "ip_version", "cidr", "ipv6_address_mode", "ipv6_ra_mode", "subnetpool_id", "project_id"},
}
"""What the API takes on create only."""

FOR_ADMINS = {"shared", "router:external", "is_default", "provider:network_type", "distributed", "ha"}


class FakeRest(FakeNeutron):
    """The part of `world.Cloud` that is `rest.Rest`."""

    @property
    def _own(self) -> str:
        return f"project-{self._name}"

    def scope(self) -> Scope:
        return Scope(self._own, f"name of {self._own}", "Default")

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        with self._reads(f"list {collection.many}"):
            things = self._shelf(collection.many).values()
            return [dict(t) for t in things if all(t.get(key) == value for key, value in (query or {}).items())]

    def create_in(self, collection: Collection, body: Json) -> Json:
        with self._does(f"create {collection.one}"):
            self._refuse_for_admins(collection, body)
            thing = {**DEFAULTS.get(collection.many, {}), **body}
            thing |= {"id": self._new_id(collection.one), "project_id": self._own}
            thing |= {"created_at": f"{self.clock.now()}", "updated_at": f"{self.clock.now()}"}
            if unknown := set(body) - set(DEFAULTS[collection.many]) - {"name", "network_id", "cidr"}:
                raise self._refuse(f"unrecognized attribute(s) {sorted(unknown)}")
            getattr(self, f"_made_{collection.one}")(thing)
            self._shelf(collection.many)[thing["id"]] = thing
            return dict(thing)

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        with self._does(f"update {collection.one}"):
            thing = self._get(self._shelf(collection.many), thing_id, collection.one)
            if fixed := set(body) & (FIXED.get(collection.many, set()) | {"tags", "id"}):
                raise self._refuse(f"cannot update read-only attribute {sorted(fixed)}")
            self._refuse_for_admins(collection, body)
            thing.update(body)
            return dict(thing)

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        with self._does(f"{action} {collection.one}"):
            thing = self._get(self._shelf(collection.many), thing_id, collection.one)
            if action == "tags":
                thing["tags"] = sorted(body["tags"])
                return {"tags": thing["tags"]}
            return getattr(self, f"_act_{action}")(thing, body)

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        with self._does(f"delete {collection.one}"):
            self._shelf(collection.many).pop(thing_id, None)

    # Inside ----------------------------------------------------------------------------------------------------------
    def _shelf(self, many: str) -> dict[str, Json]:
        """Return the things of a collection: those that the typed fakes know, and what else was said of them."""
        shelf = self._shelves.setdefault(many, {})
        typed = {"networks": self._networks, "subnets": self._subnets}.get(many)
        for thing in typed or ():
            if thing.id not in shelf:
                raw = {**DEFAULTS[many], "id": thing.id, "name": thing.name, "project_id": thing.project_id}
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
