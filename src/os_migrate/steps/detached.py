"""What is read of a detached volume, and what is said of it and of its copy in their metadata."""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from os_migrate.errors import CloudError, NotFound, PlanError
from os_migrate.model import NO_SERVER, Loan, Side, Tag, VolumeId
from os_migrate.plan import loan_problem
from os_migrate.step import Lasts, Reading, Step
from os_migrate.survey import Disk, Survey
from os_migrate.world import World


@dataclass(frozen=True)
class SurveyVolume(Reading[Survey]):
    """Read how a detached volume is before it is touched; the rest of the attempt goes by that."""

    volume_id: VolumeId
    result_type: ClassVar[object] = Survey

    def do(self, world: World, tag: Tag) -> Survey:  # noqa: ARG002
        """Ask the source cloud."""
        volume = world.source.volume(self.volume_id)
        disk = Disk(
            device=volume.id,
            volume_id=volume.id,
            is_boot=False,
            bootable=volume.bootable,
            delete_on_termination=False,
            volume_type=volume.volume_type,
            encrypted=volume.encrypted,
        )
        return Survey(was_running=False, disks=(disk,))


@dataclass(frozen=True)
class MarkVolume(Step[VolumeId]):
    """Mark a detached volume as on loan, before it is attached to the source host: whoever sees it there knows why."""

    volume_id: VolumeId
    lasts: ClassVar[Lasts] = Lasts.MIGRATION

    @property
    def handle(self) -> VolumeId:
        """Return the volume."""
        return self.volume_id

    def do(self, world: World, tag: Tag) -> VolumeId:
        """Set the mark.

        Raises:
            PlanError: another attempt, of another data dir, has it.
        """
        if problem := loan_problem(world.source.volume(self.volume_id), tag.attempt):
            raise PlanError([problem])
        loan = Loan(tag.attempt, NO_SERVER, destination=world.destination.project_id())
        world.source.set_volume_metadata(self.volume_id, loan.metadata())
        return self.volume_id

    def undo(self, world: World, tag: Tag, made: VolumeId) -> None:
        """Take the mark off, if it is ours. As long as the volume is on a host of ours, the mark is all that tells without a journal."""
        with suppress(NotFound):
            volume = world.source.volume(made)
            loan = Loan.of(volume)
            if loan is None or loan.attempt != tag.attempt:
                return
            hosts = {host.server_id for host in world.hosts(Side.SOURCE)}
            if any(attachment.server_id in hosts for attachment in volume.attachments):
                raise CloudError(f"source volume {made} is still on its conversion host")
            world.source.set_volume_metadata(made, Loan.returned())

    def leftover(self, made: VolumeId) -> str:
        """Name the volume and the mark."""
        return f"source volume {made} is marked: openstack volume unset --property {Loan.KEY} {made}"


@dataclass(frozen=True)
class KeepVolume(Step[VolumeId]):
    """Say in the tag of a detached volume's copy that it is whole, while nobody else can have it: from then on it is kept."""

    volume_id: VolumeId

    @property
    def handle(self) -> VolumeId:
        """Return the copy."""
        return self.volume_id

    def do(self, world: World, tag: Tag) -> VolumeId:
        """Replace its tag."""
        world.destination.set_volume_metadata(self.volume_id, tag.metadata())
        return self.volume_id

    def undo(self, world: World, tag: Tag, made: VolumeId) -> None:
        """Do nothing: the volume goes with the step that made it."""

    @classmethod
    def kept(cls, tag: Tag) -> bool:
        """Say whether a tag is that of a copy that is kept."""
        return tag.step.startswith(f"{cls.__name__}:")

    def leftover(self, made: VolumeId) -> str:
        """Name the volume."""
        tags = f"--property {Tag.ATTEMPT_KEY} --property {Tag.STEP_KEY}"
        return f"destination volume {made} is whole, and tagged: openstack volume unset {tags} {made}"
