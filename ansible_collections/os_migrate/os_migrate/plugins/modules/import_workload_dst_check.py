#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_dst_check
short_description: Check all that the migration of a server needs
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes the checks that C(os-migrate plan) and C(os-migrate migrate) make of a server, and fails with every problem at once, each with its
    remedy. They are references that the destination can't resolve, quotas, the state of the source server and of its volumes, and the
    conversion hosts where data is copied.
  - Nothing is touched. A migration that is on its way was checked when it began, and is not checked again.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it.
    type: dict
    required: true
  dst_filters:
    description:
      - What is asked of the destination besides, in place of C(os_migrate_dst_filters).
    type: dict
"""

EXAMPLES = r"""
- name: Check
  os_migrate.os_migrate.import_workload_dst_check:
    data: "{{ item }}"
"""

RETURN = r"""
error:
  description: Why the task failed. Its C(problems) are all that is in the way, each with C(where), C(what) and C(remedy).
  returned: failure
  type: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(data=dict(type="dict", required=True), dst_filters=dict(type="dict"))
    run("workloads.dst_check", options, side="destination")


if __name__ == "__main__":
    main()
