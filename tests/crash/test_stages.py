"""Each stage of a migration in a process of its own, as Ansible's modules are, on nothing but the journal."""

import pytest

from os_migrate.door import stages
from os_migrate.door.stages import Stage
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.workloads import SHAPES


class Processes:
    """The modules' processes: each opens the journal anew, and sees the clouds and hosts anew."""

    def __init__(self, scene: Scene, hook: Hook | None = None) -> None:
        self.scene = scene
        self.hook = hook or Hook()

    def migrate(self) -> list[bool]:
        return [self.forward(stage) for stage in self.wanted()] + [self.clean_up()]

    def wanted(self) -> list[Stage]:
        stops = self.scene.settings.workloads.stop_before_migration
        return [stage for stage in Stage if stops or stage is not Stage.STOP]

    def forward(self, stage: Stage) -> bool:
        scene = self.anew()
        return stages.go_forward(scene.world, scene.journal, scene.workloads[0], scene.settings, stage).changed

    def clean_up(self, *, after_failure: bool = False) -> bool:
        scene = self.anew()
        server_id = scene.workloads[0].id
        left = stages.clean_up(
            scene.world, scene.journal, server_id, scene.settings, after_failure=after_failure
        )
        return left is not None and left.changed

    def anew(self) -> Scene:
        self.scene._restart(self.hook)
        return self.scene


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stages_of_every_shape_end_as_a_migration_in_one_process_does(tmp_path, shape):
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, many = Scene(tmp_path / "one", shape), Scene(tmp_path / "many", shape)
    one.assert_migrated(one.migrate())
    Processes(many).migrate()
    many.assert_migrated()
    assert many.picture() == one.picture()
