"""The services of a cloud: command lines, ports, and the order in which they start and stop."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Service:
    """A service: how it is run, and the path under which its API answers, if it has one."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None


def _wsgi(name: str, port: int, script: str) -> Service:
    options = (
        *("--plugin", "python3", "--wsgi-file", script, "--http-socket", f"0.0.0.0:{port}"),
        *("--processes", "1", "--threads", "6", "--enable-threads", "--lazy-apps", "--need-app"),
        *("--buffer-size", "65535", "--die-on-term", "--disable-logging"),
        # Clients keep connections open, and each would hold one of the few threads.
        *("--add-header", "Connection: close"),
    )
    return Service(name, ("/usr/bin/uwsgi", *options), port=port)


def _neutron(name: str, program: str, *files: str, port: int | None = None) -> Service:
    configs = [word for file in ("neutron.conf", *files) for word in ("--config-file", f"/etc/neutron/{file}")]
    return Service(name, (f"/usr/bin/{program}", *configs), port=port)


_ML2 = "plugins/ml2/ml2_conf.ini"

# Stores and the hypervisor: nothing else starts without them.
FOUNDATION = (
    Service("mariadb", ("/usr/bin/eatmydata", "/usr/sbin/mariadbd", "--defaults-file=/etc/mysql/lab.cnf")),
    Service("rabbitmq", ("/usr/lib/rabbitmq/bin/rabbitmq-server",), {"HOME": "/data/rabbitmq"}, port=5672),
    Service("memcached", ("/usr/bin/memcached", "-u", "root", "-l", "127.0.0.1", "-m", "32", "-t", "1"), port=11211),
    Service("libvirtd", ("/usr/sbin/libvirtd",)),
)
IDENTITY = (
    _wsgi("keystone", 5000, "/usr/bin/keystone-wsgi-public"),
    _wsgi("placement", 8778, "/usr/bin/placement-api"),
)
APIS = (
    _neutron("neutron-server", "neutron-server", _ML2, port=9696),
    Service("nova-conductor", ("/usr/local/bin/nova-conductor",)),
    Service("glance-api", ("/usr/local/bin/glance-api",), port=9292),
    Service("nova-api", ("/usr/local/bin/nova-api",), port=8774),
    Service("cinder-api", ("/usr/local/bin/cinder-api",), port=8776),
)
WORKERS = (
    Service("nova-compute", ("/usr/local/bin/nova-compute",)),
    _neutron("neutron-linuxbridge", "neutron-linuxbridge-agent", _ML2, "plugins/ml2/linuxbridge_agent.ini"),
    _neutron("neutron-dhcp", "neutron-dhcp-agent", "dhcp_agent.ini"),
    _neutron("neutron-l3", "neutron-l3-agent", "l3_agent.ini"),
    _neutron("neutron-metadata", "neutron-metadata-agent", "metadata_agent.ini"),
    Service("nova-scheduler", ("/usr/local/bin/nova-scheduler",)),
    Service("cinder-volume", ("/usr/local/bin/cinder-volume",)),
    Service("cinder-scheduler", ("/usr/local/bin/cinder-scheduler",)),
)
SERVICES = (*FOUNDATION, *IDENTITY, *APIS, *WORKERS)

# Programs that Debian puts into packages of their own: name and Python module.
ENTRY_POINTS = {
    "cinder-api": "cinder.cmd.api",
    "cinder-scheduler": "cinder.cmd.scheduler",
    "cinder-volume": "cinder.cmd.volume",
    "glance-api": "glance.cmd.api",
    "nova-api": "nova.cmd.api",
    "nova-compute": "nova.cmd.compute",
    "nova-conductor": "nova.cmd.conductor",
    "nova-scheduler": "nova.cmd.scheduler",
}
