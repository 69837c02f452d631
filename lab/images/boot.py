"""Kernel and initial RAM disk of a guest.

Debian's own initial RAM disk takes most of a minute under emulation. This one loads a list of modules, mounts the first
partition of the first disk and is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.process import run

_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in {modules}; do /bin/busybox insmod /modules/$module; done
# The first disk comes first: a volume that holds a copy of a root disk has the same label. The label is a last resort.
for try in $(/bin/busybox seq 100); do
  for disk in /dev/vda1 /dev/sda1; do [ -b $disk ] && root=$disk && break 2; done
  /bin/busybox sleep 0.1
done
[ -n "$root" ] || root=$(/bin/busybox findfs LABEL=labroot)
/bin/busybox mount -t ext4 -o noatime $root /new
for folder in proc sys dev; do /bin/busybox mount --move /$folder /new/$folder; done
exec /bin/busybox switch_root /new {init}
"""


def make_initrd(tree: Path, target: Path, work: Path, *, modules: Sequence[str], init: str) -> None:
    """Write an initial RAM disk that loads modules of the kernel in `tree` and then runs `init` of the root disk."""
    root = work / "initrd"
    if root.exists():
        shutil.rmtree(root)
    for folder in ("bin", "proc", "sys", "dev", "new", "modules"):
        (root / folder).mkdir(parents=True)
    copy_program(tree, root, "/bin/busybox")
    files = module_files(tree, modules)
    for file in files:
        shutil.copy(file, root / "modules")
    script = root / "init"
    script.write_text(_INIT.format(modules=" ".join(file.name for file in files), init=init))
    script.chmod(0o755)
    archive = work / "initrd.cpio"
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    run(["cpio", "--quiet", "--create", "--format=newc", f"--file={archive}"], cwd=root, stdin=names)
    run(["gzip", "--force", "--fast", archive])
    shutil.move(f"{archive}.gz", target)


def module_files(tree: Path, names: Sequence[str]) -> list[Path]:
    """Return the files of modules and of all that they need, in the order in which they have to be loaded."""
    files: dict[Path, None] = {}
    for name in names:
        for line in run(["modprobe", "-d", tree, "-S", kernel_version(tree), "--show-depends", name]).splitlines():
            kind, path, *_ = line.split()
            if kind == "insmod":
                files[Path(path)] = None
    return list(files)


def kernel_version(tree: Path) -> str:
    """Return the version of the one kernel in `tree`."""
    (modules,) = (tree / "usr/lib/modules").iterdir()
    return modules.name


def copy_program(tree: Path, target: Path, program: str) -> None:
    """Copy a program and the libraries it is linked with to the same places in `target`."""
    words = run(["chroot", tree, "ldd", program]).split()
    for path in (program, *(word for word in words if word.startswith("/"))):
        destination = target / path.lstrip("/")
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy((tree / path.lstrip("/")).resolve(), destination)
