"""The jobs of the data path, as values: what runs on the conversion hosts, and under which name.

    source host                                       destination host
    ScanJob    read a volume once: which blocks
               hold data, and their digest
    ExportJob  nbdkit, read-only, on a Unix socket
                        TunnelJob  ssh -L socket:socket  (started on the destination host)
                                                      CopyJob    nbdcopy --flush from that socket to the volume
                                                      ScanJob    read the copy once: its digest

Pure: this module decides, `hosts.remote` carries out. Every job is a systemd unit of its own, named after the attempt
and the volume, so that it is found, watched and stopped exactly, and outlives the migrator.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from os_migrate.model import AttemptId, VolumeId

UNIT_PREFIX = "os-migrate"
RUN_DIR = "/run/os-migrate"

SSH_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
"""aes128-gcm needs 0.64 of the CPU of OpenSSH's default, measured; the others are there for hosts that lack it."""

KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
"""A silent link is noticed within 15 s."""

READY_S: Final = 60
"""What a server or a tunnel may take until it answers: an SSH login takes ten seconds under emulation."""

LINK_DIR = "/etc/os-migrate"
LINK_KEY = f"{LINK_DIR}/link.key"
LINK_KNOWN_HOSTS = f"{LINK_DIR}/known_hosts"
"""What a destination host needs to reach a source host: the private key and the host keys it accepts (root only)."""

PYTHON: Final = ("python3", "-I", "-S")
"""How the agent is run: without site packages it starts faster, and nothing on the host changes what it does."""

DEVICE: Final = "{device}"
"""Stands for the path of the volume's block device, which only the host knows (the agent's `serve` replaces it)."""


class JobStatus(StrEnum):
    """Where a job is."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class JobState:
    """What a host says of a job. `result` is filled when DONE, `error` when FAILED; `trouble` is what it got over.

    The bytes are those of the disk for a scan, and those that hold data for a copy; both are 0 until the job knows.
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
class ScanResult:
    """What a volume holds.

    `digest` is the sha256 over the volume's size and, for every 64 KiB block that is not all zero, its offset and its
    bytes, in order (see `os_migrate_agent.scan`). Two volumes have the same digest if and only if they hold the same bytes.
    """

    digest: str
    size_bytes: int
    data_bytes: int
    extents: int


@dataclass(frozen=True)
class CopyResult:
    """What a copy moved, and how long it took.

    `copied_bytes` is the size of the disk, every byte of which is as at the source now. `wire_bytes` is what had to
    travel: the extents that the export does not call zero. It is counted, not measured: what NBD and SSH add, about 1%,
    is not in it.
    """

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
    port: int = 22

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


def job_of(attempt: AttemptId, unit: str) -> Job:
    """Return the job of a unit, as far as its name tells: enough to stop it."""
    verb, _, volume = unit.removeprefix(f"{UNIT_PREFIX}-{attempt}-").partition("-")
    match verb:
        case "scan":
            return ScanJob(attempt, VolumeId(volume))
        case "export":
            return ExportJob(attempt, VolumeId(volume))
        case "copy":
            return CopyJob(attempt, VolumeId(""), VolumeId(volume))
        case _:
            return TunnelJob(attempt, (), user="", address="", host_key_alias="")


def socket_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the socket of a volume's export: the same path on both hosts (at most 108 bytes, a limit of Linux)."""
    return f"{RUN_DIR}/{attempt}/{volume_id[:20]}.sock"


def extents_path(attempt: AttemptId, volume_id: VolumeId) -> str:
    """Return the file on the source host that lists what a scan found, as nbdkit's extentlist filter reads it."""
    return f"{RUN_DIR}/{attempt}/{volume_id}.extents"


# What the hosts are asked to run ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """A job as a host carries it out: one transient systemd unit.

    `files` go when the unit is stopped, `sockets` too; the start is over when every socket speaks NBD, and has failed when
    one doesn't after `ready_s` seconds.
    """

    name: str
    directory: str
    argv: tuple[str, ...]
    files: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    restart: bool = False
    ready_s: int = READY_S


def unit_of(job: Job, agent: str) -> Unit:
    """Return the unit that carries out a job; `agent` is the path of the agent on that host."""
    directory = f"{RUN_DIR}/{job.attempt}"
    argv: tuple[str, ...]
    state = f"{directory}/{job.unit}.state"
    match job:
        case ScanJob():
            extents = extents_path(job.attempt, job.volume_id)
            argv = (*PYTHON, agent, "scan", state, job.volume_id, extents)
            return Unit(job.unit, directory, argv, files=(extents,))
        case ExportJob():
            argv = (*PYTHON, agent, "serve", job.volume_id, job.socket, *export_command(job))
            # nbdkit 1.32 aborts when its client vanishes in the middle of a read: the next client shall find it again.
            return Unit(job.unit, directory, argv, sockets=(job.socket,), restart=True)
        case TunnelJob():
            sockets = tuple(socket_path(job.attempt, v) for v in job.volume_ids)
            return Unit(job.unit, directory, tunnel_command(job), sockets=sockets, restart=True)
        case CopyJob():
            argv = (*PYTHON, agent, "copy", state, job.volume_id, socket_path(job.attempt, job.source_id))
            return Unit(job.unit, directory, argv)


def export_command(job: ExportJob) -> tuple[str, ...]:
    """Return nbdkit's command line. It is handed the listening socket, as systemd's socket activation does.

    With `--unix` its socket would belong to root, with mode 0755 whatever the umask: closed to the SSH user.
    """
    return (
        "nbdkit",
        "--foreground",
        "--readonly",
        "--filter=extentlist",
        "file",
        f"file={DEVICE}",
        "fadvise=sequential",
        f"extentlist={extents_path(job.attempt, job.volume_id)}",
    )


def tunnel_command(job: TunnelJob) -> tuple[str, ...]:
    """Return the OpenSSH client's command line, run as root on the destination host."""
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={LINK_KNOWN_HOSTS}",
        "GlobalKnownHostsFile=/dev/null",
        f"HostKeyAlias={job.host_key_alias}",
        "UpdateHostKeys=no",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "ExitOnForwardFailure=yes",
        "StreamLocalBindUnlink=yes",
        "Compression=no",
        "ConnectTimeout=20",
        f"ServerAliveInterval={KEEPALIVE_INTERVAL_S}",
        f"ServerAliveCountMax={KEEPALIVE_COUNT}",
        f"Ciphers={SSH_CIPHERS}",
    )
    sockets = (socket_path(job.attempt, v) for v in job.volume_ids)
    return (
        *("ssh", "-N", "-T", "-F", "none", "-i", LINK_KEY, "-p", str(job.port), "-l", job.user),
        *(word for option in options for word in ("-o", option)),
        *(word for socket in sockets for word in ("-L", f"{socket}:{socket}")),
        *("--", job.address),
    )
