"""Resolve what a workload refers to in the destination, and find everything there that keeps it from being made."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TypeVar

from os_migrate.errors import PlanError, Problem
from os_migrate.features import ServerGroupTarget, floating_ip_extras, lacking, port_extras, server_group
from os_migrate.losses import lost_by_nova
from os_migrate.model import (
    NO_EXTRAS,
    FixedIp,
    FlavorId,
    FloatingIp,
    FloatingIpExtras,
    ImageId,
    Named,
    NetworkId,
    PortSpec,
    SecurityGroupId,
    SubnetId,
)
from os_migrate.plan.inventory import Inventory
from os_migrate.sizes import small_flavor, small_volumes
from os_migrate.workload import (
    CURRENT,
    FloatingIpMode,
    PortCreationMode,
    PowerState,
    Ref,
    Workload,
    WorkloadFloatingIp,
    WorkloadPort,
)

N = TypeVar("N", bound=Named)


@dataclass(frozen=True)
class FloatingIpTarget:
    """A floating IP the twin is to get: an existing one, or a new one on `network_id`."""

    fixed_ip: str | None
    address: str
    network_id: NetworkId | None
    existing: FloatingIp | None
    description: str
    extras: FloatingIpExtras = NO_EXTRAS


@dataclass(frozen=True)
class Target:
    """What a workload becomes in the destination: every reference resolved. `as_found`: off, if its source was found so.

    An attempt keeps it, whatever becomes of the operator's files meanwhile.
    """

    flavor_id: FlavorId
    image_id: ImageId | None
    ports: tuple[PortSpec, ...]
    floating_ips: tuple[FloatingIpTarget, ...]
    security_group_names: tuple[str, ...]
    key_name: str | None = None
    availability_zone: str | None = None
    server_group: ServerGroupTarget | None = None
    as_found: bool = False


def resolve(workload: Workload, inventory: Inventory) -> Target:
    """Resolve every reference of a workload in the destination.

    Raises:
        PlanError: with all that is missing or ambiguous.
    """
    look = _Lookup(f"workload {workload.name!r} ({workload.id})", inventory)
    params, migration = workload.params, workload.migration
    flavor_id = look.up("flavor", inventory.flavors, params.flavor_ref, "create it or edit flavor_ref")
    image_id = None
    if not migration.boot_disk_copy and not (not migration.data_copy and migration.boot_volume.uuid):
        if params.image_ref is None:
            look.problem(
                "it boots from a volume, and no boot disk is copied or named",
                "set boot_disk_copy: true, or data_copy: false with boot_volume.uuid",
            )
        else:
            image_id = look.up(
                "image", inventory.images, params.image_ref, "import the image, or set boot_disk_copy: true"
            )
    if params.key_name:
        look.up("key pair", inventory.keypairs, Ref(params.key_name), "import the key pair or edit key_name")
    if params.availability_zone:
        zone = Ref(params.availability_zone)
        look.up(
            "availability zone", inventory.availability_zones, zone, "edit availability_zone; null lets Nova choose"
        )
    for group in params.security_group_refs:
        look.up("security group", inventory.security_groups, group, "import the security groups")
    _check_volumes(workload, look)
    _check_flavor(workload, look, flavor_id, image_id)
    for what, remedy in (*lacking(workload, inventory.features), *lost_by_nova(workload)):
        look.problem(what, remedy)
    target = Target(
        flavor_id=FlavorId(flavor_id),
        image_id=ImageId(image_id) if image_id else None,
        ports=tuple(_port(port, workload, look) for port in params.ports),
        floating_ips=tuple(_floating_ips(workload, look)),
        security_group_names=tuple(ref.name or "" for ref in params.security_group_refs),
        server_group=server_group(workload, inventory.features),
        as_found=migration.power_state is PowerState.AS_FOUND,
        key_name=params.key_name,
        availability_zone=params.availability_zone,
    )
    if look.problems:
        raise PlanError(look.problems)
    return target


class _Lookup:
    """Resolve references in an inventory and collect what fails."""

    def __init__(self, where: str, inventory: Inventory) -> None:
        self.where = where
        self.inventory = inventory
        self.problems: list[Problem] = []

    def problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(self.where, what, remedy))

    def up(
        self, kind: str, things: Sequence[N], ref: Ref, remedy: str, fits: Callable[[N], bool] = lambda _: True
    ) -> str:
        found = [t for t in things if t.name == ref.name and fits(t)]
        ours = [t for t in found if t.project_id == self.inventory.project_id]
        if ref.project_name == CURRENT or len(found) > 1:
            found = ours or found
        if not found:
            self.problem(f"there is no {kind} {ref} in the destination", remedy)
        elif len(found) > 1:
            ids = ", ".join(t.id for t in found)
            self.problem(f"{kind} {ref} is ambiguous in the destination: {ids}", "rename all but one")
        return found[0].id if found else ""


def _check_volumes(workload: Workload, look: _Lookup) -> None:
    migration = workload.migration
    if not migration.data_copy:
        there = {v.id: v for v in look.inventory.volumes}
        for choice in (migration.boot_volume, *migration.additional_volumes):
            if choice.uuid is None:
                continue
            volume = there.get(choice.uuid)
            if volume is None:
                look.problem(f"there is no volume {choice.uuid} in the destination", "copy it, or edit the uuid")
            elif volume.status != "available":
                look.problem(f"destination volume {choice.uuid} is {volume.status}", "it must be available")
        for what, remedy in small_volumes(workload, there):
            look.problem(what, remedy)
        return
    wanted = [v.params.volume_type for v in workload.params.volumes] + [migration.boot_volume_params.volume_type]
    for name in sorted({name for name in wanted if name}):
        look.up("volume type", look.inventory.volume_types, Ref(name), "edit volume_type; null takes the default")
    zones = [v.params.availability_zone for v in workload.params.volumes] + [
        migration.boot_volume_params.availability_zone
    ]
    for name in sorted({name for name in zones if name}):
        look.up("volume availability zone", look.inventory.volume_zones, Ref(name), "edit it; null lets Cinder choose")


def _check_flavor(workload: Workload, look: _Lookup, flavor_id: str, image_id: str | None) -> None:
    flavor = next((f for f in look.inventory.flavors if f.id == flavor_id), None)
    image = next((i for i in look.inventory.images if i.id == image_id), None)
    boot = next((v for v in look.inventory.volumes if v.id == workload.migration.boot_volume.uuid), None)
    if flavor is not None:
        for what, remedy in small_flavor(workload, flavor, image, boot):
            look.problem(what, remedy)


def _port(port: WorkloadPort, workload: Workload, look: _Lookup) -> PortSpec:
    params = port.params
    network_id = NetworkId(
        look.up("network", look.inventory.networks, params.network_ref, "import the networks or edit network_ref")
    )
    fixed_ips: list[FixedIp] = []
    automatic = {subnet.id for subnet in look.inventory.subnets if subnet.assigns_itself}
    for fixed in params.fixed_ips_refs:
        subnet_id = look.up(
            "subnet",
            look.inventory.subnets,
            fixed.subnet_ref,
            "import the subnets or edit subnet_ref",
            fits=lambda s: not network_id or s.network_id == network_id,
        )
        if subnet_id not in automatic:  # else the port has it by itself, and Neutron refuses to be asked for it
            fixed_ips.append(FixedIp(SubnetId(subnet_id), fixed.ip_address))
    for ip in fixed_ips:
        if holder := look.inventory.holders.get((network_id, ip.ip_address)):
            look.problem(
                f"address {ip.ip_address} is taken by port {holder.id} in the destination", "free it or edit ports"
            )
    _check_port(port, network_id, fixed_ips, workload, look)
    if workload.migration.port_creation_mode is PortCreationMode.NOVA and len(fixed_ips) > 1:
        look.problem(
            f"a port on {params.network_ref} has {len(fixed_ips)} addresses; Nova makes ports with one",
            "set port_creation_mode: neutron",
        )
    for ref in params.security_group_refs or ():
        look.up("security group", look.inventory.security_groups, ref, "import the security groups")
    refs = workload.params.security_group_refs if params.security_group_refs is None else params.security_group_refs
    groups = [g.id for ref in refs for g in look.inventory.security_groups if g.name == ref.name]
    spec = PortSpec(
        network_id=network_id,
        fixed_ips=tuple(fixed_ips),
        mac_address=params.mac_address,
        security_group_ids=tuple(SecurityGroupId(g) for g in groups),
        vnic_type=params.binding_vnic_type or "normal",
        binding_profile=params.binding_profile or {},
    )
    if params.port_security_enabled is False and not params.security_group_refs:
        spec = replace(spec, security_group_ids=())  # Neutron takes none there
    return port_extras(params, spec, look.inventory.features)


def _check_port(
    port: WorkloadPort, network_id: NetworkId, fixed_ips: Collection[FixedIp], workload: Workload, look: _Lookup
) -> None:
    """Find a MAC that is taken, and addresses that their subnet doesn't have."""
    mac = port.params.mac_address if workload.migration.port_creation_mode is PortCreationMode.NEUTRON else None
    if mac and (holder := look.inventory.mac_holders.get((network_id, mac.lower()))):
        look.problem(
            f"MAC address {mac} is taken by port {holder.id} in the destination", "free it, or null mac_address"
        )
    ranges = {subnet.id: subnet.cidr for subnet in look.inventory.subnets}
    for ip in fixed_ips:
        cidr = ranges.get(ip.subnet_id)
        if cidr and ip_address(ip.ip_address) not in ip_network(cidr):
            look.problem(
                f"address {ip.ip_address} isn't one of subnet {cidr} in the destination", "edit ports, or the subnet"
            )


def _floating_ips(workload: Workload, look: _Lookup) -> Iterable[FloatingIpTarget]:
    mode = workload.migration.floating_ip_mode
    if mode is FloatingIpMode.SKIP:
        return
    addresses = {fixed.ip_address for port in workload.params.ports for fixed in port.params.fixed_ips_refs}
    for ip in workload.params.floating_ips:
        yield _floating_ip(ip, mode, addresses, look)


def _floating_ip(
    ip: WorkloadFloatingIp, mode: FloatingIpMode, addresses: Collection[str], look: _Lookup
) -> FloatingIpTarget:
    address = ip.params.floating_ip_address
    fixed = ip.params.fixed_ip_address
    if fixed is not None and fixed not in addresses:
        look.problem(
            f"no port has its fixed address {fixed}, which floating IP {address} is for",
            "edit fixed_ip_address, or null it for the first port",
        )
    held = next((f for f in look.inventory.floating_ips if f.address == address), None)
    existing = held if mode is not FloatingIpMode.NEW and held is not None and held.port_id is None else None
    if mode is FloatingIpMode.EXISTING and existing is None:
        why = "is in use" if held else "isn't there"
        look.problem(f"floating IP {address} {why} in the destination", "allocate it, or set floating_ip_mode: auto")
    network_id = None
    if existing is None and mode is not FloatingIpMode.EXISTING:
        remedy = "edit floating_network_ref, or set floating_ip_mode: skip"
        found = look.up(
            "external network", look.inventory.networks, ip.params.floating_network_ref, remedy, lambda n: n.is_external
        )
        network_id = NetworkId(found)
    return FloatingIpTarget(
        fixed_ip=ip.params.fixed_ip_address,
        address=address,
        network_id=network_id,
        existing=existing,
        description=ip.params.description or "",
        extras=floating_ip_extras(ip.params, look.inventory.features),
    )
