"""What the stages of a migration tell each other of its disks, in the words of OS Migrate 1.0.x; made from the journal. Pure.

volume_map              by the device that Nova reports on the source, "/dev/vda": where the disk is on its way
block_device_mapping    the twin's disks in boot order, as Nova takes them
"""

from collections.abc import Iterable, Sequence
from typing import Any

from os_migrate.journal import StepRecord
from os_migrate.model import GIB, BlockDevice, Side, VolumeId
from os_migrate.nbd import CopyResult, ExportJob, ScanResult, SendJob
from os_migrate.plan import Target
from os_migrate.steps.servers import CreateServer, ResolveTarget, SnapshotServer
from os_migrate.steps.transfer import AwaitJob, StartJob
from os_migrate.steps.volumes import AttachVolume, CreateVolume, SnapshotVolume
from os_migrate.survey import Disk, Survey
from os_migrate.twin import block_devices, volume_spec
from os_migrate.workload import Subject, Workload


def volume_map(steps: Sequence[StepRecord], subject: Subject, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the disks that are copied; a detached volume goes by its id. What isn't known (yet) is None, `progress` is in percent.

    `source_dev` and `dest_dev` are None for good: a volume is found by its serial, and no name of a guest's is trusted. There is no port:
    `url` is a socket on the source host.
    """
    return {disk.device: _entry(steps, subject, disk, prefix) for disk in _disks(steps) if _source_id(steps, disk)}


def block_device_mapping(steps: Sequence[StepRecord], workload: Workload) -> list[dict[str, Any]]:
    """Return the twin's disks, as far as their volumes are made."""
    target = next((r.result for r in steps if isinstance(r.step, ResolveTarget)), None)
    if not isinstance(target, Target):
        return []
    copied = [(disk, made) for disk in _disks(steps) if (made := _destination_id(steps, disk)) is not None]
    return [_block_device(device) for device in block_devices(workload, target, copied)]


def twin_id(steps: Iterable[StepRecord]) -> str | None:
    """Return the id of the twin, once it was made."""
    return next((str(r.result) for r in steps if isinstance(r.step, CreateServer) and r.result is not None), None)


def _disks(steps: Sequence[StepRecord]) -> tuple[Disk, ...]:
    return next((r.result.disks for r in steps if isinstance(r.result, Survey)), ())


def _entry(steps: Sequence[StepRecord], subject: Subject, disk: Disk, prefix: str) -> dict[str, Any]:
    served = next(
        (r.step.job for r in steps if isinstance(r.step, StartJob) and r.step.subject == f"export {disk.device}"), None
    )
    return {
        "source_dev": None,
        "source_id": _source_id(steps, disk),
        "dest_dev": None,
        "dest_id": _destination_id(steps, disk),
        "snap_id": _made(steps, SnapshotVolume) if disk.is_boot else None,
        "image_id": _made(steps, SnapshotServer) if disk.is_boot else None,
        "name": volume_spec(subject, disk, 0, {}, prefix).name if isinstance(subject, Workload) else subject.name,
        "size": _size_gib(steps, subject, disk),
        "port": None,
        "url": f"unix:{served.socket}" if isinstance(served, SendJob | ExportJob) else None,
        "progress": 100.0 if isinstance(_job(steps, "copy", disk), CopyResult) else 0.0,
        "bootable": disk.bootable,
    }


def _size_gib(steps: Iterable[StepRecord], subject: Subject, disk: Disk) -> int | None:
    """Return what the file says, and of a disk that is local to Nova what its scan found."""
    volumes = [v.info for v in subject.params.volumes] if isinstance(subject, Workload) else [subject.info]
    for volume in volumes:
        if volume.id == disk.volume_id:
            return volume.size
    scan = _job(steps, "scan", disk)
    return -(-scan.size_bytes // GIB) if isinstance(scan, ScanResult) else None


def _job(steps: Iterable[StepRecord], activity: str, disk: Disk) -> object:
    for record in steps:
        match record.step:
            case AwaitJob() as job if (job.activity, job.disk) == (activity, disk.device):
                return record.result
    return None


def _made(steps: Iterable[StepRecord], kind: type[SnapshotVolume | SnapshotServer]) -> str | None:
    return next((record.result for record in steps if isinstance(record.step, kind)), None)


def _source_id(steps: Iterable[StepRecord], disk: Disk) -> VolumeId | None:
    """Return the volume that is attached to the source host for a disk."""
    subject = f"{Side.SOURCE} {disk.device}"
    return next(
        (r.step.volume_id for r in steps if isinstance(r.step, AttachVolume) and r.step.subject == subject), None
    )


def _destination_id(steps: Iterable[StepRecord], disk: Disk) -> VolumeId | None:
    for record in steps:
        match record.step:
            case CreateVolume(side=Side.DESTINATION) as create if create.device == disk.device:
                return record.result
    return None


def _block_device(device: BlockDevice) -> dict[str, Any]:
    """Return an entry of Nova's structure.

    Source: https://docs.openstack.org/nova/latest/user/block-device-mapping.html
    """
    of_volume = device.volume_id is not None
    return {
        "boot_index": device.boot_index,
        "uuid": device.volume_id or device.image_id,
        "source_type": "volume" if of_volume else "image",
        "destination_type": "volume" if of_volume else "local",
        "delete_on_termination": device.delete_on_termination,
    }
