"""What the clouds take as a value. Nova and Neutron are asked only when all disks were copied: too late for a typing error.

Source: the request schemas of Nova and Neutron, https://docs.openstack.org/api-ref/compute/#create-server
"""

import base64
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from os_migrate.workload import DetachedVolume, Subject, Workload, WorkloadVolume

LONGEST: Final = 255
LONGEST_TAG: Final = 60
MOST_TAGS: Final = 50
LONGEST_USER_DATA: Final = 65535
HOSTNAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE)
MAC: Final = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)

Refusal = tuple[tuple[str | int, ...], str, str]
"""The steps that lead to a value, what is wrong with it, the remedy."""


def refusals(subject: Subject) -> Iterator[Refusal]:
    """Yield each value of a workload or a detached volume that a cloud would refuse."""
    if isinstance(subject, DetachedVolume):
        yield from _volume((), subject, "export it again")
    else:
        yield from _workload(subject)


def _workload(workload: Workload) -> Iterator[Refusal]:
    params = workload.params
    yield from _check(("_info", "id"), workload.id, _filled, "export the server again")
    yield from _check(("params", "name"), params.name, _short, "shorten it")
    yield from _check(("params", "description"), params.description, _short, "shorten it")
    yield from _check(("params", "user_data"), params.user_data, _user_data, "encode it with `base64 -w0`")
    yield from _check(
        ("params", "disk_config"), params.disk_config, _disk_config, "null takes the destination's default"
    )
    for key, value in params.metadata.items():
        yield from _check(("params", "metadata", key), value, _short, "shorten it")
    yield from _check(("params", "hostname"), params.hostname, _hostname, "edit it; null lets Nova make it of the name")
    yield from _tags(workload)
    yield from _ports(workload)
    yield from _floating_ips(workload)
    yield from _volumes(workload)


def _check(
    steps: tuple[str | int, ...], value: str | None, check: Callable[[str], str | None], remedy: str
) -> Iterator[Refusal]:
    if value is not None and (wanted := check(value)):
        yield steps, wanted, remedy


def _tags(workload: Workload) -> Iterator[Refusal]:
    tags = workload.params.tags
    if len(tags) > MOST_TAGS:
        yield ("params", "tags"), f"must be at most {MOST_TAGS} tags, are {len(tags)}", "remove some"
    for number, tag in enumerate(tags):
        yield from _check(("params", "tags", number), tag, _tag, "edit or remove it")


def _ports(workload: Workload) -> Iterator[Refusal]:
    for number, port in enumerate(workload.params.ports):
        here = ("params", "ports", number, "params")
        yield from _check((*here, "mac_address"), port.params.mac_address, _mac, "null lets Neutron choose")
        for position, fixed in enumerate(port.params.fixed_ips_refs):
            steps = (*here, "fixed_ips_refs", position, "ip_address")
            yield from _check(steps, fixed.ip_address, _address, "edit it, or remove the entry")
        for position, pair in enumerate(port.params.allowed_address_pairs):
            at = (*here, "allowed_address_pairs", position)
            yield from _check((*at, "ip_address"), pair.ip_address, _range, "edit it, or remove the entry")
            yield from _check((*at, "mac_address"), pair.mac_address, _mac, "null means the port's own")
        for key in ("name", "description", "dns_name", "dns_domain"):
            yield from _check((*here, key), getattr(port.params, key), _short, "shorten it")


def _floating_ips(workload: Workload) -> Iterator[Refusal]:
    for number, ip in enumerate(workload.params.floating_ips):
        here = ("params", "floating_ips", number, "params")
        yield from _check((*here, "floating_ip_address"), ip.params.floating_ip_address, _address, "edit it")
        yield from _check((*here, "fixed_ip_address"), ip.params.fixed_ip_address, _address, "edit it")


def _volumes(workload: Workload) -> Iterator[Refusal]:
    seen: set[str] = set()
    for number, volume in enumerate(workload.params.volumes):
        here = ("params", "volumes", number)
        if volume.info.id in seen:
            yield (*here, "_info", "id"), f"volume {volume.info.id} is listed twice", "remove one of them"
        seen.add(volume.info.id)
        yield from _volume(here, volume, "export the server again")


def _volume(here: tuple[str | int, ...], volume: WorkloadVolume, remedy: str) -> Iterator[Refusal]:
    yield from _check((*here, "_info", "id"), volume.info.id, _filled, remedy)
    if volume.info.size < 1:
        yield (*here, "_info", "size"), "must be a whole number of GiB above 0", remedy
    yield from _check((*here, "params", "name"), volume.params.name, _short, "shorten it")
    yield from _check((*here, "params", "description"), volume.params.description, _short, "shorten it")
    for key, value in volume.params.metadata.items():
        yield from _check((*here, "params", "metadata", key), value, _short, "shorten it")


def _filled(value: str) -> str | None:
    return None if value else "must not be empty"


def _short(value: str) -> str | None:
    return f"must have at most {LONGEST} characters, has {len(value)}" if len(value) > LONGEST else None


def _user_data(value: str) -> str | None:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        return "must be base64"
    return f"must have at most {LONGEST_USER_DATA} characters" if len(value) > LONGEST_USER_DATA else None


def _disk_config(value: str) -> str | None:
    return None if value in {"AUTO", "MANUAL"} else f"must be AUTO or MANUAL, is {value!r}"


def _tag(value: str) -> str | None:
    if not 0 < len(value) <= LONGEST_TAG or set(value) & {"/", ","}:
        return f"must have 1 to {LONGEST_TAG} characters, none of them a comma or slash"
    return None


def _mac(value: str) -> str | None:
    return None if MAC.fullmatch(value) else f"must be like fa:16:3e:00:00:01, is {value!r}"


def _hostname(value: str) -> str | None:
    return None if HOSTNAME.fullmatch(value) else "must have 2 to 63 letters, digits and dashes, no dash at either end"


def _range(value: str) -> str | None:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return f"must be an IP address or a range of them, is {value!r}"
    return None


def _address(value: str) -> str | None:
    try:
        ip_address(value)
    except ValueError:
        return f"must be an IP address, is {value!r}"
    return None
