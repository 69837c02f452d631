"""Tell from outside whether a service in a container does its work."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lab.container import Container
from lab.controlplane.configuration import SOCKET
from lab.process import wait_until

_LISTENING = "0A"
_SERVER_ERROR = 500


def wait_for(
    container: Container, service: str, answers: Callable[[Container], bool], *, timeout_s: float = 240
) -> None:
    """Return when a service answers; raise ServiceFailed, naming it, if it or another one keeps ending or time is up."""

    def condition() -> bool:
        container.check_services()
        return answers(container)

    wait_until(
        f"{container.cloud.name}: {service}",
        condition,
        timeout_s=timeout_s,
        on_timeout=lambda: container.failure(service, f"doesn't answer after {timeout_s:.0f} s"),
    )


def mariadb_answers(container: Container) -> bool:
    """Tell whether MariaDB greets on its socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(f"/proc/{container.pid}/root{SOCKET}")
            return bool(connection.recv(1))
    except OSError:
        return False


def listens(port: int) -> Callable[[Container], bool]:
    """Return a probe: does anything in the container listen on this TCP port, be it on its loopback only?"""

    def probe(container: Container) -> bool:
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{container.pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    return True
        return False

    return probe


def http_answers(port: int) -> Callable[[Container], bool]:
    """Return a probe: does the API on this port answer, and not with an error of its own?"""

    def probe(container: Container) -> bool:
        try:
            with urllib.request.urlopen(f"http://{container.cloud.management_ip}:{port}/", timeout=10):
                return True
        except urllib.error.HTTPError as error:
            return error.code < _SERVER_ERROR
        except OSError:
            return False

    return probe
