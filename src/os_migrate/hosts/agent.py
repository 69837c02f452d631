"""The part of OS Migrate that runs on a conversion host, as root: one file, standard library only, Python 3.6 on.

    agent.py talk  ATTEMPT...               a line of JSON on stdin asks for a verb, a line on stdout answers, until EOF
    agent.py scan  STATE VOLUME EXTENTS     a task: runs in a unit, tells in the file STATE how far
    agent.py copy  STATE VOLUME SOCKET      likewise
    agent.py serve VOLUME SOCKET COMMAND... becomes an NBD server of that volume

A job is a transient systemd unit. Its directory, one for each attempt, holds UNIT.job (what to remove with it) and, for
tasks, UNIT.state. A verb that fails answers why. One process serves a whole migration: under emulation, a start of Python
takes a second from the copy.

Whoever works on an attempt holds it: a lock that ends with the conversation, however that ends.

A volume is always found by its serial, by every task anew: names and their order are the guest kernel's whim.
"""
# The dialect is that of the oldest Python on a host; os.path and late imports because a start counts, under emulation.
# ruff: noqa: UP006, UP022, UP035, UP045, PLC0415
# ruff: noqa: PTH101, PTH103, PTH104, PTH106, PTH108, PTH110, PTH116, PTH118, PTH120, PTH123, PTH208
# Commands are lists that `nbd` makes; PATH is root's own. It talks to its caller on stdout and stderr.
# ruff: noqa: S103, S603, S606, T201

import contextlib
import fcntl
import json
import os
import re
import socket
import stat
import struct
import subprocess
import sys
import time
from typing import IO, Any, Callable, Dict, Iterator, List, NoReturn, Optional, Tuple

Json = Dict[str, Any]

RUN_DIR = "/run/os-migrate"
HELD_DIR = os.path.join(RUN_DIR, "held")
BY_ID_DIR = "/dev/disk/by-id"

CHUNK = 4 * 1024 * 1024  # one read: long enough for any disk to stream
BLOCK = 64 * 1024  # one unit of "holds data or not"; joining smaller gaps costs 5% more bytes and saves most extents
PAGE = 4096  # the alignment that O_DIRECT wants of a buffer, at most
NO_DATA = bytes(CHUNK + PAGE)
DIGEST_PREFIX = b"os-migrate disk digest 1\n"

STOP_TIMEOUT_S = 5  # nbdkit was seen to ignore SIGTERM for ten minutes; systemd kills it after this
RESTART_PAUSE_S = 3  # more would hit systemd's limit of 5 starts in 10 s, which ends the unit
SOCKET_TIMEOUT_S = 60  # an SSH login takes ten seconds under emulation
LINK_TIMEOUT_S = 300  # a tunnel that broke is restarted as soon as the network lets it
COPY_TRIES = 5  # a copy whose link broke begins anew
LINK_WORDS = ("disconnect", "not connected", "reset by peer", "refused")  # libnbd's, of a server that is gone
FAILED_STARTS = 2  # a start that failed that often is not going to succeed
FRESH_S = 5  # a task that has told so lately is running: a poll that asks systemd costs it time
TAIL = 2000  # characters of a tool's last words

NEW = ".new"  # a file of ours that is being written; a task that was killed may leave it

BLKROSET = 0x125D  # linux/fs.h: make a block device read-only for everybody on this host
BLKFLSBUF = 0x1261  # likewise: write back and drop its cache


class AgentError(Exception):
    """Say what failed; the caller adds the host's name and the remedy."""


# Devices -------------------------------------------------------------------------------------------------------------


def find_device(volume_id: str) -> Optional[str]:
    """Return the block device through which this host sees the volume, or None.

    QEMU shows the volume's id to the guest as the disk's serial; virtio, NVMe and IDE keep its first 20 characters. A
    link of udev's is preferred to the kernel's name: it goes with the volume, and can't come to mean another disk.
    """
    serials = (volume_id, volume_id[:20])
    links = [
        os.path.join(BY_ID_DIR, name)
        for name in sorted(_names(BY_ID_DIR))
        if name.partition("-")[2] in serials or name.endswith(tuple("_" + s for s in serials))
    ]
    nodes = [
        "/dev/" + name for name in sorted(_names("/sys/block")) if _serial(os.path.join("/sys/block", name)) in serials
    ]
    found = [path for path in links + nodes if os.path.exists(path)]
    disks = {os.path.realpath(path) for path in found}
    if len(disks) > 1:
        raise AgentError(f"volume {volume_id} is seen as several disks: " + ", ".join(sorted(disks)))
    return found[0] if found else None


def _serial(block: str) -> str:
    """Return the serial that the kernel knows of a disk, or ""."""
    for name in ("serial", "device/serial", "device/vpd_pg80"):
        with contextlib.suppress(OSError), open(os.path.join(block, name), "rb") as file:
            # A SCSI unit serial number page begins with 4 bytes of header (SPC-4, 7.8.16).
            said = file.read()[4:] if name.endswith("vpd_pg80") else file.read()
            return said.decode("ascii", "replace").strip(" \0\n")
    return ""


def _names(directory: str) -> List[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _device(volume_id: str) -> str:
    path = find_device(volume_id)
    if path is None:
        raise AgentError("no disk of this host has the serial of volume " + volume_id)
    return path


def verb_device(request: Json) -> Json:
    """Wait until the guest sees a volume; return its size in bytes, or a size of None when time runs out.

    A volume of the source is made read-only at once: nothing on this host, a volume manager least of all, shall write to it.
    """
    deadline = time.monotonic() + request["timeout_s"]
    while True:
        path = find_device(request["volume_id"])
        if path is not None:
            with open(path, "rb") as disk:
                if request["read_only"] and stat.S_ISBLK(os.stat(path).st_mode):
                    fcntl.ioctl(disk, BLKROSET, struct.pack("i", 1))
                return {"path": path, "size_bytes": disk.seek(0, os.SEEK_END)}
        if time.monotonic() > deadline:
            return {"path": None, "size_bytes": None}
        time.sleep(0.2)


# Units ---------------------------------------------------------------------------------------------------------------


def verb_start(request: Json) -> Json:
    """Start a unit unless one of that name runs or has ended; return when its sockets speak NBD."""
    name = request["name"]
    if any("$" in word for word in request["argv"]):
        raise AgentError("systemd would replace the $ in " + repr(request["argv"]))
    with _lock():
        if verb_state({"name": name})["status"] == "absent":
            os.makedirs(request["directory"], exist_ok=True)
            os.chmod(RUN_DIR, 0o711)  # the SSH user passes through to the sockets, and sees nothing
            os.chmod(request["directory"], 0o711)
            record = {"remove": request["files"] + request["sockets"]}
            write_json(os.path.join(request["directory"], name + ".job"), record)
            _systemd_run(name, request["argv"], restart=request["restart"])
    try:
        await_nbd(request["sockets"], request["ready_s"], lambda: _has_failed(name))
    except AgentError as fault:
        last_words = _last_words(name)
        verb_stop({"name": name})
        raise AgentError(f"{fault}; its last words: {last_words or 'none'}") from fault
    return {}


def _systemd_run(name: str, argv: List[str], *, restart: bool) -> None:
    properties = ["KillMode=control-group", f"TimeoutStopSec={STOP_TIMEOUT_S}"]
    if restart:
        properties += ["Restart=on-failure", f"RestartSec={RESTART_PAUSE_S}"]
    _run(
        ["systemd-run", "--quiet", "--unit=" + name, "--description=OS Migrate: " + name]
        + ["--setenv=OS_MIGRATE_OWNER=" + os.environ.get("SUDO_UID", "0")]
        + ["--property=" + p for p in properties]
        + ["--"]
        + argv
    )


def verb_state(request: Json) -> Json:
    """Return how far a unit is: absent, running, done or failed. What a task has written last outlives its unit."""
    name = request["name"]
    directory = _directory(name)
    if directory is None:
        return {"status": "absent"}
    state = os.path.join(directory, name + ".state")
    shown = None if _is_fresh(state) else _show(name)
    told = read_json(state)  # after systemd was asked: a task that is over has said so before its unit went
    if "result" in told:
        return dict(told, status="done")
    if "error" in told:
        return dict(told, status="failed")
    if shown and shown["LoadState"] != "loaded":
        return {"status": "absent"}
    if shown and shown["ActiveState"] == "failed":
        return {"status": "failed", "error": shown["Result"] + ": " + _last_words(name)}
    return dict(told, status="running")


def _is_fresh(state: str) -> bool:
    try:
        return time.time() - os.stat(state).st_mtime < FRESH_S
    except FileNotFoundError:
        return False


def verb_stop(request: Json) -> Json:
    """Stop a unit and forget it: nothing of it is left, and its attempt's directory goes with the last."""
    name = request["name"]
    with _lock():
        if _show(name)["LoadState"] == "loaded":
            # systemd sends SIGTERM, and SIGKILL after TimeoutStopSec.
            _run(["systemctl", "stop", name], check=False)
            active = _show(name)["ActiveState"]
            if active == "failed":
                _run(["systemctl", "reset-failed", name], check=False)
            elif active != "inactive":
                raise AgentError(f"{name} does not stop: {_last_words(name)}")
        directory = _directory(name)
        if directory is None:
            return {}
        job = os.path.join(directory, name + ".job")
        for path in [*read_json(job).get("remove", []), os.path.join(directory, name + ".state"), job]:
            for there in (path + NEW, path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(there)
        with contextlib.suppress(OSError):  # others of the attempt are still there
            os.rmdir(directory)
    return {}


def _show(name: str) -> Dict[str, str]:
    wanted = "--property=LoadState,ActiveState,SubState,Result,NRestarts"
    lines = _run(["systemctl", "show", wanted, name]).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _has_failed(name: str) -> bool:
    shown = _show(name)
    restarts = int(shown.get("NRestarts") or 0)
    return shown["ActiveState"] in ("failed", "inactive") or restarts >= FAILED_STARTS


def _last_words(name: str) -> str:
    argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=10", "--unit=" + name]
    return _run(argv, check=False).strip()[-TAIL:]


def _directory(name: str) -> Optional[str]:
    """Return the directory of the attempt that a unit belongs to, or None if it was never started or was stopped."""
    for attempt in _names(RUN_DIR):
        directory = os.path.join(RUN_DIR, attempt)
        if os.path.exists(os.path.join(directory, name + ".job")):
            return directory
    return None


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Let one start or stop at a time look and act; the lock dies with its process."""
    os.makedirs(RUN_DIR, exist_ok=True)
    with open(os.path.join(RUN_DIR, "lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Attempts ------------------------------------------------------------------------------------------------------------

_held = {}  # type: Dict[str, IO[str]]


def verb_hold(request: Json) -> Json:
    """Hold an attempt for as long as this process lives."""
    attempt = request["attempt"]
    path = os.path.join(HELD_DIR, attempt)
    os.makedirs(HELD_DIR, exist_ok=True)
    while attempt not in _held:
        file = open(path, "a")  # noqa: SIM115 (its lock is to last)
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            _held[attempt] = file
        else:
            file.close()  # somebody found it free, and removed it
    return {}


def verb_attempts(_request: Json) -> Json:
    """Return what attempts have on this host: their units, and whether anybody holds them."""
    found = {}  # type: Json
    for attempt in _names(RUN_DIR):
        directory = os.path.join(RUN_DIR, attempt)
        jobs = [name for name in _names(directory) if name.endswith(".job")]
        if jobs:
            found[attempt] = {"units": sorted(job[: -len(".job")] for job in jobs), "held": False}
    for attempt in _names(HELD_DIR):
        if _is_held(os.path.join(HELD_DIR, attempt)):
            found.setdefault(attempt, {"units": []})["held"] = True
    return found


def _is_held(path: str) -> bool:
    """Tell whether a process holds an attempt; forget it if none does."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        os.unlink(path)
    return False


def _run(argv: List[str], *, check: bool = True) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if check and done.returncode != 0:
        raise AgentError(f"{argv[0]} ended with {done.returncode}: {_text(done.stderr)}")
    return done.stdout.decode("utf-8", "replace")


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()[-TAIL:]


# Sockets -------------------------------------------------------------------------------------------------------------


def await_nbd(paths: List[str], timeout_s: float, has_failed: Callable[[], bool]) -> None:
    """Return when an NBD server answers on each of the sockets; through a tunnel, that is the server at its far end."""
    deadline = time.monotonic() + timeout_s
    for path in paths:
        while not speaks_nbd(path):
            if has_failed():
                raise AgentError(f"the process behind {path} ended")
            if time.monotonic() > deadline:
                raise AgentError(f"nothing answers on {path} after {timeout_s} s")
            time.sleep(0.2)


def speaks_nbd(path: str) -> bool:
    """Tell whether an NBD server greets on a Unix socket; take leave of it properly, so that it logs no error."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(20)
        try:
            client.connect(path)
            greeting = client.recv(18, socket.MSG_WAITALL)
            # Fixed newstyle, no zeroes; then NBD_OPT_ABORT, without data (NBD's protocol, "Handshake phase").
            client.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 2, 0))
            client.recv(20, socket.MSG_WAITALL)
        except OSError:
            return False
        return greeting.startswith(b"NBDMAGIC")


def task_serve(volume_id: str, path: str, *command: str) -> NoReturn:
    """Become a server of the volume, on a socket that its owner (the SSH user) and root can open, and nobody else."""
    argv = [word.replace("{device}", _device(volume_id)) for word in command]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # left by a server that was killed
    server = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    server.bind(path)
    os.chown(path, int(os.environ.get("OS_MIGRATE_OWNER", "0")), -1)
    server.listen(64)
    first = 3  # sd_listen_fds(3): the descriptors handed over begin there
    os.dup2(server.fileno(), first)
    os.set_inheritable(first, True)  # noqa: FBT003 (it takes no keyword)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execvp(argv[0], argv)


# Scan ----------------------------------------------------------------------------------------------------------------


def task_scan(state: str, volume_id: str, extents_path: str) -> Json:
    """Read a volume once; write down where it holds data, and return its digest."""
    import hashlib

    with open(_device(volume_id), "rb", buffering=0, opener=open_uncached) as disk:
        size = disk.seek(0, os.SEEK_END)
        progress = Progress(state, size)
        digest = hashlib.sha256(DIGEST_PREFIX + struct.pack(">Q", size))
        extents = []  # type: List[List[int]]
        for offset, block in blocks(disk, [(0, size)], progress):
            digest.update(struct.pack(">Q", offset))
            digest.update(block)
            if extents and sum(extents[-1]) == offset:
                extents[-1][1] += len(block)
            else:
                extents.append([offset, len(block)])
    write_text(extents_path, extent_list(extents, size))
    data = sum(length for _, length in extents)
    return {"digest": digest.hexdigest(), "size_bytes": size, "data_bytes": data, "extents": len(extents)}


def open_uncached(path: str, flags: int) -> int:
    """Open a disk so that reads come from the storage: a cached page proves nothing, and costs a copy."""
    is_block = stat.S_ISBLK(os.stat(path).st_mode)
    disk = os.open(path, flags | (os.O_DIRECT if is_block else 0))
    if is_block:
        fcntl.ioctl(disk, BLKFLSBUF, 0)
    os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
    return disk


def aligned_buffer() -> Tuple[bytearray, memoryview]:
    """Return a buffer full of zeroes, and within it a chunk at the start of a page, as O_DIRECT wants it."""
    import ctypes

    buffer = bytearray(CHUNK + PAGE)
    skip = -ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % PAGE
    return buffer, memoryview(buffer)[skip : skip + CHUNK]


def blocks(
    disk: IO[bytes], ranges: List[Tuple[int, int]], progress: Optional["Progress"] = None
) -> Iterator[Tuple[int, bytearray]]:
    """Yield the blocks that are not all zero, with their offsets. `ranges` (offset, length) say what has to be read.

    Zeroes are found by comparing a bytearray with bytes, which is memcmp; a memoryview would be forty times slower.
    """
    buffer, view = aligned_buffer()
    for start, length in ranges:
        offset = start
        disk.seek(start)
        while offset < start + length:
            wanted = min(CHUNK, start + length - offset)
            _fill(disk, view[:wanted])
            if wanted < CHUNK or buffer != NO_DATA:
                for at in range(0, wanted, BLOCK):
                    block = bytearray(view[at : min(at + BLOCK, wanted)])
                    if block != NO_DATA[: len(block)]:
                        yield offset + at, block
            offset += wanted
            if progress:
                progress.tell(offset)


def _fill(disk: IO[bytes], view: memoryview) -> None:
    """Fill `view` from the disk; a read may be short, and blocks must stay on their grid."""
    filled = 0
    while filled < len(view):
        got = disk.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            raise AgentError("the disk ends before its size")
        filled += got


def extent_list(extents: List[List[int]], size: int) -> str:
    """Return the extents in the format of nbdkit-extentlist-filter(1), holes spelled out."""
    lines = []
    end = 0
    for offset, length in [*extents, [size, 0]]:
        if offset > end:
            lines.append(f"{end} {offset - end} hole,zero\n")
        if length:
            lines.append(f"{offset} {length}\n")
        end = offset + length
    return "".join(lines)


# Copy ----------------------------------------------------------------------------------------------------------------


def task_copy(state: str, volume_id: str, path: str) -> Json:
    """Copy the export behind a socket onto a volume, zeroes included, and prove that the storage took it.

    When the link breaks, wait until it is back, and begin anew.
    """
    began = time.monotonic()
    device = _device(volume_id)
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
    rows = [line.split() for line in _run(["nbdinfo", "--map", uri]).splitlines()]
    lengths = [(int(row[1]), int(row[2])) for row in rows if len(row) > 2]  # noqa: PLR2004 (offset, length, type, name)
    zero = 2  # NBD_STATE_ZERO
    return sum(length for length, _ in lengths), sum(length for length, kind in lengths if not kind & zero)


def _nbdcopy(uri: str, device: str, progress: "Progress") -> None:
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
            raise AgentError(f"nbdcopy ended with {status}: {_text(words.read())}")


def _written(pid: int) -> int:
    """Return how many bytes a process has written to files and devices; what goes to sockets is not in it (proc(5))."""
    with open(f"/proc/{pid}/io") as file:
        return int(dict(line.split(": ") for line in file)["wchar"])


# Files ---------------------------------------------------------------------------------------------------------------


class Progress:
    """Tell in the state file, at most once a second, how far a task is."""

    def __init__(self, path: str, total_bytes: int) -> None:
        self._path = path
        self._next = 0.0
        self.total_bytes = total_bytes
        self.trouble = ""

    def tell(self, done_bytes: int) -> None:
        """Write `done_bytes` if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1
            told = {"done_bytes": done_bytes, "total_bytes": self.total_bytes, "trouble": self.trouble}
            write_json(self._path, told)


def read_json(path: str) -> Json:
    """Return what a file of ours holds; one that isn't there holds nothing."""
    try:
        with open(path) as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def write_json(path: str, value: Json) -> None:
    """Write a file of ours."""
    write_text(path, json.dumps(value))


def write_text(path: str, text: str) -> None:
    """Replace a file, mode 0600, so that a reader sees all of the old or all of the new."""
    new = path + NEW
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.rename(new, path)


def verb_write(request: Json) -> Json:
    """Put a file for root alone on this host: its text came over stdin, where no process list shows it."""
    os.makedirs(os.path.dirname(request["path"]), 0o700, exist_ok=True)
    write_text(request["path"], request["text"])
    return {}


# Facts ---------------------------------------------------------------------------------------------------------------


def verb_facts(_request: Json) -> Json:
    """Return what this host is and which of the tools it has, with their versions (null for one that isn't there)."""
    tools = {
        name: _version(argv)
        for name, argv in {
            "nbdkit": ["nbdkit", "--version"],
            "nbdkit-file-plugin": ["nbdkit", "--dump-plugin", "file"],
            "nbdkit-extentlist-filter": ["nbdkit", "--filter=extentlist", "--dump-plugin", "null"],
            "nbdcopy": ["nbdcopy", "--version"],
            "nbdinfo": ["nbdinfo", "--version"],
            "qemu-img": ["qemu-img", "--version"],
            "partclone": ["partclone.extfs", "--version"],
            "zstd": ["zstd", "--version"],
            "ssh": ["ssh", "-V"],
            "systemd": ["systemctl", "--version"],
        }.items()
    }
    release = {}
    with contextlib.suppress(FileNotFoundError), open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.rstrip().replace('"', "").split("=", 1) for line in file if "=" in line)
    return {
        "os_id": release.get("ID", ""),
        "os_like": release.get("ID_LIKE", ""),
        "os_version": release.get("VERSION_ID", ""),
        "python_version": ".".join(str(n) for n in sys.version_info[:3]),
        "tools": tools,
    }


def _version(argv: List[str]) -> Optional[str]:
    """Return the first thing in a tool's output that looks like a version, None if the tool can't be run."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except FileNotFoundError:
        return None
    found = re.search(r"\d+(\.\d+)*", _text(done.stdout))
    return found.group() if found and done.returncode == 0 else None


# The door ------------------------------------------------------------------------------------------------------------

VERBS = {
    "facts": verb_facts,
    "device": verb_device,
    "start": verb_start,
    "state": verb_state,
    "stop": verb_stop,
    "write": verb_write,
    "hold": verb_hold,
    "attempts": verb_attempts,
}


def talk(*attempts: str) -> None:
    """Hold attempts, and answer each request on stdin with a line on stdout: what its verb returns, or why it failed."""
    for attempt in attempts:
        verb_hold({"attempt": attempt})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": VERBS[request["verb"]](request)}  # type: Json
        except (AgentError, OSError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


def main(argv: List[str]) -> int:
    """Do what the first word says."""
    os.umask(0o077)
    try:
        if argv[0] == "talk":
            talk(*argv[1:])
        elif argv[0] == "serve":
            task_serve(*argv[1:])
        else:
            task = {"scan": task_scan, "copy": task_copy}[argv[0]]
            return _carry_out(task, argv[1:])
    except (AgentError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _carry_out(task: Callable[..., Json], argv: List[str]) -> int:
    """Run a task; its outcome stays in its state file when its unit is gone."""
    try:
        write_json(argv[0], {"result": task(*argv)})
    except (AgentError, OSError) as error:
        write_json(argv[0], {"error": str(error)})
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
