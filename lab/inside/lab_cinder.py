"""Cinder's NFS driver, freed of a check that Debian's build applies to the driver's own files.

Debian's Cinder 21.3.1 converts a qcow2 image only if its header names no backing file, to protect against images made by
users. The NFS driver's snapshots are qcow2 files whose backing files the driver itself chose, so a volume from a snapshot
that has an earlier one, and an upload of a volume that has snapshots, are refused. These two conversions call qemu-img.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cinder.image import image_utils  # type: ignore[import-not-found] # Cinder is in the container only
from cinder.volume import volume_utils  # type: ignore[import-not-found]
from cinder.volume.drivers import nfs  # type: ignore[import-not-found]


class LabNfsDriver(nfs.NfsDriver):  # type: ignore[misc] # Cinder has no types
    """NfsDriver whose conversions accept the backing files that it wrote. The lab has no encrypted volumes."""

    def _flatten(self, source: Path, target: str | Path) -> None:
        """Write a raw copy of a qcow2 file and all that it builds on."""
        self._execute("qemu-img", "convert", "-O", "raw", str(source), str(target), run_as_root=True)

    def _copy_volume_from_snapshot(self, snapshot: Any, volume: Any, *_args: Any, **_kwargs: Any) -> None:
        """Copy what the volume held when the snapshot was made: the file behind the snapshot's own."""
        info = self._read_info_file(self._local_path_volume_info(snapshot.volume))
        folder = Path(self._local_volume_dir(snapshot.volume))
        written_since = self._qemu_img_info(str(folder / info[snapshot.id]), snapshot.volume.name)
        target = self._local_path_volume(volume)
        self._flatten(folder / written_since.backing_file, target)
        self._set_rw_permissions_for_all(target)

    def _copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: dict[str, Any], *_args: Any, **_kwargs: Any
    ) -> None:
        """Upload a volume, flattened if it has snapshots."""
        active = Path(self._local_path_active_image(volume))
        with image_utils.temporary_file(prefix=f"{volume.id}.upload.") as flat:
            if self._qemu_img_info(str(active), volume.name).file_format == "raw":
                upload = str(active)
            else:
                self._flatten(active, flat)
                upload = flat
            volume_utils.upload_volume(context, image_service, image_meta, upload, volume, run_as_root=True)
