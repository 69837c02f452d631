"""Detached volumes: their file, their export, what keeps them from being migrated, and the commands."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from os_migrate import batch
from os_migrate.batch import Result
from os_migrate.cli import mapping as mapping_command
from os_migrate.detached import export_volumes, transfer_volumes
from os_migrate.errors import PlanError, UserError
from os_migrate.files.workloads import read_detached_volumes, write_workloads
from os_migrate.flow import clean_up_source
from os_migrate.journal import AttemptState
from os_migrate.model import NO_SERVER, AttemptId, Loan, Quoted, Tag, VolumeId, VolumeSpec
from os_migrate.planning import make_plan
from os_migrate.report import PROVEN, read_report, report_files
from os_migrate.resources.detached import describe, export_detached
from os_migrate.run import Run
from os_migrate.settings import EVERYTHING, Regex
from os_migrate.verify import State, verify
from os_migrate.workload import DetachedVolume, EncryptedVolumes, Loss, VolumeMigration
from tests.crash.instants import die
from tests.fakes.detached import DetachedScene
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import Boot, Shape
from tests.unit.test_cli import Commands, outcomes_of

OF_105 = Path(__file__).with_name("detached_volumes-1.0.5.yml")


@pytest.fixture
def scene(tmp_path) -> DetachedScene:
    return DetachedScene(tmp_path, 2)


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    commands = Commands(scene, tmp_path, monkeypatch)
    write_workloads(tmp_path / "detached_volumes.yml", scene.volumes)
    return commands


@pytest.fixture
def in_the_copy(tmp_path_factory) -> int:
    """Return the number of the call after which the copy of the first volume goes on."""
    scene = DetachedScene(tmp_path_factory.mktemp("another"), 2)
    scene.migrate(hook := Hook())
    scene.close()
    return hook.calls.index(Call("destination host", "start CopyJob")) + 3


def edit_source(scene: DetachedScene, number: int = 0, **changes: object) -> None:
    stored = scene.source._volumes[scene.volumes[number].id]
    stored.view = replace(stored.view, **changes)


def edit(scene: DetachedScene, *, params: dict[str, object] | None = None, **changes: object) -> None:
    """Edit the first volume of the file."""
    volume = scene.workloads[0]
    assert isinstance(volume, DetachedVolume)
    scene.workloads[0] = replace(volume, params=replace(volume.params, **(params or {})), **changes)


# The file ----------------------------------------------------------------------------------------------------------------
def test_file_of_105_is_read():
    archive, root = read_detached_volumes(OF_105)
    assert (archive.id, archive.name, archive.info.size, archive.params.volume_type) == (
        "0e9ff1ab",
        "archive",
        5,
        "tripleo",
    )
    assert (root.name, root.params.description, root.info.is_bootable) == ("", "the old root", True)
    assert root.params.volume_image_metadata == {"hw_firmware_type": "uefi", "hw_machine_type": "q35"}


def test_file_that_is_written_is_that_of_105_and_is_read_as_it_was(tmp_path, scene):
    file = tmp_path / "detached_volumes.yml"
    lossy = replace(scene.volumes[0], migration=VolumeMigration((Loss.READ_ONLY,), EncryptedVolumes.PLAIN))
    write_workloads(file, [lossy, scene.volumes[1]])
    assert read_detached_volumes(file) == (lossy, scene.volumes[1])
    first, second = yaml.safe_load(file.read_text())["resources"]
    assert first["_migration_params"] == {"may_lose": ["read_only"], "encrypted_volumes": "plain"}
    assert second["_migration_params"] == {}
    of_105 = yaml.safe_load(OF_105.read_text())["resources"][1]
    assert second["type"] == of_105["type"]
    assert set(second["_info"]) == set(of_105["_info"])
    assert set(second["params"]) - {"metadata"} == set(of_105["params"])


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("id: 7e93", "id: 0e9ff1ab", "has the id of the one at"),
        ("size: 5", "size: 0", "must be a whole number of GiB above 0"),
        ("name: archive", "name: 12", "must be text"),
        ("name: archive", "nme: archive", "did you mean name?"),
        ("_migration_params: {}", "_migration_params: {boot_disk_copy: true}", "unknown key"),
        ("openstack.network.ServerVolume", "openstack.compute.Server", "type must be openstack.network.ServerVolume"),
        (", size: 5", "", "is missing"),
    ],
)
def test_mistake_in_the_file_is_told_with_its_line(tmp_path, old, new, wanted):
    file = tmp_path / "detached_volumes.yml"
    file.write_text(OF_105.read_text().replace(old, new, 1))
    with pytest.raises(PlanError) as caught:
        read_detached_volumes(file)
    (problem,) = caught.value.problems
    assert wanted in f"{problem.what} {problem.remedy}"
    assert f"{file}:" in problem.where


def test_without_a_file_it_is_said_what_makes_one(tmp_path):
    with pytest.raises(UserError, match="detached_volumes"):
        read_detached_volumes(tmp_path / "detached_volumes.yml")


# Export ------------------------------------------------------------------------------------------------------------------
def test_export_describes_volumes_that_nobody_has_and_no_others(tmp_path):
    scene = Scene(tmp_path, Shape("one", boot=Boot.VOLUME, data_volumes=1))
    free = scene.source.add_volume("archive", 3, volume_type="fast")
    made = scene.source.create_volume(VolumeSpec("ours", 1, metadata=Tag(AttemptId("0123456789"), "x").metadata()))
    scene.clock.sleep(10)
    found = export_detached(scene.source, EVERYTHING, set(), may_match_none=False)
    assert [v.id for v in found.volumes] == [free]
    assert found.alive == {free}
    assert made in {v.id for v in scene.source.volumes()}


def test_data_volume_that_is_away_from_its_server_for_a_migration_is_no_detached_one(scene):
    volume = scene.volumes[0].id
    scene.source.set_volume_metadata(volume, Loan(AttemptId("0123456789"), scene.source_host.server_id).metadata())
    found = export_detached(scene.source, EVERYTHING, set(), may_match_none=False)
    assert volume not in {v.id for v in found.volumes} | found.alive | {v.id for v in found.unfinished}


def test_export_keeps_the_entry_of_a_volume_whose_migration_is_unfinished(scene):
    lent, busy = (v.id for v in scene.volumes)
    scene.source.set_volume_metadata(lent, Loan(AttemptId("0123456789"), NO_SERVER).metadata())
    found = export_detached(scene.source, EVERYTHING, {busy}, may_match_none=False)
    assert found.volumes == ()
    assert {v.id for v in found.unfinished} == found.alive == {lent, busy}


def test_volume_in_no_state_to_be_migrated_is_left_out_and_named(scene):
    edit_source(scene, status="error")
    found = export_detached(scene.source, EVERYTHING, set(), may_match_none=False)
    assert [v.id for v in found.at_odds] == [scene.volumes[0].id]
    assert [v.id for v in found.volumes] == [scene.volumes[1].id]


def test_filter_of_an_export_that_matches_nothing_is_an_error_unless_it_is_for_others_too(scene):
    with pytest.raises(UserError, match="matches none of the detached volumes"):
        export_detached(scene.source, ("nothing",), set(), may_match_none=False)
    found = export_detached(scene.source, ("nothing", Regex("1$")), set(), may_match_none=True)
    assert [v.name for v in found.volumes] == ["archive 1"]
    assert found.idle_filters == ("'nothing'",)


# What keeps it from being migrated ---------------------------------------------------------------------------------------
def attach(scene: DetachedScene) -> None:
    scene.source.attach_volume(
        scene.source_host.server_id, scene.volumes[0].id, device=None, delete_on_termination=False
    )


def lend(scene: DetachedScene) -> None:
    scene.source.set_volume_metadata(scene.volumes[0].id, Loan(AttemptId("0123456789"), NO_SERVER).metadata())


def forget(scene: DetachedScene) -> None:
    del scene.source._volumes[scene.volumes[0].id]


PROBLEMS = {
    "gone": (forget, "there is no volume"),
    "attached": (attach, "it is attached to"),
    "in error": (lambda s: edit_source(s, status="error"), "it is error"),
    "lent": (lend, "attempt 0123456789, which this data dir doesn't know"),
    "of another size": (lambda s: edit_source(s, size_gib=7), "it has 7 GiB, the file says 1"),
    "encrypted": (lambda s: edit_source(s, encrypted=True), "is encrypted"),
    "read-only": (lambda s: edit_source(s, read_only=True), "is read-only"),
    "multiattach": (lambda s: edit_source(s, multiattach=True), "can be attached to several servers"),
    "of no type there": (lambda s: edit(s, params={"volume_type": "gone"}), "there is no volume type 'gone'"),
    "of no zone there": (
        lambda s: edit(s, params={"availability_zone": "x"}),
        "there is no volume availability zone 'x'",
    ),
    "to be encrypted, of no type": (
        lambda s: (
            edit_source(s, encrypted=True),
            edit(s, params={"volume_type": None}, migration=VolumeMigration((), EncryptedVolumes.ENCRYPT)),
        ),
        "is to be encrypted, and has no volume_type",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_keeps_a_volume_from_being_migrated_is_told_by_plan_and_migrate_before_anything_is_touched(scene, name):
    plant, what = PROBLEMS[name]
    plant(scene)
    scene.before = scene.picture()
    plan = make_plan(scene.world, scene.journal, scene.workloads, scene.settings)
    (problem,) = plan.problems
    assert what in problem.what
    assert problem.remedy
    assert scene.volumes[0].id in problem.where
    first, second = scene.migrate()
    assert first.result is Result.FAILED
    assert what in str(first.error)
    assert second.result is Result.MIGRATED


def test_what_may_be_lost_is_lost_and_no_problem(scene):
    edit_source(scene, read_only=True, multiattach=True, encrypted=True)
    edit(scene, migration=VolumeMigration((Loss.READ_ONLY, Loss.MULTIATTACH), EncryptedVolumes.PLAIN))
    assert [o.result for o in scene.migrate()] == [Result.MIGRATED] * 2


def test_copy_that_is_to_be_encrypted_and_is_not_is_refused_before_anything_is_written(scene):
    edit_source(scene, encrypted=True)
    edit(scene, migration=VolumeMigration((), EncryptedVolumes.ENCRYPT))
    scene.before = scene.picture()
    outcome, _ = scene.migrate()
    assert outcome.result is Result.ROLLED_BACK
    assert "its source is encrypted" in str(outcome.error)
    assert scene.copies(scene.volumes[0]) == []


@pytest.mark.parametrize(("of", "limit"), [(Quoted.VOLUMES, 1), (Quoted.GIGABYTES, 2)])
def test_quotas_of_the_destination_count(scene, of, limit):
    scene.destination.limits[of, ""] = limit
    plan = make_plan(scene.world, scene.journal, scene.workloads, scene.settings)
    (problem,) = plan.problems
    assert problem.where == "destination project"
    assert [o.result for o in scene.migrate()] == [Result.FAILED] * 2
    scene.destination.limits[of, ""] = limit + 1
    scene.assert_migrated(scene.migrate())


def test_file_says_what_the_copy_is(scene):
    new = {"name": "renamed", "description": "x", "volume_type": None, "metadata": {"a": "b"}}
    edit(scene, params=new)
    scene.migrate()
    (copy,) = scene.copies(scene.volumes[0])
    assert (copy.name, copy.description, copy.volume_type) == ("renamed", "x", "default")
    assert copy.metadata == {"a": "b", Tag.ORIGIN_KEY: scene.volumes[0].id}


# The stages --------------------------------------------------------------------------------------------------------------
def test_every_stage_can_have_a_process_of_its_own(tmp_path):
    scene = DetachedScene(tmp_path)
    (volume,) = scene.volumes
    attempt = scene.journal.begin(NO_SERVER, volume.name, volume_id=volume.id)

    def process() -> Run:
        scene._restart(None)
        return Run(scene.world, scene.journal, attempt, scene.settings)

    export_volumes(process(), volume)
    run = process()
    transfer_volumes(run, volume, export_volumes(run, volume))
    assert scene.state is AttemptState.COMMITTED
    clean_up_source(process())
    scene.assert_migrated()


def test_report_proves_the_copy_and_verify_repeats_it(scene):
    scene.assert_migrated(scene.migrate())
    proofs = [read_report(file) for file in report_files(scene.settings.data_dir)]
    assert {p.source_volume_id for p in proofs} == {v.id for v in scene.volumes}
    for proof in proofs:
        (disk,) = proof.disks
        assert (proof.source_server_id, proof.destination_server_id, proof.proof) == ("", "", PROVEN)
        assert disk.device == disk.source_volume_id == proof.source_volume_id
        (copy,) = scene.copies(next(v for v in scene.volumes if v.id == proof.source_volume_id))
        assert disk.destination_volume_id == copy.id
    found = verify(scene.world, proofs, scene.settings)
    assert [(f.error, f.disks[0].source, f.disks[0].copy) for f in found] == [
        (None, State.UNCHANGED, State.UNCHANGED)
    ] * 2
    scene.assert_migrated()


def test_verify_tells_a_source_that_somebody_had_since(scene):
    scene.migrate()
    scene.source._volume(scene.volumes[0].id).data = bytes(len(scene.source.bytes_of(scene.volumes[0].id)))
    proofs = [read_report(file) for file in report_files(scene.settings.data_dir)]
    errors = {f.volume_id: f.error for f in verify(scene.world, proofs, scene.settings)}
    assert errors[scene.volumes[1].id] is None
    assert "somebody had it since" in str(errors[scene.volumes[0].id])


def test_several_at_once_end_as_one_after_the_other(tmp_path):
    scene = DetachedScene(tmp_path, 4, parallel=4, pairs=2)
    scene.let_hosts_take(1)
    scene.assert_migrated(scene.migrate())


def test_resume_takes_servers_and_volumes_together(tmp_path, in_the_copy):
    scene = Scene(tmp_path, Shape("one", data_volumes=1))
    (server,) = scene.workloads
    volume = describe(scene.source.volume(scene.source.add_volume("archive", 1)))
    assert die(scene.migrate, 100)
    scene._restart(None)
    scene.workloads = [volume]
    assert die(scene.migrate, in_the_copy)
    scene._restart(None)
    open_here = scene.journal.unfinished()
    assert [bool(a.volume_id) for a in open_here] == [False, True]
    outcomes = batch.resume(scene.world, scene.journal, open_here, [server, volume], scene.settings)
    assert [(o.subject_id, o.result) for o in outcomes] == [(server.id, Result.MIGRATED), (volume.id, Result.MIGRATED)]
    scene.assert_nothing_left()


# The commands ------------------------------------------------------------------------------------------------------------
def test_export_writes_the_file_and_keeps_what_the_operator_wrote(run, scene):
    file = run.directory / "detached_volumes.yml"
    file.unlink()
    done = run("export", "detached_volumes")
    assert done.exit_code == 0, done.err
    assert read_detached_volumes(file) == tuple(scene.volumes)
    lossy = replace(scene.volumes[0], migration=VolumeMigration((Loss.READ_ONLY,)))
    gone = replace(scene.volumes[1], info=replace(scene.volumes[1].info, id=VolumeId("gone")))
    write_workloads(file, [lossy, scene.volumes[1], gone])
    result = run.json("export", "detached_volumes").result["detached_volumes"]
    assert isinstance(result, dict)
    assert result["vanished"] == ["gone"]
    assert read_detached_volumes(file) == (lossy, scene.volumes[1])


def test_export_of_what_is_in_the_middle_of_a_migration_is_refused_and_changes_nothing(run, scene, in_the_copy):
    assert die(scene.migrate, in_the_copy)
    scene._restart(None)
    before = (run.directory / "detached_volumes.yml").read_text()
    done = run("export", "detached_volumes")
    assert done.exit_code == 2
    assert "their migration is unfinished: 'archive 0'" in done.err
    assert (run.directory / "detached_volumes.yml").read_text() == before


def test_export_filter_is_that_of_volumes_and_the_imports_that_of_detached_volumes(run, scene):
    only = ("--set", "os_migrate_volumes_filter=['archive 1']")
    (run.directory / "detached_volumes.yml").unlink()
    assert run("export", "detached_volumes", *only).exit_code == 0
    assert [v.name for v in read_detached_volumes(run.directory / "detached_volumes.yml")] == ["archive 1"]
    write_workloads(run.directory / "detached_volumes.yml", scene.volumes)
    done = run.json("import", "detached_volumes", "--set", "os_migrate_detached_volumes_filter=['archive 0']")
    assert outcomes_of(done) == {"archive 0": "migrated"}


def test_import_migrates_and_a_second_run_changes_nothing(run, scene):
    done = run("import", "detached_volumes")
    assert done.exit_code == 0, done.err
    assert done.out.splitlines()[-1] == "2 migrated"
    assert "digests equal: " in done.out
    scene.assert_migrated()
    again = run.json("import", "detached_volumes")
    assert set(outcomes_of(again).values()) == {"skipped"}
    assert "already migrated: volume" in str(again.result)
    scene.assert_migrated()


def test_import_of_a_named_volume_leaves_the_others_alone(run, scene):
    ran = run.json("import", "detached_volumes", "archive 1")
    assert outcomes_of(ran) == {"archive 1": "migrated"}
    (outcome,) = ran.result["outcomes"]
    assert (outcome["server_id"], outcome["volume_id"]) == ("", scene.volumes[1].id)
    wrong = run("import", "detached_volumes", "web")
    assert wrong.exit_code == 2
    assert "there is no volume 'web' in detached_volumes.yml" in wrong.err


def test_log_of_a_volume_has_its_id_so_that_it_is_no_servers(run, scene):
    run("import", "detached_volumes", "archive 1")
    (log,) = (run.directory / "workload_logs").glob("*.log")
    assert log.stem == f"archive_1-{scene.volumes[1].id}"


def test_import_all_leaves_detached_volumes_out(run):
    done = run("import", "all")
    assert done.exit_code == 2
    assert "has no file of these kinds" in done.err


def test_dry_run_names_the_plan_and_the_plan_shows_all(run, scene):
    refused = run("import", "detached_volumes", "--dry-run")
    assert refused.exit_code == 2
    assert "os-migrate plan --detached-volumes" in refused.err
    page = run.directory / "plan.html"
    shown = run("plan", "--detached-volumes", "--html", str(page))
    assert shown.exit_code == 0, shown.err
    assert "2 detached volumes" in shown.out
    assert "`os-migrate import detached_volumes` can start" in shown.out
    assert scene.volumes[0].id in page.read_text()
    planned = run.json("plan", "--detached-volumes").result["servers"]
    assert isinstance(planned, list)
    assert [(p["server_id"], p["volume_id"]) for p in planned] == [("", v.id) for v in scene.volumes]
    assert all(p["likely"]["end_s"] > 0 for p in planned)
    scene.assert_as_before()


def test_status_resume_and_verify_know_a_volume_by_name_and_id(run, scene, in_the_copy):
    scene.workloads = list(scene.volumes[:1])
    assert die(scene.migrate, in_the_copy)
    scene._restart(None)
    (volume,) = scene.volumes[:1]
    for word in (volume.id, volume.name):
        assert f"{volume.name} ({volume.id})  running" in run("status", word).out
    assert run("rollback", "nobody").exit_code == 2
    done = run.json("resume", volume.id)
    assert outcomes_of(done) == {volume.name: "migrated"}
    verified = run.json("verify", volume.id)
    assert verified.exit_code == 0, verified.err
    (verification,) = verified.result["verifications"]
    assert (verification["volume_id"], verification["verified"]) == (volume.id, True)


def test_resume_without_the_volumes_entry_says_which_file_lacks_it(run, scene, in_the_copy):
    assert die(scene.migrate, in_the_copy)
    scene._restart(None)
    (run.directory / "detached_volumes.yml").unlink()
    done = run("resume")
    assert done.exit_code == 2
    assert "not in detached_volumes.yml: archive 0" in done.err


def test_cleanup_lists_a_volume_and_undoes_its_attempt(run, scene, in_the_copy):
    assert die(scene.migrate, in_the_copy)
    scene._restart(None)
    (run.directory / "journal.sqlite").unlink()
    scene._restart(None)
    (found,) = run.json("cleanup", "--dry-run").result["found"]
    assert (found["server_id"], found["volume_id"], found["copy"]) == ("", scene.volumes[0].id, None)
    assert run("cleanup", "--yes").exit_code == 0
    scene.assert_as_before()


def test_validate_and_diff_read_the_file(run, tmp_path):
    assert "detached_volumes.yml: 2 detached volumes, nothing wrong" in run("validate").out
    other = tmp_path / "other"
    other.mkdir()
    text = (run.directory / "detached_volumes.yml").read_text()
    (other / "detached_volumes.yml").write_text(text.replace("volume_type: fast", "volume_type: slow", 1))
    ran = run("diff", str(run.directory), str(other))
    assert ran.exit_code == 1
    assert "~ volume archive 0" in ran.out
    (run.directory / "detached_volumes.yml").write_text("- 1")
    assert run("validate", "detached_volumes").exit_code == 2


def test_mapping_names_types_and_zones_and_the_import_goes_by_it(run, scene, monkeypatch):
    monkeypatch.setattr(mapping_command, "open_session", run._open)
    (run.directory / "mapping.yml").write_text("volume_types: {fast: default}\n")
    names = run.json("mapping", "--destination").result["names"]
    assert isinstance(names, list)
    (kind,) = (n for n in names if n["kind"] == "volume_types")
    assert (kind["name"], kind["to"], kind["volumes"], kind["servers"]) == ("fast", "default", 2, 0)
    run("import", "detached_volumes")
    assert {c.volume_type for v in scene.volumes for c in scene.copies(v)} == {"default"}
    (run.directory / "mapping.yml").write_text("volume_types: {fast: gone}\n")
    missing = run("mapping", "--destination")
    assert missing.exit_code == 2
    assert "'gone' (fast by mapping.yml:1) isn't in the destination; 2 detached volumes need it" in missing.err


def test_journal_says_which_it_is(run):
    run("import", "detached_volumes", "archive 1")
    (attempt,) = run.json("status").result["attempts"]
    assert attempt["server_id"] == ""
    assert attempt["volume_id"] == run.scene.volumes[1].id
