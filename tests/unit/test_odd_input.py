"""What is odd but legal is exported, read and migrated like anything else."""

import pytest

from os_migrate.files.workloads import write_workloads
from os_migrate.model import Server, ServerId, ServerStatus
from tests.fakes.scene import Scene
from tests.fakes.workloads import Boot, Shape
from tests.unit.test_cli import Commands, outcomes_of

RICH = Shape("rich", boot=Boot.VOLUME, data_volumes=2)
NAMES = [
    "with spaces  two",
    "a/b/../c",
    'it\'s "quoted" `id` $(reboot) ; & |',
    "..",
    "c++",
    "☂ ünï—код",
    "\N{ROLLING ON THE FLOOR LAUGHING}",
    "%s {{ name }} %(x)s",
    "null",
    "0123",
    "- yaml: [*, &",
    "x" * 255,
    "",
]


def commands(scene: Scene, tmp_path, monkeypatch) -> Commands:
    made = Commands(scene, tmp_path, monkeypatch)
    write_workloads(made.file, scene.workloads)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_server_of_any_name_is_migrated(tmp_path, monkeypatch, name):
    scene = Scene(tmp_path, RICH, names=[name])
    run = commands(scene, tmp_path, monkeypatch)
    assert run("export", "workloads", "--filter", "~" if name else "~^$").exit_code == 0
    assert outcomes_of(run.json("migrate", scene.workloads[0].id)) == {name: "migrated"}
    (twin,) = scene.twins(scene.workloads[0])
    kept = "".join(c for c in name if c < "\uffff")
    assert scene.destination.server(ServerId(twin)).name == (kept or scene.workloads[0].id)
    assert all(path.parent.parent == tmp_path for path in (tmp_path / "workload_logs").iterdir())


def test_servers_of_one_name_are_told_apart_by_id(tmp_path, monkeypatch):
    scene = Scene(tmp_path, RICH, RICH, names=["same", "same"])
    run = commands(scene, tmp_path, monkeypatch)
    first, second = scene.workloads
    assert run("migrate", "same").exit_code == 2
    assert outcomes_of(run.json("migrate", second.id)) == {"same": "migrated"}
    assert scene.twins(first) == []
    assert outcomes_of(run.json("migrate", first.id, second.id)) == {"same": "skipped"}
    assert len(scene.twins(first)) == len(scene.twins(second)) == 1


def test_server_in_error_of_the_same_name_in_the_destination_is_nobody(tmp_path, monkeypatch):
    scene = Scene(tmp_path, RICH)
    flavor = scene.workloads[0].params.flavor_ref.name
    spec = Server(ServerId("broken"), "web 0", ServerStatus.ERROR, "ERROR", fault="No valid host", flavor_name=flavor)
    scene.destination._machines[spec.id] = type(next(iter(scene.source._machines.values())))(spec, 0.0, None)
    scene.before = scene.picture()
    scene.assert_migrated(scene.migrate())


def test_more_volumes_than_letters_keep_their_order(tmp_path):
    many = Shape("many", boot=Boot.VOLUME, data_volumes=30, runs=True)
    scene = Scene(tmp_path, many)
    scene.let_hosts_take(40)
    devices = [v.device for v in scene.source.server(scene.workloads[0].id).volumes]
    assert devices[25:28] == ["/dev/vdz", "/dev/vdaa", "/dev/vdab"]
    scene.assert_migrated(scene.migrate())


def test_more_volumes_than_letters_are_put_back_in_their_order(tmp_path):
    scene = Scene(tmp_path, Shape("many", boot=Boot.VOLUME, data_volumes=30, runs=True))
    scene.let_hosts_take(40)
    scene.destination_host.corrupts = True
    scene.migrate()
    scene.assert_as_before()
