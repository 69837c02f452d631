"""What the kinds of administrators count on in Keystone and Nova, asked of the fake and of real clouds alike."""

import pytest

from os_migrate.cloud import connect
from os_migrate.errors import CloudError
from os_migrate.resources import flavors, keypairs, users
from os_migrate.resources import user_project_role_assignments as assignments
from os_migrate.resources.keystone import keystone
from os_migrate.rest import Json
from os_migrate.settings import CloudSettings
from tests.contract.conftest import LAB_DIR, Place
from tests.contract.test_collections_contract import Workshop

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

PROJECTS, USERS, DOMAINS, ROLES = (keystone(many) for many in ("projects", "users", "domains", "roles"))
FLAVORS, KEYPAIRS = flavors.FLAVORS.collection, keypairs.COLLECTION
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqqHOyIYKXNBwvuuMVYxBOBtKRPlkXk8GmnKzZlKBJr contract"
OTHER_KEY = KEY.replace("BJr", "BJs")
SMALL = {"ram": 64, "vcpus": 1, "disk": 1}


class Office(Workshop):
    """A workshop of an administrator."""

    def domain(self) -> str:
        return self.rest.scope().domain_id

    def project(self, **body: object) -> Json:
        return self.make(PROJECTS, **{"domain_id": self.domain(), **body})

    def user(self, **body: object) -> Json:
        return self.make(USERS, **{"domain_id": self.domain(), **body})

    def role(self) -> str:
        return next(role["id"] for role in self.rest.list_of(ROLES) if role["name"] == "member")

    def key(self, user: Json | None = None, **body: object) -> Json:
        """Make a key pair; Nova knows it by its name, and whose it is."""
        of_user = {"user_id": user["id"]} if user else {}
        body = {"name": self.place.name("key"), "public_key": KEY, **of_user, **body}
        made = self.rest.create_in(KEYPAIRS, body)
        query = f"?user_id={user['id']}" if user else ""
        self.place.cleanup.callback(self.rest.delete_from, KEYPAIRS, f"{made['name']}{query}")
        return made

    def flavor(self, thing_id: str) -> Json:
        (found,) = [f for f in self.rest.list_of(flavors.DETAIL, {"is_public": "None"}) if f["id"] == thing_id]
        return found


@pytest.fixture
def tenant(place: Place) -> Office:
    return Office(place)


@pytest.fixture
def office(monkeypatch, place: Place, request) -> Office:
    """The same cloud with the credentials of its administrator."""
    name = request.node.callspec.params["shared_place"]
    if name == "fake":
        monkeypatch.setattr(place.cloud, "is_admin", True)
        return Office(place)
    place.cloud = connect(CloudSettings(cloud=f"{name}-admin"), LAB_DIR / "clouds.yaml", name=f"{name}-admin")
    return Office(place)


# Key pairs --------------------------------------------------------------------------------------------------------------


def test_a_key_pair_is_listed_without_its_wrapper_as_it_was_given(tenant):
    made = tenant.key()
    (found,) = [pair for pair in tenant.rest.list_of(KEYPAIRS) if pair["name"] == made["name"]]
    assert (found["public_key"], found["type"]) == (KEY, "ssh")
    assert found["fingerprint"] == made["fingerprint"]
    assert "private_key" not in {*found, *made}


def test_a_second_key_pair_of_a_name_is_refused(tenant):
    made = tenant.key()
    with pytest.raises(CloudError):
        tenant.key(name=made["name"], public_key=OTHER_KEY)


def test_key_pairs_of_others_take_an_administrator(office):
    user = office.user()
    made = office.key(user)
    (found,) = office.rest.list_of(KEYPAIRS, {"user_id": user["id"]})
    assert (found["name"], found["public_key"]) == (made["name"], KEY)
    assert made["name"] not in {pair["name"] for pair in office.rest.list_of(KEYPAIRS)}


# Flavors ----------------------------------------------------------------------------------------------------------------


def test_a_flavor_is_listed_with_its_sizes_and_specs(office):
    more = {"description": "for small ones", "OS-FLV-EXT-DATA:ephemeral": 1, "swap": 64, "rxtx_factor": 1.5}
    made = office.make(FLAVORS, **SMALL, **more)
    flavors.set_specs(office.rest, FLAVORS, made["id"], {"hw:cpu_policy": "shared", "quota:cpu_shares": "9"})
    found = office.flavor(made["id"])
    assert {key: found[key] for key in (*SMALL, *more)} == {**SMALL, **more}
    assert found["extra_specs"] == {"hw:cpu_policy": "shared", "quota:cpu_shares": "9"}
    assert found["os-flavor-access:is_public"] is True
    assert found["OS-FLV-DISABLED:disabled"] is False


def test_specs_become_what_is_wanted(office):
    made = office.make(FLAVORS, **SMALL)
    flavors.set_specs(office.rest, FLAVORS, made["id"], {"hw:cpu_policy": "shared", "quota:cpu_shares": "9"})
    flavors.set_specs(office.rest, FLAVORS, made["id"], {"hw:cpu_policy": "dedicated", "a b": "1"})
    assert flavors._read_specs(office.rest, made["id"]) == {"hw:cpu_policy": "dedicated", "a b": "1"}
    flavors.set_specs(office.rest, FLAVORS, made["id"], {})
    assert office.flavor(made["id"])["extra_specs"] == {}


def test_of_a_flavor_only_the_description_can_be_changed(office):
    made = office.make(FLAVORS, **SMALL)
    assert office.rest.update_in(FLAVORS, made["id"], {"description": "after"})["description"] == "after"
    with pytest.raises(CloudError):
        office.rest.update_in(FLAVORS, made["id"], {"ram": 128})
    with pytest.raises(CloudError):
        office.rest.create_in(FLAVORS, {**SMALL, "name": made["name"]})


def test_a_private_flavor_is_listed_with_who_may_use_it(office):
    project = office.project()
    made = office.make(FLAVORS, **SMALL, **{"os-flavor-access:is_public": False})
    assert made["id"] not in {f["id"] for f in office.rest.list_of(flavors.DETAIL)}
    for _ in range(2):
        flavors.let_in(office.rest, FLAVORS, made["id"], [project["id"]])
    (found,) = [f for f in flavors.with_all(office.rest, FLAVORS, {}) if f["id"] == made["id"]]
    assert found["access"] == [project["id"]]
    assert found["os-flavor-access:is_public"] is False


def test_flavors_of_a_tenant_are_refused(tenant):
    with pytest.raises(CloudError, match="os_compute_api:os-flavor-manage:create"):
        tenant.make(FLAVORS, **SMALL)


# Projects and users -----------------------------------------------------------------------------------------------------


def test_a_project_is_listed_as_it_was_asked_for(office):
    made = office.project(description="sells", tags=["b", "a"], enabled=False, options={"immutable": True})
    office.place.cleanup.callback(office.rest.update_in, PROJECTS, made["id"], {"options": {"immutable": False}})
    (found,) = [p for p in office.rest.list_of(PROJECTS) if p["id"] == made["id"]]
    assert (found["description"], sorted(found["tags"]), found["enabled"]) == ("sells", ["a", "b"], False)
    assert (found["domain_id"], found["parent_id"], found["is_domain"]) == (office.domain(), office.domain(), False)
    assert found["options"] == {"immutable": True}
    with pytest.raises(CloudError):
        office.rest.update_in(PROJECTS, made["id"], {"description": "no"})


def test_a_project_is_changed_where_it_can_be(office):
    made = office.project(description="before")
    body = {"description": "after", "tags": ["c"], "enabled": False}
    office.rest.update_in(PROJECTS, made["id"], body)
    (found,) = [p for p in office.rest.list_of(PROJECTS) if p["id"] == made["id"]]
    assert {key: found[key] for key in body} == body
    parent = office.project()
    with pytest.raises(CloudError):
        office.rest.update_in(PROJECTS, made["id"], {"parent_id": parent["id"]})


def test_a_project_in_a_project_says_so(office):
    parent = office.project()
    child = office.project(parent_id=parent["id"])
    assert (child["parent_id"], child["domain_id"]) == (parent["id"], office.domain())


@pytest.mark.parametrize("many", ["projects", "users"])
def test_a_second_one_of_a_name_in_a_domain_is_refused(office, many):
    make = getattr(office, many.removesuffix("s"))
    made = make()
    with pytest.raises(CloudError):
        make(name=made["name"])


def test_a_user_without_a_password_is_made_and_listed(office):
    project = office.project()
    said = {"email": "a@example.org", "description": "runs it", "default_project_id": project["id"]}
    made = office.user(**said, enabled=False, options={"lock_password": True})
    (found,) = [u for u in users.of_all_domains(office.rest, USERS, {}) if u["id"] == made["id"]]
    assert {key: found[key] for key in said} == said
    assert (found["enabled"], found["options"]) == (False, {"lock_password": True})
    assert "password" not in found


def test_what_a_user_has_not_is_not_shown_and_can_be_given(office):
    made = office.user()
    assert {"email", "description", "default_project_id"} & set(made) == set()
    office.rest.update_in(USERS, made["id"], {"email": "a@example.org", "options": {"lock_password": True}})
    office.rest.update_in(USERS, made["id"], {"options": {"ignore_password_expiry": True}})
    (found,) = office.rest.list_of(USERS, {"domain_id": office.domain(), "name": made["name"]})
    assert found["email"] == "a@example.org"
    assert found["options"] == {"lock_password": True, "ignore_password_expiry": True}


def test_a_role_is_assigned_once_however_often(office):
    body = {"project_id": office.project()["id"], "user_id": office.user()["id"], "role_id": office.role()}
    kind = assignments.USER_PROJECT_ROLE_ASSIGNMENTS
    before = kind.listed(office.rest, kind.collection, {})
    for _ in range(2):
        made = assignments.assign(office.rest, kind.collection, body)
    assert [a for a in kind.listed(office.rest, kind.collection, {}) if a not in before] == [made]
    assert {key: made[key] for key in body} == body


def test_the_current_project_user_and_domain_are_those_of_keystone(office):
    scope = office.rest.scope()
    assert scope.domain_id in {domain["id"] for domain in office.rest.list_of(DOMAINS)}
    assert scope.project_id in {project["id"] for project in office.rest.list_of(PROJECTS)}
    assert scope.user_id in {user["id"] for user in users.of_all_domains(office.rest, USERS, {})}
    (role,) = [role for role in office.rest.list_of(ROLES) if role["name"] == "member"]
    assert role["domain_id"] is None


@pytest.mark.parametrize("many", ["projects", "users", "domains", "role_assignments"])
def test_a_tenant_is_told_which_right_is_missing(tenant, many):
    with pytest.raises(CloudError, match=f"identity:list_{many}"):
        tenant.rest.list_of(keystone(many))
