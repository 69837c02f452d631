"""The SSH client against a real sshd."""

import dataclasses
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from os_migrate.errors import AccessRefused, HostUnreachable
from os_migrate.ssh import Ssh

from .machine import make_key


@pytest.fixture
def connect(source):
    """Return a function that makes connections to the source host, with a changed target."""
    made = []

    def _connect(**changes):
        made.append(Ssh(dataclasses.replace(source.target, **changes)))
        return made[-1]

    yield _connect
    for ssh in made:
        ssh.close()


def masters(ssh: Ssh) -> list[str]:
    said = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines() if f"-S {ssh._socket} " in line and " -M " in line]


@pytest.mark.parametrize("word", ["two words", "$HOME", "`id`", "a;b|c&d", "'", '"', "", "-n", "*", "line\nbreak", "ü"])
def test_words_arrive_as_they_are(connect, word):
    assert connect().run(["printf", "%s", word], timeout_s=20).stdout.decode() == word


def test_stdin_output_and_status_are_the_commands(connect):
    done = connect().run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin=b"\0\1bytes" * 50_000, timeout_s=20)
    assert done.returncode == 3
    assert done.stdout == b"\0\1bytes" * 50_000
    assert done.stderr == b"oops\n"


def test_status_255_of_a_command_is_not_taken_for_a_broken_connection(connect):
    assert connect().run(["sh", "-c", "exit 255"], timeout_s=20).returncode == 255


def test_commands_share_one_login(connect, source):
    ssh = connect()
    ports = {ssh.run(["sh", "-c", "echo $SSH_CONNECTION"], timeout_s=20).stdout for _ in range(3)}
    assert len(ports) == 1


def test_threads_share_one_login(connect):
    ssh = connect()
    ports = []
    ask = ["sh", "-c", "sleep 0.2; echo $SSH_CONNECTION"]
    threads = [threading.Thread(target=lambda: ports.append(ssh.run(ask, timeout_s=60).stdout)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ports) == 20
    assert len(set(ports)) == 1


def test_unknown_host_key_is_refused(connect, tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(AccessRefused, match="has no host key for source") as caught:
        connect(known_hosts_path=tmp_path / "empty").run(["true"], timeout_s=20)
    assert "hosts deploy" in caught.value.remedy


def test_other_host_key_is_refused(connect, tmp_path):
    other = make_key(tmp_path / "other")
    (tmp_path / "known").write_text(f"source {' '.join(other.split()[:2])}\n")
    with pytest.raises(AccessRefused, match="another machine may be answering"):
        connect(known_hosts_path=tmp_path / "known").run(["true"], timeout_s=20)


def test_refused_key_is_told_apart(connect, tmp_path):
    make_key(tmp_path / "stranger")
    with pytest.raises(AccessRefused, match="does not accept the key") as caught:
        connect(key_path=tmp_path / "stranger").run(["true"], timeout_s=20)
    assert "os_migrate_conversion_host_ssh_user" in caught.value.remedy


def test_closed_port_is_unreachable_with_its_reason(connect):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(HostUnreachable, match="Connection refused") as caught:
            connect(port=free.getsockname()[1]).run(["true"], timeout_s=20)
    assert not isinstance(caught.value, AccessRefused)
    assert "security group" in caught.value.remedy


def test_slow_command_is_given_up(connect):
    with pytest.raises(HostUnreachable, match=r"no answer within 0\.5 s"):
        connect().run(["sleep", "30"], timeout_s=0.5)


def test_dead_master_is_replaced(connect):
    ssh = connect()
    assert ssh.run(["true"], timeout_s=20).returncode == 0
    for pid in masters(ssh):
        os.kill(int(pid), signal.SIGKILL)
    assert ssh.run(["echo", "back"], timeout_s=20).stdout == b"back\n"


def test_command_whose_connection_breaks_is_repeated_once(connect, source, tmp_path):
    ssh = connect()
    ssh.run(["true"], timeout_s=20)
    runs = source.directory / "home" / "runs"
    threading.Thread(target=lambda: (time.sleep(1), [os.kill(int(p), signal.SIGKILL) for p in masters(ssh)])).start()
    script = f"echo run >>{runs}; [ $(wc -l <{runs}) = 2 ] || sleep 30; echo done"
    assert ssh.run(["sh", "-c", script], timeout_s=60).stdout == b"done\n"


def test_command_that_must_not_be_repeated_is_not(connect, source):
    ssh = connect()
    ssh.run(["true"], timeout_s=20)
    runs = source.directory / "home" / "runs-once"
    threading.Thread(target=lambda: (time.sleep(1), [os.kill(int(p), signal.SIGKILL) for p in masters(ssh)])).start()
    with pytest.raises(HostUnreachable, match="the connection broke"):
        ssh.run(["sh", "-c", f"echo run >>{runs}; sleep 10"], timeout_s=60, repeatable=False)
    assert runs.read_text() == "run\n"


def test_close_ends_the_master_and_leaves_no_file(connect):
    ssh = connect()
    ssh.run(["true"], timeout_s=20)
    directory: Path = ssh._directory.path
    assert masters(ssh)
    assert directory.stat().st_mode & 0o777 == 0o700
    ssh.close()
    assert not directory.exists()
    said = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(directory) not in said
