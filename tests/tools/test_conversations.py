"""Several conversations with the agent at a time, and who holds an attempt."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from os_migrate.hosts.archive import AGENT_PATH
from os_migrate.hosts.remote import CONVERSATIONS, RemoteHost
from os_migrate.model import ServerId
from os_migrate.nbd import RUN_DIR, HostedAttempt, ScanJob
from os_migrate.ssh import Ssh

from .conftest import shaped


@pytest.fixture
def another(source):
    """Open the source host once more, as another migrator does."""
    opened: list[RemoteHost] = []

    def open_host() -> RemoteHost:
        opened.append(RemoteHost("source", ServerId("source"), Ssh(source.target)))
        return opened[-1]

    yield open_host
    for host in opened:
        host.close()


def at_once(act: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(CONVERSATIONS)

    def go(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(CONVERSATIONS) as pool:
        return list(pool.map(go, range(CONVERSATIONS)))


def test_all_who_find_no_agent_at_once_put_it_there(source, another):
    source.root("rm", "-f", AGENT_PATH)
    hosts = [another() for _ in range(CONVERSATIONS)]
    assert at_once(lambda number: hosts[number].state("os-migrate-none").status) == ["absent"] * CONVERSATIONS
    assert source.root("ls", RUN_DIR).split().count(AGENT_PATH.rpartition("/")[2]) == 1
    assert "new" not in source.root("ls", RUN_DIR)


def test_attempts_are_told_with_their_units(source, attempt):
    job = ScanJob(attempt, source.add_disk(shaped("d")))
    source.host.start(job)
    assert [a for a in source.host.attempts() if a.attempt == attempt] == [HostedAttempt(attempt, (job.unit,))]
    source.host.stop(job.unit)
    assert [a for a in source.host.attempts() if a.attempt == attempt] == []


def test_attempt_is_held_until_its_migrator_ends(source, another, attempt):
    migrator = another()
    migrator.hold(attempt)
    migrator.hold(attempt)
    assert HostedAttempt(attempt, held=True) in source.host.attempts()
    migrator.close()
    assert attempt not in [a.attempt for a in eventually(source, attempt)]
    assert source.root("ls", f"{RUN_DIR}/held") == ""


def test_attempt_is_held_again_after_the_connection_broke(source, another, attempt):
    migrator = another()
    migrator.hold(attempt)
    source.root("pkill", "-f", "agent-.* talk")
    assert attempt not in [a.attempt for a in eventually(source, attempt)]
    migrator.state("os-migrate-none")
    assert HostedAttempt(attempt, held=True) in source.host.attempts()


def eventually(source, attempt) -> list[HostedAttempt]:
    """Ask until the attempt isn't held, for ten seconds: the far end of a broken connection takes a moment to end."""
    deadline = time.monotonic() + 10
    while True:
        found = list(source.host.attempts())
        if attempt not in [a.attempt for a in found if a.held] or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
