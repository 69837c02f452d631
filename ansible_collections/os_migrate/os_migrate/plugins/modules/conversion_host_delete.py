#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
module: conversion_host_delete
short_description: Delete the conversion hosts, and what was made for them
version_added: 2.0.0
description:
  - Deletes the conversion hosts, and of what is around them only what M(os_migrate.os_migrate.conversion_host_deploy) made; then the key files.
  - What fails is listed, and the rest is deleted all the same. The same task again goes on with what is left.
  - As long as migrations are open that may need the hosts, nothing is deleted, and the module fails.
  - In check mode nothing is deleted, and RV(changes) tells what would be.
author: The authors of OS Migrate (@os-migrate)
extends_documentation_fragment: os_migrate.os_migrate.engine
options:
  host:
    description:
      - Only the host of this side. By default both that the settings ask for.
      - Required where O(cloud) or O(auth) is given, which are then of that side.
    type: str
    choices: [src, dst]
  force:
    description: Delete them though migrations are open.
    type: bool
    default: false
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
    options = dict(host=dict(type="str", choices=["src", "dst"]), force=dict(type="bool", default=False))
    run("hosts.delete", options, constraints=dict(required_by=dict(cloud=["host"], auth=["host"])))


if __name__ == "__main__":
    main()
