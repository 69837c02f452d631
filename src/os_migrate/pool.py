"""Several works at once, on lanes that have room for them.

    works      1 2 3 4 5 6 ...          threads   how many at a time
                └─┴─┴──> running        lanes     the slots of each (pairs of conversion hosts, and the disks they take)

They begin in their order, each on the lane with the most room. One that finds no room is passed by later ones that do, but never
for ever: see `Queue`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

STOPPING_S: Final = 30.0
"""What a work may take to come to a point where it can stop: a call to a cloud, or an answer of a host. Then it is left."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """Something to do on a lane, which it is told, that holds `slots` of it while it runs.

    One that needs more than a lane has takes it whole. `lane` is given where it may run on that one only.
    """

    do: Callable[[int], T]
    slots: int = 0
    lane: int | None = None


def at_once(works: Sequence[Work[T]], *, threads: int, lanes: Sequence[int], stop: Callable[[], None]) -> list[T]:
    """Do works, and return their results in their order.

    When one raises, no other is begun, those that run come to their end, and the first error is raised. A Ctrl-C calls
    `stop`, waits a while for those that run, and is raised.
    """
    if threads == 1 or len(works) < 2:  # noqa: PLR2004 (nothing to do at once)
        return _one_by_one(works, lanes)
    return _Pool(works, Queue(works, threads, lanes)).run(min(threads, len(works)), stop)


def _one_by_one(works: Sequence[Work[T]], lanes: Sequence[int]) -> list[T]:
    results: list[T] = []
    queue = Queue(works, 1, lanes)
    for work in works:
        chosen = queue.begin()
        assert chosen is not None, "nothing else runs"
        results.append(work.do(chosen[1]))
        queue.end(chosen[0])
    return results


class Queue:
    """What is to begin next, and where. Pure: it knows nothing of threads and time.

    The first work that waits is the head. If it finds no room, it has a lane kept for it, the one with the most room then, and later
    works may begin before it: on other lanes as they like, on the kept one on no more slots than the head leaves. So it begins at the
    latest when all have ended that ran when it found no room, however many pass it: the last of them leaves a thread, too.
    """

    def __init__(self, works: Sequence[Work[T]], threads: int, lanes: Sequence[int]) -> None:
        self.waiting = list(range(len(works)))
        self.running: dict[int, int] = {}  # work -> its lane
        self._threads = threads
        self._lanes = tuple(lanes)
        self._fixed = [work.lane for work in works]
        self._slots = [work.slots for work in works]
        self._free = list(lanes)
        self._kept: int | None = None  # the lane that is kept for the head
        self._passed: set[int] = set()  # those that run and began before the head, after it had found no room

    def begin(self) -> tuple[int, int] | None:
        """Let the next work begin; return it and its lane, None if none can."""
        if not self.waiting or len(self.running) >= self._threads:
            return None
        head = self.waiting[0]
        chosen = self._roomiest(head)
        if chosen is not None:
            self._kept = None
            self._passed.clear()
            return self._begin(head, chosen)
        if self._kept is None:
            own = self._fixed[head]
            self._kept = max(range(len(self._lanes)), key=lambda lane: self._free[lane]) if own is None else own
        spare = self._lanes[self._kept] - self._need(head, self._kept)
        spare -= sum(self._need(work, self._kept) for work in self._passed if self.running[work] == self._kept)
        for work in self.waiting[1:]:
            chosen = self._roomiest(work, spare)
            if chosen is not None:
                self._passed.add(work)
                return self._begin(work, chosen)
        return None

    def end(self, work: int) -> None:
        """Note that a work has ended: what it held is free."""
        lane = self.running.pop(work)
        self._free[lane] += self._need(work, lane)
        self._passed.discard(work)

    def _begin(self, work: int, lane: int) -> tuple[int, int]:
        self.waiting.remove(work)
        self.running[work] = lane
        self._free[lane] -= self._need(work, lane)
        return work, lane

    def _need(self, work: int, lane: int) -> int:
        return min(self._slots[work], self._lanes[lane])

    def _roomiest(self, work: int, spare: int | None = None) -> int | None:
        """Return the lane with the most room that takes a work; `spare` is what is left on the kept lane."""
        own = self._fixed[work]
        fits = [
            lane
            for lane in (range(len(self._lanes)) if own is None else (own,))
            if self._need(work, lane) <= self._free[lane]
            and (spare is None or lane != self._kept or self._need(work, lane) <= spare)
        ]
        return max(fits, key=lambda lane: self._free[lane], default=None)


@dataclass
class _Pool(Generic[T]):
    works: Sequence[Work[T]]
    queue: Queue
    results: dict[int, T] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()

    def run(self, threads: int, stop: Callable[[], None]) -> list[T]:
        """Do all works. The threads are daemons: a process that was told to stop need not wait for a call that hangs."""
        try:
            for number in range(threads):
                threading.Thread(target=self._go, name=f"workload-{number}", daemon=True).start()
            self._await_end(None)
        except BaseException:  # Ctrl-C, mostly
            with self._changed:
                self.queue.waiting.clear()
                self._changed.notify_all()
            stop()
            self._await_end(STOPPING_S)
            raise
        if self.errors:
            raise self.errors[0]
        return [self.results[number] for number in range(len(self.works))]

    def _await_end(self, timeout_s: float | None) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while self.queue.waiting or self.queue.running:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)

    def _go(self) -> None:
        while (chosen := self._next()) is not None:
            number, lane = chosen
            try:
                self.results[number] = self.works[number].do(lane)
            except BaseException as error:  # noqa: BLE001 (raised again by the thread that waits)
                self._end(number, error)
            else:
                self._end(number)

    def _next(self) -> tuple[int, int] | None:
        """Return the next work and its lane when one may begin; None when none is left."""
        with self._changed:
            while self.queue.waiting:
                if chosen := self.queue.begin():
                    return chosen
                self._changed.wait()
        return None

    def _end(self, number: int, error: BaseException | None = None) -> None:
        with self._changed:
            if error is not None:
                self.errors.append(error)
                self.queue.waiting.clear()
            self.queue.end(number)
            self._changed.notify_all()
