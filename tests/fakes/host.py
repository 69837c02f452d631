"""A conversion host whose jobs copy bytes between fake clouds, and go on when the migrator is dead.

A job goes on only as long as all that it needs is there: the attachment of its volume, and for a copy also the export on the
other host and the tunnel. What is copied so far stays in the volume when it fails.
"""

import hashlib
from dataclasses import dataclass

from os_migrate.errors import HostError
from os_migrate.model import AttemptId, ServerId, VolumeId
from os_migrate.nbd import (
    Compression,
    CopyJob,
    CopyResult,
    Depth,
    ExportJob,
    HostedAttempt,
    Job,
    JobState,
    JobStatus,
    ScanJob,
    ScanResult,
    SendJob,
    TunnelJob,
)
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock
from tests.fakes.state import BLOCK, BLOCKS

SCAN_S = 2.0
COPY_S = 6.0
RUNNING = JobState(JobStatus.RUNNING)


def digest(data: bytes, size_gib: int) -> str:
    return hashlib.sha256(f"{size_gib}:".encode() + data).hexdigest()


@dataclass
class Unit:
    """A job on the host. `data` is what it has read so far."""

    job: Job
    began: float
    state: JobState = RUNNING


class FakeHost:
    """`world.Host` on a server of a fake cloud. The destination's host has the source's as its peer."""

    def __init__(self, name: str, cloud: FakeCloud, server_id: ServerId, clock: FakeClock) -> None:
        self._name = name
        self._server_id = server_id
        self.cloud = cloud
        self.clock = clock
        self.peer: FakeHost | None = None
        self.units: dict[str, Unit] = {}
        self.held: set[AttemptId] = set()
        self.read_only: set[VolumeId] = set()
        self.violations: list[str] = []
        self.corrupts = False
        self.lacks: tuple[str, ...] = ()
        self.script_error = ""
        clock.listeners.append(self.go_on)

    @property
    def name(self) -> str:
        return self._name

    @property
    def server_id(self) -> ServerId:
        return self._server_id

    @property
    def address(self) -> str:
        return f"{self._name}.example"

    def missing_tools(self) -> tuple[str, ...]:
        with self.cloud.seam.call(self._name, "missing_tools", mutates=False):
            return self.lacks

    def tools(self) -> tuple[tuple[str, str], ...]:
        with self.cloud.seam.call(self._name, "tools", mutates=False):
            return (("system", "fake 1"), ("nbdkit", "1.32.5"))

    def run_script(self, text: str) -> str:
        with self.cloud.seam.call(self._name, "run_script", mutates=False):
            if self.script_error:
                raise HostError(f"{self._name}: the script ended with 255: {self.script_error}")
            return ""

    def await_device(self, volume_id: VolumeId, timeout_s: float, *, read_only: bool) -> int:
        with self.cloud.seam.call(self._name, "await_device", mutates=False):
            if not self._sees(volume_id):
                raise HostError(f"{self._name}: no device with serial {volume_id[:20]} within {timeout_s:.0f} s")
            if read_only:
                self.read_only.add(volume_id)
            return self.cloud._volume(volume_id).view.size_gib * 1024**3

    def start(self, job: Job) -> None:
        if self.peer is None and isinstance(job, ScanJob) and job.volume_id not in self.read_only:
            self.violations.append(f"{job.unit} begins on a source volume that {self._name} can write to")
        with self.cloud.seam.call(self._name, f"start {type(job).__name__}") as call:
            if job.unit not in self.units:
                self.units[job.unit] = Unit(job, self.clock.now())
                self.go_on()  # what lacks something fails at once
                if self.cloud.seam.hook.dooms(call):
                    self.fail(job.unit, "doomed by the test")

    def state(self, unit: str) -> JobState:
        with self.cloud.seam.call(self._name, "state", mutates=False):
            return self.units[unit].state if unit in self.units else JobState(JobStatus.ABSENT)

    def stop(self, unit: str) -> None:
        with self.cloud.seam.call(self._name, "stop"):
            self.units.pop(unit, None)

    def hold(self, attempt: AttemptId) -> None:
        with self.cloud.seam.call(self._name, "hold", mutates=False):
            self.held.add(attempt)

    def attempts(self) -> list[HostedAttempt]:
        with self.cloud.seam.call(self._name, "attempts", mutates=False):
            ids = {unit.job.attempt for unit in list(self.units.values())} | self.held
            return [
                HostedAttempt(a, tuple(n for n, u in list(self.units.items()) if u.job.attempt == a), a in self.held)
                for a in sorted(ids)
            ]

    # Inside ----------------------------------------------------------------------------------------------------------
    def reboot(self) -> None:
        """Forget all jobs, and what was said of devices."""
        self.units.clear()
        self.read_only.clear()
        self.held.clear()

    def fail(self, unit: str, error: str) -> None:
        self.units[unit].state = JobState(JobStatus.FAILED, error=error)

    def go_on(self) -> None:
        """Let every job do what it does as time passes, and fail those whose needs are gone."""
        for unit in list(self.units.values()):
            if unit.state.status is JobStatus.RUNNING:
                was = unit.state
                lacking = self._lacking(unit.job)
                if lacking:
                    unit.state = JobState(JobStatus.FAILED, error=lacking)
                else:
                    unit.state = self._progress(unit.job, self.clock.now() - unit.began)
                self.cloud.seam.changes += unit.state != was

    def _sees(self, volume_id: VolumeId) -> bool:
        volume = self.cloud._volumes.get(volume_id)
        return volume is not None and any(a.server_id == self._server_id for a in volume.view.attachments)

    def _lacking(self, job: Job) -> str:
        match job:
            case ScanJob() | ExportJob() | SendJob():
                return "" if self._sees(job.volume_id) else f"{job.volume_id} is gone"
            case TunnelJob():
                return ""
            case CopyJob():
                if not self._sees(job.volume_id):
                    return f"{job.volume_id} is gone"
                streams = job.compression is not Compression.NONE
                wanted = {SendJob} if streams else {ExportJob}
                tunnels = [u for u in self._running() if isinstance(u, TunnelJob) and job.source_id in u.volume_ids]
                served = {type(j) for j in self._peer()._running() if getattr(j, "volume_id", "") == job.source_id}
                cut = not wanted <= served or not any(t.streams == streams for t in tunnels)
                return "the connection is cut" if cut else ""

    def _progress(self, job: Job, seconds: float) -> JobState:
        match job:
            case ScanJob() if seconds >= SCAN_S:
                data = self.cloud.bytes_of(job.volume_id)
                size_gib = self.cloud._volume(job.volume_id).view.size_gib
                full = [n for n in range(BLOCKS) if any(data[n * BLOCK : (n + 1) * BLOCK])]
                proof = digest(data, size_gib) if job.depth is Depth.DIGEST else ""
                found = ScanResult(proof, len(data), len(full) * BLOCK, len(full))
                return JobState(JobStatus.DONE, len(data), len(data), result=found)
            case CopyJob():
                source = self._peer().cloud.bytes_of(job.source_id)
                ready = min(int(seconds / COPY_S * BLOCKS), BLOCKS) * BLOCK
                copied = source[:ready] + self.cloud.bytes_of(job.volume_id)[ready:]
                if self.corrupts:
                    copied = b"!" + copied[1:]
                self.cloud.write(job.volume_id, copied)
                if ready == len(source):
                    how = ("nbd", "") if job.compression is Compression.NONE else ("zstd -3", "the link is slow")
                    result = CopyResult(len(source), len(source), seconds, *how, self._sent(job))
                    return JobState(JobStatus.DONE, ready, ready, result=result)
                return JobState(JobStatus.RUNNING, ready, len(source))
            case _:
                return JobState(JobStatus.RUNNING)

    def _sent(self, job: CopyJob) -> ScanResult | None:
        peer = self._peer()
        sender = next((j for j in peer._running() if isinstance(j, SendJob) and j.volume_id == job.source_id), None)
        if job.compression is Compression.NONE or sender is None:
            return None
        data = peer.cloud.bytes_of(job.source_id)
        size_gib = peer.cloud._volume(job.source_id).view.size_gib
        return ScanResult(digest(data, size_gib) if sender.with_digest else "", len(data), len(data), 1)

    def _running(self) -> list[Job]:
        return [u.job for u in list(self.units.values()) if u.state.status is JobStatus.RUNNING]

    def _peer(self) -> "FakeHost":
        assert self.peer is not None
        return self.peer

    def check(self) -> None:
        """Note a volume that is taken away under a job of ours that still uses it."""
        for unit in list(self.units.values()):
            job, running = unit.job, unit.state.status is JobStatus.RUNNING
            if running and isinstance(job, ScanJob | ExportJob | SendJob | CopyJob) and not self._sees(job.volume_id):
                self.violations.append(f"{job.unit} runs, and {job.volume_id} is gone")
