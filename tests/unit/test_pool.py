import heapq
import os
import signal
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_migrate.pool import Queue, Work, at_once


def nothing(_lane: int = 0) -> None:
    pass


class Gauge:
    """Works that say how many run at a time, and in which order they began."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.held = self.most_held = 0
        self.began: list[int] = []
        self._lock = threading.Lock()

    def work(self, number: int, slots: int = 0) -> Work[int]:
        def do(_lane: int) -> int:
            with self._lock:
                self.began.append(number)
                self.running += 1
                self.held += slots
                self.most = max(self.most, self.running)
                self.most_held = max(self.most_held, self.held)
            time.sleep(0.01)
            with self._lock:
                self.running -= 1
                self.held -= slots
            return number

        return Work(do, slots)


@pytest.mark.parametrize("threads", [1, 3, 20])
def test_results_come_in_the_order_of_the_works(threads):
    gauge = Gauge()
    works = [gauge.work(number) for number in range(12)]
    assert at_once(works, threads=threads, lanes=[0], stop=nothing) == list(range(12))
    assert gauge.most <= threads
    assert (gauge.most > 1) is (threads > 1)


def test_works_never_hold_more_slots_than_there_are():
    gauge = Gauge()
    needs = [3, 1, 2, 4, 1, 1, 3, 2]
    works = [gauge.work(number, need) for number, need in enumerate(needs)]
    at_once(works, threads=4, lanes=[4], stop=nothing)
    assert gauge.most_held == 4
    assert gauge.most > 1


def test_work_that_needs_more_than_there_is_runs_alone():
    gauge = Gauge()
    assert at_once([gauge.work(0, 9), gauge.work(1, 1)], threads=2, lanes=[4], stop=nothing) == [0, 1]
    assert gauge.most == 1


def test_error_lets_those_that_run_end_and_no_other_begin():
    ended, both = [], threading.Barrier(2)

    def fail(_lane: int) -> None:
        both.wait(5)
        raise ValueError("first")

    def go_on(_lane: int) -> None:
        both.wait(5)
        time.sleep(0.05)
        ended.append("second")

    with pytest.raises(ValueError, match="first"):
        at_once(
            [Work(fail), Work(go_on), Work(lambda _lane: ended.append("third"))], threads=2, lanes=[0], stop=nothing
        )
    assert ended == ["second"]


def test_ctrl_c_stops_those_that_run_and_begins_no_other():
    stopped, both, ended = threading.Event(), threading.Barrier(2, lambda: os.kill(os.getpid(), signal.SIGINT)), []

    def run(_lane: int) -> None:
        both.wait(5)
        assert stopped.wait(5)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        at_once([Work(run), Work(run), Work(run)], threads=2, lanes=[0], stop=stopped.set)
    assert ended == [True, True]


# Who begins next, and where ----------------------------------------------------------------------------------------------


def queue(slots, *, threads=9, lanes=(4,), fixed=None):
    return Queue([Work(nothing, s, (fixed or {}).get(n)) for n, s in enumerate(slots)], threads, lanes)


def begun(queue):
    """Let all begin that can; return their numbers with their lanes."""
    return list(iter(queue.begin, None))


def test_works_begin_in_their_order_as_long_as_there_is_room():
    assert begun(queue([1, 2, 1, 1])) == [(0, 0), (1, 0), (2, 0)]


def test_each_goes_to_the_lane_with_the_most_room():
    assert begun(queue([3, 1, 1, 2], lanes=[4, 4])) == [(0, 0), (1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("threads", [1, 2])
def test_one_alone_goes_there_too(threads):
    lanes = []
    at_once([Work(lanes.append, 2)], threads=threads, lanes=[1, 3, 2], stop=nothing)
    at_once([Work(lanes.append, 2, 2)], threads=threads, lanes=[1, 3, 2], stop=nothing)
    assert lanes == [1, 2]


def test_one_that_belongs_to_a_lane_waits_for_it_and_is_passed_on_the_others():
    one = queue([4, 2, 1, 3], lanes=[4, 4], fixed={0: 1, 1: 1})
    assert begun(one) == [(0, 1), (2, 0), (3, 0)]
    one.end(0)
    assert begun(one) == [(1, 1)]


def test_one_that_waits_for_much_is_passed_by_those_that_leave_it_its_room():
    one = queue([2, 3, 1, 1], lanes=[4])
    assert begun(one) == [(0, 0), (2, 0)]  # 1 waits; 2 takes what 1 leaves, 3 would take more
    one.end(0)
    assert begun(one) == [(1, 0)]


def test_one_that_needs_a_whole_lane_is_passed_on_the_other_only():
    assert begun(queue([1, 9, 1, 1], lanes=[1, 4], fixed={1: 1, 0: 1})) == [(0, 1), (2, 0)]


def test_lane_that_is_kept_for_one_stays_the_same():
    one = queue([2, 3, 4, 1, 2], lanes=[4, 4])
    assert begun(one) == [(0, 0), (1, 1), (3, 1)]
    one.end(1)
    assert begun(one) == [(4, 1)]  # lane 1 has more room now, but 2 waits for lane 0
    one.end(0)
    assert begun(one) == [(2, 0)]


WORKS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 20), st.sampled_from([None, None, 0, 1])), min_size=1, max_size=30
)


@settings(max_examples=400)
@given(WORKS, st.integers(1, 5), st.lists(st.integers(1, 5), min_size=2, max_size=3))
def test_all_begin_none_gets_too_much_and_a_head_waits_only_for_those_before_it(works, threads, lanes):
    """Play works, each of some slots and a duration, against a clock; `elders` are those that ran when a head found no room."""
    one = Queue([Work(nothing, slots, lane) for slots, _, lane in works], threads, lanes)
    ends: list[tuple[int, int]] = []
    elders: dict[int, set[int]] = {}
    now = 0
    while one.waiting or one.running:
        chosen = True
        while chosen and one.waiting:
            head, ran = one.waiting[0], set(one.running)
            chosen = one.begin()
            if chosen:
                heapq.heappush(ends, (now + works[chosen[0]][1], chosen[0]))
            if one.waiting and one.waiting[0] == head and len(ran) < threads:
                elders.setdefault(head, ran)
        if one.waiting and one.waiting[0] in elders:
            assert elders[one.waiting[0]] & set(one.running), "all have ended that ran when it found no room"
        for lane, slots in enumerate(lanes):
            assert sum(min(works[n][0], slots) for n, at in one.running.items() if at == lane) <= slots
        assert len(one.running) <= threads
        now, number = heapq.heappop(ends)
        one.end(number)
