"""What a migration needs of the clouds' APIs, and they may be too old for. All else is done without where it is missing.

Source: https://docs.openstack.org/nova/latest/reference/api-microversion-history.html
"""

from collections.abc import Iterator

from os_migrate.errors import Problem
from os_migrate.model import ApiVersions, Side, at_least
from os_migrate.workload import Workload

TAGS = "2.52"
NO_NETWORK = "2.37"


def service_problems(side: Side, offers: ApiVersions) -> Iterator[Problem]:
    """Yield the services that a cloud lacks."""
    for service in offers.missing:
        yield Problem(
            f"{side} cloud",
            f"its catalog has no {service} service",
            "check region_name and interface in clouds.yaml, and that the project may use that service",
        )


def version_problems(workload: Workload, destination: ApiVersions) -> Iterator[Problem]:
    """Yield what of a workload the destination is too old for."""
    where = f"workload {workload.name!r} ({workload.id})"
    offered = f"it offers {destination.compute or 'no microversions'}"
    if workload.params.tags and not at_least(destination.compute, TAGS):
        what = f"it has tags, which the destination's Nova takes since {TAGS}; {offered}"
        yield Problem(where, what, "remove its tags")
    if not workload.params.ports and not at_least(destination.compute, NO_NETWORK):
        what = f"it has no ports, and the destination's Nova lets a server have none since {NO_NETWORK}; {offered}"
        yield Problem(where, what, "give it a port, or migrate it by hand")
