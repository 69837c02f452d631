"""Commands on a conversion host, over one multiplexed connection of the OpenSSH client.

The only module that starts processes. A connection is made when it is first needed and kept by a master process of ssh's,
which later commands share: one login a host, not one a command.

    Ssh.run ── connected? ── no ──> ssh -M -N -f   (login; host key checked against the known one)
        │                             │
        └───── ssh -S control ────────┘──> sudo, python3, ... on the host
"""

import contextlib
import fcntl
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from os_migrate.errors import AccessRefused, HostError, HostUnreachable
from os_migrate.units import KEEPALIVE_COUNT, KEEPALIVE_INTERVAL_S

CONNECT_TIMEOUT_S: Final = 20
"""Under emulation a login takes ten seconds."""

DIRECTORY_PREFIX: Final = "osm-"

IDLE_S: Final = 120
"""The master of a migrator that was killed ends itself after this."""

SESSIONS: Final = 8
"""Commands at a time on a connection: sshd's MaxSessions is 10, and what goes beyond it is refused."""

SSH_FAILED: Final = 255
"""ssh's own exit code when it, not the command, failed; a command may use it as well."""


@dataclass(frozen=True)
class SshTarget:
    """Where a host is, and how it and we know each other. `host_key_alias` is its name in the known hosts file."""

    user: str
    address: str
    key_path: Path
    known_hosts_path: Path
    host_key_alias: str
    port: int = 22


@dataclass(frozen=True)
class Completed:
    """What a command left."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def last_words(self) -> str:
        """Return the end of what it said, for an error message."""
        said = self.stderr.strip() or self.stdout.strip()
        return said.decode(errors="replace")[-1500:]


class ProgramEnded(Exception):
    """The program, or the connection it was on, ended before it answered."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(completed.last_words)
        self.completed = completed


class Program:
    """A program on the host that answers each line with a line, until its stdin ends. For one thread at a time."""

    def __init__(self, command: Sequence[str], unreachable: Callable[[str], HostUnreachable]) -> None:
        self._unreachable = unreachable
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe that nobody reads would fill up)
        self._process = subprocess.Popen(  # noqa: S603 (a list of words, no shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
            start_new_session=True,
        )

    def ask(self, line: bytes, timeout_s: float) -> bytes:
        """Return the program's answer.

        Raises:
            ProgramEnded: it ended, or its connection did.
            HostUnreachable: no answer within `timeout_s` seconds.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None, "a pipe"
        assert stdout is not None, "a pipe"
        try:
            stdin.write(line + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        answer = b""
        deadline = time.monotonic() + timeout_s
        while not answer.endswith(b"\n"):
            if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise self._unreachable(f"no answer within {timeout_s:g} s")
            part = os.read(stdout.fileno(), 1 << 16)
            if not part:
                raise self._ended()
            answer += part
        return answer

    def close(self) -> None:
        """End the program."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None, "a pipe"
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()

    def _ended(self) -> ProgramEnded:
        returncode = self._process.wait()
        self._words.seek(0)
        return ProgramEnded(Completed(returncode, b"", self._words.read()))


class Ssh:
    """One host's connection. Threads may share it."""

    def __init__(self, target: SshTarget) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._sessions = threading.BoundedSemaphore(SESSIONS)
        self._directory: SocketDirectory | None = None

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float, repeatable: bool = True) -> Completed:
        """Run a command on the host: each word of `argv` arrives there as it is.

        A connection that broke is made anew, once, and the command repeated unless `repeatable` is False.

        Raises:
            HostUnreachable: no connection, it broke, or the command took more than `timeout_s` seconds.
            AccessRefused: the host's key isn't the known one, or the host refuses ours.
        """
        with self._sessions:
            done = self._run_once(argv, stdin, timeout_s)
            if done is None and repeatable:
                done = self._run_once(argv, stdin, timeout_s)
        if done is None:
            raise self._unreachable("the connection broke")
        return done

    def open(self, argv: Sequence[str]) -> Program:
        """Start a program on the host that answers lines.

        Raises:
            HostUnreachable: no connection.
            AccessRefused: the host's key isn't the known one, or the host refuses ours.
        """
        self._connect()
        return Program(self._command(argv), self._unreachable)

    def close(self) -> None:
        """End the connection; the next command makes a new one."""
        with self._lock:
            if self._directory is not None:
                self._control("exit")
                self._directory.remove()
                self._directory = None

    def _run_once(self, argv: Sequence[str], stdin: bytes, timeout_s: float) -> Completed | None:
        """Run a command; return None if the connection broke."""
        self._connect()
        try:
            done = _local(self._command(argv), stdin, timeout_s)
        except subprocess.TimeoutExpired:
            raise self._unreachable(f"{argv[0]} gave no answer within {timeout_s:g} s") from None
        if done.returncode < 0:  # a signal ended the client here
            return None
        if done.returncode != SSH_FAILED:
            return done
        with self._lock:
            return done if self._control("check") else None

    def _connect(self) -> None:
        """Log in, unless there is a living master."""
        with self._lock:
            if self._directory is None:
                self._directory = SocketDirectory()
            if self._control("check"):
                return
            self._socket.unlink(missing_ok=True)
            # The master inherits its stderr and outlives this call: a pipe would never end, a file does.
            with tempfile.TemporaryFile() as words:
                master = [
                    *self._client(),
                    "-M",
                    "-N",
                    "-f",
                    "-o",
                    f"ControlPersist={IDLE_S}",
                    "--",
                    self.target.address,
                ]
                try:
                    done = _local(master, b"", 3 * CONNECT_TIMEOUT_S, stderr=words)
                except subprocess.TimeoutExpired:
                    raise self._unreachable("the login took too long") from None
                words.seek(0)
                said = words.read().decode(errors="replace").strip()
            if done.returncode != 0:
                raise self._refusal(said)

    @property
    def _socket(self) -> Path:
        assert self._directory is not None, "set by _connect"
        return self._directory.path / "master"

    def _control(self, command: str) -> bool:
        """Give the master an order; return whether there was one to take it: one that hangs is none."""
        order = [*self._client(), "-O", command, "--", self.target.address]
        try:
            return self._socket.exists() and _local(order, b"", CONNECT_TIMEOUT_S).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _command(self, argv: Sequence[str]) -> list[str]:
        return [*self._client(), "-o", "ControlMaster=no", "-T", "--", self.target.address, shlex.join(argv)]

    def _client(self) -> list[str]:
        target = self.target
        options = {
            "BatchMode": "yes",
            "PreferredAuthentications": "publickey",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f'"{target.known_hosts_path}"',
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": target.host_key_alias,
            "UpdateHostKeys": "no",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ConnectTimeout": str(CONNECT_TIMEOUT_S),
            "ServerAliveInterval": str(KEEPALIVE_INTERVAL_S),
            "ServerAliveCountMax": str(KEEPALIVE_COUNT),
            "LogLevel": "ERROR",
        }
        return [
            *("ssh", "-F", "none", "-a", "-x", "-S", str(self._socket)),
            *("-i", str(target.key_path), "-p", str(target.port), "-l", target.user),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        ]

    def _unreachable(self, why: str) -> HostUnreachable:
        where = f"{self.target.user}@{self.target.address}:{self.target.port}"
        return HostUnreachable(
            f"{where}: {why}",
            remedy="check that the server runs, its address, and that its security group lets SSH in from here: if this"
            " machine's address has changed, `os-migrate hosts deploy` lets it in again",
        )

    def _refusal(self, said: str) -> HostError:
        """Return what ssh's words mean for the operator."""
        where = f"{self.target.user}@{self.target.address}:{self.target.port}"
        known_hosts, alias = self.target.known_hosts_path, self.target.host_key_alias
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said or "host key for" in said.lower():
            return AccessRefused(
                f"{where}: its host key is not the one in {known_hosts} for {alias}: another machine may be answering",
                remedy="if the host was rebuilt, delete and deploy it again; otherwise find out who answers there",
            )
        if "Host key verification failed" in said or "host key is known" in said:
            return AccessRefused(
                f"{where}: {known_hosts} has no host key for {alias}",
                remedy="deploy the host with `os-migrate hosts deploy`, or put its host key there under that name",
            )
        if "Permission denied" in said:
            return AccessRefused(
                f"{where}: the host does not accept the key {self.target.key_path} for {self.target.user}",
                remedy="check os_migrate_conversion_host_ssh_user and os_migrate_conversion_keypair_private_path",
            )
        return self._unreachable(said.splitlines()[-1] if said else "no connection")


class SocketDirectory:
    """A directory for the socket of a connection's master; those that killed migrators left are removed when one is made.

    Private (0700), and short: the path of a Unix socket has at most 108 bytes, of which ssh wants 17.
    """

    def __init__(self) -> None:
        usual, longest = tempfile.gettempdir(), 60
        parent = Path(usual if len(usual) < longest else "/tmp")  # noqa: S108 (mkdtemp makes it private)
        _remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX, dir=parent))
        new = self.path / "new"
        self._lock = new.open("w")  # it dies with this process, or is closed by `remove`
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        new.rename(self.path / "lock")  # held as soon as anybody can see it

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(parent: Path) -> None:
    """Remove the directories that nobody holds any more. One without a lock is just being made, or isn't ours."""
    for lock in parent.glob(f"{DIRECTORY_PREFIX}*/lock"):
        with contextlib.suppress(OSError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def _local(
    argv: Sequence[str], stdin: bytes, timeout_s: float, *, stderr: IO[bytes] | int = subprocess.PIPE
) -> Completed:
    """Run a process here, in a session of its own: a Ctrl-C is for the engine, which ends things in order."""
    done = subprocess.run(  # noqa: S603 (a list of words, no shell)
        argv,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=timeout_s,
        check=False,
        start_new_session=True,
    )
    return Completed(done.returncode, done.stdout, done.stderr or b"")
