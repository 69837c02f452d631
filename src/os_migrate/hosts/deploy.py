"""Deploy conversion hosts: reuse what is there, make what lacks, and leave both hosts ready and linked.

    look            flavor, image, networks: every problem of both sides at once, before anything is made
    all hosts       key pair -> network, subnet, router, security group -> server -> floating IP -> SSH
    at one time     -> hook -> packages -> hook -> password access -> reboot
    link            a key with which each pair's destination host opens SSH to its source host
    narrow          SSH gets in only from where it came

What is made carries a mark, by which `delete` knows it. What was made stays where something fails: the same command
again goes on with it. Each line but the first and the last is a `Stage`, which can be done by itself.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from os_migrate import keys
from os_migrate.errors import CloudError, HostError
from os_migrate.events import Events, Note
from os_migrate.hosts import doors, known_hosts
from os_migrate.hosts.changes import Changes
from os_migrate.hosts.check import check, examine, link_script
from os_migrate.hosts.content import refuse_access_without_password
from os_migrate.hosts.delete import delete, refuse_if_needed, refuse_if_used
from os_migrate.hosts.deployment import Deployment, usable_server
from os_migrate.hosts.hosting import (
    Clouds,
    DeployedHost,
    HostingCloud,
    OpenHost,
    Stage,
    find_host,
    not_ready,
    open_remote_host,
)
from os_migrate.hosts.look import look
from os_migrate.keys import SshKey
from os_migrate.model import Side
from os_migrate.settings import Settings
from os_migrate.world import Clock

__all__ = [
    "Deployed",
    "DeployedHost",
    "HostingCloud",
    "Stage",
    "check",
    "delete",
    "deploy",
    "find_host",
    "not_ready",
    "open_remote_host",
    "refuse_if_needed",
    "refuse_if_used",
    "rehearse",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Deployed:
    """The hosts that are ready, and what was changed for it, a line each."""

    hosts: tuple[DeployedHost, ...]
    changes: tuple[str, ...]


def deploy(
    clouds: Clouds,
    settings: Settings,
    events: Events,
    clock: Clock,
    open_host: OpenHost,
    stages: Collection[Stage] = tuple(Stage),
) -> Deployed:
    """Make sure that the conversion hosts the settings ask for are there and ready.

    Doing it again changes nothing, but for what the operator's hooks do, and a reboot that is asked for.

    Raises:
        PlanError: something that the settings name isn't there, or is ambiguous; nothing was made.
        UserError: something of that name is there and isn't ours; or it isn't there, and `stages` don't make it.
        CloudError, HostError: a host could not be made, or reached, or lacks tools.
    """
    sides = [side for side in Side if settings.host(side).deploy]
    if not sides:
        return Deployed((), ())
    if Stage.CONTENT in stages:
        refuse_access_without_password(settings.conversion)
    found = look(clouds, settings, sides) if Stage.HOSTS in stages else {}
    changes = Changes(events)
    key = _own_key(settings, changes)
    making = {clouds[side].project_id(): Lock() for side in sides}
    deployments = [
        Deployment(
            cloud=clouds[side],
            settings=of_pair,
            side=side,
            stages=stages,
            found=found.get(side),
            key=key,
            changes=changes.of(f"{side} conversion host"),
            clock=clock,
            open_host=open_host,
            making=making[clouds[side].project_id()],
        )
        for of_pair in settings.by_pair()
        for side in sides
    ]
    peers: list[str] = []
    linked = Stage.LINK in stages and settings.conversion.link and len(sides) == len(Side)
    pairs = list(zip(deployments[::2], deployments[1::2], strict=True)) if linked else []
    try:
        hosts = at_one_time(
            [deployment.run for deployment in deployments],
            threads=len(deployments),
            tell=lambda text: events.tell(Note(text=text, warning=True)),
        )
        for source, destination in pairs:
            peers.append(_link(settings, changes, source, destination))
        _narrow(settings, deployments, peers, all_linked=bool(pairs))
    except BaseException:
        with suppress(CloudError):  # the first error is what the operator reads
            _narrow(settings, deployments, peers, all_linked=False)
        raise
    finally:
        for deployment in deployments:
            deployment.close()
    return Deployed(tuple(hosts), tuple(changes.lines))


def rehearse(clouds: Clouds, settings: Settings, open_host: OpenHost, stages: Collection[Stage]) -> tuple[str, ...]:
    """Return what `deploy` would change, as far as it can be seen now; nothing is changed. It raises as `deploy` does."""
    sides = [side for side in Side if settings.host(side).deploy]
    if Stage.CONTENT in stages:
        refuse_access_without_password(settings.conversion)
    if Stage.HOSTS in stages:
        look(clouds, settings, sides)
    for of_pair in settings.by_pair():
        for side in sides:
            usable_server(clouds[side], of_pair, side)
    found = [finding for finding in examine(clouds, settings, open_host) if finding.lacks(stages, sides)]
    changes = [f"{finding.problem.where}: {finding.problem.what}" for finding in found]
    if Stage.CONTENT in stages and settings.conversion.reboot:
        changes += [f"{side} conversion host: reboot" for side in sides]
    return tuple(changes)


def at_one_time(works: Sequence[Callable[[], T]], *, threads: int, tell: Callable[[str], None]) -> list[T]:
    """Run works in threads; return their results in order.

    Where some fail, wait for all; raise the first one's error, and tell of the others.
    """
    if not works:
        return []
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="deploy") as pool:
        futures = [pool.submit(work) for work in works]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if not errors:
        return [future.result() for future in futures]
    for other in errors[1:]:
        tell(str(other))
    raise errors[0]


def _own_key(settings: Settings, changes: Changes) -> SshKey:
    conversion = settings.conversion
    if not conversion.keypair_generate:
        return keys.load(conversion.keypair_private_path)
    if not conversion.keypair_private_path.exists():
        changes.add(f"generate the SSH key {conversion.keypair_private_path}")
    return keys.ensure(conversion.keypair_private_path, conversion.ssh_key_type, "os-migrate")


def _link(settings: Settings, changes: Changes, source: Deployment, destination: Deployment) -> str:
    """Let the destination host open SSH forwardings to the source host, and know its host key.

    Return the network that its connections come from, as the source host sees it.
    """
    assert source.host is not None, "it ran"
    assert source.deployed is not None, "it ran"
    assert destination.host is not None, "it ran"
    conversion = settings.conversion
    key = keys.ensure(conversion.link_keypair_private_path, conversion.ssh_key_type, "os-migrate-link")
    line = known_hosts.line_of(conversion.known_hosts_path, source.deployed.server_id)
    assert line, "without it the host would not have answered"
    changes.tell("link the destination conversion host to the source conversion host")
    if destination.host.install_link(key.private, f"{line}\n"):
        destination.changes.add(f"give it the key to {source.deployed.name!r}")
    script = link_script(conversion.ssh_user, source.deployed.address, source.deployed.server_id)
    try:
        peer = doors.network_of(destination.host.run_script(script))
    except HostError:
        source.host.authorize_link(key.public, None)
        peer = _first_peer(source, destination.host.run_script, script)
    if source.host.authorize_link(key.public, peer):
        source.changes.add(f"let the key of {destination.wanted.host_name!r} in from {peer}")
    return peer


def _first_peer(source: Deployment, run_script: Callable[[str], str], script: str) -> str:
    """Return where the destination host comes from; its key is let in, the security group may not let it in yet."""
    try:
        return doors.network_of(run_script(script))
    except HostError:
        source.open_wide()
        return doors.network_of(run_script(script))


def _narrow(settings: Settings, deployments: Sequence[Deployment], peers: Collection[str], *, all_linked: bool) -> None:
    """Let SSH in to the hosts only from where it came, so from nowhere if nobody got in. Hosts of one project share a group."""
    wanted: dict[str, set[str]] = {}
    of_group: dict[str, Deployment] = {}
    for deployment in deployments:
        group_id = deployment.group_id
        if group_id is None:
            continue
        of_group[group_id] = deployment
        networks = wanted.setdefault(group_id, set(settings.conversion.ssh_networks))
        if deployment.client is not None:
            networks.add(deployment.client)
        if deployment.side is Side.SOURCE:
            networks.update(peers)
    for group_id, networks in wanted.items():
        first = of_group[group_id]
        doors.narrow(first.cloud, group_id, networks, keep_others=not all_linked, tell=first.changes.add)
