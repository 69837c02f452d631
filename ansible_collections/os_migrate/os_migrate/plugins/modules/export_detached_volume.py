#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: export_detached_volume
short_description: Describe detached volumes of the source in a file
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Brings C(detached_volumes.yml) up to date with the project's volumes that no server has. Volumes are known by id, edits to
    C(_migration_params) stay, and what is gone from the source, or attached by now, leaves the file.
  - A volume that is in no state to be migrated is left out. One whose migration is unfinished is left as the file has it, and fails the
    task when the rest is written.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.exporting
"""

EXAMPLES = r"""
- name: Describe all detached volumes that the settings' filter chooses
  os_migrate.os_migrate.export_detached_volume:
    path: "{{ os_migrate_data_dir }}/detached_volumes.yml"

- name: Describe one volume
  os_migrate.os_migrate.export_detached_volume:
    path: "{{ os_migrate_data_dir }}/detached_volumes.yml"
    name: archive
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
exported:
  description: The names of what the export is about.
  returned: success
  type: list
  elements: str
added:
  description: The names of what came into the file.
  returned: success
  type: list
  elements: str
updated:
  description: The names of what the file described otherwise before.
  returned: success
  type: list
  elements: str
vanished:
  description: The names of what left the file, since the source has it no more.
  returned: success
  type: list
  elements: str
unfinished:
  description: The names of volumes whose migration is unfinished.
  returned: success, or when there are some
  type: list
  elements: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import EXPORT, NAME_OR_FILTER, run


def main():
    run("resources.export_detached_volume", EXPORT, side="source", constraints=NAME_OR_FILTER)


if __name__ == "__main__":
    main()
