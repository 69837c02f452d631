"""Two conversion hosts on this machine: real sshd, sudo, nbdkit, nbdcopy and loop devices, each in namespaces of its own."""

import ctypes
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from os_migrate.hosts.remote import RemoteHost
from os_migrate.model import AttemptId, ServerId, VolumeId
from os_migrate.nbd import JobState, JobStatus
from os_migrate.ssh import Ssh, SshTarget

from .disks import MIB, Disk

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
USER = "migrator"
CLONE_NEWNS = 0x20000  # linux/sched.h: mounts of our own


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    missing = [c for c in COMMANDS if shutil.which(c, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing or os.geteuid() != 0:
        pytest.fail(f"these tests need root, and {missing or 'no more'}: apt-get install {PACKAGES}", pytrace=False)


def make_key(path: Path) -> str:
    """Make a key pair; return the public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
    return Path(f"{path}.pub").read_text().strip()


def shaped(shape: str, seed: int = 0) -> bytes:
    """Return a disk: each letter is a block of 64 KiB, d of random data, 1 of zeroes but for its last byte, 0 of zeroes."""
    dice = random.Random(seed)
    kinds: dict[str, Callable[[], bytes]] = {
        "d": lambda: dice.randbytes(BLOCK),
        "1": lambda: bytes(BLOCK - 1) + b"\1",
        "0": lambda: bytes(BLOCK),
    }
    return b"".join(kinds[letter]() for letter in shape)


@dataclass
class Machine:
    """A running conversion host, and its disks."""

    directory: Path
    port: int
    target: SshTarget
    ssh: Ssh
    host: RemoteHost
    loops: list[str] = field(default_factory=list)

    def add_disk(self, content: bytes) -> VolumeId:
        """Attach a volume with this content, seen by its serial as a virtio disk is."""
        with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
            file.write(content)
        return self.add_file(Path(file.name))

    def add_file(self, file: Path) -> VolumeId:
        argv = ["losetup", "--find", "--show", str(file)]
        self.loops.append(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())
        subprocess.run(
            ["blockdev", "--setrw", self.loops[-1]], check=True
        )  # an earlier test's source may have been there
        volume_id = VolumeId(str(uuid.uuid4()))
        (self.directory / "by-id" / f"virtio-{volume_id[:20]}").symlink_to(self.loops[-1])
        return volume_id

    def content(self, volume_id: VolumeId) -> bytes:
        """Return what is on a volume."""
        return (self.directory / "by-id" / f"virtio-{volume_id[:20]}").read_bytes()

    def root(self, *argv: str) -> str:
        """Run a command as root there; return what it said."""
        done = self.ssh.run(["sudo", "-n", *argv], timeout_s=30)
        assert done.returncode == 0, done
        return done.stdout.decode().strip()

    def pid(self, unit: str) -> str:
        said = dict(line.split("=", 1) for line in self.root("systemctl", "show", unit).splitlines())
        return said["MainPID"]

    def await_end(self, unit: str, timeout_s: float = 60.0) -> JobState:
        """Wait until a job has ended."""
        deadline = time.monotonic() + timeout_s
        while (state := self.host.state(unit)).status is JobStatus.RUNNING:
            assert time.monotonic() < deadline, f"{unit} still runs: {state}"
            time.sleep(0.1)
        return state

    def release(self) -> None:
        for loop in self.loops:
            subprocess.run(["losetup", "--detach", loop], check=True)
        self.loops.clear()


def start_machine(directory: Path, name: str) -> tuple[subprocess.Popen[bytes], Machine]:
    """Start a conversion host; return its process and how to reach it."""
    for part in ("etc", "work", "by-id", "home/.ssh"):
        (directory / part).mkdir(parents=True)
    directory.chmod(0o755)
    host_key = make_key(directory / "host.key")
    (directory / "home/.ssh/authorized_keys").write_text(make_key(directory / "login.key") + "\n")
    (directory / "known_hosts").write_text(f"{name} {' '.join(host_key.split()[:2])}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host.key\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n"
    )
    Path("/dev/disk/by-id").mkdir(parents=True, exist_ok=True)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (directory / "log").open("wb") as log:
        host_py = Path(__file__).with_name("host.py")
        process = subprocess.Popen(
            [*argv, "/usr/bin/python3", host_py, directory], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    target = SshTarget(USER, "127.0.0.1", directory / "login.key", directory / "known_hosts", name, port)
    ssh = Ssh(target)
    return process, Machine(directory, port, target, ssh, RemoteHost(name, ServerId(name), ssh))


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
