"""Any sequence of migrations, deaths, failures, resumes, rollbacks, clean-ups, reboots, and of starts of the source server by its owner: a state
machine that hypothesis drives.

Never two running servers but by their owner's will after the commit, never a source disk altered or deleted, never a job robbed of its disk; and in the end the workload is migrated
whole or as it was, with nothing left.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from os_migrate import cleanup
from os_migrate.batch import Outcome, Result
from os_migrate.errors import CloudError, CloudUnavailable, HostError, HostUnreachable, OSMigrateError
from os_migrate.journal import AttemptState
from os_migrate.model import ServerStatus
from os_migrate.run import GRACE_S
from tests.crash.conftest import SHM
from tests.crash.instants import DoomAt, FailAt, KillAt, OwnerStartsAt
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook, Killed
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import SHAPES, Shape

WHEN = st.integers(0, 1050).map(lambda permille: permille / 1000)
"""When something strikes, as a part of the calls that an undisturbed migration makes; beyond them, nothing strikes."""

ERRORS = st.sampled_from([CloudError, CloudUnavailable, HostError, HostUnreachable])
KNOWN_IN_THE_END = [shape for shape in SHAPES if not shape.brought]
"""Volumes that the operator brings may have been written to by a twin that ran and was undone."""

LATENCIES = st.sampled_from([PROMPT, Latency.slow(), Latency(listing=8.0)])
CALLS: dict[tuple[Shape, Latency], int] = {}
"""How many calls a migration makes, from two hundred to a thousand."""


class Operations(RuleBasedStateMachine):
    """What operators, machines and clouds do to one workload."""

    @initialize(shape=st.sampled_from(KNOWN_IN_THE_END), latency=LATENCIES)
    def begin(self, shape, latency):
        if (shape, latency) not in CALLS:
            self._open(shape, latency)
            hook = Hook()
            self.scene.migrate(hook)
            CALLS[shape, latency] = len(hook.calls)
            self._close()
        self._open(shape, latency)
        self.calls = CALLS[shape, latency]

    def _open(self, shape, latency):
        self.directory = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)
        self.scene = Scene(Path(self.directory.name), shape, latency=latency)

    def _close(self):
        self.scene.close()
        self.directory.cleanup()

    @rule(when=WHEN)
    def migrate_and_die(self, when):
        self._try(lambda: self.scene.migrate(KillAt(self._call(when))))

    @rule(when=WHEN, error=ERRORS, has_effect=st.booleans(), more=st.sampled_from([0, 2, 9]))
    def migrate_with_a_failure(self, when, error, has_effect, more):
        strike = FailAt(
            self._call(when), error, has_effect=has_effect and issubclass(error, CloudUnavailable), more=more
        )
        self._try(lambda: self.scene.migrate(strike))

    @rule(when=WHEN)
    def migrate_with_a_late_failure(self, when):
        self._try(lambda: self.scene.migrate(DoomAt(self._call(when))))

    @rule(when=WHEN)
    def resume_and_die(self, when):
        self._try(lambda: self.scene.resume(KillAt(self._call(when))))

    @precondition(lambda self: self.scene.state is not AttemptState.COMMITTED)
    @rule(when=WHEN)
    def roll_back_and_die(self, when):
        self._try(lambda: self.scene.rollback(KillAt(self._call(when))))

    @rule(when=WHEN)
    def clean_up_and_die(self, when):
        self.scene.clock.sleep(GRACE_S)  # what isn't listed yet can't be found
        self._try(lambda: self.scene.cleanup(KillAt(self._call(when))))

    @rule(side=st.sampled_from([0, 1]))
    def reboot_a_host(self, side):
        self.scene.hosts[side].reboot()

    @rule(when=WHEN, act=st.sampled_from(["migrate", "resume"]))
    def owner_starts_the_source_meanwhile(self, when, act):
        self._try(lambda: getattr(self.scene, act)(OwnerStartsAt(self._call(when), self.scene)))

    @rule()
    def owner_starts_the_source(self):
        self.scene.owner_starts(self.scene.workloads[0])

    @rule(seconds=st.sampled_from([1, 30, 4000]))
    def wait(self, seconds):
        self.scene.clock.sleep(seconds)

    @invariant()
    def nothing_is_violated(self):
        if hasattr(self, "scene"):
            parts = (self.scene, self.scene.source, self.scene.destination, *self.scene.hosts)
            assert [violation for part in parts for violation in part.violations] == []

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        try:
            self._end()
        finally:
            self._close()

    def _end(self):
        self.scene.seam.hook = Hook()
        self.scene.clock.sleep(60)
        while self.scene.journal.unfinished():
            self.scene.resume()
        for found in cleanup.find(self.scene.world, ()):
            if found.problem and found.twin:  # both run: a person has to choose
                self.scene.destination.delete_server(found.twin)
        self.scene.cleanup()
        assert cleanup.find(self.scene.world, ()) == []
        if any(self.scene.twins(w) for w in self.scene.workloads):
            self.scene.assert_migrated(floating_ips=False)
        else:
            self.scene.assert_as_before()

    def _call(self, when: float) -> int:
        return round(when * self.calls)

    def _try(self, act: Callable[[], Sequence[Outcome]]):
        try:
            outcomes = act()
        except (Killed, OSMigrateError):  # the command ends, for whatever reason
            return
        (source,) = (self.scene.source._machines[w.id].view for w in self.scene.workloads)
        if source.status is not ServerStatus.SHUTOFF and any(o.result is Result.MIGRATED for o in outcomes):
            assert self.scene.owner_started[source.id], "it was not too late to take the twin back"


TestOperations = Operations.TestCase
TestOperations.settings = settings(
    max_examples=150, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
