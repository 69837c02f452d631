"""The digest of a disk: over its size and the blocks that hold data, with their offsets (docs/decisions/0002)."""

import hashlib
import struct

PREFIX = b"os-migrate disk digest 1\n"


class Digest:
    """The digest of a disk of `size` bytes, of which the blocks that hold data are taken in, ascending."""

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256(PREFIX + struct.pack(">Q", size))

    def take(self, offset: int, block: memoryview) -> None:
        """Take in a block that is not all zero."""
        self._hash.update(struct.pack(">Q", offset))
        self._hash.update(block)

    def __str__(self) -> str:
        """Return the digest of what was taken in so far, in hexadecimal."""
        return self._hash.hexdigest()
