"""The fake's networks, ports and floating IPs. An address or a MAC is given once in a network."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

from os_migrate.model import (
    NO_EXTRAS,
    FixedIp,
    FloatingIp,
    FloatingIpExtras,
    FloatingIpId,
    Named,
    Network,
    NetworkId,
    Port,
    PortId,
    PortSpec,
    Quoted,
    Subnet,
)
from tests.fakes.quotas import FakeQuotas


class FakeNeutron(FakeQuotas):
    """The part of `world.Cloud` that Neutron answers."""

    def networks(self) -> Sequence[Network]:
        with self._reads("networks"):
            return list(self._networks)

    def subnets(self) -> Sequence[Subnet]:
        with self._reads("subnets"):
            return list(self._subnets)

    def security_groups(self) -> Sequence[Named]:
        with self._reads("security_groups"):
            return list(self._groups)

    def ports(self) -> Sequence[Port]:
        with self._reads("ports"):
            return [port for port, born in self._ports.values() if self._listed(born)]

    def floating_ips(self) -> Sequence[FloatingIp]:
        with self._reads("floating_ips"):
            return [ip for ip, born in self._floating_ips.values() if self._listed(born)]

    def qos_policies(self) -> Sequence[Named]:
        with self._reads("qos_policies"):
            return list(self._qos_policies)

    def network_extensions(self) -> frozenset[str]:
        with self._reads("network_extensions"):
            return self.extensions

    def create_port(self, spec: PortSpec, description: str) -> PortId:
        with self._does("create_port"):
            return self._make_port(spec, description).id

    def dress_port(self, port_id: PortId, spec: PortSpec) -> None:
        with self._does("dress_port"):
            port, born = self._get(self._ports, port_id, "port")
            dressed = self._dressed(replace(port, name=spec.name, security_group_ids=spec.security_group_ids), spec)
            named = {"dns_name": spec.dns_name, "dns_domain": spec.dns_domain, "tags": spec.tags or None}
            dressed = replace(dressed, **{key: value for key, value in named.items() if value is not None})
            self._ports[port_id] = (dressed, born)

    def describe_port(self, port_id: PortId, description: str) -> None:
        with self._does("describe_port"):
            self._set_port(port_id, description=description)

    def delete_port(self, port_id: PortId) -> None:
        with self._does("delete_port"):
            self._lose_port(port_id)

    def create_floating_ip(
        self,
        network_id: NetworkId,
        port_id: PortId,
        fixed_ip: str | None,
        address: str | None,
        description: str,
        extras: FloatingIpExtras = NO_EXTRAS,
    ) -> FloatingIpId:
        with self._does("create_floating_ip"):
            taken = {f.address for f, _ in self._floating_ips.values()}
            subnet = next(s for s in self._subnets if s.network_id == network_id)
            if address in taken:
                raise self._refuse(f"floating IP {address} is taken")
            address = address or next(str(a) for a in ip_network(subnet.cidr).hosts() if str(a) not in taken)
            self._refuse_second_floating_ip(port_id)
            self._refuse_beyond((Quoted.FLOATING_IPS, 1))
            new = FloatingIpId(self._new_id("floatingip"))
            ip = FloatingIp(
                new,
                address,
                network_id,
                port_id,
                "router",
                fixed_ip,
                description,
                extras.dns_domain,
                extras.dns_name,
                qos_policy_id=extras.qos_policy_id,
            )
            self._floating_ips[new] = (ip, self.clock.now())
        return new

    def associate_floating_ip(self, floating_ip_id: FloatingIpId, port_id: PortId | None, fixed_ip: str | None) -> None:
        with self._does("associate_floating_ip"):
            ip, born = self._get(self._floating_ips, floating_ip_id, "floating IP")
            if port_id is not None and port_id != ip.port_id:
                self._refuse_second_floating_ip(port_id)
            router = "router" if port_id else None
            moved = replace(ip, port_id=port_id, fixed_ip_address=fixed_ip, router_id=router)
            self._floating_ips[floating_ip_id] = (moved, born)

    def describe_floating_ip(self, floating_ip_id: FloatingIpId, description: str) -> None:
        with self._does("describe_floating_ip"):
            ip, born = self._get(self._floating_ips, floating_ip_id, "floating IP")
            self._floating_ips[floating_ip_id] = (replace(ip, description=description), born)

    def tag_floating_ip(self, floating_ip_id: FloatingIpId, tags: Sequence[str]) -> None:
        with self._does("tag_floating_ip"):
            ip, born = self._get(self._floating_ips, floating_ip_id, "floating IP")
            self._floating_ips[floating_ip_id] = (replace(ip, tags=tuple(tags)), born)

    def delete_floating_ip(self, floating_ip_id: FloatingIpId) -> None:
        with self._does("delete_floating_ip"):
            self._floating_ips.pop(floating_ip_id, None)

    # Inside ----------------------------------------------------------------------------------------------------------
    def _refuse_second_floating_ip(self, port_id: PortId) -> None:
        self._get(self._ports, port_id, "port")
        if any(f.port_id == port_id for f, _ in self._floating_ips.values()):
            raise self._refuse(f"port {port_id} has a floating IP already")

    def _make_port(self, spec: PortSpec, description: str = "", device_id: str = "") -> Port:
        others = [p for p, _ in self._ports.values() if p.network_id == spec.network_id]
        addresses = {ip.ip_address for p in others for ip in p.fixed_ips}
        if any(ip.ip_address in addresses for ip in spec.fixed_ips):
            raise self._refuse(f"an address of {[ip.ip_address for ip in spec.fixed_ips]} is taken")
        if spec.mac_address in {p.mac_address for p in others}:
            raise self._refuse(f"MAC {spec.mac_address} is taken")
        self._refuse_beyond((Quoted.PORTS, 1))
        new = PortId(self._new_id("port"))
        subnet = next((s for s in self._subnets if s.network_id == spec.network_id), None)
        fixed = spec.fixed_ips
        if not fixed and subnet:
            free = next(str(a) for a in ip_network(subnet.cidr).hosts() if str(a) not in addresses)
            fixed = (FixedIp(subnet.id, free),)
        number = int(new.split("-")[1])
        port = Port(
            id=new,
            name=spec.name,
            network_id=spec.network_id,
            mac_address=spec.mac_address or f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
            fixed_ips=fixed,
            device_id=device_id,
            device_owner="compute:nova" if device_id else "",
            description=description,
            security_group_ids=spec.security_group_ids,
            vnic_type=spec.vnic_type,
        )
        port = self._dressed(port, spec)
        self._ports[new] = (port, self.clock.now())
        return port

    def _dressed(self, port: Port, spec: PortSpec) -> Port:
        """Return a port with what a spec says of it; Neutron's own rules hold for what comes of it."""
        dressed = replace(
            port,
            is_up=spec.is_up and port.is_up,
            has_port_security=port.has_port_security if spec.has_port_security is None else spec.has_port_security,
            allowed_address_pairs=spec.allowed_address_pairs or port.allowed_address_pairs,
            extra_dhcp_opts=spec.extra_dhcp_opts or port.extra_dhcp_opts,
            qos_policy_id=spec.qos_policy_id or port.qos_policy_id,
        )
        if not dressed.has_port_security and (dressed.security_group_ids or dressed.allowed_address_pairs):
            raise self._refuse("a port without port security can have neither security groups nor address pairs")
        automatic = {s.id for s in self._subnets if s.assigns_itself}
        if any(ip.subnet_id in automatic for ip in spec.fixed_ips):
            raise self._refuse("an address can't be asked for in a subnet that assigns them itself")
        return dressed

    def _set_port(self, port_id: PortId, **changes: str) -> None:
        port, born = self._get(self._ports, port_id, "port")
        self._ports[port_id] = (replace(port, **changes), born)

    def _lose_port(self, port_id: PortId) -> None:
        self._ports.pop(port_id, None)
        for ip, born in list(self._floating_ips.values()):
            if ip.port_id == port_id:
                freed = replace(ip, port_id=None, fixed_ip_address=None, router_id=None)
                self._floating_ips[ip.id] = (freed, born)
