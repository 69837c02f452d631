"""The test bed: two hosts in namespaces of their own, the link between them, and a cloud for each."""

import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.account import Account
from bench.cloud import BenchCloud, await_detached
from bench.network import ADDRESS, NAMESPACE, network, remove_network
from lab.process import run
from os_migrate.model import Side
from tests.tools.machine import USER, Machine, make_key, start_machine

__all__ = ["USER", "Bed", "clean", "have_own_mounts", "open_bed"]

SSH_PORT: Final = 22
REACHABLE_S: Final = 30.0
CLONE_NEWNS: Final = 0x00020000  # linux/sched.h


@dataclass
class Bed:
    """Both sides, ready. `pids` are of a process in each host's network namespace."""

    work: Path
    machines: dict[Side, Machine]
    clouds: dict[Side, BenchCloud]
    accounts: dict[Side, Account]
    pids: dict[Side, int]

    def root(self, side: Side, *argv: str, timeout_s: float = 60.0) -> str:
        """Run a command as root on a host, over the migrator's SSH connection; return what it said."""
        done = self.machines[side].ssh.run(["sudo", "-n", *argv], timeout_s=timeout_s)
        if done.returncode != 0:
            raise RuntimeError(f"{argv[0]} on the {side} host ended with {done.returncode}: {done.last_words}")
        return done.stdout.decode().strip()

    def empty(self) -> None:
        """Detach and delete all volumes."""
        for cloud in self.clouds.values():
            cloud.empty()


@contextmanager
def open_bed(cache: Path, say: Callable[[str], None]) -> Iterator[Bed]:
    """Start both hosts; at the end, whatever happens, nothing of them is left."""
    clean(cache)
    work = work_dir(cache)
    work.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(clean, cache)
        say("starting two hosts and the link between them")
        stack.enter_context(network())
        bed = Bed(work, {}, {}, {}, {})
        for side in Side:
            _start(bed, side, stack)
        source, destination = (bed.machines[side] for side in Side)
        for machine in (source, destination):
            _await(machine)
        link_key = make_key(destination.directory / "link.key")
        source.host.authorize_link(link_key, f"{ADDRESS[Side.DESTINATION]}/32")
        key = (destination.directory / "link.key").read_text()
        destination.host.install_link(key, source.target.known_hosts_path.read_text())
        stack.callback(bed.empty)
        yield bed


def _start(bed: Bed, side: Side, stack: ExitStack) -> None:
    account = Account(side)
    account.open()
    within = (*account.enter(), "nsenter", f"--net=/run/netns/{NAMESPACE[side]}", "--")
    directory = bed.work / side
    process, machine = start_machine(directory, side, address=ADDRESS[side], port=SSH_PORT, within=within)
    stack.callback(_end, process, machine, account)
    storage = bed.work / f"{side}-volumes"
    storage.mkdir()
    bed.machines[side] = machine
    bed.accounts[side] = account
    bed.pids[side] = process.pid
    bed.clouds[side] = BenchCloud(side, directory / "by-id", storage)


def _end(process: subprocess.Popen[bytes], machine: Machine, account: Account) -> None:
    machine.host.close()
    account.close()
    process.wait()


def _await(machine: Machine) -> None:
    try:
        machine.host.await_reachable(REACHABLE_S)
    except Exception:
        print((machine.directory / "log").read_text(), file=sys.stderr)
        raise


def have_own_mounts() -> None:
    """Let no other process see what is mounted from now on: one that copied it would keep it mounted after its end."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace")
    run(["mount", "--make-rslave", "/"])


def work_dir(cache: Path) -> Path:
    """Return where a run keeps what it removes at its end."""
    return cache / "work"


def clean(cache: Path) -> None:
    """Remove all that a run, killed or not, has left: processes, loop devices, namespaces, links and files. Its mounts went with it."""
    for side in Side:
        Account(side).close()
    remove_network()
    for loop in json.loads(run(["losetup", "--list", "--json"]) or '{"loopdevices": []}')["loopdevices"]:
        if Path(loop["back-file"]).is_relative_to(cache):
            run(["losetup", "--detach", loop["name"]])
            await_detached(loop["name"])
    if work_dir(cache).exists():
        shutil.rmtree(work_dir(cache))
