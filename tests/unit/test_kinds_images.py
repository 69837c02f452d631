"""Images and their data: from one fake cloud to files, and into the other; whatever goes wrong, nothing wrong is left."""

import errno
import hashlib
import json
import os
import shutil
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from os_migrate.cli.picture import Picture
from os_migrate.errors import CloudError, CloudUnavailable, DigestMismatch
from os_migrate.events import Events, Progress
from os_migrate.files import blobs as blobs_module
from os_migrate.files.blobs import Blobs, Fingerprint, Reading
from os_migrate.resources.image_data import following
from os_migrate.resources.images import COLLECTION as IMAGES
from os_migrate.resources.images import IMAGES as KIND
from os_migrate.resources.images import unfit
from os_migrate.resources.kind import Resource
from os_migrate.rest import CHUNK_BYTES, UNFINISHED
from os_migrate.world import SystemClock
from tests.fakes.cloud import FakeCloud
from tests.fakes.glance import PIECE
from tests.fakes.seam import Call, Hook, Killed
from tests.unit.test_kinds_cli import Clouds, run

__all__ = ["run"]

DATA = b"what is in the image " * 30


def image_of(cloud: FakeCloud, name: str = "web") -> dict[str, object]:
    (image,) = [
        i for hidden in ("false", "true") for i in cloud.list_of(IMAGES, {"os_hidden": hidden}) if i["name"] == name
    ]
    return image


def names(cloud: FakeCloud) -> list[str]:
    return sorted(i["name"] for hidden in ("false", "true") for i in cloud.list_of(IMAGES, {"os_hidden": hidden}))


def files(run: Clouds) -> dict[str, bytes]:
    directory = run.here / "image_blobs"
    return (
        {f.name: f.read_bytes() for f in directory.iterdir() if f.name != ".proven.json"} if directory.exists() else {}
    )


def calls(cloud: FakeCloud, verb: str) -> int:
    return [call.verb for call in cloud.seam.hook.calls].count(verb)


def exported(run: Clouds, **more: object) -> Path:
    """Export an image called web; return where its data is."""
    image = run.source.add_glance_image("web", DATA, **more)
    run.good("export", "images")
    return run.here / "image_blobs" / f"{image['id']}-web"


class At(Hook):
    """Do something at the n-th call of a verb."""

    def __init__(self, verb: str, act, number: int = 1) -> None:
        super().__init__()
        self._verb, self._act, self._left = verb, act, number

    def before(self, call: Call) -> None:
        super().before(call)
        if call.verb == self._verb:
            self._left -= 1
            if self._left == 0:
                self._act()


def unseen(_done: int) -> None:
    """Let the work go on."""


def raising(error: BaseException):
    def act() -> None:
        raise error

    return act


# Export -----------------------------------------------------------------------------------------------------------------


def test_data_is_exported_for_its_owner_only_and_once(run):
    blob = exported(run)
    assert blob.read_bytes() == DATA
    assert blob.stat().st_mode & 0o777 == 0o600
    assert blob.parent.stat().st_mode & 0o777 == 0o700
    assert list(files(run)) == [blob.name]
    assert "data of 1 images was there already" in run.good("export", "images")
    assert calls(run.source, "read image") == 1


def test_right_data_is_not_even_read_again(run, monkeypatch):
    exported(run)
    monkeypatch.setattr(blobs_module, "Reading", None)
    run.good("export", "images")


def test_data_of_another_exporter_is_read_and_kept(run):
    blob = exported(run)
    (blob.parent / ".proven.json").unlink()
    run.good("export", "images")
    assert calls(run.source, "read image") == 1


@pytest.mark.parametrize("wrong", [DATA[:-1], DATA[:-1] + b"!", b""])
def test_wrong_data_is_downloaded_again(run, wrong):
    blob = exported(run)
    blob.write_bytes(wrong)
    run.good("export", "images")
    assert blob.read_bytes() == DATA


def test_only_the_file_is_written_where_data_is_not_wanted(run):
    run.source.add_glance_image("web", DATA)
    run.good("export", "images", "--set", "os_migrate_export_images_blobs=false")
    assert run.params("images")["web"]["hash_algo"] == "sha512"
    assert files(run) == {}


def test_data_is_where_the_setting_says(run, tmp_path):
    run.source.add_glance_image("web", DATA)
    run.good("export", "images", "--set", f"os_migrate_image_blobs_dir={tmp_path / 'large disk'}")
    assert len(list((tmp_path / "large disk").glob("*-web"))) == 1


@pytest.mark.parametrize("name", ["../../web", "a/b", "new\nline", "\x1b[31m", "..", "w" * 255, "ä" * 255])
def test_no_name_leads_out_of_the_directory(run, name):
    run.source.add_glance_image(name, DATA)
    run.good("export", "images")
    (file,) = files(run)
    assert file.isprintable()
    run.good("import", "images")
    assert image_of(run.destination, name)["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


def broken(pieces):
    """Return a way in which data comes from a cloud."""
    return lambda self, data: iter(pieces(data))


@pytest.mark.parametrize(
    ("pieces", "what"),
    [
        (lambda data: [data[:-1]], "629 of 630 bytes came"),
        (lambda data: [data, b"more"], "634 of 630 bytes came"),
        (lambda data: [data[:-1], b"!"], "what came isn't what the cloud says"),
        (lambda data: [], "0 of 630 bytes came"),
    ],
)
def test_data_that_is_not_what_its_cloud_says_is_not_kept(run, monkeypatch, pieces, what):
    run.source.add_glance_image("web", DATA)
    with monkeypatch.context() as patched:
        patched.setattr(FakeCloud, "_pieces", broken(pieces))
        ran = run("export", "images")
    assert ran.exit_code == DigestMismatch.exit_code
    assert f"web: FAILED: {what}" in ran.out
    assert files(run) == {}
    run.good("export", "images")
    assert list(files(run).values()) == [DATA]


@pytest.mark.parametrize("error", [CloudUnavailable("the link broke"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_download_that_broke(run, error):
    for name in ("web", "db"):
        run.source.add_glance_image(name, name.encode() + DATA)
    run.source.seam.hook = At("read piece", raising(error), 3)
    ran = run("export", "images")
    assert ran.exit_code == (6 if isinstance(error, KeyboardInterrupt) else 3)
    assert not [name for name in files(run) if name.endswith(".part")]
    run.source.seam.hook = Hook()
    run.good("export", "images")
    assert sorted(files(run).values()) == [b"db" + DATA, b"web" + DATA]


def test_a_download_that_fails_stops_no_other(run):
    for name in ("web", "db"):
        run.source.add_glance_image(name, name.encode() + DATA)
    run.source.seam.hook = At("read piece", raising(CloudError("gone")))
    ran = run("export", "images", "--json")
    assert ran.exit_code == 3
    data = ran.result["kinds"][0]["data"]
    assert sorted((entry["new"], entry["error"] is None) for entry in data) == [(False, False), (True, True)]
    assert len(files(run)) == 1


def test_a_download_that_was_killed_is_begun_anew(run):
    run.source.add_glance_image("web", DATA)
    run.source.seam.hook = At("read piece", raising(Killed()), 3)
    real = Path.unlink
    with pytest.MonkeyPatch.context() as patched, suppress(Killed):
        patched.setattr(Path, "unlink", lambda self, **_: None if self.name.endswith(".part") else real(self))
        run("export", "images")
    (part,) = (run.here / "image_blobs").glob(".*.part")
    assert list(files(run)) == [part.name]
    part.write_bytes(b"longer than what will come" * 100)
    run.source.seam.hook = Hook()
    run.good("export", "images")
    assert list(files(run).values()) == [DATA]


def test_a_disk_without_room_is_told_before_anything_comes(run, monkeypatch):
    run.source.add_glance_image("web", DATA)
    usage = shutil.disk_usage(run.here)
    with monkeypatch.context() as patched:
        patched.setattr(blobs_module.shutil, "disk_usage", lambda _: usage._replace(free=64 << 20))
        ran = run("export", "images")
    assert ran.exit_code == 2
    assert "has 64 MiB left" in ran.err
    assert "make room, choose fewer by a filter" in ran.err
    assert calls(run.source, "read image") == 0
    assert run.params("images")["web"]["name"] == "web"


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(run, monkeypatch):
    run.source.add_glance_image("web", DATA)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(blobs_module.os, "fsync", full)
        patched.setattr(blobs_module, "write_atomically", lambda *_: None)
        patched.setattr("os_migrate.kinds.write_atomically", lambda *_: None)
        ran = run("export", "images")
    assert ran.exit_code == 2
    assert "No space left on device" in ran.err
    assert files(run) == {}


def test_what_has_no_data_that_could_leave_is_left_out_with_the_reason(run):
    run.source.add_glance_image("web", DATA)
    run.source.add_glance_image("frozen", DATA, status="deactivated")
    run.source.create_in(IMAGES, {"name": "empty", "disk_format": "raw", "container_format": "bare"})
    run.source.add_glance_image("server", b"", block_device_mapping='[{"snapshot_id": "s"}]')
    run.source.add_glance_image("locked", DATA, cinder_encryption_key_id="k")
    out = run.good("export", "images")
    assert list(run.params("images")) == ["web"]
    assert len(files(run)) == 1
    told = {line.split()[3]: line for line in out.splitlines() if line.startswith("  left out image")}
    assert "nobody may download it" in told["frozen"]
    assert "it is queued, and has no data" in told["empty"]
    assert "snapshots of volumes" in told["server"]
    assert "encrypted, with a key that only its cloud has" in told["locked"]
    (kind,) = run("export", "images", "--json").result["kinds"]
    assert len(kind["left_out"]) == 4


def test_an_image_that_was_deactivated_since_keeps_its_place_and_its_data(run):
    exported(run)
    run.source._turn(image_of(run.source)["id"], "deactivated")
    run.good("export", "images")
    assert list(run.params("images")) == ["web"]
    assert len(files(run)) == 1


def test_an_image_that_is_active_is_fit():
    assert unfit({"status": "active", "size": 5, "block_device_mapping": "[{}]"}) == ""


def test_only_the_projects_own_are_exported_and_hidden_ones_too(run):
    run.source.add_glance_image("theirs", DATA, owner="others", visibility="public")
    run.source.add_glance_image("mine", DATA, os_hidden=True)
    run.source.add_glance_image("an attempt's", DATA, os_migrate_attempt="a1")
    run.good("export", "images")
    assert list(run.params("images")) == ["mine"]
    assert run.params("images")["mine"]["is_hidden"] is True


def test_the_data_of_an_image_that_is_gone_is_told_and_left(run):
    blob = exported(run)
    run.source.delete_image(image_of(run.source)["id"])
    out = run.good("export", "images")
    assert f"data of an image that is gone: {blob}" in out
    assert blob.exists()


def test_an_image_that_was_renamed_is_not_downloaded_again(run):
    exported(run)
    run.source.update_in(IMAGES, image_of(run.source)["id"], {"name": "front"})
    run.good("export", "images")
    run.good("import", "images")
    assert calls(run.source, "read image") == 1
    assert image_of(run.destination, "front")["checksum"] == hashlib.md5(DATA).hexdigest()


@pytest.mark.parametrize(("algorithm", "md5"), [("", True), ("sha256", False), ("unheard-of", True)])
def test_any_hash_that_a_cloud_tells_will_do(run, monkeypatch, algorithm, md5):
    monkeypatch.setattr(run.source, "tells_md5", md5)
    monkeypatch.setattr(run.source, "hash_algorithm", "" if algorithm == "unheard-of" else algorithm)
    more = {"os_hash_algo": algorithm, "os_hash_value": "0"} if algorithm == "unheard-of" else {}
    run.source.add_glance_image("web", DATA, **more)
    monkeypatch.setattr(FakeCloud, "_pieces", broken(lambda data: [data[:-1], b"!"]))
    assert run("export", "images").exit_code == DigestMismatch.exit_code


def test_where_a_cloud_tells_no_hash_only_the_size_is_compared_and_that_is_told(run, monkeypatch):
    monkeypatch.setattr(run.source, "tells_md5", False)
    monkeypatch.setattr(run.source, "hash_algorithm", "")
    run.source.add_glance_image("web", DATA)
    ran = run("export", "images")
    assert ran.exit_code == 0
    assert "tells no hash of its data" in ran.err


def test_no_address_of_a_store_gets_into_the_file(run):
    exported(
        run, direct_url="swift+http://user:secret@store/x", locations=[{"url": "swift+http://user:secret@store/x"}]
    )
    assert "secret" not in (run.here / "images.yml").read_text()


def test_progress_is_told_as_of_copies(run):
    run.source.add_glance_image("web", DATA)
    lines = [json.loads(line) for line in run("export", "images", "--json").out.splitlines()]
    (*_, last) = [line for line in lines if line["event"] == "progress"]
    assert (last["disk"], last["activity"]) == ("image web", "download")
    assert (last["done_bytes"], last["total_bytes"]) == (len(DATA), len(DATA))


def test_images_are_drawn_while_they_come():
    picture = Picture()
    picture.update(Progress(disk="image web", activity="download", done_bytes=1, total_bytes=2), 0.0)
    assert len(picture.draw(80, 24, 1.0).renderables) == 2
    picture.update(Progress(disk="image web", activity="download", done_bytes=2, total_bytes=2), 2.0)
    assert picture.draw(80, 24, 3.0).renderables == []


# Import -----------------------------------------------------------------------------------------------------------------


def test_an_image_arrives_as_it_was_but_for_what_clouds_write(run):
    said = {"hw_disk_bus": "scsi", "hw_cpu_cores": "2", "hw_boot_menu": "true", "shop": "front", "os_type": "linux"}
    written = {"base_image_ref": "b", "image_type": "snapshot", "user_id": "u", "owner_specified.openstack.md5": "0"}
    keys = {"img_signature": "s", "img_signature_certificate_uuid": "c", "os_glance_failed_import": ""}
    flags = {"protected": True, "os_hidden": True, "visibility": "private", "tags": ["a"], "min_disk": 3, "min_ram": 64}
    exported(run, **said, **written, **keys, **flags, disk_format="qcow2")
    assert run.params("images")["web"]["hw_cpu_cores"] == 2
    assert run.params("images")["web"]["is_hw_boot_menu_enabled"] is True
    assert run.params("images")["web"]["properties"] == {"shop": "front"}
    run.good("import", "images")
    there = image_of(run.destination)
    assert {key: there[key] for key in (*said, *flags)} == {**said, **flags}
    assert there["disk_format"] == "qcow2"
    assert not {*written, *keys} & set(there)
    assert run.destination._images[there["id"]].data == DATA
    assert run.good("import", "images").splitlines() == ["1 same"]


def test_data_that_arrives_otherwise_is_deleted_and_told(run, monkeypatch):
    exported(run, protected=True, visibility="community")
    seen: list[object] = []

    def stored(self: FakeCloud, came: bytes) -> bytes:
        seen.extend((image["visibility"], image["protected"]) for image in self._raw_images().values())
        return came[:-1] + b"!"

    with monkeypatch.context() as patched:
        patched.setattr(FakeCloud, "_stored", stored)
        ran = run("import", "images")
    assert seen == [("shared", False)]
    assert ran.exit_code == DigestMismatch.exit_code
    assert "what arrived isn't what was sent" in ran.err
    assert names(run.destination) == []
    run.good("import", "images")
    assert names(run.destination) == ["web"]


def test_data_that_was_changed_since_the_export_is_deleted_and_told(run):
    blob = exported(run)
    blob.write_bytes(DATA[:-1] + b"!")
    ran = run("import", "images")
    assert ran.exit_code == DigestMismatch.exit_code
    assert "isn't what was exported" in ran.err
    assert names(run.destination) == []


def test_missing_and_short_data_is_told_with_all_the_rest_before_anything_is_touched(run):
    blob = exported(run)
    run.source.add_glance_image("db", DATA)
    run.source.add_glance_image("ok", DATA)
    run.good("export", "images")
    blob.unlink()
    (other,) = [f for f in blob.parent.iterdir() if f.name.endswith("-db")]
    other.write_bytes(DATA[1:])
    for words in (("import", "images"), ("import", "images", "--dry-run"), ("validate", "images", "--destination")):
        ran = run(*words)
        assert ran.exit_code == 2
        assert f"the data of image web isn't there: {blob}" in ran.err
        assert "os_migrate_export_images_blobs: true" in ran.err
        assert f"the data of image db has {len(DATA) - 1} bytes, and should have {len(DATA)}" in ran.err
        assert names(run.destination) == []
    run.good("validate", "images")


def test_hollow_images_of_other_exporters_are_refused(run):
    exported(run)
    file = run.here / "images.yml"
    file.write_text(file.read_text().replace(f"size: {len(DATA)}", "size: 0", 1))
    run.edit("images", "web", properties={"block_device_mapping": "[{}]"})
    ran = run("import", "images")
    assert ran.exit_code == 2
    assert "it only stands for snapshots of volumes" in ran.err


@pytest.mark.parametrize("number", [1, 5, 10])
def test_an_upload_that_broke_leaves_nothing_and_is_made_by_the_same_command(run, number, monkeypatch):
    monkeypatch.setattr(blobs_module, "CHUNK_BYTES", PIECE)
    exported(run)
    run.destination.seam.hook = At("write piece", raising(CloudUnavailable("the link broke")), number)
    ran = run("import", "images")
    assert ran.exit_code == 3
    assert "web: FAILED: the link broke" in ran.out
    assert names(run.destination) == []
    run.destination.seam.hook = Hook()
    assert "1 created" in run.good("import", "images")
    assert names(run.destination) == ["web"]


def test_what_cannot_be_taken_away_is_told_and_taken_away_by_the_next_import(run):
    exported(run)

    class Refuses(Hook):
        def before(self, call: Call) -> None:
            super().before(call)
            if call.verb in {"write piece", "delete_image"}:
                raise CloudUnavailable("no way")

    run.destination.seam.hook = Refuses()
    ran = run("import", "images")
    assert "stays until the next import" in ran.err
    assert image_of(run.destination)["tags"] == [UNFINISHED]
    assert [image.name for image in run.destination.images()] == []
    run.destination.seam.hook = Hook()
    run.good("import", "images")
    assert (names(run.destination), image_of(run.destination)["tags"]) == (["web"], [])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 8))
def test_an_import_that_died_is_finished_and_makes_no_double(run, number, after):
    exported(run, tags=["a"], protected=True, visibility="private", hw_disk_bus="scsi")

    class Dies(Hook):
        left = number

        def before(self, call: Call) -> None:
            super().before(call)
            Dies.left -= call.mutates
            if call.mutates and Dies.left == 0 and not after:
                raise Killed

        def after(self, call: Call) -> None:
            if call.mutates and Dies.left == 0 and after:
                raise Killed

    run.destination.seam.hook = Dies()
    with suppress(Killed):
        run("import", "images")
    run.destination.seam.hook = Hook()
    run.good("import", "images")
    there = image_of(run.destination)
    assert names(run.destination) == ["web"]
    assert (there["tags"], there["protected"], there["visibility"]) == (["a"], True, "private")
    assert run.destination._images[there["id"]].data == DATA
    assert run.good("import", "images").splitlines() == ["1 same"]


def test_an_image_whose_data_had_arrived_is_finished_without_sending_it_again(run):
    exported(run, tags=["a"], hw_disk_bus="scsi")
    run.destination.seam.hook = At("update image", raising(Killed()))
    with suppress(Killed):
        run("import", "images")
    before = image_of(run.destination)
    assert before["tags"] == [UNFINISHED]
    run.edit("images", "web", min_disk=2)
    run.destination.seam.hook = Hook()
    run.good("import", "images")
    there = image_of(run.destination)
    assert (there["id"], there["tags"], there["min_disk"]) == (before["id"], ["a"], 2)
    assert calls(run.destination, "write image") == 0


@pytest.mark.parametrize(("data", "disk_format"), [(DATA[:-1], "raw"), (DATA, "qcow2")])
def test_what_was_left_with_other_data_or_in_another_format_is_made_anew(run, data, disk_format):
    exported(run)
    left = run.destination.add_glance_image("web", data, tags=[UNFINISHED], disk_format=disk_format)
    run.good("import", "images")
    there = image_of(run.destination)
    assert names(run.destination) == ["web"]
    assert (there["disk_format"], there["id"] != left["id"]) == ("raw", True)
    assert run.destination._images[there["id"]].data == DATA


def test_what_was_left_of_another_image_is_left_alone(run):
    exported(run)
    half = {"disk_format": "raw", "container_format": "bare", "tags": [UNFINISHED]}
    run.destination.create_in(IMAGES, {"name": "db", **half})
    theirs = run.destination.create_in(IMAGES, {"name": "web", **half})
    run.destination._raw_images()[theirs["id"]]["owner"] = "others"
    run.good("import", "images")
    assert names(run.destination) == ["db", "web", "web"]


def test_an_equal_image_is_the_same_and_needs_no_data_here(run):
    blob = exported(run)
    run.destination.add_glance_image("web", DATA)
    blob.unlink()
    assert run.good("import", "images").splitlines() == ["1 same"]


def test_other_contents_under_the_same_name_are_a_problem_before_anything_is_touched(run):
    exported(run)
    run.source.add_glance_image("db", DATA)
    run.good("export", "images")
    there = run.destination.add_glance_image("web", DATA[:-1] + b"!")
    ran = run("import", "images")
    assert ran.exit_code == 2
    assert f"image web is there already ({there['id']}), and holds something else: its sha512 is" in ran.err
    assert "rename or delete the image in the destination" in ran.err
    assert names(run.destination) == ["web"]
    (run.here / "mapping.yml").write_text("images: {web: front}\n")
    run.good("import", "images")
    assert names(run.destination) == ["db", "front", "web"]


def test_an_image_of_that_name_without_data_is_a_problem(run):
    exported(run)
    run.destination.create_in(IMAGES, {"name": "web", "disk_format": "raw", "container_format": "bare"})
    ran = run("import", "images")
    assert ran.exit_code == 2
    assert "is there already" in ran.err
    assert "and is queued" in ran.err


def test_an_edit_is_an_update_of_what_it_says_and_of_nothing_else(run):
    exported(run, hw_disk_bus="scsi")
    run.good("import", "images")
    there = image_of(run.destination)
    run.destination.update_in(IMAGES, there["id"], {"added": "by the cloud"})
    run.edit("images", "web", hw_disk_bus="virtio", hw_cpu_cores=4, properties={"shop": "back"}, tags=["c"])
    run.edit("images", "web", visibility="community", is_hw_boot_menu_enabled=False)
    dry = run.good("import", "images", "--dry-run")
    assert "    ~ hw_disk_bus: 'scsi' -> 'virtio'" in dry.splitlines()
    run.good("import", "images")
    after = image_of(run.destination)
    assert (after["hw_disk_bus"], after["hw_cpu_cores"], after["shop"]) == ("virtio", "4", "back")
    assert (after["tags"], after["visibility"], after["hw_boot_menu"]) == (["c"], "community", "false")
    assert (after["added"], after["id"]) == ("by the cloud", there["id"])
    assert run.good("import", "images").splitlines() == ["1 same"]


def test_a_format_is_not_changed_any_more(run):
    exported(run)
    run.good("import", "images")
    run.edit("images", "web", disk_format="qcow2")
    ran = run("import", "images")
    assert ran.exit_code == 2
    assert "disk_format: 'raw' -> 'qcow2'" in ran.err


def test_an_image_that_may_not_be_public_is_there_and_says_so(run):
    exported(run)
    run.edit("images", "web", visibility="public", is_protected=True)
    for _ in range(2):
        ran = run("import", "images")
        assert ran.exit_code == 3
        assert "not authorized to complete publicize_image" in ran.err
        there = image_of(run.destination)
        assert (there["visibility"], there["protected"], there["status"]) == ("shared", True, "active")
    assert calls(run.destination, "write image") == 1


def test_clouds_with_other_hashes_are_compared_by_the_data(run, monkeypatch):
    monkeypatch.setattr(run.destination, "hash_algorithm", "sha256")
    monkeypatch.setattr(run.destination, "tells_md5", False)
    blob = exported(run)
    run.good("import", "images")
    assert run.good("import", "images").splitlines() == ["1 same"]
    run.destination.delete_image(image_of(run.destination)["id"])
    run.destination.add_glance_image("web", DATA[:-1] + b"!")
    assert "holds something else: its sha256 is" in run("import", "images").err
    blob.unlink()
    assert "the two have no hash in common" in run("import", "images").err


def test_a_cloud_that_tells_no_hash_proves_nothing(run, monkeypatch):
    exported(run)
    monkeypatch.setattr(run.destination, "hash_algorithm", "")
    monkeypatch.setattr(run.destination, "tells_md5", False)
    ran = run("import", "images")
    assert ran.exit_code == DigestMismatch.exit_code
    assert "nothing proves image" in ran.err
    assert names(run.destination) == []


def test_an_image_refers_to_its_kernel_by_name(run):
    kernel = run.source.add_glance_image("kernel", b"vmlinuz")
    public = run.source.add_glance_image("initrd", b"initrd", owner="others", visibility="public")
    run.destination.add_glance_image("initrd", b"another", owner="others", visibility="public")
    exported(run, kernel_id=kernel["id"], ramdisk_id=public["id"])
    params = run.params("images")["web"]
    assert params["kernel_ref"] == {"name": "kernel", "project_name": "%auth%", "domain_name": "%auth%"}
    assert params["ramdisk_ref"] == {"name": "initrd", "project_name": None, "domain_name": None}
    run.good("import", "images")
    there = image_of(run.destination)
    assert there["kernel_id"] == image_of(run.destination, "kernel")["id"]
    assert there["ramdisk_id"] == image_of(run.destination, "initrd")["id"]
    assert run.good("import", "images").splitlines() == ["2 same"]


def test_only_what_the_filter_chooses_is_exported_and_imported(run):
    run.source.add_glance_image("db", DATA)
    exported(run)
    run.good("import", "images", "--filter", "db")
    assert names(run.destination) == ["db"]
    for file in (run.here / "image_blobs").iterdir():
        file.unlink()
    run.good("export", "images", "--filter", "web")
    assert [name.rpartition("-")[2] for name in files(run)] == ["web"]


def test_a_dry_run_makes_nothing(run):
    exported(run)
    assert "+ image web" in run.good("import", "images", "--dry-run")
    assert names(run.destination) == []


# Files ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"hw_cpu_cores": True}, "hw_cpu_cores: must be a whole number"),
        ({"is_hw_boot_menu_enabled": 1}, "is_hw_boot_menu_enabled: must be true or false"),
        ({"properties": {"shop": 12}}, "properties.shop: must be text"),
        ({"properties": ["shop"]}, "properties: must be a mapping"),
        ({"visibility": "everybody"}, "visibility: must be one of private, shared, community, public"),
        ({"disk_format": None}, "disk_format: is missing"),
        ({"hw_disk_buss": "scsi"}, "did you mean hw_disk_bus"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(run, params, what):
    exported(run)
    run.edit("images", "web", **params)
    ran = run("validate", "images")
    assert ran.exit_code == 2
    assert what in ran.err


@pytest.mark.parametrize(
    ("field", "api", "file"),
    [
        ("is_hw_boot_menu_enabled", "yes", True),
        ("is_hw_boot_menu_enabled", "False", False),
        ("is_hw_boot_menu_enabled", "maybe", "maybe"),
        ("hw_cpu_cores", "4", 4),
        ("hw_cpu_cores", "many", "many"),
        ("instance_type_rxtx_factor", "1", 1.0),
    ],
)
def test_numbers_and_flags_are_text_in_the_cloud_and_themselves_in_the_file(field, api, file):
    (entry,) = [f for f in KIND.fields if f.name == field]
    assert entry.shown({entry.key: api}, None) == file
    assert entry.agrees(entry.wanted({field: file}, None), {entry.key: api})
    assert isinstance(entry.wanted({field: file}, None), str)
    assert list(entry.faults({field: file}, ())) == []


def test_contents_that_differ_are_shown_by_diff(run):
    exported(run)
    run.destination.add_glance_image("web", DATA[:-1] + b"!")
    run.export_there("images")
    ran = run("diff", str(run.here), str(run.there))
    assert ran.exit_code == 1
    assert "hash_value" in ran.out


def test_memory_stays_flat_however_large_an_image_is(tmp_path):
    blobs = Blobs(tmp_path)
    file = blobs.path("id", "large")
    piece = bytes(CHUNK_BYTES)
    digest = hashlib.sha512()
    for _ in range(64):
        digest.update(piece)
    tracemalloc.start()
    blobs.write(
        file, (bytes(CHUNK_BYTES) for _ in range(64)), Fingerprint(64 << 20, "sha512", digest.hexdigest()), unseen
    )
    reading = Reading(file, "sha512", unseen)
    for sent in reading:
        assert len(sent) == CHUNK_BYTES
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert reading.digest == digest.hexdigest()


def test_data_that_is_sent_again_is_sent_from_its_beginning(tmp_path):
    file = tmp_path / "blob"
    file.write_bytes(DATA)
    reading = Reading(file, "md5", unseen)
    next(iter(reading))
    assert b"".join(reading) == DATA
    assert reading.digest == hashlib.md5(DATA).hexdigest()


def test_what_was_known_of_a_file_is_forgotten_when_it_is_changed(tmp_path):
    blobs, file = Blobs(tmp_path), tmp_path / "blob"
    for data in (DATA, DATA[1:]):
        file.write_bytes(data)
        for algorithm in ("md5", "sha512") if data is DATA else ("sha512", "md5"):
            assert blobs.digest(file, algorithm, unseen) == hashlib.new(algorithm, data).hexdigest()


def test_one_process_at_a_time_downloads_an_image(tmp_path):
    one, other = Blobs(tmp_path), Blobs(tmp_path)
    file = one.path("id", "web")

    def pieces():
        with pytest.raises(Exception, match="another os-migrate is downloading"):
            other.write(file, [b"x"], Fingerprint(1), unseen)
        yield DATA

    one.write(file, pieces(), Fingerprint(len(DATA)), unseen)
    assert file.read_bytes() == DATA


def test_a_run_that_is_to_stop_stops_within_an_image():
    clock = SystemClock()
    image = Resource(KIND, {"name": "web"}, {}, {})
    seen = following(Events(), clock, image, "download", 5)
    seen(1)
    clock.stop()
    with pytest.raises(KeyboardInterrupt):
        seen(2)
