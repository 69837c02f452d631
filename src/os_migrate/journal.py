"""The journal: what every attempt was about to do and has done, in SQLite, durable before the deed.

    attempt   one try to migrate one workload, or one detached volume. A failed attempt is undone, never continued; a retry is a new one.
        running ──> committed ──> migrated        committed: the twin runs, what remains is cleaning up
           └──> (failed ──>) rolling back ──> rolled back      failed: left as it is, on the operator's wish
    step      started ──> made (its handle is known) ──> done (whole) ──> undone

Others can read it while a migration runs. Nothing is lost when the process dies. When the machine does, no more is lost than a death a
moment earlier would have left unwritten: what is about to act is on disk before it acts (WAL, synchronous=FULL), with all that was
recorded before; what has acted is not waited for, since it would be found again (WAL, synchronous=NORMAL).
https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from cattrs.preconf.json import make_converter
from cattrs.strategies import configure_tagged_union

from os_migrate.errors import JournalFailed, UserError
from os_migrate.model import NO_VOLUME, AttemptId, ServerId, VolumeId
from os_migrate.nbd import Job, JobResult
from os_migrate.step import STEPS, Reading, Step

SCHEMA_VERSION = 3

SCHEMA = """
CREATE TABLE attempts (
    id TEXT PRIMARY KEY, server_id TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', started REAL NOT NULL, ended REAL,
    destination TEXT NOT NULL DEFAULT '', volume_id TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE steps (
    attempt TEXT NOT NULL REFERENCES attempts (id), number INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
    fields TEXT NOT NULL, state TEXT NOT NULL, result TEXT, error TEXT NOT NULL DEFAULT '',
    started REAL NOT NULL, tried REAL NOT NULL, ended REAL,
    PRIMARY KEY (attempt, key)
) STRICT;
CREATE TABLE stages (
    attempt TEXT NOT NULL REFERENCES attempts (id), name TEXT NOT NULL, seconds REAL NOT NULL
) STRICT;
"""

FROM_VERSION_2 = "ALTER TABLE attempts ADD COLUMN volume_id TEXT NOT NULL DEFAULT '';"
FROM_VERSION_1 = f"ALTER TABLE attempts ADD COLUMN destination TEXT NOT NULL DEFAULT ''; {FROM_VERSION_2}"
UPGRADES = {0: SCHEMA, 1: FROM_VERSION_1, 2: FROM_VERSION_2}

_codec = make_converter()
_codec.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
configure_tagged_union(Job, _codec)
configure_tagged_union(JobResult, _codec)


class AttemptState(StrEnum):
    """Where an attempt is."""

    RUNNING = "running"
    COMMITTED = "committed"
    MIGRATED = "migrated"
    FAILED = "failed"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"

    @property
    def final(self) -> bool:
        """Say whether nothing is left to do."""
        return self in {AttemptState.MIGRATED, AttemptState.ROLLED_BACK}


class StepState(StrEnum):
    """Where a step is."""

    STARTED = "started"
    MADE = "made"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True)
class Attempt:
    """One try to migrate one workload, or one detached volume; the other id is "". Times are seconds since the epoch.

    `destination` is the project it migrates into; "" if it began when that wasn't recorded yet.
    """

    id: AttemptId
    server_id: ServerId
    name: str
    state: AttemptState
    stage: str
    error: str
    started: float
    ended: float | None
    destination: str = ""
    volume_id: VolumeId = NO_VOLUME

    @property
    def subject_id(self) -> str:
        """Return the id in the source of what is migrated."""
        return self.volume_id or self.server_id


@dataclass(frozen=True)
class StepRecord:
    """What the journal knows of a step; `result` is None until the step's handle is known, `tried` the time of the last try."""

    step: Step[Any]
    state: StepState
    result: Any | None
    error: str
    started: float
    tried: float
    ended: float | None


@dataclass
class _Write:
    """What a thread wants written."""

    sql: str
    values: tuple[object, ...]
    synced: bool
    written: bool = False
    error: sqlite3.Error | None = None


class Journal:
    """Read and write the journal; safe for several threads, and for readers in other processes."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        path.touch(mode=0o600)
        self._path = path
        self._now = now
        self._lock = threading.RLock()
        self._waiting: deque[_Write] = deque()
        self._syncs = False
        with self._told():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._sync_from_now_on(on=True)
            self._db.execute("PRAGMA foreign_keys=ON")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version in UPGRADES:
                self._db.executescript(f"BEGIN; {UPGRADES[version]} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        if version not in {*UPGRADES, SCHEMA_VERSION}:
            raise UserError(
                f"{path} was written by another version of OS Migrate (schema {version}, ours is {SCHEMA_VERSION})",
                remedy="finish or roll back what is open with that version, then move the file away",
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Attempts ------------------------------------------------------------------------------------------------------
    def begin(
        self,
        server_id: ServerId,
        name: str,
        attempt: AttemptId | None = None,
        *,
        destination: str = "",
        volume_id: VolumeId = NO_VOLUME,
    ) -> Attempt:
        """Open an attempt: a new one, or one that was begun elsewhere; that of a detached volume has no server."""
        attempt = attempt or AttemptId(secrets.token_hex(5))
        self._write(
            "INSERT INTO attempts (id, server_id, name, state, started, destination, volume_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (attempt, server_id, name, AttemptState.RUNNING, self._now(), destination, volume_id),
        )
        return self.attempt(attempt)

    def attempt(self, attempt: AttemptId) -> Attempt:
        """Return an attempt as it stands now."""
        found = self._attempts("WHERE id = ?", (attempt,))
        if not found:
            raise UserError(f"no attempt {attempt!r} in the journal", remedy="`os-migrate status` lists them")
        return found[0]

    def attempts(self, subject_id: str | None = None) -> list[Attempt]:
        """Return all attempts, or those of one server or detached volume, oldest first."""
        if subject_id is None:
            return self._attempts("", ())
        return self._attempts("WHERE ? IN (server_id, volume_id)", (subject_id,))

    def unfinished(self) -> list[Attempt]:
        """Return the attempts that are in no final state, oldest first."""
        return [a for a in self.attempts() if not a.state.final]

    def set_state(self, attempt: AttemptId, state: AttemptState, error: str | None = None) -> None:
        """Move an attempt to a state; `error` replaces what was recorded, None leaves it."""
        self._write(
            "UPDATE attempts SET state = ?, error = coalesce(?, error), ended = ? WHERE id = ?",
            (state, error, self._now() if state.final else None, attempt),
        )

    def enter_stage(self, attempt: AttemptId, stage: str) -> None:
        """Record which stage an attempt is in."""
        self._write("UPDATE attempts SET stage = ? WHERE id = ?", (stage, attempt), synced=False)

    def leave_stage(self, attempt: AttemptId, stage: str, seconds: float) -> None:
        """Record how long a stage took."""
        self._write(
            "INSERT INTO stages (attempt, name, seconds) VALUES (?, ?, ?)", (attempt, stage, seconds), synced=False
        )

    def stage_seconds(self, attempt: AttemptId) -> dict[str, float]:
        """Return how long each stage took, over all runs of an attempt, in order."""
        sql = "SELECT name, sum(seconds) FROM stages WHERE attempt = ? GROUP BY name ORDER BY min(rowid)"
        with self._lock:
            return dict(self._db.execute(sql, (attempt,)).fetchall())

    def _attempts(self, where: str, values: tuple[str, ...]) -> list[Attempt]:
        names = "id, server_id, name, state, stage, error, started, ended, destination, volume_id"
        sql = f"SELECT {names} FROM attempts {where} ORDER BY rowid"  # noqa: S608 (our own text)
        with self._lock:
            rows = self._db.execute(sql, values).fetchall()
        return [Attempt(AttemptId(r[0]), ServerId(r[1]), r[2], AttemptState(r[3]), *r[4:]) for r in rows]

    # Steps ---------------------------------------------------------------------------------------------------------
    def start(self, attempt: AttemptId, step: Step[Any]) -> None:
        """Record that a step is about to act, for the first time or again. What only reads may be read again."""
        now = self._now()
        self._write(
            "INSERT INTO steps (attempt, number, key, kind, fields, state, started, tried) VALUES"
            " (?, (SELECT count(*) FROM steps WHERE attempt = ?), ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (attempt, key) DO UPDATE SET tried = excluded.tried",
            (attempt, attempt, step.key, type(step).__name__, _dump_step(step), StepState.STARTED, now, now),
            synced=not isinstance(step, Reading),
        )

    def record(self, attempt: AttemptId, step: Step[Any], state: StepState, result: object | None = None) -> None:
        """Record how far a step is; a `result` once known is kept."""
        dumped = None if result is None else json.dumps(_codec.unstructure(result, unstructure_as=step.result_type))
        self._write(
            "UPDATE steps SET state = ?, result = coalesce(?, result), error = '', ended = ? WHERE attempt = ? AND key = ?",
            (state, dumped, self._now(), attempt, step.key),
            synced=False,
        )

    def fail(self, attempt: AttemptId, step: Step[Any], error: str) -> None:
        """Record the error of a step or of its undo; its state stays."""
        self._write(
            "UPDATE steps SET error = ? WHERE attempt = ? AND key = ?", (error, attempt, step.key), synced=False
        )

    def sync(self) -> None:
        """Bring on disk what was recorded so far: before an undo, which is not recorded before it acts.

        A write that changes nothing would not do: SQLite leaves it out, and with it the sync.
        """
        try:
            wal = os.open(f"{self._path}-wal", os.O_RDONLY)
        except FileNotFoundError:  # nothing was recorded since it was last put into the database
            return
        try:
            os.fsync(wal)
        except OSError as error:
            raise self._failed(error) from None
        finally:
            os.close(wal)

    def step(self, attempt: AttemptId, key: str) -> StepRecord | None:
        """Return what is known of a step."""
        found = self._steps("attempt = ? AND key = ?", (attempt, key))
        return found[0] if found else None

    def steps(self, attempt: AttemptId) -> list[StepRecord]:
        """Return the steps of an attempt in the order in which they began."""
        return self._steps("attempt = ?", (attempt,))

    def _steps(self, where: str, values: tuple[str, ...]) -> list[StepRecord]:
        sql = (
            f"SELECT kind, fields, state, result, error, started, tried, ended FROM steps WHERE {where} ORDER BY number"  # noqa: S608 (our own text)
        )
        with self._lock:
            rows = self._db.execute(sql, values).fetchall()
        return [_load_step(*row) for row in rows]

    def _write(self, sql: str, values: tuple[object, ...], *, synced: bool = True) -> None:
        """Write, and return when that is on disk, if `synced`. Who comes while the disk is at work is written with all who wait then."""
        mine = _Write(sql, values, synced)
        self._waiting.append(mine)
        with self._lock:
            if not mine.written:
                self._commit_all()
        with self._told():
            if mine.error is not None:
                raise mine.error

    def _commit_all(self) -> None:
        writes = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._commit(writes)
        except BaseException:  # a Ctrl-C: the others' are not lost with this thread
            self._waiting.extendleft(write for write in reversed(writes) if not write.written)
            raise

    def _commit(self, writes: Sequence["_Write"]) -> None:
        """Write all in one transaction; where one fails, each in its own, so that it is nobody else's error."""
        try:
            self._sync_from_now_on(on=any(write.synced for write in writes))
            if len(writes) == 1:
                self._db.execute(writes[0].sql, writes[0].values)
            else:
                self._together(writes)
        except sqlite3.Error as error:
            if len(writes) == 1:
                writes[0].error = error
            else:
                for write in writes:
                    self._commit([write])
        for write in writes:
            write.written = True

    def _sync_from_now_on(self, *, on: bool) -> None:
        """Let later transactions end when they are on disk, with all before them, or when the system has them."""
        if on != self._syncs:
            self._db.execute(f"PRAGMA synchronous={'FULL' if on else 'NORMAL'}")
            self._syncs = on

    def _together(self, writes: Sequence["_Write"]) -> None:
        self._db.execute("BEGIN")
        try:
            for write in writes:
                self._db.execute(write.sql, write.values)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn an error of SQLite's into one of ours: a full or broken disk, or a file that is no journal."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> JournalFailed:
        return JournalFailed(
            f"can't use the journal {self._path}: {error}",
            remedy="mend what is wrong with its disk; then `os-migrate resume` goes on",
        )


def same_in_journal(one: Step[Any], other: Step[Any]) -> bool:
    """Say whether two steps are one to the journal, which does not keep their specs."""
    return one.key == other.key and _dump_step(one) == _dump_step(other)


@cache
def _types(kind: str) -> dict[str, Any]:
    return get_type_hints(STEPS[kind])


def _dump_step(step: Step[Any]) -> str:
    kept = [f.name for f in fields(step) if f.metadata.get("journal", True)]
    types = _types(type(step).__name__)
    return json.dumps({name: _codec.unstructure(getattr(step, name), unstructure_as=types[name]) for name in kept})


def _load_step(
    kind: str, text: str, state: str, result: str | None, error: str, started: float, tried: float, ended: float | None
) -> StepRecord:
    cls = STEPS[kind]
    types = _types(kind)
    step = cls(**{name: _codec.structure(value, types[name]) for name, value in json.loads(text).items()})
    loaded = None if result is None else _codec.structure(json.loads(result), cls.result_type)
    return StepRecord(step, StepState(state), loaded, error, started, tried, ended)
