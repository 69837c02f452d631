"""Identity of a new cloud: keys, administrator, service users, the tenant, the catalogue."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from lab.container import Container
from lab.secrets_file import Secrets
from lab.settings import REGION, TENANT, Cloud

_INTERFACES = ("public", "internal", "admin")
_SERVICE_USERS = ("cinder", "glance", "neutron", "nova", "placement")

# Name, type, and what follows the cloud's address. Cinder is under both of its types: clients look for either.
_CATALOGUE = (
    ("glance", "image", ":9292"),
    ("placement", "placement", ":8778"),
    ("nova", "compute", ":8774/v2.1"),
    ("neutron", "network", ":9696"),
    ("cinderv3", "volumev3", ":8776/v3/%(project_id)s"),
    ("cinder", "block-storage", ":8776/v3/%(project_id)s"),
)


def make_keys(cloud: Cloud) -> None:
    """Make Keystone's keys for tokens and credentials, if there are none."""
    for repository in ("fernet", "credential"):
        folder = cloud.directory / "data" / "keystone" / repository
        folder.chmod(0o700)
        # Key 0 is the next one, the highest number signs.
        for number in (0, 1):
            _make_key(folder / str(number))


def _make_key(path: Path) -> None:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def bootstrap_keystone(container: Container, secrets: Secrets) -> None:
    """Make the administrator and Keystone's own endpoints; needs the database only."""
    urls = [word for name in _INTERFACES for word in (f"--bootstrap-{name}-url", container.cloud.auth_url)]
    password = ("--bootstrap-password", secrets.admin)
    region = ("--bootstrap-region-id", REGION)
    container.run("keystone-manage", "bootstrap", *password, *region, *urls, log="keystone-bootstrap")


def fill_keystone(cloud: Cloud, admin: Connection, secrets: Secrets) -> None:
    """Make users, roles, projects and the catalogue, as far as they aren't there."""
    identity: Any = admin.identity
    roles = {role.name: role for role in identity.roles()}
    if "service" not in roles:
        roles["service"] = identity.create_role(name="service")
    projects = {project.name: project for project in identity.projects()}
    for name in ("service", TENANT):
        if name not in projects:
            projects[name] = identity.create_project(name=name, domain_id="default")
    users = {user.name: user for user in identity.users()}
    wanted = [(name, secrets.service, "service", ("admin", "service")) for name in _SERVICE_USERS]
    # The tenant is what users of a migration are: no administrator.
    wanted.append((TENANT, secrets.tenant, TENANT, ("member", "reader")))
    for name, password, project, granted in wanted:
        if name not in users:
            users[name] = identity.create_user(name=name, password=password, domain_id="default")
        for role in granted:
            identity.assign_project_role_to_user(projects[project], users[name], roles[role])
    services = {service.name for service in identity.services()}
    for name, kind, suffix in _CATALOGUE:
        if name not in services:
            service = identity.create_service(name=name, type=kind)
            for interface in _INTERFACES:
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    region_id=REGION,
                    url=f"http://{cloud.management_ip}{suffix}",
                )
