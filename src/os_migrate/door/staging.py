"""What a module for a stage does around it: its options become settings and a session, and what the stage left becomes its result."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from os_migrate.door import stages
from os_migrate.door.call import Answer, Call
from os_migrate.door.settings import path_of
from os_migrate.door.stages import Left, Stage
from os_migrate.errors import UserError
from os_migrate.files.workloads import (
    DETACHED_VOLUMES_FILE,
    WORKLOADS_FILE,
    log_names_of,
    read_detached_volumes,
    read_workloads,
)
from os_migrate.hosts.hosting import is_of_a_pair
from os_migrate.journal import Attempt, AttemptState
from os_migrate.logs import LOG_DIR
from os_migrate.model import Side
from os_migrate.session import Session, has_journal, open_journal, open_session
from os_migrate.settings import Settings
from os_migrate.workload import DetachedVolume, Subject

PAST = {AttemptState.COMMITTED, AttemptState.MIGRATED}
"""Where no stage but the clean-up has anything to do."""


@contextmanager
def going_forward(call: Call, settings: Settings, subject: Subject, stage: Stage) -> Iterator[tuple[Session, Left]]:
    """Take a workload or a volume up to a stage."""
    with opened(call, settings, Logs.of(call, settings, subject), lock=True) as session:
        attempt_id = call.options.get("transfer_uuid")
        yield session, stages.go_forward(session.world, session.journal, subject, settings, stage, attempt_id)


def result_of(left: Left) -> Answer:
    """Return what every stage returns."""
    return {"changed": left.changed, "transfer_uuid": left.attempt.id, "state": left.attempt.state.value}


def foretold(call: Call, settings: Settings, subject: Subject, stage: Stage) -> Answer:
    """Say whether a stage would change anything, as far as the journal tells; of one that begins, find out whether it can."""
    last = last_attempt(settings, subject.id, call.options.get("transfer_uuid"))
    if last is not None and last.state in PAST:
        return {"changed": False}
    if last is not None and not last.state.final:
        stages.refuse_to_go_on(last)
        return {"changed": True}
    first = Stage.EXPORT if isinstance(subject, DetachedVolume) else Stage.CHECK
    if stage in {Stage.STOP, first}:
        if stage is Stage.STOP:  # to check what follows is to believe that the settings' stop was made
            settings = replace(settings, workloads=replace(settings.workloads, stop_before_migration=True))
        check(call, settings, subject)
    return {"changed": True}


def check(call: Call, settings: Settings, subject: Subject) -> None:
    """Check all that a migration needs; nothing is touched.

    Raises:
        PlanError: with every problem.
        UserError: an attempt failed, and must be undone before; or there is nothing to do.
    """
    with opened(call, settings, Logs.of(call, settings, subject), lock=False) as session:
        for text in stages.check_destination(session.world, session.journal, subject, settings):
            call.warn(text)


def clean_up(call: Call, settings: Settings, subject: Subject | None, *, after_failure: bool = False) -> Answer:
    """Finish or undo what is open of a workload or a volume, or of the attempt that is named; no cloud is asked where nothing is."""
    attempt_id = call.options.get("transfer_uuid")
    if subject is None and not attempt_id:
        raise UserError("neither data nor transfer_uuid says what to clean up", remedy="give one of them")
    last = last_attempt(settings, subject.id if subject else None, attempt_id)
    if last is None:
        return {"changed": False}
    to_do = not last.state.final and not (after_failure and last.state is AttemptState.COMMITTED)
    if call.check or not to_do:
        return {"changed": to_do, "transfer_uuid": last.id, "state": last.state.value}
    with opened(call, settings, Logs.of(call, settings, last), lock=True) as session:
        left = stages.clean_up(session.world, session.journal, settings, last.id, after_failure=after_failure)
    return result_of(left)


def last_attempt(settings: Settings, subject_id: str | None, attempt_id: str | None) -> Attempt | None:
    """Return the attempt that was named, else the last one; None if none was ever begun."""
    if not has_journal(settings.data_dir) and not attempt_id:
        return None
    with open_journal(settings.data_dir) as journal:
        return stages.last_attempt(journal, subject_id, attempt_id)


# What a module's options say -------------------------------------------------------------------------------------------


def settings_with_hosts(call: Call) -> Settings:
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


@dataclass(frozen=True)
class Logs:
    """Where the log and the state file of a workload or a volume are."""

    subject_id: str
    directory: Path
    name: str

    @staticmethod
    def of(call: Call, settings: Settings, subject: Subject | Attempt) -> "Logs":
        """Return what the options say, else where the command line has them."""
        is_volume = bool(subject.volume_id) if isinstance(subject, Attempt) else isinstance(subject, DetachedVolume)
        subject_id = subject.subject_id if isinstance(subject, Attempt) else subject.id
        for option in ("log_file", "state_file"):
            if given := call.options.get(option):
                return Logs(subject_id, path_of(given).parent, path_of(given).stem)
        given = call.options.get("log_dir")
        directory = path_of(given) if given else settings.data_dir / LOG_DIR
        others = [(i, name, is_volume) for i, name in _names(settings, is_volume=is_volume) if i != subject_id]
        return Logs(subject_id, directory, log_names_of([*others, (subject_id, subject.name, is_volume)])[subject_id])


def _names(settings: Settings, *, is_volume: bool) -> Sequence[tuple[str, str]]:
    """Return the ids and names of what the file describes; nothing if there is none, or the checks refuse it."""
    with suppress(UserError):
        if is_volume:
            return [(v.id, v.name) for v in read_detached_volumes(settings.data_dir / DETACHED_VOLUMES_FILE)]
        return [(w.id, w.name) for w in read_workloads(settings.data_dir / WORKLOADS_FILE)]
    return ()


@contextmanager
def opened(call: Call, settings: Settings, logs: Logs, *, lock: bool) -> Iterator[Session]:
    """Open a session whose events go to the log files."""
    with (
        call.events(settings, {logs.subject_id: logs.name}, logs.directory) as events,
        open_session(settings, events, hosts=True, lock=lock, checks_hosts=True) as session,
    ):
        yield session
