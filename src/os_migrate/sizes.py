"""What is too small in the destination for what is to go there: found beforehand, not after the copy. Pure.

Each finding is what is wrong, and its remedy.
"""

from collections.abc import Iterator, Mapping

from os_migrate.model import Flavor, Image, Volume, VolumeId
from os_migrate.workload import VolumeChoice, Workload

Finding = tuple[str, str]


def small_volumes(workload: Workload, there: Mapping[VolumeId, Volume]) -> Iterator[Finding]:
    """Yield volumes that the operator brings and that are smaller than those of the source whose place they take.

    Which of the data volumes takes whose place isn't said: the largest must be as large as the largest, and so on.
    """

    def size_gib(choice: VolumeChoice) -> int:
        volume = there.get(choice.uuid) if choice.uuid else None
        return volume.size_gib if volume else 0

    migration = workload.migration
    wanted_gib = [v.info.size for v in workload.params.volumes]
    brought: list[tuple[VolumeChoice, int]] = []
    if workload.params.image_ref is None and wanted_gib:
        brought.append((migration.boot_volume, wanted_gib.pop(0)))
    if len(migration.additional_volumes) == len(wanted_gib):
        brought += zip(sorted(migration.additional_volumes, key=size_gib), sorted(wanted_gib), strict=True)
    for choice, wanted in brought:
        if 0 < size_gib(choice) < wanted:
            yield (
                f"destination volume {choice.uuid} has {size_gib(choice)} GiB, less than the {wanted} of the source's",
                f"extend it: `openstack volume set --size {wanted} {choice.uuid}`; or edit the uuid",
            )


def small_flavor(workload: Workload, flavor: Flavor, image: Image | None, boot: Volume | None) -> Iterator[Finding]:
    """Yield what the twin's flavor lacks for the image, or the volume that the operator brings, that it boots from.

    A boot disk that is copied is a volume of its own size, and needs nothing of the flavor.

    Source: _validate_flavor_image_nostatus in https://opendev.org/openstack/nova/src/branch/master/nova/compute/api.py
    """
    if image is not None and 0 < flavor.disk_gib < image.disk_gib:  # 0 is as large as the image
        yield (
            f"flavor {flavor.name!r} has a disk of {flavor.disk_gib} GiB, image {image.name!r} needs {image.disk_gib}",
            "edit flavor_ref, or set boot_disk_copy: true",
        )
    what, min_ram_mib = "", 0
    if image is not None:
        what, min_ram_mib = f"image {image.name!r}", image.min_ram_mib
    elif boot is not None and not workload.migration.data_copy:
        said = boot.image_metadata.get("min_ram", "")
        what, min_ram_mib = f"volume {boot.id}", int(said) if said.isdecimal() else 0
    if flavor.ram_mib < min_ram_mib:
        yield (
            f"flavor {flavor.name!r} has {flavor.ram_mib} MiB of memory, {what} needs {min_ram_mib}",
            "edit flavor_ref",
        )
