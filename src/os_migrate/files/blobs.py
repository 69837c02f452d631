"""The data of images as files: what they are called, which are right, and how one is written so that it is never there by half.

ID-NAME          the data, 0600
.ID-NAME.part    what comes, until it is whole and right; whoever comes after a dead run begins it anew
.proven.json     what was read and found to be, by size and time of change, so that it need not be read again
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from os_migrate.errors import DigestMismatch, UserError
from os_migrate.files.durable import write_atomically
from os_migrate.rest import CHUNK_BYTES

PROVEN_FILE: Final = ".proven.json"
LONGEST_NAME_BYTES: Final = 240
"""File systems take 255; the part's name is longer."""

REMEDY: Final = "check os_migrate_image_blobs_dir: its permissions, and its free space"

Seen = Callable[[int], None]
"""Is told how many bytes are done, piece by piece. It may raise, which ends the work."""


@dataclass(frozen=True)
class Fingerprint:
    """What tells data from other data: its size in bytes and its digest, each as far as it is known."""

    size_bytes: int | None
    algorithm: str = ""
    digest: str = ""


def can_digest(algorithm: str) -> bool:
    """Say whether this machine knows an algorithm."""
    try:
        return hashlib.new(algorithm, usedforsecurity=False).digest_size > 0  # some have as many bytes as one asks for
    except ValueError:
        return False


class Reading:
    """A file's bytes to be sent, piece by piece, and their digest, which is there at their end."""

    def __init__(self, file: Path, algorithm: str, seen: Seen) -> None:
        self._file = file
        self._seen = seen
        with _told(file, "read"):
            self._size = file.stat().st_size
        self.algorithm = algorithm
        self.digest = ""

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.new(self.algorithm, usedforsecurity=False)
        done = 0
        with self._file.open("rb") as stream:
            while piece := stream.read(CHUNK_BYTES):
                digest.update(piece)
                done += len(piece)
                yield piece
                self._seen(done)
        if done != self._size:  # the other side waits for the rest
            raise UserError(f"{self._file} was changed while it was read", remedy="leave it alone, and try again")
        self.digest = digest.hexdigest()


class Blobs:
    """The files in a directory, from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()

    def path(self, image_id: str, name: str) -> Path:
        """Return where an image's data belongs. Whatever it is called, that is a file of this directory."""
        plain = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in f"{image_id}-{name}")
        short = plain.encode("utf-8", "replace")[:LONGEST_NAME_BYTES].decode("utf-8", "ignore")
        return self.directory / short.lstrip(".")

    def find(self, image_id: str, name: str) -> Path | None:
        """Return where an image's data is, None where it isn't: an image may have had another name when it was exported.

        Raises:
            UserError: the directory can't be read.
        """
        with _told(self.directory, "read"):
            if (file := self.path(image_id, name)).is_file():
                return file
            if not image_id or not self.directory.is_dir():
                return None
            begin = self.path(image_id, "").name
            others = sorted(f for f in self.directory.iterdir() if f.name.startswith(begin) and f.is_file())
            return others[0] if others else None

    def size_bytes(self, file: Path) -> int:
        """Return how large a file is. Raise UserError if it isn't there any more."""
        with _told(file, "read"):
            return file.stat().st_size

    def is_right(self, file: Path, wanted: Fingerprint, seen: Seen) -> bool:
        """Say whether a file is what is wanted, as far as that is known."""
        if wanted.size_bytes is not None and self.size_bytes(file) != wanted.size_bytes:
            return False
        return not wanted.algorithm or self.digest(file, wanted.algorithm, seen) == wanted.digest

    def digest(self, file: Path, algorithm: str, seen: Seen) -> str:
        """Return the digest of a file: as it was found before, if it wasn't changed since; else it is read."""
        with _told(file, "read"):
            before = _stat(file)
            remembered = self._proven().get(file.name)
            if isinstance(remembered, dict) and remembered.get("stat") == before:
                found = remembered.get(algorithm)
                if isinstance(found, str):
                    return found
            reading = Reading(file, algorithm, seen)
            for _ in reading:
                pass
        self._remember(file, before, algorithm, reading.digest)
        return reading.digest

    def free_bytes(self) -> int:
        """Return the room there is; the directory is made for its owner only.

        Raises:
            UserError: it can't be.
        """
        with _told(self.directory):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return shutil.disk_usage(self.directory).free

    def write(self, file: Path, pieces: Iterable[bytes], wanted: Fingerprint, seen: Seen) -> None:
        """Write what comes; it is there when it is whole, right, and on the disk.

        Raises:
            DigestMismatch: it isn't what is wanted; nothing is left of it.
            UserError: it can't be written.
        """
        digest = hashlib.new(wanted.algorithm or "sha512", usedforsecurity=False)
        done = 0
        with self._part(file) as (part, stream):
            for piece in pieces:
                digest.update(piece)
                done += len(piece)
                with _told(file):
                    stream.write(piece)
                seen(done)
            if wanted.size_bytes is not None and done != wanted.size_bytes:
                raise DigestMismatch(f"{done} of {wanted.size_bytes} bytes came", remedy="try again")
            if wanted.algorithm and digest.hexdigest() != wanted.digest:
                what = (
                    f"what came isn't what the cloud says: {wanted.algorithm} {digest.hexdigest()}, not {wanted.digest}"
                )
                raise DigestMismatch(what, remedy="try again; if it stays so, the image is damaged in its cloud")
            with _told(file):
                stream.flush()
                os.fsync(stream.fileno())
                part.replace(file)
                _sync(self.directory)
        self._remember(file, _stat(file), digest.name, digest.hexdigest())

    @contextmanager
    def _part(self, file: Path) -> Iterator[tuple[Path, BinaryIO]]:
        """Open what is written before it is a blob, for one process at a time; take it away if it isn't made one."""
        part = file.with_name(f".{file.name}.part")
        with _told(file):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as stream:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                same = os.fstat(handle).st_ino == part.stat().st_ino
            except OSError:
                same = False
            if not same:
                raise UserError(f"another os-migrate is downloading {file}", remedy="wait for it")
            try:
                os.ftruncate(handle, 0)
                yield part, stream
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    def _proven(self) -> dict[str, Any]:
        try:
            found = json.loads((self.directory / PROVEN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, file: Path, stat: list[int], algorithm: str, digest: str) -> None:
        """Note a digest, and forget those of files that are gone."""
        with self._lock:
            proven = {name: entry for name, entry in self._proven().items() if (self.directory / name).exists()}
            entry = proven.get(file.name)
            known = entry if isinstance(entry, dict) and entry.get("stat") == stat else {}
            proven[file.name] = {**known, "stat": stat, algorithm: digest}
            write_atomically(self.directory / PROVEN_FILE, json.dumps(proven, indent=1) + "\n")


def _stat(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(file: Path, doing: str = "write") -> Iterator[None]:
    """Turn what the file system refuses into an error of ours."""
    try:
        yield
    except OSError as error:
        raise UserError(f"can't {doing} {file}: {error.strerror}", remedy=REMEDY) from None
