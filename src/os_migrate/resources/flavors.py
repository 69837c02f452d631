"""Flavors, with their extra specs and the projects that may use a private one. Their sizes can't be changed."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from os_migrate.resources.kind import Field, Kind, Write, anybodys, identity
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import DECIMAL, FLAG, NUMBER, TEXT, ListOf, Lookup, RefTo, Texts
from os_migrate.rest import Collection, Json, Rest, Service

DETAIL: Final = Collection(Service.COMPUTE, "/flavors/detail", "flavors", "flavor")
EVEN_PRIVATE: Final = {"is_public": "None"}
PUBLIC: Final = "os-flavor-access:is_public"


def _of(flavor_id: str, what: str, many: str, one: str) -> Collection:
    return Collection(Service.COMPUTE, f"/flavors/{flavor_id}{what}", many, one)


def _specs_of(flavor_id: str) -> Collection:
    return _of(flavor_id, "/os-extra_specs", "extra_specs", "extra_specs")


def _access_to(rest: Rest, flavor_id: str) -> list[str]:
    access = rest.list_of(_of(flavor_id, "/os-flavor-access", "flavor_access", ""))
    return [entry["tenant_id"] for entry in access]


def _read_specs(rest: Rest, flavor_id: str) -> Json:
    return rest.read_from(_of(flavor_id, "", "extra_specs", "extra_specs"), "os-extra_specs")


def with_all(rest: Rest, _flavors: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List the flavors, private ones too, with what takes calls of its own: who may use them, and in Nova before 2.61 the extra specs."""
    flavors = [dict(flavor) for flavor in rest.list_of(DETAIL, {**query, **EVEN_PRIVATE})]
    for flavor in flavors:
        flavor["access"] = [] if flavor[PUBLIC] else _access_to(rest, flavor["id"])
        if "extra_specs" not in flavor:
            flavor["extra_specs"] = _read_specs(rest, flavor["id"])
    return flavors


def in_numbers(flavor: Json) -> Json:
    """Return a flavor with numbers where Nova says "" for none."""
    return {key: None if value == "" and key in {"swap", "rxtx_factor"} else value for key, value in flavor.items()}


def set_specs(rest: Rest, _flavors: Collection, flavor_id: str, specs: object) -> None:
    """Make the extra specs what they are to be."""
    assert isinstance(specs, dict), "it was seen to be a mapping"
    there = _read_specs(rest, flavor_id)
    if wanted := {key: value for key, value in specs.items() if there.get(key) != value}:
        rest.create_in(_specs_of(flavor_id), wanted)
    for key in set(there) - set(specs):
        rest.delete_from(_specs_of(flavor_id), quote(key, safe=":"))


def let_in(rest: Rest, _flavors: Collection, flavor_id: str, projects: object) -> None:
    """Let projects use a private flavor; nobody loses what they have."""
    assert isinstance(projects, list), "it was seen to be a list"
    there = _access_to(rest, flavor_id)
    for project_id in projects:
        if project_id not in there:
            rest.create_in(_of(flavor_id, "/action", "flavor_access", ""), {"addTenantAccess": {"tenant": project_id}})


class Access(ListOf):
    """The projects that may use a private flavor. Nova keeps those that are deleted, and others may have it in the destination."""

    def from_api(self, value: object, lookup: Lookup) -> object:
        """Return the references to the projects that there are."""
        refs = super().from_api(value, lookup)
        assert isinstance(refs, list), "it is a list's"
        return [ref for ref in refs if ref["name"] is not None]

    def agrees(self, want: object, have: object) -> bool:
        """Say whether all that are wanted can use it."""
        assert isinstance(want, list), "it is a list's"
        assert isinstance(have, list), "it is a list's"
        return set(want) <= set(have)


FLAVORS: Final = Kind(
    name="flavors",
    type="openstack.compute.Flavor",
    word="flavor",
    collection=Collection(Service.COMPUTE, "/flavors", "flavors", "flavor"),
    listed=with_all,
    ours=anybodys,
    shown=in_numbers,
    for_admin=True,
    fields=(
        Field("name", TEXT, required=True, write=Write.CREATE, identifies=identity),
        Field("description", TEXT),
        Field("vcpus", NUMBER, required=True, write=Write.CREATE),
        Field("ram", NUMBER, required=True, write=Write.CREATE),
        Field("disk", NUMBER, required=True, write=Write.CREATE),
        Field("ephemeral", NUMBER, api="OS-FLV-EXT-DATA:ephemeral", default=0, write=Write.CREATE),
        Field("swap", NUMBER, default=0, write=Write.CREATE),
        Field("rxtx_factor", DECIMAL, default=1.0, write=Write.CREATE),
        Field("is_public", FLAG, api=PUBLIC, default=True, write=Write.CREATE),
        Field("access_refs", Access(RefTo("projects")), api="access", default=[], send=let_in),
        Field("extra_specs", Texts(), default={}, send=set_specs),
    ),
    info=info("id", is_disabled="OS-FLV-DISABLED:disabled"),
)
