"""What a physical volume of LVM has on it, as lvm2's own tools read it."""

import json
from typing import Dict, List, NamedTuple

from os_migrate_agent.blocks import Extent
from os_migrate_agent.process import AgentError, run
from os_migrate_agent.reading import Unproven, must

Row = Dict[str, str]

LIMIT_S = 60
FIELDS = "vg_name,pv_count,vg_extent_size,pe_start,pvseg_start,pvseg_size,segtype,lv_name,lv_attr,lv_size,seg_start_pe"
# Nothing but the one device is looked at, whatever this host's own settings are, and nothing is remembered of it.
CONFIG = (
    'devices{{filter=["a|^{0}$|","r|.*|"] global_filter=["a|^{0}$|"] use_devicesfile=0 hints="none" '
    'obtain_device_list_from_udev=0 external_device_info_source="none" scan=["/dev"]}} '
    "global{{use_lvmetad=0 use_lvmlockd=0 use_lvmpolld=0}} backup{{backup=0 archive=0}}"
)


class Piece(NamedTuple):
    """A piece of a physical volume, and what lies in it."""

    name: str  # vg/lv; "" if it is not allocated
    runs: List[Extent]
    why: str  # it is not a plain volume that is all here; "" if it is


def pieces(path: str, length: int) -> List[Piece]:
    """Return all that is allocated and all that isn't; the rest is metadata. Raise Unproven if anything is odd."""
    argv = ["pvs", "--readonly", "--driverloaded", "n", "--reportformat", "json", "--units", "b", "--nosuffix"]
    argv += ["--config", CONFIG.format(path), "--segments", "-o", FIELDS, path]
    try:
        rows = json.loads(run(argv, timeout_s=LIMIT_S))["report"][0]["pvseg"]
        return _read(rows, length)
    except (AgentError, OSError, ValueError, LookupError, TypeError) as fault:
        raise Unproven(f"LVM's tools can't read it: {fault}") from fault


def _read(rows: List[Row], length: int) -> List[Piece]:
    must(rows and all(row["vg_name"] for row in rows), "it belongs to no volume group")
    # Their copies of the metadata may be newer than this one.
    must(all(row["pv_count"] == "1" for row in rows), "its volume group has other disks")
    free = []
    volumes: Dict[str, List[Row]] = {}
    end = 0
    for row in sorted(rows, key=lambda row: int(row["pvseg_start"])):
        must(int(row["pvseg_start"]) == end, "its segments have a gap, or overlap")
        end += int(row["pvseg_size"])
        offset, size = _place(row)
        must(size > 0 and offset + size <= length, "its segments reach beyond its end")
        if row["segtype"] == "free":
            must(not row["lv_name"], "a free segment belongs to a volume")
            free.append((offset, size))
        else:
            name = row["vg_name"] + "/" + row["lv_name"].strip("[]")
            volumes.setdefault(name, []).append(row)
    return [_volume(name, rows) for name, rows in volumes.items()] + [Piece("", [extent], "") for extent in free]


def _volume(name: str, rows: List[Row]) -> Piece:
    """Return a logical volume, its pieces in its own order."""
    rows = sorted(rows, key=lambda row: int(row["seg_start_pe"]))
    runs: List[Extent] = []
    end = 0
    why = ""
    for row in rows:
        offset, size = _place(row)
        if int(row["seg_start_pe"]) * int(row["vg_extent_size"]) != end:
            why = "it is not all on this disk"
        if row["segtype"] != "linear":
            why = "it is not a plain logical volume: " + row["segtype"]
        end += size
        if runs and sum(runs[-1]) == offset:
            runs[-1] = (runs[-1][0], runs[-1][1] + size)
        else:
            runs.append((offset, size))
    # The first letter of the attributes: "-" is a volume that is neither origin, snapshot, mirror nor part of another.
    if rows[0]["lv_attr"][:1] != "-" or rows[0]["lv_name"].startswith("["):
        why = why or "it is not a plain logical volume: " + rows[0]["lv_attr"]
    if not why and end != int(rows[0]["lv_size"]):
        why = "it is not all on this disk"
    return Piece(name, runs, why)


def _place(row: Row) -> Extent:
    extent = int(row["vg_extent_size"])
    return int(row["pe_start"]) + int(row["pvseg_start"]) * extent, int(row["pvseg_size"]) * extent
