"""Users, of all domains, without their passwords: no cloud tells one."""

from collections.abc import Mapping, Sequence
from typing import Final

from os_migrate.resources.keystone import DESCRIPTION, DOMAIN, ENABLED, NAME, OPTIONS, keystone
from os_migrate.resources.kind import Field, Kind, anybodys
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import TEXT, RefTo
from os_migrate.rest import Collection, Json, Rest

DOMAINS: Final = keystone("domains")


def of_all_domains(rest: Rest, users: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List the users domain by domain: where each has a directory of its own, Keystone wants to be told which."""
    return [u for domain in rest.list_of(DOMAINS) for u in rest.list_of(users, {**query, "domain_id": domain["id"]})]


def complete(user: Json) -> Json:
    """Return a user with what Keystone leaves out where there is nothing."""
    return {"description": None, "email": None, "default_project_id": None, **user}


USERS: Final = Kind(
    name="users",
    type="openstack.user.User",
    word="user",
    collection=keystone("users"),
    listed=of_all_domains,
    ours=anybodys,
    shown=complete,
    lacks="have no password: they can't log in by one until an administrator gives it to them",
    for_admin=True,
    fields=(
        NAME,
        DESCRIPTION,
        Field("email", TEXT),
        ENABLED,
        Field("default_project_ref", RefTo("projects"), api="default_project_id"),
        DOMAIN,
        OPTIONS,
    ),
    info=info("id", "domain_id", "default_project_id"),
)
