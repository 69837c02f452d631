"""Run programs, wait for conditions, and give up together when one part fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import Cancelled, CommandFailed, LabError, tail_of

_cancelled = threading.Event()
_children: set[subprocess.Popen[bytes]] = set()
_children_lock = threading.Lock()


def cancel() -> None:
    """End every program that `run` started, and make every wait raise Cancelled."""
    _cancelled.set()
    with _children_lock:
        for child in _children:
            try:
                os.killpg(child.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


def check_cancelled() -> None:
    """Raise Cancelled if another part failed."""
    if _cancelled.is_set():
        raise Cancelled("given up")


def run(
    argv: Sequence[str | Path], *, log: Path | None = None, stdin: str | None = None, cwd: Path | None = None
) -> str:
    """Run a program to its end and return what it wrote.

    With `log`, its output is appended to that file instead and the result is empty. Raises CommandFailed with the end of
    the output if the program fails, Cancelled if it was ended by `cancel`.
    """
    check_cancelled()
    words = [str(word) for word in argv]
    output = log.open("ab") if log else None
    try:
        child = subprocess.Popen(
            words,
            cwd=cwd,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            start_new_session=True,
        )
        with _children_lock:
            _children.add(child)
        try:
            written, _ = child.communicate(stdin.encode() if stdin is not None else None)
        finally:
            with _children_lock:
                _children.discard(child)
    finally:
        if output:
            output.close()
    text = (written or b"").decode(errors="replace")
    if child.returncode:
        check_cancelled()
        tail = tail_of(log, 30) if log else text.splitlines()[-30:]
        raise CommandFailed(words, child.returncode, "\n".join(tail))
    return text


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Tell whether a program ends with exit code 0."""
    words = [str(word) for word in argv]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def wait_until(
    what: str,
    condition: Callable[[], bool],
    *,
    timeout_s: float,
    interval_s: float = 0.3,
    on_timeout: Callable[[], LabError] | None = None,
) -> None:
    """Return when `condition` holds; raise the error made by `on_timeout`, or a LabError, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        check_cancelled()
        if time.monotonic() > deadline:
            raise on_timeout() if on_timeout else LabError(f"{what}: not so after {timeout_s:.0f} s")
        _cancelled.wait(interval_s)
