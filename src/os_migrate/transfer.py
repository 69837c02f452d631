"""What every migration does with its disks: to the source host, over the link, onto volumes of their own, proven.

hold_hosts    both hosts answer, and hold the attempt for as long as this process lives
export        attach to the source host; scan; export over NBD or as a stream, read-only, local only
transfer      create and attach the destination volumes; SSH forwarding; copy; verify
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from os_migrate.errors import DigestMismatch
from os_migrate.events import Note
from os_migrate.model import ServerId, Side, VolumeId, VolumeSpec
from os_migrate.nbd import (
    Compression,
    CopyJob,
    CopyResult,
    Coverage,
    Depth,
    ExportJob,
    Job,
    ScanJob,
    ScanResult,
    SendJob,
    TunnelJob,
)
from os_migrate.run import Run
from os_migrate.steps.transfer import AwaitJob, ReadTools, StartJob
from os_migrate.steps.volumes import AttachVolume, CreateVolume
from os_migrate.survey import Disk


@dataclass(frozen=True)
class Exported:
    """A disk of the source, readable by the destination host. `volume_id` is what is attached to the source host."""

    disk: Disk
    volume_id: VolumeId
    size_gib: int
    image_metadata: tuple[tuple[str, str], ...]
    scan: ScanResult


@dataclass(frozen=True)
class Copied:
    """A disk in the destination, proven equal to its source unless the operator wants no proof."""

    disk: Disk
    volume_id: VolumeId


def hold_hosts(run: Run) -> None:
    """Find out whether both hosts answer, and hold the attempt there for as long as this process lives: see `cleanup`."""
    for side in Side:
        run.patiently("hold", partial(_hold, run, side))
        run.perform(ReadTools(side, side))


def export(run: Run, disks: Sequence[Disk], at_host: Mapping[str, VolumeId]) -> tuple[Exported, ...]:
    """Attach what `at_host` has for each disk, by its device, to the source host, scan and export it there."""
    for disk in disks:
        attach = AttachVolume(f"source {disk.device}", Side.SOURCE, _host_id(run, Side.SOURCE), at_host[disk.device])
        run.perform(attach)
    scans = _scan(run, Side.SOURCE, [(d.device, at_host[d.device]) for d in disks])
    for disk in disks:
        run.perform(_start(run, f"export {disk.device}", Side.SOURCE, _server(run, at_host[disk.device])))
    return tuple(_exported(run, d, at_host[d.device], scans[d.device]) for d in disks)


def transfer(run: Run, exported: Sequence[Exported], spec_of: Callable[[Exported], VolumeSpec]) -> tuple[Copied, ...]:
    """Copy every exported disk onto a destination volume of its own, which stays attached to the host, and prove the copy.

    Raises:
        DigestMismatch: a copy differs from its source.
    """
    created = {
        e.disk.device: run.perform(
            CreateVolume(f"destination {e.disk.device}", Side.DESTINATION, e.disk.device, spec_of(e))
        )
        for e in exported
    }
    for e in exported:
        host_id = _host_id(run, Side.DESTINATION)
        step = AttachVolume(f"destination {e.disk.device}", Side.DESTINATION, host_id, created[e.disk.device])
        run.perform(step)
    _connect(run, [e.volume_id for e in exported])
    copies = _copy(run, exported, created)
    if run.settings.transfer.proof:
        scans = _scan(run, Side.DESTINATION, [(device, created[device]) for device in copies])
        for e in exported:
            _prove(e, created[e.disk.device], copies[e.disk.device], scans[e.disk.device])
    return tuple(Copied(e.disk, created[e.disk.device]) for e in exported)


def _hold(run: Run, side: Side, _tries: int) -> None:
    run.world.host(side).hold(run.attempt.id)


def _host_id(run: Run, side: Side) -> ServerId:
    return run.world.host(side).server_id


def _start(run: Run, subject: str, side: Side, job: Job) -> StartJob:
    return StartJob(subject, side, job, _host_id(run, side))


def _scan(run: Run, side: Side, volumes: Sequence[tuple[str, VolumeId]]) -> dict[str, ScanResult]:
    transfer = run.settings.transfer
    activity, coverage, depth = "verify", Coverage.COPIED, Depth.DIGEST
    if side is Side.SOURCE:
        activity, coverage, depth = "scan", transfer.sparsify, Depth.DIGEST if transfer.proof else Depth.ZEROES
        if _streams(run):
            depth = Depth.NOTHING
    units = []
    for device, volume_id in volumes:
        job = ScanJob(run.attempt.id, volume_id, coverage, depth, transfer.sparsify_timeout_s)
        units.append((device, run.perform(_start(run, f"{activity} {device}", side, job))))
    scans: dict[str, ScanResult] = {}
    for device, unit in units:
        result = run.perform(AwaitJob(f"{activity} {device}", side, unit, device, activity, run.attempt.subject_id))
        assert isinstance(result, ScanResult), "a scan returns that"
        scans[device] = result
    return scans


def _server(run: Run, volume_id: VolumeId) -> Job:
    """Return what serves a volume to the destination host."""
    if _streams(run):
        return SendJob(run.attempt.id, volume_id, with_digest=run.settings.transfer.proof)
    return ExportJob(run.attempt.id, volume_id)


def _streams(run: Run) -> bool:
    return run.settings.transfer.compression is not Compression.NONE


def _exported(run: Run, disk: Disk, volume_id: VolumeId, scan: ScanResult) -> Exported:
    volume = run.world.source.volume(volume_id)
    return Exported(disk, volume_id, volume.size_gib, tuple(sorted(volume.image_metadata.items())), scan)


def _connect(run: Run, volume_ids: Sequence[VolumeId]) -> None:
    """Forward all exports, over as many connections as are wanted: one keeps no more than one core of each host busy."""
    source_host = run.world.host(Side.SOURCE)
    connections = min(run.settings.transfer.connections, len(volume_ids))
    for number in range(connections):
        tunnel = TunnelJob(
            run.attempt.id,
            tuple(volume_ids[number::connections]),
            user=run.settings.conversion.ssh_user,
            address=source_host.address,
            host_key_alias=source_host.server_id,
            number=number,
            streams=_streams(run),
            limit_bytes_s=run.settings.limit_bytes_s,
        )
        run.perform(_start(run, "tunnel" if number == 0 else f"tunnel {number}", Side.DESTINATION, tunnel))


def _copy(run: Run, exported: Sequence[Exported], created: dict[str, VolumeId]) -> dict[str, CopyResult]:
    units = []
    for e in exported:
        compression = run.settings.transfer.compression
        job = CopyJob(run.attempt.id, e.volume_id, created[e.disk.device], compression)
        units.append((e.disk.device, run.perform(_start(run, f"copy {e.disk.device}", Side.DESTINATION, job))))
    copies: dict[str, CopyResult] = {}
    for device, unit in units:
        done = run.perform(AwaitJob(f"copy {device}", Side.DESTINATION, unit, device, "copy", run.attempt.subject_id))
        assert isinstance(done, CopyResult), "a copy returns that"
        copies[device] = done
        if done.reason:
            text = f"copy of {device} by {done.method}: {done.reason}"
            run.world.events.tell(Note(workload=run.attempt.subject_id, text=text))
    return copies


def _prove(exported: Exported, volume_id: VolumeId, copy: CopyResult, scan: ScanResult) -> None:
    source = copy.sent or exported.scan
    if scan.digest != source.digest:
        raise DigestMismatch(
            f"{exported.disk.device}: the copy {volume_id} is not equal to its source {exported.volume_id}:"
            f" {scan.digest} is not {source.digest}",
            remedy="nothing of it is kept; check the destination's storage, then migrate again",
        )
