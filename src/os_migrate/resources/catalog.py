"""All kinds of resources, in the order in which they need one another; a new kind is one new module and a line here."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from os_migrate.errors import UserError
from os_migrate.resources.flavors import FLAVORS
from os_migrate.resources.images import IMAGES
from os_migrate.resources.keypairs import KEYPAIRS
from os_migrate.resources.keystone import keystone
from os_migrate.resources.kind import Kind
from os_migrate.resources.networks import NETWORKS
from os_migrate.resources.neutron import neutron
from os_migrate.resources.projects import PROJECTS
from os_migrate.resources.router_interfaces import ROUTER_INTERFACES
from os_migrate.resources.routers import ROUTERS
from os_migrate.resources.security_group_rules import SECURITY_GROUP_RULES
from os_migrate.resources.security_groups import SECURITY_GROUPS
from os_migrate.resources.subnets import SUBNETS
from os_migrate.resources.user_project_role_assignments import USER_PROJECT_ROLE_ASSIGNMENTS
from os_migrate.resources.users import USERS
from os_migrate.resources.users_keypairs import USERS_KEYPAIRS
from os_migrate.rest import Collection, Service

KINDS: Final[Sequence[Kind]] = (
    NETWORKS,
    SUBNETS,
    ROUTERS,
    ROUTER_INTERFACES,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    IMAGES,
    KEYPAIRS,
    PROJECTS,
    USERS,
    USER_PROJECT_ROLE_ASSIGNMENTS,
    USERS_KEYPAIRS,
    FLAVORS,
)

REFERRED: Final[Mapping[str, Collection]] = {
    "qos_policies": Collection(Service.NETWORK, "/qos/policies", "policies", "policy"),
    "segments": neutron("segments"),
    "subnetpools": neutron("subnetpools"),
    "network_flavors": neutron("flavors"),
    "address_groups": neutron("address_groups"),
    "domains": keystone("domains"),
    "roles": keystone("roles"),
}
"""What resources refer to and no kind describes: it must be in the destination."""

ALL: Final = "all"
WORKLOADS: Final = "workloads"
"""A kind that is no table: `resources.workload` describes servers, and `flow` migrates them."""

DETACHED_VOLUMES: Final = "detached_volumes"
"""Another: `resources.detached` describes volumes that no server has, and `detached` migrates them."""


def choose_kinds(words: Sequence[str], *, also_for_admins: bool = False) -> tuple[Kind, ...]:
    """Return the kinds that are named, in their order; `all` are those that need no administrator, or really all.

    Raises:
        UserError: there is no such kind.
    """
    names = [kind.name for kind in KINDS]
    for word in words:
        if word != ALL and word not in names:
            near = difflib.get_close_matches(word, names, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}, {ALL}"
            raise UserError(f"there is no kind of resource {word!r}", remedy=remedy)
    return tuple(
        kind for kind in KINDS if kind.name in words or (ALL in words and (also_for_admins or not kind.for_admin))
    )
