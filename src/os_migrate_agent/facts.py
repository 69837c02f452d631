"""What this host is."""

import contextlib
import re
import subprocess
import sys
from typing import List, Optional

from os_migrate_agent.files import Json
from os_migrate_agent.process import tail


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
    # A number with a dot, as far as there is one: others are of the machine ("x86_64", "64-bits").
    found = re.search(r"\d+(\.\d+)+", tail(done.stdout)) or re.search(r"\d+", tail(done.stdout))
    return found.group() if found and done.returncode == 0 else None
