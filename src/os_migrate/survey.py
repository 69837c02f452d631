"""The source server as its attempt found it; the rest of the attempt goes by that, not by what it has changed since."""

from dataclasses import dataclass

from os_migrate.model import VolumeId

LOCAL_BOOT_DISK = "/dev/vda"
"""What a boot disk without a volume is called in logs and state files; nothing is looked up by it."""


@dataclass(frozen=True)
class Disk:
    """A disk of the source server as its attempt found it. `volume_id` is None for a boot disk that is local to Nova."""

    device: str
    volume_id: VolumeId | None
    is_boot: bool
    bootable: bool
    delete_on_termination: bool
    volume_type: str


@dataclass(frozen=True)
class Survey:
    """The source server before anything of it was touched: its boot disk first, its volumes in their order."""

    was_running: bool
    disks: tuple[Disk, ...]
