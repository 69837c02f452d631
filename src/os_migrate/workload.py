"""What is migrated, as the operator's files describe it, typed.

These are the resources `openstack.compute.Server` of `workloads.yml`, and `openstack.network.ServerVolume` of `detached_volumes.yml`.
The field names are those of the files (docs/files.md). `params` says what it is and may be edited, `info` is read-only,
`migration` says how to migrate it. `files.workloads` reads and writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from os_migrate.model import GIB, AddressPair, DhcpOption, ServerId, VolumeId

CURRENT = "%auth%"
"""Stands for the current project, domain or user in a reference."""

OURS: Final = {"addition": True}
"""Marks a field that OS Migrate 1.0.x doesn't know: it is left out of a file where it says nothing."""


class FloatingIpMode(StrEnum):
    """What happens to a floating IP: `auto` takes the same address if the destination project holds it free, or a new one."""

    AUTO = "auto"
    NEW = "new"
    EXISTING = "existing"
    SKIP = "skip"


class PortCreationMode(StrEnum):
    """Who makes the ports: nova keeps the fixed IPs, and can't keep MAC, vnic type and several addresses; neutron keeps all."""

    NOVA = "nova"
    NEUTRON = "neutron"


class Loss(StrEnum):
    """What can't be kept, and may be lost if the operator says so."""

    EPHEMERAL_DISKS = "ephemeral_disks"
    SWAP_DISK = "swap_disk"
    MULTIATTACH = "multiattach"
    READ_ONLY = "read_only"
    VNIC_TYPE = "vnic_type"


class EncryptedVolumes(StrEnum):
    """What becomes of encrypted volumes: a tenant isn't told which types encrypt, so the operator has to say it."""

    REFUSE = "refuse"
    ENCRYPT = "encrypt"
    PLAIN = "plain"


class PowerState(StrEnum):
    """Whether the twin stays on; `as_found` switches it off where the source server was off when its migration began."""

    RUNNING = "running"
    AS_FOUND = "as_found"


@dataclass(frozen=True)
class Ref:
    """A reference by name; the project and domain are `%auth%` for the current one, None where it is not ours."""

    name: str | None
    project_name: str | None = None
    domain_name: str | None = None

    def __str__(self) -> str:
        return repr(self.name)


@dataclass(frozen=True)
class FixedIpRef:
    """An address on a subnet."""

    ip_address: str
    subnet_ref: Ref


@dataclass(frozen=True)
class PortInfo:
    """Where the port was."""

    id: str | None = None
    device_id: str | None = None
    device_owner: str | None = None


@dataclass(frozen=True)
class PortParams:
    """What the port is."""

    network_ref: Ref
    fixed_ips_refs: tuple[FixedIpRef, ...] = ()
    mac_address: str | None = None
    binding_vnic_type: str | None = None
    binding_profile: Mapping[str, object] | None = None
    security_group_refs: tuple[Ref, ...] | None = field(default=None, metadata=OURS)
    name: str | None = field(default=None, metadata=OURS)
    description: str | None = field(default=None, metadata=OURS)
    tags: tuple[str, ...] = field(default=(), metadata=OURS)
    admin_state_up: bool | None = field(default=None, metadata=OURS)
    port_security_enabled: bool | None = field(default=None, metadata=OURS)
    allowed_address_pairs: tuple[AddressPair, ...] = field(default=(), metadata=OURS)
    extra_dhcp_opts: tuple[DhcpOption, ...] = field(default=(), metadata=OURS)
    dns_name: str | None = field(default=None, metadata=OURS)
    dns_domain: str | None = field(default=None, metadata=OURS)
    qos_policy_ref: Ref | None = field(default=None, metadata=OURS)


@dataclass(frozen=True)
class WorkloadPort:
    """A port of the server, in Nova's order."""

    params: PortParams
    info: PortInfo = PortInfo()


@dataclass(frozen=True)
class FloatingIpInfo:
    """Where the floating IP was."""

    id: str | None = None
    floating_network_id: str | None = None
    port_id: str | None = None
    router_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class FloatingIpParams:
    """What the floating IP is."""

    fixed_ip_address: str | None
    floating_ip_address: str
    floating_network_ref: Ref
    description: str | None = None
    dns_domain: str | None = None
    dns_name: str | None = None
    qos_policy_ref: Ref | None = None
    tags: tuple[str, ...] = field(default=(), metadata=OURS)


@dataclass(frozen=True)
class WorkloadFloatingIp:
    """A floating IP of the server."""

    params: FloatingIpParams
    info: FloatingIpInfo = FloatingIpInfo()


@dataclass(frozen=True)
class DeviceInfo:
    """An attachment as the file has it."""

    server_id: str | None = None
    volume_id: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class VolumeInfo:
    """What the volume was; `size` in GiB."""

    id: VolumeId
    size: int
    is_bootable: bool = False
    attachments: tuple[DeviceInfo, ...] = ()


@dataclass(frozen=True)
class VolumeParams:
    """What the volume is to be in the destination."""

    name: str | None = None
    description: str | None = None
    availability_zone: str | None = None
    volume_type: str | None = None
    volume_image_metadata: Mapping[str, str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, metadata=OURS)


@dataclass(frozen=True)
class WorkloadVolume:
    """A Cinder volume of the server, in Nova's order."""

    params: VolumeParams
    info: VolumeInfo

    @property
    def size_bytes(self) -> int:
        """Return the volume's size."""
        return self.info.size * GIB


@dataclass(frozen=True)
class VolumeMigration:
    """How to migrate a detached volume."""

    may_lose: tuple[Loss, ...] = field(default=(), metadata=OURS)
    encrypted_volumes: EncryptedVolumes = field(default=EncryptedVolumes.REFUSE, metadata=OURS)


@dataclass(frozen=True)
class DetachedVolume(WorkloadVolume):
    """A Cinder volume that no server has: a resource of `detached_volumes.yml`, migrated by itself."""

    migration: VolumeMigration = VolumeMigration()

    @property
    def id(self) -> VolumeId:
        """Return the source volume's id."""
        return self.info.id

    @property
    def name(self) -> str:
        """Return the volume's name, for people."""
        return self.params.name or ""

    @property
    def copied_disks(self) -> int:
        """Return how many volumes are attached to each conversion host at a time."""
        return 1


@dataclass(frozen=True)
class WorkloadInfo:
    """What the server was when it was exported."""

    id: ServerId
    status: str | None = None
    flavor_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    security_group_ids: tuple[str, ...] = ()
    created_at: str | None = None
    updated_at: str | None = None
    launched_at: str | None = None
    hypervisor_hostname: str | None = None


@dataclass(frozen=True)
class ServerGroupParams:
    """The server group that the server is in: one of that name and policy is used, or made."""

    name: str
    policy: str
    max_server_per_host: int | None = None


@dataclass(frozen=True)
class WorkloadParams:
    """What the server is. `user_data` is base64 and may hold secrets."""

    name: str
    flavor_ref: Ref
    image_ref: Ref | None = None
    description: str | None = None
    availability_zone: str | None = None
    config_drive: bool | str | None = None
    disk_config: str | None = None
    key_name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    scheduler_hints: Mapping[str, object] | None = None
    user_data: str | None = field(default=None, repr=False)
    security_group_refs: tuple[Ref, ...] = ()
    ports: tuple[WorkloadPort, ...] = ()
    floating_ips: tuple[WorkloadFloatingIp, ...] = ()
    volumes: tuple[WorkloadVolume, ...] = ()
    hostname: str | None = field(default=None, metadata=OURS)
    server_group: ServerGroupParams | None = field(default=None, metadata=OURS)


@dataclass(frozen=True)
class BootVolumeParams:
    """Overrides for a boot volume that is copied."""

    availability_zone: str | None = None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None


@dataclass(frozen=True)
class VolumeChoice:
    """A destination volume that the operator brings (data_copy false)."""

    uuid: VolumeId | None = None


@dataclass(frozen=True)
class MigrationParams:
    """How to migrate the server.

    data_copy  boot_disk_copy  what happens
    true       true            boot disk and volumes are copied; the twin boots from a volume
    true       false           the twin boots from the image of the same name; only the volumes are copied
    false      any             nothing is copied: boot_volume.uuid (or the image) and additional_volumes are attached
    """

    boot_disk_copy: bool = False
    data_copy: bool = True
    floating_ip_mode: FloatingIpMode = FloatingIpMode.AUTO
    port_creation_mode: PortCreationMode = PortCreationMode.NOVA
    boot_volume_params: BootVolumeParams = BootVolumeParams()
    boot_volume: VolumeChoice = VolumeChoice()
    additional_volumes: tuple[VolumeChoice, ...] = ()
    may_lose: tuple[Loss, ...] = field(default=(), metadata=OURS)
    encrypted_volumes: EncryptedVolumes = field(default=EncryptedVolumes.REFUSE, metadata=OURS)
    power_state: PowerState = field(default=PowerState.RUNNING, metadata=OURS)


@dataclass(frozen=True)
class Workload:
    """A server that is to be migrated."""

    params: WorkloadParams
    info: WorkloadInfo
    migration: MigrationParams = MigrationParams()

    @property
    def id(self) -> ServerId:
        """Return the source server's id: what a workload is known by."""
        return self.info.id

    @property
    def name(self) -> str:
        """Return the server's name, for people."""
        return self.params.name

    @property
    def copies(self) -> bool:
        """Say whether any disk is copied, so that conversion hosts are needed."""
        return self.copied_disks > 0

    @property
    def copied_disks(self) -> int:
        """Return how many disks are copied: so many are attached to each conversion host at a time."""
        if not self.migration.data_copy:
            return 0
        boots_from_image = self.params.image_ref is not None
        if self.migration.boot_disk_copy:
            return len(self.params.volumes) + boots_from_image
        return max(0, len(self.params.volumes) - (not boots_from_image))


Subject = Workload | DetachedVolume
"""What an attempt migrates."""
