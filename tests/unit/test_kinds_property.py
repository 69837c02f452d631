"""Whatever a project has: it is exported, imported and exported there as the same, and a second import finds nothing to do."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from os_migrate.events import Events
from os_migrate.resources import catalog
from os_migrate.resources.compare import Verb
from os_migrate.resources.differing import differences
from os_migrate.resources.exporting import Wish, export
from os_migrate.resources.files import dump_kind, parse_kind
from os_migrate.resources.importing import carry_out, prepare
from os_migrate.resources.kind import Resource
from os_migrate.resources.neutron import neutron
from os_migrate.settings import EVERYTHING
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock

KINDS = [kind for kind in catalog.KINDS if not kind.for_admin]

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
tags = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
protocols = st.sampled_from([None, "tcp", "6", "udp", "icmp", "icmpv6", "112", "58"])
rules = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["ingress", "egress"]),
        "ethertype": st.sampled_from(["IPv4", "IPv6"]),
        "protocol": protocols,
        "port_range_min": st.sampled_from([None, 1, 8]),
        "description": st.sampled_from(["", "why"]),
        "remote": st.sampled_from([None, "net", "group"]),
    }
)
subnets = st.fixed_dictionaries(
    {
        "name": names,
        "enable_dhcp": st.booleans(),
        "gateway": st.booleans(),
        "dns_nameservers": st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), unique=True),
        "tags": tags,
    }
)
projects = st.fixed_dictionaries(
    {
        "networks": st.dictionaries(names, st.lists(subnets, max_size=2), max_size=3),
        "mtu": st.sampled_from([1280, 1442]),
        "groups": st.dictionaries(
            names.filter(lambda name: name != "default"), st.lists(rules, max_size=3), max_size=3
        ),
    }
)


def build(cloud: FakeCloud, project) -> None:
    """Make a project by the API; a name that is taken, or a rule that is there already, is passed over."""
    taken: set[str] = set()
    number = 0
    for network_name, its_subnets in project["networks"].items():
        body = {"name": network_name, "mtu": project["mtu"]}
        network = cloud.create_in(neutron("networks"), body)
        for subnet in its_subnets:
            if subnet["name"] in taken:
                continue
            taken.add(subnet["name"])
            number += 1
            body = {key: subnet[key] for key in ("name", "enable_dhcp", "dns_nameservers")}
            body |= {"network_id": network["id"], "ip_version": 4, "cidr": f"10.0.{number}.0/24"}
            body |= {} if subnet["gateway"] else {"gateway_ip": None}
            made = cloud.create_in(neutron("subnets"), body)
            cloud.act_on(neutron("subnets"), made["id"], "tags", {"tags": subnet["tags"]})
    for name, its_rules in project["groups"].items():
        group = cloud.create_in(neutron("security_groups"), {"name": name})
        seen: set[object] = {"there"}
        for rule in its_rules:
            body = {**rule, "security_group_id": group["id"]}
            body["port_range_max"] = body["port_range_min"]
            remote = body.pop("remote")
            body |= {"remote_group_id": group["id"]} if remote == "group" else {}
            net = "192.0.2.0/24" if rule["ethertype"] == "IPv4" else "2001:db8::/64"
            body |= {"remote_ip_prefix": net} if remote == "net" else {}
            if (mark := marked(rule)) not in seen:
                seen.add(mark)
                cloud.create_in(neutron("security_group_rules"), body)


def marked(rule) -> object:
    """Return what Neutron takes for the same rule; plain egress is there from the start."""
    protocol = {"6": "tcp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}.get(rule["protocol"], rule["protocol"])
    if rule["ethertype"] == "IPv6" and protocol == "icmp":
        protocol = "ipv6-icmp"
    plain = (rule["direction"], protocol, rule["port_range_min"], rule["remote"]) == ("egress", None, None, None)
    return (
        "there" if plain else (rule["direction"], rule["ethertype"], protocol, rule["port_range_min"], rule["remote"])
    )


def exported(cloud: FakeCloud) -> list[Resource]:
    """Export a project, by way of the files."""
    found = export(cloud, KINDS, KINDS, Wish({kind.name: EVERYTHING for kind in KINDS}, {}))
    return [
        resource
        for of_kind in found
        for resource in parse_kind(of_kind.kind, dump_kind(of_kind.kind, of_kind.resources), "file.yml")
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(projects)
def test_any_project_arrives_as_it_was(project):
    source, destination = (FakeCloud(name, FakeClock()) for name in ("source", "destination"))
    for cloud in (source, destination):
        cloud.make_default_group()
    build(source, project)
    resources = exported(source)
    imported = {kind.name for kind in KINDS}
    plan = prepare(destination, resources, KINDS, imported)
    done = carry_out(plan, Events(), at_a_time=1, clock=FakeClock())
    assert [entry.error for entry in done if entry.error] == []
    there = exported(destination)
    for kind in KINDS:
        one, other = ([r for r in side if r.kind is kind] for side in (resources, there))
        assert differences(one, other) == []
        assert len(one) == len(other)
    again = prepare(destination, resources, KINDS, imported)
    assert {action.verb for action in again.actions} == {Verb.SAME}
