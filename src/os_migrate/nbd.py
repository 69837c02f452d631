"""The jobs of the data path, as values: what runs on the conversion hosts, and under which name.

    source host                                       destination host
    ScanJob    read a volume once: which blocks
               hold data, and their digest
    ExportJob  nbdkit, read-only, on a Unix socket
                        TunnelJob  ssh -L socket:socket  (started on the destination host)
                                                      CopyJob    nbdcopy --flush from that socket to the volume
                                                      ScanJob    read the copy once: its digest

Pure: this module decides, `hosts.remote` carries out. Every job is a systemd unit of its own, named after the attempt and the
volume, so that it is found, watched and stopped exactly, and outlives the migrator.
"""

from dataclasses import dataclass
from enum import StrEnum

from os_migrate.model import AttemptId, VolumeId

UNIT_PREFIX = "os-migrate"
RUN_DIR = "/run/os-migrate"

SSH_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
"""aes128-gcm needs 0.64 of the CPU of OpenSSH's default, measured; the others are there for hosts that lack it."""

KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
"""A silent link is noticed within 15 s."""


class JobStatus(StrEnum):
    """Where a job is."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class JobState:
    """What a host says of a job. `result` is filled when DONE, `error` when FAILED."""

    status: JobStatus
    done_bytes: int = 0
    total_bytes: int = 0
    error: str = ""
    result: "JobResult | None" = None


@dataclass(frozen=True)
class ScanResult:
    """What a volume holds.

    `digest` is the sha256 over the volume's size and, for every 64 KiB block that is not all zero, its offset and its bytes,
    in order (see `hosts/agent.py`). Two volumes of one size have the same digest if and only if they hold the same bytes.
    """

    digest: str
    size_bytes: int
    data_bytes: int
    extents: int


@dataclass(frozen=True)
class CopyResult:
    """What a copy moved, and how long it took."""

    copied_bytes: int
    wire_bytes: int
    seconds: float


JobResult = ScanResult | CopyResult


@dataclass(frozen=True)
class ScanJob:
    """Read a volume once, with an empty cache: list the blocks that hold data, and digest them."""

    attempt: AttemptId
    volume_id: VolumeId

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
class TunnelJob:
    """Forward the sockets of all exports of an attempt from the destination host to the source host, over SSH."""

    attempt: AttemptId
    volume_ids: tuple[VolumeId, ...]
    user: str
    address: str
    host_key_alias: str

    @property
    def unit(self) -> str:
        """Name the unit."""
        return f"{UNIT_PREFIX}-{self.attempt}-tunnel"


@dataclass(frozen=True)
class CopyJob:
    """Copy an export, through the tunnel, onto a destination volume, flushed and synced."""

    attempt: AttemptId
    source_id: VolumeId
    volume_id: VolumeId

    @property
    def unit(self) -> str:
        """Name the unit."""
        return _unit(self.attempt, "copy", self.volume_id)


Job = ScanJob | ExportJob | TunnelJob | CopyJob


def _unit(attempt: AttemptId, verb: str, volume_id: VolumeId) -> str:
    return f"{UNIT_PREFIX}-{attempt}-{verb}-{volume_id}"


def socket_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the socket of a volume's export: the same path on both hosts (at most 108 bytes, a limit of Linux)."""
    return f"{RUN_DIR}/{attempt}/{volume_id[:20]}.sock"
