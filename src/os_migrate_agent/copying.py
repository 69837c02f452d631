"""Copy an export onto a volume."""

import os
import stat
import subprocess
import time
from typing import Callable, List, Tuple

from os_migrate_agent.blocks import Extent, write_list, zero
from os_migrate_agent.devices import device_of
from os_migrate_agent.files import RUN_DIR, Json, Progress, write_text
from os_migrate_agent.process import AgentError, run, tail
from os_migrate_agent.receiving import LinkBroken, Receiver, look
from os_migrate_agent.sockets import answers, await_servers

SOCKET_TIMEOUT_S = 60  # an SSH login takes ten seconds under emulation
LINK_TIMEOUT_S = 300  # a tunnel that broke is restarted as soon as the network lets it
COPY_TRIES = 5  # of a copy whose link broke
LINK_WORDS = ("disconnect", "not connected", "reset by peer", "refused")  # libnbd's, of a server that is gone


def task_copy(state: str, volume_id: str, extents_path: str, compression: str, path: str) -> Json:
    """Copy what is served on a socket onto a volume, zeroes included, and prove that the storage took it.

    What holds data is written down for whoever reads it back. When the link breaks, wait until it is back.
    """
    began = time.monotonic()
    device = device_of(volume_id)
    # Opened before the copy: the kernel reports a lost write only to descriptors that were open at that time. On a
    # block device O_EXCL means that nothing else may have claimed it: no mount, no second copy.
    exclusive = os.O_EXCL if stat.S_ISBLK(os.stat(device).st_mode) else 0
    disk = os.open(device, os.O_RDWR | exclusive)
    size = os.lseek(disk, 0, os.SEEK_END)
    await_servers([path], SOCKET_TIMEOUT_S, lambda: False)
    in_use, source_size = _map(path) if compression == "none" else look(path)
    if source_size > size:
        raise AgentError(f"volume {volume_id} is too small: {size} bytes for a disk of {source_size}")
    write_text(extents_path, write_list(in_use, source_size))
    total = sum(length for _, length in in_use)
    progress = Progress(state, total)
    zero(disk, [(source_size, size - source_size)])
    if compression == "none":
        _over_link(lambda: _nbdcopy(path, device, progress), path, progress, "begins anew")
        how: Json = {"method": "nbd", "wire_bytes": total}
    else:
        receiver = Receiver(path, compression, disk, in_use, progress)
        _over_link(receiver.receive, path, progress, "goes on where it was")
        write_text(extents_path, write_list(receiver.written, source_size))
        how = {"method": f"zstd -{receiver.level}" if receiver.level else "stream", "reason": receiver.reason}
        how.update(wire_bytes=receiver.wire_bytes, sent=receiver.sent)
    os.fsync(disk)
    os.close(disk)
    return {
        "copied_bytes": source_size,
        "seconds": time.monotonic() - began,
        "trouble": progress.trouble,
        **how,
    }


def _map(export: str) -> Tuple[List[Extent], int]:
    """Return the extents of an export that hold data, and its size."""
    rows = [line.split() for line in run(["nbdinfo", "--map", _uri(export)]).splitlines()]
    extents = [(int(row[0]), int(row[1]), int(row[2])) for row in rows if len(row) > 2]  # noqa: PLR2004 (and words)
    is_zero = 2  # NBD_STATE_ZERO
    data = [(offset, length) for offset, length, kind in extents if not kind & is_zero]
    return data, sum(length for _, length, _ in extents)


def _over_link(act: Callable[[], None], path: str, progress: Progress, again: str) -> None:
    """Call `act` until it comes to its end; wait for the link where that breaks."""
    for left in reversed(range(COPY_TRIES)):
        try:
            return act()
        except AgentError as fault:
            broken = isinstance(fault, LinkBroken) or any(word in str(fault) for word in LINK_WORDS)
            if not left or not (broken or not answers(path)):
                raise
            progress.trouble = f"the link broke, the copy {again} ({left} tries are left): {fault}"
            progress.tell()
            await_servers([path], LINK_TIMEOUT_S, lambda: False)
    return None


def _nbdcopy(export: str, device: str, progress: Progress) -> None:
    """Run nbdcopy. Without --flush it was seen to succeed on a full disk; --destination-is-zero would keep old data.

    It does not look for zeroes (the scan did), so that what it has written is how far it is. Its own --progress counts
    parts of 128 MiB when they begin.
    """
    import tempfile

    argv = ["nbdcopy", "--flush", "--sparse=0", "--", _uri(export), device]
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
            progress.done_bytes = 0
            raise AgentError(f"nbdcopy ended with {status}: {tail(words.read())}")


def _written(pid: int) -> int:
    """Return how many bytes a process has written to files and devices; what goes to sockets is not in it (proc(5))."""
    with open(f"/proc/{pid}/io") as file:
        return int(dict(line.split(": ") for line in file)["wchar"])


def _uri(export: str) -> str:
    return "nbd+unix:///?socket=" + export
