#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workload_prelim
short_description: Tell whether a server is to be migrated
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Finds out whether there is anything to do for a server. RV(ignore:changed) means that there is; what is migrated already, or is a
    conversion host, is to be skipped.
  - A server is migrated already if a server of the destination says that it is its twin. One that only has its name is another, and an
    attempt that is unfinished is to be gone on with.
  - Makes the log and the state file of the server, where they aren't there, but not in check mode.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it.
    type: dict
    required: true
  log_dir:
    description:
      - Where the log and state files are. By default C(workload_logs) in O(data_dir).
    type: path
  dst_filters:
    description:
      - What is asked of the destination besides, in place of C(os_migrate_dst_filters).
    type: dict
  src_conversion_host:
    description:
      - The source's conversion host. Only its C(name) is read, and only where it differs from what the settings call it.
    type: dict
"""

EXAMPLES = r"""
- name: Find out whether there is anything to do
  os_migrate.os_migrate.import_workload_prelim:
    data: "{{ item }}"
    log_dir: "{{ os_migrate_data_dir }}/workload_logs"
  register: prelim
"""

RETURN = r"""
reason:
  description: Why there is nothing to do; empty if there is something.
  returned: success
  type: str
server_name:
  description: The server's name.
  returned: success
  type: str
server_id:
  description: The id of the source server.
  returned: success
  type: str
log_file:
  description: The log of the server.
  returned: success
  type: str
state_file:
  description: The file with the percentages of its disks.
  returned: success
  type: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(
        data=dict(type="dict", required=True),
        log_dir=dict(type="path"),
        dst_filters=dict(type="dict"),
        src_conversion_host=dict(type="dict"),
    )
    run("workloads.prelim", options, side="destination")


if __name__ == "__main__":
    main()
