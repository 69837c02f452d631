"""What the servers of a project refer to, asked for once, and the references to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from os_migrate.model import FloatingIp, Named, Port, ServerGroup, Volume, VolumeId
from os_migrate.workload import CURRENT, Ref
from os_migrate.world import Cloud

N = TypeVar("N", bound=Named)


@dataclass(frozen=True)
class Listing:
    """What the servers of a project refer to."""

    project_id: str
    flavor_ids: Mapping[str, str]
    images: Mapping[str, Named]
    networks: Mapping[str, Named]
    subnets: Mapping[str, Named]
    security_groups: Mapping[str, Named]
    volumes: Mapping[VolumeId, Volume]
    ports: Sequence[Port]
    floating_ips: Sequence[FloatingIp]
    qos_policies: Mapping[str, Named] = field(default_factory=dict)
    server_groups: Mapping[str, ServerGroup] = field(default_factory=dict)

    def ref(self, things: Mapping[str, N], thing_id: str | None) -> Ref:
        """Return the reference to a thing: by name, and `%auth%` where it is the project's own."""
        thing = things.get(thing_id or "")
        return self.ref_to(thing) if thing is not None else Ref(None)

    def ref_to(self, thing: Named) -> Ref:
        """Return the reference to a thing."""
        ours = CURRENT if thing.project_id == self.project_id else None
        return Ref(thing.name, project_name=ours, domain_name=ours)


def listing_of(cloud: Cloud) -> Listing:
    """Ask a cloud for everything that its servers refer to."""
    return Listing(
        project_id=cloud.project_id(),
        flavor_ids={f.name: f.id for f in cloud.flavors()},
        images=_by_id(cloud.images()),
        networks=_by_id(cloud.networks()),
        subnets=_by_id(cloud.subnets()),
        security_groups=_by_id(cloud.security_groups()),
        volumes={v.id: v for v in cloud.volumes()},
        ports=cloud.ports(),
        floating_ips=cloud.floating_ips(),
        qos_policies=_by_id(cloud.qos_policies()),
        server_groups=_by_id(cloud.server_groups()),
    )


def _by_id(things: Sequence[N]) -> dict[str, N]:
    return {thing.id: thing for thing in things}
