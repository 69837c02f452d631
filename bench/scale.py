"""Many workloads at once, on fake clouds whose every call takes 50 ms of real time: `make bench-scale`.

The engine is the real one: batch, flow, steps, waits, and a journal on disk that is synced. What it is measured against:

    time       the longest of what each limit alone would need: the workloads at once, the API calls at once, the disks of the hosts
    memory     the peak of the process, the fake clouds included
    API calls  for each workload, which must not grow with their number
    journal    the time that it is at work for each step: what is read, written and synced

It ends with 1 when a target is missed.
"""

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from os_migrate import batch
from os_migrate.batch import Result
from os_migrate.cloud.waiting import Sights, wait_to_see
from os_migrate.errors import CloudError
from os_migrate.events import Events
from os_migrate.journal import Journal, StepRecord
from os_migrate.preflight import check
from os_migrate.settings import ConversionSettings, Settings, WorkloadSettings
from os_migrate.workload import Workload
from os_migrate.world import HostPair, SystemClock, World
from tests.fakes.cloud import FakeCloud
from tests.fakes.host import FakeHost
from tests.fakes.seam import Call, Hook, Seam
from tests.fakes.state import Latency
from tests.fakes.workloads import Boot, Shape, add_host, add_workload, furnish

CALL_S: Final = 0.05
TICK_S: Final = 0.05

PARALLEL: Final = 50
PAIRS: Final = 5
SIZES: Final = (50, 150, 500)
SHAPES: Final = (
    Shape("one_volume", data_volumes=1, boot_disk_copy=False),
    Shape("boot_disk_and_one_volume", boot=Boot.VOLUME, data_volumes=1),
    Shape("local_boot_disk"),
)
LATENCY: Final = Latency(
    volume=1.0, snapshot=1.0, image=2.0, attach=1.0, detach=1.0, build=3.0, stop=1.0, start=1.0, delete=1.0
)

TIME_AT_MOST: Final = 1.15
MEMORY_AT_MOST_MIB: Final = 300.0
CALLS_GROWTH_AT_MOST: Final = 1.05
JOURNAL_AT_MOST_MS: Final = 2.0


class Counted(Hook):
    """Count the calls to each cloud, and keep none."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def before(self, call: Call) -> None:
        """Count it."""
        self.count[call.where] += 1


class SlowSeam(Seam):
    """Calls take their time side by side, as many at once as a cloud's limit allows; only their effect is one at a time."""

    def __init__(self, clouds: Sequence[str], at_once: int) -> None:
        super().__init__(hook=Counted())
        self._turns = {name: threading.BoundedSemaphore(at_once) for name in clouds}

    @contextmanager
    def call(self, where: str, verb: str, *, mutates: bool = True) -> Iterator[Call]:
        """Take a turn and the time of a call."""
        if where in self._turns:
            with self._turns[where]:
                time.sleep(CALL_S)
        else:
            time.sleep(CALL_S)
        with super().call(where, verb, mutates=mutates) as call:
            yield call


class TickingClock(SystemClock):
    """The machine's clock; what goes on by itself in the clouds and on the hosts does at every tick."""

    def __init__(self, seam: Seam) -> None:
        super().__init__()
        self.listeners: list[Callable[[], None]] = []
        self._seam = seam
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_S):
            with self._seam.lock:
                for listener in self.listeners:
                    listener()


class SlowCloud(FakeCloud):
    """A fake cloud that is waited for as the real one is: with one list call for many waits of a kind."""

    def __init__(self, name: str, clock: TickingClock, seam: Seam) -> None:
        super().__init__(name, clock, seam, LATENCY)
        self._waits = count()
        self._awaited: dict[str, dict[str, Callable[[], bool]]] = {}
        self._sights: dict[str, Sights[bool | CloudError]] = {}
        for kind in ("server", "volume", "snapshot", "image"):
            self._awaited[kind] = {}
            self._sights[kind] = Sights(partial(self._read, kind), partial(self._list, kind))

    def let_guests_write(self) -> None:
        """Leave that to the tests: here it is only work of the fake's own."""

    def _until(self, is_so: Callable[[], bool], what: str, timeout_s: float = 600.0) -> None:
        kind, key = what.partition(" ")[0], str(next(self._waits))

        def judge(see: Callable[[], bool | CloudError]) -> bool | None:
            seen = see()
            if isinstance(seen, CloudError):
                raise seen
            return seen or None

        self._awaited[kind][key] = is_so
        try:
            wait_to_see(self._sights[kind], key, judge, what=what, timeout_s=timeout_s, clock=self.clock)
        finally:
            del self._awaited[kind][key]

    def _read(self, kind: str, key: str) -> bool | CloudError:
        with self._reads(f"{kind} by id"):
            return _seen(self._awaited[kind][key])

    def _list(self, kind: str) -> Mapping[str, bool | CloudError]:
        with self._reads(f"all {kind}s"):
            return {key: _seen(is_so) for key, is_so in list(self._awaited[kind].items())}


class TimedJournal(Journal):
    """A journal that notes how long it is at work, for each kind of work."""

    def __init__(self, path: Path) -> None:
        self.times_ms: dict[str, list[float]] = {}
        super().__init__(path)

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        with self._lock:
            began = time.perf_counter()
            yield
            self.times_ms.setdefault(kind, []).append((time.perf_counter() - began) * 1000)

    def _commit_all(self) -> None:
        synced = any(write.synced for write in list(self._waiting))
        with self._timed("synced" if synced else "written"):
            super()._commit_all()

    def _steps(self, where: str, values: tuple[str, ...]) -> list[StepRecord]:
        with self._timed("one read" if "key" in where else "all read"):
            return super()._steps(where, values)

    def count_steps(self) -> int:
        """Return how many steps there are."""
        return int(self._db.execute("SELECT count(*) FROM steps").fetchone()[0])

    @property
    def busy_ms(self) -> float:
        """Return how long it was at work: of each kind the median, so many times. A mean would tell of the machine's other work."""
        return sum(median(times) * len(times) for times in self.times_ms.values())


def _seen(is_so: Callable[[], bool]) -> bool | CloudError:
    try:
        return is_so()
    except CloudError as error:
        return error


@dataclass(frozen=True)
class Run:
    """What one run took. `calls` are those to each cloud, `journal_ms` what the journal took for each step."""

    workloads: int
    seconds: float
    calls: Mapping[str, int]
    seconds_each: float
    disks: int
    steps: int
    journal_ms: float

    @property
    def calls_each(self) -> float:
        """Return the calls for each workload, to both clouds."""
        return sum(self.calls.values()) / self.workloads


def run(shapes: Sequence[Shape], directory: Path) -> Run:
    """Migrate a workload of each shape, as many at once as the limits allow."""
    directory.mkdir()
    names = ("source", "destination")
    settings = Settings(
        data_dir=directory,
        workloads=WorkloadSettings(parallel=PARALLEL),
        conversion=ConversionSettings(pairs=PAIRS),
    )
    seam = SlowSeam(names, settings.api_calls_parallel)
    clock = TickingClock(seam)
    with seam.lock:
        clouds = [SlowCloud(name, clock, seam) for name in names]
    world, workloads = furnished(clouds, clock, shapes)
    counted = seam.hook
    assert isinstance(counted, Counted)
    counted.count.clear()
    with closing(TimedJournal(directory / "journal.sqlite")) as journal:
        began = time.monotonic()
        outcomes = batch.migrate(world, journal, workloads, settings)
        seconds = time.monotonic() - began
        steps = journal.count_steps()
    clock.stop()
    failed = [outcome for outcome in outcomes if outcome.result is not Result.MIGRATED]
    if failed:
        raise SystemExit(f"not migrated: {failed[0]}")
    each = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
    calls = {name: counted.count[name] for name in names}
    disks = sum(w.copied_disks for w in workloads)
    return Run(len(workloads), seconds, calls, each, disks, steps, journal.busy_ms / steps)


def furnished(
    clouds: Sequence[SlowCloud], clock: TickingClock, shapes: Sequence[Shape]
) -> tuple[World, list[Workload]]:
    """Fill the clouds; that takes no time, as nothing is asked of them."""
    source, destination = clouds
    with source.seam.lock:
        furnish(source, destination)
        pairs = []
        for number in range(PAIRS):
            pair = [FakeHost(f"{c.name} host {number}", c, add_host(c, f"conv {number}"), clock) for c in clouds]
            pair[1].peer = pair[0]
            pairs.append(HostPair(*pair))
        workloads = [add_workload(source, destination, shape, f"web {n}", n) for n, shape in enumerate(shapes)]
    first, *others = pairs
    world = World(source, destination, first.source, first.destination, Events(), clock, other_pairs=tuple(others))
    return world, workloads


@dataclass(frozen=True)
class Bound:
    """What each limit alone would need for a run, in seconds; `start` is what is looked up before the first begins."""

    start: float
    workloads: float
    api: float
    disks: float

    @property
    def seconds(self) -> float:
        """Return what all limits together allow at best."""
        return self.start + max(self.workloads, self.api, self.disks)


def bound(made: Run, alone: Mapping[Shape, Run], start: float) -> Bound:
    """Return the bound of a run of so many of each shape, from how long each takes alone."""
    shapes = mixed(made.workloads)
    work = [(alone[shape].seconds - start, alone[shape].disks) for shape in shapes]
    return Bound(
        start,
        max(sum(seconds for seconds, _ in work) / PARALLEL, *(seconds for seconds, _ in work)),
        max(made.calls.values()) * CALL_S / Settings(Path()).api_calls_parallel,
        sum(seconds * disks for seconds, disks in work) / (PAIRS * ConversionSettings().disks),
    )


def mixed(number: int) -> list[Shape]:
    """Return so many shapes, by turns."""
    return [SHAPES[n % len(SHAPES)] for n in range(number)]


def start_seconds(directory: Path) -> float:
    """Return what the preflight of a run takes, which looks everything up before the first workload begins."""
    directory.mkdir()
    settings = Settings(data_dir=directory, conversion=ConversionSettings(pairs=PAIRS))
    seam = SlowSeam(("source", "destination"), settings.api_calls_parallel)
    clock = TickingClock(seam)
    with seam.lock:
        clouds = [SlowCloud(name, clock, seam) for name in ("source", "destination")]
    world, workloads = furnished(clouds, clock, SHAPES)
    with closing(Journal(directory / "journal.sqlite")) as journal:
        began = time.monotonic()
        check(world, journal, workloads, settings)
        seconds = time.monotonic() - began
    clock.stop()
    return seconds


def main() -> int:
    """Run, print, and judge."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of workloads")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    options.add_argument("--dir", type=Path, default=Path.cwd(), help="a directory on the disk for the journals")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=chosen.dir) as made:
        directory = Path(made)
        start = start_seconds(directory / "start")
        with ThreadPoolExecutor(len(SHAPES)) as threads:  # each in a world of its own
            ones = threads.map(lambda shape: run([shape], directory / f"alone {shape}"), SHAPES)
            alone = dict(zip(SHAPES, ones, strict=True))
        for shape, one in alone.items():
            print(f"alone: {shape}: {one.seconds:.1f} s, {one.calls_each:.0f} API calls", flush=True)
        runs = []
        for size in chosen.sizes:
            runs.append(run(mixed(size), directory / f"{size}"))
            show(runs[-1], bound(runs[-1], alone, start))
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    last = runs[-1]
    ratio = last.seconds / bound(last, alone, start).seconds
    growth = last.calls_each / runs[0].calls_each
    judged = {
        "time, of what the limits allow": (ratio, TIME_AT_MOST),
        "peak of memory, MiB": (memory_mib, MEMORY_AT_MOST_MIB),
        f"API calls each, of those with {runs[0].workloads}": (growth, CALLS_GROWTH_AT_MOST),
        "journal, ms a step": (last.journal_ms, JOURNAL_AT_MOST_MS),
    }
    for what, (figure, at_most) in judged.items():
        print(f"{what:42} {figure:8.2f}   at most {at_most:g}   {'ok' if figure <= at_most else 'MISSED'}")
    if chosen.json:
        figures = {
            "judged": {what: {"figure": round(figure, 3), "at_most": most} for what, (figure, most) in judged.items()},
            "runs": [
                {**asdict(made), "calls_each": round(made.calls_each, 2), "bound": asdict(bound(made, alone, start))}
                for made in runs
            ],
        }
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(any(figure > at_most for figure, at_most in judged.values()))


def show(made: Run, limits: Bound) -> None:
    """Print the figures of a run."""
    print(
        f"{made.workloads:4} workloads: {made.seconds:6.1f} s, the limits allow {limits.seconds:6.1f} s"
        f" ({made.seconds / limits.seconds:.2f}; workloads {limits.workloads:.1f}, API {limits.api:.1f}, disks"
        f" {limits.disks:.1f}, start {limits.start:.1f}); each {made.seconds_each:.1f} s and {made.calls_each:.1f} API calls;"
        f" journal {made.journal_ms:.2f} ms for each of {made.steps} steps",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
