"""While a server is migrated between two real clouds: who could reach the data, and where a secret could be read."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab import scenario
from lab.scenario import Shape
from lab.settings import CLOUDS_YAML
from tests.acceptance.operating import SLOWLY, Operator
from tests.acceptance.watching import HOSTS, Deployed, Seen, on_host, private_keys, watching_host, watching_this_machine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

SERVER = Shape("$(reboot) `id`; 'watched' \"☂\"", "10.0.0.112", data_gib=(1,))
FERNET = re.compile(rb"gAAAA[\w-]{60,}")
"""A token of Keystone's begins like that. Source: https://docs.openstack.org/keystone/latest/admin/fernet-token-faq.html"""

LINK_KEY = "/etc/os-migrate/link.key"


@dataclass(frozen=True)
class HostSeen:
    """What was seen on a conversion host during the copy."""

    listening: list[str]
    sockets: list[str]
    as_nobody: str
    journal: bytes
    private_keys: list[str]  # mode, owner and path of every file that holds one


@dataclass(frozen=True)
class Watched:
    """A migration that was looked at: the hosts while it copied, all process lists from the deployment of the hosts to its end."""

    operator: Operator
    hosts: dict[str, HostSeen]
    processes: dict[str, Seen]
    said: dict[str, str]  # by command: what the migrator wrote to stdout and stderr
    exit_code: int


def look(operator: Operator, cloud: Any, name: str) -> HostSeen:
    def lines(script: str) -> list[str]:
        return on_host(operator, cloud, name, script).decode().split("\n")[:-1]

    ports = "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'"
    sockets = "sudo -n find /run/os-migrate -type s -printf '%p %m\\n'"
    as_nobody = "for s in $(sudo -n find /run/os-migrate -type s); do sudo -n setpriv --reuid=65534 --regid=65534 --clear-groups"
    as_nobody += (
        " python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $s 2>&1; done; true"
    )
    journal = "sudo -n journalctl --quiet --no-pager --boot || true"
    keys = "sudo -n grep -rlsIZ -e '-----BEGIN .*PRIVATE KEY-----' /etc /home /root /run/os-migrate /tmp"
    keys += " | xargs -0r sudo -n stat -c '%a %U %n'"
    return HostSeen(
        lines(ports),
        lines(sockets),
        "\n".join(lines(as_nobody)),
        on_host(operator, cloud, name, journal),
        lines(keys),
    )


@pytest.fixture(scope="module")
def watched(deployed: Deployed, source: Any, destination: Any) -> Iterator[Watched]:
    operator = deployed.operator
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    (volume,) = source.compute.volume_attachments(server.id)
    scenario.write_files(guest, scenario.disk_of(guest, volume.volume_id), 96)
    with (
        watching_this_machine() as here,
        watching_host(operator, source, "source") as at_source,
        watching_host(operator, destination, "destination") as at_destination,
    ):
        linked = operator.must("hosts", "deploy")  # the hosts are there: what it does is to link them again
        exported = operator.must("export", "workloads", "--filter", SERVER.name)
        exit_code, migrated, hosts = migrate(operator, source, destination)
    yield Watched(
        operator,
        hosts,
        {"deployment": deployed.seen, "here": here, "source": at_source, "destination": at_destination},
        {
            "deploy": deployed.done.out + deployed.done.err,
            "deploy again": linked.out + linked.err,
            "export": exported.out + exported.err,
            "migrate": migrated,
        },
        exit_code,
    )
    scenario.delete_servers(source, keep=lambda s: s.id != server.id)
    scenario.delete_servers(destination, keep=lambda s: s.name != SERVER.name)


def migrate(operator: Operator, source: Any, destination: Any) -> tuple[int, str, dict[str, HostSeen]]:
    """Migrate, and look at the hosts during the copy; return the exit code, all that was said, and what was seen."""
    command = operator.command("--verbose", "migrate", SERVER.name, *SLOWLY)
    migrator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert migrator.stdout is not None
    said = ""
    try:
        for line in migrator.stdout:
            said += line
            if "step AwaitJob:copy" in line:
                break
        clouds = {"source": source, "destination": destination}
        hosts = {side: look(operator, cloud, HOSTS[side]) for side, cloud in clouds.items()}
        said += migrator.communicate(timeout=600)[0]
        return migrator.returncode, said, hosts
    finally:
        migrator.kill()
        print(said)


def secrets(operator: Operator) -> list[bytes]:
    """Return the passwords of the lab's users, and the lines of our private keys."""
    clouds = yaml.safe_load(CLOUDS_YAML.read_text())["clouds"]
    passwords = {cloud["auth"]["password"].encode() for cloud in clouds.values()}
    keys = private_keys(operator)
    assert passwords
    assert keys
    return [*passwords, *keys]


def shown(operator: Operator, texts: dict[str, bytes]) -> list[str]:
    """Return in which of the texts a secret or a token is."""
    wanted = secrets(operator)
    return [what for what, text in texts.items() if FERNET.search(text) or any(secret in text for secret in wanted)]


def test_server_of_any_name_is_migrated_and_its_name_is_never_run(watched: Watched) -> None:
    assert watched.exit_code == 0


def test_nothing_of_ours_listens_but_on_socket_files(watched: Watched) -> None:
    for side, host in watched.hosts.items():
        ports = {int(address.rpartition(":")[2], 16) for address in host.listening}
        assert ports == {22}, f"{side}: {host.listening}"
        assert [line.split()[1] for line in host.sockets] == ["600"], f"{side}: {host.sockets}"


def test_nobody_else_on_a_host_can_open_an_export(watched: Watched) -> None:
    for host in watched.hosts.values():
        assert "PermissionError" in host.as_nobody
        assert len(re.findall("^PermissionError", host.as_nobody, re.MULTILINE)) == len(host.sockets)


def test_no_process_list_shows_a_secret_while_hosts_are_deployed_linked_and_used(watched: Watched) -> None:
    seen = {what: b"\n".join(seen.lines) for what, seen in watched.processes.items()}
    for what, program in {
        "deployment": b"ssh\0",
        "here": b"ssh\0",
        "source": b"\0send\0",
        "destination": b"\0copy\0",
    }.items():
        assert watched.processes[what].looks > 10, what
        assert program in seen[what], what
    assert shown(watched.operator, seen) == []


def test_no_log_of_a_host_shows_a_secret(watched: Watched) -> None:
    journals = {side: host.journal for side, host in watched.hosts.items()}
    assert b"os-migrate" in journals["source"]
    assert shown(watched.operator, journals) == []


def test_nothing_that_the_migrator_says_shows_a_secret(watched: Watched) -> None:
    said = {command: text.encode() for command, text in watched.said.items()}
    assert b"stage transfer volumes" in said["migrate"]
    assert shown(watched.operator, said) == []


def test_only_owners_can_read_private_keys_and_the_links_is_on_one_host_only(watched: Watched) -> None:
    for side, host in watched.hosts.items():
        found = [line.split(maxsplit=2) for line in host.private_keys]
        assert {(mode, owner) for mode, owner, _ in found} == {("600", "root")}, f"{side}: {host.private_keys}"
        assert (LINK_KEY in [path for _, _, path in found]) == (side == "destination")
    keys = sorted((watched.operator.data_dir / "conversion").glob("*.key"))
    assert [key.name for key in keys] == ["link-ssh.key", "ssh.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_no_file_of_the_data_dir_shows_a_secret_but_the_keys(watched: Watched) -> None:
    data_dir = watched.operator.data_dir
    assert data_dir.stat().st_mode & 0o777 == 0o700
    files = [path for path in data_dir.rglob("*") if path.is_file() and path.suffix != ".key"]
    assert data_dir / "journal.sqlite" in files
    assert shown(watched.operator, {str(file): file.read_bytes() for file in files}) == []


def test_ssh_is_let_in_only_from_here_and_from_the_peer(watched: Watched, source: Any, destination: Any) -> None:
    for cloud, count in ((source, 2), (destination, 1)):
        (group,) = [g for g in cloud.network.security_groups() if "conversion host" in (g.description or "")]
        rules = [r for r in cloud.network.security_group_rules(security_group_id=group.id) if r.direction == "ingress"]
        assert {(r.protocol, r.port_range_min, r.port_range_max) for r in rules} == {("tcp", 22, 22)}
        assert len(rules) == count
        assert all(str(r.remote_ip_prefix).endswith("/32") for r in rules)
