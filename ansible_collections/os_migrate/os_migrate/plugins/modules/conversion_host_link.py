#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: conversion_host_link
short_description: Let the destination's conversion host open SSH to the source's
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Gives the conversion host of the destination a key, and the host key of that of the source. With that key it can forward the sockets of
    the exports, and nothing else, and only from the address that it comes from.
  - Then SSH is let in to the hosts only from where it came.
  - In check mode it is only tried whether the link works.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
seealso:
  - module: os_migrate.os_migrate.conversion_host_deploy
"""

EXAMPLES = r"""
- name: Link the conversion hosts
  os_migrate.os_migrate.conversion_host_link:
    data_dir: /srv/os-migrate/my-project
"""

RETURN = r"""
changes:
  description: What was changed, a line each; in check mode what would be.
  returned: success
  type: list
  elements: str
hosts:
  description: The hosts, as M(os_migrate.os_migrate.conversion_host_deploy) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    run("hosts.link", {})


if __name__ == "__main__":
    main()
