import os
import signal
import threading
import time

import pytest

from os_migrate.pool import Work, at_once


def nothing() -> None:
    pass


class Gauge:
    """Works that say how many run at a time, and in which order they began."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.held = self.most_held = 0
        self.began: list[int] = []
        self._lock = threading.Lock()

    def work(self, number: int, slots: int = 0) -> Work[int]:
        def do() -> int:
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
    assert at_once(works, threads=threads, slots=0, stop=nothing) == list(range(12))
    assert gauge.most <= threads
    assert (gauge.most > 1) is (threads > 1)


def test_works_never_hold_more_slots_than_there_are_and_begin_in_their_order():
    gauge = Gauge()
    needs = [3, 1, 2, 4, 1, 1, 3, 2]
    works = [gauge.work(number, need) for number, need in enumerate(needs)]
    at_once(works, threads=4, slots=4, stop=nothing)
    assert gauge.most_held == 4
    assert gauge.most > 1
    assert gauge.began == sorted(gauge.began)


def test_work_that_needs_more_than_there_is_runs_alone():
    gauge = Gauge()
    assert at_once([gauge.work(0, 9), gauge.work(1, 1)], threads=2, slots=4, stop=nothing) == [0, 1]
    assert gauge.most == 1


def test_error_lets_those_that_run_end_and_no_other_begin():
    ended, both = [], threading.Barrier(2)

    def fail() -> None:
        both.wait(5)
        raise ValueError("first")

    def go_on() -> None:
        both.wait(5)
        time.sleep(0.05)
        ended.append("second")

    with pytest.raises(ValueError, match="first"):
        at_once([Work(fail), Work(go_on), Work(lambda: ended.append("third"))], threads=2, slots=0, stop=nothing)
    assert ended == ["second"]


def test_ctrl_c_stops_those_that_run_and_begins_no_other():
    stopped, both, ended = threading.Event(), threading.Barrier(2, lambda: os.kill(os.getpid(), signal.SIGINT)), []

    def run() -> None:
        both.wait(5)
        assert stopped.wait(5)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        at_once([Work(run), Work(run), Work(run)], threads=2, slots=0, stop=stopped.set)
    assert ended == [True, True]
