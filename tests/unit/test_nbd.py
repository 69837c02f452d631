"""The command lines of the data path."""

from dataclasses import replace

import pytest

from os_migrate.model import AttemptId, VolumeId
from os_migrate.nbd import (
    CopyJob,
    Coverage,
    ExportJob,
    ScanJob,
    SendJob,
    TunnelJob,
    extents_path,
    job_of,
    socket_path,
    stream_path,
)
from os_migrate.units import unit_of

ATTEMPT = AttemptId("a1b2c3d4e5")
ONE = VolumeId("11111111-2222-3333-4444-555555555555")
TWO = VolumeId("66666666-7777-8888-9999-000000000000")
AGENT = "/run/os-migrate/agent-0123456789ab.py"
TUNNEL = TunnelJob(ATTEMPT, (ONE, TWO), "cloud-user", "192.0.2.7", "server-id")
JOBS = [ScanJob(ATTEMPT, ONE), ExportJob(ATTEMPT, ONE), SendJob(ATTEMPT, ONE), TUNNEL, CopyJob(ATTEMPT, ONE, TWO)]


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
    assert [unit_of(job, AGENT).restart for job in JOBS] == [False, True, True, True, False]


def test_tunnel_forwards_every_socket_to_the_same_path():
    argv = unit_of(TUNNEL, AGENT).argv
    forwards = [argv[i + 1] for i, word in enumerate(argv) if word == "-L"]
    assert forwards == [f"{socket_path(ATTEMPT, v)}:{socket_path(ATTEMPT, v)}" for v in (ONE, TWO)]
    assert argv[-2:] == ("--", "192.0.2.7")


@pytest.mark.parametrize(("streams", "path"), [(False, socket_path), (True, stream_path)])
def test_tunnel_forwards_either_exports_or_streams(streams, path):
    argv = unit_of(replace(TUNNEL, streams=streams), AGENT).argv
    forwards = {argv[i + 1].partition(":")[0] for i, word in enumerate(argv) if word == "-L"}
    assert forwards == {path(ATTEMPT, v) for v in (ONE, TWO)}
    assert len(forwards) == 2


def test_each_tunnel_of_an_attempt_has_a_unit_of_its_own_that_tells_which_it_is():
    tunnels = [replace(TUNNEL, number=number) for number in range(3)]
    assert len({tunnel.unit for tunnel in tunnels}) == 3
    assert [job_of(ATTEMPT, tunnel.unit).unit for tunnel in tunnels] == [tunnel.unit for tunnel in tunnels]


def test_tunnel_without_a_limit_connects_by_itself():
    assert "ProxyCommand" not in options(unit_of(TUNNEL, AGENT).argv)
    limited = options(unit_of(replace(TUNNEL, limit_bytes_s=1.25e6), AGENT).argv)
    assert limited["ProxyCommand"] == f"python3 -I -S {AGENT} throttle 1250000 %h %p"


def test_scan_of_a_copy_keeps_the_list_that_the_copy_wrote():
    assert unit_of(ScanJob(ATTEMPT, TWO, Coverage.COPIED), AGENT).files == ()
    assert extents_path(ATTEMPT, TWO) in unit_of(CopyJob(ATTEMPT, ONE, TWO), AGENT).files


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
