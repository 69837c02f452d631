"""The proof that a migration leaves: for each disk what was copied, and both digests. Made from the journal alone.

docs/files.md describes the file. Its fields are only ever added to; what changes their meaning gets another SCHEMA_VERSION.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cattrs import Converter
from cattrs.errors import BaseValidationError

from os_migrate.errors import UserError
from os_migrate.files.durable import write_atomically
from os_migrate.files.sealed import read_sealed, sealed
from os_migrate.journal import Attempt, StepRecord
from os_migrate.model import NO_SERVER, NO_VOLUME, AttemptId, ServerAction, ServerId, Side, VolumeId
from os_migrate.nbd import CopyResult, Coverage, DiskPart, ScanJob, ScanResult
from os_migrate.steps.detached import SurveyVolume
from os_migrate.steps.servers import CreateServer, ReadActions, SurveySource
from os_migrate.steps.transfer import AwaitJob, ReadTools, StartJob
from os_migrate.steps.volumes import CreateVolume
from os_migrate.survey import Survey

SCHEMA: Final = "os-migrate report"
SCHEMA_VERSION: Final = 1

REPORT_DIR: Final = "reports"

ALGORITHM: Final = (
    "sha256 over the disk's size and, for each 64 KiB block in use that is not all zero, its offset and bytes;"
    " see docs/decisions/0002-digest-of-data-blocks.md"
)

PROVEN: Final = "proven: every copy was read back after it was flushed, and its digest is that of its source"
NOTHING_PROVEN: Final = "NOTHING WAS PROVEN: at least one copy was not compared with its source"
NOTHING_COPIED: Final = "nothing was copied, so there is nothing to prove"

_codec = Converter()


@dataclass(frozen=True)
class DiskReport:
    """One disk. Both digests are those of `nbd.ScanResult`, each read on its own side; the copy's after it was flushed.

    `source_volume_id` is None for a boot disk that was local to Nova, `used_bytes` where the source was read without a map, a
    digest where that side was not read. `coverage` and `parts` say what of the source its digest is over.
    """

    device: str
    source_volume_id: VolumeId | None
    destination_volume_id: VolumeId
    size_bytes: int
    used_bytes: int | None
    data_bytes: int
    extents: int
    coverage: Coverage
    parts: tuple[DiskPart, ...]
    source_digest: str | None
    destination_digest: str | None
    copy_seconds: float
    wire_bytes: int
    copy_method: str
    copy_reason: str

    @property
    def proven(self) -> bool:
        """Say whether the copy was compared with its source, and equal."""
        return self.source_digest is not None and self.source_digest == self.destination_digest


@dataclass(frozen=True)
class WorkloadReport:
    """One migration, of a server or of the detached volume `source_volume_id`; `stage_seconds` in the order of the sequence.

    `source_actions` is what had been done to the source server when its disks were taken, `tools` the versions on both sides.
    """

    attempt: AttemptId
    name: str
    source_server_id: ServerId
    destination_server_id: ServerId
    began_at: str
    ended_at: str
    proof: str
    algorithm: str
    tools: dict[Side, dict[str, str]]
    source_actions: tuple[ServerAction, ...]
    disks: tuple[DiskReport, ...]
    stage_seconds: tuple[tuple[str, float], ...]
    source_volume_id: VolumeId = NO_VOLUME

    @property
    def source_id(self) -> str:
        """Return the id in the source of what was migrated."""
        return self.source_volume_id or self.source_server_id


def report(attempt: Attempt, steps: Sequence[StepRecord], stage_seconds: Mapping[str, float]) -> WorkloadReport:
    """Return what the journal says of a migration that is done."""
    found = _Results(steps)
    survey: Survey = found.one(SurveyVolume if attempt.volume_id else SurveySource)
    disks = tuple(_disks(found, survey))
    return WorkloadReport(
        attempt=attempt.id,
        name=attempt.name,
        source_server_id=attempt.server_id,
        destination_server_id=NO_SERVER if attempt.volume_id else found.one(CreateServer),
        began_at=_moment(attempt.started),
        ended_at=_moment(max(record.ended or record.tried for record in steps)),
        proof=_proof(disks),
        algorithm=ALGORITHM,
        tools={side: dict(found.tools(side)) for side in Side},
        source_actions=() if attempt.volume_id else tuple(found.one(ReadActions)),
        disks=disks,
        stage_seconds=tuple((stage, round(seconds, 3)) for stage, seconds in stage_seconds.items()),
        source_volume_id=attempt.volume_id,
    )


def _disks(found: "_Results", survey: Survey) -> Iterable[DiskReport]:
    for disk in survey.disks:
        copy, source = found.job("copy", disk.device), found.job("scan", disk.device)
        if not isinstance(copy, CopyResult):
            continue  # not copied: the twin boots from an image, or the operator brought the volumes
        assert isinstance(source, ScanResult), "what was copied was scanned"
        read = copy.sent or source
        destination = found.job("verify", disk.device)
        yield DiskReport(
            device=disk.device,
            source_volume_id=disk.volume_id,
            destination_volume_id=found.volume(disk.device),
            size_bytes=source.size_bytes,
            used_bytes=source.used_bytes if source.parts else None,
            data_bytes=read.data_bytes,
            extents=read.extents,
            coverage=found.coverage(disk.device),
            parts=source.parts,
            source_digest=read.digest or None,
            destination_digest=destination.digest or None if isinstance(destination, ScanResult) else None,
            copy_seconds=round(copy.seconds, 3),
            wire_bytes=copy.wire_bytes,
            copy_method=copy.method,
            copy_reason=copy.reason,
        )


def _proof(disks: Sequence[DiskReport]) -> str:
    if not disks:
        return NOTHING_COPIED
    return PROVEN if all(disk.proven for disk in disks) else NOTHING_PROVEN


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# Files -----------------------------------------------------------------------------------------------------------------


def report_file(proof: WorkloadReport, data_dir: Path) -> Path:
    """Return where a report is kept: named after the id in the source, since names may be anything."""
    return data_dir / REPORT_DIR / f"{proof.source_id}.json"


def report_files(data_dir: Path) -> list[Path]:
    """Return the reports of a data dir."""
    return sorted((data_dir / REPORT_DIR).glob("*.json"))


def write_report(proof: WorkloadReport, data_dir: Path) -> None:
    """Write a report as JSON, durably, sealed with its digest."""
    file = report_file(proof, data_dir)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(file, sealed({"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **asdict(proof)}))


def read_report(file: Path) -> WorkloadReport:
    """Read a report.

    Raises:
        UserError: it can't be read, was edited since it was written, or is of a version that we don't know.
    """
    content = read_sealed(file)
    schema = (content.pop("schema", None), content.pop("schema_version", None))
    if schema != (SCHEMA, SCHEMA_VERSION):
        raise UserError(
            f"{file} is no report of schema version {SCHEMA_VERSION}",
            remedy="use the version of OS Migrate that wrote it",
        )
    try:
        return _codec.structure(content, WorkloadReport)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        raise UserError(f"{file} is not as a report is: {error}", remedy="take it from a backup") from None


class _Results:
    """Look up the results of steps."""

    def __init__(self, steps: Sequence[StepRecord]) -> None:
        self._steps = steps

    def one(self, kind: type) -> Any:
        """Return what the only step of a kind returned."""
        return next(r.result for r in self._steps if isinstance(r.step, kind))

    def tools(self, side: Side) -> Sequence[tuple[str, str]]:
        """Return a side's tools; nothing where nothing was copied."""
        for record in self._steps:
            match record.step:
                case ReadTools() as read if read.side is side:
                    return record.result or ()
        return ()

    def coverage(self, disk: str) -> Coverage:
        """Return what of the source was read."""
        for record in self._steps:
            match record.step:
                case StartJob(side=Side.SOURCE, job=ScanJob() as job) as start if start.subject == f"scan {disk}":
                    return job.coverage
        raise AssertionError(f"no scan was begun of {disk}")

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
