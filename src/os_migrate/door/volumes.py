"""The stages of a detached volume's migration, for Ansible: each module in a process of its own, as those of `workloads`."""

from os_migrate.door.call import Answer, Call
from os_migrate.door.stages import NothingToDo, Stage
from os_migrate.door.staging import clean_up, foretold, going_forward, result_of, settings_with_hosts
from os_migrate.door.volume_map import volume_map
from os_migrate.files.resourcefile import dump_resources
from os_migrate.files.workloads import parse_detached_volumes
from os_migrate.resources.wanted import volumes_as_wanted
from os_migrate.settings import Settings
from os_migrate.workload import DetachedVolume


def export(call: Call) -> Answer:
    """Bring a volume to the source host, and serve it there."""
    return _forward(call, Stage.EXPORT)


def transfer(call: Call) -> Answer:
    """Copy a volume, and prove the copy; from then on its migration only goes forward."""
    return _forward(call, Stage.TRANSFER)


def src_cleanup(call: Call) -> Answer:
    """Give a volume back; while its copy isn't whole, undo all, in both clouds."""
    settings = settings_with_hosts(call)
    return clean_up(call, settings, _volume(call, settings) if call.options.get("data") else None)


def _forward(call: Call, stage: Stage) -> Answer:
    settings = settings_with_hosts(call)
    volume = _volume(call, settings)
    try:
        if call.check:
            return foretold(call, settings, volume, stage)
        with going_forward(call, settings, volume, stage) as (_, left):
            disks = volume_map(left.steps, volume, settings.workloads.boot_volume_prefix)
    except NothingToDo as error:
        return {"changed": False, "reason": error.what}
    return {**result_of(left), "volume_map": disks}


def _volume(call: Call, settings: Settings) -> DetachedVolume:
    """Return the volume that `data` describes.

    Raises:
        PlanError: it is wrong, with every problem.
    """
    described = parse_detached_volumes(dump_resources([call.options["data"]]), "data")
    (volume,) = volumes_as_wanted(described, settings)
    return volume
