"""What modules share that list something."""


class ModuleDocFragment:
    """What modules share that list something."""

    DOCUMENTATION = r"""
options:
  side:
    description: Whose settings are used for what O(cloud) and O(auth) don't say.
    type: str
    choices: [source, destination]
    default: source
  filters:
    description: Values of the API's fields; what has others is left out.
    type: dict
attributes:
  check_mode:
    description: Whether a task can be tried without an effect.
    support: full
"""
