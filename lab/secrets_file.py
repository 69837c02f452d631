"""Passwords of the lab: made once, kept in a file that only root reads."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.settings import SECRETS_FILE


@dataclass(frozen=True)
class Secrets:
    """Passwords that both clouds use; MariaDB, RabbitMQ and memcached listen inside a container only and need none."""

    admin: str
    tenant: str
    service: str
    metadata: str


def load() -> Secrets:
    """Return the lab's passwords, making them the first time."""
    if SECRETS_FILE.exists():
        return Secrets(**json.loads(SECRETS_FILE.read_text()))
    made = Secrets(*(secrets.token_hex(12) for _ in range(4)))
    write_private(SECRETS_FILE, json.dumps(asdict(made), indent=2) + "\n")
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    unfinished.rename(path)
