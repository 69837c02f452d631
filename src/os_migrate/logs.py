"""Write events to files: `workload_logs/<name>.log`, a line an event, and `<name>.state`, percentages by device.

A migration never fails because of its log: what can't be written is left out, and `failure` says so in the end.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from os_migrate.errors import UserError
from os_migrate.events import (
    Event,
    Note,
    Progress,
    Retrying,
    StageEnded,
    StageStarted,
    StepDone,
    StepFailed,
    StepStarted,
    StepUndone,
    WorkloadEnded,
    WorkloadStarted,
)
from os_migrate.files.durable import write_atomically

LOG_DIR: Final = "workload_logs"

PROGRESS_PAUSE_S: Final = 10.0
"""A line of progress for each disk that often: readable with `tail -f`, and small after a day of copying."""

ALL: Final = 100.0

STATE_PAUSE_S: Final = 1.0
"""The state file is replaced and synced that often at most, however fast events come."""


def line_of(event: Event) -> str:
    """Return an event as a line of text, without time and workload."""
    match event:
        case Note(text=text, warning=warning):
            return f"warning: {text}" if warning else text
        case WorkloadStarted(attempt=attempt, activity=activity):
            return f"{activity}, attempt {attempt}"
        case WorkloadEnded(outcome=outcome, detail=detail, seconds=seconds):
            return f"{outcome} after {seconds:.0f} s" + (f": {detail}" if detail else "")
        case StageStarted(stage=stage):
            return f"stage {stage}"
        case StageEnded(stage=stage, seconds=seconds):
            return f"stage {stage} took {seconds:.1f} s"
        case StepStarted(step=step):
            return f"step {step}"
        case StepDone(step=step, seconds=seconds):
            return f"step {step} done in {seconds:.1f} s"
        case StepUndone(step=step):
            return f"step {step} undone"
        case StepFailed(step=step, error=error, undoing=undoing):
            return f"step {step} failed{' to be undone' if undoing else ''}: {error}"
        case Retrying(step=step, error=error, pause_s=pause_s):
            return f"step {step} is tried again in {pause_s:.0f} s: {error}"
        case Progress(disk=disk, activity=activity, done_bytes=done, total_bytes=total):
            return f"{activity} {disk}: {percent(done, total):.1f} % ({done} of {total} bytes)"
        case _:
            return str(event)


def percent(done: int, total: int) -> float:
    """Return how much is done; a total of 0 isn't known yet."""
    return round(100 * done / total, 1) if total else 0.0


class Throttle:
    """Let a disk's progress pass once in a while, and always its end."""

    def __init__(self, pause_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._pause_s = pause_s
        self._now = now
        self._last: dict[tuple[str, str, str], float] = {}

    def passes(self, event: Progress) -> bool:
        """Say whether this progress is to be shown."""
        key = (event.workload, event.disk, event.activity)
        now, last = self._now(), self._last.get(key)
        due = last is None or now - last >= self._pause_s or 0 < event.total_bytes <= event.done_bytes
        if due:
            self._last[key] = now
        return due


def make_files(directory: Path, name: str) -> tuple[Path, Path]:
    """Make the log and the state file of a workload, empty, unless they are there; return their paths."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log, state = directory / f"{name}.log", directory / f"{name}.state"
    log.touch(mode=0o600)
    if not state.exists():
        write_atomically(state, "{}\n")
    return log, state


def _read_state(file: Path) -> dict[str, float]:
    """Return what a state file says; nothing if it isn't there, or isn't one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class LogFiles:
    """Listen to events and keep a log and a state file for each workload; `names` says what they are called."""

    def __init__(self, directory: Path, names: Mapping[str, str], now: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._names = names
        self._now = now
        self._throttle = Throttle(PROGRESS_PAUSE_S, now)
        self._logs: dict[str, TextIO] = {}
        self._states: dict[str, dict[str, float]] = {}
        self._written: dict[str, float] = {}
        self.failure: str | None = None

    def __call__(self, event: Event) -> None:
        """Write down an event of a workload."""
        if not event.workload:
            return
        try:
            if not isinstance(event, Progress) or self._throttle.passes(event):
                self._log(event)
            self._follow(event)
        except (OSError, UserError) as error:
            self.failure = str(error)

    def close(self) -> None:
        """Close all files."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()

    def _path(self, workload: str, suffix: str) -> Path:
        return self._directory / f"{self._names.get(workload, workload)}{suffix}"

    def _log(self, event: Event) -> None:
        log = self._logs.get(event.workload)
        if log is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            handle = os.open(self._path(event.workload, ".log"), flags, 0o600)
            log = self._logs[event.workload] = os.fdopen(handle, "a", encoding="utf-8", errors="replace")
        indented = line_of(event).replace("\n", "\n    ")
        log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {indented}\n")
        log.flush()

    def _follow(self, event: Event) -> None:
        """Keep the percentages: of the copy, which nothing but a verification follows. Those of an earlier process go on."""
        if event.workload not in self._states:
            self._states[event.workload] = _read_state(self._path(event.workload, ".state"))
        state = self._states[event.workload]
        match event:
            case WorkloadStarted(activity="migrate"):
                state.clear()
                self._write_state(event.workload)
            case WorkloadEnded() if state:
                self._write_state(event.workload)
            case Progress(disk=disk, activity=activity, done_bytes=done, total_bytes=total):
                before = state.get(disk)
                copied = percent(done, total) if activity == "copy" else before or 0.0
                state[disk] = ALL if activity == "verify" else copied
                rested = self._now() - self._written.get(event.workload, float("-inf")) >= STATE_PAUSE_S
                if state[disk] != before and (rested or before is None or state[disk] >= ALL):
                    self._write_state(event.workload)
            case _:
                pass

    def _write_state(self, workload: str) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._path(workload, ".state"), json.dumps(self._states[workload]) + "\n")
        self._written[workload] = self._now()
