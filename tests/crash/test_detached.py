"""The migrator of a detached volume dies at every instant, calls fail: the volume ends migrated, or all is as it was."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from os_migrate import cleanup, flow
from os_migrate.batch import Result
from os_migrate.errors import CloudError, PlanError
from os_migrate.journal import AttemptState, StepState
from os_migrate.model import NO_SERVER, AttemptId, Loan, ServerId, Tag
from os_migrate.run import GRACE_S, Run
from os_migrate.steps.detached import KeepVolume, MarkVolume
from os_migrate.steps.volumes import AttachVolume
from tests.crash.conftest import SHM, Points
from tests.crash.instants import DoomAt, FailAt, Survey, die, sample
from tests.crash.test_failures import FORGETFUL, unavailable
from tests.crash.test_mutations import finished_steps_only
from tests.fakes.detached import DetachedScene
from tests.fakes.seam import Call, Hook, Killed
from tests.fakes.state import PROMPT, Latency

COMMITTED = {AttemptState.COMMITTED, AttemptState.MIGRATED}
LATENCIES = {"prompt": PROMPT, "slow": Latency.slow(), "forgetful": FORGETFUL}
SECOND_DEATHS = 8
LAST = 60

Scenes = Callable[..., AbstractContextManager[DetachedScene]]
each_latency = pytest.mark.parametrize("latency", LATENCIES.values(), ids=LATENCIES)


@pytest.fixture
def scenes() -> Scenes:
    """Return what makes a scene that is gone when its block ends."""

    @contextmanager
    def scene(*, latency: Latency = PROMPT, volumes: int = 1) -> Iterator[DetachedScene]:
        with (
            tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as directory,
            closing(DetachedScene(Path(directory), volumes, latency=latency)) as made,
        ):
            yield made

    return scene


def instants(scenes: Scenes, latency: Latency = PROMPT) -> list[int]:
    with scenes(latency=latency) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
        return survey.instants


def calls(scenes: Scenes, latency: Latency = PROMPT, *, mutating: bool = False) -> list[int]:
    """Return the numbers of the calls to clouds and hosts."""
    with scenes(latency=latency) as scene:
        scene.migrate(hook := Hook())
    asked = [(number, call) for number, call in enumerate(hook.calls) if call.where != "journal"]
    return [number for number, call in asked if call.mutates or not mutating]


def assert_ended(scene: DetachedScene) -> None:
    """Check that the volume was migrated, or that all is as it was."""
    if scene.state is AttemptState.MIGRATED:
        scene.assert_migrated()
        return
    assert scene.state in {None, AttemptState.ROLLED_BACK}, scene.state
    scene.assert_as_before()


@each_latency
def test_resume_finishes_what_died_at_any_instant(scenes: Scenes, points: Points, latency):
    for number in points(instants(scenes, latency)):
        with scenes(latency=latency) as scene:
            assert die(scene.migrate, number)
            if scene.state is None:
                scene.assert_as_before()
            else:
                scene.assert_migrated(scene.resume())


@each_latency
def test_rollback_undoes_what_died_at_any_instant_before_the_commit(scenes: Scenes, points: Points, latency):
    for number in points(instants(scenes, latency)):
        with scenes(latency=latency) as scene:
            assert die(scene.migrate, number)
            if scene.state in COMMITTED:
                break
            assert all(o.result is Result.ROLLED_BACK for o in scene.rollback())
            scene.assert_as_before()


@each_latency
def test_cleanup_ends_what_died_at_any_instant(scenes: Scenes, points: Points, latency):
    ends = set()
    for number in points(instants(scenes, latency)):
        with scenes(latency=latency) as scene:
            assert die(scene.migrate, number)
            died = scene.state
            scene.clock.sleep(GRACE_S)
            outcomes = scene.cleanup()
            ends |= {o.result for o in outcomes}
            assert all(o.error is None for o in outcomes), outcomes
            assert cleanup.find(scene.world, ()) == []
            if died in COMMITTED or Result.MIGRATED in {o.result for o in outcomes}:
                scene.assert_migrated()
            else:
                scene.assert_as_before()
    assert ends == {Result.ROLLED_BACK, Result.MIGRATED}


@pytest.mark.parametrize("act", ["resume", "rollback", "cleanup"])
def test_second_death_is_made_good_too(scenes: Scenes, points: Points, act):
    for number in sample(instants(scenes), SECOND_DEATHS):
        with scenes() as scene:
            die(scene.migrate, number)
            if act == "rollback" and scene.state in COMMITTED:
                break
            second = Survey(scene)
            getattr(scene, act)(second)
        for again in points(sample(second.instants, SECOND_DEATHS)):
            with scenes() as scene:
                die(scene.migrate, number)
                die(getattr(scene, act), again)
                getattr(scene, act)()
                if act == "cleanup" and scene.copies(scene.volumes[0]):
                    scene.assert_migrated()
                elif act == "cleanup":
                    scene.assert_as_before()
                else:
                    assert_ended(scene)


def test_refused_call_leaves_all_as_it_was_and_its_error_is_the_first_told(scenes: Scenes, points: Points):
    for number in points(calls(scenes)):
        with scenes() as scene:
            hook = FailAt(number, CloudError)
            try:
                (outcome,) = scene.migrate(hook)
            except CloudError:
                assert scene.state is None  # before anything was touched
                scene.assert_as_before()
                continue
            if scene.state is AttemptState.COMMITTED:
                assert outcome.result is Result.FAILED
                scene.assert_migrated(scene.resume())
                continue
            assert_ended(scene)
            if outcome.result is not Result.MIGRATED:
                assert str(hook.struck) in str(outcome.error), outcome


@pytest.mark.parametrize("has_effect", [False, True], ids=["without_effect", "with_effect"])
def test_call_without_an_answer_is_made_good_and_nothing_is_made_twice(scenes: Scenes, points: Points, has_effect):
    for number in points(calls(scenes, FORGETFUL, mutating=True)):
        with scenes(latency=FORGETFUL) as scene:
            hook = FailAt(number, unavailable, has_effect=has_effect)
            scene.assert_migrated(scene.migrate(hook))
            assert hook.struck is not None


def test_what_is_accepted_and_goes_wrong_later_leaves_all_as_it_was(scenes: Scenes, points: Points):
    doomed = 0
    for number in points(calls(scenes, mutating=True)):
        with scenes() as scene:
            hook = DoomAt(number)
            scene.migrate(hook)
            doomed += hook.doomed
            if scene.state is AttemptState.COMMITTED:
                scene.assert_migrated(scene.resume())
            assert_ended(scene)
    assert doomed


def test_resume_with_other_conversion_hosts_ends_well(scenes: Scenes, points: Points):
    for number in points(instants(scenes)):
        with scenes() as scene:
            assert die(scene.migrate, number)
            scene.replace_hosts()
            if scene.journal.unfinished():
                scene.resume()
            assert_ended(scene)


def test_volume_that_was_taken_from_the_host_meanwhile_is_copied_anew(scenes: Scenes, points: Points):
    """Whoever had it may have written to it: what was copied until then is worth nothing."""
    taken = 0
    for number in points(instants(scenes)):
        with scenes() as scene:
            die(scene.migrate, number)
            scene.seam.hook = Hook()
            (volume,) = scene.volumes
            host = scene.source_host
            if scene.state in COMMITTED or not host._sees(volume.id):
                continue
            taken += 1
            scene.source.detach_volume(ServerId(host.server_id), volume.id)
            scene.source._volume(volume.id).data = bytes(len(scene.source.bytes_of(volume.id)))
            scene.before = (scene.before[0] | {"bytes": scene.picture()[0]["bytes"]}, scene.before[1])
            scene.clock.sleep(GRACE_S)
            for each in scene.hosts:
                each.violations.clear()  # it was not we who took it away under our jobs
            scene.assert_migrated(scene.resume())
    assert taken


def test_volume_whose_mark_is_gone_is_not_migrated_on(scenes: Scenes, points: Points):
    """Somebody cleaned up from elsewhere, and left a journal behind."""
    gone = 0
    for number in points(instants(scenes)):
        with scenes() as scene:
            die(scene.migrate, number)
            scene.seam.hook = Hook()
            (volume,) = scene.volumes
            if scene.state in COMMITTED or Loan.of(scene.source.volume(volume.id)) is None:
                continue
            first = scene.journal.unfinished()[0].id
            scene.clock.sleep(GRACE_S)
            scene._restart(None)
            cleanup.clean_up(scene.world, cleanup.find(scene.world, ()), scene.settings)
            scene.assert_nothing_left()
            mark = scene.journal.step(first, MarkVolume("source", volume.id).key)
            if scene.copies(volume) or mark.state is not StepState.DONE:
                continue
            gone += 1
            scene.assert_migrated(scene.resume())
            assert scene.journal.attempt(first).state is AttemptState.ROLLED_BACK
    assert gone


def test_one_of_several_that_fails_is_nobody_elses_error(scenes: Scenes):
    with scenes(volumes=3) as scene:
        creates = [n for n, c in enumerate(survey(scenes, 3)) if c == Call("destination", "create_volume")]
        outcomes = scene.migrate(FailAt(creates[1], CloudError))
        assert [o.result for o in outcomes] == [Result.MIGRATED, Result.ROLLED_BACK, Result.MIGRATED]
        scene.assert_nothing_left()
        assert [len(scene.copies(v)) for v in scene.volumes] == [1, 0, 1]
        assert [o.result for o in scene.migrate()] == [Result.SKIPPED, Result.MIGRATED, Result.SKIPPED]
        scene.assert_migrated()


def survey(scenes: Scenes, volumes: int) -> list[Call]:
    with scenes(volumes=volumes) as scene:
        scene.migrate(hook := Hook())
        return hook.calls


def test_mark_stays_as_long_as_the_volume_is_on_the_host(scenes: Scenes, monkeypatch):
    """Without a journal it is all that tells."""
    with scenes() as scene:
        die(scene.migrate, sample(instants(scenes), 3)[1])
        monkeypatch.setattr(AttachVolume, "undo", lambda *_: (_ for _ in ()).throw(CloudError("no")))
        (outcome,) = scene.rollback()
        assert outcome.result is Result.ROLLBACK_INCOMPLETE
        monkeypatch.undo()
        scene.cleanup()
        scene.assert_as_before()


def test_volume_that_another_attempt_has_is_refused_and_its_mark_left_alone(scenes: Scenes):
    with scenes() as scene:
        (volume,) = scene.volumes
        scene.source.set_volume_metadata(volume.id, Loan(AttemptId("0123456789"), NO_SERVER).metadata())
        attempt = scene.journal.begin(NO_SERVER, volume.name, volume_id=volume.id)
        run = Run(scene.world, scene.journal, attempt, scene.settings)
        with pytest.raises(PlanError, match="attempt 0123456789, which this data dir doesn't know"):
            run.perform(MarkVolume("source", volume.id))
        flow.roll_back(run)
        loan = Loan.of(scene.source.volume(volume.id))
        assert loan is not None
        assert loan.attempt == "0123456789"


def test_kept_copy_whose_source_is_in_another_project_is_for_a_person_to_judge(scenes: Scenes):
    with scenes() as scene:
        die(scene.migrate, first_committed(scenes))
        scene._restart(None)
        (found,) = cleanup.find(scene.world, ())
        assert found.copy is not None
        del scene.source._volumes[scene.volumes[0].id]
        (found,) = cleanup.find(scene.world, ())
        assert "isn't in this source project" in found.problem


def first_committed(scenes: Scenes) -> int:
    """Return the first instant at which the copy is kept, and the journal says so."""
    for number in instants(scenes):
        with scenes() as scene:
            die(scene.migrate, number)
            if scene.state is AttemptState.COMMITTED:
                return number
    raise AssertionError("nothing is ever committed")


def test_double_of_a_kept_copy_is_what_a_clean_up_deletes(scenes: Scenes):
    struck = 0
    for number in instants(scenes)[-LAST:]:
        with scenes() as scene:
            die(scene.migrate, number)
            (volume,) = scene.volumes
            copies = scene.copies(volume)
            if scene.state is not AttemptState.COMMITTED or copies[0].attachments:
                continue
            scene._restart(None)
            tag = Tag(scene.journal.attempts()[-1].id, f"CreateVolume:destination {volume.id}")
            stored = scene.destination._volumes[scene.destination.add_volume(volume.name, copies[0].size_gib)]
            stored.view = replace(stored.view, metadata={Tag.ORIGIN_KEY: volume.id, **tag.metadata()})
            scene.cleanup()
            if Tag.ATTEMPT_KEY in copies[0].metadata:
                struck += 1
                assert [left.id for left in scene.copies(volume)] == [copies[0].id]
    assert struck


def test_copy_that_a_clean_up_gave_away_is_not_undone_by_the_journal_that_turns_up_again(scenes: Scenes):
    given_away = 0
    for number in instants(scenes)[-LAST:]:
        with scenes() as scene:
            die(scene.migrate, number)
            if scene.state is not AttemptState.RUNNING:
                continue
            journal = scene.journal_file()
            scene.clock.sleep(GRACE_S)
            with suppress(Killed):
                scene.cleanup(DiesUntagging())
            scene.seam.hook = Hook()
            copies = scene.copies(scene.volumes[0])
            if not copies or copies[0].attachments or KeepVolume.__name__ not in copies[0].metadata[Tag.STEP_KEY]:
                continue
            given_away += 1
            scene.find_journal(journal)
            for act in (scene.resume, scene.rollback):  # the refusal is no beginning of an undo
                (outcome,) = act()
                assert outcome.result is Result.ROLLBACK_INCOMPLETE
            assert [copy.id for copy in scene.copies(scene.volumes[0])] == [copies[0].id]
    assert given_away


class DiesUntagging(Hook):
    """The clean-up dies when it is about to take the tag off the copy."""

    def before(self, call: Call) -> None:
        if call.where == "destination" and "metadata" in call.verb:
            raise Killed(str(call))
        super().before(call)


MUTATIONS = {
    "copy_is_not_kept": (KeepVolume, "do", lambda self, world, tag: self.volume_id, "cleanup"),
    "marks_stay": (MarkVolume, "undo", lambda *_: None, "rollback"),
    "attachments_stay": (AttachVolume, "undo", lambda *_: None, "rollback"),
    "undo_of_finished_steps_only": (Run, "steps", finished_steps_only, "rollback"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_deaths_do_harm_when_a_rule_is_taken_away(scenes: Scenes, monkeypatch, mutation):
    owner, name, mutant, act = MUTATIONS[mutation]
    numbers = instants(scenes)
    monkeypatch.setattr(owner, name, mutant)
    assert any(does_harm(scenes, number, act) for number in numbers)


def does_harm(scenes: Scenes, number: int, act: str) -> bool:
    with scenes() as scene:
        die(scene.migrate, number)
        died = scene.state
        if died is None or (act == "rollback" and died in COMMITTED):
            return False
        scene.clock.sleep(GRACE_S)
        try:
            getattr(scene, act)()
            is_there = act == "cleanup" and scene.copies(scene.volumes[0])
            (scene.assert_migrated if died in COMMITTED or is_there else scene.assert_as_before)()
        except (AssertionError, ValueError):
            return True
    return False
