"""Export and import of the kinds through the modules' door, on two fake clouds."""

import json
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from os_migrate.door import resources as door
from os_migrate.door.call import Answer, Call, answer
from os_migrate.errors import CloudError
from os_migrate.files.workloads import read_detached_volumes, read_workloads
from os_migrate.model import Side, VolumeSpec
from os_migrate.resources.catalog import KINDS
from os_migrate.session import open_journal
from tests.fakes.cloud import FakeCloud
from tests.fakes.scene import Scene
from tests.fakes.seam import FakeClock, Hook, Killed
from tests.fakes.workloads import Shape
from tests.unit.test_kinds_cli import NETWORKS, furnish_all

TENANTS = [kind.name for kind in KINDS if not kind.for_admin]
NAMED = {"networks": "shop", "subnets": "shop-4", "routers": "way out", "security_groups": "web"}


class Modules:
    """Calls the door as modules do; what a module answers is JSON."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data_dir = data_dir
        self.source, self.destination = (FakeCloud(side, FakeClock()) for side in Side)
        for cloud in (self.source, self.destination):
            cloud.make_default_group()
            cloud.add_network("public", "203.0.113.0/24", is_external=True)
            cloud._networks[0] = replace(cloud._networks[0], project_id="an administrator's")
            cloud._subnets[0] = replace(cloud._subnets[0], project_id="an administrator's")
        self.warnings: list[str] = []
        self.locks: list[bool] = []
        self.sides: list[Side] = []
        monkeypatch.setattr(door, "open_cloud", self._open)

    @contextmanager
    def _open(self, settings, events, side, *, lock):
        self.locks.append(lock)
        self.sides.append(side)
        yield self.source if side is Side.SOURCE else self.destination

    def file(self, kind: str) -> Path:
        return self.data_dir / f"{kind}.yml"

    def __call__(
        self, function: str, options: dict[str, object], *, side: Side = Side.SOURCE, **more: object
    ) -> Answer:
        given = {key: more.pop(key) for key in ("check", "diff") if key in more}
        call = Call(options, side, warn=self.warnings.append, **given)
        return json.loads(json.dumps(answer(f"resources.{function}", call, **more)))

    def export(self, kind: str, **more: object) -> Answer:
        given = {key: more.pop(key) for key in ("check", "diff") if key in more}
        return self("export_kind", {"path": str(self.file(kind)), **more}, kind=kind, **given)

    def download(self, **more: object) -> Answer:
        """Download the data of the images of the file."""
        given = {key: more.pop(key) for key in ("check",) if key in more}
        return self("export_image_data", {"path": str(self.file("images")), **more}, **given)

    def make(self, kind: str, **more: object) -> Answer:
        given = {key: more.pop(key) for key in ("check", "diff") if key in more}
        options = more if "data" in more else {"path": str(self.file(kind)), **more}
        return self("import_kind", options, side=Side.DESTINATION, kind=kind, **given)


@pytest.fixture
def modules(tmp_path, monkeypatch) -> Modules:
    return Modules(tmp_path, monkeypatch)


@pytest.fixture
def furnished(modules) -> Modules:
    furnish_all(modules.source)
    return modules


def test_kinds_go_there_module_by_module_and_a_second_run_changes_nothing(furnished):
    for kind in TENANTS:
        exported = furnished.export(kind)
        assert (exported["changed"], exported.get("failed")) == (True, None), exported
        assert kind != "images" or furnished.download()["changed"]
        assert furnished.make(kind)["changed"], kind
    assert not furnished.download()["changed"]
    for kind in TENANTS:
        assert not furnished.export(kind)["changed"], kind
        assert not furnished.make(kind)["changed"], kind


def test_check_mode_touches_nothing_and_says_what_would_change(furnished):
    checked = furnished.export("networks", check=True, diff=True)
    assert checked["changed"]
    assert "shop" in checked["diff"][0]["after"]
    assert not furnished.file("networks").exists()
    furnished.export("networks")
    made = furnished.make("networks", check=True, diff=True)
    assert made["changed"]
    assert {r["name"]: r["action"] for r in made["resources"]} == {"shop": "create", "back": "create"}
    assert furnished.destination.list_of(NETWORKS, {"name": "shop"}) == []
    assert furnished.locks == [False, False, False]


def test_check_mode_takes_what_the_files_of_the_kinds_before_describe_for_there(furnished):
    for kind in TENANTS:
        furnished.export(kind)
    furnished.download()
    for kind in TENANTS:
        foretold = furnished.make(kind, check=True)
        assert "failed" not in foretold, foretold["msg"]
        assert {resource["kind"] for resource in foretold["resources"]} <= {kind, "routers"}
        assert foretold["changed"]
    furnished.file("networks").unlink()
    assert "there is no network 'shop' in this project" in furnished.make("subnets", check=True)["msg"]


def test_an_update_shows_its_fields_in_diff_mode(furnished):
    furnished.export("networks")
    furnished.make("networks")
    (network,) = furnished.source.list_of(NETWORKS, {"name": "shop"})
    furnished.source.update_in(NETWORKS, network["id"], {"description": "new"})
    assert furnished.export("networks")["updated"] == ["shop"]
    made = furnished.make("networks", diff=True)
    assert [d["before_header"] for d in made["diff"]] == ["network shop"]
    assert "description: 'all of it' -> 'new'" in made["diff"][0]["after"]
    assert furnished.locks[-1] is True


@pytest.mark.parametrize("kind", NAMED)
def test_one_resource_is_exported_by_its_name_beside_what_the_file_has(kind, furnished):
    assert furnished.export(kind, name=NAMED[kind])["exported"] == [NAMED[kind]]
    furnished.export(kind)
    before = furnished.file(kind).read_text()
    assert not furnished.export(kind, name=NAMED[kind])["changed"]
    assert furnished.file(kind).read_text() == before


def test_a_name_that_is_nobodys_fails_and_lists_what_there_is(furnished):
    failed = furnished.export("networks", name="shpo")
    assert failed["failed"]
    assert "there are: 'back', 'shop'" in failed["msg"]


def test_a_filter_of_the_task_wins_over_that_of_the_settings(furnished):
    (furnished.data_dir / "os-migrate.yml").write_text("os_migrate_data_dir: .\nos_migrate_networks_filter: [back]\n")
    assert furnished.export("networks")["exported"] == ["back"]
    assert furnished.export("networks", filter=[{"regex": "^sh"}])["exported"] == ["shop"]
    assert furnished.make("networks")["resources"][0]["name"] == "back"
    assert [r["name"] for r in furnished.make("networks", filter=["shop"])["resources"]] == ["shop"]


def test_the_default_filter_may_match_nothing(modules):
    exported = modules.export("routers", filter=[{"regex": ".*"}])
    assert exported["exported"] == []
    assert modules.file("routers").exists()


def test_a_filter_that_is_none_is_refused(furnished):
    assert "a name, or {regex: PATTERN}" in furnished.export("networks", filter=[{"regexp": "x"}])["msg"]


def test_part_of_a_filter_that_matches_nothing_is_a_warning(furnished):
    furnished.export("networks", filter=["shop", "nosuch"])
    assert furnished.warnings == ["nothing matches the filter's 'nosuch'"]


def test_resources_are_made_one_by_one_as_the_task_says_them(furnished):
    for kind in TENANTS:
        furnished.export(kind)
        assert kind != "images" or furnished.download()["changed"]
        read = furnished("read_resources", {"path": str(furnished.file(kind))})
        for resource in read["resources"]:
            made = furnished.make(kind, data=resource, data_dir=str(furnished.data_dir))
            assert not made.get("failed"), made
    for kind in TENANTS:
        assert not furnished.make(kind)["changed"], kind


def test_a_resource_needs_no_data_dir(furnished):
    furnished.export("networks")
    read = furnished("read_resources", {"path": str(furnished.file("networks"))})
    assert furnished.make("networks", data=read["resources"][0])["changed"]


def test_a_resource_that_can_not_be_is_refused_with_its_fields(furnished):
    data = {"type": "openstack.network.Network", "params": {"mtu": "much", "colour": "red"}}
    failed = furnished.make("networks", data=data)
    assert {p["where"] for p in failed["error"]["problems"]} == {
        "data.params.mtu",
        "data.params.colour",
        "data.params.name",
    }


def test_one_that_fails_stops_no_other_and_fails_the_task(furnished):
    furnished.export("networks")

    class Refuses(Hook):
        def before(self, call):
            if call.verb == "create network" and not furnished.destination.list_of(NETWORKS, {"name": "back"}):
                raise CloudError("no more networks", remedy="ask for more")

    furnished.destination.seam.hook = Refuses()
    failed = furnished.make("networks")
    assert failed["failed"]
    assert "no more networks" in failed["msg"]
    assert len(failed["resources"]) == 2
    furnished.destination.seam.hook = Hook()
    assert furnished.make("networks")["changed"]
    assert not furnished.make("networks")["changed"]


def test_an_import_that_dies_is_finished_by_the_same_task(furnished):
    for kind in TENANTS:
        furnished.export(kind)

    class Dies(Hook):
        def after(self, call):
            if call.mutates:
                raise Killed

    furnished.destination.seam.hook = Dies()
    with suppress(Killed):
        furnished.make("networks")
    furnished.destination.seam.hook = Hook()
    assert not furnished.make("networks").get("failed")
    assert len(furnished.destination.list_of(NETWORKS, {"name": "shop"})) == 1


def test_the_data_of_images_comes_beside_their_file_or_where_the_task_says(furnished, tmp_path):
    furnished.export("images")
    assert furnished.download(check=True)["missing"] == ["kernel", "shop/front"]
    assert not (furnished.data_dir / "image_blobs").exists()
    elsewhere = tmp_path / "elsewhere"
    assert [entry["new"] for entry in furnished.download(blobs_dir=str(elsewhere), name="kernel")["data"]] == [True]
    assert len([file for file in elsewhere.iterdir() if file.name.endswith("kernel")]) == 1
    failed = furnished.make("images")
    assert "the data of image kernel isn't there" in failed["msg"]


def test_data_that_can_not_be_had_fails_the_task_and_the_rest_comes(furnished):
    furnished.export("images")

    class Refuses(Hook):
        calls_seen = 0

        def before(self, call):
            if call.verb == "read image":
                self.calls_seen += 1
                if self.calls_seen == 1:
                    raise CloudError("the image is gone")

    furnished.source.seam.hook = Refuses()
    failed = furnished.download()
    assert failed["failed"]
    assert "the image is gone" in failed["msg"]
    assert len(failed["missing"]) == len(failed["data"]) == 1


def test_files_are_checked_against_one_another(furnished):
    for kind in ("networks", "subnets"):
        furnished.export(kind)
    paths = [str(furnished.file(kind)) for kind in ("networks", "subnets")]
    assert furnished("validate", {"paths": paths})["ok"]
    furnished.file("networks").unlink()
    found = furnished("validate", {"paths": paths[1:]})
    assert not found["ok"]
    assert "no file has a networks 'shop'" in found["errors"][0]
    assert found["errors"][0].split(":")[0] == str(furnished.file("subnets"))
    assert furnished("validate", {"paths": paths})["failed"]


def test_all_files_of_the_data_dir_are_checked_where_none_is_named(furnished):
    for kind in TENANTS:
        furnished.export(kind)
    found = furnished("validate", {"data_dir": str(furnished.data_dir)})
    assert found["ok"], found
    assert set(found["files"]) == set(TENANTS)


def test_a_file_that_is_none_is_no_resource_file(modules):
    modules.file("networks").write_text("- 1\n")
    assert "is no resource file" in modules("read_resources", {"path": str(modules.file("networks"))})["msg"]


def test_what_a_cloud_has_is_listed_and_chosen_by_its_fields(furnished):
    listed = furnished(
        "list_kind", {"filters": {"name": "web"}}, kind="security_groups", answer="openstack_security_groups"
    )
    assert [group["name"] for group in listed["openstack_security_groups"]] == ["web"]
    assert not listed["changed"]


def test_credentials_tell_their_project(modules):
    assert modules("auth_info", {})["auth_info"]["project_id"] == "project-source"


@pytest.fixture
def served(tmp_path, modules) -> Modules:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    modules.source = Scene(elsewhere, Shape("one"), Shape("two")).source
    return modules


def test_servers_are_exported_from_the_source_alone_and_a_second_run_changes_nothing(served):
    options = {"path": str(served.file("workloads"))}
    assert served("export_workload", options, check=True)["changed"]
    assert not served.file("workloads").exists()
    exported = served("export_workload", options)
    assert exported["changed"]
    assert {w.name for w in read_workloads(served.file("workloads"))} == set(exported["exported"]) >= {"web 0", "web 1"}
    assert not served("export_workload", options)["changed"]
    assert served("export_workload", {**options, "name": "web 1"})["exported"] == ["web 1"]
    assert set(served.sides) == {Side.SOURCE}


def test_user_data_is_in_no_diff_and_a_change_of_it_shows(served):
    options = {"path": str(served.file("workloads"))}
    stored = next(iter(served.source._machines.values()))
    texts = []
    for user_data in ("c2VjcmV0IG9uZQ==", "c2VjcmV0IHR3bw=="):
        stored.view = replace(stored.view, user_data=user_data)
        (shown,) = served("export_workload", options, diff=True)["diff"]
        assert user_data in served.file("workloads").read_text()
        assert "c2VjcmV0" not in json.dumps(shown)
        texts.append(shown["after"])
    assert texts[0] != texts[1]


def test_volumes_that_no_server_has_are_exported_and_a_second_run_changes_nothing(served):
    volume_id = served.source.create_volume(VolumeSpec("archive", 1))
    served.source.await_volume(volume_id, "available", 60)
    options = {"path": str(served.file("detached_volumes"))}
    assert served("export_detached_volume", options, check=True)["changed"]
    assert not served.file("detached_volumes").exists()
    exported = served("export_detached_volume", options)
    assert (exported["changed"], exported["added"]) == (True, ["archive"])
    assert [v.id for v in read_detached_volumes(served.file("detached_volumes"))] == [volume_id]
    assert not served("export_detached_volume", options)["changed"]
    served.source.delete_volume(volume_id)
    assert "matches none" in served("export_detached_volume", {**options, "name": "archives"})["msg"]
    assert set(served.sides) == {Side.SOURCE}


def test_a_server_whose_migration_is_unfinished_fails_the_task_when_the_rest_is_written(served):
    options = {"path": str(served.file("workloads"))}
    served("export_workload", options)
    one, _ = (w for w in read_workloads(served.file("workloads")) if w.name.startswith("web"))
    with open_journal(served.data_dir) as journal:
        journal.begin(one.id, one.name)
    served.file("workloads").unlink()
    failed = served("export_workload", options)
    assert failed["failed"]
    assert "os-migrate resume" in failed["msg"]
    assert failed["unfinished"] == [one.name]
    assert one.id not in {w.id for w in read_workloads(served.file("workloads"))}


def test_files_are_as_the_command_line_writes_them(furnished):
    furnished.export("networks")
    content = yaml.safe_load(furnished.file("networks").read_text())
    assert list(content) == ["os_migrate_version", "resources"]
    assert furnished.file("networks").stat().st_mode & 0o077 == 0


def test_detached_volumes_are_exported_and_a_second_run_changes_nothing(served):
    served.source.add_volume("archive", 1)
    options = {"path": str(served.file("detached_volumes")), "filter": ["archive"]}
    assert served("export_detached_volume", options)["added"] == ["archive"]
    assert not served("export_detached_volume", options)["changed"]
    assert served("validate", {"data_dir": str(served.data_dir)})["files"] == {"detached_volumes": 1}
