"""What is checked of a run before anything is touched. Everything is looked up once, however many workloads there are."""

from collections.abc import Iterator, Sequence

from os_migrate.errors import HostError, NotFound, PlanError, Problem
from os_migrate.hosts.check import link_problems
from os_migrate.model import ServerId, Side
from os_migrate.plan import HOST_DISKS, Inventory, claims, host_problems, resolve, source_problems, twin_of
from os_migrate.settings import Settings
from os_migrate.workload import Workload
from os_migrate.world import Cloud, World


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
    )


class Preflight:
    """The checks of one run. What its workloads want of the destination is noted as they are checked, in their order."""

    def __init__(self, world: World, settings: Settings, workloads: Sequence[Workload]) -> None:
        self.inventory = take_inventory(world.destination)
        self._world = world
        self._settings = settings
        self._servers = {server.id: server for server in world.source.servers()}
        self._volumes = world.source.volumes()
        self._hosts = {h.server_id for h in (world.source_host, world.destination_host) if h is not None}
        self._host_problems = _host_problems(world, settings) if any(self._is_to_copy(w) for w in workloads) else []
        self._claimed: dict[str, Workload] = {}

    def reason_to_skip(self, workload: Workload) -> str:
        """Say why there is nothing to do for a workload; empty if there is."""
        if twin := twin_of(workload, self.inventory.servers):
            return f"already migrated: server {twin.id}"
        return "it is a conversion host" if workload.id in self._hosts else ""

    def problems(self, workload: Workload) -> list[Problem]:
        """Return all that keeps a workload from being migrated."""
        where = f"server {workload.name!r} ({workload.id})"
        server = self._servers.get(workload.id)
        if server is None:
            return [Problem(where, f"there is no server {workload.id} in the source", "export again")]
        stop = self._settings.workloads.stop_before_migration
        problems = source_problems(workload, server, self._volumes, stop=stop)
        if workload.copies:
            problems += self._host_problems
            problems += _slot_problems(self._world, workload)
        try:
            wanted = claims(workload, resolve(workload, self.inventory))
        except PlanError as unresolved:
            return problems + list(unresolved.problems)
        for claim in wanted:
            if claim in self._claimed:
                what = f"{claim} is wanted by {self._claimed[claim].name!r} of this run too"
                problems.append(Problem(where, what, "edit one of them in workloads.yml"))
            self._claimed.setdefault(claim, workload)
        return problems

    def _is_to_copy(self, workload: Workload) -> bool:
        return workload.copies and not self.reason_to_skip(workload)


def _host_problems(world: World, settings: Settings) -> list[Problem]:
    """Return why the conversion hosts can't be used: absent, unreachable, without a tool, or without a link."""
    problems = host_problems(source=world.source_host is not None, destination=world.destination_host is not None)
    for side, host in ((Side.SOURCE, world.source_host), (Side.DESTINATION, world.destination_host)):
        if host is None:
            continue
        where = f"{side} conversion host {host.name!r}"
        try:
            if missing := host.missing_tools():
                problems.append(Problem(where, f"it lacks {', '.join(missing)}", "run `os-migrate hosts deploy`"))
        except HostError as error:
            problems.append(Problem(where, error.what, error.remedy))
    source, destination = world.source_host, world.destination_host
    if not problems and settings.conversion.link and source is not None and destination is not None:
        problems.extend(link_problems(settings, destination, source.server_id, source.address))
    return problems


def _slot_problems(world: World, workload: Workload) -> Iterator[Problem]:
    """Yield the conversion hosts that can't take all disks of a workload at a time."""
    if workload.copied_disks <= HOST_DISKS:
        return
    for side, host in ((Side.SOURCE, world.source_host), (Side.DESTINATION, world.destination_host)):
        if host is not None and not _has_scsi(world.cloud(side), host.server_id):
            yield Problem(
                f"{side} conversion host {host.name!r}",
                f"it takes {HOST_DISKS} disks, and {workload.copied_disks} are to be copied",
                "deploy hosts from an image with hw_disk_bus=scsi and hw_scsi_model=virtio-scsi",
            )


def _has_scsi(cloud: Cloud, server_id: ServerId) -> bool:
    """Say whether a server's disks are on a SCSI bus, which has room for hundreds, by what it was booted from."""
    try:
        server = cloud.server(server_id)
        if server.image_id is not None:
            properties = cloud.image(server.image_id).properties
        else:
            properties = cloud.volume(server.volumes[0].volume_id).image_metadata
    except (NotFound, IndexError):
        return False
    return properties.get("hw_disk_bus") == "scsi"
