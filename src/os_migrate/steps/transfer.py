"""Jobs on the conversion hosts. A job outlives the migrator: on resume it is found under its name and awaited again."""

from dataclasses import dataclass
from typing import ClassVar

from os_migrate import __version__
from os_migrate.errors import HostError, HostUnreachable, NotFound, TransferError
from os_migrate.events import Note, Progress
from os_migrate.model import ServerId, ServerStatus, Side, Tag
from os_migrate.nbd import Job, JobResult, JobState, JobStatus, ScanJob
from os_migrate.step import Lasts, Reading, Step
from os_migrate.world import Host, World

POLL_S = 1.0
"""How often a running job is asked for its progress: what a person who watches finds live."""

FIRST_POLL_S = 0.1
LATE_BY = 0.02
"""A job that is short is asked more often: the server is off until somebody knows that it has ended."""

OUTAGE_S = 300.0
"""How long a host may not answer while a job goes on there without us: long enough for a router to be restarted."""

STALL_S = 120.0
"""A job that has read or written nothing for so long is told of."""


@dataclass(frozen=True)
class ReadTools(Reading[tuple[tuple[str, str], ...]]):
    """Read the versions of what copies and proves on one side, our own first: the report names them."""

    side: Side
    result_type: ClassVar[object] = tuple[tuple[str, str], ...]

    def do(self, world: World, tag: Tag) -> tuple[tuple[str, str], ...]:  # noqa: ARG002
        """Ask the host."""
        return (("os-migrate", __version__), *world.host(self.side).tools())


@dataclass(frozen=True)
class StartJob(Step[str]):
    """Start a job on one side's conversion host; its handle is its unit's name."""

    side: Side
    job: Job
    host_id: ServerId | None = None

    @property
    def lifetime(self) -> Lasts:
        """Return how long the job is wanted: in the destination, until the data is there."""
        return Lasts.MIGRATION if self.side is Side.SOURCE else Lasts.TRANSFER

    @property
    def handle(self) -> str:
        """Return the unit's name."""
        return self.job.unit

    def do(self, world: World, tag: Tag) -> str:  # noqa: ARG002
        """Start it; before a scan of the source, close the volume for writing again: a host that was restarted forgot that."""
        host = world.host(self.side)
        if self.side is Side.SOURCE and isinstance(self.job, ScanJob):
            host.await_device(self.job.volume_id, world.timeout_s, read_only=True)
        host.start(self.job)
        return self.job.unit

    def undo(self, world: World, tag: Tag, made: str) -> None:  # noqa: ARG002
        """Stop it and forget it; where its host is off or deleted, it has ended."""
        try:
            world.host(self.side, self.host_id).stop(made)
        except HostError:
            if not self._host_is_off(world):
                raise

    def _host_is_off(self, world: World) -> bool:
        if self.host_id is None:
            return False
        try:
            return world.cloud(self.side).server(self.host_id).status is ServerStatus.SHUTOFF
        except NotFound:
            return True

    def leftover(self, made: str | None) -> str:
        """Name the unit."""
        return f"unit {made or self.job.unit} on the {self.side} conversion host: sudo systemctl stop {self.job.unit}"


@dataclass(frozen=True)
class AwaitJob(Reading[JobResult]):
    """Wait until a job has ended, telling its progress, and return what it found."""

    side: Side
    unit: str
    disk: str
    activity: str
    workload: str
    result_type: ClassVar[object] = JobResult

    def do(self, world: World, tag: Tag) -> JobResult:  # noqa: ARG002
        """Poll the host.

        Raises:
            TransferError: the job failed, or is gone (the host was restarted), or the host doesn't answer any more.
        """
        host = world.host(self.side)
        trouble, done_bytes, still_s, waited_s = "", 0, 0.0, 0.0
        while (state := self._ask(world, host)).status is JobStatus.RUNNING:
            self._tell(world, state.done_bytes, state.total_bytes)
            if state.trouble != trouble:
                trouble = state.trouble
                self._warn(world, trouble)
            pause_s = min(POLL_S, FIRST_POLL_S + LATE_BY * waited_s)
            waited_s += pause_s
            still_s = still_s + pause_s if state.done_bytes == done_bytes else 0.0
            done_bytes = state.done_bytes
            if still_s >= STALL_S:
                still_s = 0.0
                self._warn(
                    world, f"nothing has moved for {STALL_S:.0f} s: see `journalctl -u {self.unit}` on {host.name}"
                )
            world.clock.sleep(pause_s)
        if state.trouble not in {"", trouble}:  # it came while nobody could ask
            self._warn(world, state.trouble)
        if state.result is None:
            why = state.error or f"host {host.name} knows no {self.unit}: was it restarted?"
            raise TransferError(
                f"{self.activity} of {self.disk} failed on {host.name}: {why}",
                remedy=f"see `journalctl -u {self.unit}` on that host; then migrate again",
            )
        self._tell(world, state.total_bytes, state.total_bytes)
        return state.result

    def _ask(self, world: World, host: Host) -> JobState:
        """Ask how far the job is, until the host answers."""
        deadline = None
        while True:
            try:
                return host.state(self.unit)
            except HostUnreachable as error:
                if deadline is None:
                    deadline = world.clock.now() + OUTAGE_S
                    self._warn(world, f"{error.what}; it goes on there without us, we ask for {OUTAGE_S:.0f} s more")
                elif world.clock.now() > deadline:
                    raise TransferError(
                        f"{self.activity} of {self.disk}: {host.name} has not answered for {OUTAGE_S:.0f} s: {error.what}",
                        remedy=error.remedy,
                    ) from None
            world.clock.sleep(POLL_S)

    def _warn(self, world: World, text: str) -> None:
        world.events.tell(Note(workload=self.workload, text=f"{self.activity} of {self.disk}: {text}", warning=True))

    def _tell(self, world: World, done_bytes: int, total_bytes: int) -> None:
        event = Progress(
            workload=self.workload,
            disk=self.disk,
            activity=self.activity,
            done_bytes=min(done_bytes, total_bytes),  # zeroes that are written count on the host
            total_bytes=total_bytes,
        )
        world.events.tell(event)
