"""`export`, `import`, `validate` and `diff` of the kinds beside workloads, on two fake clouds."""

import json
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from os_migrate.cli import app, export, files, resources
from os_migrate.cli.app import hoisted
from os_migrate.errors import CloudError
from os_migrate.model import Side
from os_migrate.resources import catalog, keypairs
from os_migrate.resources.neutron import neutron
from os_migrate.session import Session
from tests.fakes.cloud import FakeCloud
from tests.fakes.scene import Scene
from tests.fakes.seam import FakeClock, Hook, Killed
from tests.fakes.workloads import Shape
from tests.unit.test_cli import Ran

NETWORKS, SUBNETS, ROUTERS, PORTS = (neutron(many) for many in ("networks", "subnets", "routers", "ports"))
GROUPS, RULES = neutron("security_groups"), neutron("security_group_rules")
KEYPAIRS = keypairs.COLLECTION
KINDS = [kind.name for kind in catalog.KINDS if not kind.for_admin]


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

    def edit(self, kind: str, name: str, /, **params: object) -> None:
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
    """Make something of every kind that needs no administrator."""
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
    cloud.create_in(KEYPAIRS, {"name": "laptop", "public_key": "ssh-ed25519 AAAAC3Nz me@laptop"})
    furnish_images(cloud)


def furnish_images(cloud: FakeCloud) -> None:
    """Make a kernel, and an image that boots it, with something in most fields."""
    kernel = cloud.add_glance_image("kernel", b"vmlinuz" * 50, disk_format="aki", container_format="aki")
    said = {
        "hw_cpu_cores": "2",
        "hw_boot_menu": "true",
        "os_distro": "debian",
        "made.by": "us",
        "description": "the shop",
    }
    written = {
        "owner_specified.openstack.md5": "0",
        "image_type": "snapshot",
        "direct_url": "swift+http://u:secret@x/y",
    }
    flags = {"visibility": "private", "protected": True, "tags": ["b", "a"], "min_disk": 1, "kernel_id": kernel["id"]}
    cloud.add_glance_image("shop/front", b"a disk" * 100, **said, **written, **flags)


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
    assert run.good("import", "all").splitlines() == ["26 same"]
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
    assert told.exit_code == 0
    assert "routes will come with `os-migrate import router_interfaces`" in told.err
    (router,) = run.destination.list_of(ROUTERS)
    assert router["routes"] == []
    out = run.good("import", "router_interfaces")
    assert "~ router way out" in out
    (router,) = run.destination.list_of(ROUTERS)
    assert router["routes"] == [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.77"}]
    assert run.good("import", "router_interfaces").splitlines() == ["2 same"]


def test_interfaces_alone_are_refused_where_their_router_is_missing(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.good("import", "networks", "subnets")
    ran = run("import", "router_interfaces")
    assert ran.exit_code == 2
    assert "there is no router 'way out' in this project" in ran.err


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
    assert "there is no router 'way out' in this project" in ran.err
    assert "18 created, 5 same, 3 failed" in ran.out
    run.destination.seam.hook = Hook()
    assert "3 created, 23 same" in run.good("import", "all")


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


# Files of OS Migrate 1.0.x ----------------------------------------------------------------------------------------------


def test_files_of_os_migrate_1_0_5_load_and_import(run):
    for file in (Path(__file__).parent / "kinds-1.0.5").glob("*.yml"):
        if file.stem in KINDS:
            (run.here / file.name).write_text(file.read_text())
    (run.here / "image_blobs").mkdir()
    (run.here / "image_blobs" / "8d7e0d6c-0007-osm_image").write_bytes(b"a small image of 1.0.5\n")
    assert sorted(file.stem for file in run.here.glob("*.yml")) == sorted(KINDS)
    assert "nothing wrong" in run.good("validate")
    assert "8 created" in run.good("import", "all")
    assert run.good("import", "all").splitlines() == ["8 same"]
    run.export_there(*KINDS)
    told = run("diff", str(run.here), str(run.there)).out.splitlines()
    default = [line for line in told if "default" not in line]
    assert default == [f"{len(told) - 1} differ"]


# Export -----------------------------------------------------------------------------------------------------------------


def test_an_export_brings_a_file_up_to_date(run):
    furnish(run.source)
    run.good("export", "networks")
    again = run.good("export", "networks")
    assert again.splitlines() == [f"{run.here / 'networks.yml'}: 2 networks"]
    before = (run.here / "networks.yml").read_text()
    (back,) = [n for n in run.source.list_of(NETWORKS) if n["name"] == "back"]
    run.source.delete_from(NETWORKS, back["id"])
    run.source.create_in(NETWORKS, {"name": "a new one"})
    told = run.good("export", "networks").splitlines()
    assert [line.split()[0] for line in told[1:]] == ["added", "gone"]
    assert list(run.params("networks")) == ["shop", "a new one"]
    assert (run.here / "networks.yml").read_text() != before


def test_an_export_keeps_what_the_filter_leaves_out(run):
    furnish(run.source)
    run.good("export", "networks")
    (shop,) = [n for n in run.source.list_of(NETWORKS) if n["name"] == "shop"]
    run.source.update_in(NETWORKS, shop["id"], {"mtu": 1200})
    run.good("export", "networks", "--filter", "back")
    assert (run.params("networks")["shop"]["mtu"], len(run.params("networks"))) == (1400, 2)
    run.good("export", "networks", "--set", "os_migrate_networks_filter=[{regex: ^sh}]")
    assert run.params("networks")["shop"]["mtu"] == 1200


def test_a_reference_to_what_is_not_seen_is_told_and_not_imported_until_it_is_edited(run):
    furnish(run.source)
    (back,) = [n for n in run.source.list_of(NETWORKS) if n["name"] == "back"]
    run.source._shelves["networks"][back["id"]]["qos_policy_id"] = "an administrator's"
    assert "warning: network back: qos_policy_ref is something" in run.good("export", "networks")
    ran = run("import", "networks")
    assert ran.exit_code == 2
    assert "network 'back': params.qos_policy_ref.name: is missing" in ran.err
    run.edit("networks", "back", qos_policy_ref=None)
    run.good("import", "networks")


def test_a_filter_that_matches_nothing_is_an_error(run):
    furnish(run.source)
    ran = run("export", "networks", "--filter", "nobody")
    assert ran.exit_code == 2
    assert "matches none of the networks" in ran.err
    assert not (run.here / "networks.yml").exists()


def test_one_filter_for_several_kinds_need_not_match_something_of_each(run):
    furnish(run.source)
    run.good("export", "networks", "subnets", "--filter", "back")
    assert (len(params_of(run.here, "networks")), len(params_of(run.here, "subnets"))) == (1, 0)
    run.good("export", "networks", "subnets")
    assert "1 created" in run.good("import", "all", "--filter", "back")
    for command in (["export", "networks", "subnets"], ["import", "all"]):
        ran = run(*command, "--filter", "nobody")
        assert ran.exit_code == 2
        assert "matches nothing" in ran.err


def test_an_unknown_kind_is_an_error_with_the_one_that_was_meant(run):
    for command in ("export", "import", "validate"):
        ran = run(command, "network")
        assert ran.exit_code == 2
        assert "did you mean networks?" in ran.err


def test_what_was_made_for_the_conversion_hosts_is_left_out(run):
    network = run.source.create_in(NETWORKS, {"name": "os_migrate_conv"})
    run.source.create_in(
        SUBNETS,
        {"name": "os_migrate_conv", "network_id": network["id"], "cidr": "192.0.2.0/24", "ip_version": 4},
    )
    run.good("export", "networks", "subnets")
    assert params_of(run.here, "networks") == params_of(run.here, "subnets") == []


def test_an_export_tells_machines_what_it_found(run):
    furnish(run.source)
    (kind,) = run("export", "networks", "--json").result["kinds"]
    assert (kind["kind"], len(kind["added"]), kind["vanished"]) == ("networks", 2, [])


# Import -----------------------------------------------------------------------------------------------------------------


def test_an_import_tells_machines_what_it_did(run):
    furnish(run.source)
    run.good("export", "networks")
    ran = run("import", "networks", "--json", "--dry-run")
    assert ran.result["dry_run"] is True
    assert {r["name"]: r["action"] for r in ran.result["resources"]} == {"back": "create", "shop": "create"}
    assert [n["name"] for n in run.destination.list_of(NETWORKS)] == ["public"]


def test_an_import_without_its_file_says_how_to_get_it(run):
    ran = run("import", "networks")
    assert ran.exit_code == 2
    assert "run `os-migrate export networks` first" in ran.err


def test_only_what_the_filter_chooses_is_imported(run):
    furnish(run.source)
    run.good("export", "networks")
    assert "1 created" in run.good("import", "networks", "--filter", "back")
    assert sorted(n["name"] for n in run.destination.list_of(NETWORKS)) == ["back", "public"]


def test_what_cannot_be_told_apart_is_not_imported(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.edit("networks", "back", name="shop")
    run.edit("routers", "way out", name="")
    ran = run("import", "networks", "routers")
    assert ran.exit_code == 2
    assert "network shop is there twice: the other is at" in ran.err
    assert "a router has no name" in ran.err
    assert [n["name"] for n in run.destination.list_of(NETWORKS)] == ["public"]


def test_workloads_have_no_dry_run(run):
    ran = run("import", "workloads", "--dry-run")
    assert ran.exit_code == 2
    assert "os-migrate plan" in ran.err


# Validate and diff ------------------------------------------------------------------------------------------------------


def test_files_are_validated_without_a_cloud(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    calls = run.destination.calls
    told = run.good("validate").splitlines()
    assert "networks.yml: 2 networks, nothing wrong" in told
    assert len(told) == len(KINDS)
    assert run.destination.calls == calls


def test_validate_tells_all_that_is_wrong_with_all_files(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.edit("networks", "back", name="shop")
    run.edit("routers", "way out", name="")
    run.edit("subnets", "shop-4", network_ref={"name": "gone", "project_name": "%auth%", "domain_name": "%auth%"})
    ran = run("validate")
    assert ran.exit_code == 2
    assert "network shop is there twice: the other is at" in ran.err
    assert "a router has no name" in ran.err
    assert "subnet shop-4: network_ref: no file has a networks 'gone'" in ran.err
    assert "no file has a routers 'way out'" in ran.err
    assert "nothing wrong" in run.good("validate", "security_groups")


def test_validate_asks_the_destination_where_it_is_told_to(run):
    furnish_all(run.source)
    run.good("export", *KINDS)
    run.good("validate", "--destination")
    run.destination._networks.clear()
    run.destination._shelves.clear()
    ran = run("validate", "--destination")
    assert ran.exit_code == 2
    assert "there is no network 'public'" in ran.err


def test_files_that_differ_are_shown_with_exit_code_1(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    for kind in ("networks", "subnets"):
        (run.there / f"{kind}.yml").write_text((run.here / f"{kind}.yml").read_text())
    run.edit("networks", "shop", mtu=1350, tags=["b", "a"])
    run.edit("networks", "back", name="front")
    for pair in ((run.here, run.there), (run.here / "networks.yml", run.there / "networks.yml")):
        ran = run("diff", *map(str, pair))
        assert ran.exit_code == 1
        assert ran.out.splitlines() == [
            f"- network front (only in {pair[0]})",
            "~ network shop",
            "    mtu: 1350 -> 1400",
            f"+ network back (only in {pair[1]})",
            "3 differ",
        ]
    told = run("diff", str(run.here), str(run.there), "--json").result
    assert (told["equal"], len(told["differences"])) == (False, 3)


def test_workloads_that_differ_are_shown(run):
    text = (Path(__file__).parent / "workloads-1.0.5.yml").read_text()
    (run.here / "workloads.yml").write_text(text)
    (run.there / "workloads.yml").write_text(text.replace("status: SHUTOFF", "status: ACTIVE"))
    assert run.good("diff", str(run.here), str(run.there)) == "Nothing differs.\n"
    (run.there / "workloads.yml").write_text(text.replace("name: m1.small", "name: m1.large"))
    ran = run("diff", str(run.here / "workloads.yml"), str(run.there / "workloads.yml"))
    assert ran.exit_code == 1
    assert "flavor_ref: m1.small -> m1.large" in ran.out


def test_export_all_is_every_kind_and_the_servers_in_one_result(tmp_path, monkeypatch):
    scene = Scene(tmp_path, Shape("one", data_volumes=1))
    run = Clouds(tmp_path, monkeypatch)
    run.source, run.here = scene.source, tmp_path

    @contextmanager
    def open_session(settings, events, *, hosts, lock):
        sides = {Side.SOURCE: scene.source, Side.DESTINATION: scene.destination}
        yield Session(settings, scene.journal, replace(scene.world, events=events), sides)

    monkeypatch.setattr(export, "open_session", open_session)
    result = run("export", "all", "--json").result
    assert [kind["kind"] for kind in result["kinds"]] == KINDS
    assert [w.id for w in scene.workloads if w.id in result["exported"]] == [w.id for w in scene.workloads]
    assert "nothing wrong" in run.good("validate", "workloads")


def test_an_import_that_is_stopped_says_how_to_go_on(run):
    furnish(run.source)
    run.good("export", "networks")

    class Stops(Hook):
        def before(self, call):
            if call.mutates:
                raise KeyboardInterrupt

    run.destination.seam.hook = Stops()
    ran = run("import", "networks")
    assert ran.exit_code == 6
    assert "the same command again goes on" in ran.err


def test_nothing_to_import_is_an_error(run):
    ran = run("import", "all")
    assert ran.exit_code == 2
    assert "has no file of these kinds" in ran.err
