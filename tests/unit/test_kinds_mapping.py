"""The mapping where kinds are imported, on two fake clouds."""

from dataclasses import replace

import pytest

from os_migrate.cli import mapping as mapping_command
from os_migrate.files.mapping import parse_mapping
from os_migrate.files.workloads import write_workloads
from os_migrate.mapping import Kind as Section
from os_migrate.resources.kind import Resource
from os_migrate.resources.networks import NETWORKS as NETWORK_KIND
from os_migrate.resources.security_group_rules import SECURITY_GROUP_RULES
from os_migrate.resources.security_groups import SECURITY_GROUPS
from os_migrate.resources.wanted import names_in
from tests.fakes.scene import Scene
from tests.fakes.workloads import Shape
from tests.unit.test_cli import Commands, outcomes_of
from tests.unit.test_kinds_cli import GROUPS, KINDS, NETWORKS, PORTS, ROUTERS, RULES, SUBNETS, Clouds, furnish_all, run

__all__ = ["run"]

MAPPING = """\
networks: {shop: market, public: outside}
subnets:
- {regex: 'shop-(.)', to: 'market-v\\1'}
routers: {way out: door}
security_groups: {default: base, web: front}
"""


@pytest.fixture
def mapped(run: Clouds) -> Clouds:
    """Return clouds whose destination calls its external network otherwise, with exported files and a mapping."""
    furnish_all(run.source)
    run.good("export", *KINDS)
    external = run.destination._networks[0]
    run.destination._networks[0] = replace(external, name="outside")
    (run.here / "mapping.yml").write_text(MAPPING)
    return run


def names(cloud, collection) -> set[str]:
    return {thing["name"] for thing in cloud.list_of(collection)}


def ids(cloud, collection) -> dict[str, str]:
    return {thing["name"]: thing["id"] for thing in cloud.list_of(collection)}


def test_everything_is_made_under_the_names_of_the_mapping(mapped):
    mapped.good("import", "all")
    there = mapped.destination
    assert names(there, NETWORKS) == {"outside", "market", "back"}
    assert names(there, SUBNETS) == {"public", "market-v4", "market-v6"}
    assert names(there, ROUTERS) == {"door"}
    assert names(there, GROUPS) == {"default", "base", "front", "db"}


def test_every_reference_means_the_name_of_the_mapping(mapped):
    mapped.good("import", "all")
    there = mapped.destination
    networks, subnets, groups = (ids(there, collection) for collection in (NETWORKS, SUBNETS, GROUPS))
    (router,) = there.list_of(ROUTERS)
    assert {s["network_id"] for s in there.list_of(SUBNETS) if s["name"] != "public"} == {networks["market"]}
    assert router["external_gateway_info"]["network_id"] == networks["outside"]
    connected = [p for p in there.list_of(PORTS) if p["device_id"] == router["id"]]
    assert {ip["subnet_id"] for p in connected for ip in p["fixed_ips"]} == {subnets["market-v4"], subnets["market-v6"]}
    remote = {(r["security_group_id"], r["remote_group_id"]) for r in there.list_of(RULES) if r["remote_group_id"]}
    base, front, default = groups["base"], groups["front"], groups["default"]
    assert remote == {(front, base), (base, base), (base, front), (default, default)}


def test_second_import_with_a_mapping_changes_nothing(mapped):
    mapped.good("import", "all")
    before = mapped.destination.seam.changes
    assert mapped.good("import", "all").splitlines() == ["26 same"]
    assert mapped.destination.seam.changes == before


def test_the_files_keep_the_names_of_the_source(mapped):
    before = {file.name: file.read_text() for file in mapped.here.glob("*.yml")}
    mapped.good("import", "all")
    mapped.good("validate")
    mapped.good("export", *KINDS)
    assert {file.name: file.read_text() for file in mapped.here.glob("*.yml")} == before
    assert "networks.yml: 2 networks, nothing wrong" in mapped.good("validate").splitlines()


def test_files_are_compared_as_they_are(mapped):
    mapped.good("import", "networks")
    mapped.export_there("networks")
    ran = mapped("diff", str(mapped.here / "networks.yml"), str(mapped.there / "networks.yml"))
    assert ran.out.splitlines()[0].startswith("- network shop (only in ")


def test_a_filter_means_the_names_of_the_source(mapped):
    assert mapped.good("import", "networks", "--filter", "shop").splitlines()[-1] == "1 created"
    assert "market" in names(mapped.destination, NETWORKS)


def test_a_dry_run_shows_the_names_of_the_destination_and_where_they_are_from(mapped):
    before = mapped.destination.seam.changes
    told = mapped.good("import", "networks", "routers", "--dry-run").splitlines()
    assert told == [
        "+ network back",
        "+ network market (shop by mapping.yml:1)",
        "+ router door (way out by mapping.yml:4)",
        "3 to create",
    ]
    assert mapped.destination.seam.changes == before
    result = mapped("import", "networks", "--dry-run", "--json").result
    assert [r["name"] for r in result["resources"]] == ["back", "market"]


def test_two_resources_with_one_name_of_the_mapping_are_refused_before_anything_is_touched(mapped):
    (mapped.here / "mapping.yml").write_text(MAPPING.replace("shop: market", "shop: back"))
    before = mapped.destination.seam.changes
    ran = mapped("import", "all")
    assert ran.exit_code == 2
    assert "network back (shop by mapping.yml:1) is there twice: the other is at" in ran.err
    assert "networks.yml:3: network back\n" in ran.err
    assert "map one of them otherwise" in ran.err
    assert mapped.destination.seam.changes == before


def test_what_the_mapping_names_and_nobody_has_is_refused_with_its_line(mapped):
    (mapped.here / "mapping.yml").write_text(MAPPING.replace("outside", "elsewhere"))
    for words in (["import", "all"], ["validate", "--destination"]):
        ran = mapped(*words)
        assert ran.exit_code == 2
        assert "router door (way out by mapping.yml:4): external_gateway_refinfo: there is no network" in ran.err
        assert "'elsewhere' (public by mapping.yml:1)" in ran.err


def test_validate_asks_the_destination_for_the_names_of_the_mapping(mapped):
    mapped.good("validate", "--destination")
    (mapped.here / "mapping.yml").unlink()
    assert "there is no network 'public'" in mapped("validate", "--destination").err


def test_a_mistake_in_the_mapping_ends_an_import_before_anything_is_touched(mapped):
    (mapped.here / "mapping.yml").write_text("network: {}\n")
    ran = mapped("import", "all")
    assert ran.exit_code == 2
    assert "unknown section network" in ran.err


def test_an_update_is_one_of_the_thing_with_the_name_of_the_mapping(mapped):
    mapped.good("import", "networks")
    mapped.edit("networks", "shop", mtu=1350)
    assert mapped.good("import", "networks").splitlines() == [
        "~ network market (shop by mapping.yml:1)",
        "    ~ mtu: 1400 -> 1350",
        "1 updated, 1 same",
    ]


# One resource -----------------------------------------------------------------------------------------------------------
def renamed(resource: Resource, text: str) -> Resource | None:
    return resource.renamed(parse_mapping(text, "mapping.yml").name)


def test_zones_of_neutron_have_a_section_of_their_own():
    network = Resource(NETWORK_KIND, {"name": "a", "availability_zone_hints": ["one", "two", "three"]}, {}, {})
    text = "availability_zones: [{default: x}]\nnetwork_availability_zones: {one: here, two: here, three: null}\n"
    (zones,) = [renamed(network, text).params["availability_zone_hints"]]
    assert zones == ["here"]
    assert renamed(network, "availability_zones: [{default: x}]").params == network.params


def test_projects_of_references_are_mapped_but_not_the_own():
    def rule(project: str | None) -> Resource:
        ref = {"name": "web", "project_name": project, "domain_name": None}
        return Resource(SECURITY_GROUP_RULES, {"remote_address_group_ref": ref, "remote_group_ref": ref}, {}, {})

    text = "projects: [{default: theirs}]\n"
    for field in ("remote_address_group_ref", "remote_group_ref"):
        found = [renamed(rule(project), text).params[field]["project_name"] for project in ("ours", "%auth%", None)]
        assert found == ["theirs", "%auth%", None]


def test_what_no_section_is_about_keeps_its_name():
    ref = {"name": "web", "project_name": None, "domain_name": None}
    network = Resource(NETWORK_KIND, {"name": "a", "qos_policy_ref": ref}, {}, {})
    text = "".join(f"{section}: [{{default: x}}]\n" for section in Section)
    assert renamed(network, text).params == {"name": "x", "qos_policy_ref": ref}


def test_what_becomes_null_is_not_wanted():
    keypairs = replace(SECURITY_GROUPS, name="keypairs")
    assert renamed(Resource(keypairs, {"name": "alice"}, {}, {}), "keypairs: {alice: null}") is None
    assert renamed(Resource(keypairs, {"name": "bob"}, {}, {}), "keypairs: {alice: null}").name == "bob"


def test_names_in_a_resource_are_its_own_and_those_it_refers_to():
    ref = {"name": "shop", "project_name": "theirs", "domain_name": None}
    rule = Resource(SECURITY_GROUP_RULES, {"security_group_ref": ref}, {}, {})
    assert names_in(rule) == {(Section.SECURITY_GROUPS, "shop"), (Section.PROJECTS, "theirs")}
    network = Resource(NETWORK_KIND, {"name": "a", "availability_zone_hints": ["z"]}, {}, {})
    assert names_in(network) == {(Section.NETWORKS, "a"), (Section.NETWORK_AVAILABILITY_ZONES, "z")}


# With workloads ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def both(tmp_path, monkeypatch) -> tuple[Commands, Clouds]:
    """Return the command line over one pair of clouds, for servers and for kinds; the destination has no network of theirs."""
    scene = Scene(tmp_path, Shape("one", data_volumes=1))
    servers, kinds = Commands(scene, tmp_path, monkeypatch), Clouds(tmp_path, monkeypatch)
    kinds.source, kinds.destination, kinds.here = scene.source, scene.destination, tmp_path
    monkeypatch.setattr(mapping_command, "open_session", servers._open)
    write_workloads(servers.file, scene.workloads)
    kinds.good("export", *KINDS)
    (private,) = [n for n in scene.destination._networks if n.name == "private"]
    scene.destination._networks.remove(private)
    scene.destination._subnets[:] = [s for s in scene.destination._subnets if s.network_id != private.id]
    scene.destination._groups.clear()
    for many in ("networks", "subnets", "security_groups"):
        scene.destination._shelves.pop(many, None)
    (tmp_path / "mapping.yml").write_text(
        "networks: {private: tenant-net}\nsubnets: {private: tenant-sub}\nsecurity_groups: {web: front}\n"
    )
    return servers, kinds


def test_servers_move_into_the_networks_that_were_imported_with_the_same_mapping(both):
    servers, kinds = both
    refused = servers("migrate")
    assert "there is no network 'tenant-net' (private by mapping.yml:1)" in refused.err
    kinds.good("import", "all")
    before = kinds.destination.seam.changes
    assert "same" in kinds.good("import", "all").splitlines()[-1]
    assert kinds.destination.seam.changes == before
    assert outcomes_of(servers.json("migrate")) == {"web 0": "migrated"}
    (twin,) = servers.scene.twins(servers.scene.workloads[0])
    (port,) = [p for p in kinds.destination.list_of(PORTS) if p["device_id"] == twin]
    assert port["network_id"] == ids(kinds.destination, NETWORKS)["tenant-net"]
    assert [ip["subnet_id"] for ip in port["fixed_ips"]] == [ids(kinds.destination, SUBNETS)["tenant-sub"]]
    assert port["security_groups"] == [ids(kinds.destination, GROUPS)["front"]]


def test_the_names_of_the_files_are_listed_with_those_of_the_servers(both):
    servers, _ = both
    (servers.directory / "mapping.yml").write_text("networks: {private: tenant-net}\nsubnets: [{default: x}]\n")
    done = servers("mapping")
    assert "networks\n  private -> tenant-net  (1 server, 2 resources)  mapping.yml:1\n" in done.out
    assert "warning" not in done.out
    listed = {(n["kind"], n["name"]): n for n in servers.json("mapping").result["names"]}
    assert listed["networks", "public"]["resources"] == 2
    assert ("networks", "public") not in {
        (n["kind"], n["name"]) for n in servers.json("mapping", "web 0").result["names"]
    }


def test_what_an_import_has_yet_to_make_is_only_missing_to_the_servers_that_need_it(both):
    servers, _ = both
    done = servers("mapping", "--destination")
    assert done.exit_code == 2
    assert "networks: 'tenant-net' (private by mapping.yml:1) isn't in the destination; 1 server needs it" in done.err
    servers.file.unlink()
    assert servers("mapping", "--destination").exit_code == 0


def test_the_names_of_files_are_listed_without_any_servers(both):
    servers, _ = both
    servers.file.unlink()
    assert "private -> tenant-net  (2 resources)  mapping.yml:1" in servers("mapping").out
