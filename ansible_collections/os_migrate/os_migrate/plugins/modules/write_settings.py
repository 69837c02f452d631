#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: write_settings
short_description: Write the settings of a playbook for all that follows
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Checks all variables of a playbook, with every problem at once, and writes them to C(os-migrate.yml) in the data directory, and the
    clouds to C(clouds.yaml) there, where there are credentials among them. Both are for their owner only.
  - All modules read their settings there, and so does the command C(os-migrate --data-dir).
  - Writes in check mode too, since what follows reads the files; a cloud is not asked.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  data_dir:
    description: The data directory of the source project. It is made if it isn't there.
    type: path
    required: true
  variables:
    description: The variables, by name.
    type: dict
    default: {}
  secrets:
    description: The variables that may hold a secret, by name.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the settings
  os_migrate.os_migrate.write_settings:
    data_dir: /srv/os-migrate/shop
    variables:
      os_migrate_dst_conversion_flavor_name: m1.small
    secrets:
      os_migrate_dst_auth: "{{ os_migrate_dst_auth }}"
"""

RETURN = r"""
files:
  description: The files that hold the settings.
  returned: success
  type: list
  elements: str
version:
  description: The version of the engine.
  returned: success
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(
        data_dir=dict(type="path", required=True),
        variables=dict(type="dict", default={}),
        secrets=dict(type="dict", default={}, no_log=True),
    )
    run("prelude.write_settings", options)


if __name__ == "__main__":
    main()
