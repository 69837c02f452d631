"""What the engine tells while it works. It never prints: displays, log files and Ansible listen.

An event is a frozen dataclass. Whoever wants to hear subscribes to `Events`; listeners are called one at a time, in the
order of telling, from the thread that tells.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Event:
    """Anything worth telling. `workload` is the source server's id, or that of a detached volume; "" for what belongs to neither."""

    workload: str = ""


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """A line for the log."""

    text: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class BatchStarted(Event):
    """So many workloads are about to be worked on; one that is begun anew in a resume is told as a batch of its own."""

    total: int


@dataclass(frozen=True, kw_only=True)
class WorkloadStarted(Event):
    """A workload's migration begins, goes on, or is undone: see `activity`."""

    name: str
    attempt: str
    activity: str


@dataclass(frozen=True, kw_only=True)
class WorkloadEnded(Event):
    """A workload reached a final state; `outcome` is migrated, skipped, rolled back, failed, rollback incomplete or verified."""

    name: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage of the sequence begins."""

    stage: str


@dataclass(frozen=True, kw_only=True)
class StageEnded(Event):
    """A stage of the sequence ended well."""

    stage: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """A step is about to act (or to be found, on resume)."""

    step: str


@dataclass(frozen=True, kw_only=True)
class StepDone(Event):
    """A step's effect is whole."""

    step: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StepUndone(Event):
    """A step's effect is gone."""

    step: str


@dataclass(frozen=True, kw_only=True)
class StepFailed(Event):
    """A step, or its undo, raised."""

    step: str
    error: str
    undoing: bool = False


@dataclass(frozen=True, kw_only=True)
class Retrying(Event):
    """An error of the kind that passes: the step is tried again after `pause_s` seconds."""

    step: str
    error: str
    pause_s: float


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """How far an activity on a disk is, in bytes. `disk` is the device that Nova reports on the source (/dev/vda); of no workload, an image."""

    disk: str
    activity: str
    done_bytes: int
    total_bytes: int


Listener = Callable[[Event], None]

_AT_WORK: Final = ContextVar("_AT_WORK", default="")


@contextmanager
def at_work(workload: str) -> Iterator[None]:
    """Let `Events.tell_of_work` know what this thread works on."""
    token = _AT_WORK.set(workload)
    try:
        yield
    finally:
        _AT_WORK.reset(token)


class Events:
    """Pass each event to every listener. One that fails stops no migration: `failure` says at the end how the first did."""

    def __init__(self, *listeners: Listener) -> None:
        self.failure = ""
        self._listeners = list(listeners)
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> None:
        """Let `listener` hear all later events."""
        with self._lock:
            self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        """Call every listener with `event`."""
        with self._lock:
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 (a dead pipe, a full disk, a fault of ours: it is only told)
                    self.failure = self.failure or f"{type(error).__name__}: {error}"

    def tell_of_work(self, event: Event) -> None:
        """Tell an event of the workload that this thread works on: a port to the world doesn't know for whom it is used."""
        self.tell(replace(event, workload=_AT_WORK.get()))
