"""Units: the jobs of an attempt, as systemd runs them."""

import contextlib
import fcntl
import os
import time
from typing import Dict, Iterator, List, Optional

from os_migrate_agent.files import RUN_DIR, Json, forget, names, read_json, write_json
from os_migrate_agent.process import TAIL, AgentError, run
from os_migrate_agent.sockets import await_servers

STOP_TIMEOUT_S = 5  # nbdkit was seen to ignore SIGTERM for ten minutes; systemd kills it after this
RESTART_PAUSE_S = 3  # more would hit systemd's limit of 5 starts in 10 s, which ends the unit
FAILED_STARTS = 2  # a start that failed that often is not going to succeed
FRESH_S = 5  # a task that has told so lately is running: a poll that asks systemd costs it time


def verb_start(request: Json) -> Json:
    """Start a unit unless one of that name runs or has ended; return when a server answers on its sockets."""
    name = request["name"]
    if any("$" in word for word in request["argv"]):
        raise AgentError("systemd would replace the $ in " + repr(request["argv"]))
    with _lock():
        if verb_state({"name": name})["status"] == "absent":
            os.makedirs(request["directory"], exist_ok=True)
            os.chmod(RUN_DIR, 0o711)  # the SSH user passes through to the sockets, and sees nothing
            os.chmod(request["directory"], 0o711)
            record = {"remove": request["files"] + request["sockets"]}
            try:
                write_json(os.path.join(request["directory"], name + ".job"), record)
            except OSError:  # a stop will not find the directory
                with contextlib.suppress(OSError):  # others of the attempt are there
                    os.rmdir(request["directory"])
                raise
            _systemd_run(name, request["argv"], restart=request["restart"])
    try:
        await_servers(request["sockets"], request["ready_s"], lambda: _has_failed(name))
    except AgentError as fault:
        last_words = _last_words(name)
        verb_stop({"name": name})
        raise AgentError(f"{fault}; its last words: {last_words or 'none'}") from fault
    return {}


def _systemd_run(name: str, argv: List[str], *, restart: bool) -> None:
    properties = ["KillMode=control-group", f"TimeoutStopSec={STOP_TIMEOUT_S}"]
    if restart:
        properties += ["Restart=on-failure", f"RestartSec={RESTART_PAUSE_S}"]
    run(
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
            run(["systemctl", "stop", name], check=False)
            active = _show(name)["ActiveState"]
            if active == "failed":
                run(["systemctl", "reset-failed", name], check=False)
            elif active != "inactive":
                raise AgentError(f"{name} does not stop: {_last_words(name)}")
        directory = _directory(name)
        if directory is None:
            return {}
        job = os.path.join(directory, name + ".job")
        for path in [*read_json(job).get("remove", []), os.path.join(directory, name + ".state"), job]:
            forget(path)
        with contextlib.suppress(OSError):  # others of the attempt are still there
            os.rmdir(directory)
    return {}


def _show(name: str) -> Dict[str, str]:
    wanted = "--property=LoadState,ActiveState,SubState,Result,NRestarts"
    lines = run(["systemctl", "show", wanted, name]).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _has_failed(name: str) -> bool:
    shown = _show(name)
    restarts = int(shown.get("NRestarts") or 0)
    return shown["ActiveState"] in ("failed", "inactive") or restarts >= FAILED_STARTS


def _last_words(name: str) -> str:
    argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=10", "--unit=" + name]
    return run(argv, check=False).strip()[-TAIL:]


def _directory(name: str) -> Optional[str]:
    """Return the directory of the attempt that a unit belongs to, or None if it was never started or was stopped."""
    for attempt in names(RUN_DIR):
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
