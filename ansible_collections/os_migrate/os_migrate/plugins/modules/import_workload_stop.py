#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_stop
short_description: Stop the source server of a migration
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Begins the migration of a server, unless it has begun, marks the source server as on loan, and stops it if it runs.
  - It is unlocked before, if it is locked and C(os_migrate_workload_unlock_before_migration) says so.
  - Whether it ran is in the journal and in its metadata. A rollback starts it again.
  - In check mode it is only found out whether the migration could begin.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it, with the names of the source.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Stop the source server
  os_migrate.os_migrate.import_workload_stop:
    data: "{{ item }}"
"""

RETURN = r"""
transfer_uuid:
  description: The attempt, for the stages after this one, and for C(os-migrate resume) and C(os-migrate rollback).
  returned: success, not in check mode
  type: str
state:
  description: Where the attempt is, V(running), V(committed), V(migrated), V(rolled back) and so on.
  returned: success, not in check mode
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WITH_DATA


def main():
    run("workloads.stop", WITH_DATA, side="source")


if __name__ == "__main__":
    main()
