"""What the operator sees of the events: a live picture on a terminal, plain lines elsewhere, JSON lines for machines.

Displays write to stderr, so that stdout holds results only; JSON lines are the result, so they go to stdout.
"""

import dataclasses
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from os_migrate.cli.meter import Meter, duration, summary
from os_migrate.events import (
    Event,
    Note,
    Progress,
    Retrying,
    StageStarted,
    StepDone,
    StepFailed,
    StepStarted,
    StepUndone,
    WorkloadEnded,
    WorkloadStarted,
)
from os_migrate.logs import PROGRESS_PAUSE_S, Throttle, line_of

DETAILS = StepStarted | StepDone | StepUndone
"""Told with --verbose only."""


class Display(Protocol):
    """Whatever hears events and shows them."""

    def __call__(self, event: Event) -> None:
        """Show an event."""


@contextmanager
def open_display(*, as_json: bool, quiet: bool, verbose: bool) -> Iterator[Display]:
    """Return the display that fits: JSON lines if asked for, live on a terminal, plain lines otherwise."""
    if as_json:
        yield JsonLines(sys.stdout)
    elif sys.stderr.isatty() and not quiet:
        with LiveDisplay(Console(stderr=True), verbose=verbose) as display:
            yield display
    else:
        yield PlainLines(sys.stderr, quiet=quiet, verbose=verbose)


class JsonLines:
    """Write one JSON object a line: `event`, `time`, and what the event holds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event, named after its class: `stage_started`."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
        self.write(name, {f.name: getattr(event, f.name) for f in dataclasses.fields(event)})

    def write(self, name: str, content: Mapping[str, object]) -> None:
        """Write one line."""
        line = {"event": name, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **content}
        self._stream.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._stream.flush()


class Names:
    """Know what workloads are called: events have ids."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, event: Event) -> None:
        """Take a name from an event that has one."""
        if isinstance(event, WorkloadStarted | WorkloadEnded):
            self._names[event.workload] = event.name or event.workload

    def prefix(self, event: Event) -> str:
        """Return what goes before an event's line."""
        return f"{self._names.get(event.workload, event.workload)}: " if event.workload else ""


class PlainLines:
    """Write a timestamped line an event; progress every ten seconds a disk, with rate and time left."""

    def __init__(
        self, stream: TextIO, *, quiet: bool = False, verbose: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._verbose = verbose
        self._now = now
        self._names = Names()
        self._meters: dict[tuple[str, str, str], Meter] = {}
        self._throttle = Throttle(PROGRESS_PAUSE_S, now)

    def __call__(self, event: Event) -> None:
        """Write an event, if it is of interest."""
        self._names.learn(event)
        line = self._progress(event) if isinstance(event, Progress) else line_of(event)
        if line and self._wanted(event):
            self._stream.write(f"{datetime.now().astimezone():%H:%M:%S} {self._names.prefix(event)}{line}\n")
            self._stream.flush()

    def _wanted(self, event: Event) -> bool:
        if self._quiet:
            return isinstance(event, StepFailed | Retrying) or (isinstance(event, Note) and event.warning)
        return self._verbose or not isinstance(event, DETAILS)

    def _progress(self, event: Progress) -> str | None:
        meter = self._meters.setdefault((event.workload, event.disk, event.activity), Meter())
        meter.feed(event.done_bytes, event.total_bytes, self._now())
        return f"{event.activity} {event.disk}: {summary(meter)}" if self._throttle.passes(event) else None


class _Row:
    """A workload in the live picture."""

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.stage = ""
        self.disks: dict[str, tuple[str, Meter]] = {}


class LiveDisplay:
    """Draw what goes on at the bottom of the terminal; what is over scrolls away above."""

    def __init__(self, console: Console, *, verbose: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._verbose = verbose
        self._now = now
        self._names = Names()
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()  # the live picture is drawn by a thread of its own
        self._live = Live(console=console, get_renderable=self.picture, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        self._names.learn(event)
        with self._lock:
            self._update(event)
        if isinstance(event, Progress) or (isinstance(event, DETAILS) and not self._verbose):
            return
        style = "red" if isinstance(event, StepFailed) else "yellow" if _is_warning(event) else ""
        text = f"{datetime.now().astimezone():%H:%M:%S} {self._names.prefix(event)}{line_of(event)}"
        self._console.print(escape(text), style=style, highlight=False, soft_wrap=True)

    def _update(self, event: Event) -> None:
        match event:
            case WorkloadStarted(workload=workload, name=name):
                self._rows[workload] = _Row(name, self._now())
            case WorkloadEnded(workload=workload):
                self._rows.pop(workload, None)
            case StageStarted(workload=workload, stage=stage) if workload in self._rows:
                self._rows[workload].stage = stage
                self._rows[workload].disks.clear()
            case Progress(workload=workload, disk=disk, activity=activity) if workload in self._rows:
                disks = self._rows[workload].disks
                if disk not in disks or disks[disk][0] != activity:
                    disks[disk] = (activity, Meter())
                disks[disk][1].feed(event.done_bytes, event.total_bytes, self._now())
            case _:
                pass

    def picture(self) -> Group:
        """Return what is drawn now."""
        with self._lock:
            return Group(*(part for row in self._rows.values() for part in self._draw(row)))

    def _draw(self, row: _Row) -> Iterator[Text | Table]:
        elapsed = duration(self._now() - row.began)
        yield Text.assemble((row.name or "(no name)", "bold"), f"  {row.stage}  {elapsed}")
        if row.disks:
            table = Table.grid(padding=(0, 2))
            for disk, (activity, meter) in sorted(row.disks.items()):
                bar = ProgressBar(total=meter.total or None, completed=meter.done, width=30, pulse=not meter.total)
                table.add_row(f"  {disk}", activity, bar, summary(meter))
            yield table


def _is_warning(event: Event) -> bool:
    return isinstance(event, Retrying) or (isinstance(event, Note) and event.warning)
