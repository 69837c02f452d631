"""Turn a tree of files into a disk that boots."""

from __future__ import annotations

from pathlib import Path

from lab.errors import LabError
from lab.process import run

_MBR = Path("/usr/lib/EXTLINUX/mbr.bin")
_MBR_CODE_BYTES = 440
_SECTOR_BYTES = 512
_FIRST_SECTOR = 2048
_MIB = 1024 * 1024
# What keeps a guest under emulation quick: no mitigations, no audit, no waiting for hardware that isn't there. Its clock is
# the one that needs no calibration: a guest that booted while the machine was busy was seen to run six times too fast.
_KERNEL_OPTIONS = (
    "rw console=tty0 console=ttyS0 net.ifnames=0 mitigations=off quiet loglevel=3 audit=0 apparmor=0 selinux=0 "
    "no_timer_check nowatchdog random.trust_cpu=on clocksource=acpi_pm"
)
_BOOT_MENU = """\
DEFAULT linux
TIMEOUT 0
PROMPT 0
LABEL linux
  LINUX /boot/vmlinuz
  INITRD /boot/initrd
  APPEND {options}
"""
# $1 loop device, $2 mount point. The mount is private, and gone when the shell is.
_INSTALL_EXTLINUX = 'mount "$1" "$2" && extlinux --install "$2/boot/extlinux" && sync --file-system "$2" && umount "$2"'


def build(tree: Path, target: Path, *, size_mib: int, options: str = "") -> None:
    """Write `target`, a qcow2 disk with one ext4 partition that holds `tree` and boots its /boot/vmlinuz."""
    menu = tree / "boot" / "extlinux" / "extlinux.conf"
    menu.parent.mkdir(parents=True, exist_ok=True)
    menu.write_text(_BOOT_MENU.format(options=f"{_KERNEL_OPTIONS} {options}".rstrip()))
    raw = target.with_suffix(".raw")
    with raw.open("wb") as file:
        file.truncate(size_mib * _MIB)
    run(["sfdisk", "--quiet", raw], stdin=f"{_FIRST_SECTOR},,83,*\n")
    _make_filesystem(tree, raw, size_mib)
    _install_boot_loader(raw)
    unfinished = target.with_suffix(".unfinished")
    run(["qemu-img", "convert", "-O", "qcow2", raw, unfinished])
    unfinished.rename(target)
    raw.unlink()


def _make_filesystem(tree: Path, raw: Path, size_mib: int) -> None:
    """Make the file system from the tree, without mounting it."""
    offset = _FIRST_SECTOR * _SECTOR_BYTES
    # extlinux reads neither 64-bit block numbers nor checksums of metadata.
    features = ["-O", "^64bit,^metadata_csum", "-m", "0", "-L", "labroot", "-E", f"offset={offset}"]
    size = f"{(size_mib * _MIB - offset) // 1024}k"
    run(["mkfs.ext4", "-q", "-F", "-b", "4096", *features, "-d", tree, raw, size])


def _install_boot_loader(raw: Path) -> None:
    offset = _FIRST_SECTOR * _SECTOR_BYTES
    mount_point = raw.with_suffix(".mnt")
    mount_point.mkdir()
    loop = run(["losetup", "--find", "--show", "--offset", str(offset), raw]).strip()
    try:
        # A mount that another namespace keeps would leave the file system dirty: hence a private one.
        private = ["unshare", "--mount", "--propagation", "private"]
        run([*private, "sh", "-c", _INSTALL_EXTLINUX, "install-extlinux", loop, mount_point])
    finally:
        run(["losetup", "--detach", loop])
    mount_point.rmdir()
    if "needs_recovery" in run(["dumpe2fs", "-h", f"{raw}?offset={offset}"]):
        raise LabError(f"{raw} was not unmounted cleanly")
    with raw.open("r+b") as file:
        file.write(_MBR.read_bytes()[:_MBR_CODE_BYTES])
