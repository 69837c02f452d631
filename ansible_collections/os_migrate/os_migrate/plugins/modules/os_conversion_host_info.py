#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: os_conversion_host_info
short_description: Tell where a conversion host is
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Returns what the workload modules take as their conversion host.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  server:
    description: The name or the id of the server.
    type: str
    required: true
  filters:
    description: Consider only servers of which this is so. Keys are V(id), V(name), V(project_id) and V(status).
    type: dict
    default: {}
  side:
    description: The side that the server is of. By default the destination's where O(cloud) is its name in the settings, else the source's.
    type: str
    choices: [source, destination]
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
seealso:
  - module: os_migrate.os_migrate.conversion_host_deploy
"""

EXAMPLES = r"""
- name: Find the conversion host of the source
  os_migrate.os_migrate.os_conversion_host_info:
    cloud: src
    server: os_migrate_conv_src
  register: src_conversion_host
"""

RETURN = r"""
openstack_conversion_host:
  description: The conversion host.
  returned: success
  type: dict
  contains:
    address:
      description: Its floating IP, or the address that the settings in O(data_dir) say leads to it.
      type: str
      returned: always
    id:
      description: The server's id.
      type: str
      returned: always
    name:
      description: The server's name.
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
    status:
      description: The server's status, as Nova has it.
      type: str
      returned: always
      sample: ACTIVE
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(
        server=dict(type="str", required=True),
        filters=dict(type="dict", default={}),
        side=dict(type="str", choices=["source", "destination"]),
    )
    run("hosts.info", options)


if __name__ == "__main__":
    main()
