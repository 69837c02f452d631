#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_dst_failure_cleanup
short_description: Undo what is left of a migration that failed
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Undoes in both clouds what M(os_migrate.os_migrate.import_workload_src_cleanup) has left of a migration that failed; usually that is nothing.
  - A server that runs in the destination is never deleted. Changes nothing where nothing is open. In check mode says whether something is.
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
- name: Clean up in the destination
  os_migrate.os_migrate.import_workload_dst_failure_cleanup:
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
    run(
        "workloads.dst_failure_cleanup",
        dict(WORKLOAD, volume_map=dict(type="dict")),
        side="destination",
        constraints=constraints,
    )


if __name__ == "__main__":
    main()
