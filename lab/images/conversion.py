"""The image os_migrate_conv: a Debian with the programs of a conversion host, lightened until it boots in little time."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.debian import bootstrap
from lab.images import boot, disk
from lab.process import run
from lab.settings import BUILD_LOG_DIR, CONVERSION_IMAGE

SSH_USER = "cloud-user"

PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "udev", "openssh-server", "openssh-client", "sudo", "python3"),
    *("iproute2", "kmod", "netbase", "util-linux", "fdisk", "lvm2"),
    *("qemu-utils", "nbdkit", "libnbd-bin", "partclone", "zstd"),
    *("e2fsprogs", "xfsprogs", "btrfs-progs", "ntfs-3g", "dosfstools"),
    # For the network and the power button; the tiny image is made of these two.
    *("busybox", "dropbear-bin"),
)

_FILES = Path(__file__).parent / "guest"
_SIZE_MIB = 3072
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "sd_mod", "virtio_rng"),
    *("ext4", "crc32c_generic", "evdev", "button"),
)
# The lab's own initial RAM disk is used: Debian's isn't built.
_NOT_NEEDED = ("/etc/kernel/postinst.d/initramfs-tools", "/usr/share/qemu/*", "/usr/lib/systemd/catalog/*")
# Drivers of hardware that no guest of the lab has.
_NO_SUCH_HARDWARE = ("drivers/gpu", "drivers/infiniband", "drivers/net/ethernet", "drivers/nvme", "sound")

# Each costs time at boot, under emulation up to a second, and does nothing for a conversion host.
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "systemd-tmpfiles-clean.timer"),
    *("getty@tty1.service", "getty.target", "serial-getty@ttyS0.service", "getty-static.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("sys-fs-fuse-connections.mount", "sys-kernel-config.mount"),
    *("modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service"),
    *("modprobe@fuse.service", "modprobe@loop.service"),
    *("kmod-static-nodes.service", "systemd-modules-load.service", "systemd-sysctl.service"),
    *("systemd-sysusers.service", "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service"),
    *("systemd-binfmt.service", "systemd-firstboot.service", "systemd-hwdb-update.service"),
    *("systemd-journal-flush.service", "systemd-journal-catalog-update.service", "systemd-machine-id-commit.service"),
    *("systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-pstore.service"),
    *("systemd-random-seed.service", "systemd-remount-fs.service", "systemd-update-done.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service"),
    *("systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service"),
    *("systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-initctl.socket"),
    *("lvm2-monitor.service", "lvm2-lvmpolld.socket", "dm-event.socket", "blk-availability.service"),
    *("ssh.service", "ssh.socket", "sudo.service", "procps.service", "keyboard-setup.service", "ldconfig.service"),
)
_UNITS = tuple(f"lab-{name}.service" for name in ("network", "instance", "sshd", "user-data", "power-button"))
_AFTER_SSHD = ("systemd-udev-trigger.service",)

_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
StreamLocalBindUnlink yes
ClientAliveInterval 15
MaxSessions 100
MaxStartups 100
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""
# sudo asks PAM, and the time that its default modules take is noticed under emulation.
_PAM_SUDO = """\
auth    sufficient pam_permit.so
account sufficient pam_permit.so
session required   pam_permit.so
"""


def build_tree(work: Path) -> Path:
    """Make the Debian tree; the tiny image takes programs from it too."""
    tree = work / "conversion"
    tree.mkdir()
    log = BUILD_LOG_DIR / "images.log"
    bootstrap(tree, PACKAGES, log=log, exclude=_NOT_NEEDED)
    version = boot.kernel_version(tree)
    modules = tree / "usr/lib/modules" / version / "kernel"
    for folder in _NO_SUCH_HARDWARE:
        shutil.rmtree(modules / folder, ignore_errors=True)
    run(["depmod", "--basedir", tree, version], log=log)
    (tree / "boot" / f"vmlinuz-{version}").rename(tree / "boot/vmlinuz")
    return tree


def build(tree: Path, work: Path, folder: Path) -> None:
    """Write os_migrate_conv.qcow2 into `folder`."""
    _configure_system(tree)
    _configure_ssh(tree)
    boot.make_initrd(tree, tree / "boot/initrd", work, modules=_MODULES, init="/sbin/init")
    options = "systemd.show_status=0 systemd.log_level=warning"
    disk.build(tree, folder / f"{CONVERSION_IMAGE}.qcow2", size_mib=_SIZE_MIB, options=options)


def _configure_system(tree: Path) -> None:
    _write(tree, "etc/hostname", "conversion\n")
    _write(tree, "etc/hosts", "127.0.0.1 localhost conversion\n")
    _write(tree, "etc/fstab", "")
    # An empty machine id would make every boot a first one, at which systemd goes through all units.
    _write(tree, "etc/machine-id", "6f736d69677261746520636f6e766572\n")
    _write(tree, "etc/systemd/journald.conf", "[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\n")
    install = tree / "usr/lib/lab"
    install.mkdir(parents=True)
    for name in ("dhcp.sh", "conversion/instance.py"):
        shutil.copy(_FILES / name, install)
    (install / "dhcp.sh").chmod(0o755)
    power_button = (_FILES / "conversion/power-button").read_text()
    _write(tree, "etc/acpi/PWRF/00000080", power_button, 0o755)
    units = tree / "etc/systemd/system"
    for name in _UNITS:
        shutil.copy(_FILES / "conversion" / name, units)
    for name in _AFTER_SSHD:
        _write(tree, f"etc/systemd/system/{name}.d/lab.conf", (_FILES / "conversion/after-sshd.conf").read_text())
    for name in _MASKED:
        link = units / name
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    run(["chroot", tree, "systemctl", "enable", *_UNITS])
    run(["chroot", tree, "systemctl", "set-default", "multi-user.target"])


def _configure_ssh(tree: Path) -> None:
    run(["chroot", tree, "useradd", "--create-home", "--shell", "/bin/bash", SSH_USER])
    # sshd without PAM refuses an account whose password is locked by "!"; "*" is no password either.
    run(["chroot", tree, "usermod", "--password", "*", SSH_USER])
    run(["chroot", tree, "usermod", "--password", "*", "root"])
    _write(tree, f"etc/sudoers.d/{SSH_USER}", f"{SSH_USER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    _write(tree, "etc/pam.d/sudo", _PAM_SUDO)
    _write(tree, "etc/ssh/sshd_config", _SSHD)
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def _write(tree: Path, name: str, text: str, mode: int = 0o644) -> None:
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(mode)
