"""What the operator sees of the events."""

import io
import json
import re

import pytest
from rich.console import Console

from os_migrate.cli.display import JsonLines, LiveDisplay, PlainLines
from os_migrate.cli.failure import error_text
from os_migrate.cli.meter import Meter, duration, size, summary
from os_migrate.errors import PlanError, Problem, RollbackIncomplete, UserError
from os_migrate.events import (
    Note,
    Progress,
    Retrying,
    StageStarted,
    StepFailed,
    StepStarted,
    WorkloadEnded,
    WorkloadStarted,
)

MIB = 1024**2
STARTED = WorkloadStarted(workload="s1", name="web [1]", attempt="a1", activity="migrate")
ENDED = WorkloadEnded(workload="s1", name="web [1]", outcome="migrated", detail="server t1", seconds=61)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def progress(mib: int, total: int = 100, activity: str = "copy") -> Progress:
    return Progress(workload="s1", disk="/dev/vda", activity=activity, done_bytes=mib * MIB, total_bytes=total * MIB)


def test_a_meter_tells_rate_and_time_left():
    meter = Meter()
    meter.feed(0, 100 * MIB, 0)
    assert (meter.rate, meter.left_s) == (None, None)
    meter.feed(20 * MIB, 100 * MIB, 10)
    assert meter.rate == 2 * MIB
    assert meter.left_s == 40
    assert summary(meter) == "20.0 MiB of 100.0 MiB, 2.0 MiB/s, 40 s left"


def test_a_meter_forgets_how_fast_it_once_was():
    meter = Meter()
    for second in range(61):
        meter.feed(min(second, 20) * MIB, 100 * MIB, second)
    assert meter.rate == 0
    assert meter.left_s is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (size(0), "0 B"),
        (size(1023), "1023 B"),
        (size(1536), "1.5 KiB"),
        (size(3 * 1024**4), "3.0 TiB"),
        (size(5000 * 1024**4), "5000.0 TiB"),
        (duration(59.4), "59 s"),
        (duration(59.6), "1 min 00 s"),
        (duration(3599), "59 min 59 s"),
        (duration(7260), "2 h 01 min"),
    ],
)
def test_figures_are_readable(text, expected):
    assert text == expected


def plain(*events, quiet=False, verbose=False, clock=None) -> list[str]:
    stream = io.StringIO()
    display = PlainLines(stream, quiet=quiet, verbose=verbose, now=clock or Clock())
    for event in events:
        display(event)
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]


def test_plain_lines_name_the_server_not_its_id():
    assert plain(STARTED, StageStarted(workload="s1", stage="export volumes"), ENDED) == [
        "web [1]: migrate, attempt a1",
        "web [1]: stage export volumes",
        "web [1]: migrated after 61 s: server t1",
    ]


def test_plain_progress_comes_every_ten_seconds_with_rate_and_time_left():
    stream, clock = io.StringIO(), Clock()
    display = PlainLines(stream, now=clock)
    for mib in range(41):
        display(progress(mib))
        clock.seconds += 1
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[-1].endswith("copy /dev/vda: 40.0 MiB of 100.0 MiB, 1.0 MiB/s, 1 min 00 s left")


def test_steps_are_told_with_verbose_only():
    assert plain(StepStarted(step="x")) == []
    assert plain(StepStarted(step="x"), verbose=True) == ["step x"]


def test_quiet_tells_only_what_goes_wrong():
    wrong = [
        Note(text="careful", warning=True),
        StepFailed(step="x", error="e"),
        Retrying(step="x", error="e", pause_s=5),
    ]
    assert len(plain(STARTED, Note(text="fine"), progress(1), ENDED, *wrong, quiet=True)) == 3


def test_json_lines_are_one_object_an_event():
    stream = io.StringIO()
    display = JsonLines(stream)
    display(STARTED)
    display(progress(1))
    started, copied = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (started["event"], started["name"], started["workload"]) == ("workload_started", "web [1]", "s1")
    assert (copied["event"], copied["done_bytes"], copied["activity"]) == ("progress", MIB, "copy")
    assert "time" in started


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def drawn(display: LiveDisplay) -> str:
    canvas = Console(file=io.StringIO(), width=120, color_system=None)
    canvas.print(display.picture())
    assert isinstance(canvas.file, io.StringIO)
    return canvas.file.getvalue()


def test_the_live_picture_shows_stage_and_disks(console):
    clock = Clock()
    display = LiveDisplay(console, now=clock)
    display(STARTED)
    display(StageStarted(workload="s1", stage="transfer volumes"))
    display(progress(0))
    clock.seconds = 10
    display(progress(20))
    picture = drawn(display)
    assert "web [1]  transfer volumes  10 s" in picture
    assert re.search(r"/dev/vda +copy .*20\.0 MiB of 100\.0 MiB, 2\.0 MiB/s, 40 s left", picture)


def test_the_live_picture_forgets_what_is_over(console):
    display = LiveDisplay(console, now=Clock())
    display(STARTED)
    display(progress(20))
    display(ENDED)
    assert drawn(display).strip() == ""


def test_the_live_display_starts_stops_and_keeps_the_lines(console):
    with LiveDisplay(console) as display:
        display(STARTED)
        display(progress(20))
        display(ENDED)
    assert isinstance(console.file, io.StringIO)
    assert "web [1]: migrated after 61 s: server t1" in console.file.getvalue()


# Errors -----------------------------------------------------------------------------------------------------------------


def test_an_error_is_what_failed_and_what_to_do():
    assert error_text(UserError("no file", remedy="make one")) == "Error: no file\n  make one"


def test_all_problems_of_a_plan_are_listed():
    text = error_text(PlanError([Problem("a.yml:1", "bad", "mend it"), Problem("a.yml:2", "worse")]))
    assert text.splitlines() == [
        "Error: nothing was touched, there are 2 problems:",
        "  a.yml:1: bad",
        "      mend it",
        "  a.yml:2: worse",
    ]


def test_what_still_stands_is_listed():
    text = error_text(RollbackIncomplete("not all is gone", ["volume v1"], remedy="again"))
    assert text.splitlines() == ["Error: not all is gone", "  still standing:", "    volume v1", "  again"]
