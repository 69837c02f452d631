"""With two pairs of conversion hosts, the migrator dies at every instant; whoever goes on finds the pair that the attempt goes through."""

import pytest

from os_migrate.journal import AttemptState
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Survey, die, sample
from tests.crash.test_crashes import COMMITTED, RICH

AT_MOST = 60


def some_instants(scenes: Scenes) -> list[int]:
    with scenes(RICH, pairs=2) as scene:
        survey = Survey(scene)
        scene.migrate(survey)
        return list(sample(survey.instants, AT_MOST))


@pytest.mark.parametrize("act", ["resume", "rollback", "cleanup"])
def test_death_is_made_good_by_one_who_knows_the_pairs_in_another_order(scenes: Scenes, points: Points, act):
    for number in points(some_instants(scenes)):
        with scenes(RICH, pairs=2) as scene:
            assert die(scene.migrate, number)
            died = scene.state
            scene.swap_pairs()
            if died in {None, AttemptState.MIGRATED} or (act == "rollback" and died in COMMITTED):
                continue
            outcomes = getattr(scene, act)()
            assert all(outcome.error is None for outcome in outcomes), outcomes
            if act == "resume" or any(scene.twins(workload) for workload in scene.workloads):
                scene.assert_migrated(floating_ips=act != "cleanup")
            else:
                scene.assert_as_before()


def test_death_after_which_the_pair_is_forgotten_does_harm(scenes: Scenes, points: Points, monkeypatch):
    monkeypatch.setattr("os_migrate.batch.pair_of", lambda *_: None)
    ends = set()
    for number in points(some_instants(scenes)):
        with scenes(RICH, pairs=2) as scene:
            assert die(scene.migrate, number)
            scene.swap_pairs()
            if scene.state is AttemptState.RUNNING:
                scene.resume()
                ends.add(scene.state)
    assert AttemptState.ROLLED_BACK in ends
