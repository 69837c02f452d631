"""Attach and detach: Nova acts, and both Nova and Cinder must agree that it is done."""

from collections.abc import Callable
from http import HTTPStatus

from os_migrate.cloud.block import BlockStorage
from os_migrate.cloud.calls import Json, Refused, Service
from os_migrate.cloud.compute import Compute
from os_migrate.errors import CloudError, NotFound
from os_migrate.events import Note
from os_migrate.model import ServerId, Volume, VolumeId, at_least

TIMEOUT_S = 300.0
MOVING = ("attaching", "detaching", "reserved")
"""A volume that is being attached or detached."""


class Attachments(Compute, BlockStorage):
    """The part of `world.Cloud` that takes Nova and Cinder together."""

    def attach_volume(
        self, server_id: ServerId, volume_id: VolumeId, *, device: str | None, delete_on_termination: bool
    ) -> None:
        """Attach a volume and wait until it is in use; attached there already is fine."""
        self._await_rest(volume_id)
        if not self._lists(server_id, volume_id):
            self._ask_to_attach(server_id, volume_id, device, delete_on_termination=delete_on_termination)

        def judge(see: Callable[[], Volume]) -> bool | None:
            volume = see()
            self.refuse_error_state(f"volume {volume_id}", volume_id, volume.status)
            if volume.status == "in-use" and _is_on(volume, server_id):
                return True if self._lists(server_id, volume_id) else None
            if volume.status == "available" and not self._lists(server_id, volume_id):
                # Nova reserves the volume before it answers, and frees it where the attachment fails.
                raise CloudError(
                    f"{self._api.name}: volume {volume_id} could not be attached to server {server_id}; Nova gave up",
                    remedy=f"see openstack server event list {server_id}",
                )
            return None

        what = f"{self._api.name}: volume {volume_id} is attached to server {server_id}"
        self._await_volume(volume_id, judge, what, TIMEOUT_S)

    def detach_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        """Detach a volume and wait until it is available; not attached there is fine."""
        try:
            self._await_rest(volume_id)
        except NotFound:
            return
        self._ask_to_detach(server_id, volume_id)
        was_detaching = False

        def judge(see: Callable[[], Volume]) -> bool | None:
            nonlocal was_detaching
            try:
                volume = see()
            except NotFound:
                return True
            self.refuse_error_state(f"volume {volume_id}", volume_id, volume.status)
            if not _is_on(volume, server_id) and volume.status not in MOVING:
                return True
            if was_detaching and volume.status == "in-use" and self._lists(server_id, volume_id):
                raise CloudError(
                    f"{self._api.name}: server {server_id} does not let go of volume {volume_id}",
                    remedy="stop using it in the guest, or stop the server",
                )
            was_detaching = was_detaching or volume.status == "detaching"
            return None

        what = f"{self._api.name}: volume {volume_id} is detached from server {server_id}"
        self._await_volume(volume_id, judge, what, TIMEOUT_S)

    def _await_rest(self, volume_id: VolumeId) -> None:
        """Wait until a volume is neither being attached nor detached: a process that died may have asked for it."""

        def judge(see: Callable[[], Volume]) -> bool | None:
            return True if see().status not in MOVING else None

        what = f"{self._api.name}: volume {volume_id} is no longer being attached or detached"
        self._await_volume(volume_id, judge, what, TIMEOUT_S)

    def _lists(self, server_id: ServerId, volume_id: VolumeId) -> bool:
        return any(raw["volumeId"] == volume_id for raw in self._raw_attachments(server_id))

    def _ask_to_attach(
        self, server_id: ServerId, volume_id: VolumeId, device: str | None, *, delete_on_termination: bool
    ) -> None:
        doing = f"attach volume {volume_id} to server {server_id}"
        wanted: Json = {"volumeId": volume_id}
        if device:
            wanted["device"] = device
        if at_least(self._version(), "2.79"):
            wanted["delete_on_termination"] = delete_on_termination
        elif delete_on_termination:  # the server needs its volume, and a volume that stays is the safe side
            text = f"{self._api.name}: this cloud is too old to delete volume {volume_id} with server {server_id}: it will stay"
            self._api.tell(Note(text=text, warning=True))
        self._api.post(
            Service.COMPUTE,
            f"/servers/{server_id}/os-volume_attachments",
            doing,
            {"volumeAttachment": wanted},
            microversion=self._version(),
        )

    def _ask_to_detach(self, server_id: ServerId, volume_id: VolumeId) -> None:
        try:
            self._api.delete(
                Service.COMPUTE,
                f"/servers/{server_id}/os-volume_attachments/{volume_id}",
                f"detach volume {volume_id} from server {server_id}",
                microversion=self._version(),
            )
        except NotFound:
            return
        except Refused as refused:
            # The answer to a first request was lost, and the second finds it under way.
            under_way = refused.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
            if not under_way or self.volume(volume_id).status != "detaching":
                raise


def _is_on(volume: Volume, server_id: ServerId) -> bool:
    return any(attachment.server_id == server_id for attachment in volume.attachments)
