"""From a volume on one host to a volume on another, with the real tools."""

import os
import re
import subprocess
import time
from dataclasses import asdict, replace

import pytest

from os_migrate.errors import HostError, TransferError
from os_migrate.hosts.archive import AGENT_PATH
from os_migrate.model import AttemptId, VolumeId
from os_migrate.nbd import (
    Compression,
    CopyJob,
    CopyResult,
    Coverage,
    Depth,
    ExportJob,
    JobStatus,
    ScanJob,
    ScanResult,
    SendJob,
    TunnelJob,
    extents_path,
    socket_path,
)
from os_migrate.units import unit_of

from .conftest import BLOCK, shaped


def scan(machine, attempt, volume_id, coverage=Coverage.WHOLE, depth=Depth.DIGEST):
    job = ScanJob(attempt, volume_id, coverage, depth)
    machine.host.start(job)
    result = machine.await_end(job.unit).result
    assert isinstance(result, ScanResult)
    return result


def export(source, attempt, volume_id, compression=Compression.NONE):
    streams = compression is not Compression.NONE
    scanned = scan(source, attempt, volume_id, depth=Depth.NOTHING if streams else Depth.DIGEST)
    source.host.start(SendJob(attempt, volume_id) if streams else ExportJob(attempt, volume_id))
    return scanned


def tunnel(source, attempt, *volume_ids, user="migrator", **how):
    return TunnelJob(attempt, volume_ids, user, "127.0.0.1", "source", source.port, **how)


def copy(source, destination, attempt, source_id, volume_id, compression=Compression.NONE):
    destination.host.start(tunnel(source, attempt, source_id, streams=compression is not Compression.NONE))
    job = CopyJob(attempt, source_id, volume_id, compression)
    destination.host.start(job)
    return destination.await_end(job.unit)


COMPRESSIONS = [*Compression]
METHODS = {Compression.NONE: "nbd", Compression.AUTO: "stream", Compression.ZSTD: "zstd -1"}
SHAPES = ["d0d00d", "0000", "dddd", "0d", "d0", "1", "0" * 200 + "d" + "0" * 100 + "1"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_copy_equals_source_byte_by_byte_and_by_digest(source, destination, attempt, shape, compression):
    content = shaped(shape)
    original = source.add_disk(content)
    twin = destination.add_disk(bytes(len(content)))
    streams = compression is not Compression.NONE
    scanned = export(source, attempt, original, compression)
    state = copy(source, destination, attempt, original, twin, compression)
    assert state.status is JobStatus.DONE, state
    assert isinstance(state.result, CopyResult)
    assert state.result.copied_bytes == len(content)
    assert state.result.method == METHODS[compression]
    sent = state.result.sent if streams else scanned
    assert sent.data_bytes == len(content) - shape.count("0") * BLOCK
    assert sent.extents == len(re.findall("[^0]+", shape))
    if compression is not Compression.ZSTD:
        assert sent.data_bytes <= state.result.wire_bytes <= sent.data_bytes + 16 * sent.extents + 256
    assert destination.content(twin) == content
    copied = scan(destination, attempt, twin, Coverage.COPIED)
    assert (copied.digest, copied.data_bytes) == (sent.digest, sent.data_bytes)


def test_scan_that_has_ended_tells_of_the_bytes_that_it_read(source, destination, attempt):
    original, twin = source.add_disk(shaped("d0d0")), destination.add_disk(bytes(4 * BLOCK))
    export(source, attempt, original)
    copy(source, destination, attempt, original, twin)
    job = ScanJob(attempt, twin, Coverage.COPIED)
    destination.host.start(job)
    state = destination.await_end(job.unit)
    assert (state.done_bytes, state.total_bytes) == (2 * BLOCK, 2 * BLOCK)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_old_data_is_overwritten_where_the_source_has_zeroes(source, destination, attempt, compression):
    content = shaped("00d0000d" * 8)
    original = source.add_disk(content)
    twin = destination.add_disk(shaped("d" * 64, seed=1))
    export(source, attempt, original, compression)
    assert copy(source, destination, attempt, original, twin, compression).status is JobStatus.DONE
    assert destination.content(twin) == content


def test_what_compresses_is_small_on_the_wire(source, destination, attempt):
    content = shaped("1" * 300)
    original = source.add_disk(content)
    twin = destination.add_disk(bytes(len(content)))
    export(source, attempt, original, Compression.ZSTD)
    result = copy(source, destination, attempt, original, twin, Compression.ZSTD).result
    assert result.wire_bytes < len(content) / 50
    assert destination.content(twin) == content


def test_little_data_is_not_worth_a_measurement(source, destination, attempt):
    original = source.add_disk(shaped("1d"))
    twin = destination.add_disk(bytes(2 * BLOCK))
    export(source, attempt, original, Compression.AUTO)
    result = copy(source, destination, attempt, original, twin, Compression.AUTO).result
    assert (result.method, result.reason) == ("stream", "there is little to copy")


@pytest.mark.parametrize(("limit_mb_s", "shape", "method"), [(8, "1", "zstd"), (8, "d", "stream")])
def test_link_and_data_decide_whether_to_compress(source, destination, attempt, limit_mb_s, shape, method):
    content = shaped(shape * 1100)  # 69 MiB
    original = source.add_disk(content)
    twin = destination.add_disk(bytes(len(content)))
    export(source, attempt, original, Compression.AUTO)
    destination.host.start(tunnel(source, attempt, original, streams=True, limit_bytes_s=limit_mb_s * 1e6))
    job = CopyJob(attempt, original, twin, Compression.AUTO)
    destination.host.start(job)
    result = destination.await_end(job.unit).result
    assert result.method.startswith(method)
    measured = float(re.search(r"carries (\S+) MB/s", result.reason)[1])
    assert limit_mb_s * 0.7 < measured < limit_mb_s * 1.3, result.reason
    assert result.wire_bytes / result.seconds < limit_mb_s * 1.1e6
    assert destination.content(twin) == content


def test_all_tunnels_of_a_host_share_the_limit(source, destination, attempt):
    contents = [shaped("d" * 100, seed=n) for n in range(2)]
    originals = [source.add_disk(c) for c in contents]
    twins = [destination.add_disk(bytes(len(c))) for c in contents]
    others = [attempt, AttemptId(attempt[::-1])]
    jobs = []
    began = time.monotonic()
    for one, original, twin in zip(others, originals, twins, strict=True):
        export(source, one, original)
        destination.host.start(tunnel(source, one, original, limit_bytes_s=4e6))
        jobs.append(CopyJob(one, original, twin))
        destination.host.start(jobs[-1])
    states = [destination.await_end(job.unit) for job in jobs]
    assert [state.status for state in states] == [JobStatus.DONE] * 2
    assert 2 * len(contents[0]) / (time.monotonic() - began) < 4.1e6
    assert [destination.content(t) for t in twins] == contents


def test_compressed_copy_whose_link_breaks_goes_on_where_it_was(source, destination, attempt):
    original = source.add_disk(shaped("d" * 512))
    twin = destination.add_disk(bytes(512 * BLOCK))
    export(source, attempt, original, Compression.AUTO)
    link = tunnel(source, attempt, original, streams=True, limit_bytes_s=5e6)
    destination.host.start(link)
    job = CopyJob(attempt, original, twin, Compression.ZSTD)
    destination.host.start(job)
    reached = await_progress(destination, job)
    destination.root("kill", "-KILL", destination.pid(link.unit))
    again = 0
    while (state := destination.host.state(job.unit)).status is JobStatus.RUNNING:
        again += bool(state.trouble)
        assert state.done_bytes >= reached
        time.sleep(0.1)
    assert state.status is JobStatus.DONE, state
    assert again
    assert state.result.wire_bytes < 512 * BLOCK  # what came before the break came once
    assert destination.content(twin) == source.content(original)


def test_two_disks_share_a_tunnel(source, destination, attempt):
    contents = [shaped("d0d", seed=1), shaped("0dd0", seed=2)]
    originals = [source.add_disk(c) for c in contents]
    twins = [destination.add_disk(bytes(len(c))) for c in contents]
    for original in originals:
        export(source, attempt, original)
    destination.host.start(tunnel(source, attempt, *originals))
    jobs = [CopyJob(attempt, o, t) for o, t in zip(originals, twins, strict=True)]
    for job in jobs:
        destination.host.start(job)
    assert [destination.await_end(job.unit).status for job in jobs] == [JobStatus.DONE] * 2
    assert [destination.content(t) for t in twins] == contents


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.AUTO])
def test_copy_onto_a_smaller_volume_fails_before_it_writes(source, destination, attempt, compression):
    original = source.add_disk(shaped("dddd"))
    twin = destination.add_disk(bytes(2 * BLOCK))
    export(source, attempt, original, compression)
    state = copy(source, destination, attempt, original, twin, compression)
    assert state.status is JobStatus.FAILED
    assert "too small" in state.error
    assert destination.content(twin) == bytes(2 * BLOCK)


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.AUTO])
def test_copy_fails_where_the_storage_runs_full(source, destination, attempt, tmp_path, compression):
    content = shaped("d" * 256)
    original = source.add_disk(content)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={8 * 1024 * 1024}", "tmpfs", tmp_path], check=True)
    try:
        thin = tmp_path / "disk"
        thin.touch()
        os.truncate(thin, len(content))
        twin = destination.add_file(thin)
        export(source, attempt, original, compression)
        state = copy(source, destination, attempt, original, twin, compression)
        assert state.status is JobStatus.FAILED
        assert ("nbdcopy" in state.error) == (compression is Compression.NONE)
        assert "Input/output error" in state.error or "No space" in state.error
        destination.release()
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def start_slow_copy(source, destination, attempt):
    """Begin a copy of 32 MiB that takes 6 s; return it with its tunnel when some of it is written."""
    original = source.add_disk(shaped("d" * 512))
    twin = destination.add_disk(bytes(512 * BLOCK))
    scan(source, attempt, original)
    unit = unit_of(ExportJob(attempt, original), AGENT_PATH)
    at = unit.argv.index("--filter=extentlist")
    slowly = (*unit.argv[:at], "--filter=rate", *unit.argv[at:], "rate=40M")  # bits a second
    source.host._ask("start", asdict(replace(unit, argv=slowly)))
    link = tunnel(source, attempt, original)
    destination.host.start(link)
    job = CopyJob(attempt, original, twin)
    destination.host.start(job)
    await_progress(destination, job)
    return job, link


def await_progress(destination, job):
    deadline = time.monotonic() + 30
    while not (done := destination.host.state(job.unit).done_bytes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return done


def assert_begun_anew(source, destination, job):
    """Check that a copy got over its trouble, and told of it."""
    deadline = time.monotonic() + 60
    while not (state := destination.host.state(job.unit)).trouble:
        assert state.status is JobStatus.RUNNING, state
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state.trouble.startswith("the link broke, the copy begins anew")
    end = destination.await_end(job.unit)
    assert end.status is JobStatus.DONE
    assert end.trouble.startswith("the link broke, the copy begins anew")
    assert destination.content(job.volume_id) == source.content(job.source_id)


def test_copy_whose_tunnel_is_killed_begins_anew(source, destination, attempt):
    job, link = start_slow_copy(source, destination, attempt)
    destination.root("kill", "-KILL", destination.pid(link.unit))
    assert_begun_anew(source, destination, job)


def test_copy_whose_export_is_killed_begins_anew(source, destination, attempt):
    job, _ = start_slow_copy(source, destination, attempt)
    source.root("kill", "-KILL", source.pid(ExportJob(attempt, job.source_id).unit))
    assert_begun_anew(source, destination, job)


def logins(source):
    """Return the processes of sshd that serve somebody who is logged in."""
    return set(source.root("pgrep", "-f", "^sshd: migrator").split())


def test_copy_whose_tunnel_goes_silent_begins_anew(source, destination, attempt):
    """Stop the far end of the tunnel without closing it: only the keepalive of ssh can notice that."""
    before = logins(source)
    job, _ = start_slow_copy(source, destination, attempt)
    silent = logins(source) - before
    source.root("kill", "-STOP", *silent)
    try:
        assert_begun_anew(source, destination, job)
    finally:
        source.root("kill", "-KILL", *silent)


def test_copy_whose_source_cannot_be_read_fails_at_once(source, destination, attempt):
    original = source.add_disk(shaped("d" * 8))
    twin = destination.add_disk(bytes(8 * BLOCK))
    scan(source, attempt, original)
    unit = unit_of(ExportJob(attempt, original), AGENT_PATH)
    at = unit.argv.index("--filter=extentlist")
    unreadable = (*unit.argv[:at], "--filter=error", *unit.argv[at:], "error-pread=EIO", "error-pread-rate=1")
    source.host._ask("start", asdict(replace(unit, argv=unreadable)))
    state = copy(source, destination, attempt, original, twin)
    assert state.status is JobStatus.FAILED
    assert "Input/output error" in state.error
    assert state.trouble == ""


def test_scan_fails_where_the_host_has_no_room_for_its_findings(source, attempt):
    job = ScanJob(attempt, source.add_disk(shaped("d0" * 600)))
    directory = f"/run/os-migrate/{attempt}"
    source.root("mkdir", "-p", directory)
    source.root("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", directory)
    try:
        state = start_and_await(source, job)
    finally:
        source.host.stop(job.unit)
        source.root("umount", directory)
        source.root("rmdir", directory)
    assert "No space left on device" in state


def test_start_on_a_host_whose_disk_is_full_leaves_nothing(source, attempt):
    job = ScanJob(attempt, source.add_disk(shaped("d")))
    source.host.facts()  # the agent is there
    source.root("mount", "-o", "remount,size=4m", "/run")
    source.root("sh", "-c", "dd if=/dev/zero of=/run/filler bs=4k 2>/dev/null; true")
    try:
        with pytest.raises(TransferError, match="No space left on device"):
            source.host.start(job)
        source.host.stop(job.unit)
    finally:
        source.root("rm", "/run/filler")
        source.root("mount", "-o", "remount,size=50%", "/run")
    assert source.root("find", "/run/os-migrate", "-path", f"*{attempt}*") == ""


def start_and_await(machine, job):
    """Return how a job fails: as its start, or later."""
    try:
        machine.host.start(job)
    except HostError as error:
        return str(error)
    state = machine.await_end(job.unit)
    assert state.status is JobStatus.FAILED
    return state.error


def test_source_volume_cannot_be_written_on_its_host(source):
    volume = source.add_disk(shaped("d"))
    source.host.await_device(volume, 5, read_only=True)
    before = source.content(volume)
    write = ["dd", "if=/dev/zero", f"of={source.loops[-1]}", "bs=512", "count=1", "oflag=direct"]
    assert source.ssh.run(["sudo", "-n", *write], timeout_s=20).returncode != 0
    assert source.content(volume) == before


def test_dead_tunnel_comes_back(source, destination, attempt):
    original = source.add_disk(shaped("d0"))
    export(source, attempt, original)
    link = tunnel(source, attempt, original)
    destination.host.start(link)
    ssh = destination.pid(link.unit)
    destination.root("kill", "-KILL", ssh)
    deadline = time.monotonic() + 20
    while destination.pid(link.unit) in ("0", ssh):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    twin = destination.add_disk(bytes(2 * BLOCK))
    job = CopyJob(attempt, original, twin)
    destination.host.start(job)
    assert destination.await_end(job.unit).status is JobStatus.DONE


def test_export_that_was_killed_serves_again(source, destination, attempt):
    original = source.add_disk(shaped("d0d"))
    export(source, attempt, original)
    unit = ExportJob(attempt, original).unit
    source.root("kill", "-ABRT", source.pid(unit))
    twin = destination.add_disk(bytes(3 * BLOCK))
    assert copy(source, destination, attempt, original, twin).status is JobStatus.DONE


def test_export_is_read_only(source, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    uri = f"nbd+unix:///?socket={socket_path(attempt, original)}"
    assert "is_read_only: true" in source.root("nbdinfo", uri)


def test_export_can_be_opened_by_the_ssh_user_and_by_nobody_else(source, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    socket = socket_path(attempt, original)
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{socket}')"
    assert source.ssh.run(["python3", "-c", connect], timeout_s=20).returncode == 0
    as_nobody = ["sudo", "-n", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", connect]
    refused = source.ssh.run(as_nobody, timeout_s=20)
    assert refused.returncode == 1
    assert b"Permission denied" in refused.stderr
    assert source.root("stat", "-c", "%U %a", socket) == "migrator 600"


def test_nobody_but_root_reads_the_files_of_an_attempt(source, attempt):
    original = source.add_disk(shaped("d"))
    scan(source, attempt, original)
    assert source.root("stat", "-c", "%U %a", extents_path(attempt, original)) == "root 600"
    assert source.ssh.run(["ls", f"/run/os-migrate/{attempt}"], timeout_s=20).returncode != 0


def test_link_key_opens_sockets_and_runs_no_command(source, destination):
    link = str(destination.directory / "link.key")
    known = f"UserKnownHostsFile={source.target.known_hosts_path}"
    login = ["ssh", "-F", "none", "-i", link, "-p", str(source.port), "-l", "migrator", "-o", known]
    login += ["-o", "HostKeyAlias=source", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    done = subprocess.run([*login, "127.0.0.1", "id"], capture_output=True, timeout=20, check=False)
    assert done.stdout.split()[0] == b"127.0.0.1"  # where it comes from, and nothing that `id` says


def test_new_link_key_replaces_the_old_one(source):
    def mine():
        return [line for line in keys.read_text().splitlines() if line.endswith("os-migrate-link")]

    keys = source.directory / "home/.ssh/authorized_keys"
    before = keys.read_text()
    old = mine()[0].split()[-2]
    source.host.authorize_link("ssh-ed25519 AAAAnew somebody@somewhere", None)
    source.host.authorize_link("ssh-ed25519 AAAAnew somebody@somewhere", None)
    assert [line.split()[-2] for line in mine()] == ["AAAAnew"]
    source.host.authorize_link(f"ssh-ed25519 {old}", "127.0.0.1/32")
    assert keys.read_text() == before


def test_tunnel_that_the_source_refuses_says_why_and_leaves_nothing(source, destination, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    job = tunnel(source, attempt, original, user="stranger")
    with pytest.raises(TransferError, match="Permission denied"):
        destination.host.start(job)
    assert destination.host.state(job.unit).status is JobStatus.ABSENT
    assert destination.pid(job.unit) == "0"


def test_tunnel_to_an_export_that_is_not_there_fails(source, destination, attempt):
    job = tunnel(source, attempt, VolumeId("not-exported-at-all-"))
    unit = replace(unit_of(job, AGENT_PATH), ready_s=5)
    with pytest.raises(HostError, match="nothing answers"):
        destination.host._ask("start", asdict(unit))
    assert destination.host.state(job.unit).status is JobStatus.ABSENT


def test_start_twice_is_one_unit(source, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    job = ExportJob(attempt, original)
    pid = source.pid(job.unit)
    source.host.start(job)
    assert source.pid(job.unit) == pid != "0"


def test_job_that_ended_is_not_started_again(source, attempt):
    original = source.add_disk(shaped("d"))
    first = scan(source, attempt, original)
    source.host.start(ScanJob(attempt, original))
    assert source.host.state(ScanJob(attempt, original).unit).result == first


def test_failed_job_keeps_its_error_until_it_is_stopped(destination, attempt):
    job = ScanJob(attempt, VolumeId("no-such-volume-on-this-host"))
    destination.host.start(job)
    state = destination.await_end(job.unit)
    assert state.status is JobStatus.FAILED
    assert "no disk of this host has the serial" in state.error
    destination.host.stop(job.unit)
    assert destination.host.state(job.unit).status is JobStatus.ABSENT


def test_export_without_a_scan_says_what_it_lacks_and_leaves_nothing(source, attempt):
    original = source.add_disk(shaped("d"))
    job = ExportJob(attempt, original)
    with pytest.raises(TransferError, match="extents"):
        source.host.start(job)
    assert source.host.state(job.unit).status is JobStatus.ABSENT


def test_stop_ends_an_nbdkit_that_ignores_sigterm(source, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    unit = ExportJob(attempt, original).unit
    pid = source.pid(unit)
    source.root("kill", "-STOP", pid)  # a stopped process takes no SIGTERM
    source.host.stop(unit)
    assert source.ssh.run(["sudo", "-n", "kill", "-0", pid], timeout_s=20).returncode == 1
    assert source.host.state(unit).status is JobStatus.ABSENT


def test_stop_of_what_is_not_there_is_fine(source):
    source.host.stop("os-migrate-never-was")


def test_last_stop_removes_the_directory_of_the_attempt(source, attempt):
    original = source.add_disk(shaped("d"))
    export(source, attempt, original)
    for job in (ExportJob(attempt, original), ScanJob(attempt, original)):
        assert source.root("ls", f"/run/os-migrate/{attempt}")
        source.host.stop(job.unit)
    assert source.root("find", "/run/os-migrate", "-name", attempt) == ""


def test_device_that_never_comes_is_named(source):
    with pytest.raises(HostError, match="11111111-2222-3333-4444-555555555555"):
        source.host.await_device(VolumeId("11111111-2222-3333-4444-555555555555"), 0.3, read_only=True)


def test_device_is_found_by_serial_with_its_size(source):
    source.add_disk(bytes(BLOCK))
    wanted = source.add_disk(bytes(3 * BLOCK))
    source.add_disk(bytes(2 * BLOCK))
    assert source.host.await_device(wanted, 5, read_only=False) == 3 * BLOCK


def test_mounted_destination_is_not_overwritten(source, destination, attempt, tmp_path):
    original = source.add_disk(shaped("d" * 64))
    twin = destination.add_disk(bytes(64 * BLOCK))
    subprocess.run(["mkfs.ext4", "-q", destination.loops[-1]], check=True)
    subprocess.run(["mount", destination.loops[-1], tmp_path], check=True)
    try:
        export(source, attempt, original)
        state = copy(source, destination, attempt, original, twin)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert state.status is JobStatus.FAILED
    assert "busy" in state.error


def test_host_with_all_tools_lacks_nothing_and_installs_nothing(source):
    facts = source.host.facts()
    assert facts.missing == ()
    versions = dict(facts.tools)
    assert versions["nbdkit-file-plugin"] == versions["nbdkit"]
    assert "." in versions["zstd"]
    assert dict(source.host.tools())["nbdkit"] == dict(facts.tools)["nbdkit"]
    source.host.install_packages()


def test_script_of_the_operator_runs_and_its_failure_is_told(source):
    assert source.host.run_script("echo it runs as $(id -un)") == "it runs as migrator\n"
    with pytest.raises(HostError, match="ended with 3: no luck"):
        source.host.run_script("echo no luck >&2; exit 3")


@pytest.mark.parametrize("ruin", ["rm", "truncate --size=0", "truncate --size=100"])
def test_agent_that_is_gone_or_was_compiled_by_another_python_is_put_there_again(source, ruin):
    source.host.facts()
    if ruin != "rm":
        source.root("dd", "if=/dev/zero", f"of={AGENT_PATH}", "bs=4", "count=1", "conv=notrunc")
    source.root(*ruin.split(), AGENT_PATH)
    source.host.close()
    assert source.host.facts().missing == ()


def test_link_files_are_for_root_alone(destination):
    for name in ("link.key", "known_hosts"):
        assert destination.root("stat", "-c", "%U %a", f"/etc/os-migrate/{name}") == "root 600"
