"""Parts of a disk as read-only block devices that vanish with their last user, killed or not."""

import contextlib
import itertools
import os
import subprocess
from typing import Iterator, List, Tuple

from os_migrate_agent.blocks import Extent, open_uncached
from os_migrate_agent.process import AgentError, run, tail
from os_migrate_agent.reading import Unproven

SECTOR = 512  # unit of the device mapper
LIMIT_S = 60
LOOP_CONTROL = "/dev/loop-control"
MAPPER_CONTROL = "/dev/mapper/control"

_numbers = itertools.count()


@contextlib.contextmanager
def view(device: str, runs: List[Extent]) -> Iterator[str]:
    """Make some ranges of a disk, one after the other, a device of their own for a while; raise Unproven if it can't be.

    It is asked to go at once, while it is open here: the kernel then removes it when nobody has it open any more.
    """
    held = None
    try:
        path, remove = _loop(device, runs[0]) if len(runs) == 1 else _mapped(device, runs)
        try:
            held = open_uncached(path, os.O_RDONLY)  # a loop device may remember what it showed last
        finally:
            run(remove, timeout_s=LIMIT_S)
    except (AgentError, OSError) as fault:
        if held is not None:
            os.close(held)
        raise Unproven(str(fault)) from fault
    try:
        yield path
    finally:
        os.close(held)


def _loop(device: str, extent: Extent) -> Tuple[str, List[str]]:
    _load("loop", LOOP_CONTROL)
    offset, length = extent
    wanted = ["--read-only", "--offset", str(offset), "--sizelimit", str(length)]
    path = run(["losetup", *wanted, "--find", "--show", device], timeout_s=LIMIT_S).strip()
    return path, ["losetup", "--detach", path]


def _load(module: str, node: str) -> None:
    """Load what a device node belongs to: the kernel does so by itself only where systemd has made the node beforehand."""
    if not os.path.exists(node):
        run(["modprobe", "--quiet", module], check=False, timeout_s=LIMIT_S)


def _mapped(device: str, runs: List[Extent]) -> Tuple[str, List[str]]:
    """Join several ranges; the kernel must have a device mapper for it."""
    _load("dm_mod", MAPPER_CONTROL)
    name = f"os-migrate-{os.getpid()}-{next(_numbers)}"
    rows = []
    at = 0
    for offset, length in runs:
        rows.append(f"{at // SECTOR} {length // SECTOR} linear {device} {offset // SECTOR}\n")
        at += length
    argv = ["dmsetup", "create", "--readonly", name]
    try:
        done = subprocess.run(
            argv,
            input="".join(rows).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=LIMIT_S,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as fault:
        raise AgentError(f"dmsetup: {fault}") from None
    if done.returncode != 0:
        raise AgentError(f"its pieces can't be joined: dmsetup ended with {done.returncode}: {tail(done.stderr)}")
    return "/dev/mapper/" + name, ["dmsetup", "remove", "--deferred", name]
