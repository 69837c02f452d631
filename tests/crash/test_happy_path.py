"""What an undisturbed migration leaves."""

import pytest

from tests.fakes.scene import Scene
from tests.fakes.state import Latency
from tests.fakes.workloads import SHAPES


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_workload_of_every_shape_arrives_whole_and_leaves_nothing(tmp_path, shape):
    scene = Scene(tmp_path, shape)
    scene.assert_migrated(scene.migrate())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_slow_clouds_are_waited_for(tmp_path, shape):
    scene = Scene(tmp_path, shape, latency=Latency.slow())
    scene.assert_migrated(scene.migrate())
