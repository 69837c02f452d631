"""From settings to SDK connections: clouds.yaml as the openstack command finds it, or the Ansible variables."""

import logging
import threading
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import stamina.instrumentation
import yaml
from keystoneauth1 import exceptions as ks
from openstack import exceptions as sdk
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

import os_migrate
from os_migrate.errors import UserError
from os_migrate.settings import CloudSettings

APP_NAME = "os-migrate"
QUIET_S = 60
"""No word from Keystone, or from an endpoint asked for its versions, for this long counts as no answer."""


def region_opener(
    settings: CloudSettings, clouds_path: str | PathLike[str] | None, *, name: str
) -> Callable[[], CloudRegion]:
    """Read the configuration once, and return what makes a fresh session from it.

    A session and its token belong to one thread, so each thread makes its own. Raise UserError if the configuration
    can't be used.
    """
    # The engine never prints. stamina would tell of every retry through structlog, and a warning of keystoneauth that
    # nobody handles goes to stderr.
    stamina.instrumentation.set_on_retry_hooks([])
    logging.getLogger("keystoneauth").addHandler(logging.NullHandler())
    lock = threading.Lock()
    try:
        config = _configuration(settings, clouds_path)
        options = _options(settings)

        def open_region() -> CloudRegion:
            with lock:  # the loader writes to what it has read
                return config.get_one(**options)

        open_region()
    except (sdk.ConfigException, ks.ClientException, yaml.YAMLError, OSError) as error:
        raise UserError(
            f"{name}: can't use the cloud's settings: {_first_line(error)}", remedy=_remedy(settings)
        ) from None
    return open_region


def open_with(open_region: Callable[[], CloudRegion]) -> Callable[[], Connection]:
    """Return what makes a connection of its own for the calling thread."""

    def open_connection() -> Connection:
        return Connection(config=open_region())

    return open_connection


def _configuration(settings: CloudSettings, clouds_path: str | PathLike[str] | None) -> OpenStackConfig:
    app: dict[str, Any] = {"app_name": APP_NAME, "app_version": getattr(os_migrate, "__version__", "")}
    if settings.auth is not None:
        # Given in full: neither a file nor the environment of the shell may add to it.
        return OpenStackConfig(load_yaml_config=False, load_envvars=False, **app)
    if clouds_path is None:
        return OpenStackConfig(**app)
    path = Path(clouds_path)
    path.open().close()  # the SDK takes a file that it can't read for an empty one
    return OpenStackConfig(
        config_files=[str(path)], secure_files=[str(path.with_name("secure.yaml"))], load_envvars=False, **app
    )


def _options(settings: CloudSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        **settings.others,
        "cloud": settings.cloud if settings.auth is None else None,
        "auth": dict(settings.auth) if settings.auth is not None else None,
        "auth_type": settings.auth_type,
        "region_name": settings.region_name,
        "verify": settings.validate_certs,
        "cacert": settings.ca_cert,
        "cert": settings.client_cert,
        "key": settings.client_key,
        "api_timeout": QUIET_S,
    }
    return {key: value for key, value in options.items() if value is not None}


def _first_line(error: Exception) -> str:
    # A YAML error quotes the file further down, and the file has passwords.
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _remedy(settings: CloudSettings) -> str:
    if settings.auth is not None:
        return "check os_migrate_src_auth, os_migrate_dst_auth and the variables beside them"
    return f"check that clouds.yaml has a cloud named {settings.cloud!r}, with auth_url, project and credentials"
