"""Who may open SSH to the conversion hosts: the migrator, and to the source host also the destination host.

    open_wide   from anywhere, until somebody has come in: from where our connections come, only their far end can say
    narrow      from there only

Only rules with our mark are ever deleted, and only in security groups with our mark are any made.
"""

from collections.abc import Callable, Collection
from ipaddress import ip_address, ip_network

from os_migrate.errors import HostError
from os_migrate.hosts.hosting import MARK, DeployableHost, HostingCloud, is_marked, only
from os_migrate.model import PartKind

ANYWHERE = "0.0.0.0/0"

SSH_CLIENT_SCRIPT = 'echo "$SSH_CONNECTION"'
"""Prints the address of the client first. Source: ssh(1), ENVIRONMENT."""


def own_group(cloud: HostingCloud, name: str) -> str | None:
    """Return the id of the hosts' security group, None if the operator manages it."""
    group = only("security group", name, cloud.parts(PartKind.SECURITY_GROUP))
    return group.id if group is not None and is_marked(group) else None


def open_wide(cloud: HostingCloud, group_id: str) -> None:
    """Let SSH in from anywhere."""
    if ANYWHERE not in _ours(cloud, group_id).values():
        cloud.allow_ssh(group_id, ANYWHERE, MARK)


def narrow(
    cloud: HostingCloud, group_id: str, wanted: Collection[str], *, keep_others: bool, tell: Callable[[str], None]
) -> None:
    """Let SSH in from the `wanted` networks, and no longer from anywhere; nor from others that we let in, unless they are kept."""
    there = _ours(cloud, group_id)
    for cidr in sorted(set(wanted) - set(there.values())):
        tell(f"let SSH in from {cidr}")
        cloud.allow_ssh(group_id, cidr, MARK)
    for rule_id, cidr in there.items():
        if cidr not in wanted and (cidr == ANYWHERE or not keep_others):
            tell(f"no longer let SSH in from {cidr}")
            cloud.delete_rule(rule_id)


def is_wide_open(cloud: HostingCloud, group_id: str) -> bool:
    """Say whether our rules let SSH in from anywhere."""
    return ANYWHERE in _ours(cloud, group_id).values()


def client_of(host: DeployableHost) -> str:
    """Return the network of one address that this host sees our connection come from."""
    return network_of(host.run_script(SSH_CLIENT_SCRIPT))


def network_of(ssh_connection: str) -> str:
    """Return the network of the one address that an `$SSH_CONNECTION` begins with.

    Raises:
        HostError: it is none.
    """
    first = ssh_connection.split()[:1]
    try:
        return str(ip_network(ip_address(*first)))
    except (TypeError, ValueError):
        raise HostError(
            f"a conversion host can't say where a connection comes from, but {ssh_connection!r}",
            remedy="its sshd must set SSH_CONNECTION; see what its image puts into the way",
        ) from None


def _ours(cloud: HostingCloud, group_id: str) -> dict[str, str]:
    """Return the networks that we let in, by the ids of the rules."""
    return {rule.id: rule.cidr for rule in cloud.ssh_rules(group_id) if rule.description.startswith(MARK)}
