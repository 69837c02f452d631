"""Which conversion hosts lack."""

from os_migrate.errors import Problem


def host_problems(*, source: bool, destination: bool, of: str = "") -> list[Problem]:
    """Return which conversion hosts lack; `of` names their pair."""
    sides = (("source", source), ("destination", destination))
    return [
        Problem(
            f"{side} conversion host{of}", "it isn't there, and disks are to be copied", "run `os-migrate hosts deploy`"
        )
        for side, there in sides
        if not there
    ]
