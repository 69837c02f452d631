"""What is checked of a run before anything is touched. Everything is looked up once, however many workloads there are."""

from collections.abc import Iterator, Sequence

from os_migrate.errors import HostError, PlanError, Problem
from os_migrate.features import Features
from os_migrate.hosts.check import link_problems
from os_migrate.losses import lost_in_destination
from os_migrate.model import GIB, Server, Side
from os_migrate.plan import Inventory, claims, host_problems, resolve, source_problems, twin_of
from os_migrate.settings import Order, Settings
from os_migrate.workload import Workload
from os_migrate.world import Cloud, Host, World


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


class Preflight:
    """The checks of one run. What its workloads want of the destination is noted as they are checked, in their order."""

    def __init__(self, world: World, settings: Settings, workloads: Sequence[Workload]) -> None:
        self.inventory = take_inventory(world.destination)
        self._settings = settings
        self._servers = {server.id: server for server in world.source.servers()}
        self._volumes = world.source.volumes()
        self._hosts = {host.server_id for side in Side for host in world.hosts(side)}
        self._boot_disks_gib = _boot_disks_gib(world.source) if settings.workloads.order is Order.SMALLEST else {}
        self._host_problems = _host_problems(world, settings) if any(self._is_to_copy(w) for w in workloads) else []
        self._claimed: dict[str, Workload] = {}

    def reason_to_skip(self, workload: Workload) -> str:
        """Say why there is nothing to do for a workload; empty if there is."""
        if twin := twin_of(workload, self.inventory.servers):
            return f"already migrated: server {twin.id}"
        return "it is a conversion host" if workload.id in self._hosts else ""

    def bytes_to_copy(self, workload: Workload) -> int:
        """Return how large the disks are that are copied. A local boot disk counts with the size that its flavor gives it."""
        migration, params = workload.migration, workload.params
        if not migration.data_copy:
            return 0
        sizes = [volume.size_bytes for volume in params.volumes]
        server = self._servers.get(workload.id)
        local = self._boot_disks_gib.get(server.flavor_name, 0) * GIB if server and params.image_ref else None
        if local is not None:
            sizes.insert(0, local)
        return sum(sizes if migration.boot_disk_copy else sizes[1:])

    def problems(self, workload: Workload) -> list[Problem]:
        """Return all that keeps a workload from being migrated."""
        where = f"server {workload.name!r} ({workload.id})"
        server = self._servers.get(workload.id)
        if server is None:
            return [Problem(where, f"there is no server {workload.id} in the source", "export again")]
        wanted_by_settings = self._settings.workloads
        stop, unlock = wanted_by_settings.stop_before_migration, wanted_by_settings.unlock_before_migration
        problems = source_problems(workload, server, self._volumes, stop=stop, unlock=unlock)
        problems += self._losses(workload, server)
        if workload.copies:
            problems += self._host_problems
            problems += _slot_problems(self._settings, workload)
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

    def _losses(self, workload: Workload, server: Server) -> Iterator[Problem]:
        """Yield what the destination's flavor and volume types would not keep."""
        flavor = next((f for f in self.inventory.flavors if f.name == workload.params.flavor_ref.name), None)
        attached = {a.volume_id for a in server.volumes}
        volumes = [v for v in self._volumes if v.id in attached]
        for what, remedy in lost_in_destination(workload, server, volumes, flavor, self.inventory.volume_types):
            yield Problem(f"workload {workload.name!r} ({workload.id})", what, remedy)

    def _is_to_copy(self, workload: Workload) -> bool:
        return workload.copies and not self.reason_to_skip(workload)


def _boot_disks_gib(source: Cloud) -> dict[str, int]:
    return {flavor.name: flavor.disk_gib for flavor in source.flavors()}


def _host_problems(world: World, settings: Settings) -> list[Problem]:
    """Return why the conversion hosts can't be used: absent, unreachable, without a tool, or without a link."""
    problems: list[Problem] = []
    for number, pair in enumerate(world.pairs, 1):
        of = f" of pair {number}" if len(world.pairs) > 1 else ""
        problems += host_problems(source=pair.source is not None, destination=pair.destination is not None, of=of)
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
