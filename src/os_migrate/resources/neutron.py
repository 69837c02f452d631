"""What the kinds of Neutron's resources share."""

from typing import Final

from os_migrate.mapping import Kind as Section
from os_migrate.resources.kind import Field, Write, identity
from os_migrate.resources.shapes import ADDRESS, CIDR, FLAG, TEXT, ListOf, NamesOf, Part, Record
from os_migrate.rest import Collection, Json, Rest, Service


def neutron(many: str) -> Collection:
    """Return a collection of Neutron's."""
    return Collection(Service.NETWORK, f"/{many.replace('_', '-')}", many, many.removesuffix("s"))


def set_tags(rest: Rest, collection: Collection, thing_id: str, tags: object) -> None:
    """Replace a thing's tags: a call of its own."""
    rest.act_on(collection, thing_id, "tags", {"tags": tags})


def info(*names: str, **renamed: str) -> tuple[tuple[str, str], ...]:
    """Return the keys of `_info`, with the API's."""
    return (*((name, name) for name in names), *renamed.items())


def without(thing: Json, keys: tuple[str, ...]) -> Json:
    """Return a thing without some keys: to the table the cloud doesn't show them."""
    return {key: value for key, value in thing.items() if key not in keys}


NAME: Final = Field("name", TEXT, required=True, identifies=identity)
DESCRIPTION: Final = Field("description", TEXT, default="")
UP: Final = Field("is_admin_state_up", FLAG, api="admin_state_up", default=True)
ZONE_HINTS: Final = Field(
    "availability_zone_hints",
    NamesOf(TEXT, section=Section.NETWORK_AVAILABILITY_ZONES),
    default=[],
    write=Write.CREATE,
)
TAGS: Final = Field("tags", ListOf(TEXT), default=[], send=set_tags)
ROUTE: Final = Record((Part("destination", CIDR, required=True), Part("nexthop", ADDRESS, required=True)))
