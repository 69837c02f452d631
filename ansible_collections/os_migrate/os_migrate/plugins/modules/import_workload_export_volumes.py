#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_export_volumes
short_description: Serve the disks of a source server
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Snapshots the boot disk if it is copied, detaches the data volumes, attaches all to the source's conversion host, and serves them there,
    read-only, on sockets that only the SSH user can open.
  - Does what comes before, if that wasn't done. What was done is left alone, and its results are returned again.
  - Does nothing where no disk is copied.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it, with the names of the source.
    type: dict
    required: true
  boot_volume_prefix:
    description:
      - How the name of a copied boot disk begins, where nobody says another, in place of the settings'.
    type: str
"""

EXAMPLES = r"""
- name: Export
  os_migrate.os_migrate.import_workload_export_volumes:
    data: "{{ item }}"
    log_file: "{{ prelim.log_file }}"
    state_file: "{{ prelim.state_file }}"
  register: exports
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
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WITH_DATA


def main():
    options = dict(WITH_DATA, boot_volume_prefix=dict(type="str"))
    run("workloads.export_volumes", options, side="source")


if __name__ == "__main__":
    main()
