"""The guests' images: a tiny one for the servers that are migrated, and one for conversion hosts.

Both come of one Debian tree: the conversion host's image is that tree, and the tiny one takes its kernel, its busybox and
its dropbear.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import debian
from lab.cache import Entry, digest_of
from lab.images import conversion, tiny
from lab.settings import DEBIAN_SUITE


def entry() -> Entry:
    """Return the cache entry of both images."""
    return Entry("images", digest_of(DEBIAN_SUITE, Path(__file__).parent, Path(debian.__file__)))


def ensure() -> Path:
    """Return the folder that holds NAME.qcow2 for each image, building them if they aren't in the cache."""
    return entry().ensure(_build)


def _build(folder: Path) -> None:
    work = folder / "work"
    work.mkdir()
    tree = conversion.build_tree(work)
    tiny.build(tree, work, folder)
    conversion.build(tree, work, folder)
    shutil.rmtree(work)
