"""A world around the engine with detached volumes in the source instead of servers; see `scene`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from os_migrate.batch import Outcome, Result
from os_migrate.model import Tag, Volume
from os_migrate.resources.detached import describe
from os_migrate.twin import boot_properties
from os_migrate.workload import DetachedVolume
from tests.fakes.scene import Scene, _same
from tests.fakes.state import PROMPT, Latency

METADATA = {"backup": "daily"}


class DetachedScene(Scene):
    """Two clouds, and some detached volumes in the source; the first is bootable."""

    def __init__(
        self, directory: Path, volumes: int = 1, *, latency: Latency = PROMPT, parallel: int = 1, pairs: int = 1
    ) -> None:
        super().__init__(directory, latency=latency, parallel=parallel, pairs=pairs)
        for number in range(volumes):
            new = self.source.add_volume(f"archive {number}", number + 1, bootable=not number, volume_type="fast")
            self.source._volumes[new].view = replace(
                self.source._volumes[new].view, description="of old", metadata=METADATA
            )
        self.volumes: list[DetachedVolume] = [describe(volume) for volume in self.source.volumes()]
        self.workloads = list(self.volumes)
        for cloud in (self.source, self.destination):
            cloud.hold_dear()
        self.before = self.picture()

    def copies(self, volume: DetachedVolume) -> list[Volume]:
        """Return what carries the origin of a volume."""
        views = [stored.view for stored in self.destination._volumes.values()]
        return [view for view in views if view.metadata.get(Tag.ORIGIN_KEY) == volume.id]

    def give_what_no_cleanup_knows(self) -> None:
        """There is nothing of that kind."""

    def assert_migrated(
        self, outcomes: Sequence[Outcome] | None = None, *, floating_ips: bool = True, dress: bool = True
    ) -> None:
        """Check that all volumes have one copy each, whole, that nothing else is new, and that the source is as it was."""
        if outcomes is not None:
            assert [o.result for o in outcomes] == [Result.MIGRATED] * len(outcomes), outcomes
        self.assert_nothing_left()
        for volume in self.volumes:
            (copy,) = self.copies(volume)
            self._assert_copy(volume, copy)
        before, now = self.before[1], self.picture()[1]
        copies = {copy.id for volume in self.volumes for copy in self.copies(volume)}
        new = {kind: set(now[kind]) - set(before[kind]) for kind in before}  # type: ignore[call-overload]
        assert {kind: ids for kind, ids in new.items() if ids} == {"resources": copies, "bytes": copies}
        _same(self.before[0], self.picture()[0])

    def _assert_copy(self, volume: DetachedVolume, copy: Volume) -> None:
        assert (copy.status, copy.attachments) == ("available", ())
        params = volume.params
        kept = (copy.name, copy.description, copy.volume_type, copy.availability_zone)
        assert kept == (params.name, params.description, params.volume_type, params.availability_zone)
        assert (copy.size_gib, copy.bootable) == (volume.info.size, volume.info.is_bootable)
        assert copy.image_metadata == boot_properties(params.volume_image_metadata or {})
        assert copy.metadata == {**METADATA, Tag.ORIGIN_KEY: volume.id}
        assert self.destination.bytes_of(copy.id) == self.source.bytes_of(volume.id)
