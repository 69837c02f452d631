"""Find out where a volume holds data, and digest it."""

import os
import struct
from typing import List

from os_migrate_agent.blocks import blocks, open_uncached, write_list
from os_migrate_agent.devices import device_of
from os_migrate_agent.files import Json, Progress, write_text

DIGEST_PREFIX = b"os-migrate disk digest 1\n"


def task_scan(state: str, volume_id: str, extents_path: str) -> Json:
    """Read a volume once; write down where it holds data, and return its digest."""
    import hashlib

    with open(device_of(volume_id), "rb", buffering=0, opener=open_uncached) as disk:
        size = disk.seek(0, os.SEEK_END)
        progress = Progress(state, size)
        digest = hashlib.sha256(DIGEST_PREFIX + struct.pack(">Q", size))
        extents: List[List[int]] = []
        for offset, block in blocks(disk, [(0, size)], progress):
            digest.update(struct.pack(">Q", offset))
            digest.update(block)
            if extents and sum(extents[-1]) == offset:
                extents[-1][1] += len(block)
            else:
                extents.append([offset, len(block)])
    write_text(extents_path, write_list(((offset, length) for offset, length in extents), size))
    data = sum(length for _, length in extents)
    return {"digest": digest.hexdigest(), "size_bytes": size, "data_bytes": data, "extents": len(extents)}
