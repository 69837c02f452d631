#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: conversion_host_delete
short_description: Delete the conversion hosts, and what was made for them
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Deletes the conversion hosts, and of what is around them only what M(os_migrate.os_migrate.conversion_host_deploy) made; then the key files.
  - What fails is listed, and the rest is deleted all the same. The same task again goes on with what is left.
  - As long as migrations are open that may need the hosts, nothing is deleted, and the module fails.
  - In check mode nothing is deleted, and RV(changes) tells what would be.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  side:
    description:
      - Only the host of this side. By default both that the settings ask for.
      - Required where O(cloud) or O(auth) is given, which are then of that side.
    type: str
    choices: [source, destination]
  force:
    description: Delete them though migrations are open.
    type: bool
    default: false
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
"""

EXAMPLES = r"""
- name: Delete both conversion hosts
  os_migrate.os_migrate.conversion_host_delete:
    data_dir: /srv/os-migrate/my-project
"""

RETURN = r"""
changes:
  description: What was deleted, a line each; in check mode what would be.
  returned: success
  type: list
  elements: str
  sample: ["source conversion host: delete server 'os_migrate_conv_src'"]
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(side=dict(type="str", choices=["source", "destination"]), force=dict(type="bool", default=False))
    run("hosts.delete", options, constraints=dict(required_by=dict(cloud=["side"], auth=["side"])))


if __name__ == "__main__":
    main()
