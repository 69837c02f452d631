#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: os_keypairs_info
short_description: Tell the key pairs of the user
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Tells the key pairs of the user, as the API shows them.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.info
"""

EXAMPLES = r"""
- name: List them
  os_migrate.os_migrate.os_keypairs_info:
    cloud: src
  register: found
"""

RETURN = r"""
openstack_keypairs:
  description: What there is. The fields are the API's.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    public_key:
      description: The key.
      type: str
    fingerprint:
      description: Its fingerprint.
      type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import INFO, run


def main():
    run("resources.list_kind", INFO, kind="keypairs", answer="openstack_keypairs")


if __name__ == "__main__":
    main()
