"""The migrator is killed with SIGKILL at random instants, on two real clouds; so is whatever resumes or undoes what it left.

The first kill meets a copy that is seen to move, the others whatever is going on. After each end both clouds hold exactly
what they should. A few kills are part of the tests; `make kills` does twenty:

    make kills KILLS=50 SEED=7        the seed is printed, and repeats the choices (not the clouds' pace)
"""

import json
import os
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import scenario
from lab.console import table
from lab.scenario import Guest, Shape
from tests.acceptance.operating import Operator

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("SEED") or random.randrange(10**6))

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600 + 400 * KILLS)]

SERVER = Shape("killed at random", "10.0.0.111", data_gib=(1, 1))
FILES_MIB = 48  # long enough a copy to be killed in
COPY = re.compile(r"step AwaitJob:copy \S+(.*)")  # nothing follows where it begins
STAGE = re.compile(r"Z stage (.+?)(?: took|$)", re.MULTILINE)
COPYING = "copying"
COPY_KILLS = 0.35  # how many of the kills of a migration are to meet the copy, after the first


@dataclass
class Harness:
    """A server that is migrated again and again, and who kills its migrator."""

    operator: Operator
    source: Any
    destination: Any
    server: Any
    guest: Guest
    files: dict[str, str]
    before: tuple[scenario.Holdings, scenario.Holdings]
    dice: random.Random
    length_s: dict[str, float] = field(default_factory=lambda: {"migrate": 60.0})
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)  # by command, and by what went on
    logged: int = 0  # characters of the server's log when the last command began

    def go(self) -> None:
        """Migrate, with kills, until the workload comes to an end; check that end, and make all ready for the next."""
        act = "migrate"
        ended = self._run(act, kill=True)
        while not ended:
            if act != "cleanup":  # after which there is no journal any more for the others
                act = self.dice.choice(["resume", "resume", "rollback", "cleanup"])
            if act == "rollback" and "committed" in self.operator.run("status").out:
                act = "resume"
            ended = self._run(act, kill=self.kills.total() < KILLS and self.dice.random() < 0.4)
        twins = [s for s in self.destination.compute.servers() if s.id not in self.before[1]["servers"]]
        if twins:
            self._check_migrated(twins, ended_by=act)
            scenario.delete_servers(self.destination, keep=lambda s: s.id in self.before[1]["servers"])
            self.source.compute.start_server(self.server)
        self._check_as_before()

    @property
    def copies_struck(self) -> int:
        return sum(count for (_, phase), count in self.kills.items() if phase == COPYING)

    def _run(self, act: str, *, kill: bool) -> bool:
        """Run a command, and kill it at an instant that chance or the copy chooses; return whether it came to its end."""
        words = {"migrate": ["migrate", SERVER.name], "cleanup": ["cleanup", "--yes"]}.get(act, [act])
        if act == "cleanup":
            for file in self.operator.data_dir.glob("journal.sqlite*"):
                file.unlink()
            time.sleep(15)  # the hosts notice that the dead migrator's connections are gone
        first = not self.copies_struck
        while_copying = act == "migrate" and (first or self.dice.random() < COPY_KILLS)
        longest_s = 4.0 if while_copying else self.length_s.get(act, 30.0)
        delay_s = 0.0 if while_copying and first else self.dice.uniform(0, longest_s)
        self.logged += len(self._log())
        for file in self._files("state"):
            file.unlink()
        began = time.monotonic()
        migrator = subprocess.Popen(
            self.operator.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        due = None if while_copying or not kill else began + delay_s
        while migrator.poll() is None and (due is None or time.monotonic() < due):
            time.sleep(0.05)
            if kill and due is None and self._copy_moves():
                due = time.monotonic() + delay_s
        ended = migrator.poll() is not None
        migrator.kill()
        said, _ = migrator.communicate()
        spent_s = time.monotonic() - began
        if ended:
            self.length_s[act] = spent_s
            print(f"{act}: ended with {migrator.returncode} after {spent_s:.1f} s\n{said[-3000:]}")
            assert migrator.returncode == 0, said
        else:
            last = self._log().splitlines()[-1:] or ["nothing was logged yet"]
            self.kills[act, self._phase()] += 1
            print(f"{act}: killed after {spent_s:.1f} s, {self._phase()}: {last[0]}")
        return ended

    def _files(self, kind: str) -> list[Path]:
        return list((self.operator.data_dir / "workload_logs").glob(f"killed_at_random*.{kind}"))

    def _log(self) -> str:
        """Return what was logged since the command began."""
        return "".join(file.read_text() for file in self._files("log"))[self.logged :]

    def _phase(self) -> str:
        """Say what the command is about, by its log."""
        copies = COPY.findall(self._log())
        if copies and not copies[-1]:
            return COPYING
        stages = STAGE.findall(self._log())
        return stages[-1] if stages else "before its first stage"

    def _copy_moves(self) -> bool:
        """Say whether a copy is going on and has told progress."""
        percents = [p for file in self._files("state") for p in json.loads(file.read_text()).values()]
        return any(percents) and self._phase() == COPYING

    def _check_migrated(self, twins: list[Any], ended_by: str) -> None:
        (twin,) = twins
        assert twin.status == "ACTIVE"
        assert self.source.compute.get_server(self.server.id).status == "SHUTOFF"
        grown = {kind: ids - self.before[1][kind] for kind, ids in scenario.holdings(self.destination).items()}
        copies = sorted(self.destination.compute.volume_attachments(twin.id), key=lambda v: v.device)
        counts = {kind: len(ids) for kind, ids in grown.items() if ids}
        if ended_by == "cleanup" and "floating IPs" not in counts:  # it doesn't know which floating IPs were wished
            scenario.add_floating_ip(self.destination, twin)  # for the look inside
            counts["floating IPs"] = 1
        assert counts == {"servers": 1, "volumes": 2, "ports": 1, "floating IPs": 1}
        assert grown["volumes"] == {v.volume_id for v in copies}
        guest = scenario.guest_of(self.destination, twin)
        guest.await_ssh()
        found = [scenario.read_files(guest, scenario.disk_of(guest, v.volume_id)) for v in copies]
        assert found == list(self.files.values())

    def _check_as_before(self) -> None:
        """Check the source server and its disks, and that nothing of ours is left anywhere."""
        assert "Nothing is left." in self.operator.must("cleanup", "--dry-run").out
        assert (scenario.holdings(self.source), scenario.holdings(self.destination)) == self.before
        server = scenario.wait_for(
            "the server to run", lambda: (s := self.source.compute.get_server(self.server.id)).status == "ACTIVE" and s
        )
        attached = sorted(self.source.compute.volume_attachments(server.id), key=lambda v: v.device)
        assert [v.volume_id for v in attached] == list(self.files)
        marks = [server.metadata, *(self.source.block_storage.get_volume(v).metadata for v in self.files)]
        assert not [key for mark in marks for key in mark if key.startswith("os_migrate")]
        self.guest.await_ssh()
        for volume_id, files in self.files.items():
            assert scenario.read_files(self.guest, scenario.disk_of(self.guest, volume_id)) == files


@pytest.fixture
def harness(operator: Operator, source: Any, destination: Any) -> Iterator[Harness]:
    print(f"seed {SEED}")
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    attached = sorted(source.compute.volume_attachments(server.id), key=lambda v: v.device)
    files = {
        v.volume_id: scenario.write_files(guest, scenario.disk_of(guest, v.volume_id), FILES_MIB) for v in attached
    }
    before = scenario.holdings(source), scenario.holdings(destination)
    operator.must("export", "workloads", "--filter", SERVER.name)
    yield Harness(operator, source, destination, server, guest, files, before, random.Random(SEED))
    scenario.delete_servers(source, keep=lambda s: s.id in before[0]["servers"] and s.id != server.id)


def test_whatever_is_killed_both_clouds_hold_what_they_should(harness: Harness) -> None:
    while harness.kills.total() < KILLS:
        harness.go()
    rows = [(act, phase, str(count)) for (act, phase), count in sorted(harness.kills.items())]
    print(table([("killed", "while", "kills"), *rows, ("", "", str(harness.kills.total()))], right_align=[2]))
    assert harness.copies_struck
