"""Effects on volumes and snapshots."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from os_migrate.errors import CloudError, NotFound
from os_migrate.model import Loan, ServerId, Side, SnapshotId, Tag, VolumeId, VolumeSpec
from os_migrate.step import Lasts, Step
from os_migrate.steps.rest import await_volume_at_rest
from os_migrate.world import World


@dataclass(frozen=True)
class SnapshotVolume(Step[SnapshotId]):
    """Snapshot a volume: that of the source server's boot disk, or one that is to be read again later."""

    volume_id: VolumeId
    name: str
    side: Side = Side.SOURCE
    lasts: ClassVar[Lasts] = Lasts.MIGRATION

    def find(self, world: World, tag: Tag) -> SnapshotId | None:
        """Return the tagged snapshot."""
        wanted = tag.metadata().items()
        return next((s.id for s in world.cloud(self.side).snapshots() if wanted <= s.metadata.items()), None)

    def do(self, world: World, tag: Tag) -> SnapshotId:
        """Ask Cinder for it."""
        return world.cloud(self.side).create_snapshot(self.volume_id, self.name, tag.metadata())

    def settle(self, world: World, tag: Tag, made: SnapshotId) -> SnapshotId:  # noqa: ARG002
        """Wait until it is available."""
        world.cloud(self.side).await_snapshot(made, world.timeout_s)
        return made

    def undo(self, world: World, tag: Tag, made: SnapshotId) -> None:  # noqa: ARG002
        """Delete it."""
        world.cloud(self.side).delete_snapshot(made)

    def leftover(self, made: SnapshotId) -> str:
        """Name the snapshot."""
        return f"{self.side} snapshot {made}: openstack volume snapshot delete {made}"


@dataclass(frozen=True)
class CreateVolume(Step[VolumeId]):
    """Create a volume for a disk: in the source a temporary copy of the boot disk, in the destination one that is kept."""

    side: Side
    device: str
    spec: VolumeSpec | None = field(default=None, metadata={"journal": False})

    @property
    def lifetime(self) -> Lasts:
        """Return FOREVER in the destination."""
        return Lasts.MIGRATION if self.side is Side.SOURCE else Lasts.FOREVER

    def find(self, world: World, tag: Tag) -> VolumeId | None:
        """Return the tagged volume."""
        wanted = tag.metadata().items()
        return next((v.id for v in world.cloud(self.side).volumes() if wanted <= v.metadata.items()), None)

    def do(self, world: World, tag: Tag) -> VolumeId:
        """Ask Cinder for it."""
        assert self.spec is not None, "the flow gives the spec"
        return world.cloud(self.side).create_volume(self.spec.with_metadata(tag.metadata()))

    def settle(self, world: World, tag: Tag, made: VolumeId) -> VolumeId:  # noqa: ARG002
        """Wait until it is available, then set its boot flag and image properties.

        Raises:
            CloudError: it isn't encrypted, and is to be; nothing was written to it.
        """
        assert self.spec is not None, "the flow gives the spec"
        cloud = world.cloud(self.side)
        volume = cloud.await_volume(made, "available", world.timeout_s)
        if self.spec.must_be_encrypted and not volume.encrypted:
            raise CloudError(
                f"{self.device}: its source is encrypted, and {self.side} volume {made} of type {volume.volume_type!r} isn't",
                remedy="name a volume_type that encrypts; or set encrypted_volumes: plain",
            )
        if self.spec.bootable or self.spec.image_metadata:
            cloud.dress_volume(made, bootable=self.spec.bootable, image_metadata=self.spec.image_metadata)
        return made

    def undo(self, world: World, tag: Tag, made: VolumeId) -> None:  # noqa: ARG002
        """Delete it, when it has come to rest."""
        if await_volume_at_rest(world, self.side, made):
            world.cloud(self.side).delete_volume(made)

    def leftover(self, made: VolumeId) -> str:
        """Name the volume."""
        return f"{self.side} volume {made}: openstack volume delete {made}"


@dataclass(frozen=True)
class DetachVolume(Step[VolumeId]):
    """Detach a data volume from the source server; its undo puts it back.

    Volumes are detached last to first, so that the undo attaches them first to last: libvirt's driver ignores the wished
    device name and takes the next that is free.
    """

    server_id: ServerId
    volume_id: VolumeId
    device: str
    delete_on_termination: bool
    lasts: ClassVar[Lasts] = Lasts.MIGRATION
    in_order: ClassVar[bool] = True

    @property
    def handle(self) -> VolumeId:
        """Return the volume."""
        return self.volume_id

    def do(self, world: World, tag: Tag) -> VolumeId:
        """Mark it as on loan, and detach it."""
        loan = Loan(tag.attempt, self.server_id, device=self.device, delete_on_termination=self.delete_on_termination)
        world.source.set_volume_metadata(self.volume_id, loan.metadata())
        world.source.detach_volume(self.server_id, self.volume_id)
        return self.volume_id

    def undo(self, world: World, tag: Tag, made: VolumeId) -> None:  # noqa: ARG002
        """Attach it again, unless it never left, and take the mark off. Its owner may have deleted it, or the server."""
        await_volume_at_rest(world, Side.SOURCE, made)
        with suppress(NotFound):
            world.source.attach_volume(
                self.server_id, made, device=self.device, delete_on_termination=self.delete_on_termination
            )
        with suppress(NotFound):
            world.source.set_volume_metadata(made, Loan.returned())

    def leftover(self, made: VolumeId | None) -> str:
        """Name the volume and its server."""
        volume = made or self.volume_id
        return f"source volume {volume} is detached: openstack server add volume {self.server_id} {volume}"


@dataclass(frozen=True)
class AttachVolume(Step[VolumeId]):
    """Attach a volume to the conversion host on its side, and wait until the guest sees it by its serial.

    Nobody there can write to a volume of the source, nor to one that is only to be read.
    """

    side: Side
    host_id: ServerId
    volume_id: VolumeId
    read_only: bool = False

    @property
    def lifetime(self) -> Lasts:
        """Return TRANSFER in the destination: the twin needs the volume."""
        return Lasts.MIGRATION if self.side is Side.SOURCE else Lasts.TRANSFER

    @property
    def handle(self) -> VolumeId:
        """Return the volume."""
        return self.volume_id

    def do(self, world: World, tag: Tag) -> VolumeId:  # noqa: ARG002
        """Attach it."""
        world.cloud(self.side).attach_volume(self.host_id, self.volume_id, device=None, delete_on_termination=False)
        return self.volume_id

    def settle(self, world: World, tag: Tag, made: VolumeId) -> VolumeId:  # noqa: ARG002
        """Wait for its serial on the host."""
        read_only = self.read_only or self.side is Side.SOURCE
        world.host(self.side).await_device(made, world.timeout_s, read_only=read_only)
        return made

    def undo(self, world: World, tag: Tag, made: VolumeId) -> None:  # noqa: ARG002
        """Detach it."""
        if await_volume_at_rest(world, self.side, made):
            world.cloud(self.side).detach_volume(self.host_id, made)

    def leftover(self, made: VolumeId) -> str:
        """Name the volume and the host."""
        return (
            f"{self.side} volume {made} is on the conversion host: openstack server remove volume {self.host_id} {made}"
        )
