"""Decide, before anything is touched, whether workloads can be migrated and into what.

Pure: it looks only at what it is given, and finds every problem at once.

inventory   what a destination project holds and can use
resolve     a workload's references, resolved in an inventory
source      why it can't leave its source as it is
volumes     the same of a detached volume, and what the destination lacks for it
claims      what only one workload can have in the destination
hosts       which conversion hosts lack
versions    what the clouds' APIs are too old for
made        what a migration makes
quotas      whether that fits
estimate    how long it takes
"""

from os_migrate.plan.claims import claims
from os_migrate.plan.hosts import host_problems
from os_migrate.plan.inventory import Inventory, twin_of
from os_migrate.plan.quotas import shortages, untold
from os_migrate.plan.resolve import FloatingIpTarget, Target, resolve
from os_migrate.plan.source import loan_problem, source_problems
from os_migrate.plan.versions import service_problems, version_problems
from os_migrate.plan.volumes import copy_of, destination_volume_problems, source_volume_problems

__all__ = [
    "FloatingIpTarget",
    "Inventory",
    "Target",
    "claims",
    "copy_of",
    "destination_volume_problems",
    "host_problems",
    "loan_problem",
    "resolve",
    "service_problems",
    "shortages",
    "source_problems",
    "source_volume_problems",
    "twin_of",
    "untold",
    "version_problems",
]
