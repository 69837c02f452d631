"""The kinds that need an administrator, and key pairs, on two fake clouds."""

from contextlib import suppress
from pathlib import Path

import pytest

from os_migrate.resources import catalog, flavors, keypairs
from os_migrate.resources.index import Index
from os_migrate.resources.keypairs import KEYPAIRS as OWN_KEYPAIRS
from os_migrate.resources.keypairs import bare
from os_migrate.resources.keystone import keystone
from os_migrate.resources.kind import Resource, Unresolved
from os_migrate.resources.projects import PROJECTS as PROJECT_KIND
from os_migrate.resources.users_keypairs import USERS_KEYPAIRS
from os_migrate.rest import Json
from os_migrate.workload import Ref
from tests.fakes.admin import key_pair
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import Hook, Killed
from tests.unit.test_kinds_cli import KINDS as TENANTS_KINDS
from tests.unit.test_kinds_cli import Clouds, Dies, furnish_all, params_of, run
from tests.unit.test_kinds_mapping import renamed

__all__ = ["run"]

PROJECTS, USERS = keystone("projects"), keystone("users")
FLAVORS, KEYPAIRS = flavors.FLAVORS.collection, keypairs.COLLECTION
ADMINS_KINDS = [kind.name for kind in catalog.KINDS if kind.for_admin]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlkXk8G alice@laptop"
HERE = {"project_name": None, "domain_name": "%auth%"}


def named(cloud: FakeCloud, many: str, name: str) -> Json:
    (found,) = [thing for thing in cloud.identity[many].values() if thing["name"] == name]
    return found


def furnish_admin(cloud: FakeCloud) -> None:
    """Make something of every kind that needs an administrator."""
    partners = named(cloud, "domains", "partners")["id"]
    shop = cloud.create_in(
        PROJECTS, {"name": "shop", "domain_id": "default", "description": "sells", "tags": ["b", "a"]}
    )
    front = {"name": "front", "domain_id": "default", "parent_id": shop["id"], "enabled": False}
    cloud.create_in(PROJECTS, {**front, "options": {"immutable": True}})
    theirs = cloud.create_in(PROJECTS, {"name": "shop", "domain_id": partners})
    of_shop = {"default_project_id": shop["id"], "email": "alice@example.org", "description": "runs it"}
    alice = cloud.create_in(USERS, {"name": "alice", "domain_id": "default", **of_shop})
    bob = cloud.create_in(
        USERS, {"name": "bob", "domain_id": partners, "enabled": False, "options": {"lock_password": True}}
    )
    roles = {role["name"]: role["id"] for role in cloud.identity["roles"].values()}
    for project, user, role in ((shop, alice, "member"), (shop, bob, "reader"), (theirs, bob, "member")):
        cloud.act_on(PROJECTS, project["id"], f"users/{user['id']}/roles/{roles[role]}", {})
    cloud.assign(scope={"project": {"id": shop["id"]}}, group={"id": "g"}, role={"id": roles["member"]})
    cloud.assign(scope={"domain": {"id": "default"}}, user={"id": alice["id"]}, role={"id": roles["admin"]})
    inherited = {"project": {"id": shop["id"]}, "OS-INHERIT:inherited_to": "projects"}
    cloud.assign(scope=inherited, user={"id": alice["id"]}, role={"id": roles["admin"]})
    cloud.create_in(KEYPAIRS, {"name": "laptop", "public_key": KEY, "user_id": alice["id"]})
    cloud.create_in(KEYPAIRS, {"name": "laptop", "public_key": KEY.replace("xk", "yy"), "user_id": bob["id"]})
    small = {"name": "small", "ram": 512, "vcpus": 1, "disk": 5}
    more = {"swap": 256, "OS-FLV-EXT-DATA:ephemeral": 2, "rxtx_factor": 1.5, "description": "for small ones"}
    flavor = cloud.create_in(FLAVORS, {**small, **more})
    specs = flavors._specs_of(flavor["id"])
    cloud.create_in(specs, {"hw:cpu_policy": "dedicated", "quota:vif outbound": "9"})
    private = cloud.create_in(FLAVORS, {**small, "name": "private", "os-flavor-access:is_public": False})
    flavors.let_in(cloud, FLAVORS, private["id"], [shop["id"], theirs["id"]])


@pytest.fixture
def admins(run: Clouds) -> Clouds:
    """Return two clouds, both with the credentials of an administrator, and something in the source."""
    for cloud in (run.source, run.destination):
        cloud.is_admin = True
        cloud.add_domain("partners")
    furnish_all(run.source)
    furnish_admin(run.source)
    return run


def test_all_kinds_arrive_as_they_were(admins):
    everything = [kind.name for kind in catalog.KINDS]
    admins.good("export", *everything)
    admins.good("import", *everything)
    admins.export_there(*everything)
    for kind in everything:
        of_kind = [params for params in params_of(admins.here, kind) if "operator" not in str(params)]
        assert of_kind != []
        there = params_of(admins.there, kind)
        assert [params for params in of_kind if params not in there] == []
        if kind in TENANTS_KINDS:
            assert of_kind == there
    told = admins("diff", str(admins.here), str(admins.there)).out.splitlines()
    assert [line for line in told if "name of project-" not in line] == ["1 differ"]


def test_an_export_tells_domains_and_what_a_cloud_chose_by_itself_is_left_out(admins):
    admins.good("export", *ADMINS_KINDS)
    projects = {(p["name"], p["domain_ref"]["name"]): p for p in params_of(admins.here, "projects")}
    assert projects["front", "%auth%"]["parent_ref"] == {"name": "shop", **HERE}
    assert projects["shop", "%auth%"]["parent_ref"]["name"] == "%auth%"
    assert projects["shop", "partners"]["parent_ref"]["name"] == "partners"
    assert projects["shop", "%auth%"]["tags"] == ["a", "b"]
    users = admins.params("users")
    assert users["alice"]["default_project_ref"] == {"name": "shop", **HERE}
    assert (users["alice"]["email"], users["bob"]["email"], users["bob"]["description"]) == (
        "alice@example.org",
        None,
        "",
    )
    assert users["bob"]["domain_ref"]["name"] == "partners"
    assignments = params_of(admins.here, "user_project_role_assignments")
    told = [(a["user_ref"]["name"], a["role_ref"]["name"], a["project_ref"]["domain_name"]) for a in assignments]
    assert sorted(told) == [("alice", "member", "%auth%"), ("bob", "member", "partners"), ("bob", "reader", "%auth%")]
    assert assignments[0]["role_ref"] == {"name": "member", "project_name": None, "domain_name": None}
    assert {p["user_ref"]["name"] for p in params_of(admins.here, "users_keypairs")} == {"alice", "bob", "operator"}
    small = admins.params("flavors")["small"]
    assert (small["swap"], small["ephemeral"], small["rxtx_factor"]) == (256, 2, 1.5)
    assert small["extra_specs"] == {"hw:cpu_policy": "dedicated", "quota:vif outbound": "9"}
    refs = [(ref["name"], ref["domain_name"]) for ref in admins.params("flavors")["private"]["access_refs"]]
    assert sorted(refs) == [("shop", "%auth%"), ("shop", "partners")]
    assert "password" not in (admins.here / "users.yml").read_text().replace("lock_password", "")


def test_second_import_changes_nothing(admins):
    admins.good("export", *ADMINS_KINDS)
    admins.good("import", *ADMINS_KINDS)
    before = admins.destination.seam.changes
    assert admins.good("import", *ADMINS_KINDS).splitlines()[-1].endswith(" same")
    assert admins.destination.seam.changes == before


def test_a_dry_run_touches_nothing(admins):
    admins.good("export", *ADMINS_KINDS)
    before = admins.destination.seam.changes
    told = admins.good("import", *ADMINS_KINDS, "--dry-run").splitlines()
    assert "+ role assignment alice: member in shop" in told
    assert "+ role assignment bob (partners): member in shop (partners)" in told
    assert "+ key pair alice: laptop" in told
    assert "+ flavor private" in told
    assert admins.destination.seam.changes == before


def test_all_leaves_them_out(admins):
    admins.good("export", *ADMINS_KINDS, *TENANTS_KINDS)
    admins.good("import", "all")
    assert {user["name"] for user in admins.destination.identity["users"].values()} == {"operator"}
    assert not [flavor for flavor in admins.destination.list_of(flavors.DETAIL) if flavor["name"] == "small"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 21))
def test_an_import_that_died_is_finished_by_the_same_command(admins, number, after):
    admins.good("export", *ADMINS_KINDS)
    admins.destination.seam.hook = Dies(number, after=after)
    with suppress(Killed):
        admins("import", *ADMINS_KINDS, "--set", "os_migrate_api_calls_parallel=1")
    admins.destination.seam.hook = Hook()
    admins.good("import", *ADMINS_KINDS)
    admins.export_there(*ADMINS_KINDS)
    told = admins("diff", str(admins.here), str(admins.there)).out.splitlines()
    assert [line for line in told if "name of project-" not in line] == ["1 differ"]


def test_files_of_os_migrate_1_0_5_load_and_import(admins):
    for file in (Path(__file__).parent / "kinds-1.0.5").glob("*.yml"):
        if file.stem in ADMINS_KINDS:
            (admins.here / file.name).write_text(file.read_text())
    assert sorted(file.stem for file in admins.here.glob("*.yml")) == sorted(ADMINS_KINDS)
    assert "nothing wrong" in admins.good("validate")
    assert "5 created" in admins.good("import", *ADMINS_KINDS)
    assert admins.good("import", *ADMINS_KINDS).splitlines() == ["5 same"]
    project = named(admins.destination, "projects", "osm_project")
    assert (project["domain_id"], project["parent_id"]) == ("default", "default")
    user = named(admins.destination, "users", "osm_user")
    assert user["default_project_id"] == admins.destination.scope().project_id
    (assigned,) = admins.destination.identity["role_assignments"].values()
    assert (assigned["scope"]["project"]["id"], assigned["user"]["id"]) == (project["id"], user["id"])


# What differs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def there(admins: Clouds) -> Clouds:
    """Return clouds whose destination has all that the files describe."""
    admins.good("export", *ADMINS_KINDS)
    admins.good("import", *ADMINS_KINDS)
    return admins


@pytest.mark.parametrize(
    ("kind", "name", "params", "change"),
    [
        ("projects", "front", {"options": {"immutable": False}}, "options: {immutable: true} -> {immutable: false}"),
        ("users", "alice", {"email": "a@b.c"}, "email: 'alice@example.org' -> 'a@b.c'"),
        ("users", "bob", {"email": "a@b.c"}, "email: null -> 'a@b.c'"),
        ("users", "bob", {"description": "a"}, "description: '' -> 'a'"),
        ("users", "bob", {"is_enabled": True}, "is_enabled: false -> true"),
        ("users", "bob", {"default_project_ref": {"name": "front", **HERE}}, "default_project_ref: null -> front"),
        ("flavors", "small", {"description": "a"}, "description: 'for small ones' -> 'a'"),
        ("flavors", "small", {"extra_specs": {"a": "1"}}, "-> {a: '1'}"),
        ("flavors", "private", {"access_refs": [{"name": "front", **HERE}]}, "access_refs: [shop, shop] -> [front]"),
    ],
)
def test_an_edited_file_is_an_update(there, kind, name, params, change):
    there.edit(kind, name, **params)
    dry = there.good("import", kind, "--dry-run").splitlines()
    assert [line for line in dry if change in line]
    assert "1 updated" in there.good("import", kind)
    before = there.destination.seam.changes
    assert there.good("import", kind).splitlines()[-1].endswith(" same")
    assert there.destination.seam.changes == before


@pytest.mark.parametrize(
    ("kind", "name", "params", "change"),
    [
        ("flavors", "small", {"ram": 1024}, "ram: 512 -> 1024"),
        ("flavors", "small", {"swap": 0}, "swap: 256 -> 0"),
        ("flavors", "small", {"rxtx_factor": 1}, "rxtx_factor: 1.5 -> 1"),
        ("flavors", "private", {"is_public": True}, "is_public: false -> true"),
        ("projects", "front", {"parent_ref": {"name": "%auth%"}}, "parent_ref: shop -> %auth%"),
    ],
)
def test_what_cannot_be_changed_is_refused_before_anything_is_touched(there, kind, name, params, change):
    there.edit(kind, name, **params)
    before = there.destination.seam.changes
    ran = there("import", kind)
    assert ran.exit_code == 2
    assert f"this can't be changed: {change}" in ran.err
    assert f"{kind}.yml:" in ran.err
    assert "rename or delete the" in ran.err
    assert there.destination.seam.changes == before


def test_extra_specs_become_those_of_the_file_and_no_project_loses_its_access(there):
    front = named(there.destination, "projects", "front")["id"]
    by_name = {flavor["name"]: flavor for flavor in there.destination.list_of(flavors.DETAIL, {"is_public": "None"})}
    flavors.let_in(there.destination, FLAVORS, by_name["private"]["id"], [front])
    there.destination.create_in(flavors._specs_of(by_name["small"]["id"]), {"more": "1", "hw:cpu_policy": "shared"})
    assert "1 updated" in there.good("import", "flavors")
    specs = there.destination.read_from(flavors._of(by_name["small"]["id"], "", "", ""), "os-extra_specs")
    assert specs == {"hw:cpu_policy": "dedicated", "quota:vif outbound": "9"}
    assert front in flavors._access_to(there.destination, by_name["private"]["id"])


def test_options_that_the_file_does_not_say_stay(there):
    bob = named(there.destination, "users", "bob")
    there.destination.update_in(USERS, bob["id"], {"options": {"ignore_password_expiry": True}})
    before = there.destination.seam.changes
    assert there.good("import", "users").splitlines() == ["3 same"]
    assert there.destination.seam.changes == before


def test_access_of_projects_that_are_gone_is_not_exported(admins):
    (private,) = [f for f in admins.source.list_of(flavors.DETAIL, {"is_public": "None"}) if f["name"] == "private"]
    flavors.let_in(admins.source, FLAVORS, private["id"], ["gone"])
    admins.good("export", "flavors")
    assert len(admins.params("flavors")["private"]["access_refs"]) == 2
    assert flavors._access_to(admins.source, private["id"])[-1] == "gone"


def test_specs_that_an_old_nova_does_not_list_are_read_one_by_one(admins, monkeypatch):
    shown = admins.source._shown
    monkeypatch.setattr(
        admins.source, "_shown", lambda f: {k: v for k, v in {**shown(f), "swap": ""}.items() if k != "extra_specs"}
    )
    admins.good("export", "flavors")
    small = admins.params("flavors")["small"]
    assert small["extra_specs"]["hw:cpu_policy"] == "dedicated"
    assert small["swap"] == 0


# Projects and users -----------------------------------------------------------------------------------------------------


def test_a_project_is_made_after_the_one_that_it_is_in(admins):
    parent = named(admins.source, "projects", "front")["id"]
    for name in ("aa", "zz", "ab"):
        parent = admins.source.create_in(PROJECTS, {"name": name, "domain_id": "default", "parent_id": parent})["id"]
    admins.good("export", "projects")
    admins.good("import", "projects")
    names, project = [], named(admins.destination, "projects", "ab")
    while project["id"] != "default":
        names.append(project["name"])
        parents = {**admins.destination.identity["projects"], "default": {"id": "default"}}
        project = parents[project["parent_id"]]
    assert names == ["ab", "zz", "aa", "front", "shop"]


def test_projects_that_are_in_each_other_end_with_an_error(admins):
    admins.good("export", "projects")
    admins.edit("projects", "front", parent_ref={"name": "ring", **HERE})
    text = (admins.here / "projects.yml").read_text().replace("name: name of project-source", "name: ring")
    (admins.here / "projects.yml").write_text(text)
    admins.edit("projects", "ring", parent_ref={"name": "front", **HERE})
    ran = admins("import", "projects")
    assert ran.exit_code == 2
    assert "2 created, 2 failed" in ran.out


def test_new_users_have_no_password_and_it_is_said(admins):
    admins.good("export", "projects", "users")
    for words in (["--dry-run"], []):
        assert "new users have no password" in admins("import", "projects", "users", *words).err
    assert not [user for user in admins.destination.identity["users"].values() if "password" in user]
    assert "password" not in admins("import", "projects", "users").err


def test_where_the_domain_is_missing_it_is_refused(admins):
    admins.good("export", *ADMINS_KINDS)
    del admins.destination.identity["domains"][named(admins.destination, "domains", "partners")["id"]]
    before = admins.destination.seam.changes
    ran = admins("import", *ADMINS_KINDS)
    assert ran.exit_code == 2
    assert "there is no domain 'partners'" in ran.err
    assert admins.destination.seam.changes == before


def test_a_name_that_several_domains_have_is_refused_with_the_candidates(admins):
    index = Index(admins.source, catalog.KINDS, catalog.REFERRED)
    ids = [p["id"] for p in admins.source.identity["projects"].values() if p["name"] == "shop"]
    with pytest.raises(Unresolved, match="2 projects are called 'shop'") as caught:
        index.id_of("projects", Ref("shop"))
    assert all(project_id in caught.value.remedy for project_id in ids)
    assert "domain_name" in caught.value.remedy
    assert [index.id_of("projects", Ref("shop", None, d)) for d in ("%auth%", "partners")] == ids
    assert index.id_of("projects", Ref("shop", None, "Default")) == ids[0]
    with pytest.raises(Unresolved, match="there is no user 'alice' in domain 'partners'"):
        index.id_of("users", Ref("alice", None, "partners"))


def test_a_role_without_a_domain_is_one_of_the_whole_cloud(admins):
    partners = named(admins.source, "domains", "partners")["id"]
    everywhere = named(admins.source, "roles", "member")["id"]
    admins.source.identity["roles"]["theirs"] = {"id": "theirs", "name": "member", "domain_id": partners}
    index = Index(admins.source, catalog.KINDS, catalog.REFERRED)
    assert index.id_of("roles", Ref("member")) == everywhere
    assert index.id_of("roles", Ref("member", None, "partners")) == "theirs"
    assert index.ref_to("roles", "theirs") == Ref("member", None, "partners")


def test_a_name_that_is_auth_means_the_current_one(admins):
    index = Index(admins.source, catalog.KINDS, catalog.REFERRED)
    scope = admins.source.scope()
    told = [index.id_of(kind, Ref("%auth%", "%auth%", "%auth%")) for kind in ("projects", "domains", "users")]
    assert told == [scope.project_id, scope.domain_id, scope.user_id]


def test_assignments_to_a_current_project_keep_its_name(admins):
    """Whoever comes from it must not end up in whatever project an administrator imports from."""
    own = admins.source.scope().project_id
    alice, role = named(admins.source, "users", "alice")["id"], named(admins.source, "roles", "member")["id"]
    admins.source.act_on(PROJECTS, own, f"users/{alice}/roles/{role}", {})
    admins.good("export", "user_project_role_assignments")
    told = params_of(admins.here, "user_project_role_assignments")
    assert "name of project-source" in {params["project_ref"]["name"] for params in told}


def test_assignments_and_key_pairs_are_chosen_by_their_users(admins):
    for kind, count in (("user_project_role_assignments", 2), ("users_keypairs", 1)):
        admins.good("export", kind, "--set", "os_migrate_user_filter=[bob]")
        assert [params["user_ref"]["name"] for params in params_of(admins.here, kind)] == ["bob"] * count


def test_the_other_kinds_are_chosen_by_their_names(admins):
    for kind, name in (("flavors", "small"), ("projects", "front"), ("users", "bob"), ("keypairs", "laptop")):
        admins.source.create_in(KEYPAIRS, {"name": f"other {kind}", "public_key": KEY})
        admins.good("export", kind, "--set", f"os_migrate_{kind}_filter=[{name}]")
        assert [params["name"] for params in params_of(admins.here, kind)] == [name]


def test_names_of_the_mapping_are_those_of_the_destination(admins):
    role = admins.destination.identity["roles"]
    role[named(admins.destination, "roles", "member")["id"]]["name"] = "_member_"
    named(admins.destination, "domains", "partners")["name"] = "friends"
    admins.good("export", *ADMINS_KINDS)
    (admins.here / "mapping.yml").write_text(
        "projects: {shop: market}\nusers: {bob: robert}\nroles: {member: _member_}\ndomains: {partners: friends}\n"
        "keypairs: {laptop: notebook}\nflavors: {small: gp.small}\n"
    )
    told = admins.good("import", *ADMINS_KINDS, "--dry-run")
    assert "role assignment robert (friends): _member_ in market (friends)" in told
    admins.good("import", *ADMINS_KINDS)
    before = admins.destination.seam.changes
    admins.good("import", *ADMINS_KINDS)
    assert admins.destination.seam.changes == before
    assert {p["name"] for p in admins.destination.identity["projects"].values()} >= {"market", "front"}
    robert = named(admins.destination, "users", "robert")
    assert [p["name"] for p in admins.destination.list_of(KEYPAIRS, {"user_id": robert["id"]})] == ["notebook"]
    assert [f for f in admins.destination.list_of(flavors.DETAIL) if f["name"] == "gp.small"]


def test_what_is_current_is_not_mapped():
    ref = {"name": "%auth%", "project_name": "%auth%", "domain_name": "%auth%"}
    project = Resource(PROJECT_KIND, {"name": "a", "domain_ref": ref, "parent_ref": ref}, {}, {})
    text = "projects: [{default: x}]\ndomains: [{default: y}]\n"
    assert renamed(project, text).params == {"name": "x", "domain_ref": ref, "parent_ref": ref}
    domain = {"name": "partners", "project_name": None, "domain_name": None}
    project = Resource(PROJECT_KIND, {"name": "a", "parent_ref": domain}, {}, {})
    assert renamed(project, text).params["parent_ref"]["name"] == "y"


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("users", "identity:list_domains"),
        ("projects", "identity:list_projects"),
        ("user_project_role_assignments", "identity:list_role_assignments"),
        ("users_keypairs", "identity:list_domains"),
    ],
)
def test_a_tenant_is_told_which_right_is_missing(run, kind, right):
    ran = run("export", kind)
    assert ran.exit_code == 3
    assert right in ran.err
    assert not (run.here / f"{kind}.yml").exists()


def test_a_tenant_who_imports_flavors_is_told_which_right_is_missing(admins):
    admins.good("export", "flavors", "--filter", "small")
    admins.destination.is_admin = False
    ran = admins("import", "flavors", "--filter", "small")
    assert ran.exit_code == 3
    assert "os_compute_api:os-flavor-manage:create" in ran.err


# Key pairs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["keypairs", "users_keypairs"])
def test_another_key_under_the_same_name_is_refused(admins, kind):
    admins.good("export", "projects", "users", kind)
    admins.good("import", "projects", "users", kind)
    file = admins.here / f"{kind}.yml"
    file.write_text(file.read_text().replace("IPlkXk8G", "IOther").replace("AAAAC3Nz me", "AAAAOther me"))
    before = admins.destination.seam.changes
    ran = admins("import", kind)
    assert ran.exit_code == 2
    assert "laptop is there already" in ran.err
    assert "this can't be changed: public_key: " in ran.err
    assert "delete the key pair in the destination" in ran.err
    assert admins.destination.seam.changes == before


def test_another_comment_makes_no_other_key(admins):
    admins.good("export", "keypairs")
    admins.good("import", "keypairs")
    file = admins.here / "keypairs.yml"
    file.write_text(file.read_text().replace("me@laptop", "me@home"))
    assert admins.good("import", "keypairs").splitlines() == ["1 same"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ssh-rsa AAAA me@home", "ssh-rsa  AAAA\n", True),
        ("ssh-rsa AAAA me", "ssh-rsa AAAB me", False),
        ("ssh-rsa AAAA", "ssh-dss AAAA", False),
        ("-----BEGIN CERTIFICATE-----\nMII\nC\n", "-----BEGIN CERTIFICATE-----\r\nMIIC", True),
        ("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMIIC", False),
        ("odd", "odd ", True),
    ],
)
def test_keys_are_the_same_where_their_fingerprints_are(one, other, same):
    assert (bare(one) == bare(other)) is same


def test_key_pairs_of_the_conversion_hosts_are_left_out(admins):
    admins.source.create_in(KEYPAIRS, {"name": "os_migrate_conv", "public_key": KEY})
    admins.good("export", "keypairs", "users_keypairs")
    assert list(admins.params("keypairs")) == ["laptop"]
    assert {params["name"] for params in params_of(admins.here, "users_keypairs")} == {"laptop"}


def test_a_private_key_in_a_file_is_refused_and_not_told():
    secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n"
    for kind in (OWN_KEYPAIRS, USERS_KEYPAIRS):
        user = {"user_ref": {"name": "alice"}} if kind is USERS_KEYPAIRS else {}
        params = {"name": "a", "public_key": secret, **user}
        (fault,) = kind.structure({"type": kind.type, "params": params})
        assert "is a private key" in fault.what
        assert "b3Blb" not in fault.what + fault.remedy


def test_key_pairs_of_others_are_no_key_pairs_of_the_user():
    params = {"name": "a", "public_key": KEY, "user_ref": {"name": "alice"}}
    (fault,) = OWN_KEYPAIRS.structure({"type": OWN_KEYPAIRS.type, "params": params})
    assert "must be %auth%, is 'alice'" in fault.what
    assert "users_keypairs.yml" in fault.remedy


def test_key_pairs_of_a_user_that_the_same_command_makes_are_made_for_them(admins):
    admins.good("export", "projects", "users", "users_keypairs")
    admins.good("import", "projects", "users", "users_keypairs")
    alice = named(admins.destination, "users", "alice")["id"]
    (pair,) = admins.destination.list_of(KEYPAIRS, {"user_id": alice})
    assert pair == key_pair("laptop", KEY)


def test_key_pairs_alone_are_refused_where_their_user_is_missing(admins):
    admins.good("export", "users_keypairs")
    ran = admins("import", "users_keypairs")
    assert ran.exit_code == 2
    assert "there is no user 'alice' in this domain" in ran.err
    assert "import the users first" in ran.err
