"""Projects, users, their roles and key pairs, and flavors, made alike in the other cloud by an administrator of both."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab import scenario
from lab.settings import STATE_DIR
from os_migrate.resources.catalog import KINDS
from tests.acceptance.belongings import Picture, public_key
from tests.acceptance.operating import Done, Operator
from tests.acceptance.test_kinds import actions

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# All that is made here has this in front, so that what the clouds hold otherwise is left alone.
OURS = "kinds-"
FILTER = ("--filter", f"~^{OURS}")
NAMES = tuple(kind.name for kind in KINDS if kind.for_admin)
DOMAIN = "default"
SIZES = {"ram": 96, "vcpus": 2, "disk": 1}
SPECS = {"hw:cpu_policy": "shared", "quota:cpu_shares": "9"}


def furnish(cloud: Any) -> None:
    """Make two projects, one in the other, a user with two roles and a key pair, a flavor for all and one for a project."""
    identity, compute = cloud.identity, cloud.compute
    shop = identity.create_project(name="kinds-shop", domain_id=DOMAIN, description="sells", tags=["b", "a"])
    front = identity.create_project(name="kinds-front", domain_id=DOMAIN, parent_id=shop.id)
    alice = identity.create_user(
        name="kinds-alice", domain_id=DOMAIN, email="alice@example.org", default_project_id=shop.id, password="a secret"
    )
    for project, name in ((shop, "member"), (front, "reader")):
        role = identity.find_role(name, ignore_missing=False)
        identity.assign_project_role_to_user(project, alice, role)
    compute.create_keypair(name="kinds-key", public_key=public_key(), user_id=alice.id)
    small = compute.create_flavor(name="kinds-small", **SIZES, swap=64, ephemeral=1)
    compute.create_flavor_extra_specs(small, SPECS)
    private = compute.create_flavor(name="kinds-private", **SIZES, is_public=False)
    compute.flavor_add_tenant_access(private, front.id)


def flavors(cloud: Any) -> list[dict[str, Any]]:
    listed = cloud.compute.get("/flavors/detail?is_public=None", microversion="2.75").json()["flavors"]
    return [flavor for flavor in listed if flavor["name"].startswith(OURS)]


def keys(cloud: Any, user_id: str) -> list[dict[str, Any]]:
    listed = cloud.compute.get(f"/os-keypairs?user_id={user_id}", microversion="2.10").json()["keypairs"]
    return [entry["keypair"] for entry in listed]


def ours(things: Any) -> list[Any]:
    return [thing for thing in things if thing.name.startswith(OURS)]


def clear(cloud: Any) -> None:
    """Delete all of ours, a project after those in it."""
    for flavor in flavors(cloud):
        cloud.compute.delete_flavor(flavor["id"])
    for user in ours(cloud.identity.users()):
        for pair in keys(cloud, user.id):
            cloud.compute.delete(f"/os-keypairs/{pair['name']}?user_id={user.id}", microversion="2.10")
        cloud.identity.delete_user(user)
    for project in sorted(ours(cloud.identity.projects()), key=lambda p: p.parent_id == DOMAIN):
        cloud.identity.delete_project(project)


def picture(cloud: Any) -> Picture:
    """Return what of ours a cloud has, with names instead of ids: found out without the product."""
    projects = {project.id: project for project in ours(cloud.identity.projects())}
    roles = {role.id: role.name for role in cloud.identity.roles()}
    found: Picture = {}
    for project in projects.values():
        parent = projects[project.parent_id].name if project.parent_id in projects else project.parent_id
        said = (project.description, project.is_enabled, parent, project.domain_id, sorted(project.tags))
        found[f"project {project.name}"] = {"said": said}
    for user in ours(cloud.identity.users()):
        assigned = [a for a in cloud.identity.role_assignments(user_id=user.id) if a.user["id"] == user.id]
        found[f"user {user.name}"] = {
            "said": (user.email, user.is_enabled, projects[user.default_project_id].name, user.domain_id),
            "roles": sorted((roles[a.role["id"]], projects[a.scope["project"]["id"]].name) for a in assigned),
            "keys": [(pair["name"], pair["public_key"], pair["fingerprint"]) for pair in keys(cloud, user.id)],
        }
    for flavor in flavors(cloud):
        private = not flavor["os-flavor-access:is_public"]
        access = (
            cloud.compute.get(f"/flavors/{flavor['id']}/os-flavor-access").json()["flavor_access"] if private else []
        )
        found[f"flavor {flavor['name']}"] = {
            **{key: value for key, value in flavor.items() if key not in {"id", "links"}},
            "access": [projects[entry["tenant_id"]].name for entry in access],
        }
    return found


@dataclass(frozen=True)
class Scene:
    """What the commands said one after the other, and what the clouds held in between."""

    source: Picture
    by_tenant: Done
    exported: Done
    files: str
    rehearsed: Done
    after_rehearsal: Picture
    imported: Done
    after_import: Picture
    again: Done
    other_size: Done
    after_refusal: Picture


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    directory = STATE_DIR / "acceptance-kinds-admin"
    source, destination = scenario.connect("src-admin"), scenario.connect("dst-admin")
    with ExitStack() as stack:
        for cloud in (source, destination):
            stack.callback(clear, cloud)
            clear(cloud)
        shutil.rmtree(directory, ignore_errors=True)
        scenario.write_settings(directory, os_migrate_src_cloud="src-admin", os_migrate_dst_cloud="dst-admin")
        furnish(source)
        yield play(Operator(directory), source, destination)
    for cloud in (source, destination):
        assert picture(cloud) == {}


def play(operator: Operator, source: Any, destination: Any) -> Scene:
    """Do as an operator does."""
    as_tenant = ("--data-dir", str(operator.directory / "tenant"), "--set", "os_migrate_src_cloud=src")
    by_tenant = operator.run("export", "users", *as_tenant)
    exported = operator.must("--json", "export", *NAMES, *FILTER)
    operator.must("validate")
    files = "".join(file.read_text() for file in operator.data_dir.glob("*.yml"))
    rehearsed = operator.must("--json", "import", *NAMES, "--dry-run")
    after_rehearsal = picture(destination)
    imported = operator.must("--json", "import", *NAMES)
    after_import = picture(destination)
    again = operator.must("--json", "import", *NAMES)
    file = operator.data_dir / "flavors.yml"
    content = yaml.safe_load(file.read_text())
    for resource in content["resources"]:
        resource["params"]["ram"] = 128
    file.write_text(yaml.safe_dump(content))
    return Scene(
        source=picture(source),
        by_tenant=by_tenant,
        exported=exported,
        files=files,
        rehearsed=rehearsed,
        after_rehearsal=after_rehearsal,
        imported=imported,
        after_import=after_import,
        again=again,
        other_size=operator.run("import", "flavors"),
        after_refusal=picture(destination),
    )


def test_everything_of_ours_is_exported(scene: Scene) -> None:
    exported = {kind["kind"]: len(kind["exported"]) for kind in scene.exported.result["kinds"]}
    assert exported == {
        "projects": 2,
        "users": 1,
        "user_project_role_assignments": 2,
        "users_keypairs": 1,
        "flavors": 2,
    }
    assert "secret" not in scene.files
    assert "PRIVATE" not in scene.files


def test_a_dry_run_tells_all_and_makes_nothing(scene: Scene) -> None:
    assert actions(scene.rehearsed) == {"create"}
    assert len(scene.rehearsed.result["resources"]) == 8
    assert scene.after_rehearsal == {}


def test_the_destination_has_what_the_source_has(scene: Scene) -> None:
    assert actions(scene.imported) == {"create"}
    assert len(scene.source) == 5
    assert scene.after_import == scene.source
    assert scene.after_import["flavor kinds-small"]["extra_specs"] == SPECS
    assert scene.after_import["flavor kinds-private"]["access"] == ["kinds-front"]
    assert scene.after_import["user kinds-alice"]["roles"] == [("member", "kinds-shop"), ("reader", "kinds-front")]


def test_a_second_import_changes_nothing(scene: Scene) -> None:
    assert actions(scene.again) == {"same"}


def test_another_size_under_the_same_name_is_refused(scene: Scene) -> None:
    assert scene.other_size.exit_code == 2
    assert "this can't be changed: ram: 96 -> 128" in scene.other_size.err
    assert scene.after_refusal == scene.after_import


def test_a_tenant_is_told_which_right_is_missing(scene: Scene) -> None:
    assert scene.by_tenant.exit_code == 3
    assert "the user lacks the right identity:list_" in scene.by_tenant.err
