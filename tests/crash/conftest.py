"""Fresh scenes, quick to make; and the count of the points that the crash tests struck."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.fakes.scene import Scene
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import Shape

SHM = Path("/dev/shm")  # the journals are real files, thousands of them: memory is quicker than a disk
STRUCK: Counter[str] = Counter()

Scenes = Callable[..., AbstractContextManager[Scene]]
Points = Callable[[Iterable[int]], Iterator[int]]


@pytest.fixture
def scenes() -> Scenes:
    """Return what makes a scene that is gone when its block ends."""

    @contextmanager
    def scene(*shapes: Shape, latency: Latency = PROMPT, pairs: int = 1) -> Iterator[Scene]:
        with (
            tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as directory,
            closing(Scene(Path(directory), *shapes, latency=latency, pairs=pairs)) as made,
        ):
            yield made

    return scene


@pytest.fixture
def points(request) -> Points:
    """Return what counts the points at which a test strikes, and names the one at which it fails."""

    def count(numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            STRUCK[request.node.originalname] += 1
            try:
                yield number
            except GeneratorExit:
                print(f"failed at point {number}")
                raise

    return count


def pytest_terminal_summary(terminalreporter) -> None:
    if STRUCK:
        terminalreporter.section("crash points")
        for name, number in STRUCK.items():
            terminalreporter.write_line(f"{number:6} {name}")
        terminalreporter.write_line(f"{STRUCK.total():6} in all")
