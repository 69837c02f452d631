"""All workloads of a batch together, in one line: how many are done, how much is copied, how fast, and how long it takes yet."""

from os_migrate.cli.meter import Meter, duration, size
from os_migrate.events import BatchStarted, Event, Progress, WorkloadEnded, WorkloadStarted

GOOD = frozenset({"migrated", "skipped", "verified"})

Copy = tuple[str, str]
"""A workload and one of its disks."""


class Overview:
    """Count the workloads of a batch, and add up their copies.

    What a copy had done when it was first heard of (`resume` adopts copies) counts as done, and not for the rate. The total is
    that of the copies that have begun: what waits is not known yet, so the time left is the least that it will take.
    """

    def __init__(self) -> None:
        self._total = 0
        self._running: set[str] = set()
        self._done = 0
        self._failed = 0
        self._copies: dict[Copy, tuple[int, int]] = {}
        self._moved = 0
        self._meter = Meter()

    def feed(self, event: Event, now: float) -> None:
        """Take in an event."""
        match event:
            case BatchStarted(total=total):
                self._total += total
            case WorkloadStarted(workload=workload):
                self._running.add(workload)
            case WorkloadEnded(workload=workload, outcome=outcome) if workload in self._running:
                self._running.discard(workload)
                self._done += 1
                self._failed += outcome not in GOOD
                self._forget_rest(workload)
            case Progress(workload=workload, disk=disk, activity="copy", done_bytes=done, total_bytes=total):
                before, _ = self._copies.get((workload, disk), (done, total))
                self._copies[workload, disk] = (done, total)
                self._moved += max(0, done - before)  # a copy whose link broke begins anew
                self._meter.feed(self._moved, 0, now)
            case _:
                pass

    @property
    def is_batch(self) -> bool:
        """Say whether there is more than one workload: the line of a single one would say nothing new."""
        return self._total > 1

    @property
    def _left(self) -> int:
        return sum(max(0, total - done) for done, total in self._copies.values())

    def _forget_rest(self, workload: str) -> None:
        """Expect no more of the copies of a workload that ended: it may have failed in the middle."""
        for (owner, disk), (done, _) in self._copies.items():
            if owner == workload:
                self._copies[owner, disk] = (done, done)

    def line(self) -> str:
        """Return the line."""
        waiting = max(0, self._total - self._done - len(self._running))
        failed = f" ({self._failed} failed)" if self._failed else ""
        counts = f"{self._done} of {self._total} done{failed}, {len(self._running)} running, {waiting} waiting"
        done = sum(done for done, _ in self._copies.values())
        if not self._copies:
            return counts
        total = f"{size(done)} of {size(done + self._left)} copied"
        if not self._left:
            return f"{counts}; {total}"
        rate = self._meter.rate
        speed = f", {size(rate)}/s" if rate is not None else ""
        least = "at least " if waiting else ""
        left = f", {least}{duration(self._left / rate)} left" if rate else ""
        return f"{counts}; {total}{speed}{left}"
