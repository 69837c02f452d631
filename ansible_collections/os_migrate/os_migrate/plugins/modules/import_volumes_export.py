#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_volumes_export
short_description: Serve a detached volume of the source
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Begins the migration of a volume that no server has, unless it has begun, marks it as on loan, attaches it to the source's conversion
    host, and serves it there, read-only, on a socket that only the SSH user can open.
  - All that the migration needs is checked before, and told at once. What is migrated already is left alone.
  - In check mode it is only found out whether the migration could begin.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The volume, as C(detached_volumes.yml) describes it, with the names of the source.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Export the volume
  os_migrate.os_migrate.import_volumes_export:
    data: "{{ item }}"
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
    options = dict(WITH_DATA)
    run("volumes.export", options, side="source")


if __name__ == "__main__":
    main()
