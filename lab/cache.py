"""Keep what is slow to build, each entry under a digest of what it is built from.

An entry is a directory. It is built under a temporary name and renamed when complete, so that an entry which exists is
whole, however the build that made it ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.settings import CACHE_DIR

_DIGEST_LENGTH = 16


def digest_of(*parts: object) -> str:
    """Return a short digest of values that JSON can hold, and of the content of files given as paths."""
    digest = hashlib.sha256()
    for part in parts:
        content = _content(part) if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _content(path: Path) -> bytes:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        return b"".join(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes() for file in files)
    return path.read_bytes()


@dataclass(frozen=True)
class Entry:
    """One cache entry: `kind` names it, `digest` pins what it is built from."""

    kind: str
    digest: str

    @property
    def path(self) -> Path:
        """Directory of the entry, which exists only if it is whole."""
        return CACHE_DIR / f"{self.kind}-{self.digest}"

    @property
    def exists(self) -> bool:
        """Tell whether the entry is there."""
        return self.path.is_dir()

    def ensure(self, build: Callable[[Path], None]) -> Path:
        """Return the entry's directory; have `build` fill it first if it isn't there."""
        CACHE_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(CACHE_DIR / f".{self.kind}.lock"):
            if not self.exists:
                unfinished = CACHE_DIR / f".{self.kind}-{self.digest}.unfinished"
                remove_tree(unfinished)
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(self.path)
                self._remove_others()
        return self.path

    def _remove_others(self) -> None:
        """Remove entries of this kind that are built from something older."""
        for other in CACHE_DIR.glob(f"{self.kind}-*"):
            if other != self.path and not _in_use(other):
                remove_tree(other)


def remove_tree(path: Path) -> None:
    """Remove a directory tree if it is there, never crossing into a mounted file system."""
    if not path.exists():
        return
    mounted = [point for point in mount_points() if point == str(path) or point.startswith(f"{path}/")]
    if mounted:
        raise OSError(f"won't remove {path}: {', '.join(mounted)} is mounted")
    shutil.rmtree(path)


def mount_points() -> Iterable[str]:
    """Return every mount point of this mount namespace."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1].encode().decode("unicode_escape") for line in lines]


def _in_use(path: Path) -> bool:
    """Tell whether a cloud's overlay, in whichever mount namespace, lies on this tree."""
    for mounts in Path("/proc").glob("[0-9]*/mounts"):
        try:
            if f"{path}/" in mounts.read_text():
                return True
        except OSError:
            continue
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, so that two builds of one kind run one after the other."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
