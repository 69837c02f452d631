"""The plan of a run: what will be migrated, in what order, when and for how long each server is off, what is made, and all that is wrong.

It is made of the checks that `migrate` begins with, and of earlier reports. Nothing is touched.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from os_migrate.errors import PlanError, Problem, UserError
from os_migrate.journal import Journal
from os_migrate.model import ServerStatus
from os_migrate.pairs import free_disks
from os_migrate.plan.estimate import Basis, Disk, Job, Past, Times, basis, likely_bytes, times
from os_migrate.plan.made import Made
from os_migrate.preflight import Checked, check
from os_migrate.report import WorkloadReport, read_report, report_files
from os_migrate.settings import Settings
from os_migrate.workload import Subject, Workload
from os_migrate.world import World

BEFORE = ("stop source", "check source", "export volumes")
AFTER = ("transfer volumes", "create instance")
TAIL = ("clean up source",)
"""The stages of `flow`, by the part of an estimate that they are."""


@dataclass(frozen=True)
class PlannedServer:
    """A server of the plan, or a detached volume. `likely_bytes` and `likely` are as far as the basis tells; `full` is for disks that are in use to the last byte.

    `full` is None where nothing is to do.
    """

    checked: Checked
    flavor: str
    likely_bytes: int
    likely: Times | None
    full: Times | None


@dataclass(frozen=True)
class Plan:
    """The plan, its servers in the order in which they begin. `unchecked` is what couldn't be found out."""

    servers: tuple[PlannedServer, ...]
    basis: Basis
    parallel: int
    unchecked: tuple[str, ...]

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Return all problems, each once: those of a conversion host or a quota stop many servers."""
        return tuple(dict.fromkeys(p for s in self.servers for p in s.checked.problems))

    @property
    def error(self) -> PlanError | None:
        """Return why the run can't start; None if it can."""
        return PlanError(self.problems) if self.problems else None

    @property
    def to_migrate(self) -> list[PlannedServer]:
        """Return the servers that are to be migrated."""
        return [server for server in self.servers if not server.checked.skip]

    @property
    def likely_s(self) -> float:
        """Return how long the run takes, as far as the basis tells."""
        return max((server.likely.end_s for server in self.servers if server.likely), default=0.0)

    @property
    def full_s(self) -> float:
        """Return how long the run takes if all disks are in use to the last byte."""
        return max((server.full.end_s for server in self.servers if server.full), default=0.0)


def make_plan(world: World, journal: Journal, workloads: Sequence[Subject], settings: Settings) -> Plan:
    """Check and estimate a run.

    Raises:
        PlanError: a cloud lacks a service, so that nothing more can be looked up.
        CloudError: a cloud can't be asked.
    """
    checks = check(world, journal, workloads, settings)
    past = [_past(proof) for proof in _reports(settings.data_dir)]
    transfer = settings.transfer
    reckoned = basis(past, transfer.link_mbit, transfer.limit_mbit, settings.limit_bytes_s)
    known = {volume: data for p in past for volume, data in p.data_by_volume.items()}
    lanes = free_disks(world, journal, settings.conversion.disks, [a.id for a in journal.unfinished()])
    ready = [c for c in checks.workloads if not c.skip]
    jobs = [_job(c, known) for c in ready]

    def when(*, full: bool) -> list[Times]:
        return times(jobs, reckoned, threads=settings.workloads.parallel, lanes=lanes, proof=transfer.proof, full=full)

    found = {
        c.workload.id: (sum(likely_bytes(disk, reckoned) for disk in job.disks), likely, full)
        for c, job, likely, full in zip(ready, jobs, when(full=False), when(full=True), strict=True)
    }
    flavors = {flavor.id: flavor.name for flavor in checks.inventory.flavors}
    servers = tuple(
        PlannedServer(
            checked,
            flavors.get(checked.target.flavor_id, "") if checked.target else "",
            *found.get(checked.workload.id, (0, None, None)),
        )
        for checked in checks.workloads
    )
    return Plan(servers, reckoned, settings.workloads.parallel, checks.unchecked)


def addresses_of(server: PlannedServer) -> list[str]:
    """Return the addresses of a server's ports, and its floating ones with what becomes of them; a volume has none."""
    workload, target = server.checked.workload, server.checked.target
    if not isinstance(workload, Workload):
        return []
    params = workload.params
    fixed = [ip.ip_address for port in params.ports for ip in port.params.fixed_ips_refs]
    kept = {ip.address for ip in target.floating_ips if ip.existing is not None} if target else set()
    new = {ip.address for ip in target.floating_ips if ip.existing is None} if target else set()
    floating = [
        address + (" (kept)" if address in kept else " (replaced)" if address in new else " (left behind)")
        for address in (ip.params.floating_ip_address for ip in params.floating_ips)
    ]
    return [*fixed, *(floating if target else [])]


def fields(plan: Plan) -> dict[str, object]:
    """Return a plan as the fields of a JSON line."""
    return {
        "can_start": not plan.problems,
        "problems": _problems(plan.problems),
        "servers": [_server(number, server) for number, server in enumerate(plan.servers, 1)],
        "seconds": round(plan.likely_s, 1),
        "seconds_if_full": round(plan.full_s, 1),
        "parallel": plan.parallel,
        "basis": list(plan.basis.lines),
        "unchecked": list(plan.unchecked),
    }


def _server(number: int, server: PlannedServer) -> Mapping[str, object]:
    checked = server.checked
    return {
        "order": number,
        "server_id": checked.workload.id if isinstance(checked.workload, Workload) else "",
        "volume_id": "" if isinstance(checked.workload, Workload) else checked.workload.id,
        "name": checked.workload.name,
        "skip": checked.skip,
        "source_flavor": checked.server.flavor_name if checked.server else "",
        "destination_flavor": server.flavor,
        "addresses": addresses_of(server),
        "disks": [{"device": d.device, "volume_id": d.volume_id, "size_gib": d.size_gib} for d in checked.disks],
        "bytes": server.likely_bytes,
        "bytes_if_full": checked.bytes_to_copy,
        "likely": _times(server.likely),
        "if_full": _times(server.full),
        "made": [_made(made) for made in checked.made],
        "warnings": list(checked.warnings),
        "problems": _problems(checked.problems),
    }


def _times(times: Times | None) -> dict[str, float] | None:
    if times is None:
        return None
    return {name: round(seconds, 1) for name, seconds in (*asdict(times).items(), ("downtime_s", times.downtime_s))}


def _made(made: Made) -> dict[str, object]:
    return {
        "side": made.side,
        "kind": made.kind,
        "name": made.name,
        "size_gib": made.size_gib or None,
        "volume_type": made.volume_type or None,
        "flavor": made.flavor.name if made.flavor else None,
        "temporary": made.temporary,
        "detail": made.detail,
    }


def _problems(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [asdict(problem) for problem in problems]


def _job(checked: Checked, known: dict[str, int]) -> Job:
    disks = tuple(Disk(d.size_bytes, known.get(d.volume_id or checked.workload.id)) for d in checked.disks)
    runs = checked.server is not None and checked.server.status is ServerStatus.ACTIVE
    return Job(disks, checked.workload.copied_disks, runs, builds=isinstance(checked.workload, Workload))


def _reports(data_dir: Path) -> Iterable[WorkloadReport]:
    """Yield the reports of earlier migrations that can be read."""
    for file in report_files(data_dir):
        try:
            yield read_report(file)
        except UserError:  # `verify` tells of it; an estimate does without
            continue


def _past(proof: WorkloadReport) -> Past:
    seconds = dict(proof.stage_seconds)
    copy_s = max((disk.copy_seconds for disk in proof.disks), default=0.0)  # those of a server are copied side by side
    return Past(
        size_bytes=sum(disk.size_bytes for disk in proof.disks),
        data_bytes=sum(disk.data_bytes for disk in proof.disks),
        copy_s=copy_s,
        before_s=sum(seconds.get(stage, 0.0) for stage in BEFORE),
        after_s=max(0.0, sum(seconds.get(stage, 0.0) for stage in AFTER) - copy_s),
        tail_s=sum(seconds.get(stage, 0.0) for stage in TAIL),
        data_by_volume={disk.source_volume_id or proof.source_id: disk.data_bytes for disk in proof.disks},
    )
