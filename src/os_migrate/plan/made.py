"""What a migration makes, in either cloud: what people want to see beforehand, and what counts for quotas."""

from dataclasses import dataclass
from enum import StrEnum

from os_migrate.model import Flavor, Side


class Kind(StrEnum):
    """What is made."""

    SERVER = "server"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    IMAGE = "image"
    PORT = "port"
    FLOATING_IP = "floating IP"


@dataclass(frozen=True)
class Made:
    """One thing that is made. What is temporary is gone when its migration ends; `volume_type` is "" for the cloud's default."""

    side: Side
    kind: Kind
    name: str
    size_gib: int = 0
    volume_type: str = ""
    flavor: Flavor | None = None
    temporary: bool = False
    detail: str = ""
