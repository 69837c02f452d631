"""What modules share that look at either cloud."""


class ModuleDocFragment:
    """What modules share that look at either cloud."""

    DOCUMENTATION = r"""
options:
  side:
    description: Whose settings are used for what O(cloud) and O(auth) don't say.
    type: str
    choices: [source, destination]
    default: source
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
"""
