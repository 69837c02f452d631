"""Neutron: networks, ports, floating IPs, security groups."""

from collections.abc import Iterator, Sequence

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Json, Service
from os_migrate.errors import NotFound
from os_migrate.model import (
    FixedIp,
    FloatingIp,
    FloatingIpId,
    Named,
    Network,
    NetworkId,
    Port,
    PortId,
    PortSpec,
    Subnet,
)


class Networking:
    """The part of `world.Cloud` that Neutron answers."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def networks(self) -> Sequence[Network]:
        """Return the networks that the project can see."""
        return [views.network(raw) for raw in self._visible("networks")]

    def subnets(self) -> Sequence[Subnet]:
        """Return the subnets that the project can see."""
        return [views.subnet(raw) for raw in self._visible("subnets")]

    def security_groups(self) -> Sequence[Named]:
        """Return the project's security groups."""
        return [views.named(raw) for raw in self._own("security-groups", "security_groups")]

    def ports(self) -> Sequence[Port]:
        """Return the project's ports."""
        return [views.port(raw) for raw in self._own("ports", "ports")]

    def floating_ips(self) -> Sequence[FloatingIp]:
        """Return the project's floating IPs."""
        return [views.floating_ip(raw) for raw in self._own("floatingips", "floatingips")]

    def create_port(self, spec: PortSpec, description: str) -> PortId:
        """Create a port."""
        port: Json = {
            "network_id": spec.network_id,
            "name": spec.name,
            "description": description,
            "security_groups": list(spec.security_group_ids),
        }
        if spec.fixed_ips:  # otherwise Neutron gives one
            port["fixed_ips"] = [_fixed_ip(ip) for ip in spec.fixed_ips]
        if spec.mac_address:
            port["mac_address"] = spec.mac_address
        if spec.vnic_type != "normal":
            port["binding:vnic_type"] = spec.vnic_type
        if spec.binding_profile:  # Neutron lets few roles set one, even an empty one
            port["binding:profile"] = dict(spec.binding_profile)
        answer = self._api.post(
            Service.NETWORK, "/ports", f"create a port in network {spec.network_id}", {"port": port}
        )
        return PortId(answer.body["port"]["id"])

    def describe_port(self, port_id: PortId, description: str) -> None:
        """Replace a port's description."""
        self._api.put(
            Service.NETWORK,
            f"/ports/{port_id}",
            f"describe port {port_id}",
            {"port": {"description": description}},
        )

    def delete_port(self, port_id: PortId) -> None:
        """Delete a port."""
        self._remove(f"/ports/{port_id}", f"delete port {port_id}")

    def create_floating_ip(
        self,
        network_id: NetworkId,
        port_id: PortId,
        fixed_ip: str | None,
        address: str | None,
        description: str,
    ) -> FloatingIpId:
        """Create a floating IP on a port; a given `address` must be free."""
        wanted = {
            "floating_network_id": network_id,
            "port_id": port_id,
            "fixed_ip_address": fixed_ip,
            "floating_ip_address": address,
            "description": description,
        }
        body = {"floatingip": {key: value for key, value in wanted.items() if value is not None}}
        answer = self._api.post(
            Service.NETWORK, "/floatingips", f"create floating IP {address or ''} on port {port_id}", body
        )
        return FloatingIpId(answer.body["floatingip"]["id"])

    def associate_floating_ip(self, floating_ip_id: FloatingIpId, port_id: PortId | None, fixed_ip: str | None) -> None:
        """Move an existing floating IP to a port, or free it (None)."""
        wanted: Json = {"port_id": port_id}
        if port_id and fixed_ip:
            wanted["fixed_ip_address"] = fixed_ip
        self._change_floating_ip(floating_ip_id, "move", wanted)

    def describe_floating_ip(self, floating_ip_id: FloatingIpId, description: str) -> None:
        """Replace a floating IP's description."""
        self._change_floating_ip(floating_ip_id, "describe", {"description": description})

    def delete_floating_ip(self, floating_ip_id: FloatingIpId) -> None:
        """Delete a floating IP."""
        self._remove(f"/floatingips/{floating_ip_id}", f"delete floating IP {floating_ip_id}")

    def _change_floating_ip(self, floating_ip_id: FloatingIpId, verb: str, wanted: Json) -> None:
        path = f"/floatingips/{floating_ip_id}"
        self._api.put(Service.NETWORK, path, f"{verb} floating IP {floating_ip_id}", {"floatingip": wanted})

    def _visible(self, kind: str) -> Iterator[Json]:
        return self._api.pages(Service.NETWORK, f"/{kind}", kind, f"list the {kind}")

    def _own(self, path: str, key: str) -> Iterator[Json]:
        """Yield what belongs to the project: Neutron shows shared things, and an administrator's token everything."""
        project = {"project_id": self._api.project_id()}
        return self._api.pages(Service.NETWORK, f"/{path}", key, f"list the {key}", params=project)

    def _remove(self, path: str, doing: str) -> None:
        try:
            self._api.delete(Service.NETWORK, path, doing)
        except NotFound:
            return


def _fixed_ip(ip: FixedIp) -> Json:
    wanted = {"subnet_id": ip.subnet_id, "ip_address": ip.ip_address}
    return {key: value for key, value in wanted.items() if value}
