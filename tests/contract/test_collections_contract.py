"""What `rest.Rest` promises, asked of the fake and of real clouds alike: the rules of Neutron that the kinds count on."""

import pytest

from os_migrate.errors import CloudError, NotFound
from os_migrate.resources.neutron import neutron
from os_migrate.rest import Collection, Json, Service
from tests.contract.conftest import Place

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

NETWORKS, SUBNETS, ROUTERS, PORTS = (neutron(many) for many in ("networks", "subnets", "routers", "ports"))
GROUPS, RULES = neutron("security_groups"), neutron("security_group_rules")
NOBODY = "00000000-0000-4000-8000-000000000000"


class Workshop:
    """Makes things, and deletes them afterwards."""

    def __init__(self, place: Place) -> None:
        self.rest = place.cloud
        self.place = place

    def make(self, collection: Collection, **body: object) -> Json:
        body.setdefault("name", self.place.name(collection.one))
        thing = self.rest.create_in(collection, body)
        self.place.cleanup.callback(self.rest.delete_from, collection, thing["id"])
        return thing

    def subnet(self, cidr: str = "10.77.0.0/24", **body: object) -> Json:
        network = self.make(NETWORKS)
        return self.make(SUBNETS, network_id=network["id"], ip_version=4, cidr=cidr, **body)

    def connect(self, router: Json, **interface: str) -> Json:
        answer = self.rest.act_on(ROUTERS, router["id"], "add_router_interface", interface)
        self.place.cleanup.callback(
            self.rest.act_on, ROUTERS, router["id"], "remove_router_interface", {"port_id": answer["port_id"]}
        )
        return answer

    def one(self, collection: Collection, thing: Json) -> Json:
        (found,) = self.rest.list_of(collection, {"id": thing["id"]})
        return found


@pytest.fixture
def shop(place: Place) -> Workshop:
    return Workshop(place)


def test_the_scope_is_the_project(shop):
    scope = shop.rest.scope()
    assert scope.project_id == shop.rest.project_id()
    assert scope.project_name
    assert scope.domain_name


def test_what_is_made_is_listed_as_it_was_asked_for(shop):
    network = shop.make(NETWORKS, description="a description", mtu=1300)
    found = shop.one(NETWORKS, network)
    assert (found["name"], found["description"], found["mtu"]) == (network["name"], "a description", 1300)
    assert found["project_id"] == shop.rest.project_id()
    assert found["shared"] is False
    assert found["router:external"] is False


def test_an_update_changes_what_is_given_and_nothing_else(shop):
    network = shop.make(NETWORKS, description="before", mtu=1300)
    answer = shop.rest.update_in(NETWORKS, network["id"], {"description": "after"})
    for found in (answer, shop.one(NETWORKS, network)):
        assert (found["description"], found["mtu"], found["name"]) == ("after", 1300, network["name"])


def test_an_update_of_what_is_not_there_is_not_found(shop):
    with pytest.raises(NotFound):
        shop.rest.update_in(NETWORKS, NOBODY, {"description": ""})


def test_what_can_only_be_given_on_create_is_refused_later(shop):
    subnet = shop.subnet()
    with pytest.raises(CloudError):
        shop.rest.update_in(SUBNETS, subnet["id"], {"cidr": "10.78.0.0/24"})
    assert shop.one(SUBNETS, subnet)["cidr"] == "10.77.0.0/24"


def test_tags_are_replaced_by_a_call_of_their_own(shop):
    for thing, collection in ((shop.make(NETWORKS), NETWORKS), (shop.make(GROUPS), GROUPS)):
        shop.rest.act_on(collection, thing["id"], "tags", {"tags": ["b", "a"]})
        shop.rest.act_on(collection, thing["id"], "tags", {"tags": ["c", "b"]})
        assert sorted(shop.one(collection, thing)["tags"]) == ["b", "c"]


def test_a_subnet_without_a_gateway_has_none(shop):
    assert shop.one(SUBNETS, shop.subnet(gateway_ip=None))["gateway_ip"] is None
    assert shop.one(SUBNETS, shop.subnet())["gateway_ip"] == "10.77.0.1"


def test_a_deletion_of_what_is_not_there_is_fine(shop):
    shop.rest.delete_from(NETWORKS, NOBODY)


def test_a_collection_that_the_service_does_not_have_is_empty(shop):
    assert shop.rest.list_of(Collection(Service.NETWORK, "/no-such-things", "no_such_things", "no_such_thing")) == []


def test_an_administrators_field_is_refused(shop):
    with pytest.raises(CloudError):
        shop.make(NETWORKS, shared=True)


# Routers ----------------------------------------------------------------------------------------------------------------


def test_routes_are_refused_until_their_next_hop_is_connected(shop):
    router, subnet = shop.make(ROUTERS), shop.subnet()
    routes = [{"destination": "10.99.0.0/24", "nexthop": "10.77.0.9"}]
    with pytest.raises(CloudError):
        shop.rest.update_in(ROUTERS, router["id"], {"routes": routes})
    shop.connect(router, subnet_id=subnet["id"])
    shop.rest.update_in(ROUTERS, router["id"], {"routes": routes})
    shop.place.cleanup.callback(shop.rest.update_in, ROUTERS, router["id"], {"routes": []})
    assert shop.one(ROUTERS, router)["routes"] == routes


def test_an_interface_by_subnet_has_the_gateways_address(shop):
    router, subnet = shop.make(ROUTERS), shop.subnet()
    answer = shop.connect(router, subnet_id=subnet["id"])
    (port,) = shop.rest.list_of(PORTS, {"id": answer["port_id"]})
    assert port["device_id"] == router["id"]
    assert port["device_owner"].startswith("network:")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.77.0.1"}]


def test_an_interface_by_port_has_the_ports_address(shop):
    router, subnet = shop.make(ROUTERS), shop.subnet(gateway_ip=None)
    fixed = [{"subnet_id": subnet["id"], "ip_address": "10.77.0.40"}]
    port = shop.make(PORTS, network_id=subnet["network_id"], fixed_ips=fixed, security_groups=[])
    assert shop.connect(router, port_id=port["id"])["port_id"] == port["id"]
    assert shop.one(PORTS, port)["device_id"] == router["id"]
    assert shop.one(PORTS, port)["fixed_ips"] == fixed


def test_a_second_interface_to_a_subnet_is_refused(shop):
    router, subnet = shop.make(ROUTERS), shop.subnet()
    shop.connect(router, subnet_id=subnet["id"])
    with pytest.raises(CloudError):
        shop.rest.act_on(ROUTERS, router["id"], "add_router_interface", {"subnet_id": subnet["id"]})


def test_a_router_gets_an_address_outside_and_loses_it_with_its_gateway(shop):
    router = shop.make(ROUTERS, external_gateway_info={"network_id": shop.place.external_id})
    gateway = shop.one(ROUTERS, router)["external_gateway_info"]
    assert gateway["network_id"] == shop.place.external_id
    assert gateway["enable_snat"] is True
    assert gateway["external_fixed_ips"]
    shop.rest.update_in(ROUTERS, router["id"], {"external_gateway_info": None})
    assert not shop.one(ROUTERS, router)["external_gateway_info"]


# Security groups --------------------------------------------------------------------------------------------------------


def test_a_new_group_lets_everything_out_until_its_rules_are_deleted(shop):
    group = shop.make(GROUPS)
    rules = shop.rest.list_of(RULES, {"security_group_id": group["id"]})
    assert sorted((r["direction"], r["ethertype"], r["protocol"]) for r in rules) == [
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
    ]
    assert {r["id"] for r in group["security_group_rules"]} == {r["id"] for r in rules}
    for rule in rules:
        shop.rest.delete_from(RULES, rule["id"])
    assert shop.rest.list_of(RULES, {"security_group_id": group["id"]}) == []


def test_a_rule_is_refused_twice_whatever_it_is_called(shop):
    group = shop.make(GROUPS)
    ping = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv6"}
    rule = shop.rest.create_in(RULES, {**ping, "protocol": "icmpv6"})
    assert rule["protocol"] == "ipv6-icmp"
    with pytest.raises(CloudError):
        shop.rest.create_in(RULES, {**ping, "protocol": "ipv6-icmp", "description": "another"})


def test_every_project_has_a_group_named_default(shop):
    groups = [g for g in shop.rest.list_of(GROUPS, {"project_id": shop.rest.project_id()}) if g["name"] == "default"]
    assert len(groups) == 1
