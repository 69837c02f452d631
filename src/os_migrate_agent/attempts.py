"""Who works on which attempt, and what of it is here."""

import contextlib
import fcntl
import os
from typing import IO, Dict

from os_migrate_agent.files import RUN_DIR, Json, names

HELD_DIR = os.path.join(RUN_DIR, "held")

_held: Dict[str, IO[str]] = {}


def verb_hold(request: Json) -> Json:
    """Hold an attempt for as long as this process lives."""
    attempt = request["attempt"]
    path = os.path.join(HELD_DIR, attempt)
    os.makedirs(HELD_DIR, exist_ok=True)
    while attempt not in _held:
        file = open(path, "a")  # noqa: SIM115 (its lock is to last)
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            _held[attempt] = file
        else:
            file.close()  # somebody found it free, and removed it
    return {}


def verb_attempts(_request: Json) -> Json:
    """Return what attempts have on this host: their units, and whether anybody holds them."""
    found: Json = {}
    for attempt in names(RUN_DIR):
        directory = os.path.join(RUN_DIR, attempt)
        jobs = [name for name in names(directory) if name.endswith(".job")]
        if jobs:
            found[attempt] = {"units": sorted(job[: -len(".job")] for job in jobs), "held": False}
    for attempt in names(HELD_DIR):
        if _is_held(os.path.join(HELD_DIR, attempt)):
            found.setdefault(attempt, {"units": []})["held"] = True
    return found


def _is_held(path: str) -> bool:
    """Tell whether a process holds an attempt; forget it if none does."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        os.unlink(path)
    return False
