#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_create_instance
short_description: Make the server in the destination
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes the ports, the server and its floating IPs. When it runs, the migration is committed, and only goes forward.
  - Does what comes before, if that wasn't done; what was done is left alone.
  - Fails if somebody used the source server since its disks were taken.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it, with the names of the source.
    type: dict
    required: true
  block_device_mapping:
    description:
      - What M(os_migrate.os_migrate.import_workload_transfer_volumes) returned. It isn't needed, since the journal knows it. Other disks
        than those are refused.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Create
  os_migrate.os_migrate.import_workload_create_instance:
    data: "{{ item }}"
    block_device_mapping: "{{ transfer.block_device_mapping }}"
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
server:
  description: The server in the destination.
  returned: success, not in check mode
  type: dict
  contains:
    id:
      description: Its id.
      type: str
    name:
      description: Its name.
      type: str
    status:
      description: Its status, as Nova has it.
      type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WITH_DATA


def main():
    options = dict(WITH_DATA, block_device_mapping=dict(type="list", elements="dict"))
    run("workloads.create_instance", options, side="destination")


if __name__ == "__main__":
    main()
