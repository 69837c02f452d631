"""The root filesystem with OpenStack in it, which both clouds share read-only."""

from __future__ import annotations

from pathlib import Path

from lab.cache import Entry, digest_of
from lab.debian import bootstrap, compile_python
from lab.process import run
from lab.settings import BUILD_LOG_DIR, DEBIAN_SUITE

# The common and library packages, not those of the services: these drag in every architecture of QEMU, lvm2 and tgt.
PACKAGES = (
    *("cinder-common", "glance-common", "neutron-common", "nova-common", "placement-common", "python3-keystone"),
    *(
        "ca-certificates",
        "python3-libvirt",
        "python3-memcache",
        "python3-pymysql",
        "uwsgi-core",
        "uwsgi-plugin-python3",
    ),
    *("mariadb-client", "mariadb-server-core", "memcached", "rabbitmq-server"),
    *("libvirt-clients", "libvirt-daemon", "libvirt-daemon-driver-qemu"),
    *("qemu-block-extra", "qemu-system-x86", "qemu-utils", "genisoimage"),
    *("bridge-utils", "conntrack", "dnsmasq-base", "dnsmasq-utils", "ebtables", "haproxy", "ipset"),
    *(
        "iproute2",
        "iptables",
        "iputils-arping",
        "iputils-ping",
        "kmod",
        "mount",
        "netbase",
        "procps",
        "sudo",
        "eatmydata",
    ),
)

_NOT_NEEDED = (
    "/usr/lib/python3/dist-packages/*/tests/*",
    "/usr/lib/python3/dist-packages/*/locale/*",
)


def entry() -> Entry:
    """Return the cache entry of the root filesystem."""
    return Entry("rootfs", digest_of(DEBIAN_SUITE, PACKAGES, Path(__file__), Path(__file__).with_name("debian.py")))


def ensure() -> Path:
    """Return the root filesystem, building it if it isn't in the cache."""
    return entry().ensure(_build) / "tree"


def _build(folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir()
    log = BUILD_LOG_DIR / "rootfs.log"
    bootstrap(tree, PACKAGES, log=log, exclude=_NOT_NEEDED)
    compile_python(tree)
    for program in ("iptables", "ip6tables"):
        # Neutron's rules are many and small: the legacy tables load them faster, and need no nf_tables modules.
        run(["chroot", tree, "update-alternatives", "--set", program, f"/usr/sbin/{program}-legacy"], log=log)
    _add_libvirt_user(tree, log)


def _add_libvirt_user(tree: Path, log: Path) -> None:
    """Add the user and groups without which libvirtd ends at once, with exit code 0 and no message."""
    for group in ("kvm", "libvirt", "libvirt-qemu"):
        run(["chroot", tree, "groupadd", "--force", "--system", group], log=log)
    useradd = ["useradd", "--system", "--gid", "kvm", "--home-dir", "/var/lib/libvirt", "--shell", "/usr/sbin/nologin"]
    run(["chroot", tree, *useradd, "libvirt-qemu"], log=log)
