"""What a conversion host needs around it: the key pair, and a network that it is reached through."""

from collections.abc import Callable
from dataclasses import dataclass

from os_migrate.errors import CloudError, UserError
from os_migrate.hosts.hosting import MARK, HostingCloud, only
from os_migrate.keys import SshKey
from os_migrate.model import Named, NetworkId, NetworkPart, PartKind, SubnetRange
from os_migrate.settings import HostSettings, Settings

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Surroundings:
    """Where a server is plugged in."""

    network_id: NetworkId
    security_group_name: str


def ensure_keypair(cloud: HostingCloud, name: str, key: SshKey, *, tell: Tell) -> None:
    """Give the cloud our public key, unless it has it. Raise UserError if another key has that name."""
    there = only("key pair", name, cloud.public_keys())
    if there is None:
        tell(f"import key pair {name!r}")
        try:
            cloud.import_keypair(name, key.public)
        except CloudError:
            # Key pairs belong to the user: the other side may be another project of the same user.
            there = only("key pair", name, cloud.public_keys())
            if there is None:
                raise
    if there is not None and not key.is_same(there.public_key):
        raise UserError(
            f"{cloud.name}: the key pair {name!r} has another public key than the one in the data dir",
            remedy=f"delete it (openstack keypair delete {name}), or put its private key where "
            "os_migrate_conversion_keypair_private_path says",
        )


def ensure_surroundings(
    cloud: HostingCloud, settings: Settings, host: HostSettings, external: NetworkId | None, *, tell: Tell
) -> Surroundings:
    """Find the network and the security group; make what lacks if the network is ours to manage."""
    if not host.manage_network:
        network = _there("network", host.net_name, only("network", host.net_name, cloud.networks()))
        group = _there("security group", host.secgroup_name, _group(cloud, host.secgroup_name))
        return Surroundings(NetworkId(network.id), group.name)
    assert external is not None, "looked up before anything is made"
    network_id = NetworkId(
        _ensure(
            cloud,
            PartKind.NETWORK,
            host.net_name,
            lambda: cloud.create_network(host.net_name, host.net_mtu, MARK),
            tell,
        )
    )
    subnet_id = _ensure(
        cloud,
        PartKind.SUBNET,
        host.subnet_name,
        lambda: cloud.create_subnet(host.subnet_name, network_id, subnet_range(settings, host), MARK),
        tell,
        among=lambda part: part.network_id == network_id,
    )
    router_id = _ensure(
        cloud, PartKind.ROUTER, host.router_name, lambda: cloud.create_router(host.router_name, external, MARK), tell
    )
    cloud.join(router_id, subnet_id)
    _ensure(
        cloud,
        PartKind.SECURITY_GROUP,
        host.secgroup_name,
        lambda: cloud.create_security_group(host.secgroup_name, MARK),
        tell,
    )
    return Surroundings(network_id, host.secgroup_name)


def subnet_range(settings: Settings, host: HostSettings) -> SubnetRange:
    """Return the addresses that the settings give the hosts' subnet."""
    conversion = settings.conversion
    return SubnetRange(
        cidr=conversion.subnet_cidr,
        first=conversion.subnet_alloc_start,
        last=conversion.subnet_alloc_end,
        gateway=conversion.router_ip,
        nameservers=host.subnet_dns_nameservers,
    )


def _ensure(
    cloud: HostingCloud,
    kind: PartKind,
    name: str,
    create: Callable[[], str],
    tell: Tell,
    among: Callable[[NetworkPart], bool] = lambda _part: True,
) -> str:
    """Return the id of the part of that name; create it if there is none."""
    part = only(kind, name, [part for part in cloud.parts(kind) if among(part)])
    if part is not None:
        return part.id
    tell(f"create {kind} {name!r}")
    return create()


def _group(cloud: HostingCloud, name: str) -> Named | None:
    return only("security group", name, cloud.security_groups())


def _there(what: str, name: str, found: Named | None) -> Named:
    if found is None:
        raise UserError(f"the {what} {name!r} isn't there", remedy="create it, or let manage_network be true")
    return found
