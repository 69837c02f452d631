"""`os-migrate verify`, as its user sees it."""

import json
from dataclasses import replace

import pytest

from os_migrate.report import read_report, report_files, write_report
from tests.fakes.scene import Scene
from tests.fakes.workloads import Shape
from tests.unit.test_cli import Commands
from tests.unit.test_verify import rest


@pytest.fixture
def scene(tmp_path) -> Scene:
    scene = Scene(tmp_path, Shape("one", data_volumes=1), Shape("two"))
    scene.migrate()
    rest(scene)
    return scene


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    return Commands(scene, tmp_path, monkeypatch)


def file_of(scene: Scene, number: int = 0):
    (file,) = [f for f in report_files(scene.settings.data_dir) if f.stem == scene.workloads[number].id]
    return file


def write_to_source(scene: Scene) -> None:
    (volume,) = scene.source._machines[scene.workloads[0].id].view.volumes
    scene.source._volumes[volume.volume_id].data = b"x" * 1024


def test_verify_compares_what_was_migrated_and_leaves_nothing(run, scene):
    done = run("verify")
    assert done.exit_code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith(f"web 0 ({scene.workloads[0].id}): verified, ")
    assert "proven: every copy was read back" in lines[1]
    assert (
        lines[2]
        == "  /dev/vda  source unchanged  copy changed  to be expected: the twin has run since, and wrote to it"
    )
    assert run.sessions == [(True, True)]
    scene.assert_as_before()


@pytest.mark.parametrize("by", ["name", "id"])
def test_servers_can_be_chosen(run, scene, by):
    word = "web 1" if by == "name" else scene.workloads[1].id
    (found,) = run.json("verify", word).result["verifications"]
    assert (found["name"], found["verified"], len(found["disks"])) == ("web 1", True, 1)


def test_unknown_name_is_refused_with_the_known_ones(run):
    done = run("verify", "web 2")
    assert done.exit_code == 2
    assert "there is no report of 'web 2'" in done.err
    assert "'web 0', 'web 1'" in done.err
    assert run.sessions == []


def test_nothing_migrated_is_nothing_to_verify(run, scene):
    for file in report_files(scene.settings.data_dir):
        file.unlink()
    done = run("verify")
    assert (done.exit_code, run.sessions) == (0, [])
    assert "nothing was migrated yet" in done.out


def test_source_that_differs_ends_with_5_and_the_other_is_verified(run, scene):
    write_to_source(scene)
    done = run("verify")
    assert done.exit_code == 5
    assert "NOT verified" in done.out
    assert "  /dev/vdb  source changed    copy changed  source and copy differ" in done.out
    assert "Error: web 0: the source is not as it was when it was migrated: /dev/vdb" in done.err
    assert f"web 1 ({scene.workloads[1].id}): verified" in done.out


def test_disk_that_is_gone_ends_with_3(run, scene):
    (volume,) = scene.source._machines[scene.workloads[0].id].view.volumes
    del scene.source._volumes[volume.volume_id]
    done = run("verify")
    assert done.exit_code == 3
    assert "  /dev/vdb  source gone       copy changed  can't be compared any more" in done.out


def test_report_that_was_edited_ends_with_2_and_the_other_is_verified(run, scene):
    file_of(scene).write_text(file_of(scene).read_text().replace('"/dev/vdb"', '"/dev/vdx"'))
    done = run("verify")
    assert done.exit_code == 2
    assert f"{file_of(scene)} was edited since it was written" in done.err
    assert f"web 1 ({scene.workloads[1].id}): verified" in done.out
    named = run.json("verify", scene.workloads[0].id)
    assert named.exit_code == 2
    (found,) = named.result["verifications"]
    assert (found["server_id"], found["verified"]) == (scene.workloads[0].id, False)


def test_workload_of_which_nothing_was_copied_says_so_and_opens_no_cloud(tmp_path, monkeypatch):
    scene = Scene(tmp_path, Shape("kept", boot_disk_copy=False))
    scene.migrate()
    run = Commands(scene, tmp_path, monkeypatch)
    done = run("verify")
    assert (done.exit_code, run.sessions) == (0, [])
    assert "nothing to verify" in done.out
    assert "nothing was copied" in done.out


def test_report_that_proves_nothing_is_told_plainly(run, scene):
    proof = read_report(file_of(scene))
    disks = tuple(replace(d, destination_digest=None) for d in proof.disks)
    write_report(replace(proof, disks=disks, proof="NOTHING WAS PROVEN"), scene.settings.data_dir)
    done = run("verify", "web 0")
    assert done.exit_code == 5
    assert "NOTHING WAS PROVEN" in done.out
    assert "  /dev/vda  source unchanged  copy unknown  never proven, and they differ" in done.out
    assert "never proven, and the copy differs from its source now" in done.err


def test_machines_are_given_all_three_digests(run, scene):
    done = run.json("verify", "web 0")
    (found,) = done.result["verifications"]
    assert found["proof"].startswith("proven")
    disk = json.loads(file_of(scene).read_text())["disks"][1]
    checked = found["disks"][1]
    assert checked["reported_digest"] == checked["source_digest"] == disk["source_digest"]
    assert checked["copy_digest"] != disk["destination_digest"]
    assert (checked["source"], checked["copy"], checked["equal"]) == ("unchanged", "changed", False)
    assert done.result["api_calls"]["source"] > 0
    assert {line["event"] for line in done.lines} >= {"workload_started", "progress", "workload_ended", "result"}
