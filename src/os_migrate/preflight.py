"""What is checked of a run before anything is touched: what `migrate` begins with, and `plan` shows.

Everything is looked up once, however many workloads there are, and nothing is changed. A problem of the whole run (a quota, a conversion
host) is one of each workload that it stops.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from os_migrate.errors import HostError, PlanError, Problem
from os_migrate.features import Features
from os_migrate.hosts.check import link_problems
from os_migrate.journal import Journal
from os_migrate.losses import lost_in_destination
from os_migrate.model import ApiVersions, FlavorId, Image, Quoted, Server, Side, at_least
from os_migrate.outline import OutlinedDisk, all_made, copied_disks, detached_disk, made_of_volume
from os_migrate.plan import (
    Inventory,
    Target,
    claims,
    copy_of,
    destination_volume_problems,
    host_problems,
    resolve,
    service_problems,
    shortages,
    source_problems,
    source_volume_problems,
    twin_of,
    untold,
    version_problems,
)
from os_migrate.plan.made import Made
from os_migrate.settings import Order, Settings
from os_migrate.workload import DetachedVolume, Subject, Workload
from os_migrate.world import Cloud, Host, World

DELETES_WITH_SERVER = "2.79"
"""Since then Nova attaches a volume with the flag that deletes it with its server."""


@dataclass(frozen=True)
class Checked:
    """What was found of one workload: why there is nothing to do, or what keeps it from being migrated, or what is made.

    `server` is None where it isn't in the source, `target` where something doesn't resolve; a detached volume has neither.
    """

    workload: Subject
    server: Server | None
    skip: str = ""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    target: Target | None = None
    disks: tuple[OutlinedDisk, ...] = ()
    made: tuple[Made, ...] = ()

    @property
    def bytes_to_copy(self) -> int:
        """Return how large the disks are that are copied."""
        return sum(disk.size_bytes for disk in self.disks)


@dataclass(frozen=True)
class Checks:
    """What was found of a run: its workloads in the order in which they begin, and what couldn't be checked."""

    inventory: Inventory
    workloads: tuple[Checked, ...]
    unchecked: tuple[str, ...]


def take_inventory(cloud: Cloud) -> Inventory:
    """List what a destination project holds and can use."""
    return Inventory(
        project_id=cloud.project_id(),
        servers=cloud.servers(),
        volumes=cloud.volumes(),
        flavors=cloud.flavors(),
        images=cloud.images(),
        networks=cloud.networks(),
        subnets=cloud.subnets(),
        security_groups=cloud.security_groups(),
        keypairs=cloud.keypairs(),
        volume_types=cloud.volume_types(),
        volume_zones=cloud.volume_zones(),
        availability_zones=cloud.availability_zones(),
        ports=cloud.ports(),
        floating_ips=cloud.floating_ips(),
        features=Features(
            extensions=cloud.network_extensions(),
            qos_policies=cloud.qos_policies(),
            server_groups=cloud.server_groups(),
            takes_hostnames=cloud.takes_hostnames(),
        ),
    )


def check(world: World, journal: Journal, workloads: Sequence[Subject], settings: Settings) -> Checks:
    """Look at both clouds, at the conversion hosts and into the journal, and find all that is wrong.

    Raises:
        PlanError: a cloud lacks a service, so that nothing more can be looked up.
        CloudError: a cloud can't be asked.
    """
    offers = {side: world.cloud(side).api_versions() for side in Side}
    if missing := [problem for side in Side for problem in service_problems(side, offers[side])]:
        raise PlanError(missing)
    one_by_one = _Look(world, journal, settings, offers)
    found = [one_by_one.at(w) if isinstance(w, Workload) else one_by_one.at_volume(w) for w in workloads]
    if settings.workloads.order is Order.SMALLEST:
        found.sort(key=lambda checked: checked.bytes_to_copy)
    of_quotas, unchecked = _quotas(world, settings, [c for c in found if not c.skip])
    of_hosts = tuple(_host_problems(world, settings)) if any(c.disks for c in found) else ()

    def with_those_of_the_run(c: Checked) -> Checked:
        return c if c.skip else replace(c, problems=c.problems + (of_hosts if c.disks else ()) + of_quotas)

    return Checks(one_by_one.inventory, tuple(map(with_those_of_the_run, found)), unchecked)


class _Look:
    """Look at workloads, one after the other: what each wants of the destination is noted, so that the next can't have it."""

    def __init__(self, world: World, journal: Journal, settings: Settings, offers: dict[Side, ApiVersions]) -> None:
        self.inventory = take_inventory(world.destination)
        self._source = world.source
        self._journal = journal
        self._settings = settings
        self._offers = offers
        self._servers = {server.id: server for server in world.source.servers()}
        self._volumes = world.source.volumes()
        self._volumes_by_id = {volume.id: volume for volume in self._volumes}
        self._source_flavors = {flavor.name: flavor for flavor in world.source.flavors()}
        self._flavors = {FlavorId(flavor.id): flavor for flavor in self.inventory.flavors}
        self._hosts = {host.server_id for side in Side for host in world.hosts(side)}
        self._claimed: dict[str, Workload] = {}

    def at(self, workload: Workload) -> Checked:
        """Return what is found of a workload."""
        server = self._servers.get(workload.id)
        if unfinished := tuple(self._unfinished(workload.id, workload.name)):
            return Checked(workload, server, problems=unfinished)  # what else is amiss may be its own doing
        if reason := self._reason_to_skip(workload):
            return Checked(workload, server, skip=reason)
        problems = list(self._problems(workload, server))
        target: Target | None = None
        try:
            target = resolve(workload, self.inventory)
        except PlanError as unresolved:
            problems += unresolved.problems
        else:
            problems += self._claim(workload, target)
        disks = copied_disks(workload, self._volumes_by_id, self._local_gib(server))
        prefix = self._settings.workloads.boot_volume_prefix
        return Checked(
            workload,
            server,
            problems=tuple(problems),
            warnings=tuple(self._warnings(workload, server)),
            target=target,
            disks=disks,
            made=all_made(workload, disks, target, self._flavors, prefix),
        )

    def at_volume(self, volume: DetachedVolume) -> Checked:
        """Return what is found of a detached volume."""
        if unfinished := tuple(self._unfinished(volume.id, volume.name, "volume")):
            return Checked(volume, None, problems=unfinished)
        if copy := copy_of(volume, self.inventory.volumes):
            return Checked(volume, None, skip=f"already migrated: volume {copy.id}")
        there = self._volumes_by_id.get(volume.id)
        problems = [
            *source_volume_problems(volume, there),
            *destination_volume_problems(volume, there, self.inventory),
        ]
        disks = (detached_disk(volume, there),)
        return Checked(volume, None, problems=tuple(problems), disks=disks, made=made_of_volume(volume))

    def _unfinished(self, subject_id: str, name: str, word: str = "workload") -> Iterator[Problem]:
        for attempt in [a for a in self._journal.attempts(subject_id) if not a.state.final][-1:]:
            yield Problem(
                f"{word} {name!r} ({subject_id})",
                f"attempt {attempt.id} is unfinished ({attempt.state}, {attempt.stage or 'not begun'})",
                f"`os-migrate resume {attempt.id}` or `os-migrate rollback {attempt.id}`",
            )

    def _reason_to_skip(self, workload: Workload) -> str:
        if twin := twin_of(workload, self.inventory.servers):
            return f"already migrated: server {twin.id}"
        return "it is a conversion host" if workload.id in self._hosts else ""

    def _problems(self, workload: Workload, server: Server | None) -> Iterator[Problem]:
        if server is None:
            where = f"server {workload.name!r} ({workload.id})"
            yield Problem(where, f"there is no server {workload.id} in the source", "export again")
        else:
            stop = self._settings.workloads.stop_before_migration
            unlock = self._settings.workloads.unlock_before_migration
            yield from source_problems(workload, server, self._volumes, stop=stop, unlock=unlock)
            yield from self._losses(workload, server)
        yield from version_problems(workload, self._offers[Side.DESTINATION])
        yield from _slot_problems(self._settings, workload)

    def _losses(self, workload: Workload, server: Server) -> Iterator[Problem]:
        """Yield what the destination's flavor and volume types would not keep."""
        flavor = next((f for f in self.inventory.flavors if f.name == workload.params.flavor_ref.name), None)
        attached = {a.volume_id for a in server.volumes}
        volumes = [v for v in self._volumes if v.id in attached]
        for what, remedy in lost_in_destination(workload, server, volumes, flavor, self.inventory.volume_types):
            yield Problem(f"workload {workload.name!r} ({workload.id})", what, remedy)

    def _claim(self, workload: Workload, target: Target) -> Iterator[Problem]:
        for claim in claims(workload, target):
            if claim in self._claimed:
                what = f"{claim} is wanted by {self._claimed[claim].name!r} of this run too"
                where = f"server {workload.name!r} ({workload.id})"
                yield Problem(where, what, "edit one of them in workloads.yml")
            self._claimed.setdefault(claim, workload)

    def _local_gib(self, server: Server | None) -> int:
        """Return the size of a boot disk that is local to Nova: that of its flavor, which may leave it to the image."""
        if server is None:
            return 1
        flavor = self._source_flavors.get(server.flavor_name)
        if flavor is not None and flavor.disk_gib:
            return flavor.disk_gib
        return max((image.disk_gib for image in self._source_images if image.id == server.image_id), default=1)

    @cached_property
    def _source_images(self) -> Sequence[Image]:
        return self._source.images()

    def _warnings(self, workload: Workload, server: Server | None) -> Iterator[str]:
        if server is None or not workload.migration.data_copy:
            return
        flavor = self._source_flavors.get(server.flavor_name)
        if flavor is not None and flavor.ephemeral_gib:
            yield f"its ephemeral disk of {flavor.ephemeral_gib} GiB is not copied: the twin has what its flavor gives it, empty"
        data_volumes = server.volumes if server.image_id else server.volumes[1:]
        lost = any(volume.delete_on_termination for volume in data_volumes)
        if lost and not at_least(self._offers[Side.SOURCE].compute, DELETES_WITH_SERVER):
            yield "the source's Nova is too old to give volumes back with the flag that deletes them with their server"


def _quotas(
    world: World, settings: Settings, checked: Sequence[Checked]
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Return which quotas are too small, and what is not known of them."""
    if not settings.workloads.check_quotas:
        return (), ("quotas are not checked, as os_migrate_check_quotas says",)
    problems: list[Problem] = []
    unchecked: list[str] = []
    by_server = [c.made for c in checked]
    for side in Side:
        quotas = world.cloud(side).quotas()
        problems += shortages(side, quotas, by_server, settings.workloads.parallel)
        if names := untold(quotas, by_server, side):
            unchecked.append(
                f"the {side} doesn't tell its quotas of {_listed(names)}: whether they are enough is not checked"
            )
    return tuple(problems), tuple(unchecked)


def _listed(names: Sequence[Quoted]) -> str:
    return ", ".join(name.value for name in names)


def _host_problems(world: World, settings: Settings) -> list[Problem]:
    """Return why the conversion hosts can't be used: absent, unreachable, without a tool, or without a link."""
    problems = [unusable.problem for unusable in world.unusable_hosts]
    told = {(unusable.pair, unusable.side) for unusable in world.unusable_hosts}
    for number, pair in enumerate(world.pairs, 1):
        of = f" of pair {number}" if len(world.pairs) > 1 else ""
        there = {side: pair.host(side) is not None or (number, side) in told for side in Side}
        problems += host_problems(source=there[Side.SOURCE], destination=there[Side.DESTINATION], of=of)
        for side in Side:
            if (host := pair.host(side)) is not None:
                problems += _tool_problems(side, host)
        if not problems and settings.conversion.link and pair.source is not None and pair.destination is not None:
            source, user = pair.source, settings.conversion.ssh_user
            problems += link_problems(user, source.name, source.server_id, source.address, pair.destination)
    return problems


def _slot_problems(settings: Settings, workload: Workload) -> Iterator[Problem]:
    """Yield that no conversion host takes all disks of a workload at a time."""
    slots = settings.conversion.disks
    if workload.copied_disks > slots:
        yield Problem(
            "conversion hosts",
            f"each takes {slots} disks, and {workload.copied_disks} are to be copied",
            "deploy hosts from an image with hw_disk_bus=scsi and hw_scsi_model=virtio-scsi, which take more; then set"
            " os_migrate_conversion_host_disks",
        )


def _tool_problems(side: Side, host: Host) -> list[Problem]:
    where = f"{side} conversion host {host.name!r}"
    try:
        missing = host.missing_tools()
    except HostError as error:
        return [Problem(where, error.what, error.remedy)]
    return [Problem(where, f"it lacks {', '.join(missing)}", "run `os-migrate hosts deploy`")] if missing else []
