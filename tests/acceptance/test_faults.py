"""Faults that can be provoked on two real clouds: each is got over, or the workload is as it was before."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from lab import scenario
from lab.scenario import Guest, Shape
from tests.acceptance.operating import SLOWLY, Operator, flavor_for_no_hypervisor
from tests.acceptance.watching import HOSTS, on_host, ssh_to_host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

SERVER = Shape("faulty", "10.0.0.113", data_gib=(1,))
COPYING = "step AwaitJob:copy"


@dataclass
class Faulty:
    """A server whose migration meets faults."""

    operator: Operator
    source: Any
    destination: Any
    server: Any
    guest: Guest
    volume_id: str
    files: str
    before: tuple[scenario.Holdings, scenario.Holdings]

    def migrate(self, when: str = "", act: Callable[[], object] = lambda: None, *more: str) -> tuple[int, str]:
        """Migrate; once the log says `when`, act. Return the exit code and what was said."""
        said = ""
        command = self.operator.command(
            "--verbose", "migrate", SERVER.name, *more, *(SLOWLY if when == COPYING else ())
        )
        migrator = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert migrator.stderr is not None
        try:
            for line in migrator.stderr:
                said += line
                if when and when in line:
                    when = ""
                    act()
            return migrator.wait(timeout=60), said
        finally:
            migrator.kill()
            print(said)

    def assert_as_before(self) -> None:
        assert (scenario.holdings(self.source), scenario.holdings(self.destination)) == self.before
        assert self.source.compute.get_server(self.server.id).status == "ACTIVE"
        self.guest.await_ssh()
        assert scenario.read_files(self.guest, scenario.disk_of(self.guest, self.volume_id)) == self.files


@pytest.fixture(scope="module")
def faulty(operator: Operator, source: Any, destination: Any) -> Iterator[Faulty]:
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    (attached,) = source.compute.volume_attachments(server.id)
    files = scenario.write_files(guest, scenario.disk_of(guest, attached.volume_id), 96)
    operator.must("export", "workloads", "--filter", SERVER.name)
    before = scenario.holdings(source), scenario.holdings(destination)
    yield Faulty(operator, source, destination, server, guest, attached.volume_id, files, before)
    scenario.delete_servers(source, keep=lambda s: s.id != server.id)
    scenario.delete_servers(destination, keep=lambda s: s.id in before[1]["servers"])


@contextmanager
def no_volumes_left(cloud: Any) -> Iterator[None]:
    """Let the project have no more volumes than it has."""
    admin = scenario.connect("dst-admin")
    project = cloud.current_project_id
    path = f"/os-quota-sets/{project}"
    was = admin.block_storage.get(path).json()["quota_set"]["volumes"]
    now = len(list(cloud.block_storage.volumes()))
    admin.block_storage.put(path, json={"quota_set": {"volumes": now}}).raise_for_status()
    try:
        yield
    finally:
        admin.block_storage.put(path, json={"quota_set": {"volumes": was}}).raise_for_status()


def in_cloud(cloud: str, *argv: str) -> None:
    """Run a command as root in a cloud's container."""
    subprocess.run([sys.executable, "-m", "lab", "exec", cloud, *argv], check=True, timeout=60)


@pytest.mark.parametrize(("checked", "exit_code"), [("true", 2), ("false", 3)])
def test_quota_that_is_used_up_leaves_all_as_it_was(faulty: Faulty, checked: str, exit_code: int) -> None:
    with no_volumes_left(faulty.destination):
        ended, said = faulty.migrate("", lambda: None, "--set", f"os_migrate_check_quotas={checked}")
    assert ended == exit_code
    assert "quota" in said.lower()
    assert ("stage stop source" in said) == (checked == "false")
    faulty.assert_as_before()


def test_host_that_is_reset_during_the_copy_leaves_all_as_it_was(faulty: Faulty) -> None:
    (host,) = [s for s in faulty.destination.compute.servers() if s.name == HOSTS["destination"]]
    exit_code, said = faulty.migrate(COPYING, lambda: faulty.destination.compute.reboot_server(host, "HARD"))
    assert exit_code in {4, 5}
    assert "rolled back" in said
    faulty.assert_as_before()
    scenario.wait_for(
        "the host to be ready again", lambda: faulty.operator.run("hosts", "check").exit_code == 0 or None, 300
    )


def test_host_whose_disk_is_full_leaves_all_as_it_was(faulty: Faulty) -> None:
    # Logged in beforehand: a login takes as long as all that the host does before its disk is needed.
    argv = ssh_to_host(faulty.operator, faulty.source, HOSTS["source"])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write("echo ready\n")
        assert shell.stdout.readline() == "ready\n"
        fill = "sudo -n dd if=/dev/zero of=/run/filler bs=64k; sudo -n dd if=/dev/zero of=/run/rest bs=4k\n"
        try:
            exit_code, said = faulty.migrate("stage stop source", partial(shell.stdin.write, fill))
        finally:
            shell.communicate("sudo -n rm -f /run/filler /run/rest\n", timeout=60)
    assert exit_code in {4, 5}
    assert "No space left on device" in said
    assert "rolled back" in said
    faulty.assert_as_before()
    directories = "sudo -n find /run/os-migrate -mindepth 1 -type d ! -name held"
    assert on_host(faulty.operator, faulty.source, HOSTS["source"], directories) == b""


def test_twin_that_ends_in_error_leaves_all_as_it_was(faulty: Faulty) -> None:
    with flavor_for_no_hypervisor() as flavor:
        faulty.operator.edit_workloads(lambda params, _: params["flavor_ref"].update(name=flavor))
        try:
            exit_code, said = faulty.migrate()
        finally:
            faulty.operator.must("export", "workloads", "--filter", SERVER.name)
    assert exit_code == 3
    assert "No valid host" in said
    assert "stage create instance" in said
    faulty.assert_as_before()


def test_dead_ssh_cut_tunnel_dead_export_revoked_tokens_and_an_api_that_hangs_are_got_over(faulty: Faulty) -> None:
    admin = scenario.connect("dst-admin")
    user = faulty.destination.current_user_id

    def strike() -> None:
        # In a unit of its own: it outlives the connection that it kills.
        deaf = "systemctl stop lab-sshd; pkill -KILL -x sshd; pkill -KILL -f '[s]sh -N -T'; sleep 20; systemctl start lab-sshd"
        script = f'sudo -n systemd-run --quiet sh -c "sleep 2; {deaf}"'
        on_host(faulty.operator, faulty.destination, HOSTS["destination"], script)
        time.sleep(10)
        on_host(faulty.operator, faulty.source, HOSTS["source"], "sudo -n pkill -KILL -f '[z]ip send '")
        for enabled in (False, True):  # which revokes the tokens of the user
            admin.identity.patch(f"/users/{user}", json={"user": {"enabled": enabled}}).raise_for_status()
        in_cloud("dst", "pkill", "-STOP", "-f", "nova-api")
        subprocess.Popen(["sh", "-c", f"sleep 25; exec {sys.executable} -m lab exec dst pkill -CONT -f nova-api"])

    exit_code, said = faulty.migrate(COPYING, strike)
    assert exit_code == 0
    assert "the link broke, the copy goes on where it was" in said
    assert "it goes on there without us" in said
    assert scenario.holdings(faulty.source) == faulty.before[0]
    (twin,) = [s for s in faulty.destination.compute.servers() if s.name == SERVER.name]
    guest = scenario.guest_of(faulty.destination, twin)
    guest.await_ssh()
    (attached,) = faulty.destination.compute.volume_attachments(twin.id)
    assert scenario.read_files(guest, scenario.disk_of(guest, attached.volume_id)) == faulty.files
