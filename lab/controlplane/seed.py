"""Content of a cloud: flavors, networks, security groups, key pair and images; only what isn't there is made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from lab.clouds_yaml import connect
from lab.errors import LabError, UsageError
from lab.process import run
from lab.settings import CONVERSION_IMAGE, SSH_KEY, TINY_IMAGE, Cloud

# Name, memory in MiB, disk in GiB. One vCPU each: with two, guests stall under emulation when the machine is busy.
_FLAVORS = (("tiny", 128, 1), ("small", 256, 1), ("conv", 768, 4))
# Name and the least memory in MiB.
_IMAGES = ((TINY_IMAGE, 64), (CONVERSION_IMAGE, 512))
_IMAGE_PROPERTIES = {"hw_disk_bus": "virtio", "hw_rng_model": "virtio", "hw_vif_model": "virtio"}


def make_ssh_key() -> None:
    """Make the key pair that is known in both clouds as `lab`."""
    if not SSH_KEY.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", SSH_KEY])


def seed(cloud: Cloud) -> None:
    """Make everything but the images."""
    admin, tenant = connect(f"{cloud.name}-admin"), connect(cloud.name)
    _seed_flavors(admin)
    _seed_volume_type(admin)
    public = _seed_public_network(cloud, admin)
    _seed_tenant_network(tenant, public)
    _seed_security_groups(tenant)
    if not tenant.compute.find_keypair("lab"):
        public_key = SSH_KEY.with_suffix(".pub").read_text().strip()
        tenant.compute.create_keypair(name="lab", public_key=public_key)


def seed_images(cloud: Cloud, folder: Path) -> None:
    """Upload the images for all projects; `folder` holds NAME.qcow2. Needs Keystone and Glance only."""
    admin = connect(f"{cloud.name}-admin")
    glance: Any = admin.image
    present = {image.name: image for image in glance.images(owner=admin.current_project_id)}
    for name, min_ram_mib in _IMAGES:
        file = folder / f"{name}.qcow2"
        built_from = folder.name
        image = present.get(name)
        if image and image.status == "active" and image.properties.get("lab_built_from") == built_from:
            continue
        if image:
            glance.delete_image(image)
        uploaded = glance.create_image(
            name,
            filename=str(file),
            disk_format="qcow2",
            container_format="bare",
            visibility="public",
            min_ram=min_ram_mib,
            validate_checksum=False,
            use_import=False,
            allow_duplicates=True,
            lab_built_from=built_from,
            **_IMAGE_PROPERTIES,
        )
        if glance.get_image(uploaded.id).status != "active":
            raise LabError(f"{cloud.name}: image {name} did not become active")


def _named(name: str, resources: Iterable[Any]) -> Any | None:
    return next((resource for resource in resources if resource.name == name), None)


def _seed_flavors(admin: Connection) -> None:
    present = {flavor.name for flavor in admin.compute.flavors()}
    for name, ram_mib, disk_gib in _FLAVORS:
        if name not in present:
            admin.compute.create_flavor(name=name, ram=ram_mib, vcpus=1, disk=disk_gib)


def _seed_volume_type(admin: Connection) -> None:
    if not _named("nfs", admin.block_storage.types()):
        admin.block_storage.create_type(name="nfs", extra_specs={"volume_backend_name": "nfs"})


def _seed_public_network(cloud: Cloud, admin: Connection) -> Any:
    network = _named("public", admin.network.networks()) or admin.network.create_network(
        name="public",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="public",
    )
    if not _named("public-v4", admin.network.subnets(network_id=network.id)):
        prefix = cloud.external_prefix
        admin.network.create_subnet(
            name="public-v4",
            network_id=network.id,
            ip_version=4,
            cidr=cloud.external_cidr,
            gateway_ip=cloud.external_gateway_ip,
            is_dhcp_enabled=False,
            allocation_pools=[{"start": f"{prefix}.50", "end": f"{prefix}.250"}],
        )
    return network


def _seed_tenant_network(tenant: Connection, public: Any) -> None:
    network = _named("net1", tenant.network.networks()) or tenant.network.create_network(name="net1")
    subnet = _named("net1-v4", tenant.network.subnets(network_id=network.id)) or tenant.network.create_subnet(
        name="net1-v4", network_id=network.id, ip_version=4, cidr="10.0.0.0/24"
    )
    router = _named("r1", tenant.network.routers()) or tenant.network.create_router(
        name="r1", external_gateway_info={"network_id": public.id}
    )
    if not any(tenant.network.ports(device_id=router.id, network_id=network.id)):
        tenant.network.add_interface_to_router(router, subnet.id)


def _seed_security_groups(tenant: Connection) -> None:
    project = tenant.current_project_id
    default = _named("default", tenant.network.security_groups(project_id=project))
    if default is None:
        raise UsageError(f"project {project} has no security group named default")
    _allow(tenant, default, "icmp", None)
    _allow(tenant, default, "tcp", None)
    ssh = _named("lab-ssh", tenant.network.security_groups(project_id=project))
    if ssh is None:
        ssh = tenant.network.create_security_group(name="lab-ssh", description="SSH and ping from anywhere")
    _allow(tenant, ssh, "icmp", None)
    _allow(tenant, ssh, "tcp", 22)


def _allow(tenant: Connection, group: Any, protocol: str, port: int | None) -> None:
    """Let packets of a protocol, or for one port of it, come in from anywhere."""
    for rule in tenant.network.security_group_rules(security_group_id=group.id, direction="ingress"):
        if (rule.protocol, rule.port_range_min, rule.remote_group_id) == (protocol, port, None):
            return
    tenant.network.create_security_group_rule(
        security_group_id=group.id,
        direction="ingress",
        ether_type="IPv4",
        protocol=protocol,
        port_range_min=port,
        port_range_max=port,
    )
