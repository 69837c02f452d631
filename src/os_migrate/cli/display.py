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

from os_migrate.cli.meter import Meter, summary
from os_migrate.cli.overview import Overview
from os_migrate.cli.picture import Picture
from os_migrate.events import (
    BatchStarted,
    Event,
    Note,
    Progress,
    Retrying,
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
    """Write a timestamped line an event; progress every ten seconds a disk, and of all, with rate and time left."""

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
        self._overview = Overview()
        self._told = now()

    def __call__(self, event: Event) -> None:
        """Write an event, if it is of interest."""
        self._names.learn(event)
        self._overview.feed(event, self._now())
        line = self._progress(event) if isinstance(event, Progress) else line_of(event)
        if line and self._wanted(event):
            self._write(f"{self._names.prefix(event)}{line}")
        if self._overview.is_batch and not self._quiet and self._now() - self._told >= PROGRESS_PAUSE_S:
            self._told = self._now()
            self._write(f"all: {self._overview.line()}")

    def _write(self, line: str) -> None:
        self._stream.write(f"{datetime.now().astimezone():%H:%M:%S} {line}\n")
        self._stream.flush()

    def _wanted(self, event: Event) -> bool:
        if isinstance(event, BatchStarted):
            return False  # the line of all says it
        if self._quiet:
            return isinstance(event, StepFailed | Retrying) or (isinstance(event, Note) and event.warning)
        return self._verbose or not isinstance(event, DETAILS)

    def _progress(self, event: Progress) -> str | None:
        meter = self._meters.setdefault((event.workload, event.disk, event.activity), Meter())
        meter.feed(event.done_bytes, event.total_bytes, self._now())
        return f"{event.activity} {event.disk}: {summary(meter)}" if self._throttle.passes(event) else None


class LiveDisplay:
    """Draw what goes on at the bottom of the terminal; what is over scrolls away above."""

    def __init__(self, console: Console, *, verbose: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._verbose = verbose
        self._now = now
        self._names = Names()
        self._picture = Picture()
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
            self._picture.update(event, self._now())
        if isinstance(event, Progress | BatchStarted) or (isinstance(event, DETAILS) and not self._verbose):
            return
        style = "red" if isinstance(event, StepFailed) else "yellow" if _is_warning(event) else ""
        text = f"{datetime.now().astimezone():%H:%M:%S} {self._names.prefix(event)}{line_of(event)}"
        self._console.print(escape(text), style=style, highlight=False, soft_wrap=True)

    def picture(self) -> Group:
        """Return what is drawn now."""
        with self._lock:
            return self._picture.draw(self._console.width, self._console.height, self._now())


def _is_warning(event: Event) -> bool:
    return isinstance(event, Retrying) or (isinstance(event, Note) and event.warning)
