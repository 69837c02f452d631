"""What modules share that describe the source in a file."""


class ModuleDocFragment:
    """What modules share that describe the source in a file."""

    DOCUMENTATION = r"""
options:
  path:
    description: The file. It is made if it isn't there.
    type: path
    required: true
  name:
    description: The exact name of what is to be described.
    type: str
  filter:
    description:
      - "What is to be described: a list of exact names and of C({regex: PATTERN}), which is searched for in the name."
      - By default the filter of the settings, else everything.
    type: list
    elements: raw
  overwrite_migration_params:
    description: Whether edits to C(_migration_params) are replaced by the defaults.
    type: bool
    default: false

attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
  diff_mode:
    description: Whether a task shows what it changes.
    support: full
"""
