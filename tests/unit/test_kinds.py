"""The tables: how fields are read, written and compared, kind by kind."""

from dataclasses import replace

import pytest

from os_migrate.errors import PlanError
from os_migrate.resources.catalog import KINDS, REFERRED, choose_kinds
from os_migrate.resources.compare import Action, Verb, by_mark, decide, shown
from os_migrate.resources.exporting import Wish, export
from os_migrate.resources.files import dump_kind, parse_kind
from os_migrate.resources.index import Index
from os_migrate.resources.kind import Kind, Resource
from os_migrate.resources.networks import NETWORKS
from os_migrate.resources.router_interfaces import ROUTER_INTERFACES
from os_migrate.resources.routers import ROUTERS
from os_migrate.resources.security_group_rules import SECURITY_GROUP_RULES
from os_migrate.resources.security_groups import SECURITY_GROUPS
from os_migrate.resources.shapes import CIDR, FLAG, NUMBER, TEXT, ListOf, Part, Record, RefTo, Texts
from os_migrate.resources.subnets import SUBNETS
from os_migrate.settings import EVERYTHING
from os_migrate.workload import Ref
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock

OURS = {"project_name": "%auth%", "domain_name": "%auth%"}
TABLES = {kind.name: kind for kind in KINDS}


@pytest.fixture
def cloud() -> FakeCloud:
    cloud = FakeCloud("there", FakeClock())
    cloud.make_default_group()
    return cloud


def index(cloud: FakeCloud, **coming: set[str]) -> Index:
    return Index(cloud, KINDS, REFERRED, coming=coming)


def network(**params: object) -> Resource:
    return Resource(NETWORKS, {"name": "shop", **params}, {"id": "n1"}, {}, "networks.yml:3")


def decided(resource: Resource, cloud: FakeCloud, imported: frozenset[str] = frozenset()) -> Action | list:
    there = index(cloud)
    known = by_mark(resource.kind, there.things(resource.kind.name), cloud.project_id())
    return decide(resource, known, there, imported)


# The tables themselves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_can_be_told_apart_and_refers_only_backwards_or_to_itself(kind: Kind):
    assert [f.name for f in kind.fields if f.identifies]
    assert len({f.name for f in kind.fields}) == len(kind.fields)
    before = [k.name for k in KINDS[: KINDS.index(kind) + 1]]
    referred = [f.shape.kind for f in kind.fields if isinstance(f.shape, RefTo)]
    assert [name for name in referred if name in TABLES and name not in before] == []
    assert [name for name in referred if name not in TABLES and name not in REFERRED] == []
    assert [f.after for f in kind.fields if f.after and f.after not in TABLES] == []


def test_all_is_what_needs_no_administrator():
    assert choose_kinds(["all"]) == tuple(kind for kind in KINDS if not kind.for_admin)
    assert choose_kinds(["subnets", "networks"]) == (NETWORKS, SUBNETS)


# Shapes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "one", "other"),
    [
        (CIDR, "2001:DB8:0::/64", "2001:db8::/64"),
        (CIDR, "192.0.2.7/24", "192.0.2.0/24"),
        (ListOf(TEXT), ["a", "b"], ["b", "a"]),
        (Texts(), {"a": "1", "b": "2"}, {"b": "2", "a": "1"}),
        (Record((Part("a", TEXT), Part("b", TEXT, default="x"))), {"a": "1"}, {"a": "1", "b": "x"}),
        (ListOf(Record((Part("a", TEXT),))), [{"a": "1"}, {"a": "2"}], [{"a": "2", "more": 1}, {"a": "1"}]),
    ],
)
def test_what_means_the_same_is_the_same(shape, one, other):
    assert shape.agrees(one, other)
    assert shape.canon(one) == shape.canon(other)


@pytest.mark.parametrize(
    ("shape", "want", "have"),
    [
        (ListOf(TEXT, ordered=True), ["a", "b"], ["b", "a"]),
        (ListOf(TEXT), ["a"], ["a", "a"]),
        (ListOf(TEXT), ["a", "b"], ["a", "a"]),
        (Record((Part("a", TEXT), Part("b", FLAG, default=True))), {"a": "1"}, {"a": "1", "b": False}),
        (Record((Part("a", TEXT), Part("b", FLAG))), {"a": "1", "b": True}, {"a": "1"}),
    ],
)
def test_what_means_something_else_is_not(shape, want, have):
    assert not shape.agrees(want, have)


def test_what_a_record_leaves_unsaid_is_the_clouds_choice():
    shape = Record((Part("a", TEXT), Part("chosen", TEXT)))
    assert shape.agrees({"a": "1"}, {"a": "1", "chosen": "by the cloud"})


@pytest.mark.parametrize(
    ("shape", "value", "what"),
    [
        (TEXT, 12, "must be text, is a number: put it in quotes"),
        (NUMBER, True, "must be a whole number, is true or false"),
        (FLAG, "yes", "must be true or false, is text"),
        (CIDR, "192.0.2.300/24", "must be a network"),
        (ListOf(TEXT), "a", "must be a list, is text"),
        (RefTo("networks"), "net", "must be a reference, is text"),
        (RefTo("networks"), {"name": None}, "is missing"),
        (RefTo("networks"), {"name": "a", "projekt": "b"}, "unknown key"),
        (Record((Part("a", TEXT, required=True),)), {}, "is missing"),
    ],
)
def test_a_wrong_value_is_a_fault(shape, value, what):
    (fault,) = shape.faults(value, ("x",))
    assert what in fault.what
    assert fault.path[0] == "x"
    assert fault.remedy


# References -------------------------------------------------------------------------------------------------------------


def test_a_reference_is_resolved_by_name_and_project(cloud):
    ours = cloud.add_network("shop", "192.0.2.0/24")
    theirs = cloud.add_network("shop", "198.51.100.0/24")
    cloud._networks[1] = replace(cloud._networks[1], project_id="others")
    there = index(cloud)
    assert there.id_of("networks", Ref("shop", "%auth%", "%auth%")) == ours.id
    assert there.id_of("networks", Ref("shop", cloud.scope().project_name, "Default")) == ours.id
    with pytest.raises(Exception, match="2 networks are called 'shop'") as caught:
        there.id_of("networks", Ref("shop"))
    assert ours.id in caught.value.remedy
    assert theirs.id in caught.value.remedy
    assert there.ref_to("networks", theirs.id) == Ref("shop")
    assert there.ref_to("networks", ours.id) == Ref("shop", "%auth%", "%auth%")


def test_a_reference_to_what_is_about_to_be_made_is_fine_until_it_is_not(cloud):
    assert index(cloud, networks={"shop"}).id_of("networks", Ref("shop", "%auth%")) == "new network shop"
    with pytest.raises(Exception, match="there is no network 'shop' in this project"):
        index(cloud).id_of("networks", Ref("shop", "%auth%"))


def test_each_collection_is_listed_once(cloud):
    there = index(cloud)
    for _ in range(3):
        there.things("networks")
        there.things("qos_policies")
    verbs = [call.verb for call in cloud.seam.hook.calls]
    assert (verbs.count("list networks"), verbs.count("list policies")) == (1, 1)


# Decisions --------------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_created(cloud):
    action = decided(network(), cloud)
    assert action.verb is Verb.CREATE


def test_what_the_file_does_not_say_stays(cloud):
    cloud.create_in(NETWORKS.collection, {"name": "shop", "mtu": 1300, "description": "kept"})
    for params in ({}, {"mtu": None, "description": None}):
        assert decided(network(**params), cloud).verb is Verb.SAME


def test_what_differs_is_updated_and_shown(cloud):
    cloud.create_in(NETWORKS.collection, {"name": "shop", "mtu": 1300})
    action = decided(network(mtu=1400, is_admin_state_up=True), cloud)
    assert action.verb is Verb.UPDATE
    assert [str(change) for change in action.changes] == ["mtu: 1300 -> 1400"]


def test_what_the_cloud_does_not_show_is_not_compared(cloud):
    cloud.create_in(NETWORKS.collection, {"name": "shop"})
    assert decided(network(provider_network_type="vlan"), cloud).verb is Verb.SAME


def test_a_create_only_field_that_differs_is_a_problem(cloud):
    cloud.create_in(NETWORKS.collection, {"name": "shop", "availability_zone_hints": ["a"]})
    (problem,) = decided(network(availability_zone_hints=["b"]), cloud)
    assert problem.where == "networks.yml:3"
    assert "availability_zone_hints: ['a'] -> ['b']" in problem.what
    assert "delete the network in the destination" in problem.remedy


def test_what_is_there_twice_is_refused_with_the_candidates(cloud):
    ids = [cloud.create_in(NETWORKS.collection, {"name": "shop"})["id"] for _ in range(2)]
    (problem,) = decided(network(), cloud)
    assert all(network_id in problem.what for network_id in ids)


def test_networks_of_others_are_not_taken_for_ours(cloud):
    cloud.add_network("shop", "192.0.2.0/24")
    cloud._networks[0] = replace(cloud._networks[0], project_id="others")
    assert decided(network(), cloud).verb is Verb.CREATE


def test_a_subnet_without_a_gateway_is_no_subnet_with_one(cloud):
    made = cloud.create_in(NETWORKS.collection, {"name": "shop"})
    cloud.create_in(
        SUBNETS.collection, {"name": "s", "network_id": made["id"], "cidr": "192.0.2.0/24", "ip_version": 4}
    )
    params = {"name": "s", "network_ref": {"name": "shop", **OURS}, "cidr": "192.0.2.0/24", "ip_version": 4}
    assert decided(Resource(SUBNETS, params, {}, {}), cloud).verb is Verb.SAME
    action = decided(Resource(SUBNETS, {**params, "gateway_ip": None}, {}, {}), cloud)
    assert [str(change) for change in action.changes] == ["gateway_ip: '192.0.2.1' -> null"]


def test_a_router_without_a_gateway_loses_the_one_it_has(cloud):
    public = cloud.add_network("public", "203.0.113.0/24", is_external=True)
    gateway = {"network_id": public.id}
    cloud.create_in(ROUTERS.collection, {"name": "r", "external_gateway_info": gateway})
    same = Resource(ROUTERS, {"name": "r", "external_gateway_refinfo": {"network_ref": {"name": "public"}}}, {}, {})
    assert decided(same, cloud).verb is Verb.SAME
    action = decided(Resource(ROUTERS, {"name": "r", "external_gateway_refinfo": None}, {}, {}), cloud)
    assert [change.field for change in action.changes] == ["external_gateway_refinfo"]


def test_a_gateway_is_exported_without_its_addresses_outside(cloud):
    public = cloud.add_network("public", "203.0.113.0/24", is_external=True)
    cloud.create_in(ROUTERS.collection, {"name": "r", "external_gateway_info": {"network_id": public.id}})
    (router,) = index(cloud).things("routers")
    params = ROUTERS.describe(router, index(cloud)).params
    assert params["external_gateway_refinfo"] == {"network_ref": {"name": "public", **OURS}}
    router["external_gateway_info"]["enable_snat"] = False
    assert ROUTERS.describe(router, index(cloud)).params["external_gateway_refinfo"]["enable_snat"] is False


def test_an_interface_at_another_address_is_refused(cloud):
    made = cloud.create_in(NETWORKS.collection, {"name": "shop"})
    subnet = {"name": "s", "network_id": made["id"], "cidr": "192.0.2.0/24", "ip_version": 4}
    subnet = cloud.create_in(SUBNETS.collection, subnet)
    router = cloud.create_in(ROUTERS.collection, {"name": "r"})
    cloud.act_on(ROUTERS.collection, router["id"], "add_router_interface", {"subnet_id": subnet["id"]})
    params = {
        "device_ref": {"name": "r", **OURS},
        "network_ref": {"name": "shop", **OURS},
        "fixed_ips_refs": [{"ip_address": "192.0.2.9", "subnet_ref": {"name": "s", **OURS}}],
    }
    (problem,) = decided(Resource(ROUTER_INTERFACES, params, {}, {}), cloud)
    assert "router interface r to s is there already" in problem.what
    params["fixed_ips_refs"] = [{"subnet_ref": {"name": "s", **OURS}}]
    assert decided(Resource(ROUTER_INTERFACES, params, {}, {}), cloud).verb is Verb.SAME


def rule(**params: object) -> Resource:
    known = {"security_group_ref": {"name": "default", **OURS}, "direction": "ingress", "ether_type": "IPv4"}
    return Resource(SECURITY_GROUP_RULES, {**known, **params}, {}, {})


@pytest.mark.parametrize(
    ("there", "params"),
    [
        ({"protocol": "tcp"}, {"protocol": "6"}),
        ({"protocol": "6"}, {"protocol": "TCP"}),
        ({"protocol": "ipv6-icmp", "ethertype": "IPv6"}, {"protocol": "icmp", "ether_type": "IPv6"}),
        ({"protocol": "58", "ethertype": "IPv6"}, {"protocol": "1", "ether_type": "IPv6"}),
        ({"remote_ip_prefix": None}, {"remote_ip_prefix": "0.0.0.0/0"}),
        ({"remote_ip_prefix": "::/0", "ethertype": "IPv6"}, {"ether_type": "IPv6"}),
        ({"remote_ip_prefix": "192.0.2.0/24"}, {"remote_ip_prefix": "192.0.2.1/24"}),
        ({"description": "one"}, {"description": "another"}),
    ],
)
def test_rules_that_neutron_takes_for_the_same_are_the_same(cloud, there, params):
    (group,) = cloud.list_of(SECURITY_GROUPS.collection)
    cloud.create_in(
        SECURITY_GROUP_RULES.collection, {"security_group_id": group["id"], "direction": "ingress", **there}
    )
    assert decided(rule(**params), cloud).verb is Verb.SAME


@pytest.mark.parametrize(
    "params",
    [
        {"protocol": "udp"},
        {"protocol": "tcp", "port_range_min": 1, "port_range_max": 1},
        {"protocol": "tcp", "direction": "egress"},
        {"protocol": "tcp", "ether_type": "IPv6"},
        {"protocol": "tcp", "remote_ip_prefix": "192.0.2.0/24"},
        {"protocol": "tcp", "remote_group_ref": {"name": "default", **OURS}},
    ],
)
def test_another_rule_is_created(cloud, params):
    (group,) = cloud.list_of(SECURITY_GROUPS.collection)
    body = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    cloud.create_in(SECURITY_GROUP_RULES.collection, body)
    assert decided(rule(**params), cloud).verb is Verb.CREATE


# Exports ----------------------------------------------------------------------------------------------------------------


def names(cloud: FakeCloud, kind: Kind, **wish: object) -> list[str]:
    defaults = {"filters": {k.name: EVERYTHING for k in KINDS}, "infrastructure": {}}
    (found,) = export(cloud, [kind], KINDS, Wish(**(defaults | wish)))
    return [resource.name for resource in found.resources]


def test_an_export_leaves_out_what_is_not_the_projects(cloud):
    for name, owner in (("shared", "others"), ("mine", cloud.project_id()), ("HA network tenant 4711", "")):
        cloud.add_network(name, "192.0.2.0/24")
        cloud._networks[-1] = replace(cloud._networks[-1], project_id=owner)
    assert names(cloud, NETWORKS) == ["mine"]
    assert names(cloud, NETWORKS, whole_cloud=True) == ["mine", "shared"]


def test_an_export_leaves_out_what_was_made_for_the_conversion_hosts(cloud):
    for name in ("os_migrate_conv", "mine"):
        group = cloud.create_in(SECURITY_GROUPS.collection, {"name": name})
        into = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
        cloud.create_in(SECURITY_GROUP_RULES.collection, into)
    ours = {"security_groups": {"os_migrate_conv"}}
    assert names(cloud, SECURITY_GROUPS, infrastructure=ours) == ["default", "mine"]
    assert not [name for name in names(cloud, SECURITY_GROUP_RULES, infrastructure=ours) if "conv" in name]


def test_rules_and_interfaces_are_chosen_by_what_they_are_part_of(cloud):
    cloud.create_in(SECURITY_GROUPS.collection, {"name": "web"})
    told = names(cloud, SECURITY_GROUP_RULES, filters={"security_group_rules": ("web",)})
    assert told == ["web: egress IPv4", "web: egress IPv6"]


def test_an_overlays_own_numbers_are_not_exported_to_administrators(cloud):
    overlay = {"id": "n", "name": "n", "provider:network_type": "vxlan", "provider:physical_network": None}
    overlay["provider:segmentation_id"] = 77
    vlan = {**overlay, "provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    told = [NETWORKS.describe(thing, index(cloud)).params for thing in (overlay, vlan)]
    assert (told[0]["provider_network_type"], told[0]["provider_segmentation_id"]) == (None, None)
    assert (told[1]["provider_network_type"], told[1]["provider_segmentation_id"]) == ("vlan", 77)


# Files ------------------------------------------------------------------------------------------------------------------


def test_a_file_is_written_as_it_was_read():
    text = dump_kind(NETWORKS, [network(mtu=1400, tags=["a"])])
    (read,) = parse_kind(NETWORKS, text, "networks.yml")
    assert read == network(mtu=1400, tags=["a"])
    assert dump_kind(NETWORKS, [read]) == text


def test_all_that_is_wrong_with_a_file_is_told_at_once_with_its_line():
    text = """\
os_migrate_version: 1.0.5
resources:
- type: openstack.network.Network
  params:
    name: 12
    mtu: large
    portsecurity: true
  _migration_params: {boot: true}
- type: openstack.subnet.Subnet
"""
    with pytest.raises(PlanError) as caught:
        parse_kind(NETWORKS, text, "networks.yml")
    problems = [str(problem) for problem in caught.value.problems]
    assert [problem.split(": ")[0] for problem in problems] == [
        "networks.yml:7",
        "networks.yml:5",
        "networks.yml:6",
        "networks.yml:8",
        "networks.yml:9",
    ]
    assert "type must be openstack.network.Network" in problems[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (["a"], "['a']"),
        ({"name": "net", **OURS}, "net"),
        ({"start": "a", "end": 1}, "{start: 'a', end: 1}"),
    ],
)
def test_values_are_shown_to_be_read(value, text):
    assert shown(value) == text
