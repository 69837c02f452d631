"""The stages of a server's migration, for Ansible: each module in a process of its own.

`stages` does the work, on the journal, and `staging` what is around it. The modules of OS Migrate 1.0.x hand on what they made: of that
only `transfer_uuid` is needed here, since it is the attempt's id.
"""

from contextlib import suppress

from os_migrate.door import stages
from os_migrate.door.call import Answer, Call
from os_migrate.door.stages import Stage
from os_migrate.door.staging import (
    Logs,
    check,
    clean_up,
    foretold,
    going_forward,
    last_attempt,
    opened,
    result_of,
    settings_with_hosts,
)
from os_migrate.door.volume_map import block_device_mapping, twin_id, volume_map
from os_migrate.errors import NotFound, UserError
from os_migrate.files.resourcefile import dump_resources
from os_migrate.files.workloads import WORKLOADS_FILE, parse_workloads, read_workloads
from os_migrate.logs import make_files
from os_migrate.model import ServerId
from os_migrate.resources.wanted import as_wanted
from os_migrate.session import open_journal
from os_migrate.settings import Settings
from os_migrate.workload import Workload


def prelim(call: Call) -> Answer:
    """Say whether there is anything to do for a workload, and make its log files; `changed` means that there is."""
    settings = settings_with_hosts(call)
    workload = _workload(call, settings)
    logs = Logs.of(call, settings, workload)
    with opened(call, settings, logs, lock=False) as session:
        skip = stages.prelim(session.world, session.journal, workload)
    if not skip and not call.check:
        make_files(logs.directory, logs.name)
    return {
        "changed": not skip,
        "reason": skip,
        "server_name": workload.name,
        "server_id": workload.id,
        "log_file": str(logs.directory / f"{logs.name}.log"),
        "state_file": str(logs.directory / f"{logs.name}.state"),
    }


def dst_check(call: Call) -> Answer:
    """Check all that a workload needs; nothing is touched."""
    settings = settings_with_hosts(call)
    check(call, settings, _workload(call, settings))
    return {"changed": False}


def stop(call: Call) -> Answer:
    """Stop a source server, if it runs."""
    return _forward(call, Stage.STOP)


def src_check(call: Call) -> Answer:
    """Check that a source server may leave, and mark it as on loan."""
    return _forward(call, Stage.CHECK)


def export_volumes(call: Call) -> Answer:
    """Bring the disks to the source host, and serve them there."""
    return _forward(call, Stage.EXPORT)


def transfer_volumes(call: Call) -> Answer:
    """Copy the disks, and prove the copies."""
    return _forward(call, Stage.TRANSFER)


def create_instance(call: Call) -> Answer:
    """Make the twin; from then on the migration only goes forward."""
    return _forward(call, Stage.CREATE)


def src_cleanup(call: Call) -> Answer:
    """Give back what was taken from the source; while no twin runs, undo all of it, in both clouds."""
    return _clean_up(call, after_failure=False)


def dst_failure_cleanup(call: Call) -> Answer:
    """Undo what is left of a migration that failed; a twin that runs stays."""
    return _clean_up(call, after_failure=True)


def _forward(call: Call, stage: Stage) -> Answer:
    settings = settings_with_hosts(call)
    workload = _workload(call, settings)
    if call.check:
        return foretold(call, settings, workload, stage)
    if disks := call.options.get("block_device_mapping"):
        _refuse_other_disks(call, settings, workload, {str(disk.get("uuid")) for disk in disks})
    with going_forward(call, settings, workload, stage) as (session, left):
        found = result_of(left)
        if stage in {Stage.EXPORT, Stage.TRANSFER}:
            found["volume_map"] = volume_map(left.steps, workload, settings.workloads.boot_volume_prefix)
        if stage is Stage.TRANSFER:
            found["block_device_mapping"] = block_device_mapping(left.steps, workload)
        if stage is Stage.CREATE and (twin := twin_id(left.steps)):
            found["server"] = {"id": twin}
            with suppress(NotFound):  # it was deleted since
                server = session.world.destination.server(ServerId(twin))
                found["server"] |= {"name": server.name, "status": server.raw_status or server.status.value}
    return found


def _refuse_other_disks(call: Call, settings: Settings, workload: Workload, given: set[str]) -> None:
    """Raise UserError if the twin is to have other disks than those that were copied for it."""
    last = last_attempt(settings, workload.id, call.options.get("transfer_uuid"))
    ours: set[str] = set()
    if last is not None:
        with open_journal(settings.data_dir) as journal:
            ours = {str(disk["uuid"]) for disk in block_device_mapping(journal.steps(last.id), workload)}
    if given != ours:
        raise UserError(
            f"{workload.name}: block_device_mapping has other disks ({', '.join(sorted(given))}) than the attempt ({', '.join(sorted(ours))})",
            remedy="give what import_workload_transfer_volumes returned; volumes of your own go into data: additional_volumes",
        )


def _clean_up(call: Call, *, after_failure: bool) -> Answer:
    settings = settings_with_hosts(call)
    workload = _workload(call, settings) if call.options.get("data") else None
    return clean_up(call, settings, workload, after_failure=after_failure)


def _workload(call: Call, settings: Settings) -> Workload:
    """Return the workload that `data` describes, or the one of the file whose id is `name`.

    Raises:
        PlanError: `data` is wrong, with every problem.
        UserError: there is none.
    """
    data, server_id = call.options.get("data"), call.options.get("name")
    file = settings.data_dir / WORKLOADS_FILE
    described = parse_workloads(dump_resources([data]), "data") if data else read_workloads(file)
    found = [workload for workload in described if data or workload.id == server_id]
    if not found:
        raise UserError(f"there is no server {server_id} in {file}", remedy="give its data, or export it")
    (workload,) = as_wanted(found, settings)
    return workload
