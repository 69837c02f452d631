"""The CPU time of a host: of all processes that ever were in its cgroup, those that ended included.

Needs cgroup v2, mounted anywhere, without any controller: `cpu.stat` is always there. The kernel's own threads (those of the
loop devices) are in no cgroup of ours.
"""

import contextlib
import time
from pathlib import Path
from typing import Final

from lab.errors import UsageError

PREFIX: Final = "osm-bench-"
GONE_S: Final = 10.0


def cgroup_root() -> Path:
    """Return where cgroup v2 is mounted."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point)
    raise UsageError(
        "the bench counts CPU time with cgroup v2, which isn't mounted: mount -t cgroup2 none /mnt/cgroup2"
    )


class Account:
    """A cgroup for the processes of a host."""

    def __init__(self, name: str) -> None:
        self._path = cgroup_root() / f"{PREFIX}{name}"

    def open(self) -> None:
        """Make it, empty."""
        self.close()
        self._path.mkdir()

    def enter(self) -> tuple[str, ...]:
        """Return a command that runs another one in it."""
        return ("sh", "-c", f'echo 0 >{self._path}/cgroup.procs && exec "$@"', "sh")

    def cpu_s(self) -> float:
        """Return the seconds of CPU used so far."""
        words = (self._path / "cpu.stat").read_text(encoding="ascii").split()
        return int(words[words.index("usage_usec") + 1]) / 1e6

    def close(self) -> None:
        """Kill what is in it, and remove it."""
        if not self._path.exists():
            return
        deadline = time.monotonic() + GONE_S
        (self._path / "cgroup.kill").write_text("1", encoding="ascii")
        while True:
            with contextlib.suppress(OSError):
                self._path.rmdir()
                return
            if time.monotonic() > deadline:
                raise UsageError(f"the processes in {self._path} don't end")
            time.sleep(0.05)
