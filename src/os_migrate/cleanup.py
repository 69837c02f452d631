"""What attempts left behind, read back from the clouds and the hosts alone: for when a journal is lost, or its machine is.

    find        tags, loans and units ──> for each attempt its effects, as the steps that undo them
    clean_up    an attempt whose twin has run is finished, and one whose copy of a detached volume is whole; any other is rolled
                back, as with its journal (`flow`)

What was read goes into a journal that lasts as long as the command: whatever stops it, all can be read again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from os_migrate import flow
from os_migrate.batch import Outcome, Result, carry_out
from os_migrate.errors import HostError, Interrupted
from os_migrate.events import Note
from os_migrate.journal import AttemptState, Journal, StepState
from os_migrate.model import (
    NO_SERVER,
    NO_VOLUME,
    AttemptId,
    FloatingIp,
    Image,
    Loan,
    NetworkId,
    Port,
    Server,
    ServerId,
    ServerStatus,
    Side,
    Snapshot,
    Tag,
    Tagged,
    Volume,
    VolumeId,
    tag_of,
)
from os_migrate.nbd import HostedAttempt, job_of
from os_migrate.pool import Work, at_once
from os_migrate.resources.workload import is_conversion_host
from os_migrate.run import Run, hold_of_cleanup
from os_migrate.settings import Settings
from os_migrate.step import Step
from os_migrate.steps.detached import KeepVolume, MarkVolume
from os_migrate.steps.network import CreateFloatingIp, CreatePort
from os_migrate.steps.rest import VOLUME_MOVES
from os_migrate.steps.servers import CreateServer, MarkServer, SnapshotServer, StopServer
from os_migrate.steps.states import UnlockServer
from os_migrate.steps.transfer import StartJob
from os_migrate.steps.volumes import AttachVolume, CreateVolume, DetachVolume, SnapshotVolume
from os_migrate.world import Host, World

AGAIN = "os-migrate cleanup"

T = TypeVar("T", bound=Tagged)

Effect = tuple[Step[Any], str]
"""A step, and the handle of what it made."""


@dataclass(frozen=True)
class Found:
    """What an attempt left, of a server or of a detached volume. `busy` says why it is left alone, `problem` what a person has to mend before.

    `copy` is that of a detached volume, if it is whole.
    """

    attempt: AttemptId
    server_id: ServerId
    name: str
    effects: tuple[Effect, ...]
    twin: ServerId | None = None
    busy: str = ""
    problem: str = ""
    volume_id: VolumeId = NO_VOLUME
    copy: VolumeId | None = None

    @property
    def subject_id(self) -> str:
        """Return the id in the source of what was to be migrated; "" if nothing there tells."""
        return self.volume_id or self.server_id

    @property
    def arrived(self) -> str:
        """Say what of the destination stays, if it does."""
        return f"server {self.twin}" if self.twin else f"volume {self.copy}" if self.copy else ""

    @property
    def ready(self) -> bool:
        """Say whether it can be cleaned up."""
        return not self.busy and not self.problem

    @property
    def standing(self) -> list[str]:
        """Say what stands, each with the command that would remove it."""
        return [step.leftover(handle) for step, handle in self.effects if not self._kept(step)]

    def _kept(self, step: Step[Any]) -> bool:
        kept = isinstance(step, CreateServer | CreatePort | CreateFloatingIp | StopServer)
        return bool(self.arrived) and (kept or (isinstance(step, CreateVolume) and step.side is Side.DESTINATION))


def find(world: World, open_here: Collection[AttemptId], *, although_held: Collection[AttemptId] = ()) -> list[Found]:
    """Return what attempts left in both clouds and on both hosts; `open_here` are those that a journal knows as open.

    Of those that are `although_held` the operator says that nobody works on them, whatever the hosts say or don't.

    Raises:
        HostError: a host runs and can't be asked: nobody knows what goes on there.
    """
    source, destination = (_look(world, side) for side in Side)
    attempts = {tag.attempt for look in (source, destination) for tag, _ in look.tagged}
    attempts |= {hosted.attempt for look in (source, destination) for _, hosted in look.hosted}
    lent: list[Server | Volume] = [*source.servers, *source.volumes]
    loans = [loan for thing in lent if (loan := Loan.of(thing))]
    attempts |= {loan.attempt for loan in loans}
    found = [_found(attempt, source, destination, open_here, although_held) for attempt in sorted(attempts)]
    elsewhere = {loan.attempt: loan for loan in loans if loan.destination not in {"", world.destination.project_id()}}
    return [_refused(f, elsewhere.get(f.attempt), world) for f in found if f.effects]


def _refused(found: Found, elsewhere: Loan | None, world: World) -> Found:
    """Refuse what migrates into another project than the one that was looked at: its twin may run there."""
    if elsewhere is None:
        return found
    ours = world.destination.project_id()
    what = f"it migrates into the destination project {elsewhere.destination}, not into {ours}: use the credentials for that"
    return replace(found, problem=what)


def clean_up(world: World, found: Sequence[Found], settings: Settings) -> list[Outcome]:
    """Remove what attempts left and give back what they took; what was migrated stays.

    Raises:
        Interrupted: the operator stopped it.
    """
    with TemporaryDirectory() as directory, closing(Journal(Path(directory) / "journal.sqlite")) as journal:
        _hold(world, found)
        works = [Work(partial(_clean_up, world, journal, f, settings)) for f in found if f.ready]
        try:
            return at_once(works, threads=settings.workloads.parallel, lanes=[0], stop=world.clock.stop)
        except KeyboardInterrupt:
            raise Interrupted("stopped during the clean-up", remedy=f"`{AGAIN}` goes on") from None


def _hold(world: World, found: Sequence[Found]) -> None:
    """Let a migrator that still has the journal see on the hosts that its attempts are worked on."""
    for host in (host for side in Side for host in world.hosts(side)):
        with suppress(HostError):  # it is off, or `find` had failed
            for f in found:
                if f.ready:
                    host.hold(hold_of_cleanup(f.attempt))


def _clean_up(world: World, journal: Journal, found: Found, settings: Settings, _lane: int) -> Outcome:
    attempt = journal.begin(found.server_id, found.name, found.attempt, volume_id=found.volume_id)
    for step, handle in found.effects:
        journal.start(attempt.id, step)
        journal.record(attempt.id, step, StepState.MADE, handle)
    run = Run(world, journal, attempt, settings, again=AGAIN)
    if not found.arrived:
        return carry_out(run, "clean up", _back)
    run.enter(AttemptState.COMMITTED)
    return carry_out(run, "clean up", partial(_finish, found=found))


def _back(run: Run) -> Outcome:
    flow.roll_back(run)
    return Outcome(run.attempt.server_id, run.attempt.name, Result.ROLLED_BACK, "as it was before")


def _finish(run: Run, found: Found) -> Outcome:
    flow.finish_found(run)
    doubt = "it may lack floating IPs, and what its ports are to have: compare it with workloads.yml"
    if found.twin is None:
        doubt = "it is whole, and its report is lost"
    run.world.events.tell(Note(workload=found.subject_id, text=f"{found.arrived}: {doubt}", warning=True))
    return Outcome(run.attempt.server_id, run.attempt.name, Result.MIGRATED, f"{found.arrived}; {doubt}")


# What is there ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    """All that one cloud and its conversion hosts hold."""

    servers: Sequence[Server]
    volumes: Sequence[Volume]
    ports: Sequence[Port]
    hosted: Sequence[tuple[ServerId, HostedAttempt]]
    hosts: frozenset[ServerId]
    asked: bool
    tagged: Sequence[tuple[Tag, Tagged]]

    def of(self, attempt: AttemptId, kind: type[T]) -> list[tuple[Tag, T]]:
        """Return what an attempt made of a kind. Of doubles the one that was kept or is in use is last: it is the one that the attempt knew."""
        found = [(tag, thing) for tag, thing in self.tagged if tag.attempt == attempt and isinstance(thing, kind)]
        return sorted(found, key=lambda pair: (KeepVolume.kept(pair[0]), _is_used(pair[1])))

    def on_hosts(self, volume: Volume) -> list[ServerId]:
        """Return the conversion hosts that a volume is attached to, or that it may be on its way to."""
        if volume.status in VOLUME_MOVES:
            return sorted(self.hosts)
        return [a.server_id for a in volume.attachments if a.server_id in self.hosts]

    def on(self, attempt: AttemptId) -> list[tuple[ServerId, HostedAttempt]]:
        """Return what an attempt has on the hosts that it has something on: those of one pair."""
        return [(host_id, hosted) for host_id, hosted in self.hosted if hosted.attempt == attempt]


def _look(world: World, side: Side) -> _Look:
    cloud = world.cloud(side)
    servers = cloud.servers()
    volumes = cloud.volumes()
    ports = cloud.ports()
    things: list[Tagged] = [*servers, *volumes, *ports, *cloud.snapshots(), *cloud.images(), *cloud.floating_ips()]
    ours = {host.server_id for each in Side for host in world.hosts(each)}  # the sides may be one project
    known = [s for s in servers if is_conversion_host(s) or s.id in ours]
    running = [s for s in known if _has_run(s) and s.status is not ServerStatus.SHUTOFF]
    if strange := [s for s in running if s.id not in ours]:
        raise HostError(
            f"{side} server {strange[0].name!r} ({strange[0].id}) is a conversion host, and isn't the one of these settings:"
            " a migration may go on there",
            remedy="name it in the settings, or stop it: whatever runs there ends with that",
        )
    asked = [host for host in world.hosts(side) if any(s.id == host.server_id for s in running)]
    return _Look(
        servers,
        volumes,
        ports,
        hosted=[(host.server_id, on) for host in asked for on in _hosted(side, host)],
        hosts=frozenset(s.id for s in known),
        asked=bool(asked),
        tagged=[(tag, thing) for thing in things if (tag := tag_of(thing))],
    )


def _hosted(side: Side, host: Host) -> Sequence[HostedAttempt]:
    """Ask a host what goes on there: last of all, so that whatever was seen in the cloud is held by then."""
    try:
        return host.attempts()
    except HostError as error:
        raise type(error)(
            f"the {side} conversion host runs, and can't be asked what goes on there: {error.what}",
            remedy=f"{error.remedy}; or stop its server: whatever runs there ends with that",
        ) from None


def _is_used(thing: Tagged) -> bool:
    match thing:
        case Server():
            return _has_run(thing)
        case Volume():
            return bool(thing.attachments)
        case Port():
            return bool(thing.device_id)
        case FloatingIp():
            return thing.port_id is not None
        case _:
            return False


def _has_run(server: Server) -> bool:
    """Say whether a server has ever run, and so may hold what its owner would miss."""
    return bool(server.launched_at) or server.status not in {ServerStatus.BUILD, ServerStatus.ERROR}


# One attempt -----------------------------------------------------------------------------------------------------------


def _found(
    attempt: AttemptId,
    source: _Look,
    destination: _Look,
    open_here: Collection[AttemptId],
    although_held: Collection[AttemptId],
) -> Found:
    effects = (*_source_effects(attempt, source), *_destination_effects(attempt, destination))
    steps = [step for step, _ in effects]
    server_id = next((s.server_id for s in steps if isinstance(s, MarkServer | DetachVolume)), NO_SERVER)
    copies = [v for tag, v in destination.of(attempt, Volume) if KeepVolume.kept(tag)]
    origins = [VolumeId(v.metadata.get(Tag.ORIGIN_KEY, "")) for v in copies]
    volume_id = next((s.volume_id for s in steps if isinstance(s, MarkVolume)), next(iter(origins), NO_VOLUME))
    things: list[Server | Volume] = [*source.servers, *source.volumes]
    name = next((thing.name for thing in things if thing.id in {server_id, volume_id}), "")
    twins = [] if volume_id else sorted(_twins(attempt, destination))
    busy = problem = ""
    force = f"`{AGAIN} {attempt} --force`"
    if attempt in open_here:
        busy = f"open in this data dir: `os-migrate resume {attempt}` or `os-migrate rollback {attempt}`"
    elif attempt not in although_held and _is_held(hold_of_cleanup(attempt), source, destination):
        busy = "a clean-up works on it"
    elif attempt not in although_held and _is_held(attempt, source, destination):
        busy = "a migrator works on it"
    elif attempt not in although_held and not (source.asked or destination.asked):
        problem = f"no host is there to tell whether a migrator works on it; if none does: {force}"
    elif len(twins) > 1:
        problem = f"servers {' and '.join(twins)} both have run: delete one, or take the tags off it"
    elif attempt not in although_held and (strange := _strange_origin(twins, source, destination)):
        problem = f"its source server {strange} isn't in this source project: use the credentials for its own; if it was deleted: {force}"
    elif attempt not in although_held and (lost := set(origins) - {v.id for v in source.volumes}):
        problem = f"its source volume {min(lost)} isn't in this source project: use the credentials for its own; if it was deleted: {force}"
    elif astray := [v.id for v in source.volumes if _is_astray(v, attempt, source)]:
        problem = f"volumes {', '.join(astray)} of its server are attached to another server now: detach them there"
    elif twins and any(s.id == server_id and s.status is not ServerStatus.SHUTOFF for s in source.servers):
        problem = f"its source server runs too: stop that to keep {twins[0]}, or delete {twins[0]} to keep that"
    twin, copy = next(iter(twins), None), copies[0].id if copies else None
    return Found(attempt, server_id, name, effects, twin, busy, problem, volume_id, copy)


def _is_held(attempt: AttemptId, *looks: _Look) -> bool:
    return any(hosted.held for look in looks for _, hosted in look.on(attempt))


def _twins(attempt: AttemptId, look: _Look) -> set[ServerId]:
    """Return the servers in the destination that have run and are, or have, what the attempt made: nothing of theirs goes."""
    users = {server.id for _, server in look.of(attempt, Server)}
    users |= {a.server_id for _, volume in look.of(attempt, Volume) for a in volume.attachments}
    ports = {port.id for _, port in look.of(attempt, Port)} | {ip.port_id for _, ip in look.of(attempt, FloatingIp)}
    users |= {ServerId(port.device_id) for port in look.ports if port.id in ports}
    return {server.id for server in look.servers if server.id in users - look.hosts and _has_run(server)}


def _strange_origin(twins: Collection[ServerId], source: _Look, destination: _Look) -> str:
    """Return the source server of a twin where the source that was looked at doesn't have it; empty if it has.

    To finish such a twin would leave its source on loan, and the next clean-up would start it.
    """
    origins = {s.metadata.get(Tag.ORIGIN_KEY, "") for s in destination.servers if s.id in twins}
    return "".join(sorted(origins - {s.id for s in source.servers}))


def _is_astray(volume: Volume, attempt: AttemptId, look: _Look) -> bool:
    loan = Loan.of(volume)
    if loan is None or loan.attempt != attempt or not loan.server_id:  # a detached volume need not go back anywhere
        return False
    return any(a.server_id not in look.hosts | {loan.server_id} for a in volume.attachments)


def _source_effects(attempt: AttemptId, look: _Look) -> Iterator[Effect]:
    """Yield what an attempt did in the source, in the order in which it did."""
    for server in look.servers:
        loan = Loan.of(server)
        if loan is not None and loan.attempt == attempt:
            if loan.was_locked:
                yield UnlockServer("source", server.id), server.id
            yield MarkServer("source", server.id, loan.was_running, loan.was_locked), server.id
            if loan.was_running:
                yield StopServer("source", server.id), server.id
    yield from _snapshots_made(Side.SOURCE, attempt, look)
    for tag, image in look.of(attempt, Image):
        yield SnapshotServer(tag.subject, ServerId(""), image.name), image.id
    made = _volumes_made(Side.SOURCE, attempt, look)
    for step, volume in made:
        yield step, volume.id
    lent = [(volume, loan) for volume in look.volumes if (loan := Loan.of(volume)) and loan.attempt == attempt]
    for volume, loan in sorted(lent, key=lambda pair: (len(pair[1].device), pair[1].device), reverse=True):
        if not loan.server_id:
            yield MarkVolume("source", volume.id), volume.id
            continue
        detach = DetachVolume(loan.device, loan.server_id, volume.id, loan.device, loan.delete_on_termination)
        yield detach, volume.id
    yield from _at_host(Side.SOURCE, attempt, look, [*(volume for _, volume in made), *(volume for volume, _ in lent)])


def _destination_effects(attempt: AttemptId, look: _Look) -> Iterator[Effect]:
    """Yield what an attempt did in the destination, in the order in which it did."""
    yield from _snapshots_made(Side.DESTINATION, attempt, look)
    made = _volumes_made(Side.DESTINATION, attempt, look)
    for step, volume in made:
        yield step, volume.id
    yield from _at_host(Side.DESTINATION, attempt, look, [volume for _, volume in made])
    for tag, port in look.of(attempt, Port):
        yield CreatePort(tag.subject), port.id
    for tag, server in look.of(attempt, Server):
        yield CreateServer(tag.subject), server.id
    for tag, ip in look.of(attempt, FloatingIp):
        yield CreateFloatingIp(tag.subject, ServerId(""), NetworkId(ip.network_id), None), ip.id


def _snapshots_made(side: Side, attempt: AttemptId, look: _Look) -> Iterator[Effect]:
    """Yield the snapshots that an attempt made on a side; both may be one project. Those of a migration are all of the source."""
    for tag, snapshot in look.of(attempt, Snapshot):
        if tag.subject.startswith(f"{Side.DESTINATION} ") is (side is Side.DESTINATION):
            yield SnapshotVolume(tag.subject, snapshot.volume_id, snapshot.name, side), snapshot.id


def _volumes_made(side: Side, attempt: AttemptId, look: _Look) -> list[tuple[CreateVolume, Volume]]:
    """Return the volumes that an attempt made on a side; both sides may be one project."""
    volumes = [(tag.subject, volume) for tag, volume in look.of(attempt, Volume)]
    return [(CreateVolume(s, side, s.partition(" ")[2]), v) for s, v in volumes if s.startswith(f"{side} ")]


def _at_host(side: Side, attempt: AttemptId, look: _Look, volumes: Iterable[Volume]) -> Iterator[Effect]:
    for volume in volumes:
        for host_id in look.on_hosts(volume):
            yield AttachVolume(f"{side} {volume.id}", side, host_id, volume.id), volume.id
    for host_id, hosted in look.on(attempt):
        for unit in hosted.units:
            yield StartJob(unit, side, job_of(attempt, unit), host_id), unit
