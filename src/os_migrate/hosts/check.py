"""Check the conversion hosts: each is there, runs, answers, has its tools, and the one reaches the other."""

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from os_migrate.errors import CloudError, HostError, Problem, UserError
from os_migrate.hosts import doors, known_hosts
from os_migrate.hosts.content import password_of
from os_migrate.hosts.hosting import Clouds, DeployableHost, HostingCloud, OpenHost, Stage, find_address, find_server
from os_migrate.model import ServerId, ServerStatus, Side
from os_migrate.settings import Settings
from os_migrate.units import LINK_KEY, LINK_KNOWN_HOSTS
from os_migrate.world import Host

DEPLOY = "run `os-migrate hosts deploy`"
LINK_TIMEOUT_S = 30


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and which stage of the deployment mends it. None as side: the link; as stage: the host can't be used."""

    side: Side | None
    stage: Stage | None
    problem: Problem

    def lacks(self, stages: Collection[Stage], sides: Collection[Side]) -> bool:
        """Say whether these stages on these sides have something to do because of it."""
        return (self.side is None or self.side in sides) and (self.stage is None or self.stage in stages)


def check(clouds: Clouds, settings: Settings, open_host: OpenHost) -> tuple[Problem, ...]:
    """Return all that is wrong with the conversion hosts; nothing means that they are ready."""
    return tuple(finding.problem for finding in examine(clouds, settings, open_host))


def examine(clouds: Clouds, settings: Settings, open_host: OpenHost) -> list[Finding]:
    """Return all that is wrong with the conversion hosts."""
    return [finding for of_pair in settings.by_pair() for finding in _examine_pair(clouds, of_pair, open_host)]


def _examine_pair(clouds: Clouds, settings: Settings, open_host: OpenHost) -> list[Finding]:
    findings: list[Finding] = []
    reachable: dict[Side, tuple[ServerId, str, DeployableHost]] = {}
    try:
        for side in Side:
            where = f"{side} conversion host {settings.host(side).host_name!r}"
            try:
                server_id, address = _running(clouds, settings, side)
                host = open_host(settings.host(side).host_name, server_id, address)
                reachable[side] = server_id, address, host
                door = _door_problems(clouds[side], settings, side, where)
                findings += [Finding(side, Stage.HOSTS, problem) for problem in door]
                content = _content_problems(host, settings, where)
                findings += [Finding(side, Stage.CONTENT, problem) for problem in content]
            except (UserError, CloudError, HostError) as error:
                findings.append(Finding(side, None, Problem(where, error.what, error.remedy)))
                reachable.pop(side, None)
        findings += [Finding(None, Stage.LINK, problem) for problem in _link_problems(settings, reachable)]
    finally:
        for _, _, host in reachable.values():
            host.close()
    return findings


def _content_problems(host: DeployableHost, settings: Settings, where: str) -> Iterator[Problem]:
    missing = ", ".join(host.facts().missing)
    if missing:
        yield Problem(where, f"it lacks {missing}", f"install them, or {DEPLOY}")
    if host.allow_password(password_of(settings.conversion), dry_run=True):
        lets_in = "doesn't let" if settings.conversion.ssh_password_access else "lets"
        yield Problem(where, f"it {lets_in} its SSH user in by password", DEPLOY)


def link_script(user: str, address: str, host_key_alias: str) -> str:
    """Return a bash script, for the destination host, that fails unless it can log in to the source host.

    The link's key runs only its own command there, which prints where it comes from.
    """
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={LINK_KNOWN_HOSTS}",
        "GlobalKnownHostsFile=/dev/null",
        f"HostKeyAlias={host_key_alias}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f"ConnectTimeout={LINK_TIMEOUT_S}",
    )
    words = ["sudo", "-n", "ssh", "-T", "-F", "none", "-i", LINK_KEY, "-l", user]
    words += [word for option in options for word in ("-o", option)]
    return f"{shlex.join([*words, '--', address, 'true'])} </dev/null\n"


def _running(clouds: Clouds, settings: Settings, side: Side) -> tuple[ServerId, str]:
    """Return a host's server and address. Raise UserError if it can't be used as it is."""
    server = find_server(clouds[side], settings, side)
    if server is None:
        raise UserError("it isn't there", remedy=DEPLOY)
    if server.status is not ServerStatus.ACTIVE:
        raise UserError(f"its server {server.id} is {server.raw_status}", remedy=DEPLOY)
    if known_hosts.line_of(settings.conversion.known_hosts_path, server.id) is None:
        raise UserError(
            f"the host key of its server {server.id} is not known",
            remedy="run `os-migrate hosts delete`, then `os-migrate hosts deploy`",
        )
    address = find_address(clouds[side], settings, side, server.id)
    if address is None:
        raise UserError(f"its server {server.id} has no address to reach it at", remedy=DEPLOY)
    return server.id, address


def _door_problems(cloud: HostingCloud, settings: Settings, side: Side, where: str) -> Iterator[Problem]:
    group_id = doors.own_group(cloud, settings.host(side).secgroup_name)
    if group_id and doors.is_wide_open(cloud, group_id):
        yield Problem(where, "its security group lets SSH in from anywhere", f"{DEPLOY}: it narrows it")


def _link_problems(
    settings: Settings, reachable: Mapping[Side, tuple[ServerId, str, DeployableHost]]
) -> Iterator[Problem]:
    if not settings.conversion.link or len(reachable) < len(Side):
        return
    server_id, address, source = reachable[Side.SOURCE]
    user, (_, _, destination) = settings.conversion.ssh_user, reachable[Side.DESTINATION]
    yield from link_problems(user, source.name, server_id, address, destination)


def link_problems(
    user: str, source: str, server_id: ServerId, address: str, destination: DeployableHost | Host
) -> Iterator[Problem]:
    """Yield why the destination host doesn't reach the source host of this name, id and address."""
    try:
        destination.run_script(link_script(user, address, server_id))
    except HostError as error:
        yield Problem(
            f"link between the conversion hosts {source!r} and {destination.name!r}",
            f"the destination host can't open SSH to {address}: {error.what}",
            f"{DEPLOY} to link them again; the source's security group must let SSH in from the destination",
        )
