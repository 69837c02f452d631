"""What can go wrong in the lab.

LabError                 anything the user is told in one message; exit code 1
├── UsageError           the command or the machine does not fit: not root, not Debian, a cloud that isn't up
├── CommandFailed        a program ended with an error; carries the end of what it wrote
├── ServiceFailed        a service of a cloud doesn't come up; carries the end of its log
└── Cancelled            another part failed first, or the user pressed ^C
"""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Anything the user is told in one message."""


class UsageError(LabError):
    """The command or the machine does not fit what was asked."""


class Cancelled(LabError):
    """Work was given up because another part failed or the user asked for it."""


class CommandFailed(LabError):
    """A program ended with an error."""

    def __init__(self, argv: list[str], returncode: int, output_tail: str) -> None:
        """Compose the message from the command line, its exit code and the end of its output."""
        self.returncode = returncode
        self.output_tail = output_tail
        super().__init__(f"`{' '.join(argv)}` ended with exit code {returncode}\n{output_tail}".rstrip())


class ServiceFailed(LabError):
    """A service of a cloud doesn't come up."""

    def __init__(self, cloud: str, service: str, reason: str, log: Path) -> None:
        """Compose the message from the reason and the last lines of the service's log."""
        self.service = service
        tail = "\n".join(f"    {line}" for line in tail_of(log, 30))
        super().__init__(f"{cloud}: service {service} {reason}; the end of {log}:\n{tail}")


def tail_of(path: Path, lines: int) -> list[str]:
    """Return the last lines of a text file, or none if it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
