"""What a live display draws of many workloads, so that it fits the terminal.

web 1  transfer volumes  2 min 10 s        a workload, its stage, how long it has been worked on
/dev/vda  copy  ━━━━━━━━  1.0 GiB of ... a line each disk
… and 38 more                              what there is no room for: those that move are shown first
12 of 50 done, 4 running, ...              all together (`Overview`)
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from os_migrate.cli.meter import WINDOW_S, Meter, duration, summary
from os_migrate.cli.overview import Overview
from os_migrate.events import Event, Progress, StageStarted, WorkloadEnded, WorkloadStarted

BAR: Final = 30
BESIDE_BAR: Final = 78
"""Columns that the rest of a disk's line takes; on a narrow terminal the bar gives way."""

SPARE: Final = 1
"""Lines that stay free, so that the picture doesn't scroll."""


class _Row:
    """A workload in the picture."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.began = now
        self.moved = now
        self.stage = ""
        self.disks: dict[str, tuple[str, Meter]] = {}

    @property
    def lines(self) -> int:
        """Return how many lines it takes."""
        return 1 + len(self.disks)

    def feed(self, event: Progress, now: float) -> None:
        """Take in how far a disk is."""
        activity, meter = self.disks.get(event.disk, ("", Meter()))
        if activity != event.activity:
            meter = Meter()
        if meter.done != event.done_bytes:
            self.moved = now
        meter.feed(event.done_bytes, event.total_bytes, now)
        self.disks[event.disk] = (event.activity, meter)


class Picture:
    """Know what goes on, and draw it."""

    def __init__(self) -> None:
        self._overview = Overview()
        self._rows: dict[str, _Row] = {}

    def update(self, event: Event, now: float) -> None:
        """Take in an event."""
        self._overview.feed(event, now)
        match event:
            case WorkloadStarted(workload=workload, name=name):
                self._rows[workload] = _Row(name, now)
            case WorkloadEnded(workload=workload):
                self._rows.pop(workload, None)
            case StageStarted(workload=workload, stage=stage) if workload in self._rows:
                row = self._rows[workload]
                row.stage, row.moved = stage, now
                row.disks.clear()
            case Progress(workload="", done_bytes=done, total_bytes=total):
                row = self._rows.setdefault("", _Row("images", now))
                row.feed(event, now)
                if 0 < total <= done:
                    del row.disks[event.disk]
                if not row.disks:
                    del self._rows[""]
            case Progress(workload=workload) if workload in self._rows:
                self._rows[workload].feed(event, now)
            case _:
                pass

    def draw(self, width: int, height: int, now: float) -> Group:
        """Return what is drawn on a terminal of that size."""
        foot = Text(self._overview.line()) if self._overview.is_batch else None
        room = height - SPARE - (-(-len(foot) // width) if foot else 0)
        rows = list(self._rows.values())
        parts: list[Text | Table] = []
        if sum(row.lines for row in rows) <= room:
            shown = rows
        else:
            room -= 1
            shown = [rows[n] for n in fitting([r.lines for r in rows], [now - r.moved < WINDOW_S for r in rows], room)]
        for row in shown:
            parts += _draw(row, width, room, now)
        if hidden := len(rows) - len(shown):
            parts.append(Text(f"… and {hidden} more"))
        return Group(*parts, *([foot] if foot else []))


def fitting(lines: Sequence[int], moves: Sequence[bool], room: int) -> list[int]:
    """Return which rows fit into a number of lines, in their order: first those that move; one at least."""
    chosen: list[int] = []
    for number in sorted(range(len(lines)), key=lambda n: not moves[n]):
        if lines[number] <= room or not chosen:
            chosen.append(number)
            room -= lines[number]
    return sorted(chosen)


def _draw(row: _Row, width: int, room: int, now: float) -> Iterator[Text | Table]:
    """Draw a workload; one with more disks than there is room for shows those that aren't done first."""
    title = Text.assemble((row.name or "(no name)", "bold"), f"  {row.stage}  {duration(now - row.began)}")
    title.truncate(width, overflow="ellipsis")
    yield title
    disks = sorted(row.disks.items())
    hidden = len(disks) - max(0, room - 2) if row.lines > room else 0
    if hidden:
        disks.sort(key=lambda disk: 0 < disk[1][1].total <= disk[1][1].done)
        disks = sorted(disks[: len(disks) - hidden])
    if disks:
        table = Table.grid(padding=(0, 2))
        for _ in range(4):
            table.add_column(no_wrap=True)
        bar_width = max(4, min(BAR, width - BESIDE_BAR))
        for disk, (activity, meter) in disks:
            bar = ProgressBar(total=meter.total or None, completed=meter.done, width=bar_width, pulse=not meter.total)
            table.add_row(f"  {disk}", activity, bar, summary(meter))
        yield table
    if hidden:
        yield Text(f"  … and {hidden} more disks")
