"""A conversion host, as the engine sees it: `world.Host` over SSH and the agent.

    RemoteHost ── Ssh ──> sudo python3 agent.zip talk      a line of JSON out, a line of JSON back

The agent (`os_migrate_agent`) is put on the host when it isn't there yet.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from os_migrate.errors import AccessRefused, HostError, HostUnreachable, OSMigrateError, TransferError
from os_migrate.hosts.archive import AGENT_PATH, ARCHIVE, PUT
from os_migrate.hosts.packages import HostFacts, install_commands
from os_migrate.model import AttemptId, ServerId, VolumeId
from os_migrate.nbd import CopyResult, DiskPart, HostedAttempt, Job, JobResult, JobState, JobStatus, ScanResult
from os_migrate.ssh import SSH_FAILED, Completed, Program, ProgramEnded, Ssh
from os_migrate.units import LINK_KEY, LINK_KNOWN_HOSTS, PYTHON, READY_S, unit_of

LINK_MARK: Final = "os-migrate-link"
"""The comment by which our line in authorized_keys is known."""

LINK_OPTIONS: Final = 'restrict,port-forwarding,command="echo $SSH_CONNECTION"'
"""The link's key can forward, and nothing else: no command, no terminal, no agent. It is told where it comes from.

A `permitopen` that would close TCP ports too closes the sockets of the exports as well: OpenSSH 9.2 holds paths against that
same list, which can't name one ("Received request to connect to path ..., but the request was denied").
"""

CONVERSATIONS: Final = 6
"""Agents that are talked with at a time, so that a job that is slow to start holds up no other workload: each is one of the
sessions that the connection has (`ssh.SESSIONS`)."""

ANSWER_S: Final = READY_S + 30.0
"""What a verb of the agent may take: a start waits for its sockets."""

REMEDY: Final = "see `os-migrate hosts check`, and `journalctl` on that host"

INSTALL_S: Final = 1800.0
"""What a package manager, or an operator's hook, may take on a slow mirror."""


class RemoteHost:
    """A conversion host over SSH."""

    def __init__(self, name: str, server_id: ServerId, ssh: Ssh) -> None:
        self._name = name
        self._server_id = server_id
        self._ssh = ssh
        self._lock = threading.Lock()
        self._conversations = threading.BoundedSemaphore(CONVERSATIONS)
        self._idle: list[Program] = []
        self._held: set[AttemptId] = set()

    @property
    def name(self) -> str:
        """Return the server's name."""
        return self._name

    @property
    def server_id(self) -> ServerId:
        """Return the server that this host is."""
        return self._server_id

    @property
    def address(self) -> str:
        """Return the address at which the other conversion host reaches this one over SSH."""
        return self._ssh.target.address

    def close(self) -> None:
        """End the connection. Jobs go on."""
        self._hang_up()
        self._ssh.close()

    # Jobs ------------------------------------------------------------------------------------------------------------

    def await_device(self, volume_id: VolumeId, timeout_s: float, *, read_only: bool) -> int:
        """Wait until the guest sees the volume, by its serial; return its size in bytes. Let nobody there write to it, if so asked.

        Raises:
            HostError: it doesn't, within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            # In parts: an SSH command that waits for minutes could not be told from a host that hangs.
            wait_s = max(0.0, min(20.0, deadline - time.monotonic()))
            request = {"volume_id": volume_id, "timeout_s": wait_s, "read_only": read_only}
            size: int | None = self._ask("device", request)["size_bytes"]
            if size is not None:
                return size
            if time.monotonic() >= deadline:
                raise HostError(
                    f"{self.name}: no disk has the serial of volume {volume_id} after {timeout_s:g} s",
                    remedy=f"see on the host whether `lsblk -o NAME,SERIAL` shows {volume_id[:20]}; hosts need virtio or SCSI",
                )

    def start(self, job: Job) -> None:
        """Start a job; one of that name that runs or has ended is left as it is.

        Raises:
            TransferError: it didn't come up; nothing of it is left.
        """
        try:
            self._ask("start", asdict(unit_of(job, AGENT_PATH)))
        except (HostUnreachable, AccessRefused):
            raise
        except HostError as error:
            raise TransferError(f"{job.unit}: {error.what}", remedy=error.remedy) from None

    def state(self, unit: str) -> JobState:
        """Return how far a job is; one that was never started, or was stopped, is ABSENT."""
        return job_state(self._ask("state", {"name": unit}))

    def stop(self, unit: str) -> None:
        """Stop a job and forget it; one that isn't there is fine."""
        self._ask("stop", {"name": unit})

    def hold(self, attempt: AttemptId) -> None:
        """Let whoever asks this host know that an attempt is worked on, for as long as this process lives."""
        with self._lock:
            self._held.add(attempt)  # every conversation from now on holds it; and one that there is
        self._ask("hold", {"attempt": attempt})

    def attempts(self) -> Sequence[HostedAttempt]:
        """Return what attempts have on this host."""
        found = self._ask("attempts", {})
        return [HostedAttempt(AttemptId(a), tuple(said["units"]), said["held"]) for a, said in found.items()]

    # Deployment ------------------------------------------------------------------------------------------------------

    def reachable(self) -> bool:
        """Say whether the host answers over SSH."""
        try:
            return self._ssh.run(["true"], timeout_s=30).returncode == 0
        except (HostUnreachable, AccessRefused):
            return False

    def await_reachable(self, timeout_s: float) -> None:
        """Wait until the host answers and lets us become root: while it boots, keys may come after sshd.

        Raises:
            HostUnreachable, AccessRefused: it doesn't within `timeout_s` seconds; says why it didn't at last.
            HostError: the SSH user can't become root without a password.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                done = self._ssh.run(["sudo", "-n", "true"], timeout_s=30)
            except (HostUnreachable, AccessRefused):
                if time.monotonic() >= deadline:
                    raise
            else:
                if done.returncode == 0:
                    return
                if time.monotonic() >= deadline:
                    raise HostError(
                        f"{self.name}: {self._ssh.target.user} can't become root: {done.last_words}",
                        remedy="the SSH user needs sudo without a password, as cloud images have it",
                    )
            time.sleep(2)

    def facts(self) -> HostFacts:
        """Return what this host is and which tools it has."""
        said = self._ask("facts", {})
        return HostFacts(
            os_id=said["os_id"],
            os_like=tuple(said["os_like"].split()),
            os_version=said["os_version"],
            python_version=said["python_version"],
            tools=tuple(said["tools"].items()),
        )

    def missing_tools(self) -> Sequence[str]:
        """Return the tools that this host lacks."""
        return self.facts().missing

    def tools(self) -> Sequence[tuple[str, str]]:
        """Return what this host works with, its system and Python among it: names with their versions."""
        return self.facts().versions

    def install_packages(self) -> None:
        """Install the tools that are missing; a host that has them needs no network.

        Raises:
            HostError: the system is of no family that we know, or the installation failed.
        """
        facts = self.facts()
        if not facts.missing:
            return
        missing = ", ".join(facts.missing)
        by_hand = f"install {missing} on {self.name} by hand, or take an image that has them"
        commands = install_commands(facts)
        if not commands:
            raise HostError(f"{self.name}: don't know how to install packages on {facts.os_id}", remedy=by_hand)
        for command in commands:
            argv = ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", *command]
            done = self._ssh.run(argv, timeout_s=INSTALL_S)
            if done.returncode != 0:
                raise HostError(f"{self.name}: {' '.join(command[:4])} failed: {done.last_words}", remedy=by_hand)
        if still := self.facts().missing:
            raise HostError(f"{self.name}: the packages of {facts.os_id} lack {', '.join(still)}", remedy=by_hand)

    def install_link(self, private_key: str, known_hosts: str) -> bool:
        """Put the link's private key and the source host's known key on this (the destination) host, for root alone.

        Return whether they weren't there before.
        """
        files = {LINK_KNOWN_HOSTS: known_hosts, LINK_KEY: private_key}
        changed = [self._ask("write", {"path": path, "text": text})["changed"] for path, text in files.items()]
        return any(changed)

    def allow_password(self, password: str | None, *, dry_run: bool) -> bool:
        """Let the SSH user, and nobody else, in by a password; None: by none any more. Return whether that changed anything, or would.

        Raises:
            HostError: the host has no such user, or its sshd does not take it.
        """
        request = {"user": self._ssh.target.user, "password": password, "dry_run": dry_run}
        return bool(self._ask("password", request)["changed"])

    def authorize_link(self, public_key: str, network: str | None) -> bool:
        """Let the link's key open the exports of this (the source) host, and nothing else; replace an older one.

        With a `network`, only from there. Return whether it wasn't so before.
        """
        file = ".ssh/authorized_keys"
        there = self._ssh.run(["cat", file], timeout_s=ANSWER_S)
        old = there.stdout.decode() if there.returncode == 0 else ""
        new = with_link_key(old, public_key, network)
        if new == old:
            return False
        write = f"umask 077 && mkdir -p .ssh && cat >{file}.new && mv {file}.new {file}"
        done = self._ssh.run(["sh", "-c", write], stdin=new.encode(), timeout_s=ANSWER_S)
        if done.returncode != 0:
            raise HostError(
                f"{self.name}: can't write {file}: {done.last_words}", remedy="mend the permissions of ~/.ssh there"
            )
        return True

    def run_script(self, text: str, *, as_root: bool = False) -> str:
        """Run a bash script, as the SSH user or as root; return what it printed.

        Raises:
            HostError: it ended with anything but 0.
        """
        argv = ["sudo", "-n", "bash", "-s"] if as_root else ["bash", "-s"]
        done = self._ssh.run(argv, stdin=text.encode(), timeout_s=INSTALL_S, repeatable=False)
        if done.returncode != 0:
            raise HostError(
                f"{self.name}: the script ended with {done.returncode}: {done.last_words}",
                remedy="mend the hook that the settings name, then run the same command again",
            )
        return done.stdout.decode(errors="replace")

    # The agent -------------------------------------------------------------------------------------------------------

    def _ask(self, verb: str, request: Mapping[str, object]) -> dict[str, Any]:
        """Let the agent do a verb. All verbs can be repeated without harm."""
        line = json.dumps({"verb": verb, **request}).encode()
        with self._conversations:
            try:
                said = self._say(line)
            except ProgramEnded as ended:
                if ended.completed.returncode != SSH_FAILED:  # the agent isn't there, or can't be read by this Python
                    self._put_agent()
                said = self._say_again(verb, line)
        answer: dict[str, Any] = json.loads(said)
        if "error" in answer:
            raise HostError(f"{self.name}: {verb} failed: {answer['error']}", remedy=REMEDY)
        return dict(answer["answer"])

    def _say(self, line: bytes) -> bytes:
        """Say a line to an agent that nobody else talks with, and return its answer."""
        with self._lock:
            talk = self._idle.pop() if self._idle else None
            held = sorted(self._held)
        talk = talk or self._ssh.open(["sudo", "-n", *PYTHON, AGENT_PATH, "talk", *held])
        try:
            said = talk.ask(line, ANSWER_S)
        except BaseException:
            talk.close()
            raise
        with self._lock:
            self._idle.append(talk)
        return said

    def _say_again(self, verb: str, line: bytes) -> bytes:
        self._hang_up()  # what broke one conversation broke the others
        try:
            return self._say(line)
        except ProgramEnded as ended:
            if ended.completed.returncode == SSH_FAILED:
                raise HostUnreachable(f"{self.name}: the connection broke twice", remedy=REMEDY) from None
            raise self._error(verb, ended.completed) from None

    def _hang_up(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for talk in idle:
            talk.close()

    def _put_agent(self) -> None:
        """Put the agent there."""
        done = self._ssh.run(["sudo", "-n", "sh", "-c", PUT], stdin=ARCHIVE, timeout_s=ANSWER_S)
        if done.returncode != 0:
            raise self._error("installation of the agent", done)

    def _error(self, verb: str, done: Completed) -> OSMigrateError:
        remedy = REMEDY
        if b"command not found" in done.stderr and b"python3" in done.stderr:
            remedy = f"install python3 on {self.name}"
        return HostError(f"{self.name}: {verb} failed: {done.last_words}", remedy=remedy)


def job_state(said: Mapping[str, Any]) -> JobState:
    """Turn the agent's answer into a state."""
    status = JobStatus(said["status"])
    if status is JobStatus.DONE:
        result = _result(said["result"])
        whole = result.used_bytes if isinstance(result, ScanResult) else result.wire_bytes
        return JobState(status, whole, whole, trouble=said.get("trouble", ""), result=result)
    done, total = said.get("done_bytes", 0), said.get("total_bytes", 0)
    return JobState(status, done, total, said.get("error", ""), said.get("trouble", ""))


def _result(said: Mapping[str, Any]) -> JobResult:
    if "digest" not in said:
        sent = said.get("sent")
        return CopyResult(**{**said, "sent": ScanResult(**sent) if sent else None})
    return ScanResult(**{**said, "parts": tuple(DiskPart(**part) for part in said["parts"])})


def with_link_key(authorized_keys: str, public_key: str, network: str | None) -> str:
    """Return an authorized_keys file with the link's key, restricted, in place of an older one of ours."""
    options = f'{LINK_OPTIONS},from="{network}"' if network else LINK_OPTIONS
    kind, key = public_key.split()[:2]
    others = [line for line in authorized_keys.splitlines() if not line.endswith(f" {LINK_MARK}")]
    return "\n".join([*others, f"{options} {kind} {key} {LINK_MARK}", ""])
