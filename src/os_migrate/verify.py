"""The proof of a migration, repeated later: both disks are read again, and compared with each other and with the report.

    for each disk, on both sides     snapshot ──> temporary volume ──> conversion host: scan ──> all of it undone

A disk is never detached from its server nor attached to anything, whether it is in use or not: what is read is a copy of it as it is
now. All that is made is tagged, so what a killed verification leaves is found by `cleanup`; its journal lasts as long as it does.

The twin has run since its disks were proven, and may have written to them: that a copy differs is no fault. The source stayed off:
that it differs is.
"""

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from os_migrate import __version__
from os_migrate.bring import bring_local_disk, bring_volume
from os_migrate.errors import DigestMismatch, Interrupted, NotFound, OSMigrateError
from os_migrate.events import BatchStarted, WorkloadEnded, WorkloadStarted
from os_migrate.journal import Journal
from os_migrate.model import GIB, NO_VOLUME, ServerId, Side, VolumeId
from os_migrate.nbd import Coverage, ScanJob, ScanResult
from os_migrate.pool import Work, at_once
from os_migrate.report import DiskReport, WorkloadReport
from os_migrate.run import Run, our_fault
from os_migrate.settings import Settings
from os_migrate.step import Lasts
from os_migrate.steps.transfer import AwaitJob, StartJob
from os_migrate.steps.volumes import AttachVolume
from os_migrate.survey import used_since
from os_migrate.tags import sweep
from os_migrate.world import World

AGAIN: Final = "os-migrate cleanup"


class State(StrEnum):
    """How a disk is now, beside what the report says of it."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    GONE = "gone"
    UNKNOWN = "unknown"  # the report has no digest of it


@dataclass(frozen=True)
class DiskCheck:
    """One disk, in three ways: the source now, the copy now, and what the report says. A digest is None where there is none."""

    device: str
    source: State
    copy: State
    source_digest: str | None = None
    copy_digest: str | None = None
    reported_digest: str | None = None

    @property
    def is_doubtful(self) -> bool:
        """Say whether nothing ever showed that the copy was right, and it differs now."""
        return (
            State.UNKNOWN in {self.source, self.copy} and State.GONE not in {self.source, self.copy} and not self.equal
        )

    @property
    def equal(self) -> bool:
        """Say whether source and copy hold the same bytes now."""
        return self.source_digest is not None and self.source_digest == self.copy_digest


@dataclass(frozen=True)
class Verification:
    """What became of one proof, of a workload or of a detached volume; `error` is what is wrong, `detail` what else there is to say."""

    server_id: ServerId
    name: str
    disks: tuple[DiskCheck, ...] = ()
    detail: str = ""
    error: OSMigrateError | None = None
    seconds: float = 0.0
    volume_id: VolumeId = NO_VOLUME

    @property
    def subject_id(self) -> str:
        """Return the id in the source of what was migrated."""
        return self.volume_id or self.server_id


def verify(world: World, proofs: Sequence[WorkloadReport], settings: Settings) -> list[Verification]:
    """Repeat the proof of migrations.

    Raises:
        HostError: there is no conversion host to read the disks on.
        Interrupted: the operator stopped it.
    """
    for pair in world.pairs if any(proof.disks for proof in proofs) else ():
        for side in Side:
            world.through(pair).host(side)
    with TemporaryDirectory() as directory, closing(Journal(Path(directory) / "journal.sqlite")) as journal:
        works = [Work(partial(_verify, world, journal, proof, settings), 1) for proof in proofs]
        world.events.tell(BatchStarted(total=sum(bool(proof.disks) for proof in proofs)))
        try:
            lanes = [settings.conversion.disks] * len(world.pairs)
            return at_once(works, threads=settings.workloads.parallel, lanes=lanes, stop=world.clock.stop)
        except KeyboardInterrupt:
            remedy = f"`{AGAIN}` removes what it made; then verify again"
            raise Interrupted("stopped during the verification", remedy=remedy) from None


def _verify(world: World, journal: Journal, proof: WorkloadReport, settings: Settings, pair: int) -> Verification:
    name, workload = proof.name, proof.source_id
    if not proof.disks:
        return Verification(proof.source_server_id, name, detail=proof.proof)
    attempt = journal.begin(proof.source_server_id, name, volume_id=proof.source_volume_id)
    began = time.monotonic()
    world.events.tell(WorkloadStarted(workload=workload, name=name, attempt=attempt.id, activity="verify"))
    found = _carry_out(Run(world.through(world.pairs[pair]), journal, attempt, settings, again=AGAIN), proof)
    seconds = time.monotonic() - began
    outcome, detail = ("failed", str(found.error)) if found.error else ("verified", "")
    world.events.tell(WorkloadEnded(workload=workload, name=name, outcome=outcome, detail=detail, seconds=seconds))
    return replace(found, seconds=seconds)


def _carry_out(run: Run, proof: WorkloadReport) -> Verification:
    """Check every disk, and undo whatever that took, however it ended."""
    disks: list[DiskCheck] = []
    error: OSMigrateError | None = None
    detail = ""
    try:
        for side in Side:
            run.patiently("hold", partial(_hold, run, side))
        disks.extend(_check(run, proof, disk) for disk in proof.disks)
        error = _problem(run.world, proof, disks)
    except Exception as raised:  # noqa: BLE001 (a runner: a fault of ours must leave nothing behind either)
        error = raised if isinstance(raised, OSMigrateError) else our_fault(raised)
    try:
        _clear(run)
    except OSMigrateError as second:
        detail = str(error or "")
        error = second
    ids = (proof.source_server_id, proof.name)
    return Verification(*ids, tuple(disks), detail, error, volume_id=proof.source_volume_id)


def _hold(run: Run, side: Side, _tries: int) -> None:
    run.world.host(side).hold(run.attempt.id)


def _check(run: Run, proof: WorkloadReport, disk: DiskReport) -> DiskCheck:
    """Read both disks again; one disk at a time, so that no more than one temporary volume a side is needed."""
    with run.stage(f"verify {disk.device}"):
        there = [side for side in Side if _is_there(run.world, side, proof, disk)]
        units = {side: _start_scan(run, side, proof, disk) for side in there}
        digests = {side: _await_scan(run, side, disk, unit) for side, unit in units.items()}
        run.undo(*Lasts)
    source, copy = digests.get(Side.SOURCE), digests.get(Side.DESTINATION)
    states = _state(source, disk.source_digest), _state(copy, disk.destination_digest)
    return DiskCheck(disk.device, *states, source, copy, disk.source_digest)


def _is_there(world: World, side: Side, proof: WorkloadReport, disk: DiskReport) -> bool:
    volume_id = _volume_id(side, disk)
    try:
        if volume_id is None:
            return world.source.server(proof.source_server_id).image_id is not None
        world.cloud(side).volume(volume_id)
    except NotFound:
        return False
    return True


def _volume_id(side: Side, disk: DiskReport) -> VolumeId | None:
    return disk.source_volume_id if side is Side.SOURCE else disk.destination_volume_id


def _start_scan(run: Run, side: Side, proof: WorkloadReport, disk: DiskReport) -> str:
    """Bring a copy of a disk, as it is now, to its side's host, and begin to read it there; return the unit."""
    name, subject = f"os-migrate-verify-{run.attempt.id}", f"{side} {disk.device}"
    volume_id = _volume_id(side, disk)
    if volume_id is None:
        size_gib = -(-disk.size_bytes // GIB)
        brought = bring_local_disk(run, proof.source_server_id, subject, disk.device, name, size_gib)
    else:
        brought = bring_volume(run, side, subject, disk.device, volume_id, name)
    host_id = run.world.host(side).server_id
    run.perform(AttachVolume(subject, side, host_id, brought, read_only=True))
    # A copy has zeroes where its source has nothing in use: the digest of all of it is that of what was in use.
    coverage = disk.coverage if side is Side.SOURCE else Coverage.WHOLE
    job = ScanJob(run.attempt.id, brought, coverage, timeout_s=run.settings.transfer.sparsify_timeout_s)
    return run.perform(StartJob(f"scan {subject}", side, job, host_id))


def _await_scan(run: Run, side: Side, disk: DiskReport, unit: str) -> str:
    activity = "scan" if side is Side.SOURCE else "verify"  # as in a migration
    result = run.perform(
        AwaitJob(f"scan {side} {disk.device}", side, unit, disk.device, activity, run.attempt.subject_id)
    )
    assert isinstance(result, ScanResult), "a scan returns that"
    return result.digest


def _state(now: str | None, reported: str | None) -> State:
    if now is None:
        return State.GONE
    if reported is None:
        return State.UNKNOWN
    return State.UNCHANGED if now == reported else State.CHANGED


def _clear(run: Run) -> None:
    """Undo all that is left, and look for what was made twice."""
    with run.stage("clean up"):
        run.undo(*Lasts)
        clouds = (run.world.source, run.world.destination)
        run.patiently("sweep", lambda _tries: sweep(clouds, run.attempt.id, run.steps()))


def _problem(world: World, proof: WorkloadReport, disks: Sequence[DiskCheck]) -> OSMigrateError | None:
    """Return what is wrong: a source that differs before anything else."""
    if changed := [d.device for d in disks if d.source is State.CHANGED]:
        why = "somebody had it since" if proof.source_volume_id else _use_since(world, proof)
        then, now = proof.tools.get(Side.SOURCE, {}).get("os-migrate", "another"), __version__
        maps = f"; or try version {then}, in case {now} reads its maps otherwise" if then != now else ""
        return DigestMismatch(
            f"{proof.name}: the source is not as it was when it was migrated: {', '.join(changed)}; {why}",
            remedy=f"what was copied is what the report says; find out who wrote to the source since{maps}",
        )
    if unproven := [d.device for d in disks if d.is_doubtful]:
        return DigestMismatch(
            f"{proof.name}: {', '.join(unproven)}: never proven, and the copy differs from its source now",
            remedy="nobody can say whether it was equal once; compare files, or migrate again with the proof on",
        )
    if gone := [d for d in disks if State.GONE in {d.source, d.copy}]:
        which = ", ".join(f"{d.device} ({_gone_where(d)})" for d in gone)
        return NotFound(f"{proof.name}: gone, so it can't be compared: {which}", remedy="the report is all there is")
    return None


def _use_since(world: World, proof: WorkloadReport) -> str:
    used: list[str] = []
    with suppress(NotFound):
        used = used_since(proof.source_actions, world.source.server_actions(proof.source_server_id))
    return f"its server was used since ({', '.join(used)})" if used else "and nothing says that its server was used"


def _gone_where(disk: DiskCheck) -> str:
    if disk.source is disk.copy:
        return "both"
    return "source" if disk.source is State.GONE else "destination"
