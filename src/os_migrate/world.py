"""The ports to the world: what the engine wants of a cloud, of a conversion host and of a clock.

`cloud.OpenStackCloud` and `hosts.remote.RemoteHost` are the real ones; tests have fakes that are held to the same contract.
Calls raise the errors of `errors.py` and nothing else. A deletion of what is not there succeeds.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from os_migrate.errors import HostError, Problem
from os_migrate.events import Events
from os_migrate.model import (
    ApiVersions,
    AttemptId,
    Flavor,
    FloatingIp,
    FloatingIpExtras,
    FloatingIpId,
    Image,
    ImageId,
    Named,
    Network,
    NetworkId,
    Port,
    PortId,
    PortSpec,
    Quota,
    Server,
    ServerAction,
    ServerGroup,
    ServerGroupId,
    ServerId,
    ServerSpec,
    ServerStatus,
    Side,
    Snapshot,
    SnapshotId,
    Subnet,
    Volume,
    VolumeId,
    VolumeSpec,
    VolumeType,
)
from os_migrate.nbd import HostedAttempt, Job, JobState
from os_migrate.rest import ImageData, Rest


class Cloud(Rest, ImageData, Protocol):
    """One project in one cloud, as an ordinary tenant. Ids that don't exist raise NotFound."""

    @property
    def name(self) -> str:
        """Return how the operator calls this cloud."""

    @property
    def calls(self) -> int:
        """Return how many API calls were made so far."""

    def project_id(self) -> str:
        """Return the current project's id; the first call authenticates."""

    def api_versions(self) -> ApiVersions:
        """Return which services are missing, and Nova's microversion; nothing else works where one is missing."""

    def quotas(self) -> Sequence[Quota]:
        """Return the project's quotas, with what is used and reserved, as far as the cloud tells a tenant."""

    # What is there -------------------------------------------------------------------------------------------------
    def servers(self) -> Sequence[Server]:
        """Return the project's servers."""

    def server(self, server_id: ServerId) -> Server:
        """Return a server with its volumes in Nova's order."""

    def server_actions(self, server_id: ServerId) -> Sequence[ServerAction]:
        """Return what was done to a server, by anybody, in any order; nothing where the cloud doesn't tell a tenant."""

    def server_security_groups(self, server_id: ServerId) -> Sequence[Named]:
        """Return the security groups of a server, as Nova lists them."""

    def volumes(self) -> Sequence[Volume]:
        """Return the project's volumes."""

    def volume(self, volume_id: VolumeId) -> Volume:
        """Return a volume."""

    def snapshots(self) -> Sequence[Snapshot]:
        """Return the project's volume snapshots."""

    def images(self) -> Sequence[Image]:
        """Return the images that the project can use."""

    def image(self, image_id: ImageId) -> Image:
        """Return an image."""

    def flavors(self) -> Sequence[Flavor]:
        """Return the flavors that the project can use."""

    def networks(self) -> Sequence[Network]:
        """Return the networks that the project can see."""

    def subnets(self) -> Sequence[Subnet]:
        """Return the subnets that the project can see."""

    def security_groups(self) -> Sequence[Named]:
        """Return the project's security groups."""

    def keypairs(self) -> Sequence[Named]:
        """Return the user's key pairs (id and name are equal)."""

    def volume_types(self) -> Sequence[VolumeType]:
        """Return the volume types that the project can use."""

    def volume_zones(self) -> Sequence[Named]:
        """Return Cinder's available zones (id and name are equal)."""

    def availability_zones(self) -> Sequence[Named]:
        """Return Nova's available zones."""

    def ports(self) -> Sequence[Port]:
        """Return the project's ports."""

    def floating_ips(self) -> Sequence[FloatingIp]:
        """Return the project's floating IPs."""

    def server_groups(self) -> Sequence[ServerGroup]:
        """Return the project's server groups."""

    def qos_policies(self) -> Sequence[Named]:
        """Return the QoS policies that the project can use; none where the cloud has no QoS."""

    def network_extensions(self) -> frozenset[str]:
        """Return the aliases of Neutron's extensions: what ports and floating IPs can have."""

    def takes_hostnames(self) -> bool:
        """Say whether a server can be given a hostname, and shows it."""

    # Servers -------------------------------------------------------------------------------------------------------
    def create_server(self, spec: ServerSpec) -> ServerId:
        """Ask for a server; don't wait."""

    def await_server(self, server_id: ServerId, status: ServerStatus, timeout_s: float) -> Server:
        """Return the server when it has `status`; raise CloudError if it goes to ERROR or time runs out."""

    def stop_server(self, server_id: ServerId) -> None:
        """Ask Nova to shut the guest down; a server that is off already is fine."""

    def start_server(self, server_id: ServerId) -> None:
        """Ask Nova to start a server; one that runs already is fine."""

    def lock_server(self, server_id: ServerId) -> None:
        """Lock a server; one that is locked already is fine."""

    def unlock_server(self, server_id: ServerId) -> None:
        """Unlock a server; one that isn't locked is fine. An administrator's lock can't be taken off by a tenant."""

    def create_server_group(self, name: str, policy: str, max_server_per_host: int | None) -> ServerGroupId:
        """Create a server group; names are not unique."""

    def delete_server_group(self, group_id: ServerGroupId) -> None:
        """Delete a server group; the servers in it stay."""

    def delete_server(self, server_id: ServerId) -> None:
        """Delete a server and wait until it is gone."""

    def set_server_metadata(self, server_id: ServerId, metadata: Mapping[str, str | None]) -> None:
        """Set the given keys, remove those that are None."""

    def create_server_image(self, server_id: ServerId, name: str, metadata: Mapping[str, str]) -> ImageId:
        """Ask Nova for an image of a server's local boot disk; don't wait."""

    # Volumes -------------------------------------------------------------------------------------------------------
    def create_volume(self, spec: VolumeSpec) -> VolumeId:
        """Ask for a volume; don't wait. `bootable` and `image_metadata` of the spec are set by `dress_volume`."""

    def await_volume(self, volume_id: VolumeId, status: str, timeout_s: float) -> Volume:
        """Return the volume when it has `status`; raise CloudError on error states or when time runs out."""

    def dress_volume(self, volume_id: VolumeId, *, bootable: bool, image_metadata: Mapping[str, str]) -> None:
        """Set the boot flag and the image properties of a volume; repeating it changes nothing."""

    def set_volume_metadata(self, volume_id: VolumeId, metadata: Mapping[str, str | None]) -> None:
        """Set the given keys, remove those that are None."""

    def delete_volume(self, volume_id: VolumeId) -> None:
        """Delete a volume and wait until it is gone."""

    def attach_volume(
        self, server_id: ServerId, volume_id: VolumeId, *, device: str | None, delete_on_termination: bool
    ) -> None:
        """Attach a volume and wait until it is in use; attached there already is fine."""

    def detach_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        """Detach a volume and wait until it is available; not attached there is fine."""

    def create_snapshot(self, volume_id: VolumeId, name: str, metadata: Mapping[str, str]) -> SnapshotId:
        """Ask for a snapshot of a volume, in use or not; don't wait."""

    def await_snapshot(self, snapshot_id: SnapshotId, timeout_s: float) -> Snapshot:
        """Return the snapshot when it is available."""

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Delete a snapshot and wait until it is gone."""

    # Images --------------------------------------------------------------------------------------------------------
    def await_image(self, image_id: ImageId, timeout_s: float) -> Image:
        """Return the image when it is active."""

    def delete_image(self, image_id: ImageId) -> None:
        """Delete an image."""

    # Network -------------------------------------------------------------------------------------------------------
    def create_port(self, spec: PortSpec, description: str) -> PortId:
        """Create a port. Its tags and its DNS name are given to it by `dress_port`."""

    def dress_port(self, port_id: PortId, spec: PortSpec) -> None:
        """Give a port all of the spec that can still be changed, but the description; repeating it changes nothing."""

    def describe_port(self, port_id: PortId, description: str) -> None:
        """Replace a port's description."""

    def delete_port(self, port_id: PortId) -> None:
        """Delete a port."""

    def create_floating_ip(
        self,
        network_id: NetworkId,
        port_id: PortId,
        fixed_ip: str | None,
        address: str | None,
        description: str,
        extras: FloatingIpExtras = ...,
    ) -> FloatingIpId:
        """Create a floating IP on a port; a given `address` must be free. Its tags are given to it by `tag_floating_ip`."""

    def associate_floating_ip(self, floating_ip_id: FloatingIpId, port_id: PortId | None, fixed_ip: str | None) -> None:
        """Move an existing floating IP to a port, or free it (None)."""

    def describe_floating_ip(self, floating_ip_id: FloatingIpId, description: str) -> None:
        """Replace a floating IP's description."""

    def tag_floating_ip(self, floating_ip_id: FloatingIpId, tags: Sequence[str]) -> None:
        """Replace a floating IP's tags."""

    def delete_floating_ip(self, floating_ip_id: FloatingIpId) -> None:
        """Delete a floating IP."""


class Host(Protocol):
    """A conversion host: it sees attached volumes and runs jobs under names of ours."""

    @property
    def name(self) -> str:
        """Return the server's name."""

    @property
    def server_id(self) -> ServerId:
        """Return the server that this host is."""

    @property
    def address(self) -> str:
        """Return the address at which the other conversion host reaches this one over SSH."""

    def missing_tools(self) -> Sequence[str]:
        """Return the tools that this host lacks."""

    def tools(self) -> Sequence[tuple[str, str]]:
        """Return what this host works with, its system and Python among it: names with their versions."""

    def run_script(self, text: str) -> str:
        """Run a bash script as the SSH user; return what it printed. Raise HostError if it ended with anything but 0."""

    def await_device(self, volume_id: VolumeId, timeout_s: float, *, read_only: bool) -> int:
        """Wait until the guest sees the volume, by its serial; return its size in bytes. Let nobody there write to it, if so asked."""

    def start(self, job: Job) -> None:
        """Start a job; one of that name that runs or has ended is left as it is."""

    def state(self, unit: str) -> JobState:
        """Return how far a job is; one that was never started, or was stopped, is ABSENT."""

    def stop(self, unit: str) -> None:
        """Stop a job and forget it; one that isn't there is fine."""

    def hold(self, attempt: AttemptId) -> None:
        """Let whoever asks this host know that an attempt is worked on, for as long as this process lives."""

    def attempts(self) -> Sequence[HostedAttempt]:
        """Return what attempts have on this host."""


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait. Raise KeyboardInterrupt once the run is to stop: a thread is told so where it waits."""

    def stop(self) -> None:
        """Let all that wait, and all that will, stop."""


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait. Raise KeyboardInterrupt once the run is to stop."""
        if self._stopped.wait(seconds):
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Let all that wait, and all that will, stop."""
        self._stopped.set()


@dataclass(frozen=True)
class HostPair:
    """A conversion host on each side, linked to each other; None for one that isn't there."""

    source: Host | None
    destination: Host | None

    def host(self, side: Side) -> Host | None:
        """Return the host on a side."""
        return self.source if side is Side.SOURCE else self.destination


@dataclass(frozen=True)
class UnusableHost:
    """A conversion host that is there, and why it can't be used. `pair` counts from 1."""

    pair: int
    side: Side
    problem: Problem


@dataclass(frozen=True)
class World:
    """All that steps act on. Hosts are None where a run copies nothing.

    An attempt goes through one pair of hosts: `source_host` and `destination_host`. `other_pairs` are those of other attempts.
    """

    source: Cloud
    destination: Cloud
    source_host: Host | None
    destination_host: Host | None
    events: Events
    clock: Clock
    timeout_s: float = 1800.0
    other_pairs: tuple[HostPair, ...] = ()
    unusable_hosts: tuple[UnusableHost, ...] = ()

    def cloud(self, side: Side) -> Cloud:
        """Return the cloud on a side."""
        return self.source if side is Side.SOURCE else self.destination

    @property
    def pairs(self) -> tuple[HostPair, ...]:
        """Return all pairs of conversion hosts, that of the attempt first."""
        return (HostPair(self.source_host, self.destination_host), *self.other_pairs)

    def through(self, pair: HostPair) -> "World":
        """Return the world of an attempt that goes through a pair."""
        others = tuple(other for other in self.pairs if other != pair)
        return replace(self, source_host=pair.source, destination_host=pair.destination, other_pairs=others)

    def hosts(self, side: Side) -> list[Host]:
        """Return all conversion hosts on a side that are there."""
        return [host for pair in self.pairs if (host := pair.host(side)) is not None]

    def host(self, side: Side, server_id: ServerId | None = None) -> Host:
        """Return the attempt's conversion host on a side, or that of a given server.

        Raises:
            HostError: it was deleted since an attempt began that needs it.
        """
        own = self.pairs[0].host(side)
        host = own if server_id is None else next((h for h in self.hosts(side) if h.server_id == server_id), None)
        if host is None:
            which = f" {server_id}" if server_id is not None else ""
            raise HostError(f"the {side} conversion host{which} isn't there", remedy="run `os-migrate hosts deploy`")
        return host
