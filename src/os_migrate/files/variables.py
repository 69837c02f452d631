"""The table of variables: each `os_migrate_*` name, the field of `Settings` it fills, and how its value is read.

A new variable is one line here, one field in `settings`, one row in docs/settings.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

from os_migrate.files.marked import BadValueError
from os_migrate.nbd import Compression, Coverage
from os_migrate.settings import NameFilter, Order, Regex

E = TypeVar("E", bound=StrEnum)

Read = Callable[[object], Any]
"""Turn a YAML value into a field's value; raise BadValueError, saying what was wanted, where it can't be."""


@dataclass(frozen=True)
class Variable:
    """One variable: `section` is the field of `Settings` whose `field` it fills, "" for `Settings` itself.

    What is `private` may hold a secret: it is read from the file only, since every user of a machine can read command lines.
    """

    section: str
    field: str
    read: Read
    private: bool = False


def text(value: object) -> str:
    """Read text; a number written without quotes is the text it looks like."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadValueError("must be text")


def optional_text(value: object) -> str | None:
    """Read text; false and "" mean none, as the Ansible variables have it."""
    if value is False or (isinstance(value, str) and value.lower() in {"", "false", "none", "null"}):
        return None
    return text(value)


def flag(value: object) -> bool:
    """Read true or false, also as text, which is what a template or --set gives."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "yes", "on"}:
        return True
    if isinstance(value, str) and value.lower() in {"false", "no", "off"}:
        return False
    raise BadValueError("must be true or false")


def integer(value: object) -> int:
    """Read a whole number above 0."""
    number = seconds(value, "must be a whole number above 0")
    if number != int(number):
        raise BadValueError("must be a whole number above 0")
    return int(number)


def seconds(value: object, wanted: str = "must be a number of seconds above 0") -> float:
    """Read a duration in seconds, above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadValueError(wanted)
    try:
        number = float(value)
    except ValueError:
        raise BadValueError(wanted) from None
    if not 0 < number < float("inf"):
        raise BadValueError(wanted)
    return number


def order(value: object) -> Order:
    """Read in which order workloads begin."""
    return one_of(value, list(Order))


def megabits(value: object) -> float:
    """Read a rate in Mbit/s, above 0."""
    return seconds(value, "must be a number of Mbit/s above 0")


def coverage(value: object) -> Coverage:
    """Read how it is found out what of a disk is in use."""
    return one_of(value, [Coverage.MAP, Coverage.VIRT_SPARSIFY, Coverage.WHOLE])


def compression(value: object) -> Compression:
    """Read whether data is compressed on its way."""
    return one_of(value, list(Compression))


def one_of(value: object, choices: Sequence[E]) -> E:
    """Read one of some words; `no` is false to YAML, and means none."""
    word = "none" if value is False else value
    for choice in choices:
        if word == choice.value:
            return choice
    raise BadValueError(f"must be one of {', '.join(choices)}")


def path(value: object) -> Path:
    """Read a path; `~` is the home directory."""
    if not isinstance(value, str) or not value:
        raise BadValueError("must be a path")
    return Path(value).expanduser()


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts."""
    if not isinstance(value, list):
        raise BadValueError("must be a list of texts")
    return tuple(text(item) for item in value)


def networks(value: object) -> tuple[str, ...]:
    """Read a list of networks, and write each as Neutron does."""
    try:
        return tuple(str(ip_network(item)) for item in texts(value))
    except ValueError as error:
        raise BadValueError(f"must be a list of networks like 192.0.2.0/24: {error}") from None


def mapping(value: object) -> Mapping[str, object]:
    """Read a mapping."""
    if not isinstance(value, dict):
        raise BadValueError("must be a mapping (key: value)")
    return value


def name_filter(value: object) -> NameFilter:
    """Read a list of exact names and `{regex: PATTERN}`."""
    wanted = "must be a list of names and of {regex: PATTERN}"
    if not isinstance(value, list):
        raise BadValueError(wanted)
    return tuple(_one_filter(item, wanted) for item in value)


def _one_filter(item: object, wanted: str) -> str | Regex:
    if isinstance(item, str):
        return item
    if isinstance(item, int | float) and not isinstance(item, bool):
        return str(item)
    if not isinstance(item, dict) or set(item) != {"regex"} or not isinstance(item["regex"], str):
        raise BadValueError(wanted)
    return regex(item["regex"])


def regex(pattern: str) -> Regex:
    """Return a pattern that was seen to compile."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadValueError(f"has a bad regular expression {pattern!r}: {error}") from None
    return Regex(pattern)


FILTERED_KINDS: Mapping[str, str] = {
    "os_migrate_detached_volumes_filter": "detached_volumes",
    "os_migrate_flavors_filter": "flavors",
    "os_migrate_images_filter": "images",
    "os_migrate_keypairs_filter": "keypairs",
    "os_migrate_networks_filter": "networks",
    "os_migrate_projects_filter": "projects",
    "os_migrate_routers_filter": "routers",
    "os_migrate_security_groups_filter": "security_groups",
    "os_migrate_subnets_filter": "subnets",
    "os_migrate_user_filter": "user_project_role_assignments",
    "os_migrate_users_filter": "users",
    "os_migrate_volumes_filter": "volumes",
    "os_migrate_workloads_filter": "workloads",
}


def _cloud(side: str, section: str) -> dict[str, Variable]:
    x = f"os_migrate_{side}_"
    return {
        f"{x}cloud": Variable(section, "cloud", text),
        f"{x}auth": Variable(section, "auth", mapping, private=True),
        f"{x}auth_type": Variable(section, "auth_type", optional_text),
        f"{x}region_name": Variable(section, "region_name", optional_text),
        f"{x}validate_certs": Variable(section, "validate_certs", flag),
        f"{x}ca_cert": Variable(section, "ca_cert", optional_text),
        f"{x}client_cert": Variable(section, "client_cert", optional_text),
        f"{x}client_key": Variable(section, "client_key", optional_text),
        f"{x}filter_current_project": Variable(section, "filter_current_project", flag),
        f"{x}filters": Variable(section, "query", mapping),
    }


def _host(side: str, section: str) -> dict[str, Variable]:
    x = f"os_migrate_{side}_conversion_"
    return {
        f"{x}host_name": Variable(section, "host_name", text),
        f"{x}image_name": Variable(section, "image_name", text),
        f"{x}flavor_name": Variable(section, "flavor_name", text),
        f"{x}external_network_name": Variable(section, "external_network_name", optional_text),
        f"{x}net_name": Variable(section, "net_name", text),
        f"{x}subnet_name": Variable(section, "subnet_name", text),
        f"{x}router_name": Variable(section, "router_name", text),
        f"{x}secgroup_name": Variable(section, "secgroup_name", text),
        f"{x}keypair_name": Variable(section, "keypair_name", text),
        f"{x}net_mtu": Variable(section, "net_mtu", integer),
        f"{x}subnet_dns_nameservers": Variable(section, "subnet_dns_nameservers", texts),
        f"{x}availability_zone": Variable(section, "availability_zone", optional_text),
        f"{x}manage_network": Variable(section, "manage_network", flag),
        f"{x}manage_fip": Variable(section, "manage_fip", flag),
        f"{x}floating_ip_address": Variable(section, "floating_ip_address", optional_text),
        f"{x}host_delete_fip": Variable(section, "delete_fip", flag),
        f"{x}host_boot_from_volume": Variable(section, "boot_from_volume", flag),
        f"{x}host_volume_size": Variable(section, "volume_size_gib", integer),
        f"{x}host_pre_content_hook": Variable(section, "pre_content_hook", optional_text, private=True),
        f"{x}host_post_content_hook": Variable(section, "post_content_hook", optional_text, private=True),
        f"os_migrate_deploy_{side}_conversion_host": Variable(section, "deploy", flag),
        f"os_migrate_delete_{side}_conversion_host": Variable(section, "delete", flag),
    }


VARIABLES: Mapping[str, Variable] = {
    "os_migrate_data_dir": Variable("", "data_dir", path),
    "os_migrate_clouds_path": Variable("", "clouds_path", path),
    "os_migrate_mapping_file": Variable("", "mapping_file", path),
    "os_migrate_validate_files": Variable("", "validate_files", flag),
    "os_migrate_api_calls_parallel": Variable("", "api_calls_parallel", integer),
    **_cloud("src", "source"),
    **_cloud("dst", "destination"),
    "os_migrate_export_images_blobs": Variable("images", "export_blobs", flag),
    "os_migrate_image_blobs_dir": Variable("images", "blobs_dir", path),
    "os_migrate_workloads_boot_disk_copy": Variable("workloads", "boot_disk_copy", flag),
    "os_migrate_workloads_data_copy": Variable("workloads", "data_copy", flag),
    "os_migrate_workload_stop_before_migration": Variable("workloads", "stop_before_migration", flag),
    "os_migrate_workload_unlock_before_migration": Variable("workloads", "unlock_before_migration", flag),
    "os_migrate_workload_cleanup_on_failure": Variable("workloads", "cleanup_on_failure", flag),
    "os_migrate_workload_boot_volume_prefix": Variable("workloads", "boot_volume_prefix", text),
    "os_migrate_workloads_parallel": Variable("workloads", "parallel", integer),
    "os_migrate_workloads_order": Variable("workloads", "order", order),
    "os_migrate_check_quotas": Variable("workloads", "check_quotas", flag),
    "os_migrate_timeout": Variable("workloads", "timeout_s", seconds),
    "os_migrate_sparsify": Variable("transfer", "sparsify", coverage),
    "os_migrate_sparsify_timeout": Variable("transfer", "sparsify_timeout_s", seconds),
    "os_migrate_compression": Variable("transfer", "compression", compression),
    "os_migrate_proof": Variable("transfer", "proof", flag),
    "os_migrate_connections": Variable("transfer", "connections", integer),
    "os_migrate_bandwidth_limit": Variable("transfer", "limit_mbit", megabits),
    "os_migrate_conversion_host_bandwidth_limit": Variable("transfer", "pair_limit_mbit", megabits),
    "os_migrate_link_mbit": Variable("transfer", "link_mbit", megabits),
    **_host("src", "source_host"),
    **_host("dst", "destination_host"),
    "os_migrate_conversion_host_pairs": Variable("conversion", "pairs", integer),
    "os_migrate_conversion_host_disks": Variable("conversion", "disks", integer),
    "os_migrate_conversion_keypair_private_path": Variable("conversion", "keypair_private_path", path),
    "os_migrate_conversion_subnet_cidr": Variable("conversion", "subnet_cidr", text),
    "os_migrate_conversion_subnet_alloc_start": Variable("conversion", "subnet_alloc_start", text),
    "os_migrate_conversion_subnet_alloc_end": Variable("conversion", "subnet_alloc_end", text),
    "os_migrate_conversion_router_ip": Variable("conversion", "router_ip", text),
    "os_migrate_conversion_host_deploy_timeout": Variable("conversion", "deploy_timeout_s", seconds),
    # Variable files in use have either of these two names.
    "os_migrate_conversion_keypair_generate": Variable("conversion", "keypair_generate", flag),
    "os_migrate_conversion_host_keypair_generate": Variable("conversion", "keypair_generate", flag),
    "os_migrate_conversion_link_keypair_private_path": Variable("conversion", "link_keypair_private_path", path),
    "os_migrate_conversion_host_ssh_key_type": Variable("conversion", "ssh_key_type", text),
    "os_migrate_conversion_host_ssh_user": Variable("conversion", "ssh_user", text),
    "os_migrate_conversion_host_ssh_user_enable_password_access": Variable("conversion", "ssh_password_access", flag),
    "os_migrate_conversion_host_ssh_user_password": Variable("conversion", "ssh_password", text, private=True),
    "os_migrate_conversion_host_ssh_networks": Variable("conversion", "ssh_networks", networks),
    "os_migrate_conversion_host_content_install": Variable("conversion", "content_install", flag),
    "os_migrate_link_conversion_hosts": Variable("conversion", "link", flag),
    "os_migrate_reboot_conversion_hosts": Variable("conversion", "reboot", flag),
    **{name: Variable("filters", kind, name_filter) for name, kind in FILTERED_KINDS.items()},
}

_RHSM = (
    *("activationkey", "auto_attach", "consumer_id", "consumer_name", "consumer_type", "delay", "environment"),
    *("force_register", "manage", "org_id", "password", "pool", "pool_ids", "release", "repositories", "retries"),
    *("rhsm_baseurl", "rhsm_repo_ca_cert", "server_hostname", "server_insecure", "server_proxy_hostname"),
    *("server_proxy_password", "server_proxy_port", "server_proxy_user", "syspurpose", "username"),
)

FOR_OTHERS: frozenset[str] = frozenset(
    {
        # 1.0.x has them, and they mean nothing here
        "os_migrate_conversion_host_ssh_key_bits",
        "os_migrate_dst_release",
        "os_migrate_src_release",
        # for playbooks and roles
        "os_migrate_workloads_fail_fast",
        "os_migrate_conversion_insights_enable",
        *(f"os_migrate_conversion_rhsm_{name}" for name in _RHSM),
    }
)
"""What is left alone, so that a variable file of Ansible's is a settings file."""
