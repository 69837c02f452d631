"""What ssh is told, and what its words mean. The connection itself is in tests/tools."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from os_migrate import ssh as module
from os_migrate.errors import AccessRefused, HostUnreachable
from os_migrate.ssh import Completed, SocketDirectory, Ssh, SshTarget

TARGET = SshTarget("cloud-user", "192.0.2.7", Path("/d/ssh.key"), Path("/d/known_hosts"), "server-id")


@pytest.fixture
def calls(monkeypatch):
    """Record what would be run; everything succeeds."""
    made = []

    def record(argv, stdin, timeout_s, **kwargs):
        made.append(list(argv))
        return Completed(0, b"", b"")

    monkeypatch.setattr(module, "_local", record)
    return made


@pytest.fixture
def ssh():
    connection = Ssh(TARGET)
    yield connection
    if connection._directory:
        connection._directory.remove()


def test_host_key_is_checked_against_one_file_under_one_name(calls, ssh):
    ssh.run(["true"], timeout_s=1)
    for argv in calls:
        assert "StrictHostKeyChecking=yes" in argv
        assert 'UserKnownHostsFile="/d/known_hosts"' in argv
        assert "GlobalKnownHostsFile=/dev/null" in argv
        assert "HostKeyAlias=server-id" in argv


def test_nothing_of_the_operators_own_ssh_is_used(calls, ssh):
    ssh.run(["true"], timeout_s=1)
    for argv in calls:
        assert argv[:3] == ["ssh", "-F", "none"]
        assert {"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "-a", "-x"} <= set(argv)


def test_path_of_the_master_socket_is_short_and_private(calls, ssh):
    ssh.run(["true"], timeout_s=1)
    assert len(str(ssh._socket)) + 17 < 108
    assert ssh._directory.path.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def short_path():
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def test_directory_that_a_killed_migrator_left_is_removed_and_no_other(short_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    alive = SocketDirectory()
    abandoned, strange = short_path / "osm-abandoned", short_path / "osm-strange"
    for directory in (abandoned, strange):
        directory.mkdir()
    (abandoned / "lock").touch()
    (abandoned / "socket").touch()
    new = SocketDirectory()
    assert sorted(short_path.iterdir()) == sorted([alive.path, new.path, strange])
    alive.remove()
    new.remove()
    assert list(short_path.iterdir()) == [strange]


def test_command_is_one_quoted_word_after_the_address(calls, ssh):
    ssh.run(["echo", "a b", "$c"], timeout_s=1)
    assert calls[-1][-3:] == ["--", "192.0.2.7", "echo 'a b' '$c'"]


def test_secret_given_on_stdin_is_in_no_command_line(calls, ssh):
    ssh.run(["cat"], stdin=b"secret", timeout_s=1)
    assert not any("secret" in word for argv in calls for word in argv)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", AccessRefused, "another machine"),
        (
            "No ED25519 host key is known for server-id and you have requested strict checking.",
            AccessRefused,
            "has no host key for server-id",
        ),
        ("cloud-user@192.0.2.7: Permission denied (publickey).", AccessRefused, "does not accept the key"),
        ("ssh: connect to host 192.0.2.7 port 22: Connection timed out", HostUnreachable, "timed out"),
        ("ssh: connect to host 192.0.2.7 port 22: No route to host", HostUnreachable, "No route"),
        ("", HostUnreachable, "no connection"),
    ],
)
def test_words_of_ssh_become_an_error_with_a_remedy(said, kind, words):
    error = Ssh(TARGET)._refusal(said)
    assert type(error) is kind
    assert words in error.what
    assert error.remedy


def test_master_that_hangs_is_replaced_and_does_not_keep_a_run_from_ending(calls, ssh, monkeypatch):
    ssh.run(["true"], timeout_s=1)
    ssh._socket.touch()
    recorded = module._local

    def hanging(argv, stdin, timeout_s, **kwargs):
        if "-O" in argv:
            raise subprocess.TimeoutExpired(argv, timeout_s)
        return recorded(argv, stdin, timeout_s, **kwargs)

    monkeypatch.setattr(module, "_local", hanging)
    assert ssh.run(["true"], timeout_s=1).returncode == 0
    assert sum("-M" in argv for argv in calls) == 2
    ssh._socket.touch()
    directory = ssh._directory.path
    ssh.close()
    assert not directory.exists()


def test_last_words_are_the_end_of_what_was_said():
    assert Completed(1, b"out", b"x" * 5000 + b"end\n").last_words.endswith("end")
    assert len(Completed(1, b"", b"x" * 5000).last_words) < 2000
    assert Completed(1, b"out\n", b"").last_words == "out"
