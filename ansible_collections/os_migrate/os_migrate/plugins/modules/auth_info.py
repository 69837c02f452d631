#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: auth_info
short_description: Tell for which project the credentials are
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Authenticates, and tells for which project and user.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.side
"""

EXAMPLES = r"""
- name: Find the project of the source
  os_migrate.os_migrate.auth_info:
    side: source
  register: found
"""

RETURN = r"""
auth_info:
  description: Whom the credentials are for.
  returned: success
  type: dict
  contains:
    project_id:
      description: The project's id.
      type: str
    project_name:
      description: The project's name.
      type: str
    user_id:
      description: The user's id.
      type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import SIDE, run


def main():
    run("resources.auth_info", SIDE)


if __name__ == "__main__":
    main()
