"""Why a workload can't leave its source as it is."""

from collections.abc import Sequence

from os_migrate.errors import Problem
from os_migrate.losses import lost_of_source
from os_migrate.model import AttemptId, Loan, Server, ServerStatus, Volume
from os_migrate.workload import Workload


def loan_problem(lent: Server | Volume, attempt: AttemptId | None = None) -> Problem | None:
    """Return why a source server or volume can't be touched by an attempt: another one is at it, whose journal we don't see."""
    loan = Loan.of(lent)
    if loan is None or loan.attempt == attempt:
        return None
    word = "workload" if isinstance(lent, Server) else "volume"
    return Problem(
        f"{word} {lent.name!r} ({lent.id})",
        f"its migration is unfinished: attempt {loan.attempt}, which this data dir doesn't know",
        f"resume or roll it back where it was begun; if that is lost, `os-migrate cleanup {loan.attempt}`",
    )


def source_problems(
    workload: Workload,
    server: Server,
    volumes: Sequence[Volume],
    *,
    stop: bool,
    attempt: AttemptId | None = None,
    begun: bool = False,
    unlock: bool = False,
) -> list[Problem]:
    """Return why a workload can't leave its source as it is now.

    `stop` and `unlock` say whether we may do so with it, `begun` whether this attempt has taken volumes from it already.
    """
    problems = [lent] if (lent := loan_problem(server, attempt)) else []

    def problem(what: str, remedy: str) -> None:
        problems.append(Problem(f"workload {workload.name!r} ({workload.id})", what, remedy))

    stoppable = server.status is ServerStatus.ACTIVE and stop
    if server.status is not ServerStatus.SHUTOFF and not stoppable:
        status = server.raw_status or server.status
        if server.status is ServerStatus.ACTIVE:
            problem("it is running", "stop it, or set os_migrate_workload_stop_before_migration: true")
        else:
            problem(f"it is in state {status}", "bring it to SHUTOFF first")
    if server.locked and not unlock:
        remedy = "unlock it: `openstack server unlock`; or set os_migrate_workload_unlock_before_migration: true"
        problem("it is locked", remedy)
    ours = [v for v in volumes if any(a.volume_id == v.id for a in server.volumes)]
    for what, remedy in lost_of_source(workload, server, [] if begun else ours):
        problem(what, remedy)
    if workload.migration.data_copy and not begun:
        wanted = sorted(v.info.id for v in workload.params.volumes)
        attached = sorted(a.volume_id for a in server.volumes)
        said_gib = {v.info.id: v.info.size for v in workload.params.volumes}
        if wanted != attached:
            problem(
                f"its volumes are {attached or 'none'}, the file says {wanted or 'none'}",
                "export it again: its volumes changed since",
            )
        for volume in ours:
            size_gib = said_gib.get(volume.id, volume.size_gib)
            if volume.size_gib != size_gib:
                problem(
                    f"volume {volume.name or volume.id} has {volume.size_gib} GiB, the file says {size_gib}",
                    "export it again: a volume is migrated at its size",
                )
            if volume.status != "in-use":
                problem(
                    f"volume {volume.name or volume.id} is {volume.status}",
                    "it must be in-use: see what ails it, or wait",
                )
    return problems
