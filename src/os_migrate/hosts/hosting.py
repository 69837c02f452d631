"""What conversion hosts are made of, and the ports they are made through: the words of deploy, check and delete."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from os_migrate.errors import Problem, UserError
from os_migrate.hosts.packages import HostFacts
from os_migrate.hosts.remote import RemoteHost
from os_migrate.model import (
    IngressRule,
    KeyPair,
    Named,
    NetworkId,
    NetworkPart,
    PartKind,
    Port,
    Server,
    ServerId,
    Side,
    SubnetRange,
)
from os_migrate.settings import HostSettings, Settings
from os_migrate.ssh import Ssh, SshTarget
from os_migrate.world import Cloud

MARK = "os-migrate conversion host"
"""Begins the description of whatever is made for a conversion host; only what has it is ever deleted."""

MARK_KEY = "os_migrate_conversion_host"
"""Metadata of the server; its value is the side."""

CONVERSION_HOST_KEY = "conversion_host"
"""Metadata by which such servers are known and never migrated themselves; operators' own hosts may carry it too."""

N = TypeVar("N", bound=Named | Server)


class Stage(StrEnum):
    """A part of the deployment that can be done by itself: others may have something to do on the hosts in between."""

    HOSTS = "hosts"
    CONTENT = "content"
    LINK = "link"


class HostingCloud(Cloud, Protocol):
    """What a cloud must do so that a conversion host can be made in it; deletions wait out what is still busy."""

    def public_keys(self) -> Sequence[KeyPair]:
        """Return the user's key pairs with their public keys."""

    def import_keypair(self, name: str, public_key: str) -> None:
        """Give the cloud a public key under a name."""

    def delete_keypair(self, name: str) -> None:
        """Delete a key pair."""

    def parts(self, kind: PartKind) -> Sequence[NetworkPart]:
        """Return the networks, subnets, routers or security groups that the project can use."""

    def create_network(self, name: str, mtu: int | None, description: str) -> str:
        """Create a network; return its id."""

    def create_subnet(self, name: str, network_id: NetworkId, addresses: SubnetRange, description: str) -> str:
        """Create a subnet with DHCP; return its id."""

    def create_router(self, name: str, external_network_id: NetworkId, description: str) -> str:
        """Create a router that leads to an external network; return its id."""

    def create_security_group(self, name: str, description: str) -> str:
        """Create a security group; return its id."""

    def ssh_rules(self, group_id: str) -> Sequence[IngressRule]:
        """Return the rules of a security group that let SSH in from somewhere."""

    def allow_ssh(self, group_id: str, cidr: str, description: str) -> None:
        """Let SSH in from a network; a rule that is there already is fine."""

    def delete_rule(self, rule_id: str) -> None:
        """Delete a rule of a security group."""

    def join(self, router_id: str, subnet_id: str) -> None:
        """Give a router an interface in a subnet; one that is there already is fine."""

    def part_from(self, router_id: str, subnet_id: str) -> None:
        """Take a router's interface in a subnet away; none there is fine."""

    def delete_part(self, kind: PartKind, part_id: str) -> None:
        """Delete a network, subnet, router or security group."""

    def reboot_server(self, server_id: ServerId) -> None:
        """Ask a server's guest to reboot; don't wait."""


class DeployableHost(Protocol):
    """What deploying does on a host, over SSH (`remote.RemoteHost`)."""

    @property
    def name(self) -> str:
        """Return the server's name."""

    def close(self) -> None:
        """End the connection."""

    def reachable(self) -> bool:
        """Say whether the host answers SSH now."""

    def await_reachable(self, timeout_s: float) -> None:
        """Wait until the host answers SSH."""

    def facts(self) -> HostFacts:
        """Return what the host is and what it lacks."""

    def install_packages(self) -> None:
        """Install the tools that are missing."""

    def run_script(self, text: str, *, as_root: bool = False) -> str:
        """Run a bash script, as the SSH user or as root; return what it printed."""

    def allow_password(self, password: str | None, *, dry_run: bool) -> bool:
        """Let the SSH user in by a password, None: by none. Return whether that changed anything, or would."""

    def authorize_link(self, public_key: str, network: str | None) -> bool:
        """Let the holder of a key open SSH forwardings to this host, from one network only. Return whether it could not before."""

    def install_link(self, private_key: str, known_hosts: str) -> bool:
        """Keep the key, and the host keys, with which this host opens them. Return whether it had others, or none."""


OpenHost = Callable[[str, ServerId, str], DeployableHost]
"""Name, server, address -> host; it connects when it is first used."""

Clouds = Mapping[Side, HostingCloud]


@dataclass(frozen=True)
class DeployedHost:
    """A conversion host that is ready."""

    side: Side
    server_id: ServerId
    name: str
    address: str
    facts: HostFacts


def not_ready(problems: Sequence[Problem]) -> str:
    """Return what is wrong with the hosts, a line each."""
    return "\n".join(["the conversion hosts are not ready:", *(f"  {problem}" for problem in problems)])


def prefix(side: Side) -> str:
    """Return how the variables of a side's host begin, for messages."""
    return "os_migrate_src_conversion" if side is Side.SOURCE else "os_migrate_dst_conversion"


def only(what: str, name: str, candidates: Iterable[N]) -> N | None:
    """Return the one of that name, None if there is none. Raise UserError if there are several: which is meant?"""
    found = [candidate for candidate in candidates if candidate.name == name]
    if len(found) > 1:
        ids = ", ".join(str(candidate.id) for candidate in found)
        raise UserError(f"several {what}s are called {name!r}: {ids}", remedy="rename all but one of them")
    return found[0] if found else None


def is_ours(server: Server, side: Side) -> bool:
    """Say whether a server was made by `deploy` for that side."""
    return server.metadata.get(MARK_KEY) == side.value


def is_marked(part: NetworkPart) -> bool:
    """Say whether a network part was made by `deploy`."""
    return part.description.startswith(MARK)


def fip_mark(host: HostSettings) -> str:
    """Return the description of a floating IP that is made for a host: two hosts in a project each have their own."""
    return f"{MARK} {host.host_name}"


def is_of_a_pair(host: HostSettings, name: str) -> bool:
    """Say whether a name is that of the first pair's host, or that of another pair's."""
    return re.fullmatch(rf"{re.escape(host.host_name)}(-[1-9]\d*)?", name) is not None


def find_server(cloud: Cloud, settings: Settings, side: Side) -> Server | None:
    """Return the server of that side's conversion host, if it is there."""
    return only("server", settings.host(side).host_name, cloud.servers())


def server_ports(cloud: Cloud, server_id: ServerId) -> list[Port]:
    """Return the ports of a server."""
    return [port for port in cloud.ports() if port.device_id == server_id]


def find_address(cloud: Cloud, settings: Settings, side: Side, server_id: ServerId) -> str | None:
    """Return where a conversion host is reached: the given address, else its floating IP, else its fixed one.

    None means that a floating IP is wanted and isn't there.
    """
    host = settings.host(side)
    if host.floating_ip_address and not host.manage_fip:
        return host.floating_ip_address  # the operator sees to it
    ports = server_ports(cloud, server_id)
    port_ids = {port.id for port in ports}
    floating = [ip.address for ip in cloud.floating_ips() if ip.port_id in port_ids]
    if host.floating_ip_address:
        return host.floating_ip_address if host.floating_ip_address in floating else None
    if floating or host.manage_fip:
        return floating[0] if floating else None
    fixed = [ip.ip_address for port in ports for ip in port.fixed_ips]
    return min(fixed, key=lambda address: ":" in address, default=None)  # IPv4 first


def find_host(cloud: Cloud, settings: Settings, side: Side) -> tuple[ServerId, str]:
    """Return the server and the address of a side's conversion host.

    Raise UserError if it isn't there, its name is ambiguous, or it has no address.
    """
    name = settings.host(side).host_name
    server = find_server(cloud, settings, side)
    if server is None:
        raise UserError(f"the {side} conversion host {name!r} isn't there", remedy="run `os-migrate hosts deploy`")
    address = find_address(cloud, settings, side, server.id)
    if address is None:
        raise UserError(
            f"the {side} conversion host {name!r} has no address",
            remedy=f"run `os-migrate hosts deploy`, or set {prefix(side)}_manage_fip to false",
        )
    return server.id, address


def open_remote_host(settings: Settings, name: str, server_id: ServerId, address: str) -> RemoteHost:
    """Return the host over SSH, known by the key that was handed to its server."""
    conversion = settings.conversion
    target = SshTarget(
        user=conversion.ssh_user,
        address=address,
        key_path=conversion.keypair_private_path,
        known_hosts_path=conversion.known_hosts_path,
        host_key_alias=server_id,
    )
    return RemoteHost(name, server_id, Ssh(target))
