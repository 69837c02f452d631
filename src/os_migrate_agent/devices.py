"""The block devices of this host, known by the id of their volume."""

import contextlib
import fcntl
import os
import stat
import struct
import time
from typing import Optional

from os_migrate_agent.files import POLL_S, Json, names
from os_migrate_agent.process import AgentError

BY_ID_DIR = "/dev/disk/by-id"

BLKROSET = 0x125D  # linux/fs.h: make a block device read-only for everybody on this host


def find_device(volume_id: str) -> Optional[str]:
    """Return the block device through which this host sees the volume, or None.

    QEMU shows the volume's id to the guest as the disk's serial; virtio, NVMe and IDE keep its first 20 characters. A
    link of udev's is preferred to the kernel's name: it goes with the volume, and can't come to mean another disk.
    """
    serials = (volume_id, volume_id[:20])
    links = [
        os.path.join(BY_ID_DIR, name)
        for name in sorted(names(BY_ID_DIR))
        if name.partition("-")[2] in serials or name.endswith(tuple("_" + s for s in serials))
    ]
    nodes = [
        "/dev/" + name for name in sorted(names("/sys/block")) if _serial(os.path.join("/sys/block", name)) in serials
    ]
    found = [path for path in links + nodes if os.path.exists(path)]
    disks = {os.path.realpath(path) for path in found}
    if len(disks) > 1:
        raise AgentError(f"volume {volume_id} is seen as several disks: " + ", ".join(sorted(disks)))
    return found[0] if found else None


def _serial(block: str) -> str:
    """Return the serial that the kernel knows of a disk, or ""."""
    for name in ("serial", "device/serial", "device/vpd_pg80"):
        with contextlib.suppress(OSError), open(os.path.join(block, name), "rb") as file:
            # A SCSI unit serial number page begins with 4 bytes of header (SPC-4, 7.8.16).
            said = file.read()[4:] if name.endswith("vpd_pg80") else file.read()
            return said.decode("ascii", "replace").strip(" \0\n")
    return ""


def device_of(volume_id: str) -> str:
    """Return the block device of a volume; raise AgentError if there is none."""
    path = find_device(volume_id)
    if path is None:
        raise AgentError("no disk of this host has the serial of volume " + volume_id)
    return path


def verb_device(request: Json) -> Json:
    """Wait until the guest sees a volume; return its size in bytes, or a size of None when time runs out.

    A volume of the source is made read-only at once: nothing on this host, a volume manager least of all, shall write to it.
    """
    deadline = time.monotonic() + request["timeout_s"]
    while True:
        path = find_device(request["volume_id"])
        if path is not None:
            with open(path, "rb") as disk:
                if request["read_only"] and stat.S_ISBLK(os.stat(path).st_mode):
                    fcntl.ioctl(disk, BLKROSET, struct.pack("i", 1))
                return {"path": path, "size_bytes": disk.seek(0, os.SEEK_END)}
        if time.monotonic() > deadline:
            return {"path": None, "size_bytes": None}
        time.sleep(POLL_S)
