"""A conversion host on this machine: a real sshd in namespaces of its own, with a stand-in for systemd."""

import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from os_migrate.hosts.remote import RemoteHost
from os_migrate.model import ServerId, VolumeId
from os_migrate.nbd import JobState, JobStatus
from os_migrate.ssh import Ssh, SshTarget

USER = "migrator"


def make_key(path: Path) -> str:
    """Make a key pair; return the public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
    return Path(f"{path}.pub").read_text().strip()


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


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def start_machine(
    directory: Path, name: str, *, address: str = "127.0.0.1", port: int | None = None, within: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], Machine]:
    """Start a conversion host; return its process and how to reach it. `within` is a command that runs another."""
    for part in ("etc", "work", "by-id", "home/.ssh"):
        (directory / part).mkdir(parents=True)
    directory.chmod(0o755)
    host_key = make_key(directory / "host.key")
    (directory / "home/.ssh/authorized_keys").write_text(make_key(directory / "login.key") + "\n")
    (directory / "known_hosts").write_text(f"{name} {' '.join(host_key.split()[:2])}\n")
    port = port or free_port(address)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {directory}/host.key\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n"
    )
    Path("/dev/disk/by-id").mkdir(parents=True, exist_ok=True)
    argv = [*within, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (directory / "log").open("wb") as log:
        host_py = Path(__file__).with_name("host.py")
        process = subprocess.Popen(
            [*argv, "/usr/bin/python3", host_py, directory], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    target = SshTarget(USER, address, directory / "login.key", directory / "known_hosts", name, port)
    ssh = Ssh(target)
    return process, Machine(directory, port, target, ssh, RemoteHost(name, ServerId(name), ssh))
