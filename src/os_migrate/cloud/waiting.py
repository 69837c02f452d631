"""Look again and again until it is so: at once, then after 0.5 s, then ever more seldom, up to every 3 s."""

from collections.abc import Callable
from typing import TypeVar

from os_migrate.cloud.refusals import Refused
from os_migrate.errors import CloudError, CloudUnavailable, NotFound
from os_migrate.world import Clock

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
GROWTH = 1.5
LONGEST_PAUSE_S = 3.0


def wait_for(look: Callable[[], T | None], *, what: str, timeout_s: float, clock: Clock) -> T:
    """Return what `look` returns as soon as it isn't None.

    A cloud that can't answer for a while is waited for too: what was asked of it goes on meanwhile. Raise CloudError
    when time runs out.
    """
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
        clock.sleep(min(pause, left))
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
