"""Our files on this host: small, in JSON, replaced whole."""

import contextlib
import json
import os
import shutil
import time
from typing import Any, Dict, List, Optional

Json = Dict[str, Any]

RUN_DIR = "/run/os-migrate"

POLL_S = 0.05  # how often it is looked whether something is there: a look costs little, and the server is off meanwhile

NEW = ".new"  # a file of ours that is being written; a task that was killed may leave it
PRIVATE = ".d"  # likewise, a directory for what only a task needs


class Progress:
    """Tell in the state file, at most once a second, how far a task is."""

    def __init__(self, path: str, total_bytes: int) -> None:
        self._path = path
        self._next = 0.0
        self.done_bytes = 0
        self.total_bytes = total_bytes
        self.trouble = ""

    def tell(self, done_bytes: Optional[int] = None) -> None:
        """Take in how far it is, and write that down if it is time."""
        if done_bytes is not None:
            self.done_bytes = done_bytes
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1
            told = {"done_bytes": self.done_bytes, "total_bytes": self.total_bytes, "trouble": self.trouble}
            write_json(self._path, told)


def read_json(path: str) -> Json:
    """Return what a file of ours holds; one that isn't there holds nothing."""
    try:
        with open(path) as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def write_json(path: str, value: Json) -> None:
    """Write a file of ours."""
    write_text(path, json.dumps(value))


def write_text(path: str, text: str) -> None:
    """Replace a file, mode 0600, so that a reader sees all of the old or all of the new."""
    new = path + NEW
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        os.rename(new, path)
    except OSError:  # the disk is full
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise


def private_directory(path: str) -> str:
    """Make and return a directory beside a file of a unit, for what only its task needs; it goes with the file at the latest."""
    os.makedirs(path + PRIVATE, 0o700, exist_ok=True)
    return path + PRIVATE


def forget(path: str) -> None:
    """Remove a file of ours, and what may be left beside it."""
    shutil.rmtree(path + PRIVATE, ignore_errors=True)
    for there in (path + NEW, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(there)


def names(directory: str) -> List[str]:
    """Return what a directory holds; one that isn't there holds nothing."""
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def verb_write(request: Json) -> Json:
    """Put a file for root alone on this host: its text came over stdin, where no process list shows it. Say whether it is new."""
    path, text = request["path"], request["text"]
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        if file.read() == text:
            return {"changed": False}
    write_text(path, text)
    return {"changed": True}
