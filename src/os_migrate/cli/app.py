"""What all commands share: the global options, the settings, who hears the events, and how an error ends a command."""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, ParamSpec

import typer

from os_migrate import __version__
from os_migrate.cli.display import JsonLines, open_display
from os_migrate.errors import Interrupted, OSMigrateError, UserError
from os_migrate.events import Events
from os_migrate.failure import error_fields, error_text
from os_migrate.files.config import find_file, load_settings
from os_migrate.files.marked import BadValueError
from os_migrate.files.variables import regex
from os_migrate.logs import LOG_DIR, LogFiles
from os_migrate.settings import NameFilter, Settings

GLOBAL_FLAGS: Final = {"--json", "--quiet", "-q", "--verbose", "-v"}
GLOBAL_VALUES: Final = {"--settings", "--data-dir", "--set"}

P = ParamSpec("P")

app = typer.Typer(
    name="os-migrate",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, passwords among them
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Invocation:
    """What the operator gave around a command."""

    file: Path | None
    overrides: Mapping[str, str]
    as_json: bool
    quiet: bool
    verbose: bool

    def settings(self) -> Settings:
        """Read the settings.

        Raises:
            PlanError: with everything that is wrong with them.
        """
        file = find_file(self.file, os.environ, self.overrides.get("os_migrate_data_dir"))
        return load_settings(file, self.overrides)

    @contextmanager
    def events(self, settings: Settings, log_names: Mapping[str, str] | None = None) -> Iterator[Events]:
        """Let the operator hear the events, and log files those of the workloads that `log_names` has names for."""
        logs = LogFiles(settings.data_dir / LOG_DIR, log_names or {})
        warnings: list[str] = []
        try:
            with open_display(as_json=self.as_json, quiet=self.quiet, verbose=self.verbose) as display:
                events = Events(logs, display) if log_names else Events(display)
                yield events
                if events.failure:
                    warnings.append(f"not all that went on could be shown: {events.failure}")
        finally:
            logs.close()
            if logs.failure:
                warnings.append(f"the log files are incomplete: {logs.failure}")
            for warning in warnings:
                with suppress(OSError):  # what keeps it from being shown may still do
                    typer.echo(f"warning: {warning}", err=True)

    def show(self, text: str, result: Mapping[str, object]) -> None:
        """Show what a command found: text for people, one last JSON line for machines."""
        if self.as_json:
            JsonLines(sys.stdout).write("result", result)
        elif text:
            typer.echo(text)

    def end(self, error: OSMigrateError) -> typer.Exit:
        """Show an error in one block on stderr; return what ends the command with its exit code."""
        if self.as_json:
            JsonLines(sys.stdout).write("error", error_fields(error))
        typer.echo(error_text(error), err=True)
        return typer.Exit(error.exit_code)


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into a block on stderr and an exit code. The command has a parameter `ctx`."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        invocation = invocation_of(kwargs["ctx"])
        try:
            command(*args, **kwargs)
        except OSMigrateError as error:
            raise invocation.end(error) from None
        except KeyboardInterrupt:
            remedy = "`os-migrate status` shows what is open, `os-migrate resume` goes on with it"
            raise invocation.end(Interrupted("stopped on request", remedy=remedy)) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 (the top: the operator is to read a block, not a traceback)
            if invocation.verbose:
                traceback.print_exception(error)
            remedy = "this is a fault of OS Migrate: run it again with --verbose, and report what it prints"
            raise invocation.end(OSMigrateError(f"{type(error).__name__}: {error}", remedy=remedy)) from None

    return run


def invocation_of(ctx: object) -> Invocation:
    """Return what the global options were."""
    invocation = getattr(ctx, "obj", None)
    assert isinstance(invocation, Invocation), "global_options ran before"
    return invocation


def show_version(wanted: bool) -> None:  # noqa: FBT001 (typer's callback)
    """End with the version, if that is wanted."""
    if wanted:
        typer.echo(f"os-migrate {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    ctx: typer.Context,
    *,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The settings file [default: $OS_MIGRATE_SETTINGS, ./os-migrate.yml, or that in --data-dir].",
        ),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where files and journal are; one for each source project.")
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a variable for this run; can be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout: events, then the result.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the result.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every step too.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version.")
    ] = False,
) -> None:
    """Move the servers of an OpenStack project into another OpenStack cloud.

    The usual order:

    1. `os-migrate export all` describes what is there, in a file a kind: look at them, edit them
    2. `os-migrate import all` makes networks, routers, security groups... in the destination
    3. `os-migrate hosts deploy` makes a conversion host in each cloud
    4. `os-migrate export workloads` describes the servers in `workloads.yml` as they are now
    5. `os-migrate plan` shows what will be done, how long it takes, and all that is in the way
    6. `os-migrate migrate` migrates them; servers must be stopped, or the settings say to stop them
    7. `os-migrate import detached_volumes` migrates the volumes that no server has
    8. `os-migrate hosts delete`

    `os-migrate status` shows where everything is; `verify` repeats the proof; `resume` and `rollback` are for what was interrupted. Each command can
    be repeated: what is done is left alone. The options below may also stand behind the command.
    """
    ctx.obj = Invocation(settings, _overrides(variables or [], data_dir), as_json, quiet, verbose)


def _overrides(variables: Sequence[str], data_dir: str | None) -> dict[str, str]:
    overrides = {}
    for given in variables:
        name, equals, value = given.partition("=")
        if not equals:
            raise typer.BadParameter(f"{given!r} isn't NAME=VALUE", param_hint="--set")
        overrides[name.strip()] = value
    if data_dir is not None:
        overrides["os_migrate_data_dir"] = data_dir
    return overrides


def filter_of(entries: Sequence[str]) -> NameFilter:
    """Read --filter: exact names, and regular expressions marked with `~`.

    Raises:
        UserError: one isn't a regular expression.
    """
    try:
        return tuple(regex(entry[1:]) if entry.startswith("~") else entry for entry in entries)
    except BadValueError as error:
        raise UserError(f"--filter {error}", remedy="`--filter NAME` is a name, `--filter '~^web'` a pattern") from None


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Return arguments with the global options in front, where typer looks for them; what follows `--` stays."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *queue]
            break
        if argument in GLOBAL_FLAGS or (equals and name in GLOBAL_VALUES):
            front.append(argument)
        elif argument in GLOBAL_VALUES and queue:
            front += [argument, queue.pop(0)]
        else:
            rest.append(argument)
    return front + rest


def main() -> None:
    """Run the command line. SIGTERM stops as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(hoisted(sys.argv[1:]), prog_name="os-migrate")
