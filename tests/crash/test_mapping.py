"""The operator edits the mapping between a death and the resume: an attempt goes on with the names that it began with."""

import pytest

from os_migrate.files.mapping import parse_mapping
from os_migrate.journal import AttemptState
from os_migrate.mapping import mapped
from os_migrate.steps.servers import ResolveTarget
from tests.crash.conftest import Points, Scenes
from tests.crash.instants import Survey, die, sample
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME

BEGUN = """
flavors: {m1.small: gp.small}
keypairs: {alice: bob}
networks: {private: lan}
subnets: {private: lan}
security_groups: {web: base}
volume_types: {default: quick, fast: quick}
"""
EDITED = """
flavors: [{default: gone}]
keypairs: [{default: null}]
networks: [{default: gone}]
subnets: [{default: gone}]
security_groups: [{default: gone}]
volume_types: {default: default, fast: fast}
"""
SHAPES = [BY_NAME["volume_boot_two_volumes_running"], BY_NAME["image_copied_running"]]
DEATHS = 30


def furnish(scene: Scene) -> None:
    """Give the destination what the first mapping names, and begin the picture anew."""
    destination = scene.destination
    destination.add_flavor("gp.small")
    destination.add_keypair("bob")
    destination.add_network("lan", "10.0.0.0/16")
    destination.add_security_group("base")
    destination.add_volume_type("quick")
    scene.before = scene.picture()


def as_mapped(scene: Scene, text: str) -> list:
    mapping = parse_mapping(text, "mapping.yml")
    return [mapped(workload, mapping) for workload in scene.workloads]


def assert_as_begun(scene: Scene) -> None:
    (workload,) = scene.workloads
    (twin,) = (scene.destination._machines[t] for t in scene.twins(workload))
    assert (twin.view.flavor_name, twin.view.key_name) == ("gp.small", "bob")
    (lan,) = (n for n in scene.destination._networks if n.name == "lan")
    assert {scene.destination._ports[p][0].network_id for p in twin.ports} == {lan.id}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_attempt_goes_on_with_the_names_that_it_began_with(scenes: Scenes, points: Points, shape):
    with scenes(shape) as scene:
        furnish(scene)
        scene.workloads = as_mapped(scene, BEGUN)
        survey = Survey(scene)
        scene.migrate(survey)
        scene.assert_migrated()
        assert_as_begun(scene)
    ends = set()
    for number in points(sample(survey.instants, DEATHS)):
        with scenes(shape) as scene:
            furnish(scene)
            edited, scene.workloads = as_mapped(scene, EDITED), as_mapped(scene, BEGUN)
            assert die(scene.migrate, number)
            attempts = scene.journal.unfinished()
            resolved = any(isinstance(r.step, ResolveTarget) for a in attempts for r in scene.journal.steps(a.id))
            scene.workloads = edited
            scene.resume()
            ends.add(scene.state)
            if resolved:
                scene.assert_migrated()
                assert_as_begun(scene)
            else:
                assert scene.state in {None, AttemptState.ROLLED_BACK}
                scene.assert_as_before()
    assert AttemptState.MIGRATED in ends
