"""What of a disk is in use, by virt-sparsify: it trims the file systems in an overlay, never in the disk itself.

It mounts them for writing. The disk is copied as it was before that, so what is trimmed is taken for unused only where mounting moves
nothing: in file systems that stay where they are, and were closed cleanly. btrfs and XFS free blocks that the disk still
needs; of them, and of all else, partclone's map is used.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from typing import Any, Dict, List, Tuple

from os_migrate_agent.blocks import Extent
from os_migrate_agent.process import AgentError, run, tail
from os_migrate_agent.reading import Unproven, must
from os_migrate_agent.usage import Area, Found, by_partclone, examined, without

IN_PLACE = ("ext2", "ext3", "ext4", "ntfs", "vfat")
EMULATED = "force_tcg"  # within a virtual machine, KVM was seen to greet, and then to fail in mid-start
LIMIT_S = 120  # for each use of qemu-img


def in_use_by_virt_sparsify(device: str, size: int, directory: str, timeout_s: float) -> Found:
    """Return what of a disk is in use, as `in_use` does; if virt-sparsify fails or takes too long, what that returns.

    What an overlay has when virt-sparsify is cut off is not used: nobody has closed its file.
    """
    by_map = by_partclone(directory)
    inside = tempfile.mkdtemp(prefix="sparsify-", dir=directory)
    try:
        trimmed = _trimmed(device, size, inside, timeout_s)
    except (Unproven, AgentError, OSError) as fault:
        extents, parts = examined(device, size, by_map)
        why = f"virt-sparsify was of no use: {fault}"
        return extents, [dict(part, why="; ".join(w for w in (part.get("why"), why) if w)) for part in parts]
    finally:
        shutil.rmtree(inside, ignore_errors=True)

    def used(area: Area, path: str, kind: str, length: int) -> Tuple[List[Extent], str]:
        if kind in IN_PLACE:
            return without(length, area.of_disk(trimmed)), "virt-sparsify"
        return by_map(area, path, kind, length)

    return examined(device, size, used)


def _trimmed(device: str, size: int, inside: str, timeout_s: float) -> List[Extent]:
    """Return what virt-sparsify has trimmed in an overlay of the disk."""
    overlay = os.path.join(inside, "overlay.qcow2")
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", os.path.abspath(device), overlay],
        timeout_s=LIMIT_S,
    )
    environment = dict(os.environ, LIBGUESTFS_BACKEND="direct", LIBGUESTFS_BACKEND_SETTINGS=EMULATED, TMPDIR=inside)
    _run_whole_group(["virt-sparsify", "--quiet", "--format", "qcow2", "--in-place", overlay], environment, timeout_s)
    said = run(["qemu-img", "map", "--output=json", "-f", "qcow2", overlay], timeout_s=LIMIT_S)
    try:
        return read_map(json.loads(said), size)
    except (ValueError, KeyError, TypeError) as fault:
        raise Unproven(f"qemu-img's map is mangled: {fault}") from fault


def read_map(rows: List[Dict[str, Any]], size: int) -> List[Extent]:
    """Return what an overlay itself has for zeroes; raise Unproven unless its map covers `size` exactly."""
    found = []
    end = 0
    for row in rows:
        start, length = row["start"], row["length"]
        must(type(start) is int and type(length) is int and start == end and length > 0, "qemu-img's map has a gap")
        if row["depth"] == 0 and row["zero"] is True and row["data"] is False:
            found.append((start, length))
        end += length
    must(end == size, f"qemu-img's map covers {end} bytes of {size}")
    return found


def _run_whole_group(argv: List[str], environment: Dict[str, str], timeout_s: float) -> None:
    """Run a tool that starts others; end all of them when its time is over, or this process is told to stop."""
    try:
        tool = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise AgentError(argv[0] + " is not installed") from None
    try:
        _, words = tool.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise AgentError(f"{argv[0]} took longer than {timeout_s:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(tool.pid, signal.SIGKILL)
        tool.wait()
        if tool.stderr:
            tool.stderr.close()
    if tool.returncode != 0:
        raise AgentError(f"{argv[0]} ended with {tool.returncode}: {tail(words)}")
