"""The real journal, on the tests' clock, with the seam in its writes."""

from dataclasses import dataclass, replace
from pathlib import Path

from os_migrate.journal import Journal
from tests.fakes.seam import FakeClock, Seam


@dataclass(frozen=True)
class Written:
    """What was written, and whether it was on disk when the journal said so."""

    sql: str
    values: tuple[object, ...]
    synced: bool


class TestJournal(Journal):
    """A journal whose every write is an instant at which a test can strike. It is not synced; `log` says what would have been."""

    __test__ = False

    def __init__(self, path: Path, seam: Seam, clock: FakeClock, log: list[Written] | None = None) -> None:
        self._seam = seam
        self.log = [] if log is None else log
        super().__init__(path, clock.now)
        self._db.execute("PRAGMA synchronous=OFF")

    def _write(self, sql: str, values: tuple[object, ...], *, synced: bool = True) -> None:
        with self._seam.call("journal", sql.split(maxsplit=1)[0].lower()):
            super()._write(sql, values, synced=synced)
            self.log.append(Written(sql, values, synced))

    def sync(self) -> None:
        with self._seam.call("journal", "sync", mutates=False):
            if self.log:
                self.log[-1] = replace(self.log[-1], synced=True)

    def _sync_from_now_on(self, *, on: bool) -> None:
        """Don't."""


def lose_power(path: Path, log: list[Written]) -> None:
    """Leave in a journal, and in its log, only what had to be on disk: all up to the last write that was synced."""
    last = max((number for number, written in enumerate(log) if written.synced), default=-1)
    del log[last + 1 :]
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    journal = Journal(path)
    for written in log:
        journal._db.execute(written.sql, written.values)
    journal.close()
