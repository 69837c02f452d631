"""The real journal, on the tests' clock, with the seam in its writes."""

from pathlib import Path

from os_migrate.journal import Journal
from tests.fakes.seam import FakeClock, Seam


class TestJournal(Journal):
    """A journal whose every write is an instant at which a test can strike. It is not synced: nobody pulls the plug."""

    __test__ = False

    def __init__(self, path: Path, seam: Seam, clock: FakeClock) -> None:
        self._seam = seam
        super().__init__(path, clock.now)
        self._db.execute("PRAGMA synchronous=OFF")

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        with self._seam.call("journal", sql.split(maxsplit=1)[0].lower()):
            super()._write(sql, values)
