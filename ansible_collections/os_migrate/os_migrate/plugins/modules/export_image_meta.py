#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: export_image_meta
short_description: Describe images of the source in a file
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Brings C(images.yml) up to date with what the project has. Resources are known by id, edits to C(_migration_params) stay, and what is
    gone from the source leaves the file.
  - An image that can't leave its cloud is left out, one that is encrypted for instance. The data of the others is downloaded by
    M(os_migrate.os_migrate.export_image_blob).
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.exporting
"""

EXAMPLES = r"""
- name: Describe all images that the settings' filter chooses
  os_migrate.os_migrate.export_image_meta:
    path: "{{ os_migrate_data_dir }}/images.yml"
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
exported:
  description: The names of what the export is about.
  returned: success
  type: list
  elements: str
added:
  description: The names of what came into the file.
  returned: success
  type: list
  elements: str
updated:
  description: The names of what the file described otherwise before.
  returned: success
  type: list
  elements: str
vanished:
  description: The names of what left the file, since the source has it no more.
  returned: success
  type: list
  elements: str
left_out:
  description: The images that can't leave their cloud, and why.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import EXPORT, NAME_OR_FILTER, run


def main():
    run("resources.export_kind", EXPORT, side="source", constraints=NAME_OR_FILTER, kind="images")


if __name__ == "__main__":
    main()
