"""`os-migrate plan`: what will be migrated, when, with what downtime, what is made, and all that is in the way."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.cli.migration import Filters, Names, calls_of, choose
from os_migrate.cli.page import page
from os_migrate.cli.planned import text_of
from os_migrate.files.durable import write_atomically
from os_migrate.planning import fields, make_plan
from os_migrate.resources.choosing import SERVERS, VOLUMES
from os_migrate.session import open_session

NARROWEST = 100
"""A narrower table can't be read; a terminal that is narrower than that breaks its lines."""


@app.command()
@reporting
def plan(
    ctx: typer.Context,
    names: Names = None,
    *,
    filters: Filters = None,
    detached_volumes: Annotated[
        bool, typer.Option("--detached-volumes", help="Of `detached_volumes.yml`, instead of servers.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page too, for the servers' owners.")
    ] = None,
) -> None:
    """Show what `migrate` would do, how long it would take, and all that is in the way. Nothing is touched.

    The servers in the order in which they would begin, how long each would be off, what would be made in both clouds, and every
    problem at once, with its remedy: `migrate` makes the same checks. The exit code is 0 only if it can start.

    For example:

    - `os-migrate plan`
    - `os-migrate plan --filter '~^db' --set os_migrate_link_mbit=500 --html db.html`
    - `os-migrate plan --detached-volumes`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    choice = choose(settings, VOLUMES if detached_volumes else SERVERS, names or [], filters or [])
    with invocation.events(settings) as events:
        choice.tell_of_idle(events)
        with open_session(settings, events, hosts=True, lock=False, checks_hosts=True) as session:
            made = make_plan(session.world, session.journal, choice.chosen, settings)
            calls = calls_of(session)
    if html is not None:
        write_atomically(html.expanduser(), page(made))
    invocation.show(text_of(made, _width()), fields(made) | {"api_calls": calls})
    if made.error is not None:
        raise typer.Exit(made.error.exit_code)


def _width() -> int:
    return max(shutil.get_terminal_size().columns, NARROWEST)
