"""`export`, `import`, `validate` and `diff` of the kinds beside workloads, on two fake clouds."""

import json
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from os_migrate.cli import app, files, resources
from os_migrate.cli.app import hoisted
from os_migrate.errors import CloudError
from os_migrate.model import Side
from os_migrate.resources import catalog
from os_migrate.resources.neutron import neutron
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock, Hook, Killed
from tests.unit.test_cli import Ran

NETWORKS, SUBNETS, ROUTERS, PORTS = (neutron(many) for many in ("networks", "subnets", "routers", "ports"))
GROUPS, RULES = neutron("security_groups"), neutron("security_group_rules")
KINDS = [kind.name for kind in catalog.KINDS]


class Clouds:
    """The command line over two fake clouds; `there` is the data dir of exports from the destination."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source, self.destination = (FakeCloud(side, FakeClock()) for side in Side)
        for cloud in (self.source, self.destination):
            cloud.make_default_group()
            cloud.add_network("public", "203.0.113.0/24", is_external=True)
            cloud._networks[0] = replace(cloud._networks[0], project_id="an administrator's")
            cloud._subnets[0] = replace(cloud._subnets[0], project_id="an administrator's")
        self.here, self.there = directory / "here", directory / "there"
        for made in (self.here, self.there):
            made.mkdir()
        for module in (resources, files):
            monkeypatch.setattr(module, "open_cloud", self._open)

    def __call__(self, *words: str) -> Ran:
        done = CliRunner().invoke(app, hoisted(["--data-dir", str(self.here), *words]), catch_exceptions=False)
        return Ran(done.exit_code, done.stdout, done.stderr)

    def good(self, *words: str) -> str:
        ran = self(*words)
        assert ran.exit_code == 0, ran.err
        return ran.out

    def export_there(self, *kinds: str) -> None:
        """Export the destination as if it were a source."""
        self.source, self.destination, self.here, self.there = self.destination, self.source, self.there, self.here
        try:
            self.good("export", *kinds)
        finally:
            self.source, self.destination, self.here, self.there = self.destination, self.source, self.there, self.here

    def file(self, kind: str) -> dict[str, object]:
        return yaml.safe_load((self.here / f"{kind}.yml").read_text())

    def params(self, kind: str) -> dict[str, dict[str, object]]:
        return {r["params"]["name"]: r["params"] for r in self.file(kind)["resources"]}

    def edit(self, kind: str, name: str, **params: object) -> None:
        file = self.file(kind)
        (resource,) = [r for r in file["resources"] if r["params"]["name"] == name]
        resource["params"].update(params)
        (self.here / f"{kind}.yml").write_text(yaml.safe_dump(file, sort_keys=False))

    @contextmanager
    def _open(self, settings, events, side, *, lock):
        yield self.source if side is Side.SOURCE else self.destination


@pytest.fixture
def run(tmp_path, monkeypatch) -> Clouds:
    return Clouds(tmp_path, monkeypatch)


def furnish(cloud: FakeCloud) -> None:
    """Make two networks of the project, with what a subnet can have, a router, and a group."""
    network = cloud.create_in(NETWORKS, {"name": "shop", "description": "all of it", "mtu": 1400})
    cloud.act_on(NETWORKS, network["id"], "tags", {"tags": ["b", "a"]})
    four = {"name": "shop-4", "network_id": network["id"], "ip_version": 4, "cidr": "192.0.2.0/24"}
    pools = [{"start": "192.0.2.100", "end": "192.0.2.200"}, {"start": "192.0.2.10", "end": "192.0.2.20"}]
    routes = [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.9"}]
    dns = ["192.0.2.8", "192.0.2.7"]
    cloud.create_in(
        SUBNETS, {**four, "allocation_pools": pools, "host_routes": routes, "dns_nameservers": dns, "gateway_ip": None}
    )
    six = {"name": "shop-6", "network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
    cloud.create_in(SUBNETS, {**six, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "enable_dhcp": True})
    cloud.create_in(NETWORKS, {"name": "back", "port_security_enabled": False})


def furnish_all(cloud: FakeCloud) -> None:
    """Make something of every kind."""
    furnish(cloud)
    (four,) = [s for s in cloud.list_of(SUBNETS) if s["name"] == "shop-4"]
    (shop,) = [n for n in cloud.list_of(NETWORKS) if n["name"] == "shop"]
    (six,) = [s for s in cloud.list_of(SUBNETS) if s["name"] == "shop-6"]
    (public,) = [n for n in cloud.list_of(NETWORKS) if n["name"] == "public"]
    gateway = {"network_id": public["id"]}
    router = cloud.create_in(ROUTERS, {"name": "way out", "external_gateway_info": gateway})
    cloud.act_on(ROUTERS, router["id"], "add_router_interface", {"subnet_id": six["id"]})
    fixed = [{"subnet_id": four["id"], "ip_address": "192.0.2.5"}]
    port = cloud.create_in(PORTS, {"network_id": shop["id"], "fixed_ips": fixed})
    cloud.act_on(ROUTERS, router["id"], "add_router_interface", {"port_id": port["id"]})
    cloud.update_in(ROUTERS, router["id"], {"routes": [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.77"}]})
    web = cloud.create_in(GROUPS, {"name": "web", "description": "the shop's front"})
    cloud.create_in(GROUPS, {"name": "db"})
    (default,) = [g for g in cloud.list_of(GROUPS) if g["name"] == "default"]
    for rule in cloud.list_of(RULES):
        if rule["security_group_id"] == web["id"] and rule["ethertype"] == "IPv6":
            cloud.delete_from(RULES, rule["id"])
    into = {"security_group_id": web["id"], "direction": "ingress"}
    cloud.create_in(
        RULES, {**into, "protocol": "tcp", "port_range_min": 443, "port_range_max": 443, "description": "https"}
    )
    cloud.create_in(RULES, {**into, "protocol": "icmp", "port_range_min": 8, "port_range_max": 0})
    cloud.create_in(RULES, {**into, "protocol": "icmpv6", "ethertype": "IPv6", "remote_ip_prefix": "::/0"})
    cloud.create_in(RULES, {**into, "remote_group_id": default["id"]})
    cloud.create_in(RULES, {**into, "protocol": "112", "remote_ip_prefix": "192.0.2.0/24"})
    cloud.create_in(RULES, {**into, "security_group_id": default["id"], "remote_group_id": web["id"]})


def params_of(directory: Path, kind: str) -> list[dict[str, object]]:
    return [r["params"] for r in yaml.safe_load((directory / f"{kind}.yml").read_text())["resources"]]


def test_what_is_exported_and_imported_is_exported_the_same_there(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.good("import", "all")
    run.export_there(*KINDS)
    for kind in KINDS:
        assert params_of(run.here, kind) == params_of(run.there, kind)
        assert params_of(run.here, kind) != []
    assert run.good("diff", str(run.here), str(run.there)) == "Nothing differs.\n"


def test_an_export_tells_what_was_made(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    assert run.params("subnets")["shop-4"]["gateway_ip"] is None
    assert run.params("subnets")["shop-4"]["dns_nameservers"] == ["192.0.2.8", "192.0.2.7"]
    assert run.params("subnets")["shop-4"]["allocation_pools"][0] == {"start": "192.0.2.10", "end": "192.0.2.20"}
    assert run.params("networks")["back"]["is_port_security_enabled"] is False
    public = {"name": "public", "project_name": None, "domain_name": None}
    assert run.params("routers")["way out"]["external_gateway_refinfo"] == {"network_ref": public}
    ours = {"project_name": "%auth%", "domain_name": "%auth%"}
    interfaces = {i["fixed_ips_refs"][0]["subnet_ref"]["name"]: i for i in params_of(run.here, "router_interfaces")}
    assert interfaces["shop-4"]["fixed_ips_refs"] == [
        {"ip_address": "192.0.2.5", "subnet_ref": {"name": "shop-4", **ours}}
    ]
    assert interfaces["shop-6"]["device_ref"] == {"name": "way out", **ours}
    groups = [r["security_group_ref"]["name"] for r in params_of(run.here, "security_group_rules")]
    assert {name: groups.count(name) for name in groups} == {"default": 5, "web": 6, "db": 2}


def test_second_import_changes_nothing(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.good("import", "all")
    before = run.destination.seam.changes
    assert run.good("import", "all").splitlines() == ["23 same"]
    assert run.destination.seam.changes == before


def test_edited_file_is_an_update_and_shows_what_differs(run):
    furnish(run.source)
    run.good("export", "networks")
    run.good("import", "networks")
    run.edit("networks", "shop", mtu=1350, tags=["c"])
    dry = run.good("import", "networks", "--dry-run")
    assert dry.splitlines() == [
        "~ network shop",
        "    ~ mtu: 1400 -> 1350",
        "    ~ tags: ['a', 'b'] -> ['c']",
        "1 to update, 1 same",
    ]
    (before,) = [n for n in run.destination.list_of(NETWORKS) if n["name"] == "shop"]
    assert before["mtu"] == 1400
    assert "1 updated, 1 same" in run.good("import", "networks")
    (after,) = [n for n in run.destination.list_of(NETWORKS) if n["name"] == "shop"]
    assert (after["mtu"], after["tags"], after["id"]) == (1350, ["c"], before["id"])


def test_what_cannot_be_changed_is_refused_with_all_the_rest_before_anything_is_touched(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    run.good("import", "networks", "subnets")
    run.edit("networks", "back", mtu=1350)
    run.edit("subnets", "shop-4", cidr="198.51.100.0/24", ip_version=6)
    ran = run("import", "networks", "subnets", "--json")
    assert ran.exit_code == 2
    (error,) = [line for line in map(json.loads, ran.out.splitlines()) if line["event"] == "error"]
    assert len(error["problems"]) == 2
    assert "cidr: '192.0.2.0/24' -> '198.51.100.0/24'" in str(error["problems"])
    assert "subnets.yml:" in error["problems"][0]["where"]
    assert {n["mtu"] for n in run.destination.list_of(NETWORKS)} == {1400, 1442}


def test_subnets_alone_are_refused_where_their_network_is_missing(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    ran = run("import", "subnets")
    assert ran.exit_code == 2
    assert "there is no network 'shop' in this project" in ran.err
    assert "import the networks first" in ran.err
    assert [s["name"] for s in run.destination.list_of(SUBNETS)] == ["public"]


# Once more, and by parts ------------------------------------------------------------------------------------------------


def test_routes_come_with_the_interfaces_where_kinds_are_imported_one_by_one(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    told = run("import", "networks", "subnets", "routers")
    assert "routes will come with `os-migrate import router_interfaces`" in told.err
    (router,) = run.destination.list_of(ROUTERS)
    assert router["routes"] == []
    out = run.good("import", "router_interfaces")
    assert "~ router way out" in out
    (router,) = run.destination.list_of(ROUTERS)
    assert router["routes"] == [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.77"}]
    assert run.good("import", "router_interfaces").splitlines() == ["2 same"]


class Dies(Hook):
    """Kill at the n-th change, before or after it had its effect."""

    def __init__(self, number: int, *, after: bool) -> None:
        super().__init__()
        self._left, self._after = number, after

    def before(self, call):
        super().before(call)
        if call.mutates:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed

    def after(self, call):
        if call.mutates and self._left == 0 and self._after:
            raise Killed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 46))
def test_an_import_that_died_is_finished_by_the_same_command(run, number, after):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.destination.seam.hook = Dies(number, after=after)
    with suppress(Killed):
        run("import", "all", "--set", "os_migrate_api_calls_parallel=1")
    run.destination.seam.hook = Hook()
    run.good("import", "all")
    run.export_there(*KINDS)
    told = run("diff", str(run.here), str(run.there))
    assert told.out == "Nothing differs.\n"


def test_a_resource_that_fails_stops_only_what_refers_to_it(run):
    furnish_all(run.source)
    run.good("export", *KINDS)

    class Refuses(Hook):
        def before(self, call):
            super().before(call)
            if call.verb == "create router":
                raise CloudError("no quota for routers")

    run.destination.seam.hook = Refuses()
    ran = run("import", "all")
    assert ran.exit_code == 3
    assert "router way out: FAILED: no quota for routers" in ran.out
    assert "15 created, 5 same, 3 failed" in ran.out
    run.destination.seam.hook = Hook()
    assert "3 created, 20 same" in run.good("import", "all")


def test_a_rule_that_the_file_does_not_have_is_told(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.good("import", "all")
    (web,) = [g for g in run.destination.list_of(GROUPS) if g["name"] == "web"]
    more = {"security_group_id": web["id"], "direction": "ingress", "protocol": "tcp"}
    run.destination.create_in(RULES, {**more, "port_range_min": 22, "port_range_max": 22})
    ran = run("import", "all")
    assert "the destination has what the file doesn't: security group rule web: ingress IPv4 tcp 22-22" in ran.err
    assert ran.exit_code == 0
    run.export_there(*KINDS)
    told = run("diff", str(run.here), str(run.there))
    assert told.exit_code == 1
    assert told.out.splitlines()[0] == f"+ security group rule web: ingress IPv4 tcp 22-22 (only in {run.there})"
