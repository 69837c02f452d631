"""Our way: the engine's own stages, `export_volumes` and `transfer_volumes`, on a run with a journal."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from bench.bed import USER, Bed
from bench.cases import Variant
from bench.disks import Disk
from os_migrate import flow
from os_migrate.events import Events, Listener
from os_migrate.journal import Journal
from os_migrate.model import Server, Side
from os_migrate.run import Run
from os_migrate.settings import ConversionSettings, Settings, TransferSettings
from os_migrate.step import Lasts
from os_migrate.workload import (
    MigrationParams,
    Ref,
    VolumeInfo,
    VolumeParams,
    Workload,
    WorkloadInfo,
    WorkloadParams,
    WorkloadVolume,
)
from os_migrate.world import Cloud, SystemClock, World


def settings_of(variant: Variant, data_dir: Path) -> Settings:
    """Return what an operator would have set."""
    transfer = TransferSettings(proof=variant is not Variant.UNPROVEN)
    return Settings(data_dir=data_dir, conversion=ConversionSettings(ssh_user=USER), transfer=transfer)


class OurTransfer:
    """A server with these disks, whose migration is about to begin."""

    def __init__(self, bed: Bed, disks: Sequence[Disk], variant: Variant, hear: Listener) -> None:
        self._bed = bed
        self._variant = variant
        source = bed.clouds[Side.SOURCE]
        self._server = source.add_server("bench", [source.lend(disk.path, disk.recipe.name) for disk in disks])
        self._world = World(
            source=cast("Cloud", source),
            destination=cast("Cloud", bed.clouds[Side.DESTINATION]),
            source_host=bed.machines[Side.SOURCE].host,
            destination_host=bed.machines[Side.DESTINATION].host,
            events=Events(hear),
            clock=SystemClock(),
            timeout_s=60.0,
        )
        self._directory = TemporaryDirectory(dir=bed.work)
        self._journal = Journal(Path(self._directory.name) / "journal.sqlite")
        attempt = self._journal.begin(self._server.id, "bench")
        self._run = Run(self._world, self._journal, attempt, settings_of(variant, Path(self._directory.name)))
        self.copies: list[Path] = []

    def __call__(self) -> None:
        """Export and transfer; the destination volumes are left, detached."""
        workload = _workload(self._server, self._bed)
        exported = flow.export_volumes(self._run, workload)
        copied = flow.transfer_volumes(self._run, workload, exported)
        self.copies = [self._bed.clouds[Side.DESTINATION].file_of(c.volume_id) for c in copied]

    def close(self) -> None:
        """Undo in the source what the migration needed; after a failure, everything."""
        with self._directory, closing(self._journal):
            self._run.undo(*(Lasts if not self.copies else (Lasts.TRANSFER, Lasts.MIGRATION)))


def _workload(server: Server, bed: Bed) -> Workload:
    source = bed.clouds[Side.SOURCE]
    volumes = [source.volume(attachment.volume_id) for attachment in server.volumes]
    return Workload(
        WorkloadParams(
            name=server.name,
            flavor_ref=Ref("bench"),
            volumes=tuple(WorkloadVolume(VolumeParams(name=v.name), VolumeInfo(v.id, v.size_gib)) for v in volumes),
        ),
        WorkloadInfo(id=server.id),
        MigrationParams(boot_disk_copy=True),
    )
