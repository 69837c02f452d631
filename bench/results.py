"""What was measured, its medians and ratios, and whether the targets are met. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from bench.cases import Case, Measure, Target, Variant

MIB = 1 << 20

EDGE = 0.01
"""The first and the last hundredth of what travels is no measure of how busy the link is kept: logins, and the last words."""


@dataclass(frozen=True)
class Sample:
    """One transfer, measured. Bytes are those that the link's interfaces count.

    `link_share` is how much of the link's limit was used while data travelled; None where there is no limit.
    """

    variant: Variant
    wall_s: float
    source_cpu_s: float
    destination_cpu_s: float
    there_bytes: int
    back_bytes: int
    link_share: float | None = None

    @property
    def cpu_s(self) -> float:
        """Return the CPU time of both sides."""
        return self.source_cpu_s + self.destination_cpu_s

    @property
    def wire_bytes(self) -> int:
        """Return what went over the link, both ways."""
        return self.there_bytes + self.back_bytes

    def __add__(self, other: "Sample") -> "Sample":
        """Return both transfers as one, done one after the other."""
        shares = [s.link_share for s in (self, other) if s.link_share is not None]
        return Sample(
            self.variant,
            self.wall_s + other.wall_s,
            self.source_cpu_s + other.source_cpu_s,
            self.destination_cpu_s + other.destination_cpu_s,
            self.there_bytes + other.there_bytes,
            self.back_bytes + other.back_bytes,
            min(shares, default=None),
        )


@dataclass(frozen=True)
class Verdict:
    """A target, and what was measured."""

    target: Target
    value: float

    @property
    def is_met(self) -> bool:
        """Tell whether the target is met."""
        return self.target.is_met(self.value)


@dataclass(frozen=True)
class Median:
    """The medians of a variant's samples, each figure by itself."""

    rounds: int
    wall_s: float
    cpu_s: float
    source_cpu_s: float
    destination_cpu_s: float
    wire_bytes: float
    back_bytes: float
    link_share: float | None


@dataclass(frozen=True)
class CaseResult:
    """What a case has shown. `in_use_bytes` is what its disks hold, by the word of their file systems."""

    case: Case
    in_use_bytes: int
    samples: tuple[Sample, ...]

    def median(self, variant: Variant) -> Median:
        """Return the medians of a variant."""
        of = [s for s in self.samples if s.variant is variant]
        shares = [s.link_share for s in of if s.link_share is not None]
        return Median(
            rounds=len(of),
            wall_s=median(s.wall_s for s in of),
            cpu_s=median(s.cpu_s for s in of),
            source_cpu_s=median(s.source_cpu_s for s in of),
            destination_cpu_s=median(s.destination_cpu_s for s in of),
            wire_bytes=median(s.wire_bytes for s in of),
            back_bytes=median(s.back_bytes for s in of),
            link_share=median(shares) if shares else None,
        )

    def value(self, measure: Measure, variant: Variant) -> float:
        """Return what a target of this measure is compared with."""
        ours, base = self.median(variant), self.median(self.case.base)
        match measure:
            case Measure.WALL:
                return ours.wall_s / base.wall_s
            case Measure.CPU:
                return ours.cpu_s / base.cpu_s
            case Measure.WIRE_IN_USE:
                return ours.wire_bytes / self.in_use_bytes
            case Measure.WIRE_MIB:
                return ours.wire_bytes / MIB
            case Measure.LINK_SHARE:
                return ours.link_share or 0.0

    def verdicts(self) -> list[Verdict]:
        """Return the targets with what was measured."""
        return [Verdict(t, self.value(t.measure, t.variant)) for t in self.case.targets]


def busy_rate(counts: Sequence[tuple[float, int]]) -> float:
    """Return at how many bytes a second data travelled, from (seconds, bytes so far), without pauses before and after it."""
    first, last = counts[0][1], counts[-1][1]
    edge = (last - first) * EDGE
    began = _when(counts, first + edge)
    ended = _when(counts, last - edge)
    return (last - first - 2 * edge) / (ended - began) if ended > began else 0.0


def _when(counts: Sequence[tuple[float, int]], level: float) -> float:
    """Return when the bytes reached a level, between two counts where need be."""
    for (before_s, before), (after_s, after) in pairwise(counts):
        if after >= level and after > before:
            return before_s + (after_s - before_s) * (level - before) / (after - before)
    return counts[-1][0]
