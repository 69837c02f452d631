# Apache License 2.0 (see LICENSE)
"""Ask data in the language of JMESPath."""

from ansible.errors import AnsibleFilterError

try:
    import jmespath
except ImportError:
    jmespath = None

DOCUMENTATION = r"""
name: json_query
short_description: Ask data in the language of JMESPath
version_added: 2.0.0
author: OS Migrate (@os-migrate)
description:
  - Returns what a JMESPath expression finds in data.
positional: expression
options:
  _input:
    description: The data.
    type: raw
    required: true
  expression:
    description: The expression.
    type: str
    required: true
requirements:
  - jmespath
seealso:
  - name: JMESPath
    description: The language.
    link: https://jmespath.org
"""

EXAMPLES = r"""
- name: Show the names of the networks
  ansible.builtin.debug:
    msg: "{{ resources | os_migrate.os_migrate.json_query('[*].params.name') }}"
"""

RETURN = r"""
_value:
  description: What was found.
  type: raw
"""


def plain(value):
    """Return a value in Python's own types: jmespath tells types by their names, and Ansible's strings have others."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str.__str__(value) if isinstance(value, str) else value


def json_query(data, expression):
    """Return what an expression finds in data."""
    if jmespath is None:
        raise AnsibleFilterError("json_query needs the Python library jmespath, for the Python that Ansible runs with")
    try:
        return jmespath.search(plain(expression), plain(data))
    except jmespath.exceptions.JMESPathError as error:
        raise AnsibleFilterError(f"json_query can't use {expression!r}: {error}") from error


class FilterModule:
    """Offer the filter."""

    def filters(self):
        """Return it by its name."""
        return {"json_query": json_query}
