"""The one seam through which tests look at, and trouble, every call to the fakes: clouds, hosts and the journal.

with seam.call("source", "create_volume"):      hook.before  may raise: the call has no effect
    ...the effect...                            hook.after   may raise: it had its effect, the answer is lost
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Killed(BaseException):
    """The migrator dies here, as by kill -9: nothing catches it."""


@dataclass(frozen=True)
class Call:
    """One call. `where` is a cloud, a host or "journal"; a call that only reads leaves the world as it is."""

    where: str
    verb: str
    mutates: bool = True

    def __str__(self) -> str:
        return f"{self.where}.{self.verb}"


class Hook:
    """Count calls, and let them pass."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def before(self, call: Call) -> None:
        self.calls.append(call)

    def after(self, call: Call) -> None:
        """Let it pass."""

    def dooms(self, call: Call) -> bool:
        """Say whether what this call asks for is accepted, and goes wrong later."""
        return False


@dataclass
class Seam:
    """Carries the hook of the moment, and what is checked at every call."""

    hook: Hook = field(default_factory=Hook)
    checks: list[Callable[[], None]] = field(default_factory=list)
    changes: int = 0  # of the world, by calls and by itself
    lock: threading.RLock = field(default_factory=threading.RLock)  # one call at a time, whoever calls

    @contextmanager
    def call(self, where: str, verb: str, *, mutates: bool = True) -> Iterator[Call]:
        call = Call(where, verb, mutates)
        with self.lock:
            for check in self.checks:
                check()
            self.hook.before(call)
            yield call
            self.changes += mutates
            self.hook.after(call)


class FakeClock:
    """Time that passes only when someone sleeps. Everything that goes on by itself listens."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self.listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self._now += seconds
        for listener in self.listeners:
            listener()

    def stop(self) -> None:
        """Nobody waits here."""


class QuickClock(FakeClock):
    """The machine's time, `factor` times as quick: for several threads, which wait side by side."""

    def __init__(self, seam: Seam, factor: float) -> None:
        super().__init__()
        self._seam, self._factor = seam, factor
        self._began = time.monotonic()
        self._stopped = threading.Event()

    def now(self) -> float:
        return self._now + (time.monotonic() - self._began) * self._factor

    def sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds / self._factor):
            raise KeyboardInterrupt
        with self._seam.lock:
            for listener in self.listeners:
                listener()

    def stop(self) -> None:
        self._stopped.set()
