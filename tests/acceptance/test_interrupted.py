"""The migrator dies in the middle of a copy on two real clouds; what it left is undone, or finished."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from lab import scenario
from lab.scenario import Shape
from tests.acceptance.operating import Operator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

SERVER = Shape("killed", "10.0.0.110", data_gib=(1,))


def kill_while(operator: Operator, is_time: Callable[[str], bool]) -> None:
    """Start a migration, and kill it with SIGKILL when its log says that it is time."""
    log = operator.data_dir / "workload_logs" / f"{SERVER.name}.log"
    log.unlink(missing_ok=True)
    migrator = subprocess.Popen(operator.command("migrate", SERVER.name), stdout=subprocess.DEVNULL)

    def is_due() -> bool:
        assert migrator.poll() is None, "it ended before it could be killed"
        return log.exists() and is_time(log.read_text())

    try:
        scenario.wait_for("the moment to kill it", is_due, 300)
    finally:
        migrator.kill()
        migrator.wait()


def test_killed_migration_is_rolled_back_then_another_is_resumed(
    operator: Operator, source: Any, destination: Any
) -> None:
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    (disk,) = scenario.data_disks(guest)
    files = scenario.write_files(guest, disk, 8)
    before = scenario.holdings(source), scenario.holdings(destination)
    operator.must("export", "workloads", "--filter", SERVER.name)

    kill_while(operator, lambda log: "step AwaitJob:copy" in log)
    exported = operator.run("export", "workloads", "--filter", SERVER.name)
    assert exported.exit_code == 2
    assert "unfinished" in exported.err
    assert operator.run("migrate", SERVER.name).exit_code == 2
    operator.must("rollback", SERVER.name)
    assert (scenario.holdings(source), scenario.holdings(destination)) == before
    assert source.compute.get_server(server.id).status == "ACTIVE"
    guest.await_ssh()
    assert scenario.read_files(guest, disk) == files

    kill_while(operator, lambda log: "step StartJob:copy /dev/vdb done" in log)
    done = operator.must("--json", "resume", SERVER.name)
    assert done.results[SERVER.name]["result"] == "migrated"
    twin = destination.compute.get_server(done.results[SERVER.name]["report"]["destination_server_id"])
    guest = scenario.guest_of(destination, twin)
    guest.await_ssh()
    assert scenario.read_files(guest, scenario.data_disks(guest)[0]) == files
    assert scenario.holdings(source) == before[0]
    assert source.compute.get_server(server.id).status == "SHUTOFF"
