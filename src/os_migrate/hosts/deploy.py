"""Deploy conversion hosts: reuse what is there, make what lacks, and leave both hosts ready and linked.

    look            flavor, image, networks: every problem of both sides at once, before anything is made
    all hosts       key pair -> network, subnet, router, security group -> server -> floating IP
    at one time     -> SSH -> hook -> packages -> hook -> reboot
    link            a key with which each pair's destination host opens SSH to its source host
    narrow          SSH gets in only from where it came

What is made carries a mark, by which `delete` knows it. What was made stays where something fails: the same command
again goes on with it.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from os_migrate import keys
from os_migrate.errors import CloudError, HostError, UserError
from os_migrate.events import Events, Note
from os_migrate.hosts import doors, known_hosts
from os_migrate.hosts.check import check, link_script
from os_migrate.hosts.cloud_init import user_data
from os_migrate.hosts.delete import delete, used_for
from os_migrate.hosts.hosting import (
    CONVERSION_HOST_KEY,
    MARK_KEY,
    Clouds,
    DeployableHost,
    DeployedHost,
    HostingCloud,
    OpenHost,
    find_address,
    find_host,
    find_server,
    fip_mark,
    is_ours,
    open_remote_host,
    prefix,
    server_ports,
)
from os_migrate.hosts.look import Found, look
from os_migrate.hosts.packages import HostFacts
from os_migrate.hosts.surroundings import Surroundings, ensure_keypair, ensure_surroundings
from os_migrate.keys import SshKey
from os_migrate.model import BlockDevice, Nic, Server, ServerId, ServerSpec, ServerStatus, Side
from os_migrate.settings import HostSettings, Settings
from os_migrate.world import Clock

__all__ = ["DeployedHost", "HostingCloud", "check", "delete", "deploy", "find_host", "open_remote_host", "used_for"]

ACTIVE_TIMEOUT_S = 600.0
"""Nova fetches the image first; the operator's deploy time-out is for the guest's start only."""

REBOOT_TIMEOUT_S = 300.0
REBOOT_POLL_S = 3.0
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"

T = TypeVar("T")


def deploy(
    clouds: Clouds, settings: Settings, events: Events, clock: Clock, open_host: OpenHost
) -> tuple[DeployedHost, ...]:
    """Make sure that the conversion hosts the settings ask for are there and ready; return them.

    Doing it again changes nothing.

    Raises:
        PlanError: something that the settings name isn't there, or is ambiguous; nothing was made.
        UserError: something of that name is there and isn't ours.
        CloudError, HostError: a host could not be made, or reached, or lacks tools.
    """
    sides = [side for side in Side if settings.host(side).deploy]
    found = look(clouds, settings, sides)
    key = _own_key(settings)
    making = {clouds[side].project_id(): Lock() for side in sides}
    deployments = [
        _Deployment(
            clouds[side], of_pair, side, found[side], key, events, clock, open_host, making[clouds[side].project_id()]
        )
        for of_pair in settings.by_pair()
        for side in sides
    ]
    peers: list[str] = []
    both = settings.conversion.link and len(sides) == len(Side)
    pairs = list(zip(deployments[::2], deployments[1::2], strict=True)) if both else []
    try:
        hosts = at_one_time(
            [deployment.run for deployment in deployments],
            threads=len(deployments),
            tell=lambda text: events.tell(Note(text=text, warning=True)),
        )
        for source, destination in pairs:
            peers.append(_link(settings, events, source, destination))
        _narrow(settings, deployments, peers, all_linked=bool(pairs))
    except BaseException:
        with suppress(CloudError):  # the first error is what the operator reads
            _narrow(settings, deployments, peers, all_linked=False)
        raise
    finally:
        for deployment in deployments:
            deployment.close()
    return tuple(hosts)


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


def _own_key(settings: Settings) -> SshKey:
    conversion = settings.conversion
    if not conversion.keypair_generate:
        return keys.load(conversion.keypair_private_path)
    return keys.ensure(conversion.keypair_private_path, conversion.ssh_key_type, "os-migrate")


@dataclass
class _Deployment:
    """The way of one side's host; `host` is open once the server answers."""

    cloud: HostingCloud
    settings: Settings
    side: Side
    found: Found
    key: SshKey
    events: Events
    clock: Clock
    open_host: OpenHost
    making: Lock
    """Held while keys, networks and servers are made: the hosts in one project share them, and only one can make each."""
    host: DeployableHost | None = None
    deployed: DeployedHost | None = None
    client: str | None = None
    """The network that this migrator's connections come from, as the host sees it."""

    def run(self) -> DeployedHost:
        """Go all the way."""
        with self.making:
            ensure_keypair(self.cloud, self._wanted.keypair_name, self.key, tell=self._tell)
            server = self._usable_server() or self._create_server()
        server = self.cloud.await_server(server.id, ServerStatus.ACTIVE, ACTIVE_TIMEOUT_S)
        address = self._ensure_address(server)
        self.host = self.open_host(server.name, server.id, address)
        self._tell(f"wait until {address} answers SSH")
        if not self.host.reachable():
            self.open_wide()
        self.host.await_reachable(self.settings.conversion.deploy_timeout_s)
        self.client = doors.client_of(self.host)
        facts = self._fill(self.host)
        if self.settings.conversion.reboot:
            self._reboot(self.host, server.id)
        self.deployed = DeployedHost(self.side, server.id, server.name, address, facts)
        self._tell(f"ready at {address}")
        return self.deployed

    @property
    def group_id(self) -> str | None:
        """Return the host's security group, None if it isn't ours."""
        return doors.own_group(self.cloud, self._wanted.secgroup_name)

    def open_wide(self) -> None:
        """Let SSH in from anywhere, for as long as it isn't known from where it comes."""
        if group_id := self.group_id:
            doors.open_wide(self.cloud, group_id)

    def close(self) -> None:
        """End the connection to the host."""
        if self.host is not None:
            self.host.close()

    @property
    def _wanted(self) -> HostSettings:
        return self.settings.host(self.side)

    def _tell(self, text: str) -> None:
        self.events.tell(Note(text=f"{self.side} conversion host: {text}"))

    def _usable_server(self) -> Server | None:
        """Return the server that is there already, started. Raise UserError if it isn't the host that we know."""
        server = find_server(self.cloud, self.settings, self.side)
        if server is None:
            return None
        if known_hosts.line_of(self.settings.conversion.known_hosts_path, server.id) is None:
            made_by_us = is_ours(server, self.side)
            raise UserError(
                f"{self.cloud.name}: the server {server.name!r} ({server.id}) is there, and its host key isn't known",
                remedy="run `os-migrate hosts delete`, then `os-migrate hosts deploy`"
                if made_by_us
                else f"os-migrate didn't make it: set another {prefix(self.side)}_host_name, or put its host key into "
                f"{self.settings.conversion.known_hosts_path} under the name {server.id}",
            )
        if server.status is ServerStatus.ERROR:
            raise CloudError(
                f"{self.cloud.name}: the server {server.name!r} ({server.id}) is in ERROR: {server.fault}",
                remedy="run `os-migrate hosts delete`, then `os-migrate hosts deploy`",
            )
        if server.status is ServerStatus.SHUTOFF:
            self._tell(f"start server {server.name!r}")
            self.cloud.start_server(server.id)
        return server

    def _create_server(self) -> Server:
        surroundings = ensure_surroundings(
            self.cloud, self.settings, self._wanted, self.found.external_network, tell=self._tell
        )
        self._tell(f"create server {self._wanted.host_name!r}")
        host_key = keys.generate("ed25519", self._wanted.host_name)
        server_id = self.cloud.create_server(self._spec(surroundings, host_key))
        known_hosts.remember(self.settings.conversion.known_hosts_path, server_id, host_key.public)
        return self.cloud.server(server_id)

    def _spec(self, surroundings: Surroundings, host_key: SshKey) -> ServerSpec:
        wanted = self._wanted
        return ServerSpec(
            name=wanted.host_name,
            flavor_id=self.found.flavor,
            nics=(Nic(network_id=surroundings.network_id),),
            block_devices=(
                BlockDevice(
                    boot_index=0,
                    image_id=self.found.image,
                    delete_on_termination=True,
                    volume_size_gib=wanted.volume_size_gib if wanted.boot_from_volume else None,
                ),
            ),
            key_name=wanted.keypair_name,
            security_group_names=(surroundings.security_group_name,),
            availability_zone=wanted.availability_zone,
            metadata={CONVERSION_HOST_KEY: "true", MARK_KEY: self.side.value},
            user_data=user_data(host_key),
        )

    def _ensure_address(self, server: Server) -> str:
        """Return where the host is reached; give it a floating IP if the settings want one."""
        address = find_address(self.cloud, self.settings, self.side, server.id)
        if address is None and self._wanted.manage_fip:
            self._ensure_floating_ip(server)
            address = find_address(self.cloud, self.settings, self.side, server.id)
        if address is None:
            raise CloudError(
                f"{self.cloud.name}: server {server.name!r} has no address", remedy="check its network and its ports"
            )
        return address

    def _ensure_floating_ip(self, server: Server) -> None:
        """Put the given floating IP on the server, or one of ours that is free, or a new one."""
        cloud, wanted = self.cloud, self._wanted.floating_ip_address
        ports = server_ports(cloud, server.id)
        if not ports or self.found.external_network is None:
            raise CloudError(
                f"{cloud.name}: server {server.name!r} has no port for a floating IP", remedy="delete and deploy again"
            )
        candidates = [
            ip
            for ip in cloud.floating_ips()
            if (ip.address == wanted if wanted else ip.description == fip_mark(self._wanted) and not ip.port_id)
        ]
        if not candidates:
            self._tell(f"create floating IP {wanted or ''}".rstrip())
            network = self.found.external_network
            cloud.create_floating_ip(network, ports[0].id, None, wanted, fip_mark(self._wanted))
        elif candidates[0].port_id:
            raise UserError(
                f"{cloud.name}: the floating IP {wanted} is in use by port {candidates[0].port_id}",
                remedy=f"free it, or choose another {prefix(self.side)}_floating_ip_address",
            )
        else:
            self._tell(f"use floating IP {candidates[0].address}")
            cloud.associate_floating_ip(candidates[0].id, ports[0].id, None)

    def _fill(self, host: DeployableHost) -> HostFacts:
        """Run the operator's hooks and install what is missing; return what the host has then."""
        if self._wanted.pre_content_hook:
            self._tell("run the hook before the installation")
            host.run_script(self._wanted.pre_content_hook)
        facts = host.facts()
        if facts.missing and self.settings.conversion.content_install:
            self._tell(f"install {', '.join(facts.missing)}")
            host.install_packages()
        if self._wanted.post_content_hook:
            self._tell("run the hook after the installation")
            host.run_script(self._wanted.post_content_hook)
        if facts.missing:
            facts = host.facts()
        if facts.missing:
            raise HostError(
                f"{self.cloud.name}: the conversion host lacks {', '.join(facts.missing)}",
                remedy="set os_migrate_conversion_host_content_install to true, or use an image that has them",
            )
        return facts

    def _reboot(self, host: DeployableHost, server_id: ServerId) -> None:
        """Reboot the guest and wait until it answers as a new boot: SSH still answers for a while before."""
        self._tell("reboot")
        before = host.run_script(BOOT_ID)
        self.cloud.reboot_server(server_id)
        deadline = self.clock.now() + REBOOT_TIMEOUT_S
        while True:
            self.clock.sleep(REBOOT_POLL_S)
            try:
                if host.run_script(BOOT_ID) != before:
                    return
            except HostError:
                if self.clock.now() > deadline:
                    raise
            if self.clock.now() > deadline:
                raise HostError(
                    f"server {server_id} didn't reboot within {REBOOT_TIMEOUT_S:.0f} s", remedy="look at its console"
                )


def _link(settings: Settings, events: Events, source: _Deployment, destination: _Deployment) -> str:
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
    events.tell(Note(text="link the destination conversion host to the source conversion host"))
    source.host.authorize_link(key.public, None)
    destination.host.install_link(key.private, f"{line}\n")
    script = link_script(conversion.ssh_user, source.deployed.address, source.deployed.server_id)
    try:
        peer = doors.network_of(destination.host.run_script(script))
    except HostError:
        source.open_wide()
        peer = doors.network_of(destination.host.run_script(script))
    source.host.authorize_link(key.public, peer)
    return peer


def _narrow(
    settings: Settings, deployments: Sequence[_Deployment], peers: Collection[str], *, all_linked: bool
) -> None:
    """Let SSH in to the hosts only from where it came, so from nowhere if nobody got in. Hosts of one project share a group."""
    wanted: dict[str, set[str]] = {}
    clouds: dict[str, HostingCloud] = {}
    for deployment in deployments:
        group_id = deployment.group_id
        if group_id is None:
            continue
        clouds[group_id] = deployment.cloud
        networks = wanted.setdefault(group_id, set(settings.conversion.ssh_networks))
        if deployment.client is not None:
            networks.add(deployment.client)
        if deployment.side is Side.SOURCE:
            networks.update(peers)
    for group_id, networks in wanted.items():
        doors.narrow(clouds[group_id], group_id, networks, keep_others=not all_linked)
