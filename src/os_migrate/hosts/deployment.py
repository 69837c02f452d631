"""The way of one conversion host: from what is there to a server that answers SSH, and has what it needs."""

from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock

from os_migrate import keys
from os_migrate.errors import CloudError, UserError
from os_migrate.hosts import doors, known_hosts
from os_migrate.hosts.changes import Changes
from os_migrate.hosts.cloud_init import user_data
from os_migrate.hosts.content import fill, reboot
from os_migrate.hosts.hosting import (
    CONVERSION_HOST_KEY,
    MARK_KEY,
    DeployableHost,
    DeployedHost,
    HostingCloud,
    OpenHost,
    Stage,
    find_address,
    find_server,
    fip_mark,
    is_ours,
    prefix,
    server_ports,
)
from os_migrate.hosts.look import Found
from os_migrate.hosts.surroundings import Surroundings, ensure_keypair, ensure_surroundings
from os_migrate.keys import SshKey
from os_migrate.model import BlockDevice, Nic, Server, ServerSpec, ServerStatus, Side
from os_migrate.settings import HostSettings, Settings
from os_migrate.world import Clock

ACTIVE_TIMEOUT_S = 600.0
"""Nova fetches the image first; the operator's deploy time-out is for the guest's start only."""


@dataclass
class Deployment:
    """One side's host; `host` is open once the server answers."""

    cloud: HostingCloud
    settings: Settings
    side: Side
    stages: Collection[Stage]
    found: Found | None
    """What a server is made of; None where none is to be made."""
    key: SshKey
    changes: Changes
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
            if self.found is not None:
                ensure_keypair(self.cloud, self.wanted.keypair_name, self.key, tell=self.changes.add)
            server = self._usable_server() or self._create_server()
        server = self.cloud.await_server(server.id, ServerStatus.ACTIVE, ACTIVE_TIMEOUT_S)
        address = self._ensure_address(server)
        self.host = self.open_host(server.name, server.id, address)
        self.changes.tell(f"wait until {address} answers SSH")
        if not self.host.reachable():
            self.open_wide()
        self.host.await_reachable(self.settings.conversion.deploy_timeout_s)
        self.client = doors.client_of(self.host)
        if Stage.CONTENT in self.stages:
            facts = fill(self.host, self.settings.conversion, self.wanted, self.changes)
            if self.settings.conversion.reboot:
                self.changes.add("reboot")
                reboot(self.cloud, self.host, server.id, self.clock)
        else:
            facts = self.host.facts()
        self.deployed = DeployedHost(self.side, server.id, server.name, address, facts)
        self.changes.tell(f"ready at {address}")
        return self.deployed

    @property
    def group_id(self) -> str | None:
        """Return the host's security group, None if it isn't ours."""
        return doors.own_group(self.cloud, self.wanted.secgroup_name)

    def open_wide(self) -> None:
        """Let SSH in from anywhere, for as long as it isn't known from where it comes."""
        if group_id := self.group_id:
            doors.open_wide(self.cloud, group_id)

    def close(self) -> None:
        """End the connection to the host."""
        if self.host is not None:
            self.host.close()

    @property
    def wanted(self) -> HostSettings:
        """Return this host's settings."""
        return self.settings.host(self.side)

    def _usable_server(self) -> Server | None:
        """Return the server that is there already, started."""
        server = usable_server(self.cloud, self.settings, self.side)
        if server is not None and server.status is ServerStatus.SHUTOFF:
            self.changes.add(f"start server {server.name!r}")
            self.cloud.start_server(server.id)
        return server

    def _create_server(self) -> Server:
        if self.found is None:
            raise UserError(
                f"{self.cloud.name}: the conversion host {self.wanted.host_name!r} isn't there",
                remedy="run `os-migrate hosts deploy`",
            )
        surroundings = ensure_surroundings(
            self.cloud, self.settings, self.wanted, self.found.external_network, tell=self.changes.add
        )
        self.changes.add(f"create server {self.wanted.host_name!r}")
        host_key = keys.generate("ed25519", self.wanted.host_name)
        server_id = self.cloud.create_server(self._spec(self.found, surroundings, host_key))
        known_hosts.remember(self.settings.conversion.known_hosts_path, server_id, host_key.public)
        return self.cloud.server(server_id)

    def _spec(self, found: Found, surroundings: Surroundings, host_key: SshKey) -> ServerSpec:
        wanted = self.wanted
        return ServerSpec(
            name=wanted.host_name,
            flavor_id=found.flavor,
            nics=(Nic(network_id=surroundings.network_id),),
            block_devices=(
                BlockDevice(
                    boot_index=0,
                    image_id=found.image,
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
        if address is None and self.wanted.manage_fip and self.found is not None:
            self._ensure_floating_ip(server, self.found)
            address = find_address(self.cloud, self.settings, self.side, server.id)
        if address is None:
            raise CloudError(
                f"{self.cloud.name}: server {server.name!r} has no address", remedy="check its network and its ports"
            )
        return address

    def _ensure_floating_ip(self, server: Server, found: Found) -> None:
        """Put the given floating IP on the server, or one of ours that is free, or a new one."""
        cloud, wanted = self.cloud, self.wanted.floating_ip_address
        ports = server_ports(cloud, server.id)
        if not ports or found.external_network is None:
            raise CloudError(
                f"{cloud.name}: server {server.name!r} has no port for a floating IP", remedy="delete and deploy again"
            )
        candidates = [
            ip
            for ip in cloud.floating_ips()
            if (ip.address == wanted if wanted else ip.description == fip_mark(self.wanted) and not ip.port_id)
        ]
        if not candidates:
            self.changes.add(f"create floating IP {wanted or ''}".rstrip())
            cloud.create_floating_ip(found.external_network, ports[0].id, None, wanted, fip_mark(self.wanted))
        elif candidates[0].port_id:
            raise UserError(
                f"{cloud.name}: the floating IP {wanted} is in use by port {candidates[0].port_id}",
                remedy=f"free it, or choose another {prefix(self.side)}_floating_ip_address",
            )
        else:
            self.changes.add(f"use floating IP {candidates[0].address}")
            cloud.associate_floating_ip(candidates[0].id, ports[0].id, None)


def usable_server(cloud: HostingCloud, settings: Settings, side: Side) -> Server | None:
    """Return the server that is there already, None if there is none.

    Raises:
        UserError: it isn't the host that we know.
        CloudError: it is broken.
    """
    server = find_server(cloud, settings, side)
    if server is None:
        return None
    if known_hosts.line_of(settings.conversion.known_hosts_path, server.id) is None:
        made_by_us = is_ours(server, side)
        raise UserError(
            f"{cloud.name}: the server {server.name!r} ({server.id}) is there, and its host key isn't known",
            remedy="run `os-migrate hosts delete`, then `os-migrate hosts deploy`"
            if made_by_us
            else f"os-migrate didn't make it: set another {prefix(side)}_host_name, or put its host key into "
            f"{settings.conversion.known_hosts_path} under the name {server.id}",
        )
    if server.status is ServerStatus.ERROR:
        raise CloudError(
            f"{cloud.name}: the server {server.name!r} ({server.id}) is in ERROR: {server.fault}",
            remedy="run `os-migrate hosts delete`, then `os-migrate hosts deploy`",
        )
    return server
