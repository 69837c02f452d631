"""Networks, subnets, routers and security groups of a project, made alike in the other cloud; as an ordinary tenant of both."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.exceptions import ConflictException

from lab import scenario
from lab.settings import STATE_DIR
from os_migrate.resources.catalog import KINDS
from tests.acceptance.operating import Done, Operator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# All that is made here has this in front, so that what the clouds hold otherwise is left alone.
OURS = "kinds-"
FILTER = ("--filter", f"~^{OURS}")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqqHOyIYKXNBwvuuMVYxBOBtKRPlkXk8GmnKzZlKBJr kinds"
NAMES = tuple(kind.name for kind in KINDS if not kind.for_admin)
MOVED = """\
networks: {kinds-front: kinds-moved}
subnets:
- {regex: 'kinds-front-(.)', to: 'kinds-moved-v\\1'}
"""

Picture = dict[str, dict[str, Any]]


def furnish(cloud: Any) -> None:
    """Make two networks, a router between them and outside, and four groups that refer to one another."""
    network = cloud.network
    front = network.create_network(name="kinds-front", description="what customers see", mtu=1400)
    network.set_tags(front, ["shop", "front"])
    back = network.create_network(name="kinds-back", is_port_security_enabled=False)
    front_4 = network.create_subnet(
        name="kinds-front-4",
        network_id=front.id,
        ip_version=4,
        cidr="10.71.0.0/24",
        allocation_pools=[
            {"start": "10.71.0.100", "end": "10.71.0.150"},
            {"start": "10.71.0.20", "end": "10.71.0.50"},
        ],
        dns_nameservers=["10.71.0.8", "10.71.0.7"],
        host_routes=[{"destination": "192.168.71.0/24", "nexthop": "10.71.0.9"}],
    )
    network.create_subnet(
        name="kinds-front-6",
        network_id=front.id,
        ip_version=6,
        cidr="fd00:71::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    back_4 = network.create_subnet(
        name="kinds-back-4",
        network_id=back.id,
        ip_version=4,
        cidr="10.72.0.0/24",
        description="with DHCP",
        # The router's odd address is outside, so that DHCP doesn't take it.
        allocation_pools=[{"start": "10.72.0.10", "end": "10.72.0.99"}],
    )
    network.create_subnet(
        name="kinds-back-dark",
        network_id=back.id,
        ip_version=4,
        cidr="10.72.1.0/24",
        gateway_ip=None,
        is_dhcp_enabled=False,
    )
    external = network.find_network(scenario.EXTERNAL_NETWORK, ignore_missing=False)
    router = network.create_router(
        name="kinds-router", description="way out", external_gateway_info={"network_id": external.id}
    )
    network.add_interface_to_router(router, front_4.id)
    odd = [{"subnet_id": back_4.id, "ip_address": "10.72.0.254"}]
    port = network.create_port(network_id=back.id, fixed_ips=odd)
    network.add_interface_to_router(router, None, port.id)
    routes = [
        {"destination": "192.168.77.0/24", "nexthop": "10.71.0.9"},
        {"destination": "192.168.78.0/24", "nexthop": "10.72.0.9"},
    ]
    network.update_router(router, routes=routes)
    furnish_groups(network)
    cloud.compute.create_keypair(name="kinds-key", public_key=KEY)


def furnish_groups(network: Any) -> None:
    """Make the groups, with every form that a rule has."""
    names = ("web", "app", "db", "admin")
    groups = {n: network.create_security_group(name=f"{OURS}{n}", description=f"for {n}") for n in names}
    web, app, db, admin = (groups[name].id for name in names)
    for rule in network.security_group_rules(security_group_id=db):
        network.delete_security_group_rule(rule)  # it lets nothing out but what is said below

    def tcp(first: int, last: int) -> dict[str, Any]:
        return {"protocol": "tcp", "port_range_min": first, "port_range_max": last}

    rules: list[dict[str, Any]] = [
        {"security_group_id": web, **tcp(443, 443), "description": "https"},
        {"security_group_id": web, **tcp(443, 443), "ether_type": "IPv6", "remote_ip_prefix": "::/0"},
        {"security_group_id": web, **tcp(8000, 8100), "remote_ip_prefix": "192.168.71.0/24"},
        {"security_group_id": web, "protocol": "icmp", "port_range_min": 8},
        {"security_group_id": web, "protocol": "icmp", "port_range_min": 3, "port_range_max": 4},
        {"security_group_id": web, "protocol": "ipv6-icmp", "port_range_min": 128, "ether_type": "IPv6"},
        {"security_group_id": web, **tcp(22, 22), "remote_group_id": admin},
        {"security_group_id": app, **tcp(8080, 8080), "remote_group_id": web},
        {"security_group_id": app, "protocol": "112", "remote_ip_prefix": "10.71.0.0/24"},
        {"security_group_id": db, **tcp(5432, 5432), "remote_group_id": app},
        {"security_group_id": db, "protocol": "udp", "port_range_min": 53, "port_range_max": 53, "direction": "egress"},
        {"security_group_id": db, **tcp(5432, 5432), "remote_group_id": db, "direction": "egress"},
        {"security_group_id": admin, "remote_group_id": admin},
        {"security_group_id": admin, "remote_group_id": db, "ether_type": "IPv6"},
    ]
    for rule in rules:
        network.create_security_group_rule(**{"direction": "ingress", "ether_type": "IPv4", **rule})


def ours(things: Any) -> list[Any]:
    return [thing for thing in things if thing.name.startswith(OURS)]


def clear(cloud: Any) -> None:
    """Delete all of ours; what an agent of Neutron's holds just then is deleted a moment later."""
    scenario.wait_for("ours to be deleted", lambda: is_deleted(cloud), 60)


def is_deleted(cloud: Any) -> bool:
    try:
        delete(cloud)
    except ConflictException:
        return False
    return True


def delete(cloud: Any) -> None:
    network, project = cloud.network, cloud.current_project_id
    for router in ours(network.routers(project_id=project)):
        network.update_router(router, routes=[])
        for port in network.ports(device_id=router.id):
            if port.device_owner == "network:router_interface":
                network.remove_interface_from_router(router, None, port.id)
        network.delete_router(router)
    for made in ours(network.networks(project_id=project)):
        for port in network.ports(network_id=made.id):
            if not port.device_owner:
                network.delete_port(port)
        network.delete_network(made)  # with its subnets
    for group in ours(network.security_groups(project_id=project)):
        network.delete_security_group(group)
    for pair in ours(cloud.compute.keypairs()):
        cloud.compute.delete_keypair(pair)


def picture(cloud: Any) -> Picture:
    """Return what of ours a cloud has, with names instead of ids: found out without the product."""
    network, project = cloud.network, cloud.current_project_id
    networks = {n.id: n for n in ours(network.networks(project_id=project))}
    subnets = {s.id: s for s in ours(network.subnets(project_id=project))}
    groups = {g.id: g for g in ours(network.security_groups(project_id=project))}
    found: Picture = {}
    for made in networks.values():
        said = (made.description, made.mtu, made.is_port_security_enabled, made.is_admin_state_up, sorted(made.tags))
        found[f"network {made.name}"] = {"said": said}
    for subnet in subnets.values():
        keys = ("cidr", "gateway_ip", "dns_nameservers", "is_dhcp_enabled", "ipv6_ra_mode", "ipv6_address_mode")
        found[f"subnet {subnet.name}"] = {
            **{key: getattr(subnet, key) for key in (*keys, "ip_version", "description")},
            "network": networks[subnet.network_id].name,
            "pools": sorted((pool["start"], pool["end"]) for pool in subnet.allocation_pools),
            "routes": sorted((route["destination"], route["nexthop"]) for route in subnet.host_routes),
        }
    for router in ours(network.routers(project_id=project)):
        ports = [p for p in network.ports(device_id=router.id) if p.device_owner == "network:router_interface"]
        addresses = sorted((subnets[ip["subnet_id"]].name, ip["ip_address"]) for p in ports for ip in p.fixed_ips)
        found[f"router {router.name}"] = {
            "description": router.description,
            "outside": network.get_network(router.external_gateway_info["network_id"]).name,
            "interfaces": addresses,
            "routes": sorted((route["destination"], route["nexthop"]) for route in router.routes),
        }
    for group in groups.values():
        rules = [
            (r.direction, r.ether_type, r.protocol, r.port_range_min, r.port_range_max, r.remote_ip_prefix,
             groups[r.remote_group_id].name if r.remote_group_id else None, r.description or "")
            for r in network.security_group_rules(security_group_id=group.id)
        ]  # fmt: skip
        found[f"group {group.name}"] = {"description": group.description, "rules": sorted(rules, key=repr)}
    for pair in ours(cloud.compute.keypairs()):
        found[f"key pair {pair.name}"] = {"key": pair.public_key, "fingerprint": pair.fingerprint}
    return found


@dataclass(frozen=True)
class Scene:
    """What the commands said one after the other, and what the clouds held in between."""

    source: Picture
    exported: Done
    rehearsed: Done
    after_rehearsal: Picture
    imported: Done
    after_import: Picture
    again: Done
    compared: Done
    rehearsed_edit: Done
    edited: Done
    after_edit: Picture
    compared_after_edit: Done
    moved: Done
    moved_again: Done
    after_move: Picture


@pytest.fixture(scope="module")
def scene(source: Any, destination: Any) -> Iterator[Scene]:
    directory = STATE_DIR / "acceptance-kinds"
    with ExitStack() as stack:
        for cloud in (source, destination):
            stack.callback(clear, cloud)
            clear(cloud)
        shutil.rmtree(directory, ignore_errors=True)
        scenario.write_settings(directory)
        furnish(source)
        yield play(Operator(directory), directory / "there", source, destination)
    for cloud in (source, destination):
        assert picture(cloud) == {}


def play(operator: Operator, there: Path, source: Any, destination: Any) -> Scene:
    """Do as an operator does."""
    here = operator.data_dir
    as_source = ("--data-dir", str(there), "--set", "os_migrate_src_cloud=dst")
    exported = operator.must("--json", "export", *NAMES, *FILTER)
    operator.must("validate")
    rehearsed = operator.must("--json", "import", "all", "--dry-run")
    after_rehearsal = picture(destination)
    imported = operator.must("--json", "import", "all")
    after_import = picture(destination)
    again = operator.must("--json", "import", "all")
    operator.must("export", *NAMES, *FILTER, *as_source)
    compared = operator.run("--json", "diff", str(here), str(there))

    edit(here / "networks.yml", "kinds-front", mtu=1380, description="what all see")
    rehearsed_edit = operator.must("import", "networks", "--dry-run")
    edited = operator.must("--json", "import", "networks")
    after_edit = picture(destination)
    compared_after_edit = operator.run("diff", str(here), str(there))

    (here / "mapping.yml").write_text(MOVED)
    words = ("--json", "import", "networks", "subnets", "--filter", "~^kinds-front")
    moved, moved_again = operator.must(*words), operator.must(*words)
    return Scene(
        source=picture(source),
        exported=exported,
        rehearsed=rehearsed,
        after_rehearsal=after_rehearsal,
        imported=imported,
        after_import=after_import,
        again=again,
        compared=compared,
        rehearsed_edit=rehearsed_edit,
        edited=edited,
        after_edit=after_edit,
        compared_after_edit=compared_after_edit,
        moved=moved,
        moved_again=moved_again,
        after_move=picture(destination),
    )


def edit(file: Path, name: str, **params: object) -> None:
    content = yaml.safe_load(file.read_text())
    (resource,) = [r for r in content["resources"] if r["params"]["name"] == name]
    resource["params"].update(params)
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def actions(done: Done) -> set[str]:
    return {resource["action"] for resource in done.result["resources"]}


def test_everything_of_ours_is_exported(scene: Scene) -> None:
    exported = {kind["kind"]: len(kind["exported"]) for kind in scene.exported.result["kinds"]}
    # Each group but that for db has the two rules that Neutron gives it.
    assert exported == {
        "networks": 2,
        "subnets": 4,
        "routers": 1,
        "router_interfaces": 2,
        "security_groups": 4,
        "security_group_rules": 14 + 3 * 2,
        "keypairs": 1,
    }


def test_a_dry_run_tells_all_and_makes_nothing(scene: Scene) -> None:
    assert actions(scene.rehearsed) == {"create"}
    assert len(scene.rehearsed.result["resources"]) == 34
    assert scene.after_rehearsal == {}


def test_the_destination_has_what_the_source_has(scene: Scene) -> None:
    assert actions(scene.imported) == {"create"}
    assert len(scene.imported.result["resources"]) == 34
    assert len(scene.source) == 12
    assert scene.after_import == scene.source


def test_odd_values_arrive_as_they_were(scene: Scene) -> None:
    there = scene.after_import
    assert there["network kinds-front"]["said"] == ("what customers see", 1400, True, True, ["front", "shop"])
    assert there["network kinds-back"]["said"][2] is False
    assert there["subnet kinds-front-4"]["dns_nameservers"] == ["10.71.0.8", "10.71.0.7"]
    assert len(there["subnet kinds-front-4"]["pools"]) == 2
    assert there["subnet kinds-front-6"]["ipv6_ra_mode"] == "slaac"
    assert there["subnet kinds-back-dark"]["gateway_ip"] is None
    assert there["subnet kinds-back-dark"]["is_dhcp_enabled"] is False
    assert there["router kinds-router"]["interfaces"] == [
        ("kinds-back-4", "10.72.0.254"),
        ("kinds-front-4", "10.71.0.1"),
    ]
    assert len(there["router kinds-router"]["routes"]) == 2
    assert {rule[6] for group in there.values() for rule in group.get("rules", ())} == {
        None,
        "kinds-web",
        "kinds-app",
        "kinds-db",
        "kinds-admin",
    }


def test_a_group_lets_out_no_more_than_its_source_does(scene: Scene) -> None:
    egress = [rule for rule in scene.after_import["group kinds-db"]["rules"] if rule[0] == "egress"]
    assert len(egress) == 2
    assert all(rule[2] in {"tcp", "udp"} for rule in egress)


def test_a_second_import_changes_nothing(scene: Scene) -> None:
    assert actions(scene.again) == {"same"}
    assert scene.again.result["others"] == []


def test_the_exports_of_both_clouds_are_equal(scene: Scene) -> None:
    assert scene.compared.result["differences"] == []
    assert scene.compared.exit_code == 0


def test_an_edit_of_the_file_is_told_and_made(scene: Scene) -> None:
    assert "~ network kinds-front\n" in scene.rehearsed_edit.out
    assert "    ~ mtu: 1400 -> 1380\n" in scene.rehearsed_edit.out
    assert sorted(r["action"] for r in scene.edited.result["resources"]) == ["same", "update"]
    changed = {name for name, was in scene.after_import.items() if scene.after_edit[name] != was}
    assert changed == {"network kinds-front"}
    assert scene.after_edit["network kinds-front"]["said"][:2] == ("what all see", 1380)
    assert scene.compared_after_edit.exit_code == 1


def test_a_mapping_makes_them_under_other_names(scene: Scene) -> None:
    assert actions(scene.moved) == {"create"}
    assert actions(scene.moved_again) == {"same"}
    assert set(scene.after_move) - set(scene.after_edit) == {
        "network kinds-moved",
        "subnet kinds-moved-v4",
        "subnet kinds-moved-v6",
    }
    assert scene.after_move["subnet kinds-moved-v4"]["network"] == "kinds-moved"
