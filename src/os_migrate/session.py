"""Everything a command works with, opened and closed in the right order.

data dir    exists or is made, can be written, belongs to this source project
lock        one migrator a data dir; the lock dies with its owner
journal     what earlier runs did
clouds      connected
hosts       the conversion hosts, where the command needs them and they are there
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from os_migrate import cloud as clouds
from os_migrate.errors import CloudError, HostError, OSMigrateError, Problem, UserError
from os_migrate.events import Events
from os_migrate.files.durable import write_atomically
from os_migrate.hosts.hosting import Clouds, find_host, find_server, open_remote_host
from os_migrate.journal import Journal
from os_migrate.model import Side
from os_migrate.settings import Settings
from os_migrate.world import Cloud, Host, HostPair, SystemClock, UnusableHost, World

JOURNAL_FILE: Final = "journal.sqlite"
LOCK_FILE: Final = "os-migrate.lock"
PROJECT_FILE: Final = "source-project"

ROOM_BYTES: Final = 64 << 20
"""A migration writes some hundred KiB of journal and logs; hundreds of them, some dozen MiB."""


@dataclass(frozen=True)
class Session:
    """What a command works with. `clouds` are those of `world`, with what deploying hosts needs besides."""

    settings: Settings
    journal: Journal
    world: World
    clouds: Clouds


@contextmanager
def open_session(
    settings: Settings, events: Events, *, hosts: bool, lock: bool, checks_hosts: bool = False
) -> Iterator[Session]:
    """Open all that a command needs, and close it at the end.

    One that `checks_hosts` itself, among other things, is told of a host that can't be used, as of one that isn't there.

    Raises:
        UserError: the data dir can't be used, belongs to another project, or another migrator works on it.
        CloudError: a cloud can't be reached, or refuses the credentials.
        HostError: a conversion host is there and can't be used.
    """
    with ExitStack() as stack:
        prepare_data_dir(settings.data_dir)
        if lock:
            stack.enter_context(locked(settings.data_dir))
        journal = stack.enter_context(open_journal(settings.data_dir))
        clock = SystemClock()
        connect = partial(
            clouds.connect, clock=clock, tell=events.tell_of_work, calls_at_once=settings.api_calls_parallel
        )
        source = connect(settings.source, settings.clouds_path, name="source")
        destination = connect(settings.destination, settings.clouds_path, name="destination")
        project_id = _log_in(source, destination)
        claim(settings.data_dir, project_id)
        sides: Clouds = {Side.SOURCE: source, Side.DESTINATION: destination}
        unusable: list[UnusableHost] | None = [] if checks_hosts else None
        first, *others = _open_hosts(stack, sides, settings, unusable) if hosts else [HostPair(None, None)]
        world = World(
            source=source,
            destination=destination,
            source_host=first.source,
            destination_host=first.destination,
            other_pairs=tuple(others),
            unusable_hosts=tuple(unusable or ()),
            events=events,
            clock=clock,
            timeout_s=settings.workloads.timeout_s,
        )
        yield Session(settings, journal, world, sides)


@contextmanager
def open_cloud(settings: Settings, events: Events, side: Side, *, lock: bool) -> Iterator[Cloud]:
    """Open one cloud for the files of a data dir: they belong to the source's project.

    Raises:
        UserError: the data dir can't be used, or belongs to another project.
        CloudError: the cloud can't be reached, or refuses the credentials.
    """
    prepare_data_dir(settings.data_dir)
    cloud = clouds.connect(
        settings.source if side is Side.SOURCE else settings.destination,
        settings.clouds_path,
        name=side,
        tell=events.tell_of_work,
        calls_at_once=settings.api_calls_parallel,
    )
    project_id = cloud.project_id()
    if side is Side.SOURCE:
        claim(settings.data_dir, project_id)
    with locked(settings.data_dir) if lock else nullcontext():
        yield cloud


def _log_in(source: Cloud, destination: Cloud) -> str:
    """Authenticate with both clouds, so that all that is wrong shows before anything begins; return the source's project."""
    projects: list[str] = []
    errors: list[OSMigrateError] = []
    for cloud in (source, destination):
        try:
            projects.append(cloud.project_id())
        except (UserError, CloudError) as error:
            errors.append(error)
    if len(errors) == len(Side):
        first, second = errors
        family = UserError if isinstance(first, UserError) else CloudError  # a kind of its own may want more than words
        raise family(f"{first.what}; and {second.what}", remedy=first.remedy) from None
    if errors:
        raise errors[0]
    return projects[0]


def _open_hosts(
    stack: ExitStack, sides: Clouds, settings: Settings, unusable: list[UnusableHost] | None
) -> list[HostPair]:
    """Open all hosts; those that can't be used are noted in `unusable`, or an error where that is None."""

    def opened(number: int, of_pair: Settings, side: Side) -> Host | None:
        try:
            return _open_host(stack, sides, of_pair, side)
        except (UserError, HostError) as error:
            if unusable is None:
                raise
            where = f"{side} conversion host {of_pair.host(side).host_name!r}"
            unusable.append(UnusableHost(number, side, Problem(where, error.what, error.remedy)))
            return None

    return [
        HostPair(*(opened(number, of_pair, side) for side in Side))
        for number, of_pair in enumerate(settings.by_pair(), 1)
    ]


def _open_host(stack: ExitStack, sides: Clouds, settings: Settings, side: Side) -> Host | None:
    """Return a conversion host, or None where there is none; SSH connects when it is first used."""
    if find_server(sides[side], settings, side) is None:
        return None
    server_id, address = find_host(sides[side], settings, side)
    host = open_remote_host(settings, settings.host(side).host_name, server_id, address)
    stack.callback(host.close)
    return host


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data dir, for its owner only, unless it is there; check that it can be written, and has room.

    Raises:
        UserError: it can't.
    """
    remedy = "choose another os_migrate_data_dir, or mend what is in its way"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            free = shutil.disk_usage(data_dir).free
    except OSError as error:
        raise UserError(f"the data dir {data_dir} can't be written: {error.strerror}", remedy=remedy) from None
    if free < ROOM_BYTES:
        raise UserError(
            f"the file system of the data dir {data_dir} has {free >> 20} MiB left; journal and logs need {ROOM_BYTES >> 20}",
            remedy="make room there, or choose another os_migrate_data_dir",
        )


@contextmanager
def open_journal(data_dir: Path) -> Iterator[Journal]:
    """Open the journal of a data dir."""
    with closing(Journal(data_dir / JOURNAL_FILE)) as journal:
        yield journal


def has_journal(data_dir: Path) -> bool:
    """Say whether anything was ever begun in a data dir."""
    return (data_dir / JOURNAL_FILE).is_file()


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data dir for this process. The kernel frees the lock however the process ends; no clock decides.

    Raises:
        UserError: another process holds it; the message has its pid.
    """
    handle = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"another os-migrate works on {data_dir} (pid {owner})",
                remedy="wait for it, or stop it with Ctrl-C; `os-migrate status` shows where it is",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def claim(data_dir: Path, project_id: str) -> None:
    """Record which source project a data dir belongs to, or check it.

    Raises:
        UserError: it belongs to another: two projects in one directory would mix their files up.
    """
    file = data_dir / PROJECT_FILE
    owner = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if not owner:
        write_atomically(file, f"{project_id}\n")
    elif owner != project_id:
        raise UserError(
            f"the data dir {data_dir} belongs to the source project {owner}, these credentials are for {project_id}",
            remedy="use one os_migrate_data_dir for each source project",
        )
