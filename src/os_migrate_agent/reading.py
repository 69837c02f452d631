"""Reading a part of a disk, a few bytes at a time, without ever writing to it."""

import os
import struct
from typing import Any, List, NamedTuple, Tuple

from os_migrate_agent.blocks import Extent


class Unproven(Exception):
    """Say why a part can't be proven to hold anything that is unused: it is copied whole."""


class Claim(NamedTuple):
    """What a file system says of itself."""

    size_bytes: int  # what a map of it must cover, to the byte
    free_bytes: int  # no more than this can be unused
    keep: List[Extent]  # what it needs, whether or not its map has it


class Window:
    """A part of a disk, opened for reading alone."""

    def __init__(self, path: str, length: int) -> None:
        self.path = path
        self.length = length
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (it is closed by __exit__)

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """Return all of that range; raise Unproven if the part doesn't have it, or it can't be read."""
        if offset < 0 or length < 0 or offset + length > self.length:
            raise Unproven(f"it refers to bytes {offset} to {offset + length} of {self.length}")
        found = b""
        while len(found) < length:
            try:
                piece = os.pread(self._file.fileno(), length - len(found), offset + len(found))
            except OSError as fault:
                raise Unproven(f"it can't be read at {offset}: {fault}") from fault
            if not piece:
                raise Unproven(f"it ends before {offset + length}")
            found += piece
        return found


def fields(form: str, data: bytes, offset: int = 0) -> Tuple[Any, ...]:
    """Unpack some fields as `struct` does; raise Unproven if the data ends before them."""
    try:
        return struct.unpack_from(form, data, offset)
    except struct.error as fault:
        raise Unproven("it is mangled: " + str(fault)) from fault


def field(form: str, data: bytes, offset: int) -> int:
    """Unpack one number."""
    return int(fields(form, data, offset)[0])


def must(holds: object, why: str) -> None:
    """Raise Unproven unless something holds."""
    if not holds:
        raise Unproven(why)
