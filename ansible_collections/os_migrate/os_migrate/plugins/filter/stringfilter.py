# Apache License 2.0 (see LICENSE)
"""Choose by name, as the variables of OS Migrate do."""

import re

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: stringfilter
short_description: Choose strings, or items by one of their attributes
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Returns the items that at least one entry of a filter matches, in their order.
positional: filters
options:
  _input:
    description: The strings, or mappings with an attribute that is one.
    type: list
    elements: raw
    required: true
  filters:
    description: "Exact strings, and C({regex: PATTERN}), which is searched for and not anchored."
    type: list
    elements: raw
    required: true
  attribute:
    description: The attribute of the items that is matched. Without, the items are strings.
    type: str
"""

EXAMPLES = r"""
- name: Show the networks of the shop
  ansible.builtin.debug:
    msg: "{{ networks | os_migrate.os_migrate.stringfilter(['public', {'regex': '^shop'}], attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The items that match.
  type: list
  elements: raw
"""


def stringfilter(items, filters, attribute=None):
    """Return the items that a filter matches."""
    try:
        entries = [entry if isinstance(entry, str) else re.compile(entry["regex"]) for entry in filters]
    except (TypeError, KeyError, re.error) as error:
        raise AnsibleFilterError(f"stringfilter wants strings and {{regex: PATTERN}}: {error}") from error

    def matches(item):
        text = (item if attribute is None else item[attribute]) or ""  # some volumes have no name
        return any(entry == text if isinstance(entry, str) else entry.search(text) for entry in entries)

    return [item for item in items if matches(item)]


class FilterModule:
    """Offer the filter."""

    def filters(self):
        """Return it by its name."""
        return {"stringfilter": stringfilter}
