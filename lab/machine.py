"""What the lab needs of the machine itself."""

from __future__ import annotations

import os
from pathlib import Path

from lab.console import Console
from lab.process import run

# What the lab runs on the machine, and the package it is in.
_MACHINE_PROGRAMS = {
    "cpio": "cpio",
    "extlinux": "extlinux",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "ssh-keygen": "openssh-client",
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def install_on_machine(console: Console) -> None:
    """Install the packages that the lab itself needs, if any is missing."""
    missing = sorted({package for program, package in _MACHINE_PROGRAMS.items() if not _has_program(program)})
    if not missing:
        return
    with console.stage(f"install on this machine: {' '.join(missing)}"):
        apt_get = ["apt-get", "-qy", "-o", "DPkg::Lock::Timeout=600"]
        run([*apt_get, "update"])
        run([*apt_get, "install", "--no-install-recommends", *missing])


def _has_program(name: str) -> bool:
    return any(os.access(Path(folder, name), os.X_OK) for folder in _SYSTEM_PATH.split(":"))
