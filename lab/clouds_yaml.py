"""The lab's clouds.yaml, and connections by it."""

from __future__ import annotations

import json
from typing import Any

from keystoneauth1.exceptions import ClientException
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import SDKException

from lab.secrets_file import Secrets, write_private
from lab.settings import CLOUDS, CLOUDS_YAML, REGION, TENANT, Cloud

# What a call to a cloud raises: the SDK's errors, and those of the library that logs in for it.
CLOUD_ERRORS = (SDKException, ClientException)


def write(secrets: Secrets) -> None:
    """Write clouds.yaml: an ordinary user under each cloud's name, the administrator under NAME-admin."""
    entries: dict[str, Any] = {}
    for cloud in CLOUDS.values():
        entries[cloud.name] = _entry(cloud, TENANT, secrets.tenant)
        entries[f"{cloud.name}-admin"] = _entry(cloud, "admin", secrets.admin)
    # JSON is YAML, and the standard library writes it.
    write_private(CLOUDS_YAML, json.dumps({"clouds": entries}, indent=2) + "\n")


def _entry(cloud: Cloud, user: str, password: str) -> dict[str, Any]:
    """Return one cloud's entry; both users have a project of their own name."""
    return {
        "region_name": REGION,
        "identity_api_version": 3,
        "auth": {
            "auth_url": cloud.auth_url,
            "username": user,
            "password": password,
            "project_name": user,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
    }


def connect(name: str) -> Connection:
    """Connect as one entry of clouds.yaml says, whatever the environment says."""
    config = OpenStackConfig(config_files=[str(CLOUDS_YAML)], load_envvars=False, load_yaml_config=True)
    return Connection(config=config.get_one(cloud=name))
