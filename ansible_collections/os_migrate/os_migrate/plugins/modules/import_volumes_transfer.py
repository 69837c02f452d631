#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_volumes_transfer
short_description: Copy a detached volume, and prove the copy
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes the volume in the destination, attaches it to its conversion host, copies, and compares the copy with its source. When it is
    whole, the migration is committed, and only goes forward.
  - Does what comes before, if that wasn't done; what was done is left alone, and its results are returned again.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The volume, as C(detached_volumes.yml) describes it, with the names of the source.
    type: dict
    required: true
  volume_map:
    description:
      - What an earlier stage returned. It isn't needed, since the journal knows it.
    type: dict
"""

EXAMPLES = r"""
- name: Transfer the volume
  os_migrate.os_migrate.import_volumes_transfer:
    data: "{{ item }}"
    transfer_uuid: "{{ exports.transfer_uuid }}"
    volume_map: "{{ exports.volume_map }}"
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
  description: The volume, by its id.
  returned: success, not in check mode
  type: dict
  sample:
    5ab3...:
      source_dev: null
      source_id: 5ab3...
      dest_dev: null
      dest_id: null
      snap_id: null
      image_id: null
      name: archive
      size: 10
      port: null
      url: unix:/run/os-migrate/...
      progress: 0.0
      bootable: false
reason:
  description: Why there was nothing to do, where the volume was migrated from another data directory.
  returned: when it was
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run
from ansible_collections.os_migrate.os_migrate.plugins.module_utils.workload import WITH_DATA


def main():
    options = dict(WITH_DATA, volume_map=dict(type="dict"))
    run("volumes.transfer", options, side="destination")


if __name__ == "__main__":
    main()
