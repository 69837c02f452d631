"""The tiny image: busybox and dropbear on Debian's kernel. It answers SSH some ten seconds after it is started."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.images import boot, disk
from lab.process import run

_FILES = Path(__file__).parent / "guest" / "tiny"
_DHCP_SCRIPT = Path(__file__).parent / "guest" / "dhcp.sh"
_SIZE_MIB = 112
# Disks and network by virtio, disks by SCSI too, and the power button by which Nova stops a server.
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "sd_mod", "virtio_rng"),
    *("ext4", "crc32c_generic", "evdev", "button"),
)
_FOLDERS = (
    *("boot", "dev", "etc/acpi/PWRF", "etc/dropbear", "mnt", "proc", "root/.ssh", "run"),
    *("sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var"),
)
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
}
# Where each file of guest/tiny goes; all but the table of init are programs.
_PLACES = {
    "init": "bin/init",
    "inittab": "etc/inittab",
    "start-network": "bin/start-network",
    "make-clean": "bin/make-clean",
    "mkfs.ext2": "bin/mkfs.ext2",
    "power-button": "etc/acpi/PWRF/00000080",
}


def build(source: Path, work: Path, folder: Path) -> None:
    """Write tiny.qcow2 into `folder`, with programs and kernel from the tree `source`."""
    tree = work / "tiny"
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True)
    (tree / "root").chmod(0o700)
    (tree / "root/.ssh").chmod(0o700)
    for program in ("/bin/busybox", "/usr/sbin/dropbear"):
        boot.copy_program(source, tree, program)
    # glibc loads the library that reads /etc/passwd by name, and busybox the one for name servers.
    for library in ("libnss_files.so.2", "libresolv.so.2"):
        shutil.copy(source / "usr/lib/x86_64-linux-gnu" / library, tree / "lib/x86_64-linux-gnu" / library)
    for applet in run(["chroot", source, "/bin/busybox", "--list"]).split():
        link = tree / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    for name, text in _TEXTS.items():
        (tree / name).write_text(text)
    for name, place in _PLACES.items():
        target = tree / place
        target.unlink(missing_ok=True)
        shutil.copy(_FILES / name, target)
        target.chmod(0o644 if name == "inittab" else 0o755)
    shutil.copy(_DHCP_SCRIPT, tree / "bin/dhcp.sh")
    (tree / "bin/dhcp.sh").chmod(0o755)
    shutil.copy((source / "boot/vmlinuz"), tree / "boot/vmlinuz")
    boot.make_initrd(source, tree / "boot/initrd", work, modules=_MODULES, init="/bin/init")
    disk.build(tree, folder / "tiny.qcow2", size_mib=_SIZE_MIB)
