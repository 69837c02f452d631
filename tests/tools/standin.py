"""A stand-in for systemd, good enough for the agent: `standin.py systemd-run|systemctl|journalctl ARGUMENTS`.

The machine that runs the tests need not have systemd as its init. Like the real one, it forgets a unit that ended well, keeps
one that failed until `reset-failed`, restarts on failure, and kills what ignores SIGTERM.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/run/standin/units")
LOGS = Path("/run/standin/logs")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def systemd_run(argv: list[str]) -> int:
    split = argv.index("--")
    said = [a.removeprefix("--").partition("=")[::2] for a in argv[:split]]
    name = dict(said)["unit"]
    properties = dict(v.split("=", 1) for k, v in said if k == "property")
    environment = {"PATH": PATH, **dict(v.split("=", 1) for k, v in said if k == "setenv")}
    LOGS.mkdir(parents=True, exist_ok=True)
    UNITS.mkdir(parents=True, exist_ok=True)
    try:
        (UNITS / name).mkdir()
    except FileExistsError:
        print(f"Failed to start transient service unit: Unit {name}.service was already loaded.", file=sys.stderr)
        return 1
    _tell(name, ActiveState="active", SubState="running", TimeoutStopSec=properties["TimeoutStopSec"])
    if os.fork() == 0:
        os.setsid()
        log = os.open(LOGS / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for fd in (1, 2):
            os.dup2(log, fd)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if os.fork() == 0:
            _supervise(name, argv[split + 1 :], properties, environment)
        os._exit(0)
    os.wait()
    return 0


def _supervise(name: str, argv: list[str], properties: dict[str, str], environment: dict[str, str]) -> None:
    restarts = 0
    while True:
        child = subprocess.Popen(argv, env=environment, start_new_session=True)
        _tell(name, ActiveState="active", SubState="running", MainPID=child.pid, NRestarts=restarts)
        status = child.wait()
        if status in (0, -signal.SIGTERM) or (UNITS / name / "stop").exists():
            shutil.rmtree(UNITS / name)
            os._exit(0)
        result = "exit-code" if status > 0 else "signal"
        if properties.get("Restart") != "on-failure":
            _tell(name, ActiveState="failed", SubState="failed", Result=result, MainPID=0)
            os._exit(0)
        restarts += 1
        _tell(name, ActiveState="activating", SubState="auto-restart", Result=result, MainPID=0, NRestarts=restarts)
        until = time.monotonic() + float(properties["RestartSec"])
        while time.monotonic() < until:
            if (UNITS / name / "stop").exists():
                shutil.rmtree(UNITS / name)
                os._exit(0)
            time.sleep(0.05)


def systemctl(argv: list[str]) -> int:
    verb, name = argv[0], argv[-1]
    if verb == "--version":
        print("systemd 252 (stand-in)")
    elif verb == "show":
        known = {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead", "Result": "success"}
        for key, value in {**known, "NRestarts": 0, "MainPID": 0, **_told(name)}.items():
            print(f"{key}={value}")
    elif verb == "is-active":
        return 0 if _told(name).get("ActiveState") == "active" else 3
    elif verb == "stop":
        _stop(name)
    elif verb == "reset-failed" and _told(name).get("ActiveState") == "failed":
        shutil.rmtree(UNITS / name)
    return 0


def _stop(name: str) -> None:
    told = _told(name)
    if not told or told["ActiveState"] == "failed":
        return
    (UNITS / name / "stop").touch()
    until = time.monotonic() + float(told["TimeoutStopSec"])
    _kill(told, signal.SIGTERM)
    while _told(name):
        if time.monotonic() > until:
            _kill(told, signal.SIGKILL)
        time.sleep(0.02)


def _kill(told: dict[str, str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if told.get("MainPID"):
            os.killpg(int(told["MainPID"]), number)


def journalctl(argv: list[str]) -> int:
    name = next(a for a in argv if a.startswith("--unit=")).removeprefix("--unit=")
    if (LOGS / name).exists():
        print("\n".join((LOGS / name).read_text().splitlines()[-10:]))
    return 0


def _told(name: str) -> dict[str, str]:
    try:
        return json.loads((UNITS / name / "state").read_text())
    except FileNotFoundError:
        return {}


def _tell(name: str, **values: object) -> None:
    new = UNITS / name / "state.new"
    new.write_text(json.dumps({**_told(name), "LoadState": "loaded", **values}))
    new.rename(UNITS / name / "state")


if __name__ == "__main__":
    verbs = {"systemd-run": systemd_run, "systemctl": systemctl, "journalctl": journalctl}
    sys.exit(verbs[sys.argv[1]](sys.argv[2:]))
