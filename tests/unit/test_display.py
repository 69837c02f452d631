"""What the operator sees of the events."""

import io
import json
import re

import pytest
from rich.console import Console

from os_migrate.cli.display import JsonLines, LiveDisplay, PlainLines
from os_migrate.cli.meter import Meter, duration, size, summary
from os_migrate.cli.overview import Overview
from os_migrate.errors import PlanError, Problem, RollbackIncomplete, UserError
from os_migrate.events import (
    BatchStarted,
    Note,
    Progress,
    Retrying,
    StageStarted,
    StepFailed,
    StepStarted,
    WorkloadEnded,
    WorkloadStarted,
)
from os_migrate.failure import error_text
from tests.fakes.scene import Scene
from tests.fakes.workloads import Shape

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


def drawn(display: LiveDisplay, width: int = 120) -> str:
    canvas = Console(file=io.StringIO(), width=width, color_system=None)
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


# Many workloads --------------------------------------------------------------------------------------------------------


def batch_of(display, number: int, *, running: int) -> None:
    """Let a batch begin."""
    display(BatchStarted(total=number))
    for n in range(running):
        display(WorkloadStarted(workload=f"s{n}", name=f"web {n:02}", attempt=f"a{n}", activity="migrate"))
        display(StageStarted(workload=f"s{n}", stage="transfer volumes"))


def copied(n: int, mib: int, total: int = 100, disk: str = "/dev/vda") -> Progress:
    return Progress(workload=f"s{n}", disk=disk, activity="copy", done_bytes=mib * MIB, total_bytes=total * MIB)


def ended(n: int, outcome: str = "migrated") -> WorkloadEnded:
    return WorkloadEnded(workload=f"s{n}", name=f"web {n:02}", outcome=outcome)


def test_all_together_are_told_in_one_line():
    clock, display = Clock(), Overview()

    def tell(event) -> None:
        display.feed(event, clock.seconds)

    batch_of(tell, 50, running=4)
    assert display.line() == "0 of 50 done, 4 running, 46 waiting"
    for second in range(11):
        clock.seconds = second
        tell(copied(0, 4 * second))
        tell(copied(1, second))
    assert display.line() == (
        "0 of 50 done, 4 running, 46 waiting; 50.0 MiB of 200.0 MiB copied, 5.0 MiB/s, at least 30 s left"
    )


def test_what_failed_is_counted_and_its_rest_is_not_waited_for():
    display = Overview()
    batch_of(lambda event: display.feed(event, 0), 2, running=2)
    for event in (copied(0, 0), copied(0, 60), copied(1, 0), copied(1, 100), ended(0, "rolled back"), ended(1)):
        display.feed(event, 1)
    assert display.line() == "2 of 2 done (1 failed), 0 running, 0 waiting; 160.0 MiB of 160.0 MiB copied"


def test_what_was_skipped_before_the_batch_began_is_no_part_of_it():
    display = Overview()
    display.feed(ended(7, "skipped"), 0)
    batch_of(lambda event: display.feed(event, 0), 2, running=1)
    assert display.line() == "0 of 2 done, 1 running, 1 waiting"


def test_adopted_copy_counts_as_done_and_not_for_the_rate():
    display = Overview()
    batch_of(lambda event: display.feed(event, 0), 2, running=2)
    display.feed(copied(0, 0), 0)
    display.feed(copied(1, 90), 1)
    display.feed(copied(1, 95), 5)
    assert "95.0 MiB of 200.0 MiB copied, 1.0 MiB/s, 1 min 45 s left" in display.line()


def test_copy_that_begins_anew_does_not_run_backwards():
    display = Overview()
    batch_of(lambda event: display.feed(event, 0), 2, running=2)
    for second, mib in enumerate((0, 50, 0, 10)):
        display.feed(copied(0, mib), second)
    assert "10.0 MiB of 100.0 MiB copied, 20.0 MiB/s" in display.line()


def test_plain_lines_tell_of_all_every_ten_seconds():
    stream, clock = io.StringIO(), Clock()
    display = PlainLines(stream, now=clock)
    batch_of(display, 50, running=2)
    for second in range(31):
        clock.seconds = second
        display(copied(0, second))
    lines = [line[9:] for line in stream.getvalue().splitlines() if line[9:].startswith("all: ")]
    assert lines == [
        f"all: 0 of 50 done, 2 running, 48 waiting; {n}.0 MiB of 100.0 MiB copied, 1.0 MiB/s, at least {left} left"
        for n, left in ((10, "1 min 30 s"), (20, "1 min 20 s"), (30, "1 min 10 s"))
    ]


def test_one_workload_alone_is_told_of_as_ever():
    stream, clock = io.StringIO(), Clock()
    display = PlainLines(stream, now=clock)
    batch_of(display, 1, running=1)
    clock.seconds = 60
    display(copied(0, 60))
    assert "all: " not in stream.getvalue()
    assert "1 servers" not in stream.getvalue()


def test_quiet_tells_nothing_of_all():
    stream, clock = io.StringIO(), Clock()
    display = PlainLines(stream, quiet=True, now=clock)
    batch_of(display, 50, running=2)
    clock.seconds = 60
    display(copied(0, 60))
    assert stream.getvalue() == ""


@pytest.mark.parametrize("width", [80, 120])
def test_fifty_workloads_fit_a_terminal_of_24_lines_and_those_that_move_are_shown(width):
    clock = Clock()
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=24, color_system=None)
    display = LiveDisplay(console, now=clock)
    batch_of(display, 60, running=50)
    for second in range(0, 61, 5):
        clock.seconds = second
        for n in (7, 23, 48):
            display(copied(n, second * 10, 100_000))
            display(copied(n, second, 100, "/dev/vdb"))
    lines = drawn(display, width).splitlines()
    assert len(lines) <= 24
    assert [line for n in (7, 23, 48) for line in lines if line.startswith(f"web {n:02}  transfer volumes")]
    shown = [line for line in lines if line.startswith("web ")]
    assert shown == sorted(shown)
    assert {line[:6] for line in shown} >= {"web 07", "web 23", "web 48"}
    assert f"… and {50 - len(shown)} more" in lines
    assert len(lines) >= 20  # the room is used
    assert any("0 of 60 done, 50 running, 10 waiting" in line for line in lines)
    assert sum(" left" in line for line in lines) >= 6


def test_server_with_more_disks_than_lines_shows_those_that_are_not_done():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=10, color_system=None)
    display = LiveDisplay(console, now=Clock())
    display(STARTED)
    for n in range(24):
        disk = f"/dev/vd{chr(ord('a') + n)}"
        display(Progress(workload="s1", disk=disk, activity="copy", done_bytes=20 if n < 20 else 5, total_bytes=20))
    lines = drawn(display).splitlines()
    assert len(lines) <= 10
    assert {f"/dev/vd{letter}" for letter in "uvwx"} <= {line.split()[0] for line in lines if "/dev" in line}
    assert lines[-1] == "  … and 18 more disks"


def test_batch_begins_with_its_size(tmp_path):
    scene = Scene(tmp_path, Shape("a"), Shape("b"))
    told = []
    scene.events.subscribe(told.append)
    scene.migrate()
    assert [e.total for e in told if isinstance(e, BatchStarted)] == [2]


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
