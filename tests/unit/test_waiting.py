"""Waits of many threads for one kind of resource share their looks."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from os_migrate.cloud.waiting import LONGEST_PAUSE_S, MANY, Sights, wait_to_see
from os_migrate.errors import CloudError, CloudUnavailable, NotFound
from tests.fakes.seam import FakeClock, QuickClock, Seam

FACTOR = 50


class Things:
    """Resources that become ready at a time of the clock, and the calls that were made for them."""

    def __init__(self, clock, **ready_at):
        self.clock, self.ready_at = clock, ready_at
        self.calls = Counter()
        self.lists_nothing_of = set()
        self.list_errors = []
        self.bad = {}
        self.sights = Sights(self.read, self.list_all)
        self.beside = ExitStack()
        self._lock = threading.Lock()

    def read(self, key):
        with self._lock:
            self.calls["read"] += 1
        if key not in self.ready_at:
            raise NotFound(f"no {key}")
        return self.bad.get(key) or self._state(key)

    def list_all(self):
        with self._lock:
            self.calls["list"] += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        return {key: self._state(key) for key in list(self.ready_at) if key not in self.lists_nothing_of}

    def _state(self, key):
        return "ready" if self.clock.now() >= self.ready_at[key] else "coming"

    def wait(self, key, judge=None, timeout_s=100.0):
        def ready(see):
            return True if see() == "ready" else None

        what = f"{key} is ready"
        return wait_to_see(self.sights, key, judge or ready, what=what, timeout_s=timeout_s, clock=self.clock)


def quick_things(count, seconds):
    clock = QuickClock(Seam(), FACTOR)
    return Things(clock, **{f"t{n}": clock.now() + seconds for n in range(count)})


def wait_for_all(things):
    with ThreadPoolExecutor(len(things.ready_at)) as threads:
        return [f.result() for f in [threads.submit(things.wait, key) for key in things.ready_at]]


def test_one_that_waits_alone_reads_its_own():
    clock = FakeClock()
    things = Things(clock, a=clock.now() + 60)
    assert things.wait("a")
    assert things.calls["list"] == 0
    assert things.calls["read"] < 20


def test_many_that_wait_share_their_lists():
    things = quick_things(40, seconds=30)
    began = things.clock.now()
    wait_for_all(things)
    took = things.clock.now() - began
    assert things.calls["read"] <= 40 + MANY * 5
    assert things.calls["list"] <= took / 0.5
    assert took <= 30 + LONGEST_PAUSE_S + FACTOR * 2  # the machine may have two seconds for others


def test_few_that_wait_do_without_lists():
    things = quick_things(MANY - 1, seconds=10)
    wait_for_all(things)
    assert things.calls["list"] == 0


def sight(things, others=MANY):
    """Return a sight that has looked once, beside so many others."""
    for key in ["others"] * others:
        things.beside.enter_context(things.sights.of(key, things.clock))
    one = things.beside.enter_context(things.sights.of("a", things.clock))
    one.see()
    return one


def test_list_that_was_begun_before_the_last_look_is_never_shown():
    clock = FakeClock()
    things = Things(clock, a=clock.now())
    one = sight(things)
    assert one.see() == "ready"
    assert things.calls["list"] == 1
    things.ready_at["a"] += 100
    one.see_closely()
    assert one.see() == "coming"
    assert things.calls["list"] == 2


def test_list_that_another_made_since_the_last_look_is_taken():
    clock = FakeClock()
    things = Things(clock, a=clock.now())
    one, two = sight(things), sight(things)
    two.see()
    began = clock.now()
    one.sleep(LONGEST_PAUSE_S)
    assert clock.now() - began < 1
    assert one.see() == "ready"
    assert things.calls["list"] == 1


def test_what_a_list_lacks_is_read_by_itself():
    clock = FakeClock()
    things = Things(clock, a=clock.now())
    one = sight(things)
    things.lists_nothing_of = {"a"}
    assert one.see() == "ready"
    del things.ready_at["a"]
    with pytest.raises(NotFound):
        one.see()


@pytest.mark.parametrize("error", [CloudUnavailable("busy"), CloudError("forbidden")], ids=["busy", "forbidden"])
def test_list_that_fails_keeps_nobody_waiting_for_ever(error):
    things = quick_things(10, seconds=5)
    things.list_errors = [error] * 3
    assert all(wait_for_all(things))


def test_error_that_a_list_shows_is_told_as_the_resource_itself_tells_it():
    clock = FakeClock()
    things = Things(clock, a=clock.now() + 2)
    sight(things)

    def judge(see):
        if (state := see()) != "coming":
            things.bad["a"] = "ready, and it says why"
            raise CloudError(state)

    with pytest.raises(CloudError, match="and it says why"):
        things.wait("a", judge)


def test_time_runs_out_beside_others_too():
    clock = FakeClock()
    things = Things(clock, a=clock.now() + 1000)
    sight(things)
    with pytest.raises(CloudError, match="a is ready: not within 60 s"):
        things.wait("a", timeout_s=60)


def test_ctrl_c_ends_the_waits_of_all():
    things = quick_things(5, seconds=5000)

    def interrupted(key):
        with pytest.raises(KeyboardInterrupt):
            things.wait(key, timeout_s=10000)

    with ThreadPoolExecutor(5) as threads:
        waits = [threads.submit(interrupted, key) for key in things.ready_at]
        time.sleep(0.05)
        things.clock.stop()
        for wait in waits:
            wait.result(timeout=5)
