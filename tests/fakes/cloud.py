"""A cloud in memory that models data, not only existence: volumes, snapshots, images and local disks hold bytes.

Rules as real clouds have them: an attachment needs an available volume, a deletion an unused one without snapshots; names are
not unique; a taken address or MAC is an error; a server that is deleted takes along the volumes that are to go with it and
the ports that Nova made, and frees the others. What is asked for takes a while of the fake clock's time, and goes on
when the one who asked is dead.

`tests/contract` holds this fake and the real clouds to the same tests: a fake that disagrees is a bug.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from os_migrate.errors import CloudError
from os_migrate.model import (
    GIB,
    FixedIp,
    Flavor,
    FloatingIp,
    FloatingIpId,
    Image,
    ImageId,
    Named,
    Network,
    NetworkId,
    PortId,
    PortSpec,
    Server,
    ServerId,
    ServerStatus,
    Subnet,
    SubnetId,
    Volume,
    VolumeId,
    VolumeType,
)
from tests.fakes.admin import FakeAdmin
from tests.fakes.glance import FakeImages
from tests.fakes.nova import FakeNova
from tests.fakes.state import BLOCK, Machine, Stored, pattern


class FakeGlance(FakeNova):
    """The part of `world.Cloud` that Glance answers, and Nova's images of servers."""

    def images(self) -> Sequence[Image]:
        with self._reads("images"):
            return [i.view for i in self._images.values() if self._listed(i.born)]

    def image(self, image_id: ImageId) -> Image:
        with self._reads("image"):
            return self._get(self._images, image_id, "image").view

    def create_server_image(self, server_id: ServerId, name: str, metadata: Mapping[str, str]) -> ImageId:
        with self._does("create_server_image") as call:
            machine = self._machine(server_id)
            if machine.local is None:
                raise self._refuse(f"server {server_id} has no local disk")
            machine.note("createImage")
            flavor = next(f for f in self._flavors if f.name == machine.view.flavor_name)
            properties = {"hw_disk_bus": "virtio", **metadata}
            new = ImageId(self._new_id("image"))
            image = Image(new, name, f"project-{self._name}", "queued", flavor.disk_gib, properties=properties)
            self._images[new] = Stored(image, machine.local, self.clock.now())
            end = "killed" if self.seam.hook.dooms(call) else "active"
            self._later(self.latency.image, lambda: self._mark_image(new, end))
        return new

    def await_image(self, image_id: ImageId, timeout_s: float) -> Image:
        def look() -> bool:
            image = self._get(self._images, image_id, "image").view
            if image.status == "killed":
                raise CloudError(f"{self._name}: image {image_id} went to killed")
            return image.status == "active"

        self._until(look, f"image {image_id} becomes active", timeout_s)
        return self._images[image_id].view

    def delete_image(self, image_id: ImageId) -> None:
        with self._does("delete_image"):
            self._images.pop(image_id, None)

    def _mark_image(self, image_id: ImageId, status: str) -> None:
        if image := self._images.get(image_id):
            size = 0 if status != "active" else image.view.min_disk_gib * GIB
            image.view = replace(image.view, status=status, virtual_size_bytes=size)


class FakeCloud(FakeImages, FakeGlance, FakeAdmin):
    """One project in one cloud: `world.Cloud`, and what a test sets up there beforehand."""

    @property
    def calls(self) -> int:
        return sum(call.where == self._name for call in self.seam.hook.calls)

    def add_flavor(self, name: str, disk_gib: int = 1) -> Flavor:
        flavor = Flavor(self._new_id("flavor"), name, None, 1, 512, disk_gib)
        self._flavors.append(flavor)
        return flavor

    def add_network(self, name: str, cidr: str, *, is_external: bool = False) -> Network:
        """Add a network with a subnet of the same name."""
        network = Network(self._new_id("network"), name, f"project-{self._name}", is_external)
        subnet = Subnet(self._new_id("subnet"), name, network.project_id, NetworkId(network.id), cidr)
        self._networks.append(network)
        self._subnets.append(subnet)
        return network

    def add_security_group(self, name: str) -> Named:
        group = Named(self._new_id("group"), name, f"project-{self._name}")
        self._groups.append(group)
        return group

    def add_keypair(self, name: str) -> None:
        self._keypairs.append(Named(name, name))

    def add_volume_type(self, name: str, *, encrypts: bool = False, multiattach: bool = False) -> None:
        self._volume_types.append(VolumeType(self._new_id("type"), name, multiattach=multiattach))
        self.encrypting |= {name} if encrypts else set()

    def add_qos_policy(self, name: str) -> Named:
        policy = Named(self._new_id("qos"), name, f"project-{self._name}")
        self._qos_policies.append(policy)
        return policy

    def add_image(self, name: str, data: bytes | None = None) -> Image:
        new = ImageId(self._new_id("image"))
        image = Image(new, name, f"project-{self._name}", virtual_size_bytes=GIB, properties={"hw_disk_bus": "virtio"})
        self._images[new] = Stored(image, data or pattern(new), 0.0)
        return image

    def add_volume(
        self, name: str, size_gib: int = 1, *, bootable: bool = False, volume_type: str = "default"
    ) -> VolumeId:
        new = VolumeId(self._new_id("volume"))
        properties = {"hw_disk_bus": "virtio", "hw_firmware_type": "uefi"} if bootable else {}
        volume = Volume(
            new, name, "available", size_gib, "", volume_type, "nova", bootable=bootable, image_metadata=properties
        )
        self._volumes[new] = Stored(volume, pattern(new), 0.0)
        return new

    def add_server(
        self,
        name: str,
        flavor: Flavor,
        network: Network,
        *,
        image: Image | None = None,
        volumes: Mapping[VolumeId, bool] | None = None,
        runs: bool = True,
        groups: Sequence[Named] = (),
    ) -> ServerId:
        """Add a server with one port and with volumes, each with its delete_on_termination; the first boots without an image."""
        server = Server(
            id=ServerId(self._new_id("server")),
            name=name,
            status=ServerStatus.SHUTOFF,
            raw_status="SHUTOFF",
            image_id=ImageId(image.id) if image else None,
            flavor_name=flavor.name,
            project_id=f"project-{self._name}",
        )
        machine = Machine(server, 0.0, pattern(server.id) if image else None)
        self._machines[server.id] = machine
        for volume_id, delete_on_termination in (volumes or {}).items():
            self._attach(server.id, volume_id, delete_on_termination, doomed=False)
        port = self._make_port(PortSpec(NetworkId(network.id), (), None, tuple(g.id for g in groups)), "", server.id)
        machine.ports[port.id] = True
        if runs:
            self._switched(machine, ServerStatus.ACTIVE)
        return server.id

    def add_floating_ip(self, network: Network, address: str, port_id: PortId | None = None) -> FloatingIp:
        new = FloatingIpId(self._new_id("floatingip"))
        ip = FloatingIp(new, address, NetworkId(network.id), port_id, "router" if port_id else None)
        self._floating_ips[new] = (ip, 0.0)
        return ip

    def port_with(self, network: Network, address: str) -> PortId:
        """Take an address, as if somebody else's port had it."""
        fixed = (FixedIp(SubnetId(""), address),)
        return self._make_port(PortSpec(NetworkId(network.id), fixed)).id

    def picture(self, *but: ServerId) -> dict[str, object]:
        """Return all that is there, but for some servers, for comparison; the guests' own writes are left out."""
        stored = {**self._volumes, **self._snapshots, **self._images}
        machines = [m for m in self._machines.values() if m.view.id not in but]
        return {
            "servers": {m.view.id: (m.view, sorted(m.ports)) for m in machines},
            "resources": {key: s.view for key, s in stored.items()},
            "bytes": {key: s.data[:-BLOCK] for key, s in stored.items()},
            "local disks": {m.view.id: m.local and m.local[:-BLOCK] for m in machines},
            "ports": {p.id: p for p, _ in self._ports.values() if p.device_id not in but},
            "floating IPs": {f.id: f for f, _ in self._floating_ips.values()},
            "server groups": dict(self._server_groups),
        }
