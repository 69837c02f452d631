"""What a disk, or a part of it, is said to be: by its content, never by a partition's type."""

import fcntl
import json
import os
import stat
import struct
from typing import Dict, List

from os_migrate_agent.blocks import Extent
from os_migrate_agent.process import AgentError, run
from os_migrate_agent.reading import Unproven, must

BLKSSZGET = 0x1268  # linux/fs.h: the size of a sector as the disk tells it
PLAIN_SECTOR = 512
LIMIT_S = 60
NOTHING_FOUND, AMBIVALENT = 2, 8  # of blkid(8)
EXTENDED = {"5", "f", "15", "1f", "85", "c5", "cf", "d5"}  # types of partitions that only hold others
PROTECTIVE = "ee"  # the one of a GPT


def probe(path: str) -> Dict[str, str]:
    """Return what blkid finds at the beginning (and end) of a device; raise Unproven if it can be several things."""
    argv = ["blkid", "-p", "-o", "export", path]  # the short options are older
    try:
        said = run(argv, timeout_s=LIMIT_S)
    except AgentError as fault:
        if f"ended with {NOTHING_FOUND}:" in str(fault):
            return {}
        if f"ended with {AMBIVALENT}:" in str(fault):
            raise Unproven("it can be several things: blkid finds it ambivalent") from fault
        raise Unproven(str(fault)) from fault
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def kind_of(found: Dict[str, str]) -> str:
    """Return the type of what fills a device, "" if nobody knows it."""
    must("PTTYPE" not in found, "it has a partition table within: " + found.get("PTTYPE", ""))
    return found.get("TYPE", "")


def partitions(device: str, size: int) -> List[Extent]:
    """Return the partitions of a disk that has a table, ascending; raise Unproven if anything is odd about them."""
    try:
        table = json.loads(run(["sfdisk", "--json", device], timeout_s=LIMIT_S))["partitiontable"]
        sector = _sector_bytes(device)
        label = table["label"]
        must(label in ("gpt", "dos") and table["unit"] == "sectors", f"its partition table ({label}) is not known here")
        must(table.get("sectorsize", sector) == sector, "its partition table is made for other sectors")
        rows = [
            (row["type"].lower(), row["start"] * sector, row["size"] * sector) for row in table.get("partitions", [])
        ]
    except (AgentError, OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise Unproven(f"its partition table can't be read: {fault}") from fault
    if label == "dos":
        must(all(kind != PROTECTIVE for kind, _, _ in rows), "its GPT can't be read")
        rows = [row for row in rows if row[0] not in EXTENDED]
    found = sorted((offset, length) for _, offset, length in rows if length)
    end = 0
    for offset, length in found:
        must(offset >= max(end, sector), "its partitions overlap")
        end = offset + length
    must(end <= size, "its partitions reach beyond its end")
    return found


def _sector_bytes(device: str) -> int:
    with open(device, "rb", buffering=0) as disk:
        if not stat.S_ISBLK(os.fstat(disk.fileno()).st_mode):
            return PLAIN_SECTOR
        return int(struct.unpack("i", fcntl.ioctl(disk, BLKSSZGET, struct.pack("i", 0)))[0])
