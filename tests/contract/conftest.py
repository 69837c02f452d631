"""The clouds that are held to one contract: the fake, and both clouds of the lab as the tenant sees them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from os_migrate.cloud import connect
from os_migrate.model import (
    BlockDevice,
    FlavorId,
    FloatingIpId,
    ImageId,
    NetworkId,
    Nic,
    PortId,
    PortSpec,
    ServerId,
    ServerSpec,
    ServerStatus,
    SnapshotId,
    VolumeId,
    VolumeSpec,
)
from os_migrate.settings import CloudSettings
from os_migrate.world import Cloud
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock

LAB_DIR = Path(os.environ.get("OS_MIGRATE_LAB_DIR", "/var/lib/os-migrate-lab"))
TIMEOUT_S = 600.0
CLOUDS = ["fake", pytest.param("src", marks=pytest.mark.lab), pytest.param("dst", marks=pytest.mark.lab)]


@dataclass
class Place:
    """A cloud, what there is to build with, and everything a test makes there: it is deleted afterwards."""

    cloud: Cloud
    flavor_id: FlavorId
    image_id: ImageId
    network_id: NetworkId
    external_id: NetworkId
    cleanup: ExitStack = field(default_factory=ExitStack)

    def name(self, what: str) -> str:
        return f"contract-{what}-{uuid4().hex[:8]}"

    def volume(self, *, size_gib: int = 1, **options) -> VolumeId:
        volume_id = self.cloud.create_volume(VolumeSpec(name=self.name("volume"), size_gib=size_gib, **options))
        self.cleanup.callback(self.cloud.delete_volume, volume_id)
        self.cloud.await_volume(volume_id, "available", TIMEOUT_S)
        return volume_id

    def snapshot(self, volume_id: VolumeId, metadata: dict[str, str]) -> SnapshotId:
        snapshot_id = self.cloud.create_snapshot(volume_id, self.name("snapshot"), metadata)
        self.cleanup.callback(self.cloud.delete_snapshot, snapshot_id)
        return snapshot_id

    def port(self, spec: PortSpec | None = None, description: str = "") -> PortId:
        port_id = self.cloud.create_port(spec or PortSpec(self.network_id, ()), description)
        self.cleanup.callback(self.cloud.delete_port, port_id)
        return port_id

    def floating_ip(self, port_id: PortId, description: str = "") -> FloatingIpId:
        floating_ip_id = self.cloud.create_floating_ip(self.external_id, port_id, None, None, description)
        self.cleanup.callback(self.cloud.delete_floating_ip, floating_ip_id)
        return floating_ip_id

    def server(self, *, wait: bool = True, **options) -> ServerId:
        """Create a server from the image, or as the options say."""
        spec = {
            "name": self.name("server"),
            "flavor_id": self.flavor_id,
            "nics": (Nic(network_id=self.network_id),),
            "block_devices": (BlockDevice(boot_index=0, image_id=self.image_id),),
        }
        server_id = self.cloud.create_server(ServerSpec(**(spec | options)))
        self.cleanup.callback(self.cloud.delete_server, server_id)
        if wait:
            self.cloud.await_server(server_id, ServerStatus.ACTIVE, TIMEOUT_S)
        return server_id

    def free_address(self) -> str:
        """Return an address of the network that a port had a moment ago."""
        port_id = self.port()
        port = next(port for port in self.cloud.ports() if port.id == port_id)
        self.cloud.delete_port(port_id)
        return port.fixed_ips[0].ip_address


def fake_place() -> Place:
    clock = FakeClock()
    cloud = FakeCloud("fake", clock)
    cloud.add_volume_type("default")
    cloud.make_default_group()
    network = cloud.add_network("net1", "10.0.0.0/24")
    external = cloud.add_network("public", "172.31.11.0/24", is_external=True)
    return Place(
        cloud=cloud,
        flavor_id=FlavorId(cloud.add_flavor("tiny").id),
        image_id=ImageId(cloud.add_image("tiny").id),
        network_id=NetworkId(network.id),
        external_id=NetworkId(external.id),
    )


def lab_place(name: str) -> Place:
    cloud = connect(CloudSettings(cloud=name), LAB_DIR / "clouds.yaml", name=name)

    def named(candidates, wanted: str) -> str:
        (found,) = [candidate.id for candidate in candidates if candidate.name == wanted]
        return found

    networks = cloud.networks()
    return Place(
        cloud=cloud,
        flavor_id=FlavorId(named(cloud.flavors(), "tiny")),
        image_id=ImageId(named(cloud.images(), "tiny")),
        network_id=NetworkId(named(networks, "net1")),
        external_id=NetworkId(named(networks, "public")),
    )


@pytest.fixture(scope="module", params=CLOUDS)
def shared_place(request) -> Iterator[Place]:
    """One place for the module, so that a test can use a server that others used."""
    place = fake_place() if request.param == "fake" else lab_place(request.param)
    with place.cleanup:
        yield place


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    """The place; what the test makes there is deleted."""
    with ExitStack() as cleanup:
        yield Place(
            shared_place.cloud,
            shared_place.flavor_id,
            shared_place.image_id,
            shared_place.network_id,
            shared_place.external_id,
            cleanup,
        )


@pytest.fixture
def cloud(place: Place) -> Cloud:
    return place.cloud


@pytest.fixture(scope="module")
def server_id(shared_place: Place) -> ServerId:
    """A server that runs; a test leaves it so."""
    return shared_place.server()
