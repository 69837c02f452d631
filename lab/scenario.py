"""Servers with known data in the lab's clouds, and a look inside them: what the demo and the acceptance tests share."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import openstack

from lab.errors import LabError
from lab.settings import CLOUDS_YAML, SSH_KEY, TINY_IMAGE

T = TypeVar("T")

NETWORK = "net1"
EXTERNAL_NETWORK = "public"
KEYPAIR = "lab"
SECURITY_GROUP = "lab-ssh"
FLAVOR = "tiny"
GIB = 1024**3


def connect(cloud: str) -> Any:
    """Connect to a cloud of the lab ("src", "dst", or with "-admin") as its clouds.yaml says."""
    config = openstack.config.OpenStackConfig(config_files=[str(CLOUDS_YAML)])
    return openstack.connection.Connection(config=config.get_one(cloud=cloud))


def wait_for(what: str, ask: Callable[[], T | None], timeout_s: float = 180.0) -> T:
    """Return the first true answer; raise LabError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not so after {timeout_s:.0f} s")
        time.sleep(1)


@dataclass(frozen=True)
class Guest:
    """A tiny server that answers SSH at an address."""

    address: str

    def run(self, script: str, *, timeout_s: float = 120.0) -> str:
        """Run a shell script in the guest and return what it wrote; raise LabError if it fails."""
        done = self._ssh(script, timeout_s)
        if done.returncode:
            raise LabError(f"{self.address}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def await_ssh(self, timeout_s: float = 180.0) -> None:
        """Wait until the guest answers."""
        wait_for(f"SSH at {self.address}", lambda: self._ssh("true", 15).returncode == 0, timeout_s)

    def _ssh(self, script: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        # A guest of the lab makes its host key when it first boots: there is nothing to compare it with.
        options = ["BatchMode=yes", "ConnectTimeout=5", "LogLevel=ERROR", "StrictHostKeyChecking=accept-new"]
        argv = ["ssh", "-F", "none", "-i", str(SSH_KEY), "-o", "UserKnownHostsFile=/dev/null"]
        argv += [word for option in options for word in ("-o", option)]
        argv += [f"root@{self.address}", "sh -s"]
        try:
            return subprocess.run(argv, input=script, text=True, capture_output=True, check=False, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, "", "timeout")


@dataclass(frozen=True)
class Shape:
    """What kind of server to make. `data_gib` are its data volumes, attached in this order.

    `fixed_ip` is beyond the first addresses of `net1`, which DHCP and the router of either cloud may hold.
    """

    name: str
    fixed_ip: str
    boot_volume: bool = False
    data_gib: tuple[int, ...] = ()
    delete_on_termination: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    floating_ip: bool = True


def create_server(cloud: Any, shape: Shape) -> Any:
    """Create a server of a shape, with its volumes and a floating IP; return it when it is ACTIVE."""
    image = cloud.image.find_image(TINY_IMAGE, ignore_missing=False)
    network = cloud.network.find_network(NETWORK, ignore_missing=False)
    arguments: dict[str, Any] = {
        "name": shape.name,
        "flavor_id": cloud.compute.find_flavor(FLAVOR, ignore_missing=False).id,
        "networks": [{"uuid": network.id, "fixed_ip": shape.fixed_ip}],
        "key_name": KEYPAIR,
        "security_groups": [{"name": SECURITY_GROUP}],
        "metadata": dict(shape.metadata),
    }
    if shape.boot_volume:
        volume = create_volume(cloud, f"{shape.name}-boot", 1, image_id=image.id)
        arguments["block_device_mapping"] = [
            {
                "boot_index": 0,
                "uuid": volume.id,
                "source_type": "volume",
                "destination_type": "volume",
                "delete_on_termination": shape.delete_on_termination,
            }
        ]
    else:
        arguments["image_id"] = image.id
    server = cloud.compute.create_server(**arguments)
    server = cloud.compute.wait_for_server(server, wait=300)
    for number, size_gib in enumerate(shape.data_gib):
        volume = create_volume(cloud, f"{shape.name}-data{number}", size_gib)
        attach_volume(cloud, server, volume)
    if shape.floating_ip:
        add_floating_ip(cloud, server)
    return cloud.compute.get_server(server.id)


def create_volume(cloud: Any, name: str, size_gib: int, **more: Any) -> Any:
    """Create a volume and wait until it is available."""
    volume = cloud.block_storage.create_volume(name=name, size=size_gib, **more)
    return cloud.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=180)


def attach_volume(cloud: Any, server: Any, volume: Any) -> None:
    """Attach a volume and wait until it is in use."""
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    cloud.block_storage.wait_for_status(volume, "in-use", failures=["error"], interval=1, wait=180)


def add_floating_ip(cloud: Any, server: Any) -> str:
    """Give a server a new floating IP; return its address."""
    external = cloud.network.find_network(EXTERNAL_NETWORK, ignore_missing=False)
    port = next(iter(cloud.network.ports(device_id=server.id)))
    return str(cloud.network.create_ip(floating_network_id=external.id, port_id=port.id).floating_ip_address)


def guest_of(cloud: Any, server: Any) -> Guest:
    """Return the guest behind a server's floating IP."""
    ports = {port.id for port in cloud.network.ports(device_id=server.id)}
    addresses = [ip.floating_ip_address for ip in cloud.network.ips() if ip.port_id in ports]
    if not addresses:
        raise LabError(f"server {server.name} has no floating IP")
    return Guest(addresses[0])


def data_disks(guest: Guest) -> list[str]:
    """Return the guest's disks other than the one it booted from, in the order of their names."""
    names = guest.run(
        "cd /sys/block; root=$(findfs LABEL=labroot); for d in vd* sd*; do"
        " case $root in /dev/$d*) ;; *) [ -e $d ] && echo $d;; esac; done; true"
    ).split()
    return [f"/dev/{name}" for name in sorted(names, key=lambda n: (len(n), n))]


def disk_of(guest: Guest, volume_id: str) -> str:
    """Return the guest's disk that is a volume: its name is the guest kernel's whim, its serial begins the volume's id."""
    name = guest.run(f"cd /sys/block; grep -l '^{volume_id[:20]}' vd*/serial").partition("/")[0]
    return f"/dev/{name}"


def write_files(guest: Guest, disk: str, mib: int) -> str:
    """Make a file system on a guest's disk with `mib` MiB of random files; return their checksums."""
    return guest.run(
        f"mke2fs -q {disk} >/dev/null 2>&1 || mkfs.ext2 {disk} >/dev/null; mkdir -p /mnt; mount {disk} /mnt;"
        f" dd if=/dev/urandom of=/mnt/random bs=1M count={mib} 2>/dev/null; date > /mnt/written; sync;"
        " cd /mnt; sha256sum random written; cd /; umount /mnt",
        timeout_s=300,
    )


def read_files(guest: Guest, disk: str) -> str:
    """Return the checksums of the files that `write_files` made."""
    return guest.run(
        f"mkdir -p /mnt; mount {disk} /mnt; cd /mnt; sha256sum random written; cd /; umount /mnt", timeout_s=300
    )


def write_boot_file(guest: Guest, mib: int) -> str:
    """Write a random file to a guest's boot disk; return its checksum."""
    return guest.run(f"dd if=/dev/urandom of=/root/random bs=1M count={mib} 2>/dev/null; sync; sha256sum /root/random")


def read_boot_file(guest: Guest) -> str:
    """Return the checksum of the file that `write_boot_file` made."""
    return guest.run("sha256sum /root/random")


Holdings = dict[str, frozenset[str]]


def holdings(cloud: Any) -> Holdings:
    """Return the ids of all that a tenant holds and a migration might leave, by kind."""
    project = cloud.current_project_id
    return {
        "servers": frozenset(s.id for s in cloud.compute.servers()),
        "volumes": frozenset(v.id for v in cloud.block_storage.volumes()),
        "snapshots": frozenset(s.id for s in cloud.block_storage.snapshots()),
        "images": frozenset(i.id for i in cloud.image.images(owner=project) if i.owner == project),
        "ports": frozenset(p.id for p in cloud.network.ports(project_id=project)),
        "floating IPs": frozenset(f.id for f in cloud.network.ips(project_id=project)),
        "networks": frozenset(n.id for n in cloud.network.networks(project_id=project)),
        "subnets": frozenset(s.id for s in cloud.network.subnets(project_id=project)),
        "routers": frozenset(r.id for r in cloud.network.routers(project_id=project)),
        "security groups": frozenset(g.id for g in cloud.network.security_groups(project_id=project)),
        "key pairs": frozenset(k.name for k in cloud.compute.keypairs()),
    }


def delete_servers(cloud: Any, keep: Callable[[Any], bool] = lambda _: False) -> None:
    """Delete a tenant's servers, but those to keep, and all volumes, snapshots, images, free ports and floating IPs."""
    doomed = [s for s in cloud.compute.servers() if not keep(s)]
    for server in doomed:
        cloud.compute.delete_server(server, ignore_missing=True)
    for server in doomed:
        cloud.compute.wait_for_delete(server, wait=180)
    for ip in cloud.network.ips(project_id=cloud.current_project_id):
        if ip.port_id is None:
            cloud.network.delete_ip(ip)
    for port in cloud.network.ports(project_id=cloud.current_project_id):
        if not port.device_owner:
            cloud.network.delete_port(port)
    for image in cloud.image.images(owner=cloud.current_project_id):
        if image.owner == cloud.current_project_id:
            cloud.image.delete_image(image)
    wait_for("volumes to go", lambda: _volumes_are_gone(cloud), 180)


def _volumes_are_gone(cloud: Any) -> bool:
    snapshots = list(cloud.block_storage.snapshots())
    for snapshot in snapshots:
        if snapshot.status in {"available", "error"}:
            cloud.block_storage.delete_snapshot(snapshot, ignore_missing=True)
    snapped = {snapshot.volume_id for snapshot in snapshots}
    volumes = [v for v in cloud.block_storage.volumes() if not v.attachments]
    for volume in volumes:
        if volume.id not in snapped and volume.status in {"available", "error"}:
            cloud.block_storage.delete_volume(volume, ignore_missing=True)
    return not snapshots and not volumes


@contextmanager
def timed(what: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Tell how long a block took."""
    began = time.monotonic()
    yield
    tell(f"{what}: {time.monotonic() - began:.1f} s")


def write_settings(directory: Path, **more: object) -> Path:
    """Write the settings file of a migration between the lab's clouds; return its path."""
    data_dir = directory / "data"
    lines = {
        "os_migrate_data_dir": str(data_dir),
        "os_migrate_clouds_path": str(CLOUDS_YAML),
        "os_migrate_src_cloud": "src",
        "os_migrate_dst_cloud": "dst",
        "os_migrate_src_conversion_flavor_name": "conv",
        "os_migrate_dst_conversion_flavor_name": "conv",
        "os_migrate_src_conversion_external_network_name": EXTERNAL_NETWORK,
        "os_migrate_dst_conversion_external_network_name": EXTERNAL_NETWORK,
        # Under emulation a server boots an order of magnitude slower than on hardware.
        "os_migrate_conversion_host_deploy_timeout": 600,
        "os_migrate_workload_stop_before_migration": True,
        **more,
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "os-migrate.yml"
    path.write_text("".join(f"{name}: {_yaml(value)}\n" for name, value in lines.items()))
    return path


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def together(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Call functions at the same time; return their results in order, or raise the first error."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]
