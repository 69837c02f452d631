"""Delete the conversion hosts, and of what is around them only what `deploy` made: it carries our mark.

    servers -> floating IPs  on both sides first: hosts in one project share a network
    router's interface -> router -> subnet -> network -> security group
    key pair -> key files

Whatever fails is listed at the end, and the rest is deleted all the same.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from os_migrate import keys
from os_migrate.errors import CloudError, HostError, RollbackIncomplete, UserError
from os_migrate.events import Events
from os_migrate.files.filters import listed
from os_migrate.hosts import known_hosts
from os_migrate.hosts.changes import Changes
from os_migrate.hosts.hosting import MARK, Clouds, HostingCloud, find_address, is_marked, is_of_a_pair, is_ours
from os_migrate.model import AttemptId, Loan, PartKind, Server, ServerId, ServerStatus, Side, tag_of
from os_migrate.nbd import HostedAttempt
from os_migrate.settings import Settings


def delete(clouds: Clouds, settings: Settings, events: Events, *, dry_run: bool = False) -> tuple[str, ...]:
    """Delete the conversion hosts that the settings ask to delete; none there is fine. Return what was deleted, a line each.

    In a dry run nothing is, and what would be is told.

    Raises:
        RollbackIncomplete: with all that still stands, and why.
    """
    changes = Changes(events)
    every = [_Removal(clouds[side], settings, side, changes, dry_run=dry_run) for side in Side]
    removals = [removal for removal in every if removal.wanted]
    for removal in removals:
        removal.attempt("servers and floating IPs", removal.servers)
    for removal in removals:
        removal.attempt("network", removal.surroundings)
        removal.attempt("key pair", removal.keypair)
    standing = [what for removal in removals for what in removal.standing]
    if standing:
        raise RollbackIncomplete(
            "not all of the conversion hosts is deleted",
            standing,
            remedy="run `os-migrate hosts delete` again: it goes on with what is left",
        )
    if settings.conversion.keypair_generate and not dry_run and not any(removal.stands() for removal in every):
        for path in (settings.conversion.keypair_private_path, settings.conversion.link_keypair_private_path):
            if path.exists():
                changes.add(f"delete the SSH key {path}")
            keys.remove(path)
    return tuple(changes.lines)


def refuse_if_needed(unfinished: Sequence[str]) -> None:
    """Refuse to delete hosts while migrations are open: volumes of the source servers may hang on one.

    Raises:
        UserError: some are.
    """
    if unfinished:
        raise UserError(
            f"migrations are open that need the conversion hosts: {listed(unfinished)}",
            remedy="`os-migrate resume` or `os-migrate rollback` first; or --force",
        )


def refuse_if_used(clouds: Clouds, settings: Settings, open_host: "Callable[[str, ServerId, str], AskedHost]") -> None:
    """Refuse to delete hosts under a migrator that this data dir knows nothing of.

    Raises:
        UserError: there is one.
    """
    if used := used_for(clouds, settings, open_host):
        raise UserError(
            f"a migrator works through the conversion hosts on attempt {', '.join(used)}",
            remedy="wait until it has ended; if it is dead and its data dir lost, `os-migrate cleanup` first; or --force",
        )


class AskedHost(Protocol):
    """What is asked of a host before it goes (`remote.RemoteHost`)."""

    def attempts(self) -> Sequence[HostedAttempt]:
        """Return what attempts have on this host."""

    def close(self) -> None:
        """End the connection."""


def used_for(
    clouds: Clouds, settings: Settings, open_host: Callable[[str, ServerId, str], AskedHost]
) -> list[AttemptId]:
    """Return the attempts that migrators work on through the hosts that are to be deleted, by what the hosts and clouds say."""
    used: set[AttemptId] = set()
    for side in (side for side in Side if settings.host(side).delete):
        for server in _named_like_ours(clouds[side], settings, side):
            if not is_ours(server, side) or server.status is ServerStatus.SHUTOFF:
                continue
            address = find_address(clouds[side], settings, side, server.id)
            try:
                used |= _held(open_host(server.name, server.id, address)) if address else set()
            except HostError:  # a broken one, that is to go; or one of another data dir, which has its keys
                used |= _attached(clouds[side], server.id)
    return sorted(used)


def _named_like_ours(cloud: HostingCloud, settings: Settings, side: Side) -> list[Server]:
    """Return the servers of the hosts' names: of the pairs of the settings, and of more pairs that were made from this data dir.

    A host of another data dir may have a number in its name, too.
    """
    names = {of_pair.host(side).host_name for of_pair in settings.by_pair()}
    known = settings.conversion.known_hosts_path
    return [
        server
        for server in cloud.servers()
        if server.name in names
        or (is_of_a_pair(settings.host(side), server.name) and known_hosts.line_of(known, server.id) is not None)
    ]


def _held(host: AskedHost) -> set[AttemptId]:
    try:
        return {hosted.attempt for hosted in host.attempts() if hosted.held}
    finally:
        host.close()


def _attached(cloud: HostingCloud, server_id: ServerId) -> set[AttemptId]:
    """Return the attempts whose volumes are attached to a server."""
    volumes = [v for v in cloud.volumes() if any(a.server_id == server_id for a in v.attachments)]
    return {mark.attempt for v in volumes if (mark := tag_of(v) or Loan.of(v))}


class _Removal:
    """The deletions on one side; `standing` gathers what could not be deleted, and why."""

    def __init__(self, cloud: HostingCloud, settings: Settings, side: Side, changes: Changes, *, dry_run: bool) -> None:
        self.standing: list[str] = []
        self._cloud = cloud
        self._settings = settings
        self._host = settings.host(side)
        self._names = {of_pair.host(side).host_name for of_pair in settings.by_pair()}
        self._side = side
        self._changes = changes.of(f"{side} conversion host")
        self._dry_run = dry_run

    @property
    def wanted(self) -> bool:
        """Say whether the settings ask for it."""
        return self._host.delete

    def stands(self) -> bool:
        """Say whether there still is what our key is for."""
        servers = _named_like_ours(self._cloud, self._settings, self._side)
        return any(is_ours(server, self._side) for server in servers) or bool(self._own_pairs())

    def attempt(self, what: str, delete: Callable[[], None]) -> None:
        """Run a deletion; note its failure and go on."""
        try:
            delete()
        except CloudError as error:
            self.standing.append(f"{self._side} {what}: {error}")

    def servers(self) -> None:
        """Delete our servers of the hosts' names, also of more pairs than there are to be now, and the floating IPs made for them."""
        for server in _named_like_ours(self._cloud, self._settings, self._side):
            if not is_ours(server, self._side):
                left = f"server {server.name!r} ({server.id}) is left: os-migrate didn't make it"
                self._changes.tell(left, warning=True)
                continue
            self._delete(f"server {server.name!r}", partial(self._delete_server, server))
        if not (self._host.manage_fip and self._host.delete_fip):
            return
        for ip in self._cloud.floating_ips():
            if not ip.description.startswith(f"{MARK} "):
                continue
            name = ip.description.removeprefix(f"{MARK} ")
            if name in self._names or (is_of_a_pair(self._host, name) and ip.port_id is None):
                self._delete(f"floating IP {ip.address}", partial(self._cloud.delete_floating_ip, ip.id))

    def _delete(self, what: str, act: Callable[[], None]) -> None:
        """Delete something; note its failure and go on."""
        self._changes.add(f"delete {what}")
        if not self._dry_run:
            self.attempt(what, act)

    def _delete_server(self, server: Server) -> None:
        self._cloud.delete_server(server.id)
        known_hosts.forget(self._settings.conversion.known_hosts_path, server.id)

    def surroundings(self) -> None:
        """Delete our network parts of the host's names, each before what it stands on."""
        if not self._host.manage_network:
            return
        for subnet_id in self._marked(PartKind.SUBNET, self._host.subnet_name):
            for router in self._cloud.parts(PartKind.ROUTER):
                if router.name == self._host.router_name and not self._dry_run:
                    self._cloud.part_from(router.id, subnet_id)
        names = {
            PartKind.ROUTER: self._host.router_name,
            PartKind.SUBNET: self._host.subnet_name,
            PartKind.NETWORK: self._host.net_name,
            PartKind.SECURITY_GROUP: self._host.secgroup_name,
        }
        for kind, name in names.items():
            for part_id in self._marked(kind, name):
                self._delete(f"{kind} {name!r} ({part_id})", partial(self._cloud.delete_part, kind, part_id))

    def keypair(self) -> None:
        """Delete the key pair, if it is the one in the data dir."""
        for name in self._own_pairs():
            self._delete(f"key pair {name!r}", partial(self._cloud.delete_keypair, name))

    def _own_pairs(self) -> list[str]:
        path, name = self._settings.conversion.keypair_private_path, self._host.keypair_name
        if self._settings.conversion.keypair_generate and path.exists():
            with suppress(UserError):  # a key that can't be read isn't one that we made
                own = keys.load(path)
                return [p.name for p in self._cloud.public_keys() if p.name == name and own.is_same(p.public_key)]
        return []

    def _marked(self, kind: PartKind, name: str) -> list[str]:
        return [part.id for part in self._cloud.parts(kind) if part.name == name and is_marked(part)]
