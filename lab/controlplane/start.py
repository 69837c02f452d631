"""Bring up the control plane of one cloud, from nothing or from what its last run left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openstack.connection import Connection

from lab import network
from lab.clouds_yaml import CLOUD_ERRORS, connect
from lab.container import Container
from lab.controlplane import bootstrap, files
from lab.controlplane.probes import http_answers, listens, mariadb_answers, wait_for
from lab.controlplane.services import APIS, FOUNDATION, IDENTITY, WORKERS, Service
from lab.process import run
from lab.secrets_file import Secrets
from lab.settings import Cloud

_RABBITMQ_PORT = 5672
# Agent's binary by the name of the service that runs it.
_AGENTS = {
    "neutron-dhcp": "neutron-dhcp-agent",
    "neutron-l3": "neutron-l3-agent",
    "neutron-linuxbridge": "neutron-linuxbridge-agent",
    "neutron-metadata": "neutron-metadata-agent",
}


def start_foundation(cloud: Cloud, tree: Path, schema: Path, secrets: Secrets) -> Container:
    """Start the container and what every service builds on; return when MariaDB and RabbitMQ answer."""
    container = Container(cloud)
    network.create(cloud)
    if not container.is_up:
        files.write(cloud, secrets)
        _copy_schema(cloud, schema)
        bootstrap.make_keys(cloud)
        container.start(tree)
    container.start_services(_names(FOUNDATION))
    wait_for(container, "mariadb", mariadb_answers)
    if not _is_initialised(cloud):
        bootstrap.bootstrap_keystone(container, secrets)
    container.start_services(_names(IDENTITY))
    wait_for(container, "rabbitmq", listens(_RABBITMQ_PORT))
    return container


def _copy_schema(cloud: Cloud, schema: Path) -> None:
    """Give a new cloud its databases."""
    target = cloud.directory / "data" / "mysql"
    if not target.exists():
        unfinished = target.with_name("mysql.unfinished")
        run(["rm", "-rf", unfinished])
        run(["cp", "--archive", "--sparse=always", schema, unfinished])
        unfinished.rename(target)


def start_identity(container: Container, secrets: Secrets) -> Container:
    """Fill Keystone in a new cloud, while the other APIs are loading; return when the catalogue is complete."""
    cloud = container.cloud
    container.start_services(_names(APIS))
    wait_for(container, "keystone", http_answers(5000))
    if not _is_initialised(cloud):
        bootstrap.fill_keystone(cloud, connect(f"{cloud.name}-admin"), secrets)
    return container


def start_services(container: Container) -> None:
    """Start the rest of the OpenStack services; return when every one does its work."""
    cloud = container.cloud
    wait_for(container, "neutron-server", http_answers(9696))
    container.start_services(_names(WORKERS))
    for api in (*IDENTITY, *APIS):
        if api.port is not None:
            wait_for(container, api.name, http_answers(api.port))
    admin = connect(f"{cloud.name}-admin")
    wait_for(container, "nova-compute", _nova_sees(admin, "nova-compute"))
    if not _is_initialised(cloud):
        container.run("nova-manage", "cell_v2", "discover_hosts", log="nova-manage")
    wait_for(container, "nova-scheduler", _nova_sees(admin, "nova-scheduler"))
    for service, agent in _AGENTS.items():
        wait_for(container, service, _neutron_sees(admin, agent))
    for service in ("cinder-scheduler", "cinder-volume"):
        wait_for(container, service, _cinder_sees(admin, service))
    _marker(cloud).touch()


def _names(services: tuple[Service, ...]) -> list[str]:
    return [service.name for service in services]


def _marker(cloud: Cloud) -> Path:
    return cloud.directory / "data" / ".initialised"


def _is_initialised(cloud: Cloud) -> bool:
    """Tell whether this cloud's control plane was complete once."""
    return _marker(cloud).exists()


def _nova_sees(admin: Connection, binary: str) -> Callable[[Container], bool]:
    def probe(_: Container) -> bool:
        try:
            return any(service.binary == binary and service.state == "up" for service in admin.compute.services())
        except CLOUD_ERRORS:
            return False

    return probe


def _neutron_sees(admin: Connection, binary: str) -> Callable[[Container], bool]:
    def probe(_: Container) -> bool:
        try:
            return any(agent.binary == binary and agent.is_alive for agent in admin.network.agents())
        except CLOUD_ERRORS:
            return False

    return probe


def _cinder_sees(admin: Connection, binary: str) -> Callable[[Container], bool]:
    def probe(_: Container) -> bool:
        try:
            # The SDK's own list of services never ends in some versions.
            services = admin.block_storage.get("/os-services").json()["services"]
        except (*CLOUD_ERRORS, KeyError, ValueError):
            return False
        return any(service["binary"] == binary and service["state"] == "up" for service in services)

    return probe
