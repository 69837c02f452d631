"""Measure one transfer: time, CPU of both sides, bytes on the link and how busy it was kept."""

import threading
import time
from collections.abc import Callable
from typing import Final

from bench.bed import Bed
from bench.cases import Link, Variant
from bench.network import counted_bytes, framed_bytes
from bench.results import Sample, busy_rate
from os_migrate.model import Side

LOOK_S: Final = 0.1
"""How often the link is looked at: one small file is read."""


def measure(bed: Bed, link: Link, variant: Variant, transfer: Callable[[], None]) -> Sample:
    """Do a transfer, and return what it took."""
    pid = bed.pids[Side.SOURCE]
    counts: list[tuple[float, int]] = []
    over = threading.Event()

    def look() -> None:
        while True:
            counts.append((time.monotonic(), counted_bytes(pid)[1]))
            if over.wait(LOOK_S):
                return

    cpu_before = {side: bed.accounts[side].cpu_s() for side in Side}
    back_before, there_before = counted_bytes(pid)
    framed_before = framed_bytes(Side.SOURCE)
    watcher = threading.Thread(target=look)
    began = time.monotonic()
    watcher.start()
    try:
        transfer()
        wall_s = time.monotonic() - began
    finally:
        over.set()
        watcher.join()
    back, there = counted_bytes(pid)
    framed = framed_bytes(Side.SOURCE) - framed_before
    cpu_s = {side: bed.accounts[side].cpu_s() - cpu_before[side] for side in Side}
    share = None
    if link.bits_per_s is not None:
        # The limit counts every header; the interface counts what the kernel hands over in one piece.
        framing = framed / max(1, there - there_before)
        share = busy_rate(counts) * framing * 8 / link.bits_per_s
    return Sample(
        variant, wall_s, cpu_s[Side.SOURCE], cpu_s[Side.DESTINATION], there - there_before, back - back_before, share
    )
