"""Effects on ports and floating IPs in the destination. They carry the tag in their description until the migration is done."""

from contextlib import suppress
from dataclasses import dataclass, field

from os_migrate.errors import CloudUnavailable, NotFound
from os_migrate.model import NO_EXTRAS, FloatingIpExtras, FloatingIpId, NetworkId, PortId, PortSpec, ServerId, Tag
from os_migrate.step import Step
from os_migrate.world import World


@dataclass(frozen=True)
class CreatePort(Step[PortId]):
    """Create a port with its fixed IPs and MAC, before the server that uses it. Its own description waits for the tag to go."""

    spec: PortSpec | None = field(default=None, metadata={"journal": False})
    description: str = ""

    def find(self, world: World, tag: Tag) -> PortId | None:
        """Return the tagged port."""
        return next((p.id for p in world.destination.ports() if p.description == tag.text()), None)

    def do(self, world: World, tag: Tag) -> PortId:
        """Ask Neutron for it."""
        assert self.spec is not None, "the flow gives the spec"
        return world.destination.create_port(self.spec, tag.text())

    def undo(self, world: World, tag: Tag, made: PortId) -> None:  # noqa: ARG002
        """Delete it."""
        world.destination.delete_port(made)

    def leftover(self, made: PortId) -> str:
        """Name the port."""
        return f"destination port {made}: openstack port delete {made}"


def port_of(world: World, server_id: ServerId, fixed_ip: str | None, network_id: NetworkId | None = None) -> PortId:
    """Return the twin's port that holds an address; its first port (in a network) where the address is None.

    Raises:
        CloudUnavailable: it has none, or none is listed yet.
    """
    ports = [p for p in world.destination.ports() if p.device_id == server_id]
    ports = [p for p in ports if network_id in {None, p.network_id}]
    for port in ports:
        if fixed_ip is None or any(ip.ip_address == fixed_ip for ip in port.fixed_ips):
            return port.id
    raise CloudUnavailable(
        f"server {server_id} has no port with address {fixed_ip}", remedy="check the ports in the file"
    )


@dataclass(frozen=True)
class DressPort(Step[PortId]):
    """Give a port of the twin's what it couldn't be made with: all that Nova doesn't know, and its DNS name, which Nova overwrites."""

    server_id: ServerId
    port_id: PortId | None = None
    spec: PortSpec | None = field(default=None, metadata={"journal": False})

    def find(self, world: World, tag: Tag) -> PortId | None:
        """Return nothing: to do it again is as good as to look."""

    def do(self, world: World, tag: Tag) -> PortId:  # noqa: ARG002
        """Change the port; to do it again changes nothing."""
        assert self.spec is not None, "the flow gives the spec"
        port_id = self.port_id or port_of(world, self.server_id, self.spec.address, self.spec.network_id)
        world.destination.dress_port(port_id, self.spec)
        if self.port_id is None and self.spec.description:  # else it holds our tag, and gets its own when that goes
            world.destination.describe_port(port_id, self.spec.description)
        return port_id

    def undo(self, world: World, tag: Tag, made: PortId) -> None:
        """Do nothing: the port goes, by the undo of what it was made by."""

    def leftover(self, made: PortId) -> str:
        """Name the port."""
        return f"destination port {made}: openstack port delete {made}"


@dataclass(frozen=True)
class CreateFloatingIp(Step[FloatingIpId]):
    """Allocate a new floating IP for the twin."""

    server_id: ServerId
    network_id: NetworkId
    fixed_ip: str | None
    description: str = ""
    extras: FloatingIpExtras = NO_EXTRAS

    def find(self, world: World, tag: Tag) -> FloatingIpId | None:
        """Return the tagged floating IP."""
        return next((f.id for f in world.destination.floating_ips() if f.description == tag.text()), None)

    def do(self, world: World, tag: Tag) -> FloatingIpId:
        """Ask Neutron for it."""
        port_id = port_of(world, self.server_id, self.fixed_ip)
        return world.destination.create_floating_ip(
            self.network_id, port_id, self.fixed_ip, None, tag.text(), self.extras
        )

    def settle(self, world: World, tag: Tag, made: FloatingIpId) -> FloatingIpId:  # noqa: ARG002
        """Give it its tags."""
        if self.extras.tags:
            world.destination.tag_floating_ip(made, self.extras.tags)
        return made

    def undo(self, world: World, tag: Tag, made: FloatingIpId) -> None:  # noqa: ARG002
        """Delete it."""
        world.destination.delete_floating_ip(made)

    def leftover(self, made: FloatingIpId) -> str:
        """Name the floating IP."""
        return f"destination floating IP {made}: openstack floating ip delete {made}"


@dataclass(frozen=True)
class AssociateFloatingIp(Step[FloatingIpId]):
    """Move a free floating IP that the project holds to the twin."""

    server_id: ServerId
    floating_ip_id: FloatingIpId
    fixed_ip: str | None

    def find(self, world: World, tag: Tag) -> FloatingIpId | None:  # noqa: ARG002
        """Return the floating IP if it is on a port of the twin's."""
        ports = {p.id for p in world.destination.ports() if p.device_id == self.server_id}
        held = {f.id for f in world.destination.floating_ips() if f.port_id in ports}
        return self.floating_ip_id if self.floating_ip_id in held else None

    def do(self, world: World, tag: Tag) -> FloatingIpId:  # noqa: ARG002
        """Associate it."""
        port_id = port_of(world, self.server_id, self.fixed_ip)
        world.destination.associate_floating_ip(self.floating_ip_id, port_id, self.fixed_ip)
        return self.floating_ip_id

    def undo(self, world: World, tag: Tag, made: FloatingIpId) -> None:
        """Free it, if the twin still has it."""
        if self.find(world, tag) is not None:
            with suppress(NotFound):
                world.destination.associate_floating_ip(made, None, None)

    def leftover(self, made: FloatingIpId) -> str:
        """Name the floating IP."""
        return f"destination floating IP {made} is in use: openstack floating ip unset --port {made}"
