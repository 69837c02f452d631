"""Which tools a conversion host must have, and how each family of systems installs them. Pure."""

from dataclasses import dataclass
from typing import Final

REQUIRED: Final = ("nbdkit", "nbdkit-file-plugin", "nbdkit-extentlist-filter", "nbdcopy", "nbdinfo", "ssh", "systemd")
"""Without these nothing can be copied; names as the agent's `facts` has them."""

APT: Final = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
"""A fresh cloud image holds dpkg's lock while it updates itself."""


DEBIAN_PACKAGES: Final = (
    *("nbdkit", "libnbd-bin", "openssh-client", "qemu-utils", "zstd"),
    *("partclone", "fdisk", "lvm2"),  # to leave out what file systems don't use; without them all is copied
)

RHEL_PACKAGES: Final = (
    *("nbdkit", "nbdkit-basic-plugins", "nbdkit-basic-filters", "libnbd", "openssh-clients"),
    *("qemu-img", "zstd", "util-linux", "lvm2"),  # not partclone: only EPEL has it, and it can be done without
)


@dataclass(frozen=True)
class HostFacts:
    """What a conversion host is. `tools` pairs a name with a version, None for one that isn't there."""

    os_id: str
    os_like: tuple[str, ...]
    os_version: str
    python_version: str
    tools: tuple[tuple[str, str | None], ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the required tools that aren't there."""
        there = {name for name, version in self.tools if version is not None}
        return tuple(name for name in REQUIRED if name not in there)

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Return the versions of the system, of Python, and of the tools that are there."""
        system = (("system", f"{self.os_id} {self.os_version}".strip()), ("python", self.python_version))
        return (*system, *((name, version) for name, version in self.tools if version is not None))


def install_commands(facts: HostFacts) -> tuple[tuple[str, ...], ...]:
    """Return the commands that install what is required; none if this family of systems is unknown."""
    family = {facts.os_id, *facts.os_like}
    if family & {"debian", "ubuntu"}:
        return ((*APT, "update"), (*APT, "install", "--no-install-recommends", *DEBIAN_PACKAGES))
    if family & {"rhel", "fedora", "centos"}:
        return (("dnf" if _has_dnf(facts) else "yum", "-q", "-y", "install", *RHEL_PACKAGES),)
    return ()


def _has_dnf(facts: HostFacts) -> bool:
    major = facts.os_version.partition(".")[0]
    last_with_yum = 7
    return facts.os_id == "fedora" or not major.isdigit() or int(major) > last_with_yum
