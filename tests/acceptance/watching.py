"""What others could see while something goes on: the command lines of all processes, here and on the conversion hosts."""

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import scenario
from tests.acceptance.operating import Done, Operator

HOSTS = {"source": "os_migrate_conv_src", "destination": "os_migrate_conv_dst"}
PAUSE_S = 0.25


@dataclass
class Seen:
    """The command lines that were seen, and how often somebody looked."""

    lines: set[bytes] = field(default_factory=set)
    looks: int = 0

    def add(self, cmdlines: set[bytes]) -> None:
        self.lines |= cmdlines
        self.looks += 1


@dataclass(frozen=True)
class Deployed:
    """What `hosts deploy` said, and what could be seen on this machine meanwhile."""

    operator: Operator
    done: Done
    seen: Seen


def cmdlines() -> set[bytes]:
    """Return the command lines of all processes of this machine, those in containers among them."""
    found = set()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(process.read_bytes())
        except OSError:  # it has ended
            continue
    return found


@contextmanager
def watching_this_machine() -> Iterator[Seen]:
    """Look at this machine's processes several times a second."""
    seen = Seen()
    over = threading.Event()

    def look() -> None:
        while not over.wait(PAUSE_S):
            seen.add(cmdlines())

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield seen
        finally:
            over.set()
            looking.result()


@contextmanager
def watching_host(operator: Operator, cloud: Any, side: str) -> Iterator[Seen]:
    """Look at a conversion host's processes about once a second."""
    # It ends with its connection: nothing can be written then.
    script = "for _ in $(seq 1500); do cat /proc/[0-9]*/cmdline 2>/dev/null; echo LOOKED || exit; sleep 1; done\n"
    seen = Seen()
    with tempfile.TemporaryFile() as found:
        argv = ssh_to_host(operator, cloud, HOSTS[side])
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=found) as looking:
            assert looking.stdin is not None
            looking.stdin.write(script.encode())
            looking.stdin.close()
            try:
                yield seen
            finally:
                looking.terminate()
        found.seek(0)
        for look in found.read().split(b"LOOKED\n")[:-1]:
            seen.add({look})


def on_host(operator: Operator, cloud: Any, name: str, script: str) -> bytes:
    """Run a script as the SSH user of a conversion host."""
    argv = ssh_to_host(operator, cloud, name)
    return subprocess.run(argv, input=script.encode(), capture_output=True, check=True, timeout=120).stdout


def ssh_to_host(operator: Operator, cloud: Any, name: str) -> list[str]:
    """Return the command that runs, as the SSH user of a conversion host, the script on its stdin."""
    (server,) = [s for s in cloud.compute.servers() if s.name == name]
    conversion = operator.data_dir / "conversion"
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={conversion / 'known_hosts'}"]
    argv = ["ssh", "-F", "none", "-i", str(conversion / "ssh.key"), "-o", f"HostKeyAlias={server.id}"]
    argv += [word for option in options for word in ("-o", option)]
    return [*argv, f"cloud-user@{scenario.guest_of(cloud, server).address}", "sh -s"]


def private_keys(operator: Operator) -> list[bytes]:
    """Return the lines of a deployment's private keys."""
    lines = [line for key in (operator.data_dir / "conversion").glob("*.key") for line in key.read_text().splitlines()]
    return [line.encode() for line in lines if len(line) > 40 and not line.startswith("-----")]
