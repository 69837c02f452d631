"""Several works at once, begun in their order, as long as what they need is free.

    works      1 2 3 4 5 6 ...          threads   how many at a time
                └─┴─┴──> running        slots     what all that run may hold together (disks on a conversion host)

The first work that waits is the next to begin, so that one that needs much is not passed by for ever.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

STOPPING_S: Final = 30.0
"""What a work may take to come to a point where it can stop: a call to a cloud, or an answer of a host. Then it is left."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """Something to do, that holds `slots` while it runs; one that needs more than there are runs alone."""

    do: Callable[[], T]
    slots: int = 0


def at_once(works: Sequence[Work[T]], *, threads: int, slots: int, stop: Callable[[], None]) -> list[T]:
    """Do works, and return their results in their order.

    When one raises, no other is begun, those that run come to their end, and the first error is raised. A Ctrl-C calls
    `stop`, waits a while for those that run, and is raised.
    """
    if threads == 1 or len(works) < 2:  # noqa: PLR2004 (nothing to do at once)
        return [work.do() for work in works]
    return _Pool(works, slots).run(min(threads, len(works)), stop)


@dataclass
class _Pool(Generic[T]):
    works: Sequence[Work[T]]
    free: int
    running: int = 0
    results: dict[int, T] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting = deque(range(len(self.works)))
        self._changed = threading.Condition()

    def run(self, threads: int, stop: Callable[[], None]) -> list[T]:
        """Do all works. The threads are daemons: a process that was told to stop need not wait for a call that hangs."""
        try:
            for number in range(threads):
                threading.Thread(target=self._go, name=f"workload-{number}", daemon=True).start()
            self._await_end(None)
        except BaseException:  # Ctrl-C, mostly
            with self._changed:
                self._waiting.clear()
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
            while self._waiting or self.running:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)

    def _go(self) -> None:
        while (number := self._next()) is not None:
            try:
                self.results[number] = self.works[number].do()
            except BaseException as error:  # noqa: BLE001 (raised again by the thread that waits)
                self._end(number, error)
            else:
                self._end(number)

    def _next(self) -> int | None:
        """Return the next work when it may begin; None when there is none."""

        def may_begin() -> bool:
            return not self._waiting or self.works[self._waiting[0]].slots <= self.free or self.running == 0

        with self._changed:
            self._changed.wait_for(may_begin)
            if not self._waiting:
                return None
            number = self._waiting.popleft()
            self.running += 1
            self.free -= self.works[number].slots
            self._changed.notify_all()
            return number

    def _end(self, number: int, error: BaseException | None = None) -> None:
        with self._changed:
            if error is not None:
                self.errors.append(error)
                self._waiting.clear()
            self.running -= 1
            self.free += self.works[number].slots
            self._changed.notify_all()
