"""Which level of compression is taken."""

import socket

import pytest

from os_migrate_agent import receiving
from os_migrate_agent.files import Progress
from os_migrate_agent.receiving import LinkBroken
from os_migrate_agent.sending import choose

MB = 1e6


def measured(*levels):
    """Return what measures zstd at levels 1, 3, 6, 9: MB compressed a second, and what a byte becomes."""
    table = dict(zip((1, 3, 6, 9), levels, strict=False))
    return lambda level: (table[level][0] * MB, table[level][1])


def test_data_that_does_not_compress_is_sent_as_it_is():
    assert choose(10 * MB, measured((500, 1.0), (400, 1.0), (300, 1.0), (200, 1.0)))[0] == 0


def test_link_that_is_faster_than_zstd_is_not_held_up_by_it():
    assert choose(800 * MB, measured((400, 0.3)))[0] == 0


def test_slow_link_is_worth_a_high_level():
    assert choose(1 * MB, measured((400, 0.5), (200, 0.4), (80, 0.3), (40, 0.2)))[0] == 9


def test_level_that_is_slower_than_the_link_ends_the_search():
    tried = []

    def measure(level):
        tried.append(level)
        return {1: (400 * MB, 0.5), 3: (100 * MB, 0.4)}[level]

    assert choose(60 * MB, measure)[0] == 1
    assert tried == [1, 3]


def test_data_that_the_first_level_cannot_make_smaller_is_not_tried_with_higher_ones():
    tried = []

    def measure(level):
        tried.append(level)
        return 400 * MB, 0.97

    assert choose(60 * MB, measure)[0] == 0
    assert tried == [1]


def test_small_gain_is_not_worth_the_cores():
    assert choose(100 * MB, measured((500, 0.95), (400, 0.94), (300, 0.93), (200, 0.93)))[0] == 0


def test_compression_that_is_wanted_always_has_a_level():
    assert choose(800 * MB, measured((400, 1.0)), always=True)[0] == 1


@pytest.mark.parametrize("always", [False, True])
def test_host_without_zstd_does_not_compress(always):
    assert choose(MB, lambda _: None, always=always) == (0, "the source host has no zstd")


def test_reason_has_the_figures():
    level, reason = choose(12.5 * MB, measured((400, 0.5), (100, 0.4), (20, 0.39)))
    assert level == 3
    assert "12.5 MB/s" in reason
    assert "level 3 makes 0.40 of a byte, 100 MB/s" in reason


def silent(*_):
    here, there = socket.socketpair()
    there.close()
    return here


def late(*_):
    here, there = socket.socketpair()
    here.settimeout(0.01)
    waiting.append(there)
    return here


def gone(*_):
    raise LinkBroken("nobody sends on /run/x.sock")


waiting = []


@pytest.mark.parametrize("ask", [gone, silent, late])
@pytest.mark.parametrize(("compression", "level"), [("auto", 0), ("zstd", 1)])
def test_link_that_breaks_while_zstd_is_measured_ends_no_copy(monkeypatch, tmp_path, ask, compression, level):
    monkeypatch.setattr(receiving.shutil, "which", lambda _: "/usr/bin/zstd")
    monkeypatch.setattr(receiving, "ask", ask)
    much = [(0, receiving.WORTH)]
    receiver = receiving.Receiver("/run/x.sock", compression, 0, much, Progress(str(tmp_path / "state"), 0))
    receiver._choose(1e6)
    assert receiver.level == level
    assert receiver.reason.startswith("what zstd brings could not be measured: ")
