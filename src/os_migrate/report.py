"""What a migration leaves as proof: for each disk, what was copied and both digests."""

from dataclasses import dataclass

from os_migrate.model import AttemptId, ServerId, VolumeId


@dataclass(frozen=True)
class DiskReport:
    """One disk. Both digests are those of `nbd.ScanResult`, each read on its own side after the copy was flushed.

    `source_volume_id` is None for a boot disk that was local to Nova.
    """

    device: str
    source_volume_id: VolumeId | None
    destination_volume_id: VolumeId
    size_bytes: int
    data_bytes: int
    extents: int
    source_digest: str
    destination_digest: str
    copy_seconds: float
    wire_bytes: int


@dataclass(frozen=True)
class WorkloadReport:
    """One migration; `stage_seconds` in the order of the sequence."""

    attempt: AttemptId
    name: str
    source_server_id: ServerId
    destination_server_id: ServerId
    disks: tuple[DiskReport, ...]
    stage_seconds: tuple[tuple[str, float], ...]
