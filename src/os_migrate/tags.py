"""Tags in the clouds: taken off what was migrated, and swept after what was not."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from os_migrate.errors import NotFound
from os_migrate.journal import StepRecord
from os_migrate.model import (
    AttemptId,
    FloatingIpId,
    ImageId,
    PortId,
    ServerId,
    Side,
    Tag,
    Tagged,
    VolumeId,
    tag_of,
)
from os_migrate.steps.network import CreateFloatingIp, CreatePort
from os_migrate.steps.servers import CreateServer
from os_migrate.steps.volumes import CreateVolume
from os_migrate.world import Cloud

T = TypeVar("T", bound=Tagged)


def untag(cloud: Cloud, steps: Iterable[StepRecord]) -> None:
    """Take the tag off what these steps made for good in the destination, and is still there; repeating it changes nothing.

    The server's goes last: as long as anything is tagged, it shows that the twin was made and all belongs to it.
    """
    gone: dict[str, str | None] = {Tag.ATTEMPT_KEY: None, Tag.STEP_KEY: None}
    for record in sorted(steps, key=lambda record: isinstance(record.step, CreateServer)):
        with suppress(NotFound):  # it is its owner's by now, and they may delete it
            match record.step, record.result:
                case CreateVolume(side=Side.DESTINATION), str(volume_id):
                    cloud.set_volume_metadata(VolumeId(volume_id), gone)
                case CreateServer(), str(server_id):
                    cloud.set_server_metadata(ServerId(server_id), gone)
                case CreatePort(description=description), str(port_id):
                    cloud.describe_port(PortId(port_id), description)
                case CreateFloatingIp(description=description), str(floating_ip_id):
                    cloud.describe_floating_ip(FloatingIpId(floating_ip_id), description)
                case _:
                    pass


def sweep(clouds: Iterable[Cloud], attempt: AttemptId, steps: Iterable[StepRecord]) -> None:
    """Delete what carries the attempt's tag though no step knows it: a create that was accepted twice.

    Raises:
        CloudError: something tagged could not be deleted.
    """
    known = {record.result for record in steps if isinstance(record.result, str)}

    def unknown(things: Sequence[T]) -> list[T]:
        return [t for t in things if (tag := tag_of(t)) and tag.attempt == attempt and t.id not in known]

    for cloud in clouds:
        for server in unknown(cloud.servers()):
            cloud.delete_server(server.id)
        for port in unknown(cloud.ports()):
            cloud.delete_port(port.id)
        for ip in unknown(cloud.floating_ips()):
            cloud.delete_floating_ip(ip.id)
        for volume in unknown(cloud.volumes()):
            cloud.delete_volume(volume.id)
        for snapshot in unknown(cloud.snapshots()):
            cloud.delete_snapshot(snapshot.id)
        for image in unknown(cloud.images()):
            cloud.delete_image(ImageId(image.id))
