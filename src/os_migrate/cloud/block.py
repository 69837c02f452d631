"""Cinder: volumes, snapshots, volume types."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Json, Service
from os_migrate.cloud.waiting import Sights, delete_when_idle, wait_to_see
from os_migrate.errors import CloudError, NotFound
from os_migrate.model import Named, Snapshot, SnapshotId, Volume, VolumeId, VolumeSpec, VolumeType

T = TypeVar("T")
V = TypeVar("V", Volume, Snapshot)

DELETE_TIMEOUT_S = 300.0
BUSY_S = 30.0
"""A volume that was detached, or whose snapshot was deleted, a moment ago can't be deleted yet."""

MESSAGES_MICROVERSION = "3.5"
"""Since then a tenant can ask why something went to error, by the resource's id."""


class BlockStorage:
    """The part of `world.Cloud` that Cinder answers."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @cached_property
    def _volumes_seen(self) -> Sights[Volume]:
        return Sights(lambda key: self.volume(VolumeId(key)), lambda: {v.id: v for v in self.volumes()})

    @cached_property
    def _snapshots_seen(self) -> Sights[Snapshot]:
        return Sights(lambda key: self._snapshot(SnapshotId(key)), lambda: {s.id: s for s in self.snapshots()})

    def _await_volume(
        self, volume_id: VolumeId, judge: Callable[[Callable[[], Volume]], T | None], what: str, timeout_s: float
    ) -> T:
        seen, clock = self._volumes_seen, self._api.clock
        return wait_to_see(seen, volume_id, judge, what=what, timeout_s=timeout_s, clock=clock)

    def volumes(self) -> Sequence[Volume]:
        """Return the project's volumes."""
        pages = self._api.pages(Service.BLOCK, "/volumes/detail", "volumes", "list the volumes")
        return [views.volume(raw) for raw in pages]

    def volume(self, volume_id: VolumeId) -> Volume:
        """Return a volume."""
        return views.volume(self._api.get(Service.BLOCK, f"/volumes/{volume_id}", f"read volume {volume_id}")["volume"])

    def snapshots(self) -> Sequence[Snapshot]:
        """Return the project's volume snapshots."""
        pages = self._api.pages(Service.BLOCK, "/snapshots/detail", "snapshots", "list the snapshots")
        return [views.snapshot(raw) for raw in pages]

    def volume_types(self) -> Sequence[VolumeType]:
        """Return the volume types that the project can use."""
        pages = self._api.pages(Service.BLOCK, "/types", "volume_types", "list the volume types")
        return [views.volume_type(raw) for raw in pages]

    def volume_zones(self) -> Sequence[Named]:
        """Return Cinder's available zones (id and name are equal)."""
        body = self._api.get(Service.BLOCK, "/os-availability-zone", "list Cinder's availability zones")
        zones = [zone for zone in body["availabilityZoneInfo"] if zone["zoneState"]["available"]]
        return [Named(id=zone["zoneName"], name=zone["zoneName"]) for zone in zones]

    def create_volume(self, spec: VolumeSpec) -> VolumeId:
        """Ask for a volume; don't wait. `bootable` and `image_metadata` of the spec are set by `dress_volume`."""
        wanted = {
            "name": spec.name,
            "size": spec.size_gib,
            "description": spec.description or None,
            "volume_type": spec.volume_type,
            "availability_zone": spec.availability_zone,
            "snapshot_id": spec.snapshot_id,
            "imageRef": spec.image_id,
            "metadata": dict(spec.metadata) or None,
        }
        body = {"volume": {key: value for key, value in wanted.items() if value is not None}}
        answer = self._api.post(Service.BLOCK, "/volumes", f"create volume {spec.name!r}", body)
        return VolumeId(answer.body["volume"]["id"])

    def await_volume(self, volume_id: VolumeId, status: str, timeout_s: float) -> Volume:
        """Return the volume when it has `status`; raise CloudError on error states or when time runs out."""

        def judge(see: Callable[[], Volume]) -> Volume | None:
            volume = see()
            if volume.status == status:
                return volume
            self.refuse_error_state(f"volume {volume_id}", volume_id, volume.status)
            return None

        what = f"{self._api.name}: volume {volume_id} becomes {status}"
        return self._await_volume(volume_id, judge, what, timeout_s)

    def dress_volume(self, volume_id: VolumeId, *, bootable: bool, image_metadata: Mapping[str, str]) -> None:
        """Set the boot flag and the image properties of a volume; repeating it changes nothing."""
        volume = self.volume(volume_id)
        missing = {key: value for key, value in image_metadata.items() if volume.image_metadata.get(key) != value}
        if volume.bootable != bootable:
            self._act(volume_id, {"os-set_bootable": {"bootable": bootable}})
        if missing:
            self._act(volume_id, {"os-set_image_metadata": {"metadata": missing}})

    def set_volume_metadata(self, volume_id: VolumeId, metadata: Mapping[str, str | None]) -> None:
        """Set the given keys, remove those that are None."""
        doing = f"set metadata of volume {volume_id}"
        path = f"/volumes/{volume_id}/metadata"
        there = self._api.get(Service.BLOCK, path, doing)["metadata"]
        wanted = {key: value for key, value in metadata.items() if value is not None and there.get(key) != value}
        if wanted:
            self._api.post(Service.BLOCK, path, doing, {"metadata": wanted})
        for key in [key for key, value in metadata.items() if value is None and key in there]:
            try:
                self._api.delete(Service.BLOCK, f"{path}/{quote(key)}", doing)
            except NotFound:
                continue

    def delete_volume(self, volume_id: VolumeId) -> None:
        """Delete a volume and wait until it is gone."""
        self._delete(f"/volumes/{volume_id}", f"volume {volume_id}", volume_id, self._volumes_seen)

    def create_snapshot(self, volume_id: VolumeId, name: str, metadata: Mapping[str, str]) -> SnapshotId:
        """Ask for a snapshot of a volume, in use or not; don't wait."""
        body = {"snapshot": {"volume_id": volume_id, "name": name, "force": True, "metadata": dict(metadata)}}
        answer = self._api.post(Service.BLOCK, "/snapshots", f"snapshot volume {volume_id}", body)
        return SnapshotId(answer.body["snapshot"]["id"])

    def await_snapshot(self, snapshot_id: SnapshotId, timeout_s: float) -> Snapshot:
        """Return the snapshot when it is available."""

        def judge(see: Callable[[], Snapshot]) -> Snapshot | None:
            snapshot = see()
            if snapshot.status == "available":
                return snapshot
            self.refuse_error_state(f"snapshot {snapshot_id}", snapshot_id, snapshot.status)
            return None

        what = f"{self._api.name}: snapshot {snapshot_id} becomes available"
        return wait_to_see(
            self._snapshots_seen, snapshot_id, judge, what=what, timeout_s=timeout_s, clock=self._api.clock
        )

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Delete a snapshot and wait until it is gone."""
        self._delete(f"/snapshots/{snapshot_id}", f"snapshot {snapshot_id}", snapshot_id, self._snapshots_seen)

    def refuse_error_state(self, what: str, resource_id: str, status: str) -> None:
        """Raise CloudError, with Cinder's reason where a tenant may see it, if `status` is one of its error states."""
        if not status.startswith("error"):
            return
        reason = self._reason(resource_id)
        raise CloudError(
            f"{self._api.name}: {what} went to {status}" + (f": {reason}" if reason else ""),
            remedy=f"see openstack volume message list, or ask the cloud's operator for the reason of {resource_id}",
        )

    def _snapshot(self, snapshot_id: SnapshotId) -> Snapshot:
        body = self._api.get(Service.BLOCK, f"/snapshots/{snapshot_id}", f"read snapshot {snapshot_id}")
        return views.snapshot(body["snapshot"])

    def _act(self, volume_id: VolumeId, action: Json) -> None:
        (verb,) = action
        self._api.post(Service.BLOCK, f"/volumes/{volume_id}/action", f"{verb} of volume {volume_id}", action)

    def _delete(self, path: str, what: str, resource_id: str, seen: Sights[V]) -> None:
        """Ask for a deletion, again for a while as long as the resource is busy, and wait until it is gone."""
        delete_when_idle(
            lambda: self._api.delete(Service.BLOCK, path, f"delete {what}"),
            busy=(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT),
            what=f"{self._api.name}: delete {what}",
            timeout_s=BUSY_S,
            clock=self._api.clock,
        )

        def judge(see: Callable[[], V]) -> bool | None:
            try:
                self.refuse_error_state(what, resource_id, see().status)
            except NotFound:
                return True
            return None

        what_for = f"{self._api.name}: {what} is gone"
        wait_to_see(seen, resource_id, judge, what=what_for, timeout_s=DELETE_TIMEOUT_S, clock=self._api.clock)

    def _reason(self, resource_id: str) -> str:
        version = self._api.microversion(Service.BLOCK, MESSAGES_MICROVERSION)
        if version != MESSAGES_MICROVERSION:
            return ""
        try:
            body = self._api.get(
                Service.BLOCK,
                "/messages",
                f"ask for messages on {resource_id}",
                params={"resource_uuid": resource_id},
                microversion=version,
            )
        except CloudError:  # the error at hand matters more than its explanation
            return ""
        return "; ".join(message["user_message"] for message in body.get("messages", ()))
