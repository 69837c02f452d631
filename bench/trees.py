"""What a directory tree holds, as a value that can be compared."""

import hashlib
import os
import stat
from pathlib import Path

Tree = dict[str, list[int | str]]
"""By path: mode, owner, group, modification time in nanoseconds, size, and what it holds."""


def tree_of(root: Path) -> Tree:
    """Read a tree whole."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted((*folders, *files)):
            path = Path(folder) / name
            about = path.lstat()
            facts: list[int | str] = [about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns]
            if stat.S_ISREG(about.st_mode):
                with path.open("rb") as file:
                    facts += [about.st_size, hashlib.file_digest(file, "sha256").hexdigest()]
            elif stat.S_ISLNK(about.st_mode):
                facts.append(str(path.readlink()))
            found[str(path.relative_to(root))] = facts
    return found


def differences(wanted: Tree, found: Tree) -> list[str]:
    """Return the paths that differ."""
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
