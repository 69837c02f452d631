"""`os-migrate hosts deploy|check|delete`: the conversion hosts."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer

from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.errors import HostError, Problem, UserError
from os_migrate.files.filters import listed
from os_migrate.hosts import deploy as hosts
from os_migrate.model import Side
from os_migrate.session import Session, open_session
from os_migrate.settings import Settings

hosts_app = typer.Typer(no_args_is_help=True, help="The conversion hosts, through which the disks are copied.")
app.add_typer(hosts_app, name="hosts")

OneSide = Annotated[Side | None, typer.Option("--side", help="Only this side. [default: both]")]


@hosts_app.command("deploy")
@reporting
def deploy(ctx: typer.Context, *, side: OneSide = None) -> None:
    """Make a conversion host in each cloud, ready and linked; what is there already is used.

    It makes a key pair, network, router, security group and floating IP too, unless the settings say that they are
    managed by you.

    Example: `os-migrate hosts deploy --side source`
    """
    invocation = invocation_of(ctx)
    settings = only(side, invocation.settings())
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=True) as session,
    ):
        open_host = partial(hosts.open_remote_host, settings)
        deployed = hosts.deploy(session.clouds, settings, events, session.world.clock, open_host)
    lines = [
        f"{host.side} conversion host {host.name} ({host.server_id}) is ready at {host.address}" for host in deployed
    ]
    invocation.show("\n".join(lines), {"hosts": [asdict(host) for host in deployed]})


@hosts_app.command("check")
@reporting
def check(ctx: typer.Context, *, side: OneSide = None) -> None:
    """Check that the conversion hosts are there, answer, have their tools, and reach each other.

    Example: `os-migrate hosts check`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=False) as session,
    ):
        found = hosts.check(session.clouds, settings, partial(hosts.open_remote_host, settings))
    problems = [p for p in found if side is None or p.where.startswith(side)]
    if problems:
        raise HostError(not_ready(problems), remedy=problems[0].remedy)
    invocation.show("The conversion hosts are ready.", {"ready": True})


@hosts_app.command("delete")
@reporting
def delete(
    ctx: typer.Context,
    *,
    side: OneSide = None,
    force: Annotated[
        bool, typer.Option("--force", help="Delete them though migrations are open that may need them.")
    ] = False,
) -> None:
    """Delete the conversion hosts, and of what is around them what `deploy` made.

    Example: `os-migrate hosts delete`
    """
    invocation = invocation_of(ctx)
    settings = only(side, invocation.settings())
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=True) as session,
    ):
        if not force:
            refuse_if_needed(session)
            refuse_if_used(session, settings)
        hosts.delete(session.clouds, settings, events)
    invocation.show("The conversion hosts are deleted.", {"deleted": True})


def only(side: Side | None, settings: Settings) -> Settings:
    """Return the settings with the other side's host left alone."""
    if side is Side.SOURCE:
        return replace(settings, destination_host=replace(settings.destination_host, deploy=False, delete=False))
    if side is Side.DESTINATION:
        return replace(settings, source_host=replace(settings.source_host, deploy=False, delete=False))
    return settings


def refuse_if_needed(session: Session) -> None:
    """Refuse to delete hosts while a migration is open: volumes of the source server may hang on one.

    Raises:
        UserError: one is.
    """
    if unfinished := session.journal.unfinished():
        raise UserError(
            f"migrations are open that need the conversion hosts: {listed([a.name for a in unfinished])}",
            remedy="`os-migrate resume` or `os-migrate rollback` first; or --force",
        )


def refuse_if_used(session: Session, settings: Settings) -> None:
    """Refuse to delete hosts under a migrator that this data dir knows nothing of.

    Raises:
        UserError: there is one.
    """
    if used := hosts.used_for(session.clouds, settings, partial(hosts.open_remote_host, settings)):
        raise UserError(
            f"a migrator works through the conversion hosts on attempt {', '.join(used)}",
            remedy="wait until it has ended; if it is dead and its data dir lost, `os-migrate cleanup` first; or --force",
        )


def not_ready(problems: Sequence[Problem]) -> str:
    """Return what is wrong with the hosts, a line each."""
    return "\n".join(["the conversion hosts are not ready:", *(f"  {problem}" for problem in problems)])
