"""What the operator has set: the variables of the settings file, typed, with their defaults.

One field a variable of OS Migrate's variable file (`os_migrate_data_dir` is `Settings.data_dir`, and so on;
docs/settings.md lists them all). `files.config` reads the file; this module only says what there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from os_migrate.model import Side
from os_migrate.nbd import Compression, Coverage

NameFilter = tuple["str | Regex", ...]


@dataclass(frozen=True)
class Regex:
    """A pattern that is searched for in a name, not anchored."""

    pattern: str


EVERYTHING: NameFilter = (Regex(".*"),)


@dataclass(frozen=True)
class CloudSettings:
    """How to reach a cloud: `cloud` is a name in clouds.yaml; the rest are the Ansible variables, which win.

    `others` is what an entry of clouds.yaml may say besides, where a task gives one in place of a name.
    """

    cloud: str | None = None
    auth: Mapping[str, object] | None = field(default=None, repr=False)
    auth_type: str | None = None
    region_name: str | None = None
    validate_certs: bool | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    others: Mapping[str, object] = field(default_factory=dict)
    filter_current_project: bool = True
    query: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class HostSettings:
    """One conversion host (`os_migrate_src_conversion_*`, `os_migrate_dst_conversion_*`)."""

    host_name: str
    image_name: str = "os_migrate_conv"
    flavor_name: str | None = None
    external_network_name: str | None = None
    net_name: str = "os_migrate_conv"
    subnet_name: str = "os_migrate_conv"
    router_name: str = "os_migrate_conv"
    secgroup_name: str = "os_migrate_conv"
    keypair_name: str = "os_migrate_conv"
    net_mtu: int | None = None
    subnet_dns_nameservers: tuple[str, ...] = ()
    availability_zone: str | None = None
    manage_network: bool = True
    manage_fip: bool = True
    floating_ip_address: str | None = None
    delete_fip: bool = True
    boot_from_volume: bool = False
    volume_size_gib: int = 20
    pre_content_hook: str | None = None
    post_content_hook: str | None = None
    deploy: bool = True
    delete: bool = True


@dataclass(frozen=True)
class ConversionSettings:
    """What all conversion hosts share. `disks` is how many volumes one can take beside its own disk.

    The default is QEMU's usual PCI slots, less what else needs one.
    """

    pairs: int = 1
    disks: int = 24
    subnet_cidr: str = "192.168.10.0/24"
    subnet_alloc_start: str = "192.168.10.10"
    subnet_alloc_end: str = "192.168.10.99"
    router_ip: str = "192.168.10.1"
    deploy_timeout_s: float = 180.0
    keypair_generate: bool = True
    keypair_private_path: Path = Path("conversion/ssh.key")
    link_keypair_private_path: Path = Path("conversion/link-ssh.key")
    known_hosts_path: Path = Path("conversion/known_hosts")
    ssh_key_type: str = "ed25519"
    ssh_user: str = "cloud-user"
    ssh_password_access: bool = False
    ssh_password: str | None = field(default=None, repr=False)
    ssh_networks: tuple[str, ...] = ()
    content_install: bool = True
    link: bool = True
    reboot: bool = False


class Order(StrEnum):
    """In which order workloads begin."""

    FILE = "file"
    SMALLEST = "smallest"


@dataclass(frozen=True)
class WorkloadSettings:
    """How workloads are migrated; the resource decides where a value is None."""

    boot_disk_copy: bool | None = None
    data_copy: bool = True
    stop_before_migration: bool = False
    unlock_before_migration: bool = False
    cleanup_on_failure: bool = True
    boot_volume_prefix: str = "os-migrate-"
    timeout_s: float = 1800.0
    parallel: int = 4
    order: Order = Order.FILE
    check_quotas: bool = True


@dataclass(frozen=True)
class TransferSettings:
    """How data travels. Limits are in Mbit/s: of the whole run, and of each pair of conversion hosts.

    `link_mbit` is what the link between the clouds is said to carry; only an estimate goes by it.
    """

    sparsify: Coverage = Coverage.MAP
    sparsify_timeout_s: float = 600.0
    compression: Compression = Compression.AUTO
    proof: bool = True
    connections: int = 1
    limit_mbit: float | None = None
    pair_limit_mbit: float | None = None
    link_mbit: float | None = None


@dataclass(frozen=True)
class ImageSettings:
    """How images are exported."""

    export_blobs: bool = True
    blobs_dir: Path = Path("image_blobs")


@dataclass(frozen=True)
class Settings:
    """All settings of a run. Relative paths were resolved against `data_dir` by `files.config`."""

    data_dir: Path
    clouds_path: Path | None = None
    mapping_file: Path | None = None
    source: CloudSettings = CloudSettings(cloud="src")
    destination: CloudSettings = CloudSettings(cloud="dst")
    source_host: HostSettings = HostSettings(host_name="os_migrate_conv_src")
    destination_host: HostSettings = HostSettings(host_name="os_migrate_conv_dst")
    conversion: ConversionSettings = ConversionSettings()
    workloads: WorkloadSettings = WorkloadSettings()
    transfer: TransferSettings = TransferSettings()
    images: ImageSettings = ImageSettings()
    filters: Mapping[str, NameFilter] = field(default_factory=dict)
    validate_files: bool = True
    api_calls_parallel: int = 8

    def host(self, side: Side) -> HostSettings:
        """Return the settings of the conversion host on a side."""
        return self.source_host if side is Side.SOURCE else self.destination_host

    def only(self, side: Side | None) -> "Settings":
        """Return these settings with the other side's conversion host left alone; None: with both."""
        if side is Side.SOURCE:
            return replace(self, destination_host=replace(self.destination_host, deploy=False, delete=False))
        if side is Side.DESTINATION:
            return replace(self, source_host=replace(self.source_host, deploy=False, delete=False))
        return self

    @property
    def limit_bytes_s(self) -> float | None:
        """Return what a pair of conversion hosts may send, in bytes a second: each has an equal part of the run's."""
        of_run, of_pair = self.transfer.limit_mbit, self.transfer.pair_limit_mbit
        limits = [] if of_run is None else [of_run / self.conversion.pairs]
        limits += [] if of_pair is None else [of_pair]
        return min(limits) * 1_000_000 / 8 if limits else None

    def by_pair(self) -> "tuple[Settings, ...]":
        """Return these settings for each pair of conversion hosts: the first has the names as they are, another its number too."""
        return (self, *(self._of_pair(number) for number in range(2, self.conversion.pairs + 1)))

    def _of_pair(self, number: int) -> "Settings":
        return replace(
            self,
            source_host=replace(self.source_host, host_name=f"{self.source_host.host_name}-{number}"),
            destination_host=replace(self.destination_host, host_name=f"{self.destination_host.host_name}-{number}"),
        )

    def filter(self, kind: str) -> NameFilter:
        """Return the filter for a kind of resource ("workloads", "networks", ...)."""
        return self.filters.get(kind, EVERYTHING)
