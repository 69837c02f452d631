#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: conversion_host_deploy
short_description: Make the conversion hosts, with all that is around them
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes sure that a conversion host is in each project, with its key pair, network, subnet, router, security group and floating IP as the settings want
    them, and that it answers SSH. What is there already is used.
  - The hosts are filled by M(os_migrate.os_migrate.conversion_host_content) and linked by M(os_migrate.os_migrate.conversion_host_link).
  - SSH is let in from nowhere but the migrator.
  - In check mode nothing is made, and RV(changes) tells what would be. An existing host is asked over SSH what it lacks.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  side:
    description:
      - Only the host of this side. By default both that the settings ask for, at the same time.
      - Required where O(cloud) or O(auth) is given, which are then of that side.
    type: str
    choices: [source, destination]
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
seealso:
  - module: os_migrate.os_migrate.conversion_host_delete
  - module: os_migrate.os_migrate.os_conversion_host_info
"""

EXAMPLES = r"""
- name: Make both conversion hosts
  os_migrate.os_migrate.conversion_host_deploy:
    data_dir: /srv/os-migrate/my-project
  register: deployed

- name: Let later plays reach them
  ansible.builtin.add_host:
    name: "{{ item.name }}"
    groups: conversion_hosts
    ansible_host: "{{ item.address }}"
    ansible_user: "{{ item.user }}"
    ansible_ssh_private_key_file: "{{ item.private_key_file }}"
    ansible_ssh_common_args: "{{ item.ssh_args }}"
  loop: "{{ deployed.hosts }}"
"""

RETURN = r"""
changes:
  description: What was made or changed, a line each; in check mode what would be.
  returned: success
  type: list
  elements: str
  sample: ["source conversion host: create server 'os_migrate_conv_src'"]
hosts:
  description: The hosts, with what reaches them. Empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    side:
      description: Its project, C(source) or C(destination).
      type: str
      returned: always
    name:
      description: Its name.
      type: str
      returned: always
    id:
      description: The server's id.
      type: str
      returned: always
    address:
      description: Where it answers SSH.
      type: str
      returned: always
    user:
      description: The user to log in as.
      type: str
      returned: always
    private_key_file:
      description: The file with the key to log in with.
      type: str
      returned: always
    ssh_args:
      description: Options of ssh by which the host is known by the key that it was given, and by no other.
      type: str
      returned: always
    os:
      description: The system's id and version, as its os-release file has them.
      type: str
      returned: always
      sample: debian 12
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(side=dict(type="str", choices=["source", "destination"]))
    run("hosts.deploy", options, constraints=dict(required_by=dict(cloud=["side"], auth=["side"])))


if __name__ == "__main__":
    main()
