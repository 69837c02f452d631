#!/usr/bin/python
# Apache License 2.0 (see LICENSE)

DOCUMENTATION = r"""
module: export_image_blob
short_description: Download the data of images
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Downloads the data of the images that a file describes, and compares it with the hash that the source's Glance tells. What is there
    already, and right, isn't downloaded again.
  - In check mode nothing is downloaded.
extends_documentation_fragment:
  - os_migrate.os_migrate.engine
options:
  path:
    description: The file that describes the images, as M(os_migrate.os_migrate.export_image_meta) writes it.
    type: path
    required: true
  name:
    description: The exact name of the image whose data is wanted.
    type: str
  filter:
    description:
      - "The images whose data is wanted: a list of exact names and of C({regex: PATTERN}), which is searched for in the name."
      - By default the filter of the settings, else all.
    type: list
    elements: raw
  blobs_dir:
    description: The directory of the images' data. By default that of the settings, C(image_blobs) in the data directory.
    type: path
"""

EXAMPLES = r"""
- name: Download the data of all images
  os_migrate.os_migrate.export_image_blob:
    path: "{{ os_migrate_data_dir }}/images.yml"
"""

RETURN = r"""
data:
  description: The images whose data is there, each with its C(name), its C(file), and whether it is C(new).
  returned: success, and where some failed
  type: list
  elements: dict
missing:
  description: The names of those whose data isn't there.
  returned: success, and where some failed
  type: list
  elements: str
"""

from ansible_collections.os_migrate.os_migrate.plugins.module_utils.engine import NAME_OR_FILTER, run


def main():
    options = dict(
        path=dict(type="path", required=True),
        name=dict(type="str"),
        filter=dict(type="list", elements="raw"),
        blobs_dir=dict(type="path"),
    )
    run("resources.export_image_data", options, side="source", constraints=NAME_OR_FILTER)


if __name__ == "__main__":
    main()
