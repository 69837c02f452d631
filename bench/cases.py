"""What is measured, and what it must show. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Variant(StrEnum):
    """A way to bring disks from one host to the other. Those of a case take turns: A B C, A B C."""

    PLAIN = "plain"  # qemu-nbd, ssh -L, qemu-img convert
    UNPROVEN = "proof off"
    PROVEN = "proof on"
    APART = "one after the other"  # proven, a transfer for each disk
    TOGETHER = "together"  # proven, one transfer of all disks


class Measure(StrEnum):
    """What is compared with a target."""

    WALL = "wall"
    CPU = "cpu"
    WIRE_IN_USE = "wire / in use"
    WIRE_MIB = "wire, MiB"
    LINK_SHARE = "share of the link"


class Link(StrEnum):
    """A limit of the link between the hosts, both ways."""

    UNLIMITED = "unlimited"
    GIGABIT = "1 Gbit/s"
    FAST = "100 Mbit/s"

    @property
    def bits_per_s(self) -> int | None:
        """Return the limit."""
        return {Link.UNLIMITED: None, Link.GIGABIT: 1_000_000_000, Link.FAST: 100_000_000}[self]


@dataclass(frozen=True)
class Target:
    """What the median of a variant must be: at most `limit`, or at least.

    WALL and CPU are ratios to the case's `base`, the others are figures of the variant itself.
    """

    measure: Measure
    variant: Variant
    limit: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Tell whether a value is as good as wanted."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}"


@dataclass(frozen=True)
class Case:
    """Disks that go over a link, in several ways. `base` is the variant that the others are compared with."""

    name: str
    disks: tuple[str, ...]
    link: Link
    targets: tuple[Target, ...] = ()
    variants: tuple[Variant, ...] = (Variant.PLAIN, Variant.UNPROVEN, Variant.PROVEN)

    @property
    def base(self) -> Variant:
        """Return the variant that the others are compared with."""
        return self.variants[0]


def _wall(unproven: float, proven: float) -> tuple[Target, ...]:
    return (
        Target(Measure.WALL, Variant.UNPROVEN, unproven),
        Target(Measure.WALL, Variant.PROVEN, proven),
    )


_EIGHT_GIB: Final = (
    *_wall(0.25, 0.40),
    Target(Measure.CPU, Variant.UNPROVEN, 0.30),
    Target(Measure.WIRE_IN_USE, Variant.UNPROVEN, 1.08),
    Target(Measure.WIRE_IN_USE, Variant.PROVEN, 1.08),
)

CASES: Final = {
    case.name: case
    for case in (
        Case("ext4", ("ext4-8g",), Link.UNLIMITED, _EIGHT_GIB),
        Case("xfs", ("xfs-8g",), Link.UNLIMITED, _EIGHT_GIB),
        Case(
            "ext4-1g",
            ("ext4-2g",),
            Link.GIGABIT,
            (*_wall(0.36, 0.45), Target(Measure.LINK_SHARE, Variant.UNPROVEN, 0.85, at_least=True)),
        ),
        Case("ext4-100m", ("ext4-text",), Link.FAST, _wall(0.20, 0.25)),
        Case("random", ("random-1g",), Link.UNLIMITED, _wall(0.75, 1.0)),
        Case(
            "zero",
            ("zero-8g",),
            Link.UNLIMITED,
            (
                *_wall(0.35, 0.40),
                Target(Measure.WIRE_MIB, Variant.UNPROVEN, 2.0),
                Target(Measure.WIRE_MIB, Variant.PROVEN, 2.0),
            ),
        ),
        Case("ntfs", ("ntfs-2g",), Link.UNLIMITED),
        Case(
            "two-1g",
            ("ext4-2g", "ext4-2g-b"),
            Link.GIGABIT,
            (
                Target(Measure.WALL, Variant.TOGETHER, 1.0),
                Target(Measure.LINK_SHARE, Variant.TOGETHER, 0.95, at_least=True),
            ),
            (Variant.APART, Variant.TOGETHER),
        ),
    )
}
