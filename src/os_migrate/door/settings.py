"""The settings of a module's call: those of its data dir, as the playbook's prelude wrote them (`prelude`).

What a task says itself wins: of the cloud that it is for, and of what `OPTIONS` lists.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from os_migrate.errors import UserError
from os_migrate.files.config import DEFAULT_FILE, load_settings
from os_migrate.model import Side
from os_migrate.settings import CloudSettings, Settings

OPTIONS: Final[Mapping[str, str]] = {
    "blobs_dir": "os_migrate_image_blobs_dir",
    "boot_volume_prefix": "os_migrate_workload_boot_volume_prefix",
    "dst_filters": "os_migrate_dst_filters",
    "parallel": "os_migrate_workloads_parallel",
    "ssh_key_path": "os_migrate_conversion_keypair_private_path",
    "ssh_user": "os_migrate_conversion_host_ssh_user",
    "timeout": "os_migrate_timeout",
}
"""Options of modules that stand for a variable, for one task."""

CLOUD_FIELDS: Final = ("auth_type", "region_name", "validate_certs", "ca_cert", "client_cert", "client_key")

CLOUD_KEYS: Final[Mapping[str, str]] = {
    "auth": "auth",
    "auth_type": "auth_type",
    "region_name": "region_name",
    "verify": "validate_certs",
    "cacert": "ca_cert",
    "cert": "client_cert",
    "key": "client_key",
}
"""What an entry of clouds.yaml calls what our settings have a field for."""


def data_dir_of(options: Mapping[str, Any]) -> Path | None:
    """Return the data dir that a module's options tell: by name, or by a file in it."""
    if options.get("data_dir"):
        return path_of(options["data_dir"])
    if options.get("path"):
        return path_of(options["path"]).parent
    if options.get("log_dir"):
        return path_of(options["log_dir"]).parent
    for option in ("log_file", "state_file"):
        if options.get(option):
            return path_of(options[option]).parent.parent
    return None


def settings_of(options: Mapping[str, Any], side: Side) -> Settings:
    """Return the settings of the data dir, with what a module's options say otherwise.

    Raises:
        UserError: no data dir is told.
        PlanError: with everything that is wrong with the settings.
    """
    data_dir = data_dir_of(options)
    if data_dir is None:
        raise UserError(
            "data_dir is missing, and no other option tells it",
            remedy="set data_dir, once for all tasks in module_defaults of group/os_migrate.os_migrate.os_migrate",
        )
    file = data_dir / DEFAULT_FILE
    overrides = {
        OPTIONS[name]: _text(value) for name, value in options.items() if name in OPTIONS and value is not None
    }
    overrides["os_migrate_data_dir"] = str(data_dir)
    settings = load_settings(file if file.is_file() else None, overrides, given_by="the task's")
    if side is Side.SOURCE:
        return dataclasses.replace(settings, source=cloud_of(options, settings.source))
    return dataclasses.replace(settings, destination=cloud_of(options, settings.destination))


def cloud_of(options: Mapping[str, Any], default: CloudSettings) -> CloudSettings:
    """Return how a module's options say to reach a cloud; `default` is what they don't say.

    Raises:
        UserError: `cloud` is neither a name nor a mapping with `auth`.
    """
    cloud, auth = options.get("cloud"), options.get("auth")
    given = {name: options[name] for name in CLOUD_FIELDS if options.get(name) is not None}
    if isinstance(cloud, str):
        return dataclasses.replace(default, cloud=cloud, auth=auth or None, **given)
    if isinstance(cloud, Mapping):
        if not isinstance(cloud.get("auth"), Mapping):
            raise UserError("cloud has no auth", remedy="give the name of a cloud in clouds.yaml, or such an entry")
        entry = {CLOUD_KEYS[key]: value for key, value in cloud.items() if key in CLOUD_KEYS}
        others = {key: value for key, value in cloud.items() if key not in CLOUD_KEYS}
        return dataclasses.replace(default, cloud=None, others=others, **{**entry, **given})
    if cloud is not None:
        raise UserError("cloud is neither a name nor a mapping", remedy="name a cloud of clouds.yaml")
    if auth:
        return dataclasses.replace(default, cloud=None, auth=auth, **given)
    return dataclasses.replace(default, **given)


def path_of(text: str) -> Path:
    """Return a path that a task says."""
    return Path(text).expanduser().absolute()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
