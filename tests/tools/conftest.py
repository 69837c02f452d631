"""Two conversion hosts on this machine: real sshd, sudo, nbdkit, nbdcopy and loop devices, each in namespaces of its own."""

import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from os_migrate.model import AttemptId

from .disks import MIB, Disk
from .machine import Machine, make_key, start_machine

COMMANDS = (
    "nbdkit",
    "nbdcopy",
    "nbdinfo",
    "sshd",
    "ssh",
    "ssh-keygen",
    "sudo",
    "losetup",
    "mount",
    "unshare",
    "setpriv",
    "mkfs.ext4",
    "partclone.extfs",
    "mkfs.xfs",
    "mkfs.btrfs",
    "ntfs-3g",
    "mkfs.vfat",
    "mcopy",
    "sfdisk",
    "pvs",
    "cryptsetup",
    "qemu-io",
)
PACKAGES = (
    "nbdkit libnbd-bin openssh-server openssh-client sudo util-linux mount e2fsprogs qemu-utils partclone xfsprogs btrfs-progs "
    "ntfs-3g dosfstools mtools fdisk lvm2 cryptsetup-bin"
)
BLOCK = 64 * 1024
CLONE_NEWNS = 0x20000  # linux/sched.h: mounts of our own


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    missing = [c for c in COMMANDS if shutil.which(c, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing or os.geteuid() != 0:
        pytest.fail(f"these tests need root, and {missing or 'no more'}: apt-get install {PACKAGES}", pytrace=False)


def shaped(shape: str, seed: int = 0) -> bytes:
    """Return a disk: each letter is a block of 64 KiB, d of random data, 1 of zeroes but for its last byte, 0 of zeroes."""
    dice = random.Random(seed)
    kinds: dict[str, Callable[[], bytes]] = {
        "d": lambda: dice.randbytes(BLOCK),
        "1": lambda: bytes(BLOCK - 1) + b"\1",
        "0": lambda: bytes(BLOCK),
    }
    return b"".join(kinds[letter]() for letter in shape)


@pytest.fixture(scope="session")
def machines() -> Iterator[tuple[Machine, Machine]]:
    running = []
    directories = []
    try:
        for name in ("source", "destination"):
            # Not pytest's own directory, which is closed to the SSH user.
            directories.append(Path(tempfile.mkdtemp(prefix=f"osm-{name}-", dir="/tmp")))
            running.append(start_machine(directories[-1], name))
        for process, machine in running:
            try:
                machine.host.await_reachable(20)
            except Exception:
                print((machine.directory / "log").read_text(), file=sys.stderr)
                raise
            assert process.poll() is None
        source, destination = (machine for _, machine in running)
        link = make_key(destination.directory / "link.key")
        source.host.authorize_link(link, "127.0.0.1/32")
        destination.host.install_link(
            (destination.directory / "link.key").read_text(), source.target.known_hosts_path.read_text()
        )
        yield source, destination
    finally:
        for process, machine in running:
            machine.host.close()
            process.kill()
            process.wait()
        for directory in directories:
            shutil.rmtree(directory)


@pytest.fixture
def source(machines: tuple[Machine, Machine]) -> Iterator[Machine]:
    yield from _one_test(machines[0])


@pytest.fixture
def destination(machines: tuple[Machine, Machine]) -> Iterator[Machine]:
    yield from _one_test(machines[1])


def _one_test(machine: Machine) -> Iterator[Machine]:
    """Hand the machine to one test; stop what the test has left running, and detach its disks."""
    yield machine
    jobs = machine.root("find", "/run", "-path", "/run/os-migrate/*.job", "-printf", "%f\\n").splitlines()
    for job in jobs:
        machine.host.stop(job.removesuffix(".job"))
    machine.release()


@pytest.fixture
def attempt() -> AttemptId:
    return AttemptId(uuid.uuid4().hex[:10])


@pytest.fixture(scope="session")
def private_mounts() -> None:
    """Keep what is mounted here out of the namespaces that others make meanwhile: there it would stay mounted."""
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@pytest.fixture
def blank(tmp_path, private_mounts):
    def make(size_mib: int, sector: int = 512, name: str = "disk") -> Disk:
        return Disk(tmp_path / name, size_mib * MIB, sector)

    yield make
    for disk in tmp_path.glob("*"):
        if disk.is_file():
            disk.unlink()


@pytest.fixture
def path_first(tmp_path, monkeypatch) -> Iterator[Path]:
    """Tools of the test's own, found before the real ones."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin")
    return tools
