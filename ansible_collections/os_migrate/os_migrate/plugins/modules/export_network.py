#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: export_network
short_description: Describe networks of the source in a file
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Brings C(networks.yml) up to date with what the project has. Resources are known by id, edits to C(_migration_params) stay, and what is
    gone from the source leaves the file.
  - Describes what the filter chooses, and leaves the rest of the file as it is.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.exporting
"""

EXAMPLES = r"""
- name: Describe all networks that the settings' filter chooses
  os_migrate.os_migrate.export_network:
    path: "{{ os_migrate_data_dir }}/networks.yml"

- name: Describe one network
  os_migrate.os_migrate.export_network:
    path: "{{ os_migrate_data_dir }}/networks.yml"
    name: shop
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
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import EXPORT, NAME_OR_FILTER, run


def main():
    run("resources.export_kind", EXPORT, side="source", constraints=NAME_OR_FILTER, kind="networks")


if __name__ == "__main__":
    main()
