#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_workloads
short_description: Migrate servers, several at once
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Migrates the servers of C(workloads.yml) as C(os-migrate migrate) does. All are checked before the first is touched; one that fails is
    undone in both clouds, and doesn't stop the others.
  - What is migrated already is skipped. What an earlier run left open, because it was killed, is brought to its end first.
  - In check mode returns the plan, as C(os-migrate plan) does, and fails with all problems; nothing is touched.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  path:
    description:
      - The file C(workloads.yml) in the data directory, which it tells.
    type: path
  name:
    description:
      - The name of one server.
    type: str
  filter:
    description:
      - "The servers, each entry a name or C({regex: PATTERN}), in place of C(os_migrate_workloads_filter)."
    type: list
    elements: raw
  parallel:
    description:
      - How many are migrated at once, in place of C(os_migrate_workloads_parallel).
    type: int
  timeout:
    description:
      - How many seconds a cloud may take for a volume, a snapshot or a server, in place of the settings'.
    type: int
"""

EXAMPLES = r"""
- name: Migrate all that the settings' filter chooses, four at once
  os_migrate.os_migrate.import_workloads:
    path: "{{ os_migrate_data_dir }}/workloads.yml"
    parallel: 4

- name: Show what would be done
  os_migrate.os_migrate.import_workloads:
    path: "{{ os_migrate_data_dir }}/workloads.yml"
    filter:
      - regex: ^db
  check_mode: true
  register: planned
"""

RETURN = r"""
outcomes:
  description: What became of each server.
  returned: when they were begun
  type: list
  elements: dict
  contains:
    server_id:
      description: The id of the source server.
      type: str
    name:
      description: Its name.
      type: str
    result:
      description: V(migrated), V(skipped), V(rolled back), V(failed) or V(rollback incomplete).
      type: str
    detail:
      description: More of that, for people.
      type: str
    seconds:
      description: How long it took.
      type: float
    error:
      description: Why it failed.
      type: dict
    later_error:
      description: What its undo met.
      type: dict
    report:
      description: The proof of what was migrated.
      type: dict
plan:
  description: What would be done, how long it would take, and all problems.
  returned: in check mode
  type: dict
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import run


def main():
    options = dict(
        path=dict(type="path"),
        name=dict(type="str"),
        filter=dict(type="list", elements="raw"),
        parallel=dict(type="int"),
        timeout=dict(type="int"),
    )
    constraints = dict(mutually_exclusive=[("name", "filter")])
    run("batches.migrate", options, side="source", constraints=constraints)


if __name__ == "__main__":
    main()
