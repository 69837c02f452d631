"""NTFS: whether it was closed cleanly, and how much of it is free.

Layout: the documentation of linux-ntfs, and layout.h of NTFS-3G. partclone looks at the volume's dirty flag only. A system
that was cut off leaves that flag as it was, and its log in use; one that hibernated keeps changes in hiberfil.sys.
"""

from typing import Iterator, List, Tuple

from os_migrate_agent.blocks import CHUNK, Extent
from os_migrate_agent.reading import Claim, Unproven, Window, field, fields, must

FILES, LOG, VOLUME, ROOT, BITMAP = 0, 2, 3, 5, 6  # numbers of records
LIST, VOLUME_INFORMATION, DATA, INDEX_ROOT, INDEX_BLOCKS, END = 0x20, 0x70, 0x80, 0x90, 0xA0, 0xFFFFFFFF
UNCLEAN = 0x1 | 0x2 | 0x4000  # flags of the volume: dirty, its log is to be resized, being checked
NO_CLIENT = 0xFFFF  # of the log: nobody uses it
LOG_CLEAN = 2  # a flag of the log
SECTOR = 512  # unit of the guards against torn writes, whatever the disk's sector is
HIBERNATION = "hiberfil.sys".encode("utf-16-le")
NAME_AT = 0x52  # in a directory's entry, which begins with the number of its record; before it is the name's length
AWAKE = (bytes(4), b"wake", b"WAKE")  # begin the file of a system that is not hibernated


def check(window: Window) -> Claim:
    """Return what an NTFS claims; raise Unproven unless flag, log and hibernation file say that it was closed."""
    volume = _Volume(window)
    (information,) = [data for kind, data in volume.resident(VOLUME) if kind == VOLUME_INFORMATION] or [b""]
    must(not field("<H", information, 10) & UNCLEAN, "it is marked dirty")
    must(_is_log_clean(volume), "its log must be replayed")
    for number in _hibernation_files(volume):
        must(volume.beginning(number)[:4] in AWAKE, "it belongs to a system that is hibernated")
    free = volume.clusters - sum(bin(int.from_bytes(piece, "little")).count("1") for piece in volume.bitmap())
    must(free >= 0, "its bitmap is mangled")
    return Claim(volume.clusters * volume.cluster, free * volume.cluster, [(0, min(65536, window.length))])


def _is_log_clean(volume: "_Volume") -> bool:
    """Tell whether the log was closed (ntfs_is_logfile_clean): the newer of its two restart pages says so."""
    first = volume.read(LOG, 0, 4096)
    if first == b"\xff" * len(first):
        return True  # as it is made, and as NTFS-3G leaves it
    must(first[:4] == b"RSTR", "its log is not what it should be")
    page = field("<I", first, 16)
    must(page in (4096, 8192, 16384, 32768, 65536), "its log is not what it should be")
    newest = (-1, False)
    for data in (first, volume.read(LOG, page, 4096)):
        area = field("<H", data, 24)
        must(data[:4] == b"RSTR" and area + 16 < SECTOR - 2, "its log is not what it should be")
        sequence, _, _, client, flags = fields("<QHHHH", data, area)
        newest = max(newest, (sequence, client == NO_CLIENT or bool(flags & LOG_CLEAN)))
    return newest[1]


def _hibernation_files(volume: "_Volume") -> Iterator[int]:
    """Yield the records of all entries hiberfil.sys in the root directory, those among them that were deleted."""
    for block in volume.index_blocks(ROOT):
        lower = block.lower()
        at = lower.find(HIBERNATION)
        while at >= 0:
            if at >= NAME_AT and block[at - 2] == len(HIBERNATION) // 2:
                yield field("<Q", block, at - NAME_AT) & 0xFFFFFFFFFFFF
            at = lower.find(HIBERNATION, at + 1)


class _Volume:
    """The records of an NTFS, and their attributes."""

    def __init__(self, window: Window) -> None:
        boot = window.read(0, 512)
        must(boot[3:11] == b"NTFS    ", "its boot sector is not that of NTFS")
        sector, in_cluster, sectors = field("<H", boot, 11), boot[13], field("<Q", boot, 40)
        in_cluster = in_cluster if in_cluster <= 128 else 1 << (256 - in_cluster)
        must(sector in (512, 1024, 2048, 4096) and in_cluster, "its boot sector is mangled")
        self._window = window
        self.cluster = sector * in_cluster
        self.clusters = sectors // in_cluster
        must(self.clusters and sectors * sector <= window.length, "it is larger than what it lies in")
        size = field("<b", boot, 64)
        self._record_bytes = size * self.cluster if size > 0 else 1 << -size
        must(self._record_bytes in (1024, 2048, 4096), "its boot sector is mangled")
        self._records = [(field("<Q", boot, 48) * self.cluster, 16 * self._record_bytes)]
        self._records = self._runs(FILES, DATA)

    def resident(self, number: int) -> List[Tuple[int, bytes]]:
        """Return the attributes of a record that are in it, with their kinds."""
        return [
            (kind, data[field("<H", data, 20) :][: field("<I", data, 16)])
            for kind, data in self._attributes(number)
            if not data[8]
        ]

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Return some bytes of a file whose data are outside of its record."""
        return self._in_runs(self._runs(number, DATA), offset, length)

    def beginning(self, number: int) -> bytes:
        """Return the first bytes of a file, wherever they are."""
        inside = [data for kind, data in self.resident(number) if kind == DATA]
        return inside[0] if inside else self.read(number, 0, SECTOR)

    def bitmap(self) -> Iterator[bytes]:
        """Yield the bitmap of the clusters in pieces; bits past the last cluster are not in it."""
        left = self.clusters
        for offset in range(0, -(-self.clusters // 8), CHUNK):
            piece = self.read(BITMAP, offset, min(CHUNK, -(-left // 8)))
            if left < 8 * len(piece) and left % 8:
                piece = piece[:-1] + bytes([piece[-1] & ((1 << left % 8) - 1)])
            left -= 8 * len(piece)
            yield piece

    def index_blocks(self, number: int) -> Iterator[bytes]:
        """Yield all blocks of a directory."""
        roots = [data for kind, data in self.resident(number) if kind == INDEX_ROOT]
        must(len(roots) == 1, "its root directory is not what it should be")
        yield roots[0]
        size = field("<I", roots[0], 8)
        must(size in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536), "its root directory is not what it should be")
        if any(kind == INDEX_BLOCKS for kind, _ in self._attributes(number)):
            runs = self._runs(number, INDEX_BLOCKS)
            for offset in range(0, sum(length for _, length in runs), size):
                block = self._in_runs(runs, offset, size)
                if block[:4] == b"INDX":
                    yield _without_guards(block)

    def _attributes(self, number: int) -> List[Tuple[int, bytes]]:
        """Return the attributes of a record; raise Unproven if there are more of them elsewhere."""
        record = self._in_runs(self._records, number * self._record_bytes, self._record_bytes)
        must(record[:4] == b"FILE", "a record is not what it should be")
        record = _without_guards(record)
        at = field("<H", record, 20)
        found = []
        while field("<I", record, at) != END:
            kind, length = fields("<II", record, at)
            must(length >= 24 and at + length <= len(record), "a record is mangled")
            must(kind != LIST, f"record {number} is spread over others")
            found.append((kind, record[at : at + length]))
            at += length
        return found

    def _runs(self, number: int, wanted: int) -> List[Extent]:
        """Return where on the volume an attribute is; raise Unproven if it is not there, or has a hole."""
        found = [data for kind, data in self._attributes(number) if kind == wanted and data[8]]
        # The unnamed one is first; only a directory's blocks have a name.
        must(found and (wanted == INDEX_BLOCKS or not found[0][9]), "a file's data are not where they should be")
        pairs = found[0][field("<H", found[0], 32) :]
        runs = []
        cluster = 0
        while pairs and pairs[0]:
            sizes, places = pairs[0] & 15, pairs[0] >> 4
            length = int.from_bytes(pairs[1 : 1 + sizes], "little")
            cluster += int.from_bytes(pairs[1 + sizes : 1 + sizes + places], "little", signed=True)
            must(places and length and cluster >= 0, "a file has a hole where it should not")
            runs.append((cluster * self.cluster, length * self.cluster))
            pairs = pairs[1 + sizes + places :]
        return runs

    def _in_runs(self, runs: List[Extent], offset: int, length: int) -> bytes:
        found = b""
        for at, there in runs:
            if offset < there and len(found) < length:
                found += self._window.read(at + offset, min(there - offset, length - len(found)))
            offset = max(offset - there, 0)
        if len(found) < length:
            raise Unproven("a file is shorter than it should be")
        return found


def _without_guards(block: bytes) -> bytes:
    """Put the last bytes of each sector back to where they belong; raise Unproven if a write was torn."""
    at, count = fields("<HH", block, 4)
    guards = block[at : at + 2 * count]
    must(count == len(block) // SECTOR + 1 and len(guards) == 2 * count, "a record is mangled")
    whole = bytearray(block)
    for number in range(1, count):
        end = number * SECTOR
        must(block[end - 2 : end] == guards[:2], "a write to it was torn")
        whole[end - 2 : end] = guards[2 * number : 2 * number + 2]
    return bytes(whole)
