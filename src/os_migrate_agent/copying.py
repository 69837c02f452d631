"""Copy an export onto a volume."""

import os
import stat
import subprocess
import time
from typing import Tuple

from os_migrate_agent.devices import device_of
from os_migrate_agent.files import RUN_DIR, Json, Progress
from os_migrate_agent.process import AgentError, run, tail
from os_migrate_agent.sockets import await_nbd, speaks_nbd

SOCKET_TIMEOUT_S = 60  # an SSH login takes ten seconds under emulation
LINK_TIMEOUT_S = 300  # a tunnel that broke is restarted as soon as the network lets it
COPY_TRIES = 5  # a copy whose link broke begins anew
LINK_WORDS = ("disconnect", "not connected", "reset by peer", "refused")  # libnbd's, of a server that is gone


def task_copy(state: str, volume_id: str, path: str) -> Json:
    """Copy the export behind a socket onto a volume, zeroes included, and prove that the storage took it.

    When the link breaks, wait until it is back, and begin anew.
    """
    began = time.monotonic()
    device = device_of(volume_id)
    # Opened before the copy: the kernel reports a lost write only to descriptors that were open at that time. On a
    # block device O_EXCL means that nothing else may have claimed it: no mount, no second copy.
    exclusive = os.O_EXCL if stat.S_ISBLK(os.stat(device).st_mode) else 0
    disk = os.open(device, os.O_RDWR | exclusive)
    size = os.lseek(disk, 0, os.SEEK_END)
    await_nbd([path], SOCKET_TIMEOUT_S, lambda: False)
    uri = "nbd+unix:///?socket=" + path
    source_size, data = _map_totals(uri)
    if source_size > size:
        raise AgentError(f"volume {volume_id} is too small: {size} bytes for a disk of {source_size}")
    progress = Progress(state, data)
    for left in reversed(range(COPY_TRIES)):
        try:
            _nbdcopy(uri, device, progress)
            break
        except AgentError as fault:
            broken = any(word in str(fault) for word in LINK_WORDS) or not speaks_nbd(path)
            if not (left and broken):
                raise
            progress.trouble = f"the link broke, the copy begins anew ({left} tries are left): {fault}"
            progress.tell(0)
            await_nbd([path], LINK_TIMEOUT_S, lambda: False)
    os.fsync(disk)
    os.close(disk)
    return {"copied_bytes": source_size, "wire_bytes": data, "seconds": time.monotonic() - began}


def _map_totals(uri: str) -> Tuple[int, int]:
    """Return the export's size, and how much of it is data."""
    rows = [line.split() for line in run(["nbdinfo", "--map", uri]).splitlines()]
    lengths = [(int(row[1]), int(row[2])) for row in rows if len(row) > 2]  # noqa: PLR2004 (offset, length, type, name)
    zero = 2  # NBD_STATE_ZERO
    return sum(length for length, _ in lengths), sum(length for length, kind in lengths if not kind & zero)


def _nbdcopy(uri: str, device: str, progress: Progress) -> None:
    """Run nbdcopy. Without --flush it was seen to succeed on a full disk; --destination-is-zero would keep old data.

    It does not look for zeroes (the scan did), so that what it has written is how far it is. Its own --progress counts
    parts of 128 MiB when they begin.
    """
    import tempfile

    argv = ["nbdcopy", "--flush", "--sparse=0", "--", uri, device]
    with tempfile.TemporaryFile(dir=RUN_DIR) as words:
        copy = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=words)
        while True:
            try:
                status = copy.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                progress.tell(_written(copy.pid))
        words.seek(0)
        if status != 0:
            raise AgentError(f"nbdcopy ended with {status}: {tail(words.read())}")


def _written(pid: int) -> int:
    """Return how many bytes a process has written to files and devices; what goes to sockets is not in it (proc(5))."""
    with open(f"/proc/{pid}/io") as file:
        return int(dict(line.split(": ") for line in file)["wchar"])
