"""While a server is migrated between two real clouds: who could reach the data, and where a secret could be read."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import scenario
from lab.scenario import Shape
from lab.settings import CLOUDS_YAML
from tests.acceptance.operating import Operator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

SERVER = Shape("$(reboot) `id`; 'watched' \"☂\"", "10.0.0.112", data_gib=(1,))
FERNET = re.compile(rb"gAAAA[\w-]{60,}")
"""A token of Keystone's begins like that. Source: https://docs.openstack.org/keystone/latest/admin/fernet-token-faq.html"""


@dataclass(frozen=True)
class HostSeen:
    """What was seen on a conversion host during the copy."""

    listening: list[str]
    sockets: list[str]
    as_nobody: str
    processes: bytes


@dataclass(frozen=True)
class Watched:
    """A migration that was looked at while it copied."""

    operator: Operator
    hosts: dict[str, HostSeen]
    processes: bytes
    exit_code: int


def on_host(operator: Operator, cloud: Any, name: str, script: str) -> bytes:
    """Run a script as the SSH user of a conversion host."""
    (server,) = [s for s in cloud.compute.servers() if s.name == name]
    conversion = operator.data_dir / "conversion"
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={conversion / 'known_hosts'}"]
    argv = ["ssh", "-F", "none", "-i", str(conversion / "ssh.key"), "-o", f"HostKeyAlias={server.id}"]
    argv += [word for option in options for word in ("-o", option)]
    argv += [f"cloud-user@{scenario.guest_of(cloud, server).address}", "sh -s"]
    return subprocess.run(argv, input=script.encode(), capture_output=True, check=True, timeout=120).stdout


def look(operator: Operator, cloud: Any, name: str) -> HostSeen:
    def lines(script: str) -> list[str]:
        return on_host(operator, cloud, name, script).decode().split("\n")[:-1]

    ports = "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'"
    sockets = "sudo -n find /run/os-migrate -type s -printf '%p %m\\n'"
    as_nobody = "for s in $(sudo -n find /run/os-migrate -type s); do sudo -n setpriv --reuid=65534 --regid=65534 --clear-groups"
    as_nobody += (
        " python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $s 2>&1; done; true"
    )
    processes = "sudo -n sh -c 'cat /proc/[0-9]*/cmdline; journalctl --quiet --no-pager --boot || true'"
    return HostSeen(
        lines(ports),
        lines(sockets),
        "\n".join(lines(as_nobody)),
        on_host(operator, cloud, name, processes),
    )


def cmdlines() -> bytes:
    """Return the command lines of all processes of this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes())
        except OSError:  # it has ended
            continue
    return b"\n".join(found)


@pytest.fixture(scope="module")
def watched(operator: Operator, source: Any, destination: Any) -> Iterator[Watched]:
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    (volume,) = source.compute.volume_attachments(server.id)
    scenario.write_files(guest, scenario.disk_of(guest, volume.volume_id), 96)
    operator.must("export", "workloads", "--filter", SERVER.name)
    migrator = subprocess.Popen(
        operator.command("--verbose", "migrate", SERVER.name), stderr=subprocess.PIPE, text=True
    )
    assert migrator.stderr is not None
    try:
        for line in migrator.stderr:
            if "step AwaitJob:copy" in line:
                break
        hosts = {
            "source": look(operator, source, "os_migrate_conv_src"),
            "destination": look(operator, destination, "os_migrate_conv_dst"),
        }
        processes = cmdlines()
        _, said = migrator.communicate(timeout=600)
        print(said)
    finally:
        migrator.kill()
    yield Watched(operator, hosts, processes, migrator.returncode)
    scenario.delete_servers(source, keep=lambda s: s.id != server.id)
    scenario.delete_servers(destination, keep=lambda s: s.name != SERVER.name)


def secrets(operator: Operator) -> list[bytes]:
    """Return the passwords of the lab's users, and the lines of our private keys."""
    clouds = yaml.safe_load(CLOUDS_YAML.read_text())["clouds"]
    found = [cloud["auth"]["password"].encode() for cloud in clouds.values()]
    for key in (operator.data_dir / "conversion").glob("*.key"):
        found += [line.encode() for line in key.read_text().splitlines()[1:-1]]
    return found


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


def test_no_process_list_and_no_log_of_a_host_shows_a_secret(watched: Watched) -> None:
    seen = [watched.processes, *(host.processes for host in watched.hosts.values())]
    for secret in secrets(watched.operator):
        assert not [text for text in seen if secret in text]
    assert not [text for text in seen if FERNET.search(text)]


def test_no_file_of_the_data_dir_shows_a_secret_but_the_keys_which_are_private(watched: Watched) -> None:
    data_dir = watched.operator.data_dir
    assert data_dir.stat().st_mode & 0o777 == 0o700
    wanted = secrets(watched.operator)
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert data_dir / "journal.sqlite" in files
    for file in files:
        content = file.read_bytes()
        if file.suffix == ".key":
            assert file.stat().st_mode & 0o777 == 0o600, file
        else:
            assert not [secret for secret in wanted if secret in content], file
            assert not FERNET.search(content), file


def test_ssh_is_let_in_only_from_here_and_from_the_peer(watched: Watched, source: Any, destination: Any) -> None:
    for cloud, count in ((source, 2), (destination, 1)):
        (group,) = [g for g in cloud.network.security_groups() if "conversion host" in (g.description or "")]
        rules = [r for r in cloud.network.security_group_rules(security_group_id=group.id) if r.direction == "ingress"]
        assert {(r.protocol, r.port_range_min, r.port_range_max) for r in rules} == {("tcp", 22, 22)}
        assert len(rules) == count
        assert all(str(r.remote_ip_prefix).endswith("/32") for r in rules)
