"""Ports and floating IPs of servers, as `workloads.yml` describes them. What is as usual isn't told."""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

from os_migrate.model import FixedIp, FloatingIp, Port, PortId, QosPolicyId, Server
from os_migrate.resources.listing import Listing
from os_migrate.workload import (
    FixedIpRef,
    FloatingIpInfo,
    FloatingIpParams,
    PortInfo,
    PortParams,
    Ref,
    WorkloadFloatingIp,
    WorkloadPort,
)


def ports_of(server: Server, listing: Listing) -> list[Port]:
    """Return a server's ports in Nova's order: that of its addresses."""
    order = {address: number for number, address in enumerate(server.addresses)}

    def rank(port: Port) -> tuple[int, str]:
        return min((order.get(ip.ip_address, len(order)) for ip in port.fixed_ips), default=len(order)), port.id

    return sorted((p for p in listing.ports if p.device_id == server.id), key=rank)


def describe_port(
    port: Port, server_group_ids: AbstractSet[str], hostnames: Collection[str], listing: Listing
) -> WorkloadPort:
    """Describe a port; a DNS name that is one of `hostnames` isn't told, since Nova gives it again."""
    groups: tuple[Ref, ...] | None = None
    if set(port.security_group_ids) != server_group_ids:  # else the server's own say it all
        refs = [listing.ref(listing.security_groups, group_id) for group_id in port.security_group_ids]
        groups = tuple(sorted(refs, key=lambda ref: ref.name or ""))
    return WorkloadPort(
        PortParams(
            network_ref=listing.ref(listing.networks, port.network_id),
            fixed_ips_refs=tuple(_fixed_ip(ip, listing) for ip in port.fixed_ips),
            mac_address=port.mac_address,
            binding_vnic_type=port.vnic_type,
            binding_profile=port.binding_profile,
            security_group_refs=groups,
            name=port.name or None,
            description=port.description or None,
            tags=port.tags,
            admin_state_up=None if port.is_up else False,
            port_security_enabled=None if port.has_port_security else False,
            allowed_address_pairs=port.allowed_address_pairs,
            extra_dhcp_opts=port.extra_dhcp_opts,
            dns_name=None if port.dns_name in hostnames else port.dns_name or None,
            dns_domain=port.dns_domain or None,
            qos_policy_ref=_qos(port.qos_policy_id, listing),
        ),
        PortInfo(port.id, port.device_id, port.device_owner),
    )


def _fixed_ip(ip: FixedIp, listing: Listing) -> FixedIpRef:
    return FixedIpRef(ip.ip_address, listing.ref(listing.subnets, ip.subnet_id))


def floating_ips_of(ports: Sequence[Port], listing: Listing) -> list[FloatingIp]:
    """Return the floating IPs of ports, in the order of the ports."""
    order: dict[PortId | None, int] = {port.id: number for number, port in enumerate(ports)}
    ours = [ip for ip in listing.floating_ips if ip.port_id in order]
    return sorted(ours, key=lambda ip: (order[ip.port_id], ip.address))


def describe_floating_ip(ip: FloatingIp, listing: Listing) -> WorkloadFloatingIp:
    """Describe a floating IP."""
    return WorkloadFloatingIp(
        FloatingIpParams(
            fixed_ip_address=ip.fixed_ip_address,
            floating_ip_address=ip.address,
            floating_network_ref=listing.ref(listing.networks, ip.network_id),
            description=ip.description,
            dns_domain=ip.dns_domain,
            dns_name=ip.dns_name,
            qos_policy_ref=_qos(ip.qos_policy_id, listing),
            tags=ip.tags,
        ),
        FloatingIpInfo(ip.id, ip.network_id, ip.port_id, ip.router_id, ip.tags),
    )


def _qos(policy_id: QosPolicyId | None, listing: Listing) -> Ref | None:
    return listing.ref(listing.qos_policies, policy_id) if policy_id else None
