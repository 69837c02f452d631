#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_transfer_volumes
short_description: Copy the disks of a server, and prove the copies
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes the volumes in the destination, attaches them to its conversion host, copies, and compares each copy with its source.
  - Does what comes before, if that wasn't done. What was done is left alone, and its results are returned again.
  - A copy that goes on from an earlier process, which was killed, is waited for.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it, with the names of the source.
    type: dict
    required: true
  volume_map:
    description:
      - What M(os_migrate.os_migrate.import_workload_export_volumes) returned. It isn't needed, since the journal knows it.
    type: dict
"""

EXAMPLES = r"""
- name: Transfer
  os_migrate.os_migrate.import_workload_transfer_volumes:
    data: "{{ item }}"
    transfer_uuid: "{{ exports.transfer_uuid }}"
    volume_map: "{{ exports.volume_map }}"
    log_file: "{{ prelim.log_file }}"
    state_file: "{{ prelim.state_file }}"
  register: transfer
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
volume_map:
  description: The disks that are copied, by the device that Nova reports on the source.
  returned: success, not in check mode
  type: dict
  sample:
    /dev/vda:
      source_dev: null
      source_id: 5ab3...
      dest_dev: null
      dest_id: null
      snap_id: 2c11...
      image_id: null
      name: web1-boot
      size: 10
      port: null
      url: unix:/run/os-migrate/...
      progress: 0.0
      bootable: true
block_device_mapping:
  description: The disks of the server that is to be made, in boot order, as Nova takes them.
  returned: success, not in check mode
  type: list
  elements: dict
  sample:
    - boot_index: 0
      uuid: 77d0...
      source_type: volume
      destination_type: volume
      delete_on_termination: true
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WITH_DATA


def main():
    options = dict(WITH_DATA, volume_map=dict(type="dict"))
    run("workloads.transfer_volumes", options, side="destination")


if __name__ == "__main__":
    main()
