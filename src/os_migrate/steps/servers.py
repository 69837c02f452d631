"""What is read of the source server, and effects on servers."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from os_migrate.errors import NotFound, PlanError
from os_migrate.model import ImageId, Loan, ServerAction, ServerId, ServerSpec, ServerStatus, Tag
from os_migrate.plan import Inventory, Target, loan_problem, resolve
from os_migrate.step import Lasts, Reading, Step
from os_migrate.steps.rest import await_server_at_rest
from os_migrate.survey import LOCAL_BOOT_DISK, Disk, Survey
from os_migrate.workload import Workload
from os_migrate.world import World


@dataclass(frozen=True)
class SurveySource(Reading[Survey]):
    """Read how the source server is before it is touched; the rest of the attempt goes by that."""

    server_id: ServerId
    result_type: ClassVar[object] = Survey

    def do(self, world: World, tag: Tag) -> Survey:  # noqa: ARG002
        """Ask the source cloud."""
        server = world.source.server(self.server_id)
        disks: list[Disk] = []
        if server.image_id is not None:
            disks.append(Disk(LOCAL_BOOT_DISK, None, True, True, True, ""))  # noqa: FBT003 (in the order of the class)
        for attachment in server.volumes:
            volume = world.source.volume(attachment.volume_id)
            disk = Disk(
                device=attachment.device,
                volume_id=volume.id,
                is_boot=not disks,
                bootable=volume.bootable,
                delete_on_termination=attachment.delete_on_termination,
                volume_type=volume.volume_type,
                encrypted=volume.encrypted,
            )
            disks.append(disk)
        return Survey(server.status is ServerStatus.ACTIVE, tuple(disks), was_locked=server.locked)


@dataclass(frozen=True)
class ResolveTarget(Reading[Target]):
    """Resolve a workload's references, once: later the destination holds what we made, and the answers would differ."""

    workload: Workload | None = field(default=None, metadata={"journal": False})
    inventory: Inventory | None = field(default=None, metadata={"journal": False})
    result_type: ClassVar[object] = Target

    def do(self, world: World, tag: Tag) -> Target:  # noqa: ARG002
        """Decide from the inventory."""
        assert self.workload is not None, "the flow gives both"
        assert self.inventory is not None, "the flow gives both"
        return resolve(self.workload, self.inventory)


@dataclass(frozen=True)
class ReadActions(Reading[tuple[ServerAction, ...]]):
    """Read what was done to the source server until it was off; what is done to it from then on, its copy lacks."""

    server_id: ServerId
    result_type: ClassVar[object] = tuple[ServerAction, ...]

    def do(self, world: World, tag: Tag) -> tuple[ServerAction, ...]:  # noqa: ARG002
        """Ask the source cloud."""
        return tuple(world.source.server_actions(self.server_id))


@dataclass(frozen=True)
class MarkServer(Step[ServerId]):
    """Mark the source server as on loan, so that whoever sees it knows that its migration is unfinished.

    The mark goes last: without a journal it is all that tells whose the volumes are, and whether the server ran.
    """

    server_id: ServerId
    was_running: bool
    was_locked: bool = False
    lasts: ClassVar[Lasts] = Lasts.MIGRATION
    in_order: ClassVar[bool] = True

    @property
    def handle(self) -> ServerId:
        """Return the server."""
        return self.server_id

    def do(self, world: World, tag: Tag) -> ServerId:
        """Set the mark.

        Raises:
            PlanError: another attempt, of another data dir, has it.
        """
        if problem := loan_problem(world.source.server(self.server_id), tag.attempt):
            raise PlanError([problem])
        project_id = world.destination.project_id()
        loan = Loan(
            tag.attempt,
            self.server_id,
            was_running=self.was_running,
            destination=project_id,
            was_locked=self.was_locked,
        )
        world.source.set_server_metadata(self.server_id, loan.metadata())
        return self.server_id

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:
        """Take the mark off, if it is ours."""
        with suppress(NotFound):
            loan = Loan.of(world.source.server(made))
            if loan is not None and loan.attempt == tag.attempt:
                world.source.set_server_metadata(made, Loan.returned())

    def leftover(self, made: ServerId) -> str:
        """Name the server and the mark."""
        return f"source server {made} is marked: openstack server unset --property {Loan.KEY} {made}"


@dataclass(frozen=True)
class StopServer(Step[ServerId]):
    """Shut the source server down; it stays off once its twin runs. Only performed on a server that runs."""

    server_id: ServerId
    in_order: ClassVar[bool] = True

    @property
    def handle(self) -> ServerId:
        """Return the server."""
        return self.server_id

    def do(self, world: World, tag: Tag) -> ServerId:  # noqa: ARG002
        """Ask for the shutdown."""
        world.source.stop_server(self.server_id)
        return self.server_id

    def settle(self, world: World, tag: Tag, made: ServerId) -> ServerId:  # noqa: ARG002
        """Wait until it is off."""
        world.source.await_server(made, ServerStatus.SHUTOFF, world.timeout_s)
        return made

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:  # noqa: ARG002
        """Start the server again, unless it runs, or its owner has deleted it."""
        with suppress(NotFound):
            await_server_at_rest(world, made)
            world.source.start_server(made)
            world.source.await_server(made, ServerStatus.ACTIVE, world.timeout_s)

    def leftover(self, made: ServerId | None) -> str:
        """Say that the server is off."""
        return f"source server {made or self.server_id} is stopped: openstack server start {self.server_id}"


@dataclass(frozen=True)
class SnapshotServer(Step[ImageId]):
    """Make an image of the local boot disk of a server that was booted from an image."""

    server_id: ServerId
    name: str
    lasts: ClassVar[Lasts] = Lasts.MIGRATION

    def find(self, world: World, tag: Tag) -> ImageId | None:
        """Return the tagged image."""
        wanted = tag.metadata().items()
        return next((ImageId(i.id) for i in world.source.images() if wanted <= i.properties.items()), None)

    def do(self, world: World, tag: Tag) -> ImageId:
        """Ask Nova for it."""
        return world.source.create_server_image(self.server_id, self.name, tag.metadata())

    def settle(self, world: World, tag: Tag, made: ImageId) -> ImageId:  # noqa: ARG002
        """Wait until it is active."""
        world.source.await_image(made, world.timeout_s)
        return made

    def undo(self, world: World, tag: Tag, made: ImageId) -> None:  # noqa: ARG002
        """Delete it."""
        world.source.delete_image(made)

    def leftover(self, made: ImageId) -> str:
        """Name the image."""
        return f"source image {made}: openstack image delete {made}"


@dataclass(frozen=True)
class CreateServer(Step[ServerId]):
    """Create the twin. Only its undo is needed from the journal; the spec may hold secrets and stays out of it.

    As long as it stands, the source server is not started: two would have one address, and one owner's data.
    """

    spec: ServerSpec | None = field(default=None, metadata={"journal": False})
    in_order: ClassVar[bool] = True

    def find(self, world: World, tag: Tag) -> ServerId | None:
        """Return the tagged server."""
        return next(iter(self._tagged(world, tag)), None)

    def do(self, world: World, tag: Tag) -> ServerId:
        """Ask Nova for it."""
        assert self.spec is not None, "the flow gives the spec"
        spec = self.spec.with_metadata(tag.metadata())
        return world.destination.create_server(spec)

    def settle(self, world: World, tag: Tag, made: ServerId) -> ServerId:  # noqa: ARG002
        """Wait until it runs."""
        world.destination.await_server(made, ServerStatus.ACTIVE, world.timeout_s)
        return made

    def undo(self, world: World, tag: Tag, made: ServerId) -> None:
        """Delete it, and one that was made twice: the source server is started next."""
        for server_id in dict.fromkeys([made, *self._tagged(world, tag)]):
            world.destination.delete_server(server_id)

    def _tagged(self, world: World, tag: Tag) -> list[ServerId]:
        wanted = tag.metadata().items()
        return [s.id for s in world.destination.servers() if wanted <= s.metadata.items()]

    def leftover(self, made: ServerId) -> str:
        """Name the server."""
        return f"destination server {made}: openstack server delete {made}"
