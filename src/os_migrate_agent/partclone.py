"""Maps of used blocks by partclone: how they are asked for, and read strictly."""

import os
import re
import shutil
import tempfile
from typing import List

from os_migrate_agent.blocks import Extent
from os_migrate_agent.process import AgentError, run
from os_migrate_agent.reading import Unproven, must

PROGRAMS = {
    "ext2": "partclone.extfs",
    "ext3": "partclone.extfs",
    "ext4": "partclone.extfs",
    "xfs": "partclone.xfs",
    "btrfs": "partclone.btrfs",
    "ntfs": "partclone.ntfs",
    "vfat": "partclone.fat",
}
LIMIT_S = 600  # a map takes seconds; on a slow disk of many terabytes, copying all of it would take days
POSITION = re.compile(r"0x([0-9A-Fa-f]{1,16})\s+([?+])")
STATUS = re.compile(r"0x([0-9A-Fa-f]{1,16})\s+0x([0-9A-Fa-f]{1,16})\s+([?+])")


def used(path: str, kind: str, size: int, directory: str) -> List[Extent]:
    """Return what partclone finds to be used in the file system of `size` bytes on a device."""
    program = PROGRAMS[kind]
    inside = tempfile.mkdtemp(prefix="map-", dir=directory)
    try:
        domain = os.path.join(inside, "domain")  # partclone refuses a file that exists
        # Its own checks stay on: nothing is forced or ignored here, ever. What shows progress, it waits for at its end, 2 s
        # unless told otherwise.
        run(
            [program, "-D", "-q", "-f", "0", "-s", path, "-o", domain, "-L", os.path.join(inside, "log")],
            timeout_s=LIMIT_S,
        )
        with open(domain, encoding="ascii") as file:
            return read_domain(file.read(), size)
    except (AgentError, OSError, ValueError) as fault:
        raise Unproven(str(fault)) from fault
    finally:
        shutil.rmtree(inside)


def read_domain(text: str, size: int) -> List[Extent]:
    """Return the used extents of a domain map (the format of ddrescue's log); raise Unproven unless it covers `size` exactly."""
    must(text.endswith("\n"), "partclone's map is cut off")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    must(lines and POSITION.fullmatch(lines[0]), "partclone's map is mangled: it has no position")
    found = []
    end = 0
    for line in lines[1:]:
        match = STATUS.fullmatch(line)
        if match is None:
            raise Unproven("partclone's map is mangled: " + repr(line[:80]))
        offset, length = int(match.group(1), 16), int(match.group(2), 16)
        must(offset == end and length, f"partclone's map has a gap or overlaps at {end}")
        if match.group(3) == "+":
            found.append((offset, length))
        end = offset + length
    must(end == size, f"partclone's map covers {end} bytes of {size}")
    return found
