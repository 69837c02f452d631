#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: validate_resource_files
short_description: Check files of resources
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Checks syntax, fields, doubles, and references between the files. No cloud is asked.
  - What is wrong is returned, all at once, each with its line. The task fails only where a file isn't there or can't be read.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  paths:
    description:
      - The files, each named after what it holds. References may lead to what the other files of their directory hold.
      - By default all files that are there in O(data_dir).
    type: list
    elements: path
"""

EXAMPLES = r"""
- name: Check two files
  os_migrate.os_migrate.validate_resource_files:
    paths:
      - "{{ os_migrate_data_dir }}/networks.yml"
      - "{{ os_migrate_data_dir }}/subnets.yml"
  register: found
  failed_when: not found.ok
"""

RETURN = r"""
ok:
  description: Whether nothing is wrong.
  returned: success
  type: bool
errors:
  description: What is wrong, each with file and line.
  returned: success
  type: list
  elements: str
msg:
  description: The same, as people read it.
  returned: when something is wrong
  type: str
files:
  description: How many resources each of the files has.
  returned: success
  type: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    run("resources.validate", dict(paths=dict(type="list", elements="path")))


if __name__ == "__main__":
    main()
