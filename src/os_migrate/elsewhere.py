"""Whether somebody without this journal has ended an attempt, or begun another: then what it would undo is not its own any more.

`cleanup` ends attempts from what the clouds hold, and whoever ran it may migrate anew, from another data dir. A journal that turns up
again knows nothing of that.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from os_migrate.errors import CloudError, NotFound, UserError
from os_migrate.journal import StepState
from os_migrate.model import Loan, Server, ServerId, Side, Tag, Volume, VolumeId, tag_of
from os_migrate.run import Run
from os_migrate.steps.detached import KeepVolume, MarkVolume
from os_migrate.steps.servers import CreateServer, MarkServer
from os_migrate.steps.volumes import AttachVolume, CreateVolume
from os_migrate.world import Cloud


def refuse_if_ended(run: Run) -> None:
    """Refuse to undo what is another's by now.

    Whether a twin or a whole copy was kept must be known; else a cloud that can't be asked doesn't keep the rest from being undone.

    Raises:
        UserError: it was ended, or another attempt has what it would give back.
        CloudError: it made a twin or a whole copy, and the destination doesn't tell whether that was kept.
    """
    if not any(isinstance(record.step, MarkServer | MarkVolume) and record.result for record in run.steps()):
        return  # it never had anything of the source
    found: list[str] = []
    if any(isinstance(record.step, CreateServer | KeepVolume) for record in run.steps()):
        found += run.patiently("look for what was kept", lambda _tries: list(_kept(run)))
    with suppress(CloudError):
        found += _successors(run)
    with suppress(CloudError):
        found += _lent(run)
    if found:
        raise UserError(
            f"somebody without this journal has ended it: {'; '.join(dict.fromkeys(found))}",
            remedy="nothing was undone; if that is not wanted, delete it in the destination, or roll back the other attempt; then roll back",
        )


def _kept(run: Run) -> Iterator[str]:
    """Yield what the attempt made for good that a clean-up has given to its owner: its tag is gone, or it has left our host."""
    cloud = run.world.destination
    # An undo begins with the last step: once that is undone, it may be our own undo that took the copy off its host.
    undoing = any(isinstance(r.step, KeepVolume) and r.state is StepState.UNDONE for r in run.steps())
    left = {
        record.step.volume_id: record.step.host_id
        for record in run.steps()
        if isinstance(record.step, AttachVolume) and record.step.side is Side.DESTINATION and not undoing
    }
    for record in run.steps():
        with suppress(NotFound):
            match record.step, record.result:
                case CreateVolume(side=Side.DESTINATION), str(volume_id):
                    volume = cloud.volume(VolumeId(volume_id))
                    if tag_of(volume) is None or _has_left(cloud, volume, left.get(volume.id)):
                        yield f"the destination's volume {volume_id} was kept, and may hold new data"
                case CreateServer(), str(server_id):
                    if tag_of(cloud.server(ServerId(server_id))) is None:
                        yield f"the destination's server {server_id} was kept, and may hold new data"
                case _:
                    pass


def _has_left(cloud: Cloud, volume: Volume, host_id: ServerId | None) -> bool:
    """Say whether a whole copy was taken off our host, which is there."""
    tag = tag_of(volume)
    if (
        tag is None
        or not KeepVolume.kept(tag)
        or host_id is None
        or host_id in {a.server_id for a in volume.attachments}
    ):
        return False
    with suppress(NotFound):
        cloud.server(host_id)
        return True
    return False


def _successors(run: Run) -> Iterator[str]:
    """Yield what was migrated of the same server or volume: an attempt begins only where there is nothing of that."""
    attempt, cloud = run.attempt, run.world.destination
    things: Iterable[Server | Volume] = cloud.volumes() if attempt.volume_id else cloud.servers()
    for thing in things:
        if thing.metadata.get(Tag.ORIGIN_KEY) == attempt.subject_id and tag_of(thing) is None:
            yield f"{thing.id} in the destination is what was made of {attempt.subject_id}"


def _lent(run: Run) -> Iterator[str]:
    """Yield whose loan the server or volume is under, if it is another attempt's."""
    attempt, cloud = run.attempt, run.world.source
    thing = cloud.volume(attempt.volume_id) if attempt.volume_id else cloud.server(attempt.server_id)
    loan = Loan.of(thing)
    if loan is not None and loan.attempt != attempt.id:
        yield f"attempt {loan.attempt} has {attempt.subject_id}"
