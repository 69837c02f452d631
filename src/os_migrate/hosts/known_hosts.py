"""The host keys of our conversion hosts, in OpenSSH's known_hosts: the name of each line is the server's id.

Addresses are given to other servers again; an id never is.
"""

import threading
from pathlib import Path

from os_migrate.files.durable import write_atomically
from os_migrate.model import ServerId

_LOCK = threading.Lock()


def line_of(path: Path, server_id: ServerId) -> str | None:
    """Return the known_hosts line of a server, without its end."""
    return next((line for line in _lines(path) if line.startswith(f"{server_id} ")), None)


def remember(path: Path, server_id: ServerId, public_key: str) -> None:
    """Record a server's host key, in place of an earlier one."""
    kind_and_key = " ".join(public_key.split()[:2])
    with _LOCK:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = [line for line in _lines(path) if not line.startswith(f"{server_id} ")]
        write_atomically(path, "\n".join([*others, f"{server_id} {kind_and_key}"]) + "\n")


def forget(path: Path, server_id: ServerId) -> None:
    """Drop a server's host key; the file goes with the last one."""
    with _LOCK:
        others = [line for line in _lines(path) if not line.startswith(f"{server_id} ")]
        if others:
            write_atomically(path, "\n".join(others) + "\n")
        else:
            path.unlink(missing_ok=True)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
