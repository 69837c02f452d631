"""The migrator is killed with SIGKILL at random instants, on two real clouds; so is whatever resumes or undoes what it left.

After each end both clouds hold exactly what they should. A few kills are part of the tests; `make kills` does twenty:

    make kills KILLS=50 SEED=7        the seed is printed, and repeats the choices (not the clouds' pace)
"""

import os
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab import scenario
from lab.scenario import Guest, Shape
from tests.acceptance.operating import Operator

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("SEED") or random.randrange(10**6))

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600 + 400 * KILLS)]

SERVER = Shape("killed at random", "10.0.0.111", data_gib=(1, 1))
FILES_MIB = 48  # long enough a copy to be killed in
COPYING = re.compile(r"step AwaitJob:copy \S+$", re.MULTILINE)
COPY_KILLS = 0.35  # how many of the kills of a migration are to meet the copy


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
    kills: Counter[str] = field(default_factory=Counter)
    logged: int = 0  # characters of the server's log when the last command began

    def go(self) -> None:
        """Migrate, with kills, until the workload comes to an end; check that end, and make all ready for the next."""
        ended = self._run("migrate", kill=True)
        while not ended:
            act = self.dice.choice(["resume", "resume", "rollback", "cleanup"])
            if act == "rollback" and "committed" in self.operator.run("status").out:
                act = "resume"
            ended = self._run(act, kill=self.kills.total() < KILLS and self.dice.random() < 0.4)
        twins = [s for s in self.destination.compute.servers() if s.id not in self.before[1]["servers"]]
        if twins:
            self._check_migrated(twins)
            scenario.delete_servers(self.destination, keep=lambda s: s.id in self.before[1]["servers"])
            self.source.compute.start_server(self.server)
        self._check_as_before()

    def _run(self, act: str, *, kill: bool) -> bool:
        """Run a command, and kill it at a random instant; return whether it came to its end."""
        words = {"migrate": ["migrate", SERVER.name], "cleanup": ["cleanup", "--yes"]}.get(act, [act])
        if act == "cleanup":
            for file in self.operator.data_dir.glob("journal.sqlite*"):
                file.unlink()
            time.sleep(15)  # the hosts notice that the dead migrator's connections are gone
        while_copying = act == "migrate" and self.dice.random() < COPY_KILLS
        delay_s = self.dice.uniform(0, 4.0 if while_copying else self.length_s.get(act, 30.0))
        self.logged += len(self._log())
        began = time.monotonic()
        migrator = subprocess.Popen(
            self.operator.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        due = None if while_copying or not kill else began + delay_s
        while migrator.poll() is None and (due is None or time.monotonic() < due):
            time.sleep(0.05)
            if kill and due is None and COPYING.search(self._log()):
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
            self.kills[f"{act} while it copied" if COPYING.search(self._log()) else act] += 1
            print(f"{act}: killed after {spent_s:.1f} s: {last[0]}")
        return ended

    def _log(self) -> str:
        """Return what was logged since the command began."""
        (log,) = list((self.operator.data_dir / "workload_logs").glob("*random*.log")) or [None]
        return log.read_text()[self.logged :] if log else ""

    def _check_migrated(self, twins: list[Any]) -> None:
        (twin,) = twins
        assert twin.status == "ACTIVE"
        assert self.source.compute.get_server(self.server.id).status == "SHUTOFF"
        grown = {kind: ids - self.before[1][kind] for kind, ids in scenario.holdings(self.destination).items()}
        copies = {v.volume_id for v in self.destination.compute.volume_attachments(twin.id)}
        assert {kind: len(ids) for kind, ids in grown.items() if ids} in (
            {"servers": 1, "volumes": 2, "ports": 1, "floating IPs": 1},
            {
                "servers": 1,
                "volumes": 2,
                "ports": 1,
            },  # a cleanup that finishes doesn't know which floating IPs were wished
        )
        assert grown["volumes"] == copies
        if grown["floating IPs"]:
            guest = scenario.guest_of(self.destination, twin)
            guest.await_ssh()
            volumes = [
                v.volume_id
                for v in sorted(self.destination.compute.volume_attachments(twin.id), key=lambda v: v.device)
            ]
            assert [scenario.read_files(guest, scenario.disk_of(guest, v)) for v in volumes] == list(
                self.files.values()
            )

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
    print("\n".join(f"{count:4} kills of {what}" for what, count in sorted(harness.kills.items())))
