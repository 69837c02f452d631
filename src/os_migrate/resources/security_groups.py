"""Security groups of the project. Their rules are a kind of their own."""

from typing import Final

from os_migrate.resources.kind import Field, Kind
from os_migrate.resources.neutron import DESCRIPTION, NAME, TAGS, info, neutron
from os_migrate.resources.shapes import FLAG
from os_migrate.rest import Collection, Json, Rest

RULES: Final = neutron("security_group_rules")


def make_empty(rest: Rest, groups: Collection, body: Json) -> Json:
    """Create a group without the rules that Neutron gives it, which let everything out: the rules are those of the file."""
    group = rest.create_in(groups, body)
    for rule in group.get("security_group_rules") or ():
        rest.delete_from(RULES, rule["id"])
    return group


SECURITY_GROUPS: Final = Kind(
    name="security_groups",
    type="openstack.network.SecurityGroup",
    word="security group",
    collection=neutron("security_groups"),
    make=make_empty,
    fields=(NAME, DESCRIPTION, Field("is_stateful", FLAG, api="stateful", default=True), TAGS),
    info=info("id", "project_id", "created_at", "updated_at", "revision_number"),
)
