"""Look again and again until it is so: at once, then after 0.5 s, then ever more seldom, up to every 5 s.

Many that wait for resources of a kind share their looks: whoever is the first to look again lists them all, and the others see it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from os_migrate.cloud.refusals import Refused
from os_migrate.errors import CloudError, CloudUnavailable, NotFound
from os_migrate.world import Clock

R = TypeVar("R")
T = TypeVar("T")

FIRST_PAUSE_S = 0.5
GROWTH = 1.5
LONGEST_PAUSE_S = 5.0

MANY = 3
"""From so many on, a list is cheaper than a call for each, and puts less load on the cloud."""

NAP_S = 0.5
"""How often one that waits beside others sees whether somebody has listed meanwhile; that costs no call."""


@dataclass(frozen=True)
class _Listing(Generic[R]):
    """What a list call showed, or the error that kept it from showing anything. `number` counts the list calls."""

    number: int = 0
    things: Mapping[str, R] = field(default_factory=dict)
    error: CloudUnavailable | None = None


class Sights(Generic[R]):
    """The looks at one kind of resource, from any thread."""

    def __init__(self, read: Callable[[str], R], list_all: Callable[[], Mapping[str, R]]) -> None:
        self.read = read
        self._list_all = list_all
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._waiting = 0
        self.begun = 0
        self.latest: _Listing[R] = _Listing()

    @contextmanager
    def of(self, key: str, clock: Clock) -> Iterator["Sight[R]"]:
        """Count as one that waits."""
        with self._lock:
            self._waiting += 1
        try:
            yield Sight(self, key, clock)
        finally:
            with self._lock:
                self._waiting -= 1

    @property
    def many(self) -> bool:
        """Say whether so many wait that a list is worth it."""
        return self._waiting >= MANY

    def later_than(self, number: int) -> _Listing[R]:
        """Return a listing that was begun after the one of that number; list if nobody has yet."""
        with self._listing:
            if self.latest.number <= number:
                self.begun += 1
                self.latest = self._list(self.begun)
            return self.latest

    def _list(self, number: int) -> _Listing[R]:
        try:
            return _Listing(number, self._list_all())
        except CloudUnavailable as error:
            return _Listing(number, error=error)
        except CloudError:  # a list that is refused shows nothing: each is read by itself
            return _Listing(number)


class Sight(Generic[R]):
    """One resource that is waited for. It is never shown as it was before the last look at it."""

    def __init__(self, sights: Sights[R], key: str, clock: Clock) -> None:
        self._sights = sights
        self._key = key
        self._clock = clock
        self._seen = -1  # the number of the last list call that had begun when it was looked at; none yet
        self.listed = False
        """Whether the last look was at a list."""

    def see(self) -> R:
        """Look: by itself at first and beside few, else in a list.

        Raises:
            NotFound: it isn't there.
        """
        self.listed = False
        if self._seen >= 0 and self._sights.many:
            listing = self._sights.later_than(self._seen)
            self._seen = listing.number
            if listing.error is not None:
                raise listing.error
            if self._key in listing.things:
                self.listed = True
                return listing.things[self._key]
        return self.see_closely()

    def see_closely(self) -> R:
        """Look at it by itself: what a list lacks may be there, and one resource may tell more of itself than a list."""
        self.listed = False
        self._seen = self._sights.begun
        return self._sights.read(self._key)

    def sleep(self, seconds: float) -> None:
        """Wait until the next look is due, or somebody has listed."""
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            self._clock.sleep(min(left, NAP_S) if self._sights.many else left)
            if self._sights.latest.number > self._seen:
                return


def wait_for(look: Callable[[], T | None], *, what: str, timeout_s: float, clock: Clock) -> T:
    """Return what `look` returns as soon as it isn't None.

    A cloud that can't answer for a while is waited for too: what was asked of it goes on meanwhile. Raise CloudError
    when time runs out.
    """
    return _wait(look, clock.sleep, what, timeout_s, clock)


def wait_to_see(
    sights: Sights[R],
    key: str,
    judge: Callable[[Callable[[], R]], T | None],
    *,
    what: str,
    timeout_s: float,
    clock: Clock,
) -> T:
    """Do as `wait_for` with a resource: `judge` is given what shows it, or raises NotFound."""
    with sights.of(key, clock) as sight:

        def look() -> T | None:
            try:
                return judge(sight.see)
            except CloudUnavailable:
                raise
            except CloudError:
                if not sight.listed:
                    raise
            return judge(sight.see_closely)

        return _wait(look, sight.sleep, what, timeout_s, clock)


def _wait(look: Callable[[], T | None], sleep: Callable[[float], None], what: str, timeout_s: float, clock: Clock) -> T:
    deadline = clock.now() + timeout_s
    pause = FIRST_PAUSE_S
    while True:
        unanswered: CloudUnavailable | None = None
        try:
            seen = look()
        except CloudUnavailable as error:
            seen, unanswered = None, error
        if seen is not None:
            return seen
        left = deadline - clock.now()
        if left <= 0:
            if unanswered:
                raise unanswered
            raise CloudError(
                f"{what}: not within {timeout_s:.0f} s",
                remedy="look at its state in the cloud, or allow more time",
            )
        sleep(min(pause, left))
        pause = min(pause * GROWTH, LONGEST_PAUSE_S)


def delete_when_idle(
    delete: Callable[[], None], *, busy: tuple[int, ...], what: str, timeout_s: float, clock: Clock
) -> None:
    """Ask for a deletion, again for a while as long as the refusal's HTTP status is one of `busy`.

    Gone already is fine. Raise the last refusal when time runs out: why, rather than how long.
    """
    last: Refused | None = None

    def ask() -> bool | None:
        nonlocal last
        try:
            delete()
        except NotFound:
            return True
        except Refused as refused:
            if refused.status not in busy:
                raise
            last = refused
            return None
        return True

    try:
        wait_for(ask, what=what, timeout_s=timeout_s, clock=clock)
    except CloudError as out_of_time:
        raise last or out_of_time from None
