"""How fast something goes, and when it will be done: pure figures for the displays."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW_S: Final = 15.0
"""The rate is that of the last seconds: long enough not to jitter, short enough to show that a link went dead."""

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass
class Meter:
    """Watch one activity on one disk."""

    done: int = 0
    total: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def feed(self, done: int, total: int, now: float) -> None:
        """Take in how far it is at a moment (seconds of any clock that doesn't jump)."""
        self.done, self.total = done, total
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_S:  # noqa: PLR2004 (a rate needs two)
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Return bytes a second, or None while that can't be told."""
        if len(self._seen) < 2:  # noqa: PLR2004 (a rate needs two)
            return None
        (since, then), (now, done) = self._seen[0], self._seen[-1]
        return (done - then) / (now - since) if now > since else None

    @property
    def left_s(self) -> float | None:
        """Return how many seconds it will take at this rate, or None while that can't be told."""
        return (self.total - self.done) / self.rate if self.rate and self.total else None


def size(count: float) -> str:
    """Return a number of bytes as people read it."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:  # noqa: PLR2004 (what the units are made of)
        count /= 1024
        unit += 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 else f"{count:.1f} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return a time span as people read it."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 (a minute)
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 (an hour)
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def summary(meter: Meter) -> str:
    """Return how far it is, how fast, and how long it takes yet."""
    text = f"{size(meter.done)} of {size(meter.total)}" if meter.total else size(meter.done)
    if meter.done >= meter.total > 0:
        return text
    if meter.rate is not None:
        text += f", {size(meter.rate)}/s"
    if meter.left_s is not None:
        text += f", {duration(meter.left_s)} left"
    return text
