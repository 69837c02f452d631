"""The stages of a detached volume's migration, each in a process of its own, as `test_stages`."""

from functools import partial

import pytest

from os_migrate.door import stages
from os_migrate.door.stages import Stage
from os_migrate.errors import OSMigrateError, UserError
from os_migrate.journal import AttemptState
from tests.crash.conftest import Points
from tests.crash.instants import FailAt, Survey, die, sample
from tests.crash.test_crashes import COMMITTED
from tests.fakes.detached import DetachedScene
from tests.fakes.seam import Hook

STAGES = (Stage.EXPORT, Stage.TRANSFER)
AT_MOST = 25


def forward(scene: DetachedScene, hook: Hook, stage: Stage) -> bool:
    scene._restart(hook)
    return stages.go_forward(scene.world, scene.journal, scene.volumes[0], scene.settings, stage).changed


def clean_up(scene: DetachedScene, hook: Hook) -> bool:
    scene._restart(hook)
    last = stages.last_attempt(scene.journal, scene.volumes[0].id, None)
    return last is not None and stages.clean_up(scene.world, scene.journal, scene.settings, last.id).changed


def migrate(scene: DetachedScene, hook: Hook) -> list[bool]:
    return [*(forward(scene, hook, stage) for stage in STAGES), clean_up(scene, hook)]


def instants(directory) -> list[int]:
    scene = DetachedScene(directory)
    survey = Survey(scene)
    migrate(scene, survey)
    return list(sample(survey.instants, AT_MOST))


@pytest.fixture
def fresh(tmp_path):
    """Return what makes a scene of its own."""
    made: list[DetachedScene] = []

    def make() -> DetachedScene:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(DetachedScene(directory))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


def test_each_stage_changes_something_once(fresh):
    scene = fresh()
    assert migrate(scene, Hook()) == [True, True, True]
    scene.assert_migrated()
    assert migrate(scene, Hook()) == [False, False, False]
    scene.assert_migrated()
    assert len(scene.journal.attempts()) == 1


def test_volume_that_was_migrated_from_another_data_dir_is_left_alone(fresh):
    scene = fresh()
    migrate(scene, Hook())
    scene.journal._db.execute("UPDATE attempts SET volume_id = 'another'")
    with pytest.raises(UserError, match="already migrated: volume"):
        forward(scene, Hook(), Stage.EXPORT)


@pytest.mark.parametrize("act", ["resume", "the same stages again", "the clean-up"])
def test_death_within_and_between_stages_of_a_volume_is_made_good(fresh, points: Points, tmp_path, act):
    (tmp_path / "survey").mkdir()
    for number in points(instants(tmp_path / "survey")):
        scene = fresh()
        assert die(partial(migrate, scene), number)
        died = scene.state
        if act == "resume":
            scene.resume()
        elif act == "the same stages again":
            migrate(scene, Hook())
        else:
            clean_up(scene, Hook())
        if died in COMMITTED or (died and act != "the clean-up") or act == "the same stages again":
            scene.assert_migrated()
        else:
            scene.assert_as_before()


def test_failure_in_any_stage_of_a_volume_gives_everything_back(fresh, points: Points):
    hook = Hook()
    migrate(fresh(), hook)
    changing = [number for number, call in enumerate(hook.calls) if call.mutates and call.where != "journal"]
    for number in points(changing):
        scene = fresh()
        with pytest.raises(OSMigrateError):
            migrate(scene, FailAt(number, OSMigrateError))
        committed = scene.state is AttemptState.COMMITTED
        assert committed or scene.state is AttemptState.FAILED
        assert clean_up(scene, Hook())
        if committed:
            scene.assert_migrated()
        else:
            scene.assert_as_before()
