"""What a module was called with, and what it answers."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from os_migrate.door.settings import data_dir_of, settings_of
from os_migrate.errors import Interrupted, OSMigrateError
from os_migrate.events import Event, Events, Note, Retrying, StepFailed
from os_migrate.failure import error_fields, error_text
from os_migrate.logs import LOG_DIR, LogFiles, line_of
from os_migrate.model import Side
from os_migrate.settings import Settings

Answer = dict[str, Any]
"""What a module returns. With `failed` and `msg` it fails, and returns the rest all the same."""


@dataclass(frozen=True)
class Call:
    """A module's call: `options` are those that were given, `side` is the cloud that its own options are for."""

    options: Mapping[str, Any]
    side: Side
    check: bool = False
    diff: bool = False
    warn: Callable[[str], None] = field(default=lambda _: None)

    @property
    def data_dir(self) -> Path | None:
        """Return the data dir of the call, if it can be told."""
        return data_dir_of(self.options)

    def settings(self) -> Settings:
        """Return the settings of the call.

        Raises:
            UserError: it can't be told in which data dir.
            PlanError: with everything that is wrong with them.
        """
        return settings_of(self.options, self.side)

    @contextmanager
    def events(
        self, settings: Settings, log_names: Mapping[str, str] | None = None, log_dir: Path | None = None
    ) -> Iterator[Events]:
        """Pass warnings to the module, and write the log files of the workloads that `log_names` has names for."""
        logs = LogFiles(log_dir or settings.data_dir / LOG_DIR, log_names or {})
        events = Events(logs, self._hear) if log_names else Events(self._hear)
        try:
            yield events
        finally:
            logs.close()
            if logs.failure:
                self.warn(f"the log files are incomplete: {logs.failure}")

    def _hear(self, event: Event) -> None:
        if isinstance(event, Retrying | StepFailed) or (isinstance(event, Note) and event.warning):
            self.warn(line_of(event).removeprefix("warning: "))


def answer(function: str, call: Call, **fixed: Any) -> Answer:
    """Call `MODULE.FUNCTION` of this package; what it raises becomes a failed answer, in the words of the command line."""
    module, _, name = function.partition(".")
    try:
        found: Answer = getattr(import_module(f"os_migrate.door.{module}"), name)(call, **fixed)
    except OSMigrateError as error:
        return failure(error)
    except KeyboardInterrupt:
        remedy = "`os-migrate status` shows what is open, `os-migrate resume` goes on with it"
        return failure(Interrupted("stopped on request", remedy=remedy))
    except Exception as error:  # noqa: BLE001 (the top: Ansible shows the text, and the trace where it is asked for)
        remedy = "this is a fault of OS Migrate: report what -vvv shows"
        fault = OSMigrateError(f"{type(error).__name__}: {error}", remedy=remedy)
        return {**failure(fault), "exception": "".join(traceback.format_exception(error))}
    return {"changed": False, **found}


def failure(error: OSMigrateError) -> Answer:
    """Return the answer of a call that failed."""
    return {"failed": True, "msg": error_text(error), "error": error_fields(error)}
