"""Tell the user what is happening, and how long it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """A finished stage: when it began, counted from the start of the command, and how long it took."""

    name: str
    began_s: float
    took_s: float


@dataclass
class Console:
    """Lines with elapsed time, and a record of stages; safe to use from several threads."""

    began: float = field(default_factory=time.monotonic)
    stages: list[Stage] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def elapsed_s(self) -> float:
        """Return the seconds since the command began."""
        return time.monotonic() - self.began

    def say(self, message: str) -> None:
        """Print one line with the elapsed time."""
        with self._lock:
            sys.stdout.write(f"[{self.elapsed_s():6.1f}s] {message}\n")
            sys.stdout.flush()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and record how long it took if it succeeds."""
        began_s = self.elapsed_s()
        self.say(f"{name} ...")
        yield
        took_s = self.elapsed_s() - began_s
        with self._lock:
            self.stages.append(Stage(name, began_s, took_s))
        self.say(f"{name}: done in {took_s:.1f} s")

    def summary(self) -> str:
        """Return the stages as a table, in the order in which they began."""
        rows = [("stage", "began", "took")]
        rows += [
            (stage.name, f"{stage.began_s:.1f} s", f"{stage.took_s:.1f} s")
            for stage in sorted(self.stages, key=lambda stage: stage.began_s)
        ]
        rows.append(("total", "", f"{self.elapsed_s():.1f} s"))
        return table(rows, right_align=(1, 2))


def table(rows: Sequence[Sequence[str]], right_align: Sequence[int] = ()) -> str:
    """Return rows, the first being the heading, as aligned text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if column in right_align else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)
