"""Bring disks within reach of a conversion host while they stay where they are: as temporary volumes with the same bytes.

a volume       snapshot of it ──> volume from the snapshot
a local disk   image of its server ──> volume from the image
"""

from os_migrate.model import GIB, ImageId, ServerId, Side, VolumeId, VolumeSpec
from os_migrate.run import Run
from os_migrate.steps.servers import SnapshotServer
from os_migrate.steps.volumes import CreateVolume, SnapshotVolume


def bring_volume(run: Run, side: Side, subject: str, device: str, volume_id: VolumeId, name: str) -> VolumeId:
    """Make a temporary volume with the bytes of a volume, which may be in use."""
    snapshot = run.perform(SnapshotVolume(subject, volume_id, name, side))
    volume = run.world.cloud(side).volume(volume_id)
    spec = VolumeSpec(name, volume.size_gib, snapshot_id=snapshot, volume_type=volume.volume_type or None)
    return run.perform(CreateVolume(f"{side} {device}", side, device, spec))


def bring_local_disk(
    run: Run, server_id: ServerId, subject: str, device: str, name: str, size_gib: int | None = None
) -> VolumeId:
    """Make a temporary volume with the bytes of a source server's local boot disk; of the size that fits, unless one is given."""
    image = run.perform(SnapshotServer(subject, server_id, name))
    spec = VolumeSpec(name, size_gib or _boot_disk_gib(run, server_id, image), image_id=image)
    return run.perform(CreateVolume(f"{Side.SOURCE} {device}", Side.SOURCE, device, spec))


def _boot_disk_gib(run: Run, server_id: ServerId, image_id: ImageId) -> int:
    """Return the size in GiB of a volume that holds a local boot disk: never rounded down."""
    source = run.world.source
    image = source.image(image_id)
    flavor_name = source.server(server_id).flavor_name
    flavor_gib = next((f.disk_gib for f in source.flavors() if f.name == flavor_name), 0)
    image_gib = -(-max(image.virtual_size_bytes, image.size_bytes) // GIB)
    return max(flavor_gib, image.min_disk_gib, image_gib, 1)
