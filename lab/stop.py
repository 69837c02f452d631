"""Stop a cloud, and remove it."""

from __future__ import annotations

import contextlib
import time

from lab import network
from lab.cache import remove_tree
from lab.container import Container
from lab.controlplane.services import APIS, FOUNDATION, IDENTITY, WORKERS
from lab.errors import LabError
from lab.settings import Cloud

# A guest that ignores its power button is cut off after this long.
_GUEST_SHUTDOWN_S = 15


def stop(cloud: Cloud) -> None:
    """Stop guests and services in order, then the container and its network. The cloud's data stays."""
    container = Container(cloud)
    if container.is_up:
        # Whatever hangs, the container is killed below.
        with contextlib.suppress(LabError):
            # Without nova-compute nobody records that the guests stopped: they run again when the cloud does.
            container.stop_services(["nova-compute"])
            _shut_down_guests(container)
            container.stop_services([service.name for service in (*WORKERS, *APIS, *IDENTITY)], timeout_s=8)
            container.stop_services([service.name for service in FOUNDATION])
    container.kill()
    network.remove(cloud)


def _shut_down_guests(container: Container) -> None:
    """Press every guest's power button, wait, and cut off those that don't care."""
    for guest in _running_guests(container):
        container.run("virsh", "shutdown", guest)
    deadline = time.monotonic() + _GUEST_SHUTDOWN_S
    while _running_guests(container) and time.monotonic() < deadline:
        time.sleep(0.5)
    for guest in _running_guests(container):
        container.run("virsh", "destroy", guest)


def _running_guests(container: Container) -> list[str]:
    return container.run("virsh", "list", "--name").split()


def remove(cloud: Cloud) -> None:
    """Stop a cloud and remove its data."""
    stop(cloud)
    remove_tree(cloud.directory)
