"""How long a run takes, and how long each server is off.

    before      the source is stopped, its boot disk snapshotted, all disks attached and scanned
    copy        the link is shared by all servers that copy just then
    after       the copies are read back, the twin is made; then the twin runs: the end of the downtime
    tail        the source is put together again

Each figure has a basis, which is told with it: the operator's word, earlier reports of the same data dir, or an assumption.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from os_migrate.pool import Queue, Work

ASSUMED_LINK_MBIT: Final = 1000.0
LINK_SHARE: Final = 0.9
"""What of a link's bits is data: 89 to 97% in docs/bench.md."""

READ_BYTES_S: Final = 200 << 20
"""What a volume is read with, when scanned and when read back: a guess, low for disks of today."""

STOP_S: Final = 60.0
"""What Nova gives a guest to shut down, unless told otherwise.

Source: shutdown_timeout in https://docs.openstack.org/nova/latest/configuration/config.html
"""

DISK_S: Final = 20.0
"""To detach or snapshot a disk, attach it to two hosts, and detach it there: a guess."""

BUILD_S: Final = 60.0
TAIL_S: Final = 30.0
"""To make the twin, and to put the source together again: guesses."""

TELLING_BYTES: Final = 64 << 20
"""A smaller copy says little of the link: its start is a good part of it."""


@dataclass(frozen=True)
class Past:
    """An earlier migration, as its report tells: its stages, without the copy itself."""

    size_bytes: int
    data_bytes: int
    copy_s: float
    before_s: float
    after_s: float
    tail_s: float
    data_by_volume: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Basis:
    """What the estimate stands on, and where each figure is from. Limits are in bytes a second; `lines` says it in words."""

    link_bytes_s: float
    pair_bytes_s: float | None
    share: float | None  # of a disk that holds data, as a rule
    before_s: float | None
    after_s: float | None
    tail_s: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """A disk that is to be copied; `data_bytes` where an earlier report knows it."""

    size_bytes: int
    data_bytes: int | None = None


@dataclass(frozen=True)
class Job:
    """The migration of one server, which `builds` a twin, or of one detached volume. `slots` of a pair of hosts are its own while it runs."""

    disks: tuple[Disk, ...]
    slots: int
    runs: bool
    builds: bool = True


@dataclass(frozen=True)
class Times:
    """When a server's migration begins, when its twin runs, and when all is done: in seconds from the start of the run."""

    begin_s: float
    twin_s: float
    end_s: float

    @property
    def downtime_s(self) -> float:
        """Return how long neither server nor twin runs."""
        return self.twin_s - self.begin_s


def basis(
    past: Sequence[Past], link_mbit: float | None, run_limit_mbit: float | None, pair_bytes_s: float | None
) -> Basis:
    """Return what to reckon with."""
    lines: list[str] = []
    telling = [p for p in past if p.data_bytes >= TELLING_BYTES and p.copy_s > 0]
    if link_mbit is not None:
        link = _bytes_s(link_mbit) * LINK_SHARE
        lines.append(f"link: {link_mbit:g} Mbit/s, as os_migrate_link_mbit says, {LINK_SHARE:.0%} of it for data")
    elif telling:
        link = median(p.data_bytes / p.copy_s for p in telling)
        lines.append(f"link: {_mbit(link):.0f} Mbit/s of data, the median of {len(telling)} earlier copies")
    else:
        link = _bytes_s(ASSUMED_LINK_MBIT) * LINK_SHARE
        lines.append(
            f"link: UNKNOWN; the times are those of {ASSUMED_LINK_MBIT:g} Mbit/s, {LINK_SHARE:.0%} of it for data"
            " (set os_migrate_link_mbit)"
        )
    if run_limit_mbit is not None and _bytes_s(run_limit_mbit) < link:
        link = _bytes_s(run_limit_mbit)
        lines.append(f"link: limited to {run_limit_mbit:g} Mbit/s by os_migrate_bandwidth_limit")
    if pair_bytes_s is not None:
        lines.append(f"link: each pair of conversion hosts is limited to {_mbit(pair_bytes_s):g} Mbit/s")
    copied = [p for p in past if p.size_bytes]
    share = sum(p.data_bytes for p in copied) / sum(p.size_bytes for p in copied) if copied else None
    if share is None:
        lines.append("data: UNKNOWN, so all of each disk is reckoned with; what isn't in use need not travel")
    else:
        lines.append(f"data: {share:.0%} of a disk, as in {len(copied)} earlier migrations; at most all of it")
    lines.append(f"disks: read with {READ_BYTES_S >> 20} MiB/s, an assumption")
    if copied:
        lines.append(f"clouds: the median of {len(copied)} earlier migrations")
        before = median(max(0.0, p.before_s - p.data_bytes / READ_BYTES_S) for p in copied)
        after = median(max(0.0, p.after_s - p.data_bytes / READ_BYTES_S) for p in copied)
        return Basis(link, pair_bytes_s, share, before, after, median(p.tail_s for p in copied), tuple(lines))
    lines.append(
        f"clouds: assumed to take {STOP_S:.0f} s to stop a server, {DISK_S:.0f} s for each disk, {BUILD_S:.0f} s to make one"
    )
    return Basis(link, pair_bytes_s, share, None, None, TAIL_S, tuple(lines))


def likely_bytes(disk: Disk, basis: Basis) -> int:
    """Return how much of a disk holds data, as far as that is known; all of it where nothing is."""
    if disk.data_bytes is not None:
        return disk.data_bytes
    return disk.size_bytes if basis.share is None else round(disk.size_bytes * basis.share)


def times(
    jobs: Sequence[Job], basis: Basis, *, threads: int, lanes: Sequence[int], proof: bool, full: bool
) -> list[Times]:
    """Return when each migration begins and ends, in the order of the jobs; `full` is for disks that are in use to the last byte."""
    queue = Queue([Work(lambda _: None, job.slots) for job in jobs], threads, lanes)
    running: dict[int, _Running] = {}
    done: dict[int, Times] = {}
    now = 0.0
    while queue.waiting or running:
        while (chosen := queue.begin()) is not None:
            number, lane = chosen
            job = jobs[number]
            amounts = [disk.size_bytes if full else likely_bytes(disk, basis) for disk in job.disks]
            running[number] = _Running(lane, now, _phases(job, amounts, basis, proof=proof))
        rates = {number: _rate(run, running.values(), basis) for number, run in running.items()}
        step = min(run.phases[0] / rates[number] for number, run in running.items())
        now += step
        for number, run in list(running.items()):
            run.phases[0] -= step * rates[number]
            while run.phases and run.phases[0] <= _DUST:
                run.phases.pop(0)
                if len(run.phases) == 1:
                    run.twin_s = now
            if not run.phases:
                done[number] = Times(run.begin_s, run.twin_s, now)
                queue.end(number)
                del running[number]
    return [done[number] for number in range(len(jobs))]


_DUST: Final = 1e-6
"""What rounding leaves of a phase."""

_COPY: Final = 3
"""How many phases are left when it is the copy's turn."""


@dataclass
class _Running:
    lane: int
    begin_s: float
    phases: list[float]  # what is left: seconds before, bytes, seconds after, seconds of the tail
    twin_s: float = 0.0

    @property
    def copies(self) -> bool:
        return len(self.phases) == _COPY


def _phases(job: Job, amounts: Sequence[int], basis: Basis, *, proof: bool) -> list[float]:
    amount = sum(amounts)
    reading = amount / READ_BYTES_S if proof else 0.0
    before = STOP_S * job.runs + DISK_S / 2 * len(job.disks) if basis.before_s is None else basis.before_s
    after = BUILD_S * job.builds + DISK_S / 2 * len(job.disks) if basis.after_s is None else basis.after_s
    return [before + reading, float(amount), after + reading, basis.tail_s]


def _rate(run: _Running, everybody: Iterable[_Running], basis: Basis) -> float:
    """Return how quickly a phase passes: a second a second, or as many bytes as this copy has of the link."""
    if not run.copies:
        return 1.0
    copying = [other for other in everybody if other.copies]
    fair = basis.link_bytes_s / len(copying)
    if basis.pair_bytes_s is None:
        return fair
    return min(fair, basis.pair_bytes_s / sum(other.lane == run.lane for other in copying))


def _bytes_s(mbit: float) -> float:
    return mbit * 1_000_000 / 8


def _mbit(bytes_s: float) -> float:
    return bytes_s * 8 / 1_000_000
