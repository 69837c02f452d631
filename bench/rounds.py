"""Carry out a case: its variants take turns, round after round, and every copy is compared with its source."""

import os
from collections.abc import Callable, Sequence

from bench.bed import Bed
from bench.cases import Case, Link, Variant
from bench.comparing import compare
from bench.disks import Disk
from bench.measuring import measure
from bench.network import limit
from bench.ours import OurTransfer
from bench.plain import PlainTransfer
from bench.results import CaseResult, Sample
from os_migrate.events import Event, Note, StageEnded, StepDone, StepFailed

Say = Callable[[str], None]


def carry_out(case: Case, disks: Sequence[Disk], rounds: int, bed: Bed, say: Say, *, verbose: bool) -> CaseResult:
    """Do a case for some rounds."""
    limit(case.link)
    samples = []
    for number in range(rounds):
        for variant in case.variants:
            sample = _sample(case, variant, disks, bed, say if verbose else _unheard)
            share = "" if sample.link_share is None else f", {sample.link_share:.0%} of the link"
            say(f"{case.name}, round {number + 1} of {rounds}, {variant}: {sample.wall_s:.1f} s{share}")
            samples.append(sample)
    return CaseResult(case, sum(disk.in_use_bytes for disk in disks), tuple(samples))


def _sample(case: Case, variant: Variant, disks: Sequence[Disk], bed: Bed, say: Say) -> Sample:
    if variant is Variant.APART:
        first, *others = [_one(case.link, variant, [disk], bed, say) for disk in disks]
        return sum(others, first)
    return _one(case.link, variant, disks, bed, say)


def _one(link: Link, variant: Variant, disks: Sequence[Disk], bed: Bed, say: Say) -> Sample:
    """Transfer disks once: cold from the source, onto blank volumes."""
    _make_cold(disks)
    transfer = (
        PlainTransfer(bed, disks[0]) if variant is Variant.PLAIN else OurTransfer(bed, disks, variant, _hearer(say))
    )
    try:
        try:
            sample = measure(bed, link, variant, transfer)
        finally:
            transfer.close()
        for disk, copy in zip(disks, transfer.copies, strict=True):
            compare(disk, copy, bed.work)
    finally:
        bed.empty()
    return sample


def _make_cold(disks: Sequence[Disk]) -> None:
    """Drop what the kernel has cached of the disks."""
    for disk in disks:
        with disk.path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _unheard(_text: str) -> None:
    """Say nothing."""


def _hearer(say: Say) -> Callable[[Event], None]:
    """Return a listener that tells how long steps take."""

    def hear(event: Event) -> None:
        match event:
            case StageEnded() | StepDone():
                name = event.stage if isinstance(event, StageEnded) else event.step
                say(f"    {event.seconds:6.2f} s  {name}")
            case StepFailed():
                say(f"    failed: {event.step}: {event.error}")
            case Note():
                say(f"    {event.text}")
            case _:
                pass

    return hear
