"""Every error that OS Migrate raises, as one tree; each family has an exit code.

OSMigrateError                 1  a fault of ours
 ├─ JournalFailed              1  the journal can't be read or written
 ├─ UserError                  2  input, settings or references; nothing was touched
 │   └─ PlanError              2  all problems of a run at once
 ├─ CloudError                 3  a cloud refused, or went wrong after it accepted
 │   ├─ NotFound               3  the resource isn't there (any more)
 │   ├─ SourceChanged          3  the source server was used since its disks were taken, or can't leave any more
 │   └─ CloudUnavailable       3  passes: the same call may succeed later
 ├─ HostError                  4  a conversion host
 │   ├─ HostUnreachable        4  passes: no SSH connection
 │   └─ AccessRefused          4  its host key isn't the known one, or it refuses ours
 ├─ TransferError              5  export, tunnel, copy
 │   └─ DigestMismatch         5  the copy is not equal to its source
 ├─ Interrupted                6  stopped on request; can be resumed
 └─ RollbackIncomplete         7  something of ours still stands

A message says what failed and on what; `remedy` says what the operator can do next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class OSMigrateError(Exception):
    """Say what failed and what the operator can do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})" if self.remedy else self.what


class JournalFailed(OSMigrateError):
    """The journal can't be read or written: nothing more is done that could not be undone by it."""


class UserError(OSMigrateError):
    """The input can't be used; nothing was touched."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One reason why a run can't start: where it is, what is wrong, how to mend it."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.remedy})" if self.remedy else "")


class PlanError(UserError):
    """Carry every problem that was found; nothing was touched."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(p) for p in problems))
        self.problems = tuple(problems)


class CloudError(OSMigrateError):
    """A cloud refused a call, or what it accepted went wrong."""

    exit_code = 3


class NotFound(CloudError):
    """The resource isn't there."""


class SourceChanged(CloudError):
    """The source server was used since its disks were taken, so that the copy is out of date; or it can't leave any more."""


class CloudUnavailable(CloudError):
    """The cloud could not answer now (connection, 429, 5xx); the call may or may not have had its effect."""


class HostError(OSMigrateError):
    """A conversion host lacks something or failed at something."""

    exit_code = 4


class HostUnreachable(HostError):
    """The conversion host can't be reached over SSH now."""


class AccessRefused(HostError):
    """The conversion host answers, but it isn't the one we know or doesn't know us: trying again won't help."""


class TransferError(OSMigrateError):
    """An export, a tunnel or a copy failed."""

    exit_code = 5


class DigestMismatch(TransferError):
    """The copy differs from its source."""


class Interrupted(OSMigrateError):
    """The run was stopped on request; the journal knows where."""

    exit_code = 6


class RollbackIncomplete(OSMigrateError):
    """An undo failed: `standing` lists what is left and how to remove it."""

    exit_code = 7

    def __init__(self, what: str, standing: Sequence[str], *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.standing = tuple(standing)
