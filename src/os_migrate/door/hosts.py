"""The conversion hosts, for Ansible's modules: deploy, fill, link, delete, and tell where they are.

Each is a stage of what `os-migrate hosts deploy` does at once, so that a playbook can have its own tasks on the hosts in between.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from os_migrate.door.call import Answer, Call
from os_migrate.door.resources import opened
from os_migrate.errors import UserError
from os_migrate.hosts import deploy as hosts
from os_migrate.hosts.hosting import find_address
from os_migrate.model import Server, ServerId, Side
from os_migrate.session import Session, open_session
from os_migrate.settings import Settings


def deploy(call: Call) -> Answer:
    """Make sure that the hosts are there and answer; return them, as an inventory wants them."""
    return _done(call, _settings(call), hosts.Stage.HOSTS)


def fill(call: Call) -> Answer:
    """Run the hooks on the hosts, install what they lack, and let their SSH user in by password if that is wanted."""
    settings = _settings(call)
    if password := call.options.get("ssh_user_password"):
        settings = replace(settings, conversion=replace(settings.conversion, ssh_password=password))
    return _done(call, settings, hosts.Stage.CONTENT)


def link(call: Call) -> Answer:
    """Let each pair's destination host open SSH to its source host; both must be there, whoever deployed them."""
    settings = call.settings()
    settings = replace(
        settings,
        conversion=replace(settings.conversion, link=True),
        source_host=replace(settings.source_host, deploy=True),
        destination_host=replace(settings.destination_host, deploy=True),
    )
    return _done(call, settings, hosts.Stage.LINK)


def delete(call: Call) -> Answer:
    """Delete the hosts, and of what is around them what was made for them."""
    settings = _settings(call)
    with _opened(call, settings) as session:
        if not call.options.get("force"):
            hosts.refuse_if_needed([attempt.name for attempt in session.journal.unfinished()])
            hosts.refuse_if_used(session.clouds, settings, partial(hosts.open_remote_host, settings))
        changes = hosts.delete(session.clouds, settings, session.world.events, dry_run=call.check)
    return {"changed": bool(changes), "changes": list(changes)}


def info(call: Call) -> Answer:
    """Tell of one server, by name or id, what a playbook needs to reach it as a conversion host. No data dir is needed."""
    call = replace(call, side=_side(call))
    wanted = call.options["server"]
    with opened(call, lock=False) as (settings, _, cloud):
        server = _one(wanted, cloud.servers(), call.options.get("filters") or {})
        address = find_address(cloud, settings, call.side, server.id)
    if address is None:
        raise UserError(f"the conversion host {wanted!r} has no address", remedy="give it a floating IP")
    found = _reached(settings, server.id, server.name, address)
    return {"openstack_conversion_host": {**found, "status": server.raw_status}}


def _one(wanted: str, servers: Sequence[Server], filters: Mapping[str, object]) -> Server:
    """Return the server of that id, else of that name."""
    known = {"name": "name", "id": "id", "status": "raw_status", "project_id": "project_id"}
    if strange := sorted(set(filters) - set(known)):
        raise UserError(f"filters can't choose by {', '.join(strange)}", remedy=f"there are {', '.join(known)}")
    chosen = [s for s in servers if all(getattr(s, known[key]) == value for key, value in filters.items())]
    found = [s for s in chosen if s.id == wanted] or [s for s in chosen if s.name == wanted]
    if not found:
        raise UserError(
            f"the conversion host {wanted!r} isn't there", remedy="run the playbook deploy_conversion_hosts"
        )
    if len(found) > 1:
        ids = ", ".join(s.id for s in found)
        raise UserError(f"several servers are called {wanted!r}: {ids}", remedy="name one by its id")
    return found[0]


def _side(call: Call) -> Side:
    """Return which cloud a call is for: it says so, or names the destination's cloud."""
    named = call.options.get("cloud")
    if "side" in call.options or not named or call.data_dir is None:
        return call.side
    return Side.DESTINATION if named == call.settings().destination.cloud else Side.SOURCE


def _settings(call: Call) -> Settings:
    """Return the settings of a call, which may be for one side only."""
    return call.settings().only(call.side if "side" in call.options else None)


def _done(call: Call, settings: Settings, stage: hosts.Stage) -> Answer:
    open_host = partial(hosts.open_remote_host, settings)
    with _opened(call, settings) as session:
        if call.check:
            changes = hosts.rehearse(session.clouds, settings, open_host, (stage,))
            return {"changed": bool(changes), "changes": list(changes), "hosts": []}
        done = hosts.deploy(session.clouds, settings, session.world.events, session.world.clock, open_host, (stage,))
    return {
        "changed": bool(done.changes),
        "changes": list(done.changes),
        "hosts": [_host(settings, host) for host in done.hosts],
    }


@contextmanager
def _opened(call: Call, settings: Settings) -> Iterator[Session]:
    with (
        call.events(settings) as events,
        open_session(settings, events, hosts=False, lock=not call.check) as session,
    ):
        yield session


def _host(settings: Settings, host: hosts.DeployedHost) -> dict[str, Any]:
    system = f"{host.facts.os_id} {host.facts.os_version}".strip()
    return {**_reached(settings, host.server_id, host.name, host.address), "side": host.side.value, "os": system}


def _reached(settings: Settings, server_id: ServerId, name: str, address: str) -> dict[str, Any]:
    """Return a host with the words of an inventory: how it is reached, known by the key that it was given."""
    conversion = settings.conversion
    options = {
        "UserKnownHostsFile": conversion.known_hosts_path,
        "HostKeyAlias": server_id,
        "StrictHostKeyChecking": "yes",
    }
    return {
        "name": name,
        "id": server_id,
        "address": address,
        "user": conversion.ssh_user,
        "private_key_file": str(conversion.keypair_private_path),
        "ssh_args": " ".join(f"-o {option}={value}" for option, value in options.items()),
    }
