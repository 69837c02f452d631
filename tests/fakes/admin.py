"""The fake's Keystone, and the collections of Nova: what an administrator may do there, and a tenant may not."""

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from urllib.parse import unquote

from os_migrate.errors import CloudError
from os_migrate.model import Flavor, Named
from os_migrate.rest import Collection, Json, Service
from tests.fakes.rest import FakeRest, _sent

PROJECT = {"description": "", "enabled": True, "is_domain": False, "options": {}, "tags": []}
USER = {"enabled": True, "options": {}, "password_expires_at": None}
UNKNOWN_TO_USERS = {"tags", "parent_id", "is_domain", "is_enabled"}
PUBLIC, EPHEMERAL = "os-flavor-access:is_public", "OS-FLV-EXT-DATA:ephemeral"
FLAVOR = {
    "description": None,
    "OS-FLV-DISABLED:disabled": False,
    EPHEMERAL: 0,
    "swap": 0,
    "rxtx_factor": 1.0,
    PUBLIC: True,
}
SIZES = {"name", "ram", "vcpus", "disk"}
ROLES = ("admin", "member", "reader")
KEYS = {"name", "type", "public_key", "user_id"}


class FakeKeystone(FakeRest):
    """The part of `rest.Rest` that Keystone answers."""

    is_admin = False

    @cached_property
    def identity(self) -> dict[str, dict[str, Json]]:
        """Hold what a new Keystone has: a domain, the current project and user, and the roles."""
        scope = self.scope()
        project = {**PROJECT, "id": scope.project_id, "name": scope.project_name, "parent_id": scope.domain_id}
        user = {**USER, "id": scope.user_id, "name": "operator", "domain_id": scope.domain_id}
        names = {name: f"role-{name}-{self._name}" for name in ROLES}
        return {
            "domains": {scope.domain_id: {"id": scope.domain_id, "name": scope.domain_name}},
            "projects": {scope.project_id: {**project, "domain_id": scope.domain_id}},
            "users": {scope.user_id: user},
            "roles": {role_id: {"id": role_id, "name": name, "domain_id": None} for name, role_id in names.items()},
            "role_assignments": {},
        }

    def add_domain(self, name: str) -> str:
        """Make a domain, which no kind does."""
        domain = {"id": self._new_id("domain"), "name": name}
        self.identity["domains"][domain["id"]] = domain
        return domain["id"]

    def assign(self, **assignment: Json) -> None:
        """Make an assignment of another sort: of a group, of a domain, inherited."""
        self.identity["role_assignments"][self._new_id("assignment")] = assignment

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        if collection.service is not Service.IDENTITY:
            return super().list_of(collection, query)
        with self._reads(f"list {collection.many}"):
            self._need("identity", f"list_{collection.many}")
            things = self.identity[collection.many].values()
            return [deepcopy(t) for t in things if all(t.get(key) == value for key, value in (query or {}).items())]

    def create_in(self, collection: Collection, body: Json) -> Json:
        if collection.service is not Service.IDENTITY:
            return super().create_in(collection, body)
        with self._does(f"create {collection.one}"):
            self._need("identity", f"create_{collection.one}")
            body = _sent(body)
            new = self._new_id(collection.one)
            if collection.one == "project":
                thing = {**PROJECT, "parent_id": body.get("domain_id", "default"), **body, "id": new}
                if thing["parent_id"] not in {*self.identity["projects"], *self.identity["domains"]}:
                    raise self._refuse(f"could not find project: {thing['parent_id']}")
            else:
                assert not UNKNOWN_TO_USERS & set(body), "Keystone keeps whatever it is given"
                thing = {**USER, **body, "id": new}
            self._refuse_second(collection, thing)
            self.identity[collection.many][new] = thing
            return deepcopy(thing)

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        if collection.service is not Service.IDENTITY:
            return super().update_in(collection, thing_id, body)
        with self._does(f"update {collection.one}"):
            self._need("identity", f"update_{collection.one}")
            body = _sent(body)
            assert collection.update == "PATCH"
            thing = self._get(self.identity[collection.many], thing_id, collection.one)
            if any(key in body and body[key] != thing.get(key) for key in ("domain_id", "parent_id", "is_domain")):
                raise self._refuse("update of `domain_id`, `parent_id` or `is_domain` is not allowed")
            if thing["options"].get("immutable") and body.get("options", {}).get("immutable", True):
                raise self._refuse("cannot modify an immutable resource")
            self._refuse_second(collection, {**thing, **body})
            thing.update({**body, "options": {**thing["options"], **body.get("options", {})}})
            return deepcopy(thing)

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        if collection.service is not Service.IDENTITY:
            return super().act_on(collection, thing_id, action, body)
        with self._does("create grant"):
            self._need("identity", "create_grant")
            users, user_id, roles, role_id = action.split("/")
            assert (collection.many, users, roles) == ("projects", "users", "roles")
            for many, one_id in (("projects", thing_id), ("users", user_id), ("roles", role_id)):
                self._get(self.identity[many], one_id, many)
            ids = {"scope": {"project": {"id": thing_id}}, "user": {"id": user_id}, "role": {"id": role_id}}
            self.identity["role_assignments"][f"{thing_id} {user_id} {role_id}"] = {**ids, "links": {}}
            return {}

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        if collection.service is not Service.IDENTITY:
            super().delete_from(collection, thing_id)
            return
        with self._does(f"delete {collection.one}"):
            self._need("identity", f"delete_{collection.one}")
            self.identity[collection.many].pop(thing_id, None)

    def _need(self, service: str, right: str) -> None:
        if not self.is_admin:
            what = f"You are not authorized to perform the requested action: {service}:{right}"
            raise CloudError(f"{self._name}: {what}. (HTTP 403)")

    def _refuse_second(self, collection: Collection, thing: Json) -> None:
        mark = (thing["name"].strip().lower(), thing["domain_id"])
        for other in self.identity[collection.many].values():
            if (other["name"].lower(), other["domain_id"]) == mark and other["id"] != thing["id"]:
                raise self._refuse(f"Duplicate entry found with name {thing['name']}")


class FakeAdmin(FakeKeystone):
    """The part of `rest.Rest` that Nova answers: flavors and key pairs. The typed fake has the same ones."""

    @cached_property
    def _said_of_flavors(self) -> dict[str, Json]:
        return {}

    @cached_property
    def _said_of_keypairs(self) -> dict[str, dict[str, Json]]:
        return {}

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        if collection.service is not Service.COMPUTE:
            return super().list_of(collection, query)
        with self._reads(f"list {collection.many}"):
            if collection.many == "keypairs":
                keys = self._keys_of((query or {}).get("user_id"), "index")
                return [{k: v for k, v in pair.items() if k != "user_id"} for pair in deepcopy(list(keys.values()))]
            if collection.path == "/flavors/detail":
                return self._visible_flavors(query or {})
            self._need("os_compute_api", "os-flavor-access")
            flavor = self._flavor(collection.path.split("/")[2])
            access = [] if flavor[PUBLIC] else flavor["access"]
            return [{"flavor_id": flavor["id"], "tenant_id": project_id} for project_id in access]

    def read_from(self, collection: Collection, thing_id: str) -> Json:
        with self._reads(f"read {collection.one}"):
            assert thing_id == "os-extra_specs"
            return deepcopy(self._flavor(collection.path.split("/")[2])["extra_specs"])

    def create_in(self, collection: Collection, body: Json) -> Json:
        if collection.service is not Service.COMPUTE:
            return super().create_in(collection, body)
        with self._does(f"create {collection.one or collection.many}"):
            body = _sent(body)
            if collection.many == "keypairs":
                return self._import_key(body)
            if collection.path == "/flavors":
                return self._create_flavor(body)
            flavor = self._flavor(collection.path.split("/")[2])
            if collection.path.endswith("/action"):
                return self._give_access(flavor, body["addTenantAccess"]["tenant"])
            self._need("os_compute_api", "os-flavor-extra-specs:create")
            assert all(isinstance(value, str) for value in body.values())
            flavor["extra_specs"].update(body)
            return body

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        if collection.service is not Service.COMPUTE:
            return super().update_in(collection, thing_id, body)
        with self._does("update flavor"):
            self._need("os_compute_api", "os-flavor-manage:update")
            if set(body) != {"description"}:
                raise self._refuse("Additional properties are not allowed")
            self._flavor(thing_id).update(body)
            return self._shown(self._flavor(thing_id))

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        if collection.service is not Service.COMPUTE:
            super().delete_from(collection, thing_id)
            return
        with self._does(f"delete {collection.one}"):
            if collection.many == "keypairs":
                name, _, user_id = thing_id.partition("?user_id=")
                self._keys_of(user_id or None, "delete").pop(name, None)
                self._keypairs[:] = [pair for pair in self._keypairs if user_id or pair.name != name]
            elif collection.path == "/flavors":
                self._said_of_flavors.pop(thing_id, None)
            else:
                self._need("os_compute_api", "os-flavor-extra-specs:delete")
                self._flavor(collection.path.split("/")[2])["extra_specs"].pop(unquote(thing_id), None)

    # Inside ----------------------------------------------------------------------------------------------------------
    def _flavor(self, flavor_id: str) -> Json:
        for flavor in self._flavors:
            self._said_of_flavors.setdefault(
                flavor.id,
                {**FLAVOR, "id": flavor.id, "name": flavor.name, "ram": flavor.ram_mib, "vcpus": flavor.vcpus,
                 "disk": flavor.disk_gib, "extra_specs": {}, "access": []},
            )  # fmt: skip
        return self._get(self._said_of_flavors, flavor_id, "flavor")

    def _visible_flavors(self, query: Mapping[str, str]) -> Sequence[Json]:
        everything = self.is_admin and query.get("is_public") == "None"
        flavors = [self._flavor(flavor_id) for flavor_id in (*self._said_of_flavors, *(f.id for f in self._flavors))]
        unique = {flavor["id"]: flavor for flavor in flavors}.values()
        return [self._shown(f) for f in unique if everything or f[PUBLIC] or self._own in f["access"]]

    @staticmethod
    def _shown(flavor: Json) -> Json:
        return deepcopy({key: value for key, value in flavor.items() if key != "access"})

    def _create_flavor(self, body: Json) -> Json:
        self._need("os_compute_api", "os-flavor-manage:create")
        if (unknown := set(body) - set(FLAVOR) - SIZES) or SIZES - set(body):
            raise self._refuse(f"Additional properties are not allowed, or some are missing: {sorted(unknown)}")
        if body["name"] in {flavor["name"] for flavor in self._visible_flavors({"is_public": "None"})}:
            raise self._refuse(f"Flavor with name {body['name']} already exists.")
        flavor = {**FLAVOR, **body, "id": self._new_id("flavor"), "extra_specs": {}, "access": []}
        self._said_of_flavors[flavor["id"]] = flavor
        if flavor[PUBLIC]:
            sizes = flavor["vcpus"], flavor["ram"], flavor["disk"], flavor[EPHEMERAL], flavor["swap"]
            self._flavors.append(Flavor(flavor["id"], flavor["name"], None, *sizes))
        return self._shown(flavor)

    def _give_access(self, flavor: Json, project_id: str) -> Json:
        self._need("os_compute_api", "os-flavor-access:add_tenant_access")
        if flavor[PUBLIC] or project_id in flavor["access"]:
            raise self._refuse("Can not add access to a public flavor, or twice.")
        flavor["access"].append(project_id)
        return {"flavor_access": []}

    def _keys_of(self, user_id: str | None, right: str) -> dict[str, Json]:
        own = self.scope().user_id
        if user_id not in {None, own}:
            self._need("os_compute_api", f"os-keypairs:{right}")
        keys = self._said_of_keypairs.setdefault(user_id or own, {})
        for pair in self._keypairs if user_id in {None, own} else ():
            keys.setdefault(pair.name, key_pair(pair.name, f"ssh-ed25519 {pair.name.encode().hex()} {pair.name}"))
        return keys

    def _import_key(self, body: Json) -> Json:
        assert set(body) <= KEYS
        assert "public_key" in body, "Nova makes a private key where it is given no public one"
        keys = self._keys_of(body.get("user_id"), "create")
        if body["name"] in keys:
            raise self._refuse(f"Key pair '{body['name']}' already exists.")
        keys[body["name"]] = pair = key_pair(body["name"], body["public_key"], body.get("type", "ssh"))
        if body.get("user_id", self.scope().user_id) == self.scope().user_id:
            self._keypairs.append(Named(body["name"], body["name"]))
        return {**pair, "user_id": body.get("user_id", self.scope().user_id)}


def key_pair(name: str, public_key: str, kind: str = "ssh") -> Json:
    """Return a key pair as Nova lists it."""
    fingerprint = hashlib.sha256(public_key.encode()).hexdigest()[:32]
    return {"name": name, "public_key": public_key, "fingerprint": fingerprint, "type": kind}
