"""State of the clouds, for people and for programs."""

from __future__ import annotations

import time
from typing import TypedDict

from lab.console import table
from lab.container import Container, ServiceState
from lab.settings import CLOUDS, CLOUDS_YAML, Cloud


class CloudStatus(TypedDict):
    """What `status --json` says of a cloud."""

    up: bool
    endpoint: str
    external_network: str
    services: dict[str, ServiceState]


def status_of(cloud: Cloud) -> CloudStatus:
    """Return the state of one cloud. It is up if every service runs."""
    container = Container(cloud)
    services = container.state() if container.is_up else {}
    return {
        "up": bool(services) and all(service["pid"] for service in services.values()),
        "endpoint": cloud.auth_url,
        "external_network": cloud.external_cidr,
        "services": services,
    }


def all_status() -> dict[str, CloudStatus]:
    """Return the state of both clouds by name."""
    return {cloud.name: status_of(cloud) for cloud in CLOUDS.values()}


def describe(status: dict[str, CloudStatus]) -> str:
    """Return the state of the clouds as text."""
    parts = []
    for name, cloud in status.items():
        if not cloud["services"]:
            parts.append(f"{name}: down")
            continue
        heading = "up" if cloud["up"] else "not all services run"
        rows = [("service", "state", "since", "starts")]
        rows += [(service, *_row(state)) for service, state in cloud["services"].items()]
        parts.append(f"{name}: {heading}, {cloud['endpoint']}, floating IPs in {cloud['external_network']}")
        parts.append(table(rows, right_align=(2, 3)))
        parts.append("")
    if any(cloud["services"] for cloud in status.values()):
        parts.append(f"export OS_CLIENT_CONFIG_FILE={CLOUDS_YAML}")
    return "\n".join(parts)


def _row(state: ServiceState) -> tuple[str, str, str]:
    if state["pid"]:
        return "running", f"{time.time() - state['since']:.0f} s", str(state["starts"])
    return (
        ("restarting" if state["wanted"] else "stopped") + (f" ({state['exit']})" if state["exit"] else ""),
        "",
        str(state["starts"]),
    )
