"""The source server as its attempt found it; the rest of the attempt goes by that, not by what it has changed since."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from os_migrate.model import ServerAction, VolumeId

LOCAL_BOOT_DISK = "/dev/vda"
"""What a boot disk without a volume is called in logs and state files; nothing is looked up by it."""


LEAVES_DISKS: Final = frozenset(
    {"stop", "createImage", "attach_volume", "detach_volume", "attach_interface", "detach_interface", "lock", "unlock"}
)
"""What may be done to a server that is off without a change of what its disks hold.

Source: https://opendev.org/openstack/nova/src/branch/master/nova/compute/instance_actions.py
"""


def used_since(before: Iterable[ServerAction], now: Iterable[ServerAction]) -> list[str]:
    """Return what was done to a server since, of what may have changed its disks."""
    known = {action.request_id for action in before}
    return [a.action for a in now if a.request_id not in known and a.action not in LEAVES_DISKS]


@dataclass(frozen=True)
class Disk:
    """A disk of the source server as its attempt found it. `volume_id` is None for a boot disk that is local to Nova.

    A detached volume is a disk, too; its `device` is its id.
    """

    device: str
    volume_id: VolumeId | None
    is_boot: bool
    bootable: bool
    delete_on_termination: bool
    volume_type: str
    encrypted: bool = False


@dataclass(frozen=True)
class Survey:
    """The source server before anything of it was touched: its boot disk first, its volumes in their order."""

    was_running: bool
    disks: tuple[Disk, ...]
    was_locked: bool = False
