"""The words of both clouds: ids, states, and what a cloud shows of a resource, as frozen values.

What the operator's files say is in `workload`. Sizes carry their unit in the name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NewType

AttemptId = NewType("AttemptId", str)
FlavorId = NewType("FlavorId", str)
FloatingIpId = NewType("FloatingIpId", str)
ImageId = NewType("ImageId", str)
NetworkId = NewType("NetworkId", str)
PortId = NewType("PortId", str)
QosPolicyId = NewType("QosPolicyId", str)
SecurityGroupId = NewType("SecurityGroupId", str)
ServerGroupId = NewType("ServerGroupId", str)
ServerId = NewType("ServerId", str)
SnapshotId = NewType("SnapshotId", str)
SubnetId = NewType("SubnetId", str)
VolumeId = NewType("VolumeId", str)

NO_SERVER: Final = ServerId("")
NO_VOLUME: Final = VolumeId("")
"""What is migrated is a server or a detached volume: the id of the other is none."""

GIB = 1024**3


class Side(StrEnum):
    """Which of the two clouds."""

    SOURCE = "source"
    DESTINATION = "destination"


class ServerStatus(StrEnum):
    """The server states that decide something here; anything else is OTHER.

    Source: https://docs.openstack.org/api-guide/compute/server_concepts.html
    """

    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    BUILD = "BUILD"
    ERROR = "ERROR"
    OTHER = "OTHER"


@dataclass(frozen=True)
class Tag:
    """Marks what an attempt makes, so that it is found from the cloud alone."""

    attempt: AttemptId
    step: str

    # Metadata keys of volumes, snapshots, images and servers.
    ATTEMPT_KEY = "os_migrate_attempt"
    STEP_KEY = "os_migrate_step"
    # Stays on what was migrated: the id of the server or volume it is the copy of.
    ORIGIN_KEY = "os_migrate_source_id"

    def metadata(self) -> dict[str, str]:
        """Return the tag for resources that have metadata."""
        return {self.ATTEMPT_KEY: self.attempt, self.STEP_KEY: self.step}

    @property
    def subject(self) -> str:
        """Return what tells the step apart from others of its kind."""
        return self.step.partition(":")[2]

    def text(self) -> str:
        """Return the tag for resources that have only a description (ports, floating IPs)."""
        return f"{self.ATTEMPT_KEY}={self.attempt} {self.STEP_KEY}={self.step}"


@dataclass(frozen=True)
class Loan:
    """Marks what an attempt has taken from the source for a while: the server, and the data volumes detached from it; or a detached volume.

    It goes back and is never deleted, so this is no `Tag`. It is metadata, one key; from it a server is put together again
    without any journal. `device` and `delete_on_termination` are those of a volume on its server; a detached volume has no
    `server_id`. `destination`, of what is migrated itself, is the project it migrates into. A server that `was_locked` is locked again.
    """

    attempt: AttemptId
    server_id: ServerId
    was_running: bool = False
    device: str = ""
    delete_on_termination: bool = False
    destination: str = ""
    was_locked: bool = False

    KEY = "os_migrate_loan"
    _LOCKED = "+locked"
    _WORDS = (5, 6)

    def metadata(self) -> dict[str, str | None]:
        """Return what is set on the server or volume."""
        words = (
            self.attempt,
            self.server_id or "-",
            ("running" if self.was_running else "off") + (self._LOCKED if self.was_locked else ""),
            self.device or "-",
            "delete" if self.delete_on_termination else "keep",
            *([self.destination] if self.destination else ()),
        )
        return {self.KEY: " ".join(words)}

    @classmethod
    def of(cls, thing: "Server | Volume") -> "Loan | None":
        """Return the loan that a server or volume is under."""
        words = thing.metadata.get(cls.KEY, "").split(" ")
        if len(words) not in cls._WORDS:
            return None
        attempt, server_id, running, device, delete, *destination = words
        return cls(
            AttemptId(attempt),
            ServerId("" if server_id == "-" else server_id),
            was_running=running.removesuffix(cls._LOCKED) == "running",
            device="" if device == "-" else device,
            delete_on_termination=delete == "delete",
            destination="".join(destination),
            was_locked=running.endswith(cls._LOCKED),
        )

    @classmethod
    def returned(cls) -> dict[str, str | None]:
        """Return the metadata that ends a loan."""
        return {cls.KEY: None}


@dataclass(frozen=True)
class Named:
    """Anything that is only looked up: a flavor, network, subnet, image, security group, key pair, zone."""

    id: str
    name: str
    project_id: str | None = None


@dataclass(frozen=True)
class Flavor(Named):
    """A flavor's size."""

    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0
    ephemeral_gib: int = 0
    swap_mib: int = 0


@dataclass(frozen=True)
class Image(Named):
    """An image."""

    status: str = "active"
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    virtual_size_bytes: int = 0
    size_bytes: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def disk_gib(self) -> int:
        """Return how large a disk or a volume from it must be: never rounded down."""
        return max(self.min_disk_gib, -(-max(self.virtual_size_bytes, self.size_bytes) // GIB))


@dataclass(frozen=True)
class Network(Named):
    """A network."""

    is_external: bool = False


@dataclass(frozen=True)
class Subnet(Named):
    """A subnet and the network it belongs to. In one that `assigns_itself` (SLAAC) an address follows from prefix and MAC."""

    network_id: NetworkId = NetworkId("")
    cidr: str = ""
    assigns_itself: bool = False


@dataclass(frozen=True)
class VolumeType(Named):
    """A volume type; `multiattach` is None where the cloud doesn't tell a tenant."""

    multiattach: bool | None = None


@dataclass(frozen=True)
class ServerGroup(Named):
    """A server group: its policy ("affinity", "soft-anti-affinity"...), and who is in it."""

    policy: str = ""
    max_server_per_host: int | None = None
    members: tuple[ServerId, ...] = ()


@dataclass(frozen=True)
class KeyPair(Named):
    """A key pair of the user."""

    public_key: str = ""


class PartKind(StrEnum):
    """What a server's network is made of."""

    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    SECURITY_GROUP = "security group"


@dataclass(frozen=True)
class NetworkPart(Named):
    """A network, subnet, router or security group, with its description; a subnet has its network too."""

    description: str = ""
    network_id: NetworkId | None = None


@dataclass(frozen=True)
class IngressRule:
    """A rule of a security group that lets something in from a network."""

    id: str
    cidr: str
    description: str = ""


@dataclass(frozen=True)
class SubnetRange:
    """The addresses of a subnet: `first` to `last` are for servers, the router has `gateway`."""

    cidr: str
    first: str
    last: str
    gateway: str
    nameservers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attachment:
    """A volume on a server. `device` is what Nova reports: a wish, not where the guest sees it."""

    server_id: ServerId
    device: str


@dataclass(frozen=True)
class Volume:
    """A Cinder volume. `metadata` is its owner's, and ours, without what Cinder itself writes there."""

    id: VolumeId
    name: str
    status: str
    size_gib: int
    description: str = ""
    volume_type: str = ""
    availability_zone: str = ""
    bootable: bool = False
    multiattach: bool = False
    encrypted: bool = False
    read_only: bool = False
    attachments: tuple[Attachment, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    image_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A Cinder snapshot of a volume."""

    id: SnapshotId
    name: str
    status: str
    volume_id: VolumeId
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VolumeAttachment:
    """A volume as Nova has it attached to a server, in Nova's order (the boot volume first)."""

    volume_id: VolumeId
    device: str
    delete_on_termination: bool = False


@dataclass(frozen=True)
class FixedIp:
    """An address of a port."""

    subnet_id: SubnetId
    ip_address: str


@dataclass(frozen=True)
class AddressPair:
    """An address, or a range of them, that a port may use beside its own; without a MAC its own is meant."""

    ip_address: str
    mac_address: str | None = None


@dataclass(frozen=True)
class DhcpOption:
    """A DHCP option of a port."""

    opt_name: str
    opt_value: str | None = None
    ip_version: int = 4


@dataclass(frozen=True)
class Port:
    """A Neutron port."""

    id: PortId
    name: str
    network_id: NetworkId
    mac_address: str
    fixed_ips: tuple[FixedIp, ...]
    device_id: str = ""
    device_owner: str = ""
    description: str = ""
    security_group_ids: tuple[SecurityGroupId, ...] = ()
    vnic_type: str = "normal"
    binding_profile: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    is_up: bool = True
    has_port_security: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    dns_name: str = ""
    dns_domain: str = ""
    qos_policy_id: QosPolicyId | None = None


@dataclass(frozen=True)
class FloatingIp:
    """A floating IP."""

    id: FloatingIpId
    address: str
    network_id: NetworkId
    port_id: PortId | None = None
    router_id: str | None = None
    fixed_ip_address: str | None = None
    description: str = ""
    dns_domain: str | None = None
    dns_name: str | None = None
    tags: tuple[str, ...] = ()
    qos_policy_id: QosPolicyId | None = None


class Quoted(StrEnum):
    """What a project may have only so much of. `VOLUME_SIZE` is of each volume; the others are sums."""

    INSTANCES = "instances"
    CORES = "cores"
    RAM = "MiB of ram"
    VOLUMES = "volumes"
    SNAPSHOTS = "snapshots"
    GIGABYTES = "gigabytes"
    VOLUME_SIZE = "gigabytes of one volume"
    PORTS = "ports"
    FLOATING_IPS = "floating IPs"


@dataclass(frozen=True)
class Quota:
    """How much a project may have, None for as much as it likes, and how much it has; of volumes of a type, if one is named."""

    of: Quoted
    limit: int | None
    used: int = 0
    volume_type: str = ""


@dataclass(frozen=True)
class ApiVersions:
    """What a cloud offers: the services that are missing, and Nova's microversion, as far as we would use it."""

    missing: tuple[str, ...] = ()
    compute: str | None = None


@dataclass(frozen=True)
class Server:
    """A Nova server."""

    id: ServerId
    name: str
    status: ServerStatus
    raw_status: str = ""
    fault: str = ""
    description: str | None = None
    image_id: ImageId | None = None
    flavor_name: str = ""
    key_name: str | None = None
    availability_zone: str | None = None
    config_drive: bool = False
    disk_config: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    user_data: str | None = field(default=None, repr=False)
    volumes: tuple[VolumeAttachment, ...] = ()
    addresses: tuple[str, ...] = ()
    project_id: str = ""
    user_id: str = ""
    created_at: str = ""
    updated_at: str = ""
    launched_at: str = ""
    hypervisor_hostname: str | None = None
    locked: bool = False
    hostname: str | None = None
    ephemeral_gib: int = 0
    swap_mib: int = 0
    group_ids: tuple[ServerGroupId, ...] = ()


@dataclass(frozen=True)
class ServerAction:
    """Something that was done to a server, as Nova remembers it: `action` is "start", "reboot", "detach_volume"..."""

    request_id: str
    action: str


def at_least(version: str | None, wanted: str) -> bool:
    """Say whether a microversion has come as far as `wanted`."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    return version is not None and numbers(version) >= numbers(wanted)


_TAG_TEXT = re.compile(rf"\b{Tag.ATTEMPT_KEY}=(\S+)(?: {Tag.STEP_KEY}=(.*))?")

Tagged = Server | Volume | Snapshot | Image | Port | FloatingIp
"""What can carry a tag."""


def tag_of(thing: Tagged) -> Tag | None:
    """Return the tag of a resource: it was made by an attempt that is not yet done with it."""
    match thing:
        case Image():
            said = thing.properties
        case Port() | FloatingIp():
            found = _TAG_TEXT.search(thing.description)
            return Tag(AttemptId(found[1]), found[2] or "") if found else None
        case _:
            said = thing.metadata
    attempt = said.get(Tag.ATTEMPT_KEY)
    return Tag(AttemptId(attempt), said.get(Tag.STEP_KEY, "")) if attempt else None


@dataclass(frozen=True)
class VolumeSpec:
    """What to ask of Cinder; at most one of `snapshot_id` and `image_id`."""

    name: str
    size_gib: int
    description: str = ""
    volume_type: str | None = None
    availability_zone: str | None = None
    snapshot_id: SnapshotId | None = None
    image_id: ImageId | None = None
    bootable: bool = False
    image_metadata: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    must_be_encrypted: bool = False

    def with_metadata(self, more: Mapping[str, str]) -> "VolumeSpec":
        """Return the spec with more metadata."""
        return replace(self, metadata={**self.metadata, **more})


@dataclass(frozen=True)
class PortSpec:
    """What to ask of Neutron; without fixed IPs it gives one."""

    network_id: NetworkId
    fixed_ips: tuple[FixedIp, ...]
    mac_address: str | None = None
    security_group_ids: tuple[SecurityGroupId, ...] = ()
    vnic_type: str = "normal"
    binding_profile: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    is_up: bool = True
    has_port_security: bool | None = None
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    dns_name: str | None = None
    dns_domain: str | None = None
    qos_policy_id: QosPolicyId | None = None

    @property
    def address(self) -> str | None:
        """Return the first fixed address; None where Neutron chooses."""
        return self.fixed_ips[0].ip_address if self.fixed_ips else None


@dataclass(frozen=True)
class FloatingIpExtras:
    """What a new floating IP may have beside an address and a description."""

    tags: tuple[str, ...] = ()
    dns_domain: str | None = None
    dns_name: str | None = None
    qos_policy_id: QosPolicyId | None = None


NO_EXTRAS = FloatingIpExtras()


@dataclass(frozen=True)
class Nic:
    """How Nova is to plug a server: into a port that exists, or into a network with a fixed address."""

    port_id: PortId | None = None
    network_id: NetworkId | None = None
    fixed_ip: str | None = None


@dataclass(frozen=True)
class BlockDevice:
    """One entry of Nova's block_device_mapping_v2: a volume, or an image for a boot disk.

    The disk of an image is local, or a new volume where `volume_size_gib` is given.
    Source: https://docs.openstack.org/nova/latest/user/block-device-mapping.html
    """

    boot_index: int
    volume_id: VolumeId | None = None
    image_id: ImageId | None = None
    delete_on_termination: bool = False
    device: str | None = None
    volume_size_gib: int | None = None


@dataclass(frozen=True)
class ServerSpec:
    """What to ask of Nova. `user_data` is base64 and may hold secrets."""

    name: str
    flavor_id: FlavorId
    nics: tuple[Nic, ...]
    block_devices: tuple[BlockDevice, ...]
    image_id: ImageId | None = None
    key_name: str | None = None
    security_group_names: tuple[str, ...] = ()
    availability_zone: str | None = None
    config_drive: bool | None = None
    disk_config: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    user_data: str | None = field(default=None, repr=False)
    scheduler_hints: Mapping[str, object] | None = None
    hostname: str | None = None

    def with_metadata(self, more: Mapping[str, str]) -> "ServerSpec":
        """Return the spec with more metadata."""
        return replace(self, metadata={**self.metadata, **more})
