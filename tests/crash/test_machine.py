"""Any sequence of migrations, deaths, failures, resumes, rollbacks, clean-ups and reboots: a state machine that hypothesis drives.

Never two running servers, never a source disk altered or deleted, never a job robbed of its disk; and in the end the workload is migrated
whole or as it was, with nothing left.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from os_migrate import cleanup
from os_migrate.errors import CloudError, CloudUnavailable, HostError, HostUnreachable, OSMigrateError
from os_migrate.journal import AttemptState
from tests.crash.conftest import SHM
from tests.crash.instants import DoomAt, FailAt, KillAt
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook, Killed
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import SHAPES

CALLS = st.integers(0, 260)
"""A migration makes two or three hundred calls; a later number means that nothing strikes."""

ERRORS = st.sampled_from([CloudError, CloudUnavailable, HostError, HostUnreachable])
KNOWN_IN_THE_END = [shape for shape in SHAPES if not shape.brought]
"""Volumes that the operator brings may have been written to by a twin that ran and was undone."""

LATENCIES = st.sampled_from([PROMPT, Latency.slow()])


class Operations(RuleBasedStateMachine):
    """What operators, machines and clouds do to one workload."""

    @initialize(shape=st.sampled_from(KNOWN_IN_THE_END), latency=LATENCIES)
    def begin(self, shape, latency):
        self.directory = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)
        self.scene = Scene(Path(self.directory.name), shape, latency=latency)

    @rule(number=CALLS)
    def migrate_and_die(self, number):
        self._try(lambda: self.scene.migrate(KillAt(number)))

    @rule(number=CALLS, error=ERRORS, has_effect=st.booleans(), more=st.sampled_from([0, 2, 9]))
    def migrate_with_a_failure(self, number, error, has_effect, more):
        strike = FailAt(number, error, has_effect=has_effect and issubclass(error, CloudUnavailable), more=more)
        self._try(lambda: self.scene.migrate(strike))

    @rule(number=CALLS)
    def migrate_with_a_late_failure(self, number):
        self._try(lambda: self.scene.migrate(DoomAt(number)))

    @rule(number=CALLS)
    def resume_and_die(self, number):
        self._try(lambda: self.scene.resume(KillAt(number)))

    @precondition(lambda self: self.scene.state is not AttemptState.COMMITTED)
    @rule(number=CALLS)
    def roll_back_and_die(self, number):
        self._try(lambda: self.scene.rollback(KillAt(number)))

    @rule(number=CALLS)
    def clean_up_and_die(self, number):
        self._try(lambda: self.scene.cleanup(KillAt(number)))

    @rule(side=st.sampled_from([0, 1]))
    def reboot_a_host(self, side):
        self.scene.hosts[side].reboot()

    @rule(seconds=st.sampled_from([1, 30, 4000]))
    def wait(self, seconds):
        self.scene.clock.sleep(seconds)

    @invariant()
    def nothing_is_violated(self):
        if hasattr(self, "scene"):
            assert self.scene.violations == []
            assert self.scene.source.violations == []

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        try:
            self._end()
        finally:
            self.scene.close()
            self.directory.cleanup()

    def _end(self):
        self.scene.seam.hook = Hook()
        self.scene.clock.sleep(60)
        while self.scene.journal.unfinished():
            self.scene.resume()
        self.scene.cleanup()
        assert cleanup.find(self.scene.world, ()) == []
        if any(self.scene.twins(w) for w in self.scene.workloads):
            self.scene.assert_migrated(floating_ips=False)
        else:
            self.scene.assert_as_before()

    def _try(self, act: Callable[[], object]):
        try:
            act()
        except (Killed, OSMigrateError):  # the command ends, for whatever reason
            return


TestOperations = Operations.TestCase
TestOperations.settings = settings(
    max_examples=150, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
