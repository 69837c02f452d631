"""The data directory: its lock, its owner, what opens it."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from os_migrate import session
from os_migrate.cloud.refusals import Unanswered
from os_migrate.errors import CloudError, UserError
from os_migrate.events import Events, Note
from os_migrate.model import Side
from os_migrate.session import claim, locked, open_session, prepare_data_dir
from os_migrate.settings import ConversionSettings, HostSettings, Settings
from tests.fakes.scene import Scene
from tests.fakes.workloads import Shape, add_host

HOLD = "import sys,time;from pathlib import Path;from os_migrate.session import locked\nwith locked(Path(sys.argv[1])): print('held',flush=True); time.sleep(60)"


def holder(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_migrator_is_refused_and_told_the_pid_of_the_first(tmp_path):
    with holder(tmp_path) as process:
        try:
            with pytest.raises(UserError) as caught, locked(tmp_path):
                pass
        finally:
            process.kill()
    assert f"pid {process.pid})" in caught.value.what


def test_the_lock_dies_with_its_owner(tmp_path):
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with locked(tmp_path):
        assert (tmp_path / "os-migrate.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_a_data_dir_is_made_for_its_owner_only(tmp_path):
    prepare_data_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_data_dir_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written: File exists"):
        prepare_data_dir(tmp_path / "file")


def test_a_data_dir_without_room_is_refused(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        with pytest.raises(UserError, match=r"has \d MiB left; journal and logs need 64"):
            prepare_data_dir(small)
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        with pytest.raises(UserError, match="can't be written: Read-only file system"):
            prepare_data_dir(small)
    finally:
        subprocess.run(["umount", small], check=True)


def test_errors_of_both_clouds_are_told_at_once(tmp_path, monkeypatch):
    class Refusing:
        def __init__(self, name: str) -> None:
            self.name = name

        def project_id(self) -> str:
            raise CloudError(f"{self.name}: wrong password", remedy=f"mend {self.name}")

    monkeypatch.setattr(session.clouds, "connect", lambda *_args, name, **_more: Refusing(name))
    with (
        pytest.raises(CloudError, match="source: wrong password; and destination: wrong password"),
        open_session(Settings(data_dir=tmp_path), Events(), hosts=False, lock=True),
    ):
        pass


def test_two_clouds_that_do_not_answer_are_told_at_once_too(tmp_path, monkeypatch):
    class Silent:
        def __init__(self, name: str) -> None:
            self.name = name

        def project_id(self) -> str:
            raise Unanswered(f"{self.name}: no answer")

    monkeypatch.setattr(session.clouds, "connect", lambda *_args, name, **_more: Silent(name))
    with (
        pytest.raises(CloudError, match=r"source: no answer; and destination: no answer \(try again later"),
        open_session(Settings(data_dir=tmp_path), Events(), hosts=False, lock=True),
    ):
        pass


def test_a_data_dir_belongs_to_one_project(tmp_path):
    claim(tmp_path, "p1")
    claim(tmp_path, "p1")
    with pytest.raises(UserError, match="belongs to the source project p1"):
        claim(tmp_path, "p2")


@pytest.fixture
def scene(tmp_path, monkeypatch) -> Scene:
    scene = Scene(tmp_path, Shape("one"))
    by_name = {"source": scene.source, "destination": scene.destination}
    monkeypatch.setattr(session.clouds, "connect", lambda _settings, _path, *, name, **_more: by_name[name])
    return scene


def test_a_session_without_hosts_has_none(scene, tmp_path):
    with open_session(Settings(data_dir=tmp_path), Events(), hosts=False, lock=True) as opened:
        assert (opened.world.source_host, opened.world.destination_host) == (None, None)
        assert opened.world.source is scene.source
    assert (tmp_path / "source-project").read_text() == "project-source\n"


def test_what_a_cloud_tells_is_heard(scene, tmp_path, monkeypatch):
    def connect(*_args, name, tell, **_more):
        tell(Note(text=f"{name} is tried again"))
        return scene.source if name == "source" else scene.destination

    monkeypatch.setattr(session.clouds, "connect", connect)
    told = []
    with open_session(Settings(data_dir=tmp_path), Events(told.append), hosts=False, lock=True):
        assert [note.text for note in told] == ["source is tried again", "destination is tried again"]


def test_hosts_that_are_not_there_are_none(scene, tmp_path):
    with open_session(Settings(data_dir=tmp_path), Events(), hosts=True, lock=True) as opened:
        assert (opened.world.source_host, opened.world.destination_host) == (None, None)


def test_a_locked_data_dir_is_refused_before_a_cloud_is_asked(tmp_path, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a cloud was asked")

    monkeypatch.setattr(session.clouds, "connect", never)
    with holder(tmp_path) as process:
        try:
            with pytest.raises(UserError, match="another os-migrate"):
                open_session(Settings(data_dir=tmp_path), Events(), hosts=False, lock=True).__enter__()
        finally:
            process.kill()


def test_all_pairs_are_opened_and_one_that_is_not_there_keeps_its_place(scene, tmp_path):
    for cloud in (scene.source, scene.destination):
        add_host(cloud, "conv-3")
    host = HostSettings(host_name="conv", manage_fip=False)
    settings = Settings(tmp_path, source_host=host, destination_host=host, conversion=ConversionSettings(pairs=3))
    with open_session(settings, Events(), hosts=True, lock=True) as opened:
        names = [[(host := pair.host(side)) and host.name for side in Side] for pair in opened.world.pairs]
    assert names == [["conv", "conv"], [None, None], ["conv-3", "conv-3"]]


def test_limit_of_calls_is_that_of_the_settings(tmp_path, monkeypatch, scene):
    limits = []

    def connect(*_args, calls_at_once, **_more):
        limits.append(calls_at_once)
        return scene.source

    monkeypatch.setattr(session.clouds, "connect", connect)
    with open_session(Settings(tmp_path, api_calls_parallel=3), Events(), hosts=False, lock=True):
        assert limits == [3, 3]


def test_host_that_cannot_be_used_ends_a_session_unless_its_command_checks_the_hosts(scene, tmp_path):
    add_host(scene.destination, "conv")  # a second one
    host = HostSettings(host_name="conv", manage_fip=False)
    settings = Settings(tmp_path, source_host=host, destination_host=host)
    with pytest.raises(UserError, match="conv"):
        open_session(settings, Events(), hosts=True, lock=True).__enter__()
    with open_session(settings, Events(), hosts=True, lock=True, checks_hosts=True) as opened:
        (unusable,) = opened.world.unusable_hosts
        assert (unusable.pair, unusable.side) == (1, Side.DESTINATION)
        assert unusable.problem.where == "destination conversion host 'conv'"
        assert unusable.problem.remedy
        assert opened.world.source_host is not None
        assert opened.world.destination_host is None
