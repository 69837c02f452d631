"""What a workload asks of a destination that not every cloud has: extensions of Neutron, QoS, hostnames, server groups. Pure.

Each finding is what is wrong, and its remedy.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from os_migrate.model import FloatingIpExtras, Named, PortSpec, QosPolicyId, ServerGroup, ServerGroupId
from os_migrate.sizes import Finding
from os_migrate.workload import FloatingIpMode, FloatingIpParams, PortParams, Ref, Workload

PORT_EXTENSIONS: Final = {
    "tags": "standard-attr-tag",
    "port_security_enabled": "port-security",
    "allowed_address_pairs": "allowed-address-pairs",
    "extra_dhcp_opts": "extra_dhcp_opt",
    "dns_name": "dns-integration",
    "dns_domain": "dns-domain-ports",
    "qos_policy_ref": "qos",
}
"""What a port of the file may have, and the extension of Neutron that knows it.

Source: https://docs.openstack.org/api-ref/network/v2/#ports
"""

FLOATING_IP_EXTENSIONS: Final = {
    "tags": "standard-attr-tag",
    "dns_name": "dns-integration",
    "dns_domain": "dns-integration",
    "qos_policy_ref": "qos-fip",
}


@dataclass(frozen=True)
class Features:
    """What a destination has of these."""

    extensions: Collection[str] = ()
    qos_policies: Sequence[Named] = ()
    server_groups: Sequence[ServerGroup] = ()
    takes_hostnames: bool = False


NO_FEATURES: Final = Features()
"""What the plainest of clouds has."""


@dataclass(frozen=True)
class ServerGroupTarget:
    """The server group that the twin is to be in: one that is there, or (`id` None) one to be made."""

    name: str
    policy: str
    max_server_per_host: int | None = None
    id: ServerGroupId | None = None


def lacking(workload: Workload, features: Features) -> Iterator[Finding]:
    """Yield what the destination can't do for a workload."""
    params = workload.params
    if params.hostname and not features.takes_hostnames:
        yield (
            f"its hostname is {params.hostname!r}, and Nova in the destination makes it of the name: it is older than 2.90",
            "remove hostname",
        )
    for port in params.ports:
        what = f"a port on {port.params.network_ref}"
        yield from _lacking(port.params, what, PORT_EXTENSIONS, features)
        guarded = port.params.security_group_refs or port.params.allowed_address_pairs
        if port.params.port_security_enabled is False and guarded:
            yield (
                f"{what} has no port security, and security groups or address pairs all the same",
                "remove port_security_enabled, or the others",
            )
    if workload.migration.floating_ip_mode in {FloatingIpMode.AUTO, FloatingIpMode.NEW}:  # else none is made
        for ip in params.floating_ips:
            what = f"floating IP {ip.params.floating_ip_address}"
            yield from _lacking(ip.params, what, FLOATING_IP_EXTENSIONS, features)
    yield from _odd_group(workload, features)


def port_extras(params: PortParams, spec: PortSpec, features: Features) -> PortSpec:
    """Return what to ask of Neutron for a port, with all that the file says of it."""
    return replace(
        spec,
        name=params.name or "",
        description=params.description or "",
        tags=params.tags,
        is_up=params.admin_state_up is not False,
        has_port_security=params.port_security_enabled,
        allowed_address_pairs=params.allowed_address_pairs,
        extra_dhcp_opts=params.extra_dhcp_opts,
        dns_name=params.dns_name,
        dns_domain=params.dns_domain,
        qos_policy_id=_qos(params.qos_policy_ref, features),
    )


def floating_ip_extras(params: FloatingIpParams, features: Features) -> FloatingIpExtras:
    """Return what to ask of Neutron for a new floating IP."""
    return FloatingIpExtras(params.tags, params.dns_domain, params.dns_name, _qos(params.qos_policy_ref, features))


def server_group(workload: Workload, features: Features) -> ServerGroupTarget | None:
    """Return the server group that the twin is to be in."""
    wanted = workload.params.server_group
    if wanted is None:
        return None
    limit = wanted.max_server_per_host
    found = [g for g in _groups(wanted.name, features) if (g.policy, g.max_server_per_host) == (wanted.policy, limit)]
    return ServerGroupTarget(wanted.name, wanted.policy, limit, ServerGroupId(found[0].id) if found else None)


def _lacking(
    params: PortParams | FloatingIpParams, what: str, known_by: dict[str, str], features: Features
) -> Iterator[Finding]:
    for key, extension in known_by.items():
        value = getattr(params, key)
        if value in {None, ()}:
            continue
        if extension not in features.extensions:
            yield f"{what} has {key}, which Neutron in the destination doesn't know ({extension})", f"remove {key}"
        elif isinstance(value, Ref) and _qos(value, features) is None:
            yield f"there is no QoS policy {value} in the destination", "create it, or edit qos_policy_ref"


def _qos(ref: Ref | None, features: Features) -> QosPolicyId | None:
    found = [policy.id for policy in features.qos_policies if ref is not None and policy.name == ref.name]
    return QosPolicyId(found[0]) if found else None


def _groups(name: str, features: Features) -> list[ServerGroup]:
    return [group for group in features.server_groups if group.name == name]


def _odd_group(workload: Workload, features: Features) -> Iterator[Finding]:
    """Yield why nobody can say which server group is meant."""
    wanted = workload.params.server_group
    if wanted is None:
        return
    if "group" in (workload.params.scheduler_hints or {}):
        yield "scheduler_hints names a server group, and server_group too", "remove one of them"
    there = _groups(wanted.name, features)
    target = server_group(workload, features)
    if there and target is not None and target.id is None:
        policies = ", ".join(sorted({_policy(group.policy, group.max_server_per_host) for group in there}))
        ours = _policy(wanted.policy, wanted.max_server_per_host)
        yield (
            f"server group {wanted.name!r} has the policy {policies} in the destination, not {ours}",
            "edit server_group; null puts the server in none",
        )
    elif len(there) > 1:
        ids = ", ".join(group.id for group in there)
        yield f"server group {wanted.name!r} is ambiguous in the destination: {ids}", "delete all but one"


def _policy(policy: str, limit: int | None) -> str:
    return policy if limit is None else f"{policy} ({limit} a host)"
