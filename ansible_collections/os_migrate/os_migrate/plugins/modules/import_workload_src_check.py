#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_src_check
short_description: Check that a source server may leave
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Begins the migration of a server, unless it has begun, and marks the source server as on loan.
  - Fails unless the server is off, its volumes are those of the file, and nobody has used it since its disks were taken. If that shows
    before anything was begun, nothing is touched.
  - In check mode it is only found out whether the migration could begin.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  name:
    description:
      - The id of the source server, which C(workloads.yml) in O(data_dir) describes. O(data) wins.
    type: str
"""

EXAMPLES = r"""
- name: Check the source server
  os_migrate.os_migrate.import_workload_src_check:
    name: "{{ item['_info']['id'] }}"

- name: Check the source server as a task describes it
  os_migrate.os_migrate.import_workload_src_check:
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
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WORKLOAD


def main():
    options = dict(WORKLOAD, name=dict(type="str"))
    run("workloads.src_check", options, side="source", constraints=dict(required_one_of=[("data", "name")]))


if __name__ == "__main__":
    main()
