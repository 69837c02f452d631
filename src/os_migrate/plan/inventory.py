"""What a destination project holds and can use, listed once a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from os_migrate.features import NO_FEATURES, Features
from os_migrate.model import (
    Flavor,
    FloatingIp,
    Image,
    Named,
    Network,
    NetworkId,
    Port,
    Server,
    Subnet,
    Tag,
    Volume,
    VolumeType,
)
from os_migrate.workload import Workload


@dataclass(frozen=True)
class Inventory:
    """What a destination project holds and can use."""

    project_id: str
    servers: Sequence[Server]
    volumes: Sequence[Volume]
    flavors: Sequence[Flavor]
    images: Sequence[Image]
    networks: Sequence[Network]
    subnets: Sequence[Subnet]
    security_groups: Sequence[Named]
    keypairs: Sequence[Named]
    volume_types: Sequence[VolumeType]
    volume_zones: Sequence[Named]
    availability_zones: Sequence[Named]
    ports: Sequence[Port]
    floating_ips: Sequence[FloatingIp]
    features: Features = NO_FEATURES

    @cached_property
    def holders(self) -> Mapping[tuple[NetworkId, str], Port]:
        """Return the ports by the addresses that they hold."""
        return {(port.network_id, ip.ip_address): port for port in self.ports for ip in port.fixed_ips}

    @cached_property
    def mac_holders(self) -> Mapping[tuple[NetworkId, str], Port]:
        """Return the ports by their MAC addresses."""
        return {(port.network_id, port.mac_address.lower()): port for port in self.ports}


def twin_of(workload: Workload, servers: Iterable[Server]) -> Server | None:
    """Return the server that a workload was migrated to: known by our tag, not by its name."""
    for server in servers:
        if server.metadata.get(Tag.ORIGIN_KEY) == workload.id and Tag.ATTEMPT_KEY not in server.metadata:
            return server
    return None
