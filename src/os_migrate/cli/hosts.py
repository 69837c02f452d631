"""`os-migrate hosts deploy|check|delete`: the conversion hosts."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.errors import HostError
from os_migrate.hosts import deploy as hosts
from os_migrate.model import Side
from os_migrate.session import open_session

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
    settings = invocation.settings().only(side)
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=True) as session,
    ):
        open_host = partial(hosts.open_remote_host, settings)
        done = hosts.deploy(session.clouds, settings, events, session.world.clock, open_host)
    lines = [
        f"{host.side} conversion host {host.name} ({host.server_id}) is ready at {host.address}" for host in done.hosts
    ]
    invocation.show("\n".join(lines), {"hosts": [asdict(host) for host in done.hosts], "changes": done.changes})


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
        raise HostError(hosts.not_ready(problems), remedy=problems[0].remedy)
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
    settings = invocation.settings().only(side)
    with (
        invocation.events(settings) as events,
        open_session(settings, events, hosts=False, lock=True) as session,
    ):
        if not force:
            hosts.refuse_if_needed([attempt.name for attempt in session.journal.unfinished()])
            hosts.refuse_if_used(session.clouds, settings, partial(hosts.open_remote_host, settings))
        changes = hosts.delete(session.clouds, settings, events)
    invocation.show("The conversion hosts are deleted.", {"deleted": True, "changes": changes})
