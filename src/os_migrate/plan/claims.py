"""What only one workload can have in the destination."""

from collections.abc import Iterator

from os_migrate.plan.resolve import Target
from os_migrate.workload import PortCreationMode, Workload


def claims(workload: Workload, target: Target) -> Iterator[str]:
    """Yield what only one workload can have in the destination."""
    for port in target.ports:
        yield from (f"address {ip.ip_address} in network {port.network_id}" for ip in port.fixed_ips)
        if port.mac_address and workload.migration.port_creation_mode is PortCreationMode.NEUTRON:
            yield f"MAC address {port.mac_address} in network {port.network_id}"
    yield from (f"floating IP {ip.existing.address}" for ip in target.floating_ips if ip.existing)
    if not workload.migration.data_copy:
        brought = (workload.migration.boot_volume, *workload.migration.additional_volumes)
        yield from (f"volume {choice.uuid}" for choice in brought if choice.uuid)
