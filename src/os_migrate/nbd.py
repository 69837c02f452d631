"""The jobs of the data path, as values: what runs on the conversion hosts, and under which name.

    source host                                       destination host
    ScanJob    find out what is in use; for NBD, also
               read it: its zeroes, its digest
    SendJob    a stream on a Unix socket: reads what is
               in use once, for zeroes, digest and copy
    ExportJob  or else nbdkit, read-only, on another
                        TunnelJob  ssh -L socket:socket  (started on the destination host)
                                                      CopyJob    from that socket to the volume, flushed
                                                      ScanJob    read the copy once: its digest

Pure: this module decides, `hosts.remote` carries out, in units (`units`). Every job is a systemd unit of its own, named after
the attempt and the volume, so that it is found, watched and stopped exactly, and outlives the migrator.
"""

from dataclasses import dataclass
from enum import StrEnum

from os_migrate.model import AttemptId, VolumeId

UNIT_PREFIX = "os-migrate"
RUN_DIR = "/run/os-migrate"


class Coverage(StrEnum):
    """What of a volume a scan reads; the rest is unused, and goes to the destination as zeroes."""

    MAP = "map"
    """What its file systems use, by their own maps."""
    VIRT_SPARSIFY = "virt-sparsify"
    """What virt-sparsify leaves of an overlay on it."""
    WHOLE = "none"
    """All of it: nothing is left out, but zeroes."""
    COPIED = "copied"
    """On the destination host: what the copy wrote there."""


class Depth(StrEnum):
    """How much of what is in use a scan reads."""

    DIGEST = "digest"
    """All of it: zeroes are found, the rest is digested."""
    ZEROES = "zeroes"
    """What no map vouches for: zeroes are found there, and all else counts as data."""
    NOTHING = "nothing"
    """Nothing: who sends it finds its zeroes, and digests it, on the way."""


class Compression(StrEnum):
    """Whether data is compressed on its way."""

    AUTO = "auto"
    """Where it makes the copy faster: the link and the data are measured before the copy. It is a stream in any case."""
    ZSTD = "zstd"
    NONE = "none"
    """It is no stream: NBD has no compression."""


class JobStatus(StrEnum):
    """Where a job is."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class JobState:
    """What a host says of a job. `result` is filled when DONE, `error` when FAILED; `trouble` is what it got over.

    The bytes are those in use for a scan, and those that hold data for a copy; both are 0 until the job knows.
    """

    status: JobStatus
    done_bytes: int = 0
    total_bytes: int = 0
    error: str = ""
    trouble: str = ""
    result: "JobResult | None" = None


@dataclass(frozen=True)
class HostedAttempt:
    """What an attempt has on a host: its units, and whether a migrator that works on it is connected."""

    attempt: AttemptId
    units: tuple[str, ...] = ()
    held: bool = False


@dataclass(frozen=True)
class DiskPart:
    """A part of a disk, and how it was found out what of it is in use.

    `what` is a file system, "swap", "unknown"...; `how` is "map" if its own map says what is used, "whole" if nothing does, and `why` then says why.
    """

    offset: int
    length: int
    what: str
    how: str
    used_bytes: int
    why: str = ""


@dataclass(frozen=True)
class ScanResult:
    """What a volume holds.

    `digest` is the sha256 over the volume's size and, for every 64 KiB block in use that is not all zero, its offset and its
    bytes, in order (see `os_migrate_agent.scan`); empty if none was asked for. A copy that has the digest of its source holds
    what the source holds, and zeroes where the source has zeroes or nothing in use.
    """

    digest: str
    size_bytes: int
    data_bytes: int
    extents: int
    used_bytes: int = 0
    parts: tuple[DiskPart, ...] = ()


@dataclass(frozen=True)
class CopyResult:
    """What a copy moved, and how long it took.

    `copied_bytes` is the size of the disk, every byte of which is as at the source now, or zero where it has none in use.
    `wire_bytes` is what had to travel: the extents that the export does not call zero, or what the stream had. It is
    counted, not measured: what NBD and SSH add, about 1%, is not in it. `method` is "nbd", "stream", or "zstd" with its level, and
    `reason` says why. Who sent a stream tells its `sent`: what `ScanResult` would, of what was sent.
    """

    copied_bytes: int
    wire_bytes: int
    seconds: float
    method: str = "nbd"
    reason: str = ""
    sent: ScanResult | None = None


JobResult = ScanResult | CopyResult


@dataclass(frozen=True)
class ScanJob:
    """List the blocks of a volume that hold data, and digest them, as far as it reads them: once, with an empty cache.

    `timeout_s` limits what a tool may take to find out what is in use.
    """

    attempt: AttemptId
    volume_id: VolumeId
    coverage: Coverage = Coverage.WHOLE
    depth: Depth = Depth.DIGEST
    timeout_s: float = 600.0

    @property
    def unit(self) -> str:
        """Name the unit."""
        return _unit(self.attempt, "scan", self.volume_id)


@dataclass(frozen=True)
class ExportJob:
    """Serve a volume read-only on a Unix socket that only the SSH user can open; holes as the scan found them."""

    attempt: AttemptId
    volume_id: VolumeId

    @property
    def unit(self) -> str:
        """Name the unit."""
        return _unit(self.attempt, "export", self.volume_id)

    @property
    def socket(self) -> str:
        """Return the socket's path on the source host."""
        return socket_path(self.attempt, self.volume_id)


@dataclass(frozen=True)
class SendJob:
    """Send what a scan found to whoever connects: compressed with zstd, after it has measured what that would bring."""

    attempt: AttemptId
    volume_id: VolumeId
    with_digest: bool = True

    @property
    def unit(self) -> str:
        """Name the unit."""
        return _unit(self.attempt, "send", self.volume_id)

    @property
    def socket(self) -> str:
        """Return the socket's path on the source host."""
        return stream_path(self.attempt, self.volume_id)


@dataclass(frozen=True)
class TunnelJob:
    """Forward the sockets of exports, or of streams, from the destination host to the source host, over one SSH connection.

    An attempt may have several, by their `number`. All tunnels of a destination host together carry `limit_bytes_s` at most.
    """

    attempt: AttemptId
    volume_ids: tuple[VolumeId, ...]
    user: str
    address: str
    host_key_alias: str
    port: int = 22
    number: int = 0
    streams: bool = False
    limit_bytes_s: float | None = None

    @property
    def unit(self) -> str:
        """Name the unit."""
        return f"{UNIT_PREFIX}-{self.attempt}-tunnel{f'-{self.number}' if self.number else ''}"

    @property
    def sockets(self) -> tuple[str, ...]:
        """Return the paths of the sockets, the same on both hosts."""
        path = stream_path if self.streams else socket_path
        return tuple(path(self.attempt, v) for v in self.volume_ids)


@dataclass(frozen=True)
class CopyJob:
    """Copy what an export or a stream serves, through the tunnel, onto a destination volume, flushed and synced."""

    attempt: AttemptId
    source_id: VolumeId
    volume_id: VolumeId
    compression: Compression = Compression.NONE

    @property
    def unit(self) -> str:
        """Name the unit."""
        return _unit(self.attempt, "copy", self.volume_id)

    @property
    def socket(self) -> str:
        """Return the path of what serves the source, the same on both hosts."""
        path = socket_path if self.compression is Compression.NONE else stream_path
        return path(self.attempt, self.source_id)


Job = ScanJob | ExportJob | SendJob | TunnelJob | CopyJob


def _unit(attempt: AttemptId, verb: str, volume_id: VolumeId) -> str:
    return f"{UNIT_PREFIX}-{attempt}-{verb}-{volume_id}"


def job_of(attempt: AttemptId, unit: str) -> Job:
    """Return the job of a unit, as far as its name tells: enough to stop it."""
    verb, _, volume = unit.removeprefix(f"{UNIT_PREFIX}-{attempt}-").partition("-")
    match verb:
        case "scan":
            return ScanJob(attempt, VolumeId(volume))
        case "export":
            return ExportJob(attempt, VolumeId(volume))
        case "send":
            return SendJob(attempt, VolumeId(volume))
        case "copy":
            return CopyJob(attempt, VolumeId(""), VolumeId(volume))
        case _:
            return TunnelJob(attempt, (), user="", address="", host_key_alias="", number=int(volume or 0))


def socket_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the socket of a volume's export: the same path on both hosts (at most 108 bytes, a limit of Linux)."""
    return f"{RUN_DIR}/{attempt}/{volume_id[:20]}.sock"


def stream_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the socket on which a volume is sent compressed."""
    return f"{RUN_DIR}/{attempt}/{volume_id[:20]}.zst.sock"


def extents_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the file that lists what a scan found, or a copy wrote, as nbdkit's extentlist filter reads it."""
    return f"{RUN_DIR}/{attempt}/{volume_id}.extents"
