#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_volumes_src_cleanup
short_description: Give back a detached volume, or undo its migration
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - When the copy is whole, detaches the volume from the source's conversion host, takes off its mark, and writes the report.
  - Before that, undoes the whole migration, in both clouds.
  - Changes nothing where nothing is open. In check mode says whether something is.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.workload
options:
  data:
    description:
      - The volume, as C(detached_volumes.yml) describes it, with the names of the source.
    type: dict
  volume_map:
    description:
      - What an earlier stage returned. It isn't needed, since the journal knows it.
    type: dict
"""

EXAMPLES = r"""
- name: Clean up in the source
  os_migrate.os_migrate.import_volumes_src_cleanup:
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
    run("volumes.src_cleanup", dict(WORKLOAD, volume_map=dict(type="dict")), side="source", constraints=constraints)


if __name__ == "__main__":
    main()
