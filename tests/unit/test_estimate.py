"""How long a run takes: on figures that can be reckoned in the head."""

from dataclasses import replace

import pytest

from os_migrate.model import GIB
from os_migrate.plan.estimate import (
    BUILD_S,
    DISK_S,
    LINK_SHARE,
    READ_BYTES_S,
    STOP_S,
    TAIL_S,
    Basis,
    Disk,
    Job,
    Past,
    basis,
    likely_bytes,
    times,
)

MBIT = 1_000_000 / 8
PLAIN = Basis(link_bytes_s=100.0, pair_bytes_s=None, share=None, before_s=10.0, after_s=5.0, tail_s=3.0, lines=())
"""A link of 100 bytes a second; ten seconds before each copy, five after it, three to clean up."""

PAST = Past(
    size_bytes=4 * GIB,
    data_bytes=GIB,
    copy_s=8.0,
    before_s=30 + GIB / READ_BYTES_S,
    after_s=20 + GIB / READ_BYTES_S,
    tail_s=7.0,
)


def job(size: int, slots: int = 1, data: int | None = None, *, runs: bool = False) -> Job:
    return Job((Disk(size, data),), slots, runs)


def reckoned(jobs, plain=PLAIN, *, threads=4, lanes=(8,), full=False):
    found = times(jobs, plain, threads=threads, lanes=lanes, proof=False, full=full)
    return [(round(t.begin_s, 3), round(t.twin_s, 3), round(t.end_s, 3)) for t in found]


def test_downtime_ends_when_the_twin_runs_and_the_migration_after_the_clean_up():
    (when,) = times([job(1000)], PLAIN, threads=1, lanes=[1], proof=False, full=False)
    assert (when.begin_s, when.downtime_s, when.end_s) == pytest.approx((0, 10 + 10 + 5, 28))


def test_one_thread_migrates_one_after_the_other():
    assert reckoned([job(1000), job(500)], threads=1) == [(0, 25, 28), (28, 48, 51)]


def test_copies_at_once_share_the_link():
    assert reckoned([job(1000), job(1000)]) == [(0, 35, 38), (0, 35, 38)]


def test_link_is_all_of_the_one_that_is_left():
    # Both copy from 10: at 20 the small one has its 500 bytes, the large one 500 of its 1000, which then take 5 s.
    assert reckoned([job(1000), job(500)]) == [(0, 30, 33), (0, 25, 28)]


def test_pairs_limit_holds_beside_an_idle_link():
    limited = replace(PLAIN, pair_bytes_s=25.0)
    assert reckoned([job(1000), job(1000)], limited, lanes=(1, 1)) == [(0, 55, 58), (0, 55, 58)]
    assert reckoned([job(1000), job(1000)], limited, lanes=(2,)) == [(0, 95, 98), (0, 95, 98)]


def test_server_waits_until_a_pair_has_room_for_its_disks():
    assert reckoned([job(1000, slots=2), job(0, slots=1)], lanes=(2,)) == [(0, 25, 28), (28, 43, 46)]


def test_server_of_which_nothing_is_copied_is_off_as_long_as_the_clouds_take():
    assert reckoned([Job((), 0, runs=True)]) == [(0, 15, 18)]


def test_reading_for_the_proof_is_reckoned_on_both_sides():
    size = READ_BYTES_S * 3
    (plain,) = times([job(size)], PLAIN, threads=1, lanes=[1], proof=False, full=False)
    (proven,) = times([job(size)], PLAIN, threads=1, lanes=[1], proof=True, full=False)
    assert proven.downtime_s - plain.downtime_s == pytest.approx(6)


def test_five_hundred_servers_are_reckoned_quickly_and_all_end():
    jobs = [job(GIB + n, slots=1 + n % 3) for n in range(500)]
    found = times(jobs, replace(PLAIN, link_bytes_s=1e8), threads=50, lanes=[24] * 5, proof=True, full=False)
    assert len(found) == 500
    assert all(t.begin_s < t.twin_s < t.end_s for t in found)
    assert sum(1000 + n for n in range(500)) / 1e8 < max(t.end_s for t in found)


# Bases -------------------------------------------------------------------------------------------------------------------


def test_what_the_operator_says_of_the_link_wins_over_earlier_reports():
    found = basis([PAST], 400, None, None)
    assert found.link_bytes_s == 400 * MBIT * LINK_SHARE
    assert "os_migrate_link_mbit" in found.lines[0]


def test_earlier_copies_tell_the_link_the_share_of_data_and_what_the_clouds_take():
    found = basis([PAST, replace(PAST, copy_s=4.0), replace(PAST, copy_s=2.0)], None, None, None)
    assert found.link_bytes_s == GIB / 4
    assert found.share == 0.25
    assert (found.before_s, found.after_s, found.tail_s) == pytest.approx((30, 20, 7))
    assert "the median of 3 earlier copies" in found.lines[0]


def test_small_copies_tell_nothing_of_the_link():
    found = basis([replace(PAST, data_bytes=1 << 20, copy_s=5.0)], None, None, None)
    assert "UNKNOWN" in found.lines[0]


def test_what_nobody_knows_is_assumed_and_said_so():
    found = basis([], None, None, None)
    assert found.link_bytes_s == 1000 * MBIT * LINK_SHARE
    assert (found.share, found.before_s, found.tail_s) == (None, None, TAIL_S)
    assert [line.split(":")[0] for line in found.lines if "UNKNOWN" in line or "assum" in line] == [
        "link",
        "data",
        "disks",
        "clouds",
    ]
    (off, running) = times([job(0), job(0, runs=True)], found, threads=2, lanes=[2], proof=True, full=False)
    assert off.downtime_s == pytest.approx(DISK_S + BUILD_S)
    assert running.downtime_s == pytest.approx(STOP_S + DISK_S + BUILD_S)


def test_limits_of_the_settings_are_reckoned_with():
    assert basis([], 400, 100, None).link_bytes_s == 100 * MBIT
    assert basis([], 400, 1000, None).link_bytes_s == 400 * MBIT * LINK_SHARE
    assert basis([], 400, None, 7.0).pair_bytes_s == 7.0


def test_data_is_what_is_known_of_the_disk_else_its_share_else_all_of_it():
    assert likely_bytes(Disk(100, 40), replace(PLAIN, share=0.25)) == 40
    assert likely_bytes(Disk(100), replace(PLAIN, share=0.25)) == 25
    assert likely_bytes(Disk(100), PLAIN) == 100


def test_full_disks_take_longer_than_likely_ones():
    half = replace(PLAIN, share=0.5)
    assert reckoned([job(1000)], half) == [(0, 20, 23)]
    assert reckoned([job(1000)], half, full=True) == [(0, 25, 28)]
