"""The fake's volumes and snapshots. Bytes vanish with their volume."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from os_migrate.errors import CloudError
from os_migrate.model import Named, Quoted, Snapshot, SnapshotId, Volume, VolumeId, VolumeSpec, VolumeType
from tests.fakes.quotas import FakeQuotas
from tests.fakes.state import Stored, blank, kept


class FakeCinder(FakeQuotas):
    """The part of `world.Cloud` that Cinder answers."""

    def volumes(self) -> Sequence[Volume]:
        with self._reads("volumes"):
            return [v.view for v in self._volumes.values() if self._listed(v.born)]

    def volume(self, volume_id: VolumeId) -> Volume:
        with self._reads("volume"):
            return self._volume(volume_id).view

    def snapshots(self) -> Sequence[Snapshot]:
        with self._reads("snapshots"):
            return [s.view for s in self._snapshots.values() if self._listed(s.born)]

    def volume_types(self) -> Sequence[VolumeType]:
        with self._reads("volume_types"):
            return list(self._volume_types)

    def volume_zones(self) -> Sequence[Named]:
        with self._reads("volume_zones"):
            return [Named("nova", "nova")]

    def create_volume(self, spec: VolumeSpec) -> VolumeId:
        with self._does("create_volume") as call:
            data, image_metadata = blank(), {}
            if spec.snapshot_id is not None:
                snapshot = self._get(self._snapshots, spec.snapshot_id, "snapshot")
                source = self._volume(snapshot.view.volume_id)
                if snapshot.view.status != "available" or spec.size_gib < source.view.size_gib:
                    raise self._refuse(f"snapshot {spec.snapshot_id} can't become that volume")
                data, image_metadata = snapshot.data, source.view.image_metadata
            elif spec.image_id is not None:
                image = self._get(self._images, spec.image_id, "image")
                if image.view.status != "active" or spec.size_gib < image.view.min_disk_gib:
                    raise self._refuse(f"image {spec.image_id} can't become that volume")
                data, image_metadata = image.data, image.view.properties
            if spec.volume_type and spec.volume_type not in {t.name for t in self._volume_types}:
                raise self._refuse(f"there is no volume type {spec.volume_type}")
            sizes = (Quoted.VOLUME_SIZE, spec.size_gib), (Quoted.GIGABYTES, spec.size_gib)
            self._refuse_beyond((Quoted.VOLUMES, 1), *sizes, volume_type=spec.volume_type or "default")
            volume = Volume(
                id=VolumeId(self._new_id("volume")),
                name=spec.name,
                status="creating",
                size_gib=spec.size_gib,
                description=spec.description,
                volume_type=spec.volume_type or "default",
                availability_zone=spec.availability_zone or "nova",
                bootable=spec.image_id is not None or bool(image_metadata),
                multiattach=any(t.multiattach for t in self._volume_types if t.name == spec.volume_type),
                encrypted=spec.volume_type in self.encrypting,
                metadata=dict(spec.metadata),
                image_metadata=dict(image_metadata),
            )
            self._volumes[volume.id] = Stored(volume, data, self.clock.now(), spec.snapshot_id)
            end = "error" if self.seam.hook.dooms(call) else "available"
            self._later(self.latency.volume, lambda: self._mark(volume.id, end, was="creating"))
        return volume.id

    def await_volume(self, volume_id: VolumeId, status: str, timeout_s: float) -> Volume:
        def look() -> bool:
            volume = self._volume(volume_id).view
            if volume.status.startswith("error"):
                raise CloudError(f"{self._name}: volume {volume_id} went to {volume.status}")
            return volume.status == status

        self._until(look, f"volume {volume_id} becomes {status}", timeout_s)
        return self._volume(volume_id).view

    def dress_volume(self, volume_id: VolumeId, *, bootable: bool, image_metadata: Mapping[str, str]) -> None:
        with self._does("dress_volume"):
            volume = self._volume(volume_id)
            merged = {**volume.view.image_metadata, **image_metadata}
            volume.view = replace(volume.view, bootable=bootable, image_metadata=merged)

    def set_volume_metadata(self, volume_id: VolumeId, metadata: Mapping[str, str | None]) -> None:
        with self._does("set_volume_metadata"):
            volume = self._volume(volume_id)
            volume.view = replace(volume.view, metadata=kept(volume.view.metadata, metadata))

    def delete_volume(self, volume_id: VolumeId) -> None:
        with self._does("delete_volume"):
            if volume_id not in self._volumes:
                return
            volume = self._volume(volume_id).view
            if volume.status not in {"available", "error", "deleting"}:
                raise self._refuse(f"volume {volume_id} is {volume.status}")
            if any(s.view.volume_id == volume_id for s in self._snapshots.values()):
                raise self._refuse(f"volume {volume_id} has snapshots")
            self._mark(volume_id, "deleting")
            self._later(self.latency.delete, lambda: self._lose_volume(volume_id))
        self._until(lambda: volume_id not in self._volumes, f"volume {volume_id} is gone")

    def create_snapshot(self, volume_id: VolumeId, name: str, metadata: Mapping[str, str]) -> SnapshotId:
        with self._does("create_snapshot") as call:
            volume = self._volume(volume_id)
            if volume.view.status not in {"available", "in-use"}:
                raise self._refuse(f"volume {volume_id} is {volume.view.status}")
            room = (Quoted.SNAPSHOTS, 1), (Quoted.GIGABYTES, volume.view.size_gib)
            self._refuse_beyond(*room, volume_type=volume.view.volume_type)
            snapshot = Snapshot(SnapshotId(self._new_id("snapshot")), name, "creating", volume_id, dict(metadata))
            self._snapshots[snapshot.id] = Stored(snapshot, volume.data, self.clock.now())
            end = "error" if self.seam.hook.dooms(call) else "available"
            self._later(self.latency.snapshot, lambda: self._mark_snapshot(snapshot.id, end))
        return snapshot.id

    def await_snapshot(self, snapshot_id: SnapshotId, timeout_s: float) -> Snapshot:
        def look() -> bool:
            snapshot = self._get(self._snapshots, snapshot_id, "snapshot").view
            if snapshot.status == "error":
                raise CloudError(f"{self._name}: snapshot {snapshot_id} went to error")
            return snapshot.status == "available"

        self._until(look, f"snapshot {snapshot_id} becomes available", timeout_s)
        return self._snapshots[snapshot_id].view

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        with self._does("delete_snapshot"):
            if snapshot_id not in self._snapshots:
                return
            if any(v.parent == snapshot_id for v in self._volumes.values()):
                raise self._refuse(f"volumes depend on snapshot {snapshot_id}")  # as some storages have it
            self._later(self.latency.delete, lambda: self._snapshots.pop(snapshot_id, None) and None)
        self._until(lambda: snapshot_id not in self._snapshots, f"snapshot {snapshot_id} is gone")

    # Inside ----------------------------------------------------------------------------------------------------------
    def _volume(self, volume_id: VolumeId) -> Stored:
        return self._get(self._volumes, volume_id, "volume")

    def _mark(self, volume_id: VolumeId, status: str, was: str | None = None) -> None:
        volume = self._volumes.get(volume_id)
        if volume is not None and was in {None, volume.view.status}:
            volume.view = replace(volume.view, status=status)

    def _mark_snapshot(self, snapshot_id: SnapshotId, status: str) -> None:
        if snapshot := self._snapshots.get(snapshot_id):
            snapshot.view = replace(snapshot.view, status=status)

    def _lose_volume(self, volume_id: VolumeId) -> None:
        if volume_id in self.precious:
            self.violations.append(f"{self._name}: {volume_id} of the operator's was deleted")
        self._volumes.pop(volume_id, None)

    def write(self, volume_id: VolumeId, data: bytes) -> None:
        """Overwrite a volume from a host."""
        if volume_id in self.precious:
            self.violations.append(f"{self._name}: {volume_id} of the operator's was overwritten")
        self._volume(volume_id).data = data

    def bytes_of(self, volume_id: VolumeId) -> bytes:
        return self._volume(volume_id).data
