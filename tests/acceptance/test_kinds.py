"""A whole project, made alike in the other cloud and migrated there; as an ordinary tenant of both."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import scenario
from lab.settings import STATE_DIR
from os_migrate.resources.catalog import KINDS
from tests.acceptance.belongings import (
    IMAGES,
    KEYS,
    OURS,
    SPARES,
    Picture,
    clear,
    create_servers,
    create_spares,
    described,
    furnish,
    picture,
)
from tests.acceptance.operating import Done, Operator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

FILTER = ("--filter", f"~^{OURS}")
NAMES = tuple(kind.name for kind in KINDS if not kind.for_admin)
MOVED = """\
networks: {kinds-front: kinds-moved}
subnets:
- {regex: 'kinds-front-(.)', to: 'kinds-moved-v\\1'}
"""


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
    servers: Picture
    migrated: Done
    migrated_again: Done
    twins: Picture
    after_migration: Picture
    imported_at_last: Done


@pytest.fixture(scope="module")
def scene(operator: Operator, source: Any, destination: Any) -> Iterator[Scene]:
    directory = STATE_DIR / "acceptance-kinds"
    with ExitStack() as stack:
        for cloud in (source, destination):
            stack.callback(clear, cloud)
            clear(cloud)
        shutil.rmtree(directory, ignore_errors=True)
        scenario.write_settings(directory)
        shutil.copytree(operator.data_dir / "conversion", directory / "data" / "conversion")
        furnish(source)
        create_spares(source)
        create_servers(source)
        yield play(Operator(directory), directory / "there", source, destination)
    for cloud in (source, destination):
        assert picture(cloud) == {}


def play(operator: Operator, there: Path, source: Any, destination: Any) -> Scene:
    """Do as an operator does."""
    here = operator.data_dir
    as_source = ("--data-dir", str(there), "--set", "os_migrate_src_cloud=dst")
    exported = operator.must("--json", "export", *NAMES, *FILTER)
    operator.must("export", "workloads", *FILTER)
    operator.must("export", "detached_volumes", *FILTER)
    operator.must("validate")
    rehearsed = operator.must("--json", "import", "all", "--dry-run")
    after_rehearsal = picture(destination)
    imported = operator.must("--json", "import", "all")
    operator.must("import", "detached_volumes")
    after_import = picture(destination)
    again = operator.must("--json", "import", "all")
    operator.must("import", "detached_volumes")
    operator.must("export", *NAMES, *FILTER, *as_source)
    operator.must("export", "detached_volumes", *FILTER, *as_source)
    (workloads := here / "workloads.yml").rename(here / "kept.yml")  # servers come when all else is there
    compared = operator.run("--json", "diff", str(here), str(there))
    (here / "kept.yml").rename(workloads)

    servers = described(source)
    operator.edit_workloads(as_wanted)
    operator.must("plan")
    migrated, migrated_again = operator.must("--json", "migrate"), operator.must("--json", "migrate")
    twins, after_migration = described(destination), picture(destination)
    imported_at_last = operator.must("--json", "import", "all")

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
        servers=servers,
        migrated=migrated,
        migrated_again=migrated_again,
        twins=twins,
        after_migration=after_migration,
        imported_at_last=imported_at_last,
    )


def as_wanted(described: dict[str, Any], params: dict[str, Any]) -> None:
    """Have one server's boot disk copied, and the ports of another kept as they are."""
    if described["name"] == "kinds-old":
        params.update(boot_disk_copy=True)
    if described["name"] == "kinds-edge":
        params.update(port_creation_mode="neutron")


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
        "images": len(IMAGES),
        "keypairs": len(KEYS),
    }


def test_a_dry_run_tells_all_and_makes_nothing(scene: Scene) -> None:
    assert actions(scene.rehearsed) == {"create"}
    assert len(scene.rehearsed.result["resources"]) == 33 + len(IMAGES) + len(KEYS)
    assert scene.after_rehearsal == {}


def test_the_destination_has_what_the_source_has(scene: Scene) -> None:
    assert actions(scene.imported) == {"create"}
    assert len(scene.imported.result["resources"]) == 33 + len(IMAGES) + len(KEYS)
    assert len(scene.source) == 11 + len(IMAGES) + len(KEYS) + len(SPARES)
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


def test_servers_of_all_shapes_follow(scene: Scene) -> None:
    assert {name: outcome["result"] for name, outcome in scene.migrated.results.items()} == dict.fromkeys(
        scene.servers, "migrated"
    )
    assert len(scene.servers) == 5
    disks = [disk for outcome in scene.migrated.results.values() for disk in outcome["report"]["disks"]]
    assert len(disks) == 1 + 2 + 1
    assert all(disk["source_digest"] == disk["destination_digest"] for disk in disks)


def test_twins_are_as_their_sources(scene: Scene) -> None:
    copied = "kinds-old"  # it boots from a volume now
    for twin, server in ((scene.twins[name], server) for name, server in scene.servers.items()):
        assert {**twin, "volumes": server["volumes"]} == server
    assert {name: twin["volumes"] for name, twin in scene.twins.items() if name != copied} == {
        name: server["volumes"] for name, server in scene.servers.items() if name != copied
    }
    assert len(scene.twins[copied]["volumes"]) == 1


def test_a_second_run_changes_nothing(scene: Scene) -> None:
    assert {outcome["result"] for outcome in scene.migrated_again.results.values()} == {"skipped"}
    assert actions(scene.imported_at_last) == {"same"}
    assert scene.after_migration == scene.after_import
