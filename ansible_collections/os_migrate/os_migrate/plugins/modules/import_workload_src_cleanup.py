#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_src_cleanup
short_description: Give back what a migration took from the source
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - When the server runs in the destination, gives the data volumes back to the source server, which stays off, removes what was only needed
    for the migration, and writes its report.
  - Before that, undoes the whole migration in both clouds, in the order that is safe; the source server ends as it was found, and runs again if it ran.
  - Changes nothing where nothing is open. In check mode says whether something is.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  volume_map:
    description:
      - What an earlier stage returned. It isn't needed, since the journal knows it.
    type: dict
"""

EXAMPLES = r"""
- name: Clean up in the source
  os_migrate.os_migrate.import_workload_src_cleanup:
    data: "{{ item }}"
"""

RETURN = r"""
transfer_uuid:
  description: The attempt, for the stages after this one, and for C(os-migrate resume) and C(os-migrate rollback).
  returned: when there was an attempt
  type: str
state:
  description: Where the attempt is, V(running), V(committed), V(migrated), V(rolled back) and so on.
  returned: when there was an attempt
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WORKLOAD


def main():
    constraints = dict(required_one_of=[("data", "transfer_uuid")])
    run("workloads.src_cleanup", dict(WORKLOAD, volume_map=dict(type="dict")), side="source", constraints=constraints)


if __name__ == "__main__":
    main()
