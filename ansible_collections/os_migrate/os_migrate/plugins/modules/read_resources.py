#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: read_resources
short_description: Read a file of resources
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Returns the resources of a file as they stand there. Nothing is checked but that it is such a file; imports and
    M(os_migrate.os_migrate.validate_resource_files) check the rest.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  path:
    description: The file.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Read the networks
  os_migrate.os_migrate.read_resources:
    path: "{{ os_migrate_data_dir }}/networks.yml"
  register: file

- name: Show their names
  ansible.builtin.debug:
    msg: "{{ file.resources | map(attribute='params.name') }}"
"""

RETURN = r"""
resources:
  description: The resources, each with C(type), C(params), C(_info) and C(_migration_params).
  returned: success
  type: list
  elements: dict
os_migrate_version:
  description: The version that wrote the file.
  returned: success
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    run("resources.read_resources", dict(path=dict(type="path", required=True)))


if __name__ == "__main__":
    main()
