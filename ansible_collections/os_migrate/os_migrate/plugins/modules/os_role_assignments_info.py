#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: os_role_assignments_info
short_description: Tell the role assignments that the credentials may see
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Tells the role assignments that the credentials may see, as the API shows them.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.info
options:
  assignee_types:
    description: Only assignments to these; by default all.
    type: list
    elements: str
    choices: [user, group]
  scope_types:
    description: Only assignments in these; by default all.
    type: list
    elements: str
    choices: [project, domain, system]
"""

EXAMPLES = r"""
- name: List what users may do in projects
  os_migrate.os_migrate.os_role_assignments_info:
    cloud: src
    assignee_types: [user]
    scope_types: [project]
  register: found
"""

RETURN = r"""
openstack_role_assignments:
  description: What there is. The fields are the API's.
  returned: success
  type: list
  elements: dict
  contains:
    role:
      description: The role.
      type: dict
    scope:
      description: Where it is had.
      type: dict
    user:
      description: Who has it, if a user.
      type: dict
    group:
      description: Who has it, if a group.
      type: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import INFO, run


def main():
    options = dict(
        INFO,
        assignee_types=dict(type="list", elements="str", choices=["user", "group"]),
        scope_types=dict(type="list", elements="str", choices=["project", "domain", "system"]),
    )
    run("resources.list_role_assignments", options)


if __name__ == "__main__":
    main()
