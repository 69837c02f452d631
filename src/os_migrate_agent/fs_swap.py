"""Swap: its pages are of no use to anybody, its first one names it.

A hibernated system keeps its memory in swap; then the signature is another one, and all of it is needed.
"""

from typing import List

from os_migrate_agent.blocks import Extent
from os_migrate_agent.reading import Window, field, must

PAGES = (4096, 8192, 16384, 32768, 65536)  # the sizes of a page on the machines that Linux runs on
KEPT = 65536  # the header fills one page


def in_use(window: Window) -> List[Extent]:
    """Return the extents of a swap area that matter; raise Unproven if it may hold a hibernated system."""
    head = window.read(0, KEPT)
    pages = [page for page in PAGES if head[page - 10 : page] == b"SWAPSPACE2"]
    must(len(pages) == 1, "it is no swap area of today: hibernated, or odd")
    # The header has no byte order of its own: it is that of the machine.
    for order in "<>":
        if field(order + "I", head, 1024) == 1:
            end = (field(order + "I", head, 1028) + 1) * pages[0]
            must(KEPT <= end <= window.length, "it is larger than what it lies in")
            return [(0, KEPT), (end, window.length - end)]
    must(False, "it is a swap area of an unknown version")  # noqa: FBT003
    return []
