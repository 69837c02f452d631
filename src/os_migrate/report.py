"""The proof that a migration leaves: for each disk what was copied, and both digests. Made from the journal alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from os_migrate.files.durable import write_atomically
from os_migrate.journal import Attempt, StepRecord
from os_migrate.model import AttemptId, ServerId, Side, VolumeId
from os_migrate.nbd import CopyResult, ScanResult
from os_migrate.steps.servers import CreateServer, SurveySource
from os_migrate.steps.transfer import AwaitJob
from os_migrate.steps.volumes import CreateVolume
from os_migrate.survey import Survey


@dataclass(frozen=True)
class DiskReport:
    """One disk. Both digests are those of `nbd.ScanResult`, each read on its own side; the copy's after it was flushed.

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


def report(attempt: Attempt, steps: Sequence[StepRecord], stage_seconds: Mapping[str, float]) -> WorkloadReport:
    """Return what the journal says of a migration that is done."""
    found = _Results(steps)
    survey: Survey = found.one(SurveySource)
    disks = []
    for disk in survey.disks:
        copy = found.job("copy", disk.device)
        if not isinstance(copy, CopyResult):
            continue  # not copied: the twin boots from an image, or the operator brought the volumes
        source, destination = found.job("scan", disk.device), found.job("verify", disk.device)
        assert isinstance(source, ScanResult), "what was copied was scanned"
        assert isinstance(destination, ScanResult), "what was copied was verified"
        disk_report = DiskReport(
            device=disk.device,
            source_volume_id=disk.volume_id,
            destination_volume_id=found.volume(disk.device),
            size_bytes=source.size_bytes,
            data_bytes=source.data_bytes,
            extents=source.extents,
            source_digest=source.digest,
            destination_digest=destination.digest,
            copy_seconds=copy.seconds,
            wire_bytes=copy.wire_bytes,
        )
        disks.append(disk_report)
    return WorkloadReport(
        attempt=attempt.id,
        name=attempt.name,
        source_server_id=attempt.server_id,
        destination_server_id=found.one(CreateServer),
        disks=tuple(disks),
        stage_seconds=tuple(stage_seconds.items()),
    )


def report_file(proof: WorkloadReport, data_dir: Path) -> Path:
    """Return where a report is kept: named after the source server's id, since names may be anything."""
    return data_dir / "reports" / f"{proof.source_server_id}.json"


def write_report(proof: WorkloadReport, data_dir: Path) -> None:
    """Write a report as JSON, durably."""
    file = report_file(proof, data_dir)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(file, json.dumps(asdict(proof), indent=2) + "\n")


class _Results:
    """Look up the results of steps."""

    def __init__(self, steps: Sequence[StepRecord]) -> None:
        self._steps = steps

    def one(self, kind: type) -> Any:
        return next(r.result for r in self._steps if isinstance(r.step, kind))

    def job(self, activity: str, disk: str) -> object:
        for record in self._steps:
            match record.step:
                case AwaitJob() as job if (job.activity, job.disk) == (activity, disk):
                    return record.result
        return None

    def volume(self, disk: str) -> VolumeId:
        for record in self._steps:
            match record.step:
                case CreateVolume(side=Side.DESTINATION) as create if create.device == disk:
                    return VolumeId(str(record.result))
        raise AssertionError(f"no volume was made for {disk}")
