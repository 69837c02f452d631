"""The proof that a migration leaves: what is in it, and that an edit shows."""

import json
from dataclasses import replace

import pytest

from os_migrate.cli.migration import summary
from os_migrate.errors import UserError
from os_migrate.files.sealed import read_sealed, sealed
from os_migrate.journal import AttemptState
from os_migrate.model import Side
from os_migrate.nbd import Coverage, DiskPart
from os_migrate.report import (
    NOTHING_COPIED,
    NOTHING_PROVEN,
    PROVEN,
    WorkloadReport,
    read_report,
    report,
    report_file,
    report_files,
    write_report,
)
from os_migrate.settings import TransferSettings
from os_migrate.steps.transfer import AwaitJob
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME, Shape


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path, BY_NAME["image_copied_three_volumes"])


@pytest.fixture
def proof(scene) -> WorkloadReport:
    scene.assert_migrated(scene.migrate())
    (file,) = report_files(scene.settings.data_dir)
    return read_report(file)


def records_of(scene: Scene, change=lambda record: record):
    attempt = scene.journal.attempts()[0]
    return attempt, [change(r) for r in scene.journal.steps(attempt.id)], scene.journal.stage_seconds(attempt.id)


def scans(activity: str, result):
    """Return a change of the journal: another result of these scans."""

    def change(record):
        ours = isinstance(record.step, AwaitJob) and record.step.activity == activity
        return replace(record, result=result(record.result)) if ours else record

    return change


def test_report_names_every_disk_with_both_digests_the_tools_and_the_times(scene, proof):
    assert proof.proof == PROVEN
    assert [d.device for d in proof.disks] == ["/dev/vda", "/dev/vdb", "/dev/vdc", "/dev/vdd"]
    assert all(d.proven and d.extents and d.data_bytes for d in proof.disks)
    assert proof.disks[0].source_volume_id is None
    assert {d.destination_volume_id for d in proof.disks} <= {v.id for v in scene.destination.volumes()}
    assert proof.tools[Side.SOURCE]["nbdkit"] == "1.32.5"
    assert proof.tools[Side.DESTINATION]["os-migrate"]
    assert proof.began_at.endswith("+00:00")
    assert proof.began_at < proof.ended_at
    assert {stage for stage, _ in proof.stage_seconds} >= {"export volumes", "transfer volumes"}


def test_report_that_is_read_is_the_one_that_was_written(scene, proof):
    assert proof == report(*records_of(scene))


def test_report_is_the_same_when_the_clean_up_is_repeated(scene, proof):
    (file,) = report_files(scene.settings.data_dir)
    text = file.read_text()
    scene.journal.set_state(proof.attempt, AttemptState.COMMITTED)
    scene.resume()
    again = read_report(file)
    assert replace(again, stage_seconds=()) == replace(proof, stage_seconds=())
    assert file.read_text() != text  # the clean-up took longer


@pytest.mark.parametrize(
    ("old", "new"), [('"/dev/vdb"', '"/dev/vdx"'), ('"extents": ', '"extents": 1'), ('"name": "', '"name": "x')]
)
def test_later_edit_shows(scene, proof, old, new):
    (file,) = report_files(scene.settings.data_dir)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match="was edited since"):
        read_report(file)


def test_spaces_and_order_are_no_edit(scene, proof):
    (file,) = report_files(scene.settings.data_dir)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_report(file) == proof


def test_digest_is_what_common_tools_make_of_the_file(tmp_path):
    content = {
        "name": 'Zoë\'s "web" 🌍/1',
        "seconds": [["a", 6.0], ["b", 0.125], ["c", 17.003]],
        "none": None,
        "parts": ({"z": 1, "a": True},),
        "bytes": 1 << 40,
    }
    file = tmp_path / "x.json"
    file.write_text(sealed(content))
    # printed by: jq -jcS 'del(.digest)' x.json | sha256sum
    assert (
        json.loads(file.read_text())["digest"]
        == "sha256:bd277e6155cf5fc82665b7dc3132278f0d283899b8b8c5d4a4abf2f386a0ce21"
    )
    assert read_sealed(file)["seconds"][0] == ["a", 6]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "carries no digest"),
        ("[]", "carries no digest"),
        ("{", "can't read"),
        ('{"digest": "x"}', "was edited since"),
    ],
)
def test_file_that_is_no_report_is_refused(tmp_path, text, why):
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(UserError, match=why):
        read_report(file)


def test_report_of_another_schema_is_refused(scene, proof, monkeypatch):
    monkeypatch.setattr("os_migrate.report.SCHEMA_VERSION", 2)
    with pytest.raises(UserError, match="schema version 2"):
        read_report(report_file(proof, scene.settings.data_dir))


def test_what_the_map_found_and_how_it_was_copied_is_in_the_report(scene, proof):
    part = DiskPart(0, 1024, "ext4", "map", 512)
    found = report(*records_of(scene, scans("scan", lambda scan: replace(scan, used_bytes=512, parts=(part,)))))
    write_report(found, scene.settings.data_dir)
    disk = read_report(report_file(found, scene.settings.data_dir)).disks[0]
    assert (disk.used_bytes, disk.parts, disk.coverage) == (512, (part,), Coverage.MAP)
    assert (proof.disks[0].used_bytes, proof.disks[0].parts) == (None, ())
    assert (disk.copy_method, disk.copy_reason) == ("zstd -3", "the link is slow")


def test_migration_with_the_proof_off_says_that_nothing_was_proven(tmp_path):
    scene = Scene(tmp_path, Shape("small", data_volumes=1))
    scene.settings = replace(scene.settings, transfer=TransferSettings(proof=False, sparsify=Coverage.WHOLE))
    (outcome,) = scene.migrate()
    scene.assert_migrated([outcome])
    (file,) = report_files(tmp_path)
    proof = read_report(file)
    assert proof.proof == NOTHING_PROVEN
    assert {(d.source_digest, d.destination_digest, d.coverage) for d in proof.disks} == {(None, None, Coverage.WHOLE)}
    assert summary([outcome]).count("NOT PROVEN") == 2


@pytest.mark.parametrize(
    "change",
    [scans("verify", lambda _: None), scans("copy", lambda copy: replace(copy, sent=replace(copy.sent, digest="")))],
    ids=["copy not read", "source not digested"],
)
def test_copy_that_was_not_compared_is_not_called_proven(scene, proof, change):
    unproven = report(*records_of(scene, change))
    assert unproven.proof == NOTHING_PROVEN
    assert not any(d.proven for d in unproven.disks)
    write_report(unproven, scene.settings.data_dir)
    assert "NOTHING WAS PROVEN" in report_file(unproven, scene.settings.data_dir).read_text()


def test_report_where_nothing_was_copied_says_so(tmp_path):
    scene = Scene(tmp_path, Shape("kept", boot_disk_copy=False))
    scene.assert_migrated(scene.migrate())
    (file,) = report_files(tmp_path)
    assert (read_report(file).proof, read_report(file).disks) == (NOTHING_COPIED, ())
