"""Jobs on the conversion hosts. A job outlives the migrator: on resume it is found under its name and awaited again."""

from dataclasses import dataclass
from typing import ClassVar

from os_migrate.errors import TransferError
from os_migrate.events import Progress
from os_migrate.model import Side, Tag
from os_migrate.nbd import Job, JobResult, JobStatus
from os_migrate.step import Lasts, Reading, Step
from os_migrate.world import World

POLL_S = 1.0
"""How often a running job is asked for its progress: what a person who watches finds live."""


@dataclass(frozen=True)
class StartJob(Step[str]):
    """Start a job on one side's conversion host; its handle is its unit's name."""

    side: Side
    job: Job

    @property
    def lifetime(self) -> Lasts:
        """Return how long the job is wanted: in the destination, until the data is there."""
        return Lasts.MIGRATION if self.side is Side.SOURCE else Lasts.TRANSFER

    @property
    def handle(self) -> str:
        """Return the unit's name."""
        return self.job.unit

    def do(self, world: World, tag: Tag) -> str:  # noqa: ARG002
        """Start it."""
        world.host(self.side).start(self.job)
        return self.job.unit

    def undo(self, world: World, tag: Tag, made: str) -> None:  # noqa: ARG002
        """Stop it and forget it."""
        world.host(self.side).stop(made)

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
            TransferError: the job failed, or is gone (the host was restarted).
        """
        host = world.host(self.side)
        while (state := host.state(self.unit)).status is JobStatus.RUNNING:
            self._tell(world, state.done_bytes, state.total_bytes)
            world.clock.sleep(POLL_S)
        if state.result is None:
            why = state.error or f"host {host.name} knows no {self.unit}"
            raise TransferError(
                f"{self.activity} of {self.disk} failed on {host.name}: {why}",
                remedy=f"see `journalctl -u {self.unit}` on that host; then migrate again",
            )
        self._tell(world, state.total_bytes, state.total_bytes)
        return state.result

    def _tell(self, world: World, done_bytes: int, total_bytes: int) -> None:
        event = Progress(
            workload=self.workload,
            disk=self.disk,
            activity=self.activity,
            done_bytes=min(done_bytes, total_bytes),  # zeroes that are written count on the host
            total_bytes=total_bytes,
        )
        world.events.tell(event)
