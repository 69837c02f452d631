#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: import_image
short_description: Make images in the destination
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Makes what C(images.yml) or a task describes, with its data. What is there already is left alone, or updated where it differs; nothing
    is deleted.
  - The data that arrives is compared with the source's hash. An image of the same name with other data is refused.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
  - os_migrate.os_migrate.importing
options:
  blobs_dir:
    description: The directory of the images' data. By default that of the settings, C(image_blobs) in the data directory.
    type: path
"""

EXAMPLES = r"""
- name: Make all images of the file that the settings' filter chooses
  os_migrate.os_migrate.import_image:
    path: "{{ os_migrate_data_dir }}/images.yml"
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
    options = dict(IMPORT, blobs_dir=dict(type="path"))
    run("resources.import_kind", options, side="destination", constraints=DATA_OR_PATH, kind="images")


if __name__ == "__main__":
    main()
