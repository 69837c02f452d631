#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_user
short_description: Make users in the destination
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes what C(users.yml) or a task describes. What is there already is left alone, or updated where it differs; nothing is deleted.
  - Everything is checked before the first change.
  - An administrator's credentials are needed.
  - No cloud tells a password, so users come without one.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.importing
"""

EXAMPLES = r"""
- name: Make all users of the file that the settings' filter chooses
  os_migrate.os_migrate.import_user:
    path: "{{ os_migrate_data_dir }}/users.yml"

- name: Read the file
  os_migrate.os_migrate.read_resources:
    path: "{{ os_migrate_data_dir }}/users.yml"
  register: file

- name: Make them one by one
  os_migrate.os_migrate.import_user:
    data: "{{ item }}"
  loop: "{{ file.resources }}"
"""

RETURN = r"""
resources:
  description: What became of each resource.
  returned: when it was decided what is to be done
  type: list
  elements: dict
  contains:
    kind:
      description: Its kind, as its file is called.
      type: str
    name:
      description: What people call it.
      type: str
    action:
      description: V(create), V(update) or V(same).
      type: str
    changes:
      description: The fields that differ, each with C(field), C(old) and C(new).
      type: list
      elements: dict
    waits:
      description: The fields that come with a kind that is imported later.
      type: list
      elements: str
    error:
      description: Why it isn't as it should be, if so.
      type: dict
others:
  description: What the destination has besides, within what was imported, for instance other rules of a security group.
  returned: when it was decided what is to be done
  type: list
  elements: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import DATA_OR_PATH, IMPORT, run


def main():
    run("resources.import_kind", IMPORT, side="destination", constraints=DATA_OR_PATH, kind="users")


if __name__ == "__main__":
    main()
