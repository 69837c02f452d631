#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: conversion_host_content
short_description: Fill the conversion hosts with what they need
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Runs the operator's hook, installs the packages that a host lacks (Debian, Ubuntu, and the RHEL family), and runs the other hook, on both hosts at the
    same time.
  - Lets the SSH user in by password where the settings ask for it, and otherwise no longer.
  - Reboots the hosts where the settings ask for it.
  - What a hook changes is unknown, and does not count as a change.
  - In check mode nothing is done, and RV(changes) tells what would be.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  side:
    description:
      - Only the host of this side. By default both that the settings ask for.
      - Required where O(cloud) or O(auth) is given, which are then of that side.
    type: str
    choices: [source, destination]
  ssh_user_password:
    description:
      - The password of the SSH user, for C(os_migrate_conversion_host_ssh_user_enable_password_access).
      - It is handed to the hosts over SSH, and is in no command line, log or file but their own.
    type: str
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
seealso:
  - module: os_migrate.os_migrate.conversion_host_deploy
"""

EXAMPLES = r"""
- name: Install what the conversion hosts lack
  os_migrate.os_migrate.conversion_host_content:
    data_dir: /srv/os-migrate/my-project
"""

RETURN = r"""
changes:
  description: What was changed, a line each; in check mode what would be.
  returned: success
  type: list
  elements: str
  sample: ["source conversion host: install nbdkit, nbdcopy"]
hosts:
  description: The hosts, as M(os_migrate.os_migrate.conversion_host_deploy) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(
        side=dict(type="str", choices=["source", "destination"]), ssh_user_password=dict(type="str", no_log=True)
    )
    run("hosts.fill", options, constraints=dict(required_by=dict(cloud=["side"], auth=["side"])))


if __name__ == "__main__":
    main()
