"""Neutron: networks, ports, floating IPs, security groups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Json, Service
from os_migrate.cloud.refusals import Refused
from os_migrate.errors import NotFound
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

    def qos_policies(self) -> Sequence[Named]:
        """Return the QoS policies that the project can use; none where the cloud has no QoS."""
        with suppress(NotFound):
            pages = self._api.pages(Service.NETWORK, "/qos/policies", "policies", "list the QoS policies")
            return [views.named(raw) for raw in pages]
        return []

    def network_extensions(self) -> frozenset[str]:
        """Return the aliases of Neutron's extensions: what ports and floating IPs can have.

        Source: https://docs.openstack.org/api-ref/network/v2/#extensions
        """
        body = self._api.get(Service.NETWORK, "/extensions", "list the extensions")
        return frozenset(entry["alias"] for entry in body["extensions"])

    def create_port(self, spec: PortSpec, description: str) -> PortId:
        """Create a port. Its tags and its DNS name are given to it by `dress_port`."""
        port: Json = {
            "network_id": spec.network_id,
            "name": spec.name,
            "description": description,
            "security_groups": list(spec.security_group_ids),
            **_features(spec),
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

    def dress_port(self, port_id: PortId, spec: PortSpec) -> None:
        """Give a port, of whoever's making, all of the spec that can still be changed, but the description; repeating it changes nothing."""
        wanted: Json = {"name": spec.name, "security_groups": list(spec.security_group_ids), **_features(spec)}
        if spec.dns_name is not None:
            wanted["dns_name"] = spec.dns_name
        if spec.dns_domain is not None:
            wanted["dns_domain"] = spec.dns_domain
        path, doing = f"/ports/{port_id}", f"change port {port_id}"
        self._api.put(Service.NETWORK, path, doing, {"port": wanted})
        if spec.tags:
            self._api.put(Service.NETWORK, f"{path}/tags", doing, {"tags": list(spec.tags)})

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
        extras: FloatingIpExtras = NO_EXTRAS,
    ) -> FloatingIpId:
        """Create a floating IP on a port; a given `address` must be free. Its tags are given to it by `tag_floating_ip`."""
        wanted = {
            "floating_network_id": network_id,
            "port_id": port_id,
            "fixed_ip_address": fixed_ip,
            "floating_ip_address": address,
            "description": description,
            "dns_domain": extras.dns_domain,
            "dns_name": extras.dns_name,
            "qos_policy_id": extras.qos_policy_id,
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
        """Replace a floating IP's description.

        Where it leads to a port with several addresses, Neutron wants to hear again to which. That is told to it as it is now, and
        only for as long as it is so: it may be led elsewhere meanwhile.
        https://docs.openstack.org/api-ref/network/v2/#revisions
        """
        wanted: Json = {"description": description}
        try:
            self._change_floating_ip(floating_ip_id, "describe", wanted)
        except Refused as refused:
            if refused.status != HTTPStatus.BAD_REQUEST:
                raise
            path = f"/floatingips/{floating_ip_id}"
            ip = self._api.get(Service.NETWORK, path, f"look at floating IP {floating_ip_id}")["floatingip"]
            if not ip.get("fixed_ip_address"):
                raise
            wanted.update(port_id=ip["port_id"], fixed_ip_address=ip["fixed_ip_address"])
            same = {"If-Match": f"revision_number={ip['revision_number']}"}
            self._change_floating_ip(floating_ip_id, "describe", wanted, same)

    def tag_floating_ip(self, floating_ip_id: FloatingIpId, tags: Sequence[str]) -> None:
        """Replace a floating IP's tags."""
        path = f"/floatingips/{floating_ip_id}/tags"
        self._api.put(Service.NETWORK, path, f"tag floating IP {floating_ip_id}", {"tags": list(tags)})

    def delete_floating_ip(self, floating_ip_id: FloatingIpId) -> None:
        """Delete a floating IP."""
        self._remove(f"/floatingips/{floating_ip_id}", f"delete floating IP {floating_ip_id}")

    def _change_floating_ip(
        self, floating_ip_id: FloatingIpId, verb: str, wanted: Json, headers: Mapping[str, str] | None = None
    ) -> None:
        path, doing = f"/floatingips/{floating_ip_id}", f"{verb} floating IP {floating_ip_id}"
        self._api.put(Service.NETWORK, path, doing, {"floatingip": wanted}, headers=headers)

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


def _features(spec: PortSpec) -> Json:
    """Return what a port is to have that not every cloud knows; what the spec leaves open is left to Neutron."""
    wanted: Json = {}
    if not spec.is_up:
        wanted["admin_state_up"] = False
    if spec.has_port_security is not None:
        wanted["port_security_enabled"] = spec.has_port_security
    if spec.allowed_address_pairs:
        wanted["allowed_address_pairs"] = [
            {"ip_address": pair.ip_address} | ({"mac_address": pair.mac_address} if pair.mac_address else {})
            for pair in spec.allowed_address_pairs
        ]
    if spec.extra_dhcp_opts:
        wanted["extra_dhcp_opts"] = [
            {"opt_name": option.opt_name, "opt_value": option.opt_value, "ip_version": option.ip_version}
            for option in spec.extra_dhcp_opts
        ]
    if spec.qos_policy_id is not None:
        wanted["qos_policy_id"] = spec.qos_policy_id
    return wanted


def _fixed_ip(ip: FixedIp) -> Json:
    wanted = {"subnet_id": ip.subnet_id, "ip_address": ip.ip_address}
    return {key: value for key, value in wanted.items() if value}
