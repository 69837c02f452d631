"""Security groups of the project. Their rules are a kind of their own."""

from typing import Final

from os_migrate.resources.kind import Field, Kind
from os_migrate.resources.neutron import DESCRIPTION, NAME, TAGS, info, neutron
from os_migrate.resources.shapes import FLAG
from os_migrate.rest import Collection, Json, Rest

RULES: Final = neutron("security_group_rules")


HALF_MADE: Final = "os-migrate: not made yet"
"""Describes a group whose rules were not taken away yet: a run died there. It counts for nothing, and is made anew."""


def is_half_made(group: Json) -> bool:
    """Say whether a run died before it had a group as it should be."""
    return group.get("description") == HALF_MADE


def make_empty(rest: Rest, groups: Collection, body: Json) -> Json:
    """Create a group without the rules that Neutron gives it, which let everything out: the rules are those of the file."""
    for left in rest.list_of(groups, {"name": body["name"]}):
        if is_half_made(left):
            rest.delete_from(groups, left["id"])
    group = rest.create_in(groups, {**body, "description": HALF_MADE})
    for rule in group.get("security_group_rules") or ():
        rest.delete_from(RULES, rule["id"])
    return rest.update_in(groups, group["id"], {"description": body.get("description", "")})


SECURITY_GROUPS: Final = Kind(
    name="security_groups",
    type="openstack.network.SecurityGroup",
    word="security group",
    collection=neutron("security_groups"),
    hidden=is_half_made,
    make=make_empty,
    fields=(NAME, DESCRIPTION, Field("is_stateful", FLAG, api="stateful", default=True), TAGS),
    info=info("id", "project_id", "created_at", "updated_at", "revision_number"),
)
