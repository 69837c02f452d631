"""Every file that a container has beyond the shared root filesystem."""

from __future__ import annotations

import json
from pathlib import Path

from lab.controlplane.configuration import SOCKET, Configuration
from lab.controlplane.ini import Sections, render
from lab.controlplane.services import ENTRY_POINTS, SERVICES
from lab.secrets_file import Secrets
from lab.settings import Cloud

_INSIDE = Path(__file__).parent.parent / "inside"

_DATA_FOLDERS = (
    *("rabbitmq", "keystone/fernet", "keystone/credential", "glance/images", "glance/staging"),
    *("nova/instances", "nova/mnt", "neutron", "cinder/mnt", "cinder/conversion", "export"),
)

MARIADB: Sections = {
    "mysqld": {
        "user": "root",
        "datadir": "/data/mysql",
        "socket": SOCKET,
        "pid-file": "/run/mysqld/mysqld.pid",
        "skip-networking": 1,
        "skip-name-resolve": 1,
        "skip-log-bin": 1,
        "performance_schema": "off",
        "max_connections": 400,
        "innodb_buffer_pool_size": "96M",
        "innodb_log_file_size": "32M",
        # The lab's data is worth no fsync.
        "innodb_flush_log_at_trx_commit": 0,
        "innodb_doublewrite": 0,
        "innodb_use_native_aio": 0,
        "key_buffer_size": "1M",
        "character-set-server": "utf8mb3",
        "collation-server": "utf8mb3_general_ci",
    },
    "client": {"socket": SOCKET},
}

_RABBITMQ = """\
listeners.tcp.1 = 127.0.0.1:5672
vm_memory_high_watermark.absolute = 512MB
collect_statistics_interval = 60000
"""
# One scheduler that never spins: a message now and then is all there is.
_RABBITMQ_ENVIRONMENT = """\
NODENAME=rabbit@localhost
MNESIA_BASE=/data/rabbitmq
LOG_BASE=/var/log/lab/rabbitmq
HOME=/data/rabbitmq
ERL_EPMD_ADDRESS=127.0.0.1
SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
RABBITMQ_DIST_PORT=25672
"""

_LIBVIRTD = """\
listen_tls = 0
listen_tcp = 0
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:stderr"
"""
# The container is the sandbox: no users, labels, namespaces or control groups a guest. Without stdio_handler = "file"
# libvirtd looks for virtlogd.
_QEMU = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
dynamic_ownership = 0
stdio_handler = "file"
max_core = 0
"""

_MOUNT_NFS = """\
#!/bin/sh
# Stand-in for mount.nfs, since the machine's kernel has no NFS client: "HOST:/PATH DIRECTORY [-o OPTIONS]" becomes a
# bind mount of the local directory.
[ $# -ge 2 ] || { echo "usage: mount.nfs HOST:/PATH DIRECTORY" >&2; exit 1; }
exec mount --no-canonicalize --bind "${1#*:}" "$2"
"""

_EBTABLES = """\
#!/bin/sh
# ebtables-nft can't delete a rule with --among-src and ends with 4, "try again". Neutron's agent then tries for ever, and no
# server gets its network any more. Such rules alone are in these chains, before the last one, and the agent makes them anew.
/usr/sbin/ebtables "$@"
code=$?
case "$code $*" in
"4 -t nat --concurrent -D neutronMAC-"*)
    /usr/sbin/ebtables -t nat --concurrent -F "$5"
    exec /usr/sbin/ebtables -t nat --concurrent -A "$5" -j DROP
    ;;
esac
exit $code
"""

_ENTRY_POINT = """\
#!/usr/bin/python3
import sys

from {module} import main

sys.argv[0] = "{name}"
sys.exit(main())
"""

_MODE_PRIVATE = 0o600
_MODE_PROGRAM = 0o755


def write(cloud: Cloud, secrets: Secrets) -> None:
    """Write the files into the upper layer of the cloud's overlay, and make its folders for data.

    Only while the container is down: what happens to an overlay whose layers change under it is undefined.
    """
    root = cloud.directory / "upper"
    for path, content in Configuration(cloud, secrets).files().items():
        _put(root, path, render(content), _MODE_PRIVATE)
    for name, module in ENTRY_POINTS.items():
        _put(root, f"/usr/local/bin/{name}", _ENTRY_POINT.format(name=name, module=module), _MODE_PROGRAM)
    services = {service.name: {"argv": service.argv, "env": service.env} for service in SERVICES}
    _put(root, "/etc/lab/services.json", json.dumps(services, indent=1))
    _put(root, "/usr/lib/lab/supervisor.py", (_INSIDE / "supervisor.py").read_text())
    _put(root, "/usr/lib/python3/dist-packages/lab_cinder.py", (_INSIDE / "lab_cinder.py").read_text())
    _put(root, "/usr/sbin/mount.nfs", _MOUNT_NFS, _MODE_PROGRAM)
    _put(root, "/usr/local/bin/ebtables", _EBTABLES, _MODE_PROGRAM)
    _put(root, "/etc/cinder/nfs_shares", "127.0.0.1:/data/export\n")
    _put(root, "/etc/mysql/lab.cnf", render(MARIADB))
    _put(root, "/etc/rabbitmq/rabbitmq.conf", _RABBITMQ)
    _put(root, "/etc/rabbitmq/rabbitmq-env.conf", _RABBITMQ_ENVIRONMENT)
    _put(root, "/etc/libvirt/libvirtd.conf", _LIBVIRTD)
    _put(root, "/etc/libvirt/qemu.conf", _QEMU)
    _put(root, "/etc/hosts", f"127.0.0.1 localhost\n{cloud.management_ip} {cloud.name}\n")
    _put(root, "/etc/hostname", f"{cloud.name}\n")
    for folder in _DATA_FOLDERS:
        (cloud.directory / "data" / folder).mkdir(parents=True, exist_ok=True)
    (cloud.log_directory / "rabbitmq").mkdir(parents=True, exist_ok=True)


def _put(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=mode)
    file.write_text(text)
    file.chmod(mode)
