"""The links between the machine and a cloud: one network namespace, two veth pairs.

    machine                                 namespace lab-src
    lab-src-m  172.31.1.1/30   ─── veth ─── mgmt0  172.31.1.2/30    every API
    lab-src-x  172.31.11.1/24  ─── veth ─── ext0   bridged by Neutron: routers and floating IPs

The machine is the gateway of both links of both clouds, and routes between them.
"""

from __future__ import annotations

from pathlib import Path

from lab.process import run, succeeds
from lab.settings import Cloud

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def exists(cloud: Cloud) -> bool:
    """Tell whether the cloud's namespace is there."""
    return Path("/run/netns", cloud.namespace).exists()


def create(cloud: Cloud) -> None:
    """Make the namespace and its links, as far as they aren't there."""
    if not exists(cloud):
        run(["ip", "netns", "add", cloud.namespace])
    inside = ["ip", "-n", cloud.namespace]
    run([*inside, "link", "set", "lo", "up"])
    if _add_veth(cloud, cloud.management_veth, "mgmt0", f"{cloud.gateway_ip}/30"):
        run([*inside, "address", "add", f"{cloud.management_ip}/30", "dev", "mgmt0"])
        run([*inside, "route", "add", "default", "via", cloud.gateway_ip])
    _add_veth(cloud, cloud.external_veth, "ext0", f"{cloud.external_gateway_ip}/24")
    _IP_FORWARD.write_text("1")


def _add_veth(cloud: Cloud, outer: str, inner: str, outer_address: str) -> bool:
    if succeeds(["ip", "link", "show", outer]):
        return False
    run(["ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", cloud.namespace])
    run(["ip", "address", "add", outer_address, "dev", outer])
    run(["ip", "link", "set", outer, "up"])
    run(["ip", "-n", cloud.namespace, "link", "set", inner, "up"])
    return True


def remove(cloud: Cloud) -> None:
    """Remove the links and the namespace, as far as they are there."""
    for link in (cloud.management_veth, cloud.external_veth):
        if succeeds(["ip", "link", "show", link]):
            run(["ip", "link", "delete", link])
    if exists(cloud):
        run(["ip", "netns", "delete", cloud.namespace])
