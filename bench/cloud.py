"""A cloud of one conversion host: what the two stages of the transfer ask of `world.Cloud`, and no more.

A volume is a sparse file. One that is attached is a loop device on the host, found by its serial as a virtio disk is; it
goes past the page cache to the file, as a volume does on a hypervisor whose cache mode is none. A snapshot, and the volume
made of it, are the disk itself, which nobody writes to.
"""

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.process import run
from os_migrate.errors import NotFound
from os_migrate.model import (
    Attachment,
    Server,
    ServerId,
    ServerStatus,
    Snapshot,
    SnapshotId,
    Volume,
    VolumeAttachment,
    VolumeId,
    VolumeSpec,
)

GONE_S: Final = 10.0

SIZE_UNIT: Final = 512 << 20
"""What `size_gib` counts here: there is a disk of half a GiB, which must fit its volume exactly."""


@dataclass
class Stored:
    """A volume, its file, and its loop device while it is attached. `is_lent` ones are not ours to delete."""

    view: Volume
    file: Path
    is_lent: bool = False
    loop: str = ""


class BenchCloud:
    """Volumes on this machine, seen by one host."""

    def __init__(self, name: str, by_id: Path, storage: Path) -> None:
        self.name = name
        self._by_id = by_id
        self._storage = storage
        self._volumes: dict[VolumeId, Stored] = {}
        self._snapshots: dict[SnapshotId, Snapshot] = {}
        self._servers: dict[ServerId, Server] = {}

    # What the bench does ---------------------------------------------------------------------------------------------

    def lend(self, file: Path, name: str) -> VolumeId:
        """Show a file as a volume of the project."""
        size = -(-file.stat().st_size // SIZE_UNIT)
        return self._keep(VolumeSpec(name, size, bootable=True), file, is_lent=True)

    def add_server(self, name: str, volumes: list[VolumeId]) -> Server:
        """Add a server that is off, with these volumes, the first of which it boots from."""
        attached = tuple(
            VolumeAttachment(volume_id, f"/dev/vd{letter}")
            for letter, volume_id in zip("abcdefgh", volumes, strict=False)
        )
        server = Server(ServerId(str(uuid.uuid4())), name, ServerStatus.SHUTOFF, volumes=attached)
        self._servers[server.id] = server
        return server

    def file_of(self, volume_id: VolumeId) -> Path:
        """Return the file of a volume."""
        return self._stored(volume_id).file

    def device_of(self, volume_id: VolumeId) -> str:
        """Return the path at which the host has a volume."""
        return f"/dev/disk/by-id/{_link(volume_id)}"

    def empty(self) -> None:
        """Detach and delete everything."""
        for volume_id in list(self._volumes):
            self._unplug(self._stored(volume_id))
            self.delete_volume(volume_id)
        self._snapshots.clear()
        self._servers.clear()

    # world.Cloud -----------------------------------------------------------------------------------------------------

    def server(self, server_id: ServerId) -> Server:
        """Return a server."""
        return self._servers[server_id]

    def volume(self, volume_id: VolumeId) -> Volume:
        """Return a volume."""
        return self._stored(volume_id).view

    def create_volume(self, spec: VolumeSpec) -> VolumeId:
        """Make a blank volume, or show the disk that a snapshot is of."""
        if spec.snapshot_id is not None:
            origin = self._stored(self._snapshots[spec.snapshot_id].volume_id)
            return self._keep(spec, origin.file, is_lent=True)
        file = self._storage / f"{uuid.uuid4()}.raw"
        file.touch()
        os.truncate(file, spec.size_gib * SIZE_UNIT)
        return self._keep(spec, file)

    def await_volume(self, volume_id: VolumeId, status: str, timeout_s: float) -> Volume:  # noqa: ARG002 (of the port)
        """Return the volume: nothing has to be waited for."""
        return self.volume(volume_id)

    def dress_volume(self, volume_id: VolumeId, *, bootable: bool, image_metadata: Mapping[str, str]) -> None:
        """Set the boot flag and the image properties of a volume."""
        stored = self._stored(volume_id)
        stored.view = replace(stored.view, bootable=bootable, image_metadata=dict(image_metadata))

    def set_volume_metadata(self, volume_id: VolumeId, metadata: Mapping[str, str | None]) -> None:
        """Set the given keys, remove those that are None."""
        stored = self._stored(volume_id)
        merged = {**stored.view.metadata, **metadata}
        stored.view = replace(stored.view, metadata={k: v for k, v in merged.items() if v is not None})

    def delete_volume(self, volume_id: VolumeId) -> None:
        """Delete a volume; the file of one that is lent stays."""
        stored = self._volumes.pop(volume_id, None)
        if stored is not None and not stored.is_lent:
            stored.file.unlink(missing_ok=True)

    def attach_volume(
        self,
        server_id: ServerId,
        volume_id: VolumeId,
        *,
        device: str | None,  # noqa: ARG002 (of the port)
        delete_on_termination: bool,  # noqa: ARG002 (of the port)
    ) -> None:
        """Show a volume to the host; a server of the project only takes it back."""
        stored = self._stored(volume_id)
        if server_id in self._servers or stored.loop:
            return
        stored.loop = run(["losetup", "--direct-io=on", "--find", "--show", stored.file]).strip()
        run(["blockdev", "--setrw", stored.loop])  # the kernel keeps that flag for the next user of the device
        (self._by_id / _link(volume_id)).symlink_to(stored.loop)
        stored.view = replace(stored.view, status="in-use", attachments=(Attachment(server_id, stored.loop),))

    def detach_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        """Take a volume from the host."""
        if server_id not in self._servers:
            self._unplug(self._stored(volume_id))

    def create_snapshot(self, volume_id: VolumeId, name: str, metadata: Mapping[str, str]) -> SnapshotId:
        """Make a snapshot: the disk itself."""
        snapshot = Snapshot(SnapshotId(str(uuid.uuid4())), name, "available", volume_id, dict(metadata))
        self._snapshots[snapshot.id] = snapshot
        return snapshot.id

    def await_snapshot(self, snapshot_id: SnapshotId, timeout_s: float) -> Snapshot:  # noqa: ARG002 (of the port)
        """Return the snapshot."""
        return self._snapshots[snapshot_id]

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Forget a snapshot."""
        self._snapshots.pop(snapshot_id, None)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _stored(self, volume_id: VolumeId) -> Stored:
        if volume_id not in self._volumes:
            raise NotFound(f"{self.name}: no volume {volume_id}")
        return self._volumes[volume_id]

    def _keep(self, spec: VolumeSpec, file: Path, *, is_lent: bool = False) -> VolumeId:
        volume_id = VolumeId(str(uuid.uuid4()))
        view = Volume(
            volume_id, spec.name, "available", spec.size_gib, bootable=spec.bootable, metadata=dict(spec.metadata)
        )
        self._volumes[volume_id] = Stored(view, file, is_lent=is_lent)
        return volume_id

    def _unplug(self, stored: Stored) -> None:
        if not stored.loop:
            return
        (self._by_id / _link(stored.view.id)).unlink()
        run(["losetup", "--detach", stored.loop])
        await_detached(stored.loop)
        stored.loop = ""
        stored.view = replace(stored.view, status="available", attachments=())


def await_detached(loop: str) -> None:
    """Wait until nobody has a loop device open any more: until then it stays."""
    backing = Path("/sys/block", Path(loop).name, "loop")
    deadline = time.monotonic() + GONE_S
    while backing.exists():
        if time.monotonic() > deadline:
            raise LabError(f"{loop} is still in use after it was detached")
        time.sleep(0.01)


def _link(volume_id: VolumeId) -> str:
    return f"virtio-{volume_id[:20]}"
