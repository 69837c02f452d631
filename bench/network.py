"""The link between the hosts, whose speed is limited and whose bytes are counted, and a way to both that isn't.

    namespace SOURCE  198.18.0.1 ──── the link, limited both ways ──── 198.18.0.2  namespace DESTINATION
                  198.18.1.2 │                                        │ 198.18.2.2
                             └── 198.18.1.1    the migrator's    198.18.2.1 ──┘
                                      namespace, unlimited

The migrator reaches a host at its address on the link, as the other host does, by a route of its own. The addresses are
those that RFC 2544 sets aside for benchmarks.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.cases import Link
from lab.errors import CommandFailed
from lab.process import run
from os_migrate.model import Side

NAMESPACE: Final = {Side.SOURCE: "osm-bench-source", Side.DESTINATION: "osm-bench-destination"}
ADDRESS: Final = {Side.SOURCE: "198.18.0.1", Side.DESTINATION: "198.18.0.2"}
DOOR: Final = {Side.SOURCE: ("osmb-src", "198.18.1"), Side.DESTINATION: ("osmb-dst", "198.18.2")}
LINK: Final = "wire"

BURST: Final = {Link.GIGABIT: "256kb", Link.FAST: "128kb"}
"""More than the largest packet that the kernel hands over in one piece, 64 KiB, and what a tick of the timer lets through."""


@contextmanager
def network() -> Iterator[None]:
    """Make namespaces and links; remove them at the end."""
    remove_network()
    try:
        for namespace in NAMESPACE.values():
            run(["ip", "netns", "add", namespace])
            run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        ends = [["name", LINK, "netns", NAMESPACE[side]] for side in Side]
        run(["ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1]])
        for side in Side:
            _plug(side)
        yield
    finally:
        remove_network()


def _plug(side: Side) -> None:
    inside = ["ip", "-n", NAMESPACE[side]]
    name, net = DOOR[side]
    run([*inside, "addr", "add", f"{ADDRESS[side]}/30", "dev", LINK])
    run([*inside, "link", "set", LINK, "up"])
    run(["ip", "link", "add", name, "type", "veth", "peer", "name", "door", "netns", NAMESPACE[side]])
    run([*inside, "addr", "add", f"{net}.2/30", "dev", "door"])
    run([*inside, "link", "set", "door", "up"])
    run(["ip", "addr", "add", f"{net}.1/30", "dev", name])
    run(["ip", "link", "set", name, "up"])
    run(["ip", "route", "add", f"{ADDRESS[side]}/32", "via", f"{net}.2"])


def remove_network() -> None:
    """Remove namespaces and links, those of a bench that was killed too."""
    for side in Side:
        with suppress(CommandFailed):
            run(["ip", "link", "delete", DOOR[side][0]])
        if Path("/run/netns", NAMESPACE[side]).exists():
            run(["ip", "netns", "delete", NAMESPACE[side]])


def limit(link: Link) -> None:
    """Limit what both ends of the link send. Without a limit there is a queue all the same: it counts."""
    shape = ["pfifo", "limit", "1000"]
    if link.bits_per_s is not None:
        shape = ["tbf", "rate", f"{link.bits_per_s}bit", "burst", BURST[link], "latency", "50ms"]
    for namespace in NAMESPACE.values():
        run(["tc", "-n", namespace, "qdisc", "replace", "dev", LINK, "root", *shape])


def framed_bytes(side: Side) -> int:
    """Return what a side has sent so far as the limit counts it: with the headers of every packet on the wire."""
    said = run(["tc", "-n", NAMESPACE[side], "-s", "-j", "qdisc", "show", "dev", LINK])
    return int(json.loads(said)[0]["bytes"])


def counted_bytes(pid: int) -> tuple[int, int]:
    """Return what the link's interface has received and sent so far, in the namespace of a process.

    What the kernel cuts into packets at the very end is counted in one piece here, with one header.
    """
    for line in Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines():
        name, _, counts = line.strip().partition(":")
        if name == LINK:
            fields = counts.split()
            return int(fields[0]), int(fields[8])
    raise RuntimeError(f"no interface {LINK} in the namespace of {pid}")
