"""What a project has, made in one cloud, looked at in both, and deleted: all of it begins with one name."""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from openstack.exceptions import ConflictException

from lab import scenario
from lab.settings import TINY_IMAGE

OURS: Final = "kinds-"
"""All that is made here has this in front, so that what the clouds hold otherwise is left alone."""

Picture = dict[str, dict[str, Any]]

IMAGES: Final = {
    "kinds-bootable": {"min_disk": 1, "os_distro": "debian", "hw_disk_bus": "virtio", "tags": ["boots"]},
    "kinds-data": {"disk_format": "raw", "min_ram": 64, "owned_by": "päivi"},
    "kinds-kept": {"disk_format": "raw", "is_protected": True},
}
KEYS: Final = ("kinds-key", "kinds-other-key")
SPARES: Final = ("kinds-spare", "kinds-spare-2")


def furnish(cloud: Any) -> None:
    """Make two networks, a router between them and outside, four groups that refer to one another, images, key pairs, volumes."""
    network = cloud.network
    front = network.create_network(name="kinds-front", description="what customers see", mtu=1400)
    network.set_tags(front, ["shop", "front"])
    back = network.create_network(name="kinds-back", is_port_security_enabled=False)
    front_4 = network.create_subnet(
        name="kinds-front-4",
        network_id=front.id,
        ip_version=4,
        cidr="10.71.0.0/24",
        allocation_pools=[
            {"start": "10.71.0.100", "end": "10.71.0.150"},
            {"start": "10.71.0.20", "end": "10.71.0.50"},
        ],
        dns_nameservers=["10.71.0.8", "10.71.0.7"],
        host_routes=[{"destination": "192.168.71.0/24", "nexthop": "10.71.0.9"}],
    )
    network.create_subnet(
        name="kinds-front-6",
        network_id=front.id,
        ip_version=6,
        cidr="fd00:71::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    back_4 = network.create_subnet(
        name="kinds-back-4",
        network_id=back.id,
        ip_version=4,
        cidr="10.72.0.0/24",
        description="with DHCP",
        # The router's odd address is outside, so that DHCP doesn't take it.
        allocation_pools=[{"start": "10.72.0.10", "end": "10.72.0.99"}],
    )
    network.create_subnet(
        name="kinds-back-dark",
        network_id=back.id,
        ip_version=4,
        cidr="10.72.1.0/24",
        gateway_ip=None,
        is_dhcp_enabled=False,
    )
    external = network.find_network(scenario.EXTERNAL_NETWORK, ignore_missing=False)
    router = network.create_router(
        name="kinds-router", description="way out", external_gateway_info={"network_id": external.id}
    )
    network.add_interface_to_router(router, front_4.id)
    odd = [{"subnet_id": back_4.id, "ip_address": "10.72.0.254"}]
    port = network.create_port(network_id=back.id, fixed_ips=odd)
    network.add_interface_to_router(router, None, port.id)
    routes = [
        {"destination": "192.168.77.0/24", "nexthop": "10.71.0.9"},
        {"destination": "192.168.78.0/24", "nexthop": "10.72.0.9"},
    ]
    network.update_router(router, routes=routes)
    furnish_groups(network)
    furnish_images(cloud.image)
    for name in KEYS:
        cloud.compute.create_keypair(name=name, public_key=public_key())
    spare, _ = [scenario.create_volume(cloud, name, 1, description="for later") for name in SPARES]
    cloud.block_storage.set_volume_metadata(spare, team="shop")


def furnish_groups(network: Any) -> None:
    """Make the groups, with every form that a rule has."""
    names = ("web", "app", "db", "admin")
    groups = {n: network.create_security_group(name=f"{OURS}{n}", description=f"for {n}") for n in names}
    web, app, db, admin = (groups[name].id for name in names)
    for rule in network.security_group_rules(security_group_id=db):
        network.delete_security_group_rule(rule)  # it lets nothing out but what is said below

    def tcp(first: int, last: int) -> dict[str, Any]:
        return {"protocol": "tcp", "port_range_min": first, "port_range_max": last}

    rules: list[dict[str, Any]] = [
        {"security_group_id": web, **tcp(443, 443), "description": "https"},
        {"security_group_id": web, **tcp(443, 443), "ether_type": "IPv6", "remote_ip_prefix": "::/0"},
        {"security_group_id": web, **tcp(8000, 8100), "remote_ip_prefix": "192.168.71.0/24"},
        {"security_group_id": web, "protocol": "icmp", "port_range_min": 8},
        {"security_group_id": web, "protocol": "icmp", "port_range_min": 3, "port_range_max": 4},
        {"security_group_id": web, "protocol": "ipv6-icmp", "port_range_min": 128, "ether_type": "IPv6"},
        {"security_group_id": web, **tcp(22, 22), "remote_group_id": admin},
        {"security_group_id": app, **tcp(8080, 8080), "remote_group_id": web},
        {"security_group_id": app, "protocol": "112", "remote_ip_prefix": "10.71.0.0/24"},
        {"security_group_id": db, **tcp(5432, 5432), "remote_group_id": app},
        {"security_group_id": db, "protocol": "udp", "port_range_min": 53, "port_range_max": 53, "direction": "egress"},
        {"security_group_id": db, **tcp(5432, 5432), "remote_group_id": db, "direction": "egress"},
        {"security_group_id": admin, "remote_group_id": admin},
        {"security_group_id": admin, "remote_group_id": db, "ether_type": "IPv6"},
    ]
    for rule in rules:
        network.create_security_group_rule(**{"direction": "ingress", "ether_type": "IPv4", **rule})


def furnish_images(image: Any) -> None:
    """Make the images: one that boots, and two with bytes of their own."""
    contents = {name: name.encode() * 100_000 for name in IMAGES}
    contents["kinds-bootable"] = image.download_image(image.find_image(TINY_IMAGE, ignore_missing=False)).content
    for name, said in IMAGES.items():
        protected = said.get("is_protected", False)
        more = {key: value for key, value in said.items() if key not in {"disk_format", "is_protected"}}
        made = image.create_image(
            name=name,
            disk_format=said.get("disk_format", "qcow2"),
            container_format="bare",
            visibility="private",
            data=contents[name],
            **more,
        )
        image.update_image(made, is_protected=protected)


def public_key() -> str:
    """Return a new public key; nobody keeps its other half."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "päivi@shop", "-f", str(key)], check=True)
        return key.with_suffix(".pub").read_text().strip()


def create_servers(cloud: Any) -> None:
    """Make five servers of different shapes; they are off when it ends."""
    compute = cloud.compute
    flavor = compute.find_flavor(scenario.FLAVOR, ignore_missing=False).id
    front, back = (cloud.network.find_network(f"{OURS}{n}", ignore_missing=False).id for n in ("front", "back"))
    bootable, tiny = (cloud.image.find_image(n, ignore_missing=False).id for n in ("kinds-bootable", TINY_IMAGE))
    groups = {g.name: g.id for g in ours(cloud.network.security_groups(project_id=cloud.current_project_id))}
    edge = [
        cloud.network.create_port(
            network_id=front,
            name="kinds-edge-front",
            security_group_ids=[groups["kinds-web"], groups["kinds-app"]],
            fixed_ips=[{"ip_address": "10.71.0.120"}],
        ),
        cloud.network.create_port(network_id=back),
    ]
    bare = cloud.network.create_port(network_id=back)  # without groups: its network has no port security
    boot = {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "delete_on_termination": True}

    def create(name: str, **more: Any) -> Any:
        server = compute.create_server(name=f"{OURS}{name}", flavor_id=flavor, **more)
        return compute.wait_for_server(server, wait=300)

    def on(network: str) -> list[dict[str, str]]:
        return [{"uuid": network}]

    web = create(
        "web",
        image_id=bootable,
        networks=on(front),
        key_name="kinds-key",
        security_groups=[{"name": "kinds-web"}, {"name": "kinds-admin"}],
        metadata={"owner": "päivi"},
    )
    scenario.add_floating_ip(cloud, web)
    app = create("app", image_id=tiny, networks=on(front), security_groups=[{"name": "kinds-app"}])
    scenario.attach_volume(cloud, app, scenario.create_volume(cloud, "kinds-app-data", 1))
    disk = scenario.create_volume(cloud, "kinds-db-boot", 1, image_id=bootable)
    db = create("db", block_device_mapping=[{**boot, "uuid": disk.id}], networks=[{"port": bare.id}])
    scenario.attach_volume(cloud, db, scenario.create_volume(cloud, "kinds-db-data", 1, description="tables"))
    edge_server = create("edge", image_id=tiny, networks=[{"port": port.id} for port in edge], config_drive=True)
    old = create("old", image_id=bootable, networks=on(front), security_groups=[{"name": "kinds-db"}])
    for server in (web, app, db, edge_server, old):
        compute.stop_server(server)
    for server in (web, app, db, edge_server, old):
        compute.wait_for_server(server, status="SHUTOFF", wait=180)


def described(cloud: Any) -> Picture:
    """Return what of our servers there is in a cloud, with names instead of ids."""
    network = cloud.network
    networks = {n.id: n.name for n in network.networks()}
    groups = {g.id: g.name for g in network.security_groups()}
    found: Picture = {}
    for server in ours(cloud.compute.servers()):
        ports = list(network.ports(device_id=server.id))
        volumes = [cloud.block_storage.get_volume(a.volume_id) for a in cloud.compute.volume_attachments(server.id)]
        found[server.name] = {
            "flavor": server.flavor.name,
            "key": server.key_name,
            "metadata": {key: value for key, value in server.metadata.items() if not key.startswith("os_migrate")},
            "config drive": bool(server.has_config_drive),
            "networks": sorted(networks[port.network_id] for port in ports),
            "addresses": sorted(ip["ip_address"] for port in ports for ip in port.fixed_ips if "." in ip["ip_address"]),
            "groups": sorted((networks[p.network_id], sorted(groups[g] for g in p.security_group_ids)) for p in ports),
            "floating IPs": sum(1 for port in ports for _ in network.ips(port_id=port.id)),
            "volumes": sorted((v.name, v.size, v.is_bootable) for v in volumes),
        }
    return found


def ours(things: Any) -> list[Any]:
    return [thing for thing in things if thing.name.startswith(OURS)]


def clear(cloud: Any) -> None:
    """Delete all of ours; what an agent of Neutron's holds just then is deleted a moment later."""
    scenario.wait_for("ours to be deleted", lambda: is_deleted(cloud), 60)


def is_deleted(cloud: Any) -> bool:
    try:
        delete(cloud)
    except ConflictException:
        return False
    return True


def delete(cloud: Any) -> None:
    network, project = cloud.network, cloud.current_project_id
    delete_servers(cloud)
    for name in KEYS:
        cloud.compute.delete_keypair(name, ignore_missing=True)
    for image in ours(cloud.image.images(owner=project)):
        cloud.image.update_image(image, is_protected=False)
        cloud.image.delete_image(image)
    for router in ours(network.routers(project_id=project)):
        network.update_router(router, routes=[])
        for port in network.ports(device_id=router.id):
            if port.device_owner == "network:router_interface":
                network.remove_interface_from_router(router, None, port.id)
        network.delete_router(router)
    for made in ours(network.networks(project_id=project)):
        for port in network.ports(network_id=made.id):
            if not port.device_owner:
                network.delete_port(port)
        network.delete_network(made)  # with its subnets
    for group in ours(network.security_groups(project_id=project)):
        network.delete_security_group(group)


def delete_servers(cloud: Any) -> None:
    """Delete our servers, and our volumes that nothing holds any more."""
    servers = ours(cloud.compute.servers())
    for server in servers:
        cloud.compute.delete_server(server)
    for server in servers:
        cloud.compute.wait_for_delete(server, wait=180)
    for ip in cloud.network.ips(project_id=cloud.current_project_id) if servers else ():
        if ip.port_id is None:
            cloud.network.delete_ip(ip)
    volumes = [v for v in cloud.block_storage.volumes() if v.name.startswith(OURS)]
    for volume in volumes:
        cloud.block_storage.delete_volume(volume)
    for volume in volumes:
        cloud.block_storage.wait_for_delete(volume, wait=120)


def picture(cloud: Any) -> Picture:
    """Return what of ours a cloud has, with names instead of ids: found out without the product."""
    network, project = cloud.network, cloud.current_project_id
    networks = {n.id: n for n in ours(network.networks(project_id=project))}
    subnets = {s.id: s for s in ours(network.subnets(project_id=project))}
    groups = {g.id: g for g in ours(network.security_groups(project_id=project))}
    found: Picture = {}
    for made in networks.values():
        said = (made.description, made.mtu, made.is_port_security_enabled, made.is_admin_state_up, sorted(made.tags))
        found[f"network {made.name}"] = {"said": said}
    for subnet in subnets.values():
        keys = ("cidr", "gateway_ip", "dns_nameservers", "is_dhcp_enabled", "ipv6_ra_mode", "ipv6_address_mode")
        found[f"subnet {subnet.name}"] = {
            **{key: getattr(subnet, key) for key in (*keys, "ip_version", "description")},
            "network": networks[subnet.network_id].name,
            "pools": sorted((pool["start"], pool["end"]) for pool in subnet.allocation_pools),
            "routes": sorted((route["destination"], route["nexthop"]) for route in subnet.host_routes),
        }
    for router in ours(network.routers(project_id=project)):
        ports = [p for p in network.ports(device_id=router.id) if p.device_owner == "network:router_interface"]
        addresses = sorted((subnets[ip["subnet_id"]].name, ip["ip_address"]) for p in ports for ip in p.fixed_ips)
        found[f"router {router.name}"] = {
            "description": router.description,
            "outside": network.get_network(router.external_gateway_info["network_id"]).name,
            "interfaces": addresses,
            "routes": sorted((route["destination"], route["nexthop"]) for route in router.routes),
        }
    for group in groups.values():
        rules = [
            (r.direction, r.ether_type, r.protocol, r.port_range_min, r.port_range_max, r.remote_ip_prefix,
             groups[r.remote_group_id].name if r.remote_group_id else None, r.description or "")
            for r in network.security_group_rules(security_group_id=group.id)
        ]  # fmt: skip
        found[f"group {group.name}"] = {"description": group.description, "rules": sorted(rules, key=repr)}
    for key in cloud.compute.keypairs():
        if key.name in KEYS:
            found[f"key pair {key.name}"] = {"public key": cloud.compute.get_keypair(key.name).public_key}
    for image in ours(cloud.image.images(owner=project)):
        found[f"image {image.name}"] = {
            "digest": hashlib.sha256(cloud.image.download_image(image).content).hexdigest(),
            "formats": (image.disk_format, image.container_format, image.visibility),
            "limits": (image.min_disk, image.min_ram, image.is_protected),
            "tags": sorted(image.tags),
            "properties": (image.os_distro, image.hw_disk_bus, image.properties.get("owned_by")),
        }
    for volume in cloud.block_storage.volumes():
        if volume.name in SPARES:
            said = {key: value for key, value in volume.metadata.items() if not key.startswith("os_migrate")}
            found[f"volume {volume.name}"] = {"size": volume.size, "said": (volume.description, said, volume.status)}
    return found
