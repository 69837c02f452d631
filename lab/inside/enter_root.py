"""Become the first process of a cloud's container: mount its root filesystem, move into it, start the supervisor.

Runs in new mount, pid, uts and ipc namespaces, with the machine's file system still in sight. Usage:

    enter_root.py NAME CLOUD_DIRECTORY ROOTFS
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

# A private /dev, without kvm: guests run under QEMU's own emulation. (name, major, minor)
_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("fuse", 10, 229),
    ("net/tun", 10, 200),
)
_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}


def mount(kind: str, target: Path, options: str = "", source: str | None = None) -> None:
    """Mount a file system, making the directory it is mounted on."""
    target.mkdir(parents=True, exist_ok=True)
    chosen = ["-o", options] if options else []
    subprocess.run(["mount", "-t", kind, *chosen, source or kind, str(target)], check=True)


def bind(source: Path, target: Path) -> None:
    """Make a directory of the machine appear in the container."""
    source.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), str(target)], check=True)


def make_devices(dev: Path) -> None:
    """Fill the container's private /dev."""
    for name, major, minor in _DEVICES:
        path = dev / name
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        path.chmod(0o666)
    (dev / "fd").symlink_to("/proc/self/fd")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "mapper").mkdir()


def main(name: str, directory: Path, rootfs: Path) -> None:
    """Set up the container's file system and turn into its supervisor."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["hostname", name], check=True)
    root, upper, work = directory / "root", directory / "upper", directory / "work"
    upper.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    mount("overlay", root, f"lowerdir={rootfs},upperdir={upper},workdir={work}")
    mount("proc", root / "proc")
    mount("sysfs", root / "sys")
    mount("tmpfs", root / "dev", "mode=755,size=16M")
    make_devices(root / "dev")
    mount("devpts", root / "dev/pts", "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", root / "dev/shm", "mode=1777,size=1G")
    mount("tmpfs", root / "run", "mode=755,size=256M")
    mount("tmpfs", root / "tmp", "mode=1777,size=1G")
    for folder in ("lock", "mysqld", "libvirt", "netns", "sudo"):
        (root / "run" / folder).mkdir()
    bind(directory / "data", root / "data")
    bind(directory / "log", root / "var/log/lab")
    for key, value in _SYSCTLS.items():
        setting = Path("/proc/sys", key)
        if setting.exists():
            setting.write_text(value)
    old = root / ".machine"
    old.mkdir(exist_ok=True)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".machine"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/.machine"], check=True)
    # PATH and PYTHONPATH of the machine's Python mean nothing here.
    os.execve("/usr/bin/python3", ["python3", "/usr/lib/lab/supervisor.py"], {"LC_ALL": "C.UTF-8"})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
