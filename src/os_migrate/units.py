"""The jobs of the data path as the conversion hosts carry them out: transient systemd units, and their command lines. Pure."""

import shlex
from dataclasses import dataclass
from typing import Final

from os_migrate.nbd import (
    RUN_DIR,
    CopyJob,
    Coverage,
    ExportJob,
    Job,
    ScanJob,
    SendJob,
    TunnelJob,
    extents_path,
)

SSH_CIPHERS: Final = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
"""aes128-gcm needs 0.64 of the CPU of OpenSSH's default, measured; the others are there for hosts that lack it."""

KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_COUNT: Final = 3
"""A silent link is noticed within 15 s."""

READY_S: Final = 60
"""What a server or a tunnel may take until it answers: an SSH login takes ten seconds under emulation."""

LINK_DIR: Final = "/etc/os-migrate"
LINK_KEY: Final = f"{LINK_DIR}/link.key"
LINK_KNOWN_HOSTS: Final = f"{LINK_DIR}/known_hosts"
"""What a destination host needs to reach a source host: the private key and the host keys it accepts (root only)."""

PYTHON: Final = ("python3", "-I", "-S")
"""How the agent is run: without site packages it starts faster, and nothing on the host changes what it does."""

DEVICE: Final = "{device}"
"""Stands for the path of the volume's block device, which only the host knows (the agent's `serve` replaces it)."""


@dataclass(frozen=True)
class Unit:
    """A job as a host carries it out: one transient systemd unit.

    `files` go when the unit is stopped, `sockets` too; the start is over when a server of ours answers on every socket, and has failed when
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
            how = (job.coverage, job.depth, f"{job.timeout_s:g}")
            argv = (*PYTHON, agent, "scan", state, job.volume_id, extents, *how)
            return Unit(job.unit, directory, argv, files=() if job.coverage is Coverage.COPIED else (extents,))
        case ExportJob():
            argv = (*PYTHON, agent, "serve", job.volume_id, job.socket, *export_command(job))
            # nbdkit 1.32 aborts when its client vanishes in the middle of a read: the next client shall find it again.
            return Unit(job.unit, directory, argv, sockets=(job.socket,), restart=True)
        case SendJob():
            extents = extents_path(job.attempt, job.volume_id)
            digest = "digest" if job.with_digest else "no-digest"
            argv = (*PYTHON, agent, "send", job.volume_id, job.socket, extents, digest)
            return Unit(job.unit, directory, argv, sockets=(job.socket,), restart=True)
        case TunnelJob():
            return Unit(job.unit, directory, tunnel_command(job, agent), sockets=job.sockets, restart=True)
        case CopyJob():
            extents = extents_path(job.attempt, job.volume_id)
            argv = (*PYTHON, agent, "copy", state, job.volume_id, extents, job.compression, job.socket)
            return Unit(job.unit, directory, argv, files=(extents,))


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


def tunnel_command(job: TunnelJob, agent: str) -> tuple[str, ...]:
    """Return the OpenSSH client's command line, run as root on the destination host.

    OpenSSH has no limit of its own: the agent connects for it, and lets no more through.
    """
    throttle = shlex.join([*PYTHON, agent, "throttle", f"{job.limit_bytes_s:.0f}"]) if job.limit_bytes_s else ""
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
        *([f"ProxyCommand={throttle} %h %p"] if throttle else []),
    )
    return (
        *("ssh", "-N", "-T", "-F", "none", "-i", LINK_KEY, "-p", str(job.port), "-l", job.user),
        *(word for option in options for word in ("-o", option)),
        *(word for socket in job.sockets for word in ("-L", f"{socket}:{socket}")),
        *("--", job.address),
    )
