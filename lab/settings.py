"""Names, addresses and paths of the lab."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEBIAN_SUITE = "bookworm"
REGION = "RegionOne"
TENANT = "tenant"
CONVERSION_IMAGE = "os_migrate_conv"
TINY_IMAGE = "tiny"


def _directory(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default).resolve()


STATE_DIR = _directory("OS_MIGRATE_LAB_DIR", "/var/lib/os-migrate-lab")
CACHE_DIR = _directory("OS_MIGRATE_LAB_CACHE", "/var/cache/os-migrate-lab")

CLOUDS_YAML = STATE_DIR / "clouds.yaml"
SECRETS_FILE = STATE_DIR / "secrets.json"
SSH_KEY = STATE_DIR / "id_lab"
STAGES_FILE = STATE_DIR / "stages.json"
BUILD_LOG_DIR = STATE_DIR / "log"


@dataclass(frozen=True)
class Cloud:
    """One cloud: its names and addresses follow from its name and number."""

    name: str
    number: int

    @property
    def namespace(self) -> str:
        """Name of the network namespace."""
        return f"lab-{self.name}"

    @property
    def management_veth(self) -> str:
        """Machine's end of the management link."""
        return f"lab-{self.name}-m"

    @property
    def external_veth(self) -> str:
        """Machine's end of the external link."""
        return f"lab-{self.name}-x"

    @property
    def gateway_ip(self) -> str:
        """Machine's address on the management link."""
        return f"172.31.{self.number}.1"

    @property
    def management_ip(self) -> str:
        """Cloud's address on the management link: every API listens on it."""
        return f"172.31.{self.number}.2"

    @property
    def external_prefix(self) -> str:
        """First three octets of the external network, which is a /24."""
        return f"172.31.{10 + self.number}"

    @property
    def external_cidr(self) -> str:
        """External network: floating IPs come from it."""
        return f"{self.external_prefix}.0/24"

    @property
    def external_gateway_ip(self) -> str:
        """Machine's address on the external network, gateway of the cloud's routers."""
        return f"{self.external_prefix}.1"

    @property
    def auth_url(self) -> str:
        """Endpoint of Keystone."""
        return f"http://{self.management_ip}:5000/v3"

    @property
    def directory(self) -> Path:
        """Everything that belongs to this cloud alone."""
        return STATE_DIR / self.name

    @property
    def log_directory(self) -> Path:
        """Logs, one file a service."""
        return self.directory / "log"


CLOUDS: dict[str, Cloud] = {name: Cloud(name, number) for number, name in ((1, "src"), (2, "dst"))}
