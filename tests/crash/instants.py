"""The instants of a run at which it can die, or a call can fail; and the hooks that strike there."""

from collections.abc import Callable, Sequence

from os_migrate.errors import CloudError, OSMigrateError
from os_migrate.journal import AttemptState
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


class FailAndDie(FailAt):
    """Let the call of the given number fail, and die before that of another number, in the undo."""

    def __init__(self, number: int, death: int) -> None:
        super().__init__(number, CloudError)
        self.death = death

    def before(self, call: Call) -> None:
        if len(self.calls) == self.death:
            raise Killed(str(call))
        super().before(call)


class FailAndSurvey(FailAt):
    """Let the call of the given number fail, and note the instants from then on."""

    def __init__(self, number: int, scene: Scene) -> None:
        super().__init__(number, CloudError)
        self.survey = Survey(scene)

    def before(self, call: Call) -> None:
        self.survey.before(call)
        super().before(call)

    @property
    def instants(self) -> list[int]:
        return [n for n in self.survey.instants if n > self.number]


class Commit(Hook):
    """Note the number of the write that commits."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.number = 0
        self._scene = scene

    def after(self, call: Call) -> None:
        if not self.number and call.where == "journal" and self._scene.state is AttemptState.COMMITTED:
            self.number = len(self.calls) - 1


class OwnerStartsAt(Hook):
    """Let the owner of the source server start it before the call of the given number, or the next to a cloud or a host.

    Between the last look at the server and the commit there is but one write to the journal: no look can close that.
    """

    def __init__(self, number: int, scene: Scene) -> None:
        super().__init__()
        self.number = number
        self._scene = scene
        self._done = False

    def before(self, call: Call) -> None:
        if not self._done and len(self.calls) >= self.number and call.where != "journal":
            self._done = True
            self._scene.owner_starts(self._scene.workloads[0])
        super().before(call)


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
