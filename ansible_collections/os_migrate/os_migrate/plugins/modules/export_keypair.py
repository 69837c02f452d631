#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: export_keypair
short_description: Describe key pairs of the source in a file
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Brings C(keypairs.yml) up to date with what the project has. Resources are known by id, edits to C(_migration_params) stay, and what is
    gone from the source leaves the file.
  - Describes what the filter chooses, and leaves the rest of the file as it is.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.exporting
options:
  all_users:
    description:
      - Whether the key pairs of all users are meant, as C(users_keypairs.yml) has them. An administrator's credentials are needed.
      - O(name) and O(filter) are those of users then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Describe all key pairs that the settings' filter chooses
  os_migrate.os_migrate.export_keypair:
    path: "{{ os_migrate_data_dir }}/keypairs.yml"

- name: Describe one key pair
  os_migrate.os_migrate.export_keypair:
    path: "{{ os_migrate_data_dir }}/keypairs.yml"
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
    options = dict(EXPORT, all_users=dict(type="bool", default=False))
    run("resources.export_keypairs", options, side="source", constraints=NAME_OR_FILTER)


if __name__ == "__main__":
    main()
