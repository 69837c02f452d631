"""What all services of a fake cloud share: its resources, with their bytes, and what goes on by itself as time passes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from os_migrate.errors import CloudError, NotFound
from os_migrate.model import (
    ApiVersions,
    Flavor,
    FloatingIp,
    FloatingIpId,
    ImageId,
    Named,
    Network,
    Port,
    PortId,
    Quoted,
    Server,
    ServerAction,
    ServerGroup,
    ServerId,
    ServerSpec,
    SnapshotId,
    Subnet,
    VolumeId,
    VolumeType,
)
from tests.fakes.seam import Call, FakeClock, Seam

V = TypeVar("V")

EXTENSIONS = frozenset(
    {
        "standard-attr-tag",
        "port-security",
        "allowed-address-pairs",
        "extra_dhcp_opt",
        "dns-integration",
        "dns-domain-ports",
        "qos",
        "qos-fip",
    }
)

BLOCK = 256
BLOCKS = 4
"""A disk is stood for by few and small blocks. The last is the guest's own: a running server writes there all the time."""

POLL_S = 2.0


@dataclass(frozen=True)
class Latency:
    """How long a cloud takes for what it does after it has answered."""

    volume: float = 3.0
    snapshot: float = 3.0
    image: float = 5.0
    attach: float = 3.0
    detach: float = 3.0
    build: float = 7.0
    stop: float = 5.0
    start: float = 3.0
    delete: float = 3.0
    listing: float = 0.0  # until something new is listed

    @classmethod
    def slow(cls) -> "Latency":
        """Longer than the engine's grace: what was under way at a crash still is when its step is looked for."""
        return cls(attach=21.0, detach=21.0, stop=61.0, start=31.0, build=41.0, image=31.0, volume=25.0, delete=15.0)


PROMPT = Latency()


@dataclass
class Stored:
    """A resource with bytes: a volume, a snapshot, an image."""

    view: Any
    data: bytes
    born: float
    parent: str | None = None  # the snapshot that a volume was made from


@dataclass
class Machine:
    """A server: its local boot disk, its ports, and with which bytes it booted first, disk by disk."""

    view: Server
    born: float
    local: bytes | None = None
    spec: ServerSpec | None = None
    ports: dict[PortId, bool] = field(default_factory=dict)  # True: made by Nova, goes with the server
    booted_with: tuple[bytes, ...] | None = None
    task: str = ""
    actions: list[ServerAction] = field(default_factory=list)
    writes: bool = True  # when it runs, to all its disks; a conversion host only does what its jobs do

    def note(self, action: str) -> None:
        """Remember what was done to the server."""
        self.actions.append(ServerAction(f"req-{len(self.actions)}", action))


class State:
    """One project in one cloud."""

    def __init__(self, name: str, clock: FakeClock, seam: Seam | None = None, latency: Latency = PROMPT) -> None:
        self._name = name
        self.clock = clock
        self.seam = seam or Seam()
        self.latency = latency
        self.violations: list[str] = []
        self.precious: set[str] = set()
        self.attach_limits: dict[ServerId, int] = {}
        self.limits: dict[tuple[Quoted, str], int] = {}  # by what is limited, and of which volume type
        self.untold_quotas: set[Quoted] = set()
        self.offers = ApiVersions(compute="2.90")
        self.sticks: set[str] = set()  # "attaching", "detaching": what is on that way stays there
        self._numbers = count(1)
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._machines: dict[ServerId, Machine] = {}
        self._attaching: dict[VolumeId, ServerId] = {}
        self._volumes: dict[VolumeId, Stored] = {}
        self._snapshots: dict[SnapshotId, Stored] = {}
        self._images: dict[ImageId, Stored] = {}
        self._ports: dict[PortId, tuple[Port, float]] = {}
        self._floating_ips: dict[FloatingIpId, tuple[FloatingIp, float]] = {}
        self._flavors: list[Flavor] = []
        self._networks: list[Network] = []
        self._subnets: list[Subnet] = []
        self._groups: list[Named] = []
        self._keypairs: list[Named] = []
        self._volume_types: list[VolumeType] = []
        self._server_groups: dict[str, ServerGroup] = {}
        self._qos_policies: list[Named] = []
        self.encrypting: set[str] = set()  # the names of volume types that encrypt: no tenant is told
        self.extensions = EXTENSIONS
        self.has_hostnames = True
        self._shelves: dict[str, dict[str, dict[str, Any]]] = {}
        clock.listeners.append(self._pass_time)

    @property
    def name(self) -> str:
        return self._name

    def project_id(self) -> str:
        with self._reads("project_id"):
            return f"project-{self._name}"

    # Time ------------------------------------------------------------------------------------------------------------
    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._coming.append((self.clock.now() + seconds, next(self._numbers), act))

    def _unless_stuck(self, way: str, act: Callable[[], None]) -> None:
        if way in self.sticks:
            self._later(POLL_S, lambda: self._unless_stuck(way, act))
        else:
            act()

    def _pass_time(self) -> None:
        while due := sorted(c for c in self._coming if c[0] <= self.clock.now()):
            self._coming.remove(due[0])
            self.seam.changes += 1
            due[0][2]()

    def _until(self, is_so: Callable[[], bool], what: str, timeout_s: float = 600.0) -> None:
        """Poll, as the real port does; each look is a call of its own, at which a test can strike."""
        deadline = self.clock.now() + timeout_s
        while True:
            with self._reads("poll"):
                if is_so():
                    return
            if self.clock.now() >= deadline:
                raise CloudError(f"{self._name}: {what}: not within {timeout_s:.0f} s")
            self.clock.sleep(POLL_S)

    # Calls -----------------------------------------------------------------------------------------------------------
    def _does(self, verb: str) -> AbstractContextManager[Call]:
        return self.seam.call(self._name, verb)

    def _reads(self, verb: str) -> AbstractContextManager[Call]:
        return self.seam.call(self._name, verb, mutates=False)

    def _refuse(self, what: str) -> CloudError:
        return CloudError(f"{self._name}: {what} (HTTP 409)")

    def _get(self, things: Mapping[Any, V], thing_id: str, kind: str) -> V:
        if thing_id not in things:
            raise NotFound(f"{self._name}: there is no {kind} {thing_id} (HTTP 404)")
        return things[thing_id]

    def _listed(self, born: float) -> bool:
        return self.clock.now() - born >= self.latency.listing

    def _new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):05}-{self._name}"

    # Checks ----------------------------------------------------------------------------------------------------------
    def hold_dear(self) -> None:
        """From now on, deleting or overwriting a volume that is there is a violation."""
        self.precious = set(self._volumes)

    def tagged(self, text: str = "os_migrate_attempt") -> Iterator[str]:
        """Yield everything that carries an attempt's tag."""
        stored = [*self._volumes.values(), *self._snapshots.values(), *self._images.values(), *self._machines.values()]
        views = (
            [s.view for s in stored]
            + [p for p, _ in self._ports.values()]
            + [f for f, _ in self._floating_ips.values()]
        )
        return (f"{self._name}: {view}" for view in views if text in repr(view))


def blank() -> bytes:
    return bytes(BLOCK * BLOCKS)


def pattern(seed: str) -> bytes:
    """Return bytes that no other seed has, with a hole."""
    block = (seed.encode() + b"|").ljust(8, b".") * BLOCK
    return block[:BLOCK] + bytes(BLOCK) + block[BLOCK // 2 : BLOCK // 2 + BLOCK] + bytes(BLOCK)


def guest_writes(data: bytes, text: str) -> bytes:
    return data[: BLOCK * (BLOCKS - 1)] + text.encode().ljust(BLOCK, b"\0")[:BLOCK]


def kept(metadata: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    """Return metadata after keys were set, or removed where the new value is None."""
    return {k: v for k, v in {**metadata, **change}.items() if v is not None}


__all__ = [
    "BLOCK",
    "BLOCKS",
    "Latency",
    "Machine",
    "State",
    "Stored",
    "blank",
    "guest_writes",
    "kept",
    "pattern",
    "replace",
]
