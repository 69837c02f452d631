"""The stages of a server's migration, for Ansible: each module in a process of its own.

`stages` does the work, on the journal; here a module's options become that, and what came of it becomes the module's result. The
modules of OS Migrate 1.0.x hand on what they made: of that only `transfer_uuid` is needed here, since it is the attempt's id.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from os_migrate.door import stages
from os_migrate.door.call import Answer, Call
from os_migrate.door.stages import Left, Stage
from os_migrate.door.volume_map import block_device_mapping, twin_id, volume_map
from os_migrate.errors import NotFound, UserError
from os_migrate.files.resourcefile import dump_resources
from os_migrate.files.workloads import WORKLOADS_FILE, log_names_of, parse_workloads, read_workloads
from os_migrate.hosts.hosting import is_of_a_pair
from os_migrate.journal import Attempt, AttemptState
from os_migrate.logs import LOG_DIR, make_files
from os_migrate.model import ServerId, Side
from os_migrate.resources.wanted import as_wanted
from os_migrate.session import Session, has_journal, open_journal, open_session
from os_migrate.settings import Settings
from os_migrate.workload import Workload


def prelim(call: Call) -> Answer:
    """Say whether there is anything to do for a workload, and make its log files; `changed` means that there is."""
    settings = _settings(call)
    workload = _workload(call, settings)
    logs = _Logs.of(call, settings, workload.id, workload.name)
    with _opened(call, settings, logs, lock=False) as session:
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
    settings = _settings(call)
    return _checked(call, settings, _workload(call, settings))


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


def _checked(call: Call, settings: Settings, workload: Workload) -> Answer:
    logs = _Logs.of(call, settings, workload.id, workload.name)
    with _opened(call, settings, logs, lock=False) as session:
        for text in stages.check_destination(session.world, session.journal, workload, settings):
            call.warn(text)
    return {"changed": False}


def _forward(call: Call, stage: Stage) -> Answer:
    settings = _settings(call)
    workload = _workload(call, settings)
    attempt_id = call.options.get("transfer_uuid")
    if call.check:
        return _foretold(call, settings, workload, stage)
    logs = _Logs.of(call, settings, workload.id, workload.name)
    with _opened(call, settings, logs, lock=True) as session:
        if disks := call.options.get("block_device_mapping"):
            _refuse_other_disks(session, workload, attempt_id, {str(disk.get("uuid")) for disk in disks})
        left = stages.go_forward(session.world, session.journal, workload, settings, stage, attempt_id)
        return _answer(left, stage, workload, session)


def _foretold(call: Call, settings: Settings, workload: Workload, stage: Stage) -> Answer:
    """Say whether a stage would change anything, as far as the journal tells; where none is begun, whether one can be."""
    last = _last_attempt(settings, workload.id, call.options.get("transfer_uuid"))
    if last is not None and last.state in {AttemptState.COMMITTED, AttemptState.MIGRATED}:
        return {"changed": False}
    if stage in {Stage.STOP, Stage.CHECK}:
        workloads = replace(settings.workloads, stop_before_migration=stage is Stage.STOP)
        _checked(call, replace(settings, workloads=workloads), workload)
    return {"changed": True}


def _answer(left: Left, stage: Stage, workload: Workload, session: Session) -> Answer:
    found: Answer = {"changed": left.changed, "transfer_uuid": left.attempt.id, "state": left.attempt.state.value}
    if stage in {Stage.EXPORT, Stage.TRANSFER}:
        prefix = session.settings.workloads.boot_volume_prefix
        found["volume_map"] = volume_map(left.steps, workload, prefix)
    if stage is Stage.TRANSFER:
        found["block_device_mapping"] = block_device_mapping(left.steps, workload)
    if stage is Stage.CREATE and (twin := twin_id(left.steps)):
        found["server"] = {"id": twin}
        with suppress(NotFound):  # it was deleted since
            server = session.world.destination.server(ServerId(twin))
            found["server"] |= {"name": server.name, "status": server.raw_status or server.status.value}
    return found


def _refuse_other_disks(session: Session, workload: Workload, attempt_id: str | None, given: set[str]) -> None:
    """Raise UserError if the twin is to have other disks than those that were copied for it."""
    last = stages.last_attempt(session.journal, workload.id, attempt_id)
    steps = session.journal.steps(last.id) if last is not None else []
    ours = {str(disk["uuid"]) for disk in block_device_mapping(steps, workload)}
    if given != ours:
        raise UserError(
            f"{workload.name}: block_device_mapping has other disks ({', '.join(sorted(given))}) than the attempt ({', '.join(sorted(ours))})",
            remedy="give what import_workload_transfer_volumes returned; volumes of your own go into data: additional_volumes",
        )


def _clean_up(call: Call, *, after_failure: bool) -> Answer:
    settings = _settings(call)
    attempt_id = call.options.get("transfer_uuid")
    workload = _workload(call, settings) if call.options.get("data") else None
    if workload is None and not attempt_id:
        raise UserError("neither data nor transfer_uuid says what to clean up", remedy="give one of them")
    last = _last_attempt(settings, workload.id if workload else None, attempt_id)
    if last is None:
        return {"changed": False}
    open_for_us = not last.state.final and not (after_failure and last.state is AttemptState.COMMITTED)
    if call.check or not open_for_us:
        return {"changed": open_for_us, "transfer_uuid": last.id, "state": last.state.value}
    logs = _Logs.of(call, settings, last.server_id, last.name)
    with _opened(call, settings, logs, lock=True) as session:
        left = stages.clean_up(session.world, session.journal, settings, last.id, after_failure=after_failure)
    return {"changed": left.changed, "transfer_uuid": last.id, "state": left.attempt.state.value}


# What a module's options say -------------------------------------------------------------------------------------------


def _settings(call: Call) -> Settings:
    """Return the settings, with the conversion hosts as the module's options have them."""
    settings = call.settings()
    for option, side in (("src_conversion_host", Side.SOURCE), ("conversion_host", call.side)):
        host = call.options.get(option)
        name = host.get("name") if isinstance(host, Mapping) else None
        if name and not is_of_a_pair(settings.host(side), name):
            settings = _with_host(settings, side, host_name=name)
    for option, side in (
        ("src_conversion_host_address", Side.SOURCE),
        ("dst_conversion_host_address", Side.DESTINATION),
    ):
        address = call.options.get(option)
        if address and settings.conversion.pairs == 1:  # else it can't be that of all
            settings = _with_host(settings, side, floating_ip_address=address, manage_fip=False)
    return settings


def _with_host(settings: Settings, side: Side, **fields: Any) -> Settings:
    host = replace(settings.host(side), **fields)
    return replace(settings, source_host=host) if side is Side.SOURCE else replace(settings, destination_host=host)


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


def _last_attempt(settings: Settings, server_id: ServerId | None, attempt_id: str | None) -> Attempt | None:
    if not has_journal(settings.data_dir) and not attempt_id:
        return None
    with open_journal(settings.data_dir) as journal:
        return stages.last_attempt(journal, server_id, attempt_id)


@dataclass(frozen=True)
class _Logs:
    """Where the log and the state file of a server are."""

    server_id: ServerId
    directory: Path
    name: str

    @staticmethod
    def of(call: Call, settings: Settings, server_id: ServerId, name: str) -> "_Logs":
        """Return what the options say, else where the command line has them."""
        for option in ("log_file", "state_file"):
            if given := call.options.get(option):
                file = Path(given).expanduser().absolute()
                return _Logs(server_id, file.parent, file.stem)
        servers = {server_id: name}
        with suppress(UserError):  # no file, or one that the checks refuse
            servers = {w.id: w.name for w in read_workloads(settings.data_dir / WORKLOADS_FILE)} | servers
        given = call.options.get("log_dir")
        directory = Path(given).expanduser().absolute() if given else settings.data_dir / LOG_DIR
        return _Logs(server_id, directory, log_names_of((i, n, False) for i, n in servers.items())[server_id])


@contextmanager
def _opened(call: Call, settings: Settings, logs: _Logs, *, lock: bool) -> Iterator[Session]:
    with (
        call.events(settings, {logs.server_id: logs.name}, logs.directory) as events,
        open_session(settings, events, hosts=True, lock=lock, checks_hosts=True) as session,
    ):
        yield session
