"""The instants of a run at which it can die, or a call can fail; and the hooks that strike there."""

from collections.abc import Callable, Sequence

from os_migrate.errors import OSMigrateError
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook, Killed


class Survey(Hook):
    """Note the calls before which the world differs from how it was before the call before: each is an instant of its own.

    A death after a call and one before the next are the same instant; so are two during the same wait.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.instants: list[int] = []
        self._scene = scene
        self._last = -1

    def before(self, call: Call) -> None:
        changes = self._scene.seam.changes
        if changes != self._last:
            self._last = changes
            self.instants.append(len(self.calls))
        super().before(call)


class KillAt(Hook):
    """Die before the call of the given number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def before(self, call: Call) -> None:
        if len(self.calls) == self.number:
            raise Killed(str(call))
        super().before(call)


class FailAt(Hook):
    """Let the call of the given number fail, and the next `more` of its kind: before its effect, or after."""

    def __init__(
        self, number: int, error: Callable[[str], OSMigrateError], *, has_effect: bool = False, more: int = 0
    ) -> None:
        super().__init__()
        self.number = number
        self.error = error
        self.has_effect = has_effect
        self.more = more
        self.struck: Call | None = None

    def before(self, call: Call) -> None:
        super().before(call)
        if not self.has_effect:
            self._strike(call)

    def after(self, call: Call) -> None:
        if self.has_effect:
            self._strike(call)

    def _strike(self, call: Call) -> None:
        if self.struck is None and len(self.calls) - 1 == self.number:
            self.struck = call
            raise self.error(f"{call}: struck by the test")
        if self.struck == call and self.more:
            self.more -= 1
            raise self.error(f"{call}: struck again by the test")


class DoomAt(Hook):
    """Let what the call of the given number asks for be accepted, and go wrong later."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.doomed = False

    def dooms(self, call: Call) -> bool:
        if len(self.calls) - 1 != self.number:
            return False
        self.doomed = True
        return True


def die(act: Callable[[Hook], object], number: int) -> bool:
    """Act until the given instant; return whether it came."""
    try:
        act(KillAt(number))
    except Killed:
        return True
    return False


def sample(instants: Sequence[int], at_most: int) -> Sequence[int]:
    """Return some of the instants, spread evenly, first and last among them."""
    if len(instants) <= at_most:
        return instants
    step = (len(instants) - 1) / (at_most - 1)
    return [instants[round(n * step)] for n in range(at_most)]
