"""FAT16 and FAT32: whether one was closed cleanly, and how much of it is free.

Layout: Microsoft's "FAT: General Overview of On-Disk Format". partclone reads FAT12 as if it were FAT16, and tells them
apart by a text, where systems go by the number of clusters.
"""

import array
import sys

from os_migrate_agent.reading import Claim, Window, field, must

FEWEST_FAT16, FEWEST_FAT32 = 4085, 65525  # clusters
DIRTY = 1  # in the boot sector, next to the signature
ONE_TABLE = 0x80  # a FAT32 need not keep its tables alike; partclone reads the first
CLUSTERS_AT_ONCE = 1 << 20


def check(window: Window) -> Claim:
    """Return what a FAT claims; raise Unproven unless all of its marks say that it was closed cleanly."""
    boot = window.read(0, 512)
    sector, in_cluster, reserved, tables, entries = (
        field("<H", boot, 11),
        boot[13],
        field("<H", boot, 14),
        boot[16],
        field("<H", boot, 17),
    )
    sectors = field("<H", boot, 19) or field("<I", boot, 32)
    short_table = field("<H", boot, 22)
    must(sector in (512, 1024, 2048, 4096) and in_cluster and reserved and tables, "its boot sector is mangled")
    table_sectors = short_table or field("<I", boot, 36)
    first_data = reserved + tables * table_sectors + -(-entries * 32 // sector)
    clusters = (sectors - first_data) // in_cluster
    must(first_data < sectors and sectors * sector <= window.length, "its size is mangled")
    must(clusters >= FEWEST_FAT16, "it is a FAT12, which partclone doesn't read")
    is_32 = not short_table
    must(is_32 == (clusters >= FEWEST_FAT32), "its boot sector contradicts its size")
    width = 4 if is_32 else 2
    must((clusters + 2) * width <= table_sectors * sector, "its table is too short")
    # partclone wants the signature for FAT16 only, and then goes by the fifth letter of "FAT16" or "FAT32".
    at = 64 if is_32 else 36
    must(boot[at + 2] == 0x29 and boot[at + 18 :][:5] == (b"FAT32" if is_32 else b"FAT16"), "its kind is not clear")
    must(not (is_32 and boot[38] == 0x29), "its kind is not clear")
    must(not (is_32 and field("<H", boot, 40) & ONE_TABLE), "only one of its tables is kept")
    must(not boot[at + 1] & DIRTY, "it was not unmounted cleanly")
    table = reserved * sector
    second = field("<I" if is_32 else "<H", window.read(table + width, width), 0)
    must(second >> (8 * width - (5 if is_32 else 1)) & 1, "it was not unmounted cleanly")
    free = _free_clusters(window, table + 2 * width, clusters, "I" if is_32 else "H")
    return Claim(sectors * sector, free * in_cluster * sector, [(0, first_data * sector)])


def _free_clusters(window: Window, at: int, clusters: int, kind: str) -> int:
    """Count the entries of the table that say "free" or "bad"."""
    free = 0
    bad = 0x0FFFFFF7 if kind == "I" else 0xFFF7
    for begin in range(0, clusters, CLUSTERS_AT_ONCE):
        entries = array.array(kind)
        wanted = min(CLUSTERS_AT_ONCE, clusters - begin)
        entries.frombytes(window.read(at + begin * entries.itemsize, wanted * entries.itemsize))
        if sys.byteorder == "big":
            entries.byteswap()
        free += entries.count(0) + entries.count(bad)
    return free
