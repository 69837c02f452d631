"""Each stage of a migration in a process of its own, as Ansible's modules are, with nothing in common but the journal.

Whoever comes after one that died or failed, between two stages or within one, brings both clouds to one of the two ends.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from os_migrate import cleanup
from os_migrate.batch import Result
from os_migrate.door import stages
from os_migrate.door.stages import Stage
from os_migrate.errors import CloudError, OSMigrateError, PlanError, SourceChanged, UserError
from os_migrate.journal import AttemptState
from os_migrate.model import AttemptId, ServerId
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import FailAt, OwnerStartsAt, Survey, die, sample
from tests.crash.test_crashes import COMMITTED, RICH
from tests.fakes.host import FakeHost
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import BY_NAME, SHAPES, Shape

WITHIN = 12
"""So many instants within the stages, beside those between any two."""

FAILURES = 30
LOCAL = BY_NAME["image_copied_running"]
CASES = [(RICH, PROMPT), (LOCAL, PROMPT), (BY_NAME["volumes_brought"], PROMPT), (RICH, Latency(listing=8.0))]
IDS = ["rich", "local", "brought", "forgetful"]


class Processes:
    """The modules' processes: each opens the journal anew, and sees the clouds and hosts anew."""

    def __init__(self, scene: Scene, hook: Hook | None = None) -> None:
        self.scene = scene
        self.hook = hook or Hook()
        self.begins: list[int] = []  # the numbers of the calls with which processes begin

    @property
    def wanted(self) -> list[Stage]:
        stops = self.scene.settings.workloads.stop_before_migration
        return [stage for stage in Stage if stops or stage is not Stage.STOP]

    def migrate(self) -> list[bool]:
        """Run all that a role runs for a workload; return what changed."""
        scene = self.anew()
        if stages.prelim(scene.world, scene.journal, scene.workloads[0]):
            return []
        scene = self.anew()
        stages.check_destination(scene.world, scene.journal, scene.workloads[0], scene.settings)
        return [*map(self.forward, self.wanted), self.clean_up()]

    def upto(self, stage: Stage) -> None:
        for wanted in self.wanted[: self.wanted.index(stage) + 1]:
            self.forward(wanted)

    def forward(self, stage: Stage, attempt: str | None = None) -> bool:
        scene = self.anew()
        left = stages.go_forward(scene.world, scene.journal, scene.workloads[0], scene.settings, stage, attempt)
        return left.changed

    def clean_up(self, *, after_failure: bool = False) -> bool:
        scene = self.anew()
        last = stages.last_attempt(scene.journal, scene.workloads[0].id, None)
        if last is None:
            return False
        return stages.clean_up(scene.world, scene.journal, scene.settings, last.id, after_failure=after_failure).changed

    def rescue(self) -> list[bool]:
        """Run what a role runs when one of its modules failed."""
        return [self.clean_up(), self.clean_up(after_failure=True)]

    def anew(self) -> Scene:
        self.begins.append(len(self.hook.calls))
        self.scene._restart(self.hook)
        return self.scene


def migrate(scene: Scene, hook: Hook) -> None:
    Processes(scene, hook).migrate()


def instants(scenes: Scenes, shape: Shape, latency: Latency) -> list[int]:
    """Return instants between any two stages, and some within."""
    with scenes(shape, latency=latency) as scene:
        survey = Survey(scene)
        processes = Processes(scene, survey)
        processes.migrate()
        return sorted({*processes.begins, *sample(survey.instants, WITHIN)})


def assert_at_an_end(scene: Scene) -> None:
    """Check that the workload is as it was, or migrated whole if that was committed."""
    if scene.state is AttemptState.MIGRATED:
        scene.assert_migrated()
    else:
        assert scene.state in {None, AttemptState.ROLLED_BACK}, scene.state
        scene.assert_as_before()


# Undisturbed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stages_of_every_shape_end_as_a_migration_in_one_process_does(scenes: Scenes, shape):
    with scenes(shape) as one, scenes(shape) as many:
        one.assert_migrated(one.migrate())
        Processes(many).migrate()
        many.assert_migrated()
        assert many.picture() == one.picture()
        ours, theirs = (
            {record.step.key: record.state for record in scene.journal.steps(scene.journal.attempts()[0].id)}
            for scene in (many, one)
        )
        assert ours == theirs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stage_that_was_done_already_says_that_nothing_changed(scenes: Scenes, shape):
    with scenes(shape) as scene:
        processes = Processes(scene)
        for stage in processes.wanted:
            acts = {
                Stage.CHECK: Stage.STOP not in processes.wanted,
                Stage.EXPORT: scene.workloads[0].copies,
                Stage.TRANSFER: scene.workloads[0].copies,
            }
            assert processes.forward(stage) is acts.get(stage, True)
            pictures = scene.picture()
            for earlier in processes.wanted[: processes.wanted.index(stage) + 1]:
                assert processes.forward(earlier) is False
            assert scene.picture() == pictures
        assert processes.clean_up() is True
        assert processes.rescue() == [False, False]
        assert not any(map(processes.forward, processes.wanted))
        assert processes.migrate() == []
        scene.assert_migrated()
        assert len(scene.journal.attempts()) == 1


def test_stage_of_a_twin_that_was_deleted_begins_anew(scenes: Scenes):
    with scenes(BY_NAME["image_kept_no_volume"]) as scene:
        Processes(scene).migrate()
        (twin,) = scene.twins(scene.workloads[0])
        scene.seam.hook = Hook()
        scene.destination.delete_server(ServerId(twin))
        assert Processes(scene).forward(Stage.STOP)
        assert len(scene.journal.attempts()) == 2


def test_the_last_stage_alone_does_all(scenes: Scenes):
    with scenes(BY_NAME["image_copied_three_volumes"]) as scene:
        assert Processes(scene).forward(Stage.CREATE)
        assert Processes(scene).clean_up()
        scene.assert_migrated()


def test_pair_of_hosts_with_the_most_room_is_taken_and_kept(scenes: Scenes):
    with scenes(RICH, RICH, pairs=2) as scene:
        first, second = Processes(scene), Processes(scene)
        first.upto(Stage.EXPORT)
        scene.workloads.reverse()
        second.upto(Stage.EXPORT)
        used = [len(host.cloud._machines[host.server_id].view.volumes) for host in scene.hosts]
        assert used == [3, 0, 3, 0]
        scene.swap_pairs()
        for _ in range(2):
            first.forward(Stage.CREATE)
            first.clean_up()
            scene.workloads.reverse()
        scene.assert_migrated()


# Refused ---------------------------------------------------------------------------------------------------------------


def test_what_keeps_a_stage_from_beginning_is_told_and_nothing_is_touched(scenes: Scenes):
    with scenes(LOCAL) as scene:
        with pytest.raises(PlanError, match="it is running"):
            Processes(scene).forward(Stage.CHECK)
        assert scene.journal.attempts() == []
        scene.assert_as_before()


def test_what_was_migrated_from_another_data_dir_is_not_migrated_twice(scenes: Scenes):
    with scenes(RICH) as scene:
        scene.migrate()
        scene.journal._db.execute("UPDATE attempts SET server_id = 'another'")
        with pytest.raises(UserError, match="already migrated: server"):
            Processes(scene).forward(Stage.STOP)


@pytest.mark.parametrize(
    ("attempt", "message"), [("nobody's", "no attempt \"?'?nobody's"), ("other's", "is of .*, not of")]
)
def test_attempt_that_is_not_the_workloads_is_refused(scenes: Scenes, attempt, message):
    with scenes(RICH, RICH) as scene:
        other = scene.journal.begin(scene.workloads[1].id, "other").id
        with pytest.raises(UserError, match=message):
            Processes(scene).forward(Stage.EXPORT, other if attempt == "other's" else attempt)
        scene.assert_as_before()


def test_failed_attempt_is_not_gone_on_with(scenes: Scenes):
    with scenes(RICH) as scene:
        processes = Processes(scene)
        processes.upto(Stage.EXPORT)
        attempt = scene.journal.attempts()[0].id
        scene.destination_host.corrupts = True
        with pytest.raises(OSMigrateError, match="is not equal to its source"):
            processes.forward(Stage.TRANSFER)
        assert scene.state is AttemptState.FAILED
        assert "is not equal to its source" in scene.journal.attempt(attempt).error
        scene.destination_host.corrupts = False
        for stage in (Stage.TRANSFER, Stage.CREATE, Stage.STOP):
            with pytest.raises(UserError, match=f"attempt {attempt} is failed: .* is not equal to its source"):
                processes.forward(stage)
        processes.anew()
        with pytest.raises(UserError, match="undo it, with import_workload_src_cleanup"):
            stages.check_destination(scene.world, scene.journal, scene.workloads[0], scene.settings)
        assert processes.rescue() == [True, False]
        scene.assert_as_before()
        with pytest.raises(UserError, match=f"attempt {attempt} was rolled back"):
            processes.forward(Stage.TRANSFER, attempt)
        processes.migrate()
        scene.assert_migrated()


def test_attempt_into_another_project_is_left_alone(scenes: Scenes):
    with scenes(RICH) as scene:
        Processes(scene).upto(Stage.EXPORT)
        scene.journal._db.execute("UPDATE attempts SET destination = 'another'")
        for act in (lambda: Processes(scene).forward(Stage.TRANSFER), Processes(scene).clean_up):
            with pytest.raises(UserError, match="begun into another destination project"):
                act()


@pytest.mark.parametrize("stage", [Stage.EXPORT, Stage.TRANSFER, Stage.CREATE])
def test_source_that_its_owner_starts_between_two_stages_is_not_migrated(scenes: Scenes, stage):
    with scenes(RICH) as scene:
        processes = Processes(scene)
        processes.upto(processes.wanted[processes.wanted.index(stage) - 1])
        processes.hook = OwnerStartsAt(0, scene)
        with pytest.raises(SourceChanged):
            processes.forward(stage)
        processes.hook = Hook()
        processes.rescue()
        scene.assert_as_before()


# Interrupted -----------------------------------------------------------------------------------------------------------


def go_on(scene: Scene) -> None:
    Processes(scene).migrate()


def go_back(scene: Scene) -> None:
    Processes(scene).rescue()


AFTER: dict[str, Callable[[Scene], object]] = {
    "resume": Scene.resume,
    "rollback": Scene.rollback,
    "the same stages again": go_on,
    "the modules' clean-ups": go_back,
}


@pytest.mark.parametrize("act", AFTER)
@pytest.mark.parametrize(("shape", "latency"), CASES, ids=IDS)
def test_death_within_and_between_stages_is_made_good(scenes: Scenes, points: Points, shape, latency, act):
    ends = set()
    for number in points(instants(scenes, shape, latency)):
        with scenes(shape, latency=latency) as scene:
            assert die(partial(migrate, scene), number)
            died = scene.state
            if act == "rollback" and died in COMMITTED:
                continue
            AFTER[act](scene)
            ends.add(scene.state)
            assert_at_an_end(scene)
            if died is not None and act in {"resume", "the same stages again"}:
                assert scene.state is AttemptState.MIGRATED
    forward = {AttemptState.MIGRATED}
    back = {AttemptState.ROLLED_BACK} | ({AttemptState.MIGRATED} if act == "the modules' clean-ups" else set())
    assert ends - {None} == (forward if act in {"resume", "the same stages again"} else back)


@pytest.mark.parametrize("shape", [RICH, LOCAL], ids=str)
def test_death_within_and_between_stages_is_made_good_without_the_journal(scenes: Scenes, points: Points, shape):
    for number in points(instants(scenes, shape, PROMPT)):
        with scenes(shape) as scene:
            assert die(partial(migrate, scene), number)
            died = scene.state
            scene.clock.sleep(60)
            outcomes = scene.cleanup()
            scene.give_what_no_cleanup_knows()
            if died in COMMITTED or any(outcome.result is Result.MIGRATED for outcome in outcomes):
                scene.assert_migrated(floating_ips=False, dress=False)
            else:
                scene.assert_as_before()


@pytest.mark.parametrize("shape", [RICH, LOCAL], ids=str)
def test_failure_in_any_stage_gives_everything_back_by_the_clean_ups(scenes: Scenes, points: Points, shape):
    hook = Hook()
    with scenes(shape) as scene:
        migrate(scene, hook)
    changing = [number for number, call in enumerate(hook.calls) if call.mutates and call.where != "journal"]
    stages_struck = set()
    for number in points(sample(changing, FAILURES)):
        with scenes(shape) as scene:
            with pytest.raises(OSMigrateError):
                migrate(scene, FailAt(number, CloudError))
            stages_struck.add(scene.journal.attempts()[0].stage)
            committed = scene.state is AttemptState.COMMITTED
            assert committed or scene.state is AttemptState.FAILED
            assert Processes(scene).rescue() == [True, False]
            assert (scene.state is AttemptState.MIGRATED) is committed
            assert_at_an_end(scene)
    assert {"stop source", "export volumes", "transfer volumes", "create instance", "clean up source"} <= stages_struck


def test_clean_up_that_failed_is_made_good_by_the_next(scenes: Scenes):
    with scenes(RICH) as scene:
        processes = Processes(scene)
        processes.upto(Stage.TRANSFER)
        hook = Hook()
        with scenes(RICH) as other:
            Processes(other).upto(Stage.TRANSFER)
            Processes(other, hook).clean_up()
        first = next(n for n, call in enumerate(hook.calls) if call.mutates and call.where != "journal")
        processes.hook = FailAt(first, CloudError)
        with pytest.raises(OSMigrateError):
            processes.clean_up()
        assert scene.state is AttemptState.ROLLING_BACK
        processes.hook = Hook()
        assert processes.clean_up(after_failure=True)
        scene.assert_as_before()


# Others ----------------------------------------------------------------------------------------------------------------


def clean_up_elsewhere(scene: Scene) -> None:
    """Let somebody clean up from another data dir, between two stages."""
    scene._restart(None)
    found = cleanup.find(scene.world, ())
    assert all(f.ready for f in found), found
    cleanup.clean_up(scene.world, found, scene.settings)


@pytest.mark.parametrize("stage", [Stage.CHECK, Stage.EXPORT, Stage.TRANSFER])
@pytest.mark.parametrize("shape", [RICH, LOCAL, BY_NAME["image_copied_three_volumes"]], ids=str)
def test_stage_after_a_clean_up_from_elsewhere_fails_and_leaves_nothing(scenes: Scenes, shape, stage):
    """Nobody holds the hosts between two stages: what a clean-up from elsewhere took must not be taken for there."""
    with scenes(shape) as scene:
        processes = Processes(scene)
        processes.upto(stage)
        clean_up_elsewhere(scene)
        following = processes.wanted[processes.wanted.index(stage) + 1]
        with pytest.raises(OSMigrateError):
            processes.forward(following)
        processes.rescue()
        scene.assert_as_before()


def test_hosts_are_held_during_a_stage_and_by_no_one_between_two(scenes: Scenes):
    held: list[tuple[bool, bool]] = []

    class Look(Hook):
        def before(self, call) -> None:
            super().before(call)
            if call.verb == "attach_volume":
                held.append(tuple(bool(host.held) for host in hosts))  # type: ignore[arg-type]

    with scenes(RICH) as scene:
        hosts: tuple[FakeHost, ...] = scene.hosts
        Processes(scene, Look()).upto(Stage.EXPORT)
        assert held
        assert all(all(both) for both in held)
        scene._restart(None)
        (found,) = cleanup.find(scene.world, ())
        assert found.ready
        (known,) = cleanup.find(scene.world, [AttemptId(scene.journal.attempts()[0].id)])
        assert "open in this data dir" in known.busy


def test_only_a_workload_that_copies_asks_for_hosts(scenes: Scenes):
    with scenes(BY_NAME["volumes_brought"]) as scene:
        scene.seam.hook = Hook()
        world = replace(scene.world, source_host=None, destination_host=None)
        for stage in Stage:
            stages.go_forward(world, scene.journal, scene.workloads[0], scene.settings, stage)
        stages.clean_up(world, scene.journal, scene.settings, scene.journal.attempts()[0].id)
        scene.assert_migrated()
    with scenes(RICH) as scene:
        world = replace(scene.world, source_host=None, destination_host=None)
        with pytest.raises(PlanError, match="conversion host"):
            stages.go_forward(world, scene.journal, scene.workloads[0], scene.settings, Stage.STOP)
        scene.assert_as_before()
