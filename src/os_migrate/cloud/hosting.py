"""What deploying a conversion host needs beyond `world.Cloud`: key pairs, networks, routers, security groups, a reboot.

It is `hosts.deploy.HostingCloud`. Whatever is made carries a description, by which it is found and deleted.
"""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

from os_migrate.cloud.calls import Api, Json, Service
from os_migrate.cloud.compute import MICROVERSION
from os_migrate.cloud.waiting import delete_when_idle
from os_migrate.errors import CloudError, NotFound
from os_migrate.model import IngressRule, KeyPair, NetworkId, NetworkPart, PartKind, ServerId, SubnetRange

BUSY_S = 60.0
"""The ports of a deleted server, and the service ports of a network, take a while to go."""

SSH_IN: Json = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}

PATHS = {
    PartKind.NETWORK: ("networks", "network"),
    PartKind.SUBNET: ("subnets", "subnet"),
    PartKind.ROUTER: ("routers", "router"),
    PartKind.SECURITY_GROUP: ("security-groups", "security_group"),
}


class Hosting:
    """The part of `hosts.deploy.HostingCloud` that `world.Cloud` doesn't have."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def public_keys(self) -> Sequence[KeyPair]:
        """Return the user's key pairs with their public keys."""
        body = self._api.get(Service.COMPUTE, "/os-keypairs", "list the key pairs", microversion=self._nova())
        pairs = [entry["keypair"] for entry in body["keypairs"]]
        return [KeyPair(id=pair["name"], name=pair["name"], public_key=pair["public_key"]) for pair in pairs]

    def import_keypair(self, name: str, public_key: str) -> None:
        """Give the cloud a public key under a name."""
        body = {"keypair": {"name": name, "public_key": public_key}}
        self._api.post(Service.COMPUTE, "/os-keypairs", f"import key pair {name!r}", body, microversion=self._nova())

    def delete_keypair(self, name: str) -> None:
        """Delete a key pair."""
        path = f"/os-keypairs/{quote(name, safe='')}"
        try:
            self._api.delete(Service.COMPUTE, path, f"delete key pair {name!r}", microversion=self._nova())
        except NotFound:
            return

    def parts(self, kind: PartKind) -> Sequence[NetworkPart]:
        """Return the networks, subnets, routers or security groups that the project can use."""
        path, key = PATHS[kind]
        plural = f"{key}s"
        params = {"project_id": self._api.project_id()} if kind is PartKind.SECURITY_GROUP else {}
        pages = self._api.pages(Service.NETWORK, f"/{path}", plural, f"list the {plural}", params=params)
        return [network_part(raw) for raw in pages]

    def create_network(self, name: str, mtu: int | None, description: str) -> str:
        """Create a network; return its id."""
        return self._create(PartKind.NETWORK, name, description, {"mtu": mtu} if mtu else {})

    def create_subnet(self, name: str, network_id: NetworkId, addresses: SubnetRange, description: str) -> str:
        """Create a subnet with DHCP; return its id."""
        wanted: Json = {
            "network_id": network_id,
            "ip_version": 6 if ":" in addresses.cidr else 4,
            "cidr": addresses.cidr,
            "gateway_ip": addresses.gateway,
            "allocation_pools": [{"start": addresses.first, "end": addresses.last}],
            "dns_nameservers": list(addresses.nameservers),
        }
        return self._create(PartKind.SUBNET, name, description, wanted)

    def create_router(self, name: str, external_network_id: NetworkId, description: str) -> str:
        """Create a router that leads to an external network; return its id."""
        gateway = {"external_gateway_info": {"network_id": external_network_id}}
        return self._create(PartKind.ROUTER, name, description, gateway)

    def create_security_group(self, name: str, description: str) -> str:
        """Create a security group; return its id."""
        return self._create(PartKind.SECURITY_GROUP, name, description, {})

    def ssh_rules(self, group_id: str) -> Sequence[IngressRule]:
        """Return the rules of a security group that let SSH in from somewhere."""
        doing = f"list the rules of security group {group_id}"
        params = {"security_group_id": group_id, **SSH_IN}
        rules = self._api.pages(Service.NETWORK, "/security-group-rules", "security_group_rules", doing, params=params)
        return [
            IngressRule(rule["id"], rule.get("remote_ip_prefix") or "0.0.0.0/0", rule.get("description") or "")
            for rule in rules
            if not rule.get("remote_group_id")
        ]

    def allow_ssh(self, group_id: str, cidr: str, description: str) -> None:
        """Let SSH in from a network; a rule that is there already is fine."""
        rule = {
            **SSH_IN,
            "ethertype": "IPv6" if ":" in cidr else "IPv4",
            "security_group_id": group_id,
            "remote_ip_prefix": cidr,
            "description": description,
        }
        try:
            self._api.post(
                Service.NETWORK,
                "/security-group-rules",
                f"let SSH in from {cidr} in security group {group_id}",
                {"security_group_rule": rule},
            )
        except CloudError:
            if not any(there.cidr == cidr for there in self.ssh_rules(group_id)):
                raise

    def delete_rule(self, rule_id: str) -> None:
        """Delete a rule of a security group."""
        try:
            self._api.delete(
                Service.NETWORK, f"/security-group-rules/{rule_id}", f"delete security group rule {rule_id}"
            )
        except NotFound:
            return

    def join(self, router_id: str, subnet_id: str) -> None:
        """Give a router an interface in a subnet; one that is there already is fine."""
        doing = f"join router {router_id} and subnet {subnet_id}"
        ports = self._api.pages(Service.NETWORK, "/ports", "ports", doing, params={"device_id": router_id})
        if any(ip["subnet_id"] == subnet_id for port in ports for ip in port.get("fixed_ips") or ()):
            return
        path = f"/routers/{router_id}/add_router_interface"
        self._api.put(Service.NETWORK, path, doing, {"subnet_id": subnet_id})

    def part_from(self, router_id: str, subnet_id: str) -> None:
        """Take a router's interface in a subnet away; none there is fine."""
        path = f"/routers/{router_id}/remove_router_interface"
        doing = f"part router {router_id} from subnet {subnet_id}"
        delete_when_idle(
            lambda: _nothing(self._api.put(Service.NETWORK, path, doing, {"subnet_id": subnet_id})),
            busy=(HTTPStatus.CONFLICT,),
            what=f"{self._api.name}: {doing}",
            timeout_s=BUSY_S,
            clock=self._api.clock,
        )

    def delete_part(self, kind: PartKind, part_id: str) -> None:
        """Delete a network, subnet, router or security group."""
        path, key = PATHS[kind]
        doing = f"delete {key.replace('_', ' ')} {part_id}"
        delete_when_idle(
            lambda: self._api.delete(Service.NETWORK, f"/{path}/{part_id}", doing),
            busy=(HTTPStatus.CONFLICT,),
            what=f"{self._api.name}: {doing}",
            timeout_s=BUSY_S,
            clock=self._api.clock,
        )

    def reboot_server(self, server_id: ServerId) -> None:
        """Ask a server's guest to reboot; don't wait."""
        self._api.post(
            Service.COMPUTE,
            f"/servers/{server_id}/action",
            f"reboot server {server_id}",
            {"reboot": {"type": "SOFT"}},
            microversion=self._nova(),
        )

    def _nova(self) -> str | None:
        return self._api.microversion(Service.COMPUTE, MICROVERSION)

    def _create(self, kind: PartKind, name: str, description: str, more: Json) -> str:
        path, key = PATHS[kind]
        body = {key: {"name": name, "description": description} | more}
        answer = self._api.post(Service.NETWORK, f"/{path}", f"create {key.replace('_', ' ')} {name!r}", body)
        return str(answer.body[key]["id"])


def network_part(raw: Json) -> NetworkPart:
    """Read a network, subnet, router or security group of Neutron."""
    return NetworkPart(
        id=raw["id"],
        name=raw.get("name") or "",
        project_id=raw.get("project_id") or raw.get("tenant_id"),
        description=raw.get("description") or "",
        network_id=NetworkId(raw["network_id"]) if raw.get("network_id") else None,
    )


def _nothing(_answer: Json) -> None:
    return None
