#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: os_routers_info
short_description: Tell the routers that the project sees
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Tells the routers that the project sees, as the API shows them.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.info
"""

EXAMPLES = r"""
- name: List them
  os_migrate.os_migrate.os_routers_info:
    cloud: src
  register: found
"""

RETURN = r"""
openstack_routers:
  description: What there is. The fields are the API's.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
    name:
      description: Its name.
      type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import INFO, run


def main():
    run("resources.list_kind", INFO, kind="routers", answer="openstack_routers")


if __name__ == "__main__":
    main()
