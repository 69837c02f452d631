"""What is called otherwise in the destination: names by kind, from the operator's mapping file. Pure.

An exact name wins, wherever it stands; then the first pattern that matches the whole name; then the kind's default. A name that nothing
matches keeps itself, and where there is no name (no availability zone, no key pair) there is nothing to map. `files.mapping` reads the file.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from os_migrate.workload import (
    CURRENT,
    BootVolumeParams,
    DetachedVolume,
    FloatingIpMode,
    Ref,
    VolumeParams,
    Workload,
    WorkloadFloatingIp,
    WorkloadPort,
)


class Kind(StrEnum):
    """What has names that may differ: the sections of the file. External networks are networks."""

    FLAVORS = "flavors"
    IMAGES = "images"
    NETWORKS = "networks"
    SUBNETS = "subnets"
    ROUTERS = "routers"
    SECURITY_GROUPS = "security_groups"
    KEYPAIRS = "keypairs"
    AVAILABILITY_ZONES = "availability_zones"
    VOLUME_TYPES = "volume_types"
    VOLUME_AVAILABILITY_ZONES = "volume_availability_zones"
    NETWORK_AVAILABILITY_ZONES = "network_availability_zones"
    PROJECTS = "projects"
    USERS = "users"
    ROLES = "roles"
    DOMAINS = "domains"


NULL_MEANS: Final[Mapping[Kind, str]] = {
    Kind.AVAILABILITY_ZONES: "Nova chooses",
    Kind.VOLUME_AVAILABILITY_ZONES: "Cinder chooses",
    Kind.NETWORK_AVAILABILITY_ZONES: "Neutron chooses",
    Kind.VOLUME_TYPES: "the default type",
    Kind.KEYPAIRS: "no key pair",
}
"""Where null is a meaning of its own, so that a name may become it."""

Rename = Callable[[Kind, str], str | None]


class Renamed(str):
    """A name that a mapping gave. It is that name; only its repr, which is for messages, says where it is from."""

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, name: str, origin: str) -> Self:
        """Return the name, with what it was and by which line."""
        made = super().__new__(cls, name)
        made.origin = origin
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Return what makes a copy."""
        return type(self), (str(self), self.origin)

    def __repr__(self) -> str:
        """Return the name as a message has it."""
        return f"{super().__repr__()} ({self.origin})"


@dataclass(frozen=True)
class Entry:
    """One line of the file: what it matches, what that becomes, and where the line is."""

    source: str
    to: str | None
    where: str
    regex: bool = False

    def target(self, name: str) -> str | None:
        """Return what a name becomes that this entry matches; itself, if a pattern's groups leave nothing of it: "" is no name."""
        if self.to is None:
            return None
        match = re.fullmatch(self.source, name) if self.regex else None
        return match.expand(self.to) or name if match else self.to


@dataclass(frozen=True)
class NameMap:
    """The mapping of one kind's names."""

    names: Mapping[str, Entry] = field(default_factory=dict)
    regexes: tuple[Entry, ...] = ()
    default: Entry | None = None

    def entry(self, name: str) -> Entry | None:
        """Return what decides about a name; None if it keeps itself."""
        first = (entry for entry in self.regexes if re.fullmatch(entry.source, name))
        return self.names.get(name) or next(first, self.default)

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries."""
        yield from self.names.values()
        yield from self.regexes
        if self.default is not None:
            yield self.default


@dataclass(frozen=True)
class NameMapping:
    """The whole mapping. Without a file it is empty: every name keeps itself."""

    kinds: Mapping[Kind, NameMap] = field(default_factory=dict)

    def entry(self, kind: Kind, name: str) -> Entry | None:
        """Return what decides about a name; None if it keeps itself."""
        return self.kinds[kind].entry(name) if kind in self.kinds else None

    def name(self, kind: Kind, name: str) -> str | None:
        """Return what a name of the source is called in the destination; None only where null is a meaning."""
        entry = self.entry(kind, name)
        target = name if entry is None else entry.target(name)
        if entry is None or target is None or target == name:
            return target
        return Renamed(target, f"{name} by {entry.where}")

    def ref(self, kind: Kind, ref: Ref) -> Ref:
        """Return a reference of the source as it is in the destination."""
        return renamed_ref(ref, kind, self.name)


def mapped(workload: Workload, mapping: NameMapping) -> Workload:
    """Return a workload with everything that it refers to by its name in the destination."""
    return _renamed(workload, mapping.name)


def mapped_volume(volume: DetachedVolume, mapping: NameMapping) -> DetachedVolume:
    """Return a detached volume with its type and zone by their names in the destination."""
    return replace(volume, params=_volume(volume.params, mapping.name))


def references_of_volume(volume: DetachedVolume) -> set[tuple[Kind, str]]:
    """Return what a detached volume needs in the destination."""
    params = volume.params
    named = (Kind.VOLUME_TYPES, params.volume_type), (Kind.VOLUME_AVAILABILITY_ZONES, params.availability_zone)
    return {(kind, name) for kind, name in named if name}


def references(workload: Workload) -> set[tuple[Kind, str]]:
    """Return what a workload refers to and needs in the destination: an image isn't, where the boot disk is copied."""
    migration, params = workload.migration, workload.params
    if migration.boot_disk_copy or (not migration.data_copy and migration.boot_volume.uuid):
        params = replace(params, image_ref=None)
    if migration.floating_ip_mode in {FloatingIpMode.SKIP, FloatingIpMode.EXISTING}:
        params = replace(params, floating_ips=())
    if not migration.data_copy:
        params = replace(params, volumes=())
        migration = replace(migration, boot_volume_params=BootVolumeParams())
    found: set[tuple[Kind, str]] = set()

    def note(kind: Kind, name: str) -> str:
        found.add((kind, name))
        return name

    _renamed(replace(workload, params=params, migration=migration), note)
    return found


def renamed_ref(ref: Ref, kind: Kind | None, rename: Rename) -> Ref:
    """Return a reference with other names; of what has no section (`kind` is None) only the project's and the domain's."""
    return replace(
        ref,
        name=_not_own(ref.name, kind, rename) if kind else ref.name,
        project_name=_not_own(ref.project_name, Kind.PROJECTS, rename),
        domain_name=_not_own(ref.domain_name, Kind.DOMAINS, rename),
    )


def _not_own(name: str | None, kind: Kind, rename: Rename) -> str | None:
    return name if name == CURRENT else _maybe(name, kind, rename)


def _renamed(workload: Workload, rename: Rename) -> Workload:
    params = workload.params
    boot = workload.migration.boot_volume_params
    boot = replace(
        boot,
        volume_type=_maybe(boot.volume_type, Kind.VOLUME_TYPES, rename),
        availability_zone=_maybe(boot.availability_zone, Kind.VOLUME_AVAILABILITY_ZONES, rename),
    )
    return replace(
        workload,
        params=replace(
            params,
            flavor_ref=renamed_ref(params.flavor_ref, Kind.FLAVORS, rename),
            image_ref=renamed_ref(params.image_ref, Kind.IMAGES, rename) if params.image_ref else None,
            key_name=_maybe(params.key_name, Kind.KEYPAIRS, rename),
            availability_zone=_maybe(params.availability_zone, Kind.AVAILABILITY_ZONES, rename),
            security_group_refs=_groups(params.security_group_refs, rename),
            ports=tuple(_port(port, rename) for port in params.ports),
            floating_ips=tuple(_floating_ip(ip, rename) for ip in params.floating_ips),
            volumes=tuple(replace(v, params=_volume(v.params, rename)) for v in params.volumes),
        ),
        migration=replace(workload.migration, boot_volume_params=boot),
    )


def _maybe(name: str | None, kind: Kind, rename: Rename) -> str | None:
    return rename(kind, name) if name else name


def _groups(refs: tuple[Ref, ...], rename: Rename) -> tuple[Ref, ...]:
    """Rename security groups; two that become one are one: Neutron refuses a group twice."""
    return tuple(dict.fromkeys(renamed_ref(ref, Kind.SECURITY_GROUPS, rename) for ref in refs))


def _port(port: WorkloadPort, rename: Rename) -> WorkloadPort:
    params = port.params
    fixed = tuple(
        replace(ip, subnet_ref=renamed_ref(ip.subnet_ref, Kind.SUBNETS, rename)) for ip in params.fixed_ips_refs
    )
    groups = params.security_group_refs
    params = replace(
        params,
        network_ref=renamed_ref(params.network_ref, Kind.NETWORKS, rename),
        fixed_ips_refs=fixed,
        security_group_refs=None if groups is None else _groups(groups, rename),
    )
    return replace(port, params=params)


def _floating_ip(ip: WorkloadFloatingIp, rename: Rename) -> WorkloadFloatingIp:
    network = renamed_ref(ip.params.floating_network_ref, Kind.NETWORKS, rename)
    return replace(ip, params=replace(ip.params, floating_network_ref=network))


def _volume(params: VolumeParams, rename: Rename) -> VolumeParams:
    return replace(
        params,
        volume_type=_maybe(params.volume_type, Kind.VOLUME_TYPES, rename),
        availability_zone=_maybe(params.availability_zone, Kind.VOLUME_AVAILABILITY_ZONES, rename),
    )
