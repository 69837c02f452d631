"""What is wanted in the destination: the file's workloads, as the settings and the mapping have them.

Whoever migrates, resumes or plans reads them here and nowhere else. The server's own name and id stay: a workload is known by them.
"""

from os_migrate.files.mapping import read_mapping
from os_migrate.files.workloads import WORKLOADS_FILE, read_workloads
from os_migrate.mapping import mapped
from os_migrate.resources.workload import as_set
from os_migrate.settings import Settings
from os_migrate.workload import Workload


def described_workloads(settings: Settings) -> list[Workload]:
    """Return the workloads of the file as the settings have them, with the names of the source.

    Raises:
        UserError: there is no file, or it is wrong.
    """
    return [as_set(w, settings.workloads) for w in read_workloads(settings.data_dir / WORKLOADS_FILE)]


def wanted_workloads(settings: Settings) -> list[Workload]:
    """Return the workloads of the file as they are wanted in the destination.

    Raises:
        UserError: there is no file, or one of the files is wrong.
    """
    mapping = read_mapping(settings.mapping_file)
    return [mapped(workload, mapping) for workload in described_workloads(settings)]
