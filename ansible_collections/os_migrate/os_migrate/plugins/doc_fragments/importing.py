"""What modules share that make in the destination what files describe."""


class ModuleDocFragment:
    """What modules share that make in the destination what files describe."""

    DOCUMENTATION = r"""
options:
  data:
    description: One resource, as the file has it.
    type: dict
  path:
    description: The file. Either this or O(data) is needed.
    type: path
  filter:
    description:
      - "What of the file is to be made: a list of exact names and of C({regex: PATTERN}), which is searched for in the name."
      - By default the filter of the settings, else everything.
    type: list
    elements: raw
  filters:
    description: Accepted for playbooks of OS Migrate 1.0. The project's own resources are found without.
    type: dict

attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
  diff_mode:
    description: Whether a task shows what it changes.
    support: full
"""
