"""The command lines of the data path."""

import pytest

from os_migrate.model import AttemptId, VolumeId
from os_migrate.nbd import CopyJob, ExportJob, ScanJob, TunnelJob, extents_path, socket_path, unit_of

ATTEMPT = AttemptId("a1b2c3d4e5")
ONE = VolumeId("11111111-2222-3333-4444-555555555555")
TWO = VolumeId("66666666-7777-8888-9999-000000000000")
AGENT = "/run/os-migrate/agent-0123456789ab.py"
TUNNEL = TunnelJob(ATTEMPT, (ONE, TWO), "cloud-user", "192.0.2.7", "server-id")
JOBS = [ScanJob(ATTEMPT, ONE), ExportJob(ATTEMPT, ONE), TUNNEL, CopyJob(ATTEMPT, ONE, TWO)]


def options(argv):
    return dict(argv[i + 1].split("=", 1) for i, word in enumerate(argv) if word == "-o")


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_unit_is_named_after_the_attempt_and_keeps_to_its_directory(job):
    unit = unit_of(job, AGENT)
    assert unit.name == job.unit
    assert unit.name.startswith(f"os-migrate-{ATTEMPT}-")
    assert unit.directory == f"/run/os-migrate/{ATTEMPT}"
    assert all(path.startswith(unit.directory + "/") for path in unit.files + unit.sockets)
    assert not any("$" in word for word in unit.argv)  # systemd would replace it


def test_units_of_different_jobs_have_different_names():
    assert len({job.unit for job in JOBS}) == len(JOBS)


def test_socket_path_fits_into_the_limit_of_linux():
    assert len(socket_path(ATTEMPT, ONE)) < 108


def test_export_is_read_only_and_knows_the_holes_of_the_scan():
    argv = unit_of(ExportJob(ATTEMPT, ONE), AGENT).argv
    assert "--readonly" in argv
    assert "--filter=extentlist" in argv
    assert f"extentlist={extents_path(ATTEMPT, ONE)}" in argv
    assert extents_path(ATTEMPT, ONE) in unit_of(ScanJob(ATTEMPT, ONE), AGENT).files


def test_export_listens_on_no_network():
    argv = unit_of(ExportJob(ATTEMPT, ONE), AGENT).argv
    assert not any(word.startswith(("--port", "--ip", "-p", "-i")) for word in argv[argv.index("nbdkit") :])
    assert unit_of(ExportJob(ATTEMPT, ONE), AGENT).sockets == (socket_path(ATTEMPT, ONE),)


def test_servers_and_tunnels_are_restarted_and_tasks_are_not():
    assert [unit_of(job, AGENT).restart for job in JOBS] == [False, True, True, False]


def test_tunnel_forwards_every_socket_to_the_same_path():
    argv = unit_of(TUNNEL, AGENT).argv
    forwards = [argv[i + 1] for i, word in enumerate(argv) if word == "-L"]
    assert forwards == [f"{socket_path(ATTEMPT, v)}:{socket_path(ATTEMPT, v)}" for v in (ONE, TWO)]
    assert argv[-2:] == ("--", "192.0.2.7")


def test_tunnel_knows_the_host_and_asks_nobody():
    said = options(unit_of(TUNNEL, AGENT).argv)
    assert said["StrictHostKeyChecking"] == "yes"
    assert said["UserKnownHostsFile"] == "/etc/os-migrate/known_hosts"
    assert said["HostKeyAlias"] == "server-id"
    assert said["BatchMode"] == "yes"


def test_tunnel_notices_a_silent_link_and_a_taken_socket():
    said = options(unit_of(TUNNEL, AGENT).argv)
    assert int(said["ServerAliveInterval"]) * int(said["ServerAliveCountMax"]) <= 15
    assert said["ExitOnForwardFailure"] == "yes"
    assert said["StreamLocalBindUnlink"] == "yes"


def test_tunnel_prefers_the_cheapest_cipher():
    assert options(unit_of(TUNNEL, AGENT).argv)["Ciphers"].startswith("aes128-gcm@openssh.com,")
