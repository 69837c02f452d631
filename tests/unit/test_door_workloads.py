"""What Ansible's modules for the stages of a server's migration, and for batches, are called with and return."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from os_migrate.door import batches, staging
from os_migrate.door.call import Answer, Call, answer
from os_migrate.files.fileformat import unstructure
from os_migrate.files.workloads import write_workloads
from os_migrate.journal import AttemptState, Journal
from os_migrate.model import Side
from os_migrate.session import Session
from os_migrate.settings import Settings
from os_migrate.workload import Workload
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook, Killed
from tests.fakes.workloads import BY_NAME, USER_DATA, Shape

SIDES = {"stop": Side.SOURCE, "src_check": Side.SOURCE, "export_volumes": Side.SOURCE, "src_cleanup": Side.SOURCE}
STAGES = ("stop", "src_check", "export_volumes", "transfer_volumes", "create_instance")


class Modules:
    """The modules over a scene of two fake clouds, each call in a process of its own."""

    def __init__(self, scene: Scene, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = scene
        self.directory = directory
        self.hook = Hook()
        self.warnings: list[str] = []
        self.sessions: list[Settings] = []
        self.locked: list[bool] = []
        self.data: dict[str, Any] = {w.id: unstructure(w) for w in scene.workloads}
        for module in (staging, batches):
            monkeypatch.setattr(module, "open_session", self._open)

    @contextmanager
    def _open(self, settings, events, *, hosts, lock, checks_hosts):
        assert hosts
        assert checks_hosts
        self.sessions.append(settings)
        self.locked.append(lock)
        self.scene._restart(self.hook)
        sides = {Side.SOURCE: self.scene.source, Side.DESTINATION: self.scene.destination}
        yield Session(settings, self.scene.journal, replace(self.scene.world, events=events), sides)

    def __call__(self, function: str, *, check: bool = False, workload: Workload | None = None, **options) -> Answer:
        module, _, name = function.rpartition(".")
        if not module and "data" not in options and "name" not in options:
            options["data"] = self.data[(workload or self.scene.workloads[0]).id]
        options = {"data_dir": str(self.directory), **options}
        call = Call(options, SIDES.get(name, Side.DESTINATION), check=check, warn=self.warnings.append)
        done = answer(f"{module or 'workloads'}.{name}", call)
        assert json.loads(json.dumps(done)) == done
        return done

    def migrate(self) -> list[Answer]:
        return [self(stage) for stage in (*STAGES, "src_cleanup")]


@pytest.fixture
def shape() -> Shape:
    return BY_NAME["volume_boot_two_volumes_running"]


@pytest.fixture
def scene(tmp_path, shape) -> Scene:
    return Scene(tmp_path, shape)


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Modules:
    write_workloads(tmp_path / "workloads.yml", scene.workloads)
    (tmp_path / "os-migrate.yml").write_text("os_migrate_workload_stop_before_migration: true\n")
    return Modules(scene, tmp_path, monkeypatch)


# Stage by stage --------------------------------------------------------------------------------------------------------


def test_what_one_module_returns_is_enough_for_the_next(run, scene, tmp_path):
    data = run.data[scene.workloads[0].id]
    prelim = run("prelim", data=data, log_dir=str(tmp_path / "workload_logs"))
    assert prelim["changed"]
    assert prelim["server_name"] == "web 0"
    logs = {key: prelim[key] for key in ("log_file", "state_file")}
    assert not run("dst_check", data=data)["changed"]
    assert run("stop", data=data, **logs)["changed"]
    assert run("src_check", name=data["_info"]["id"])["changed"] is False
    exports = run("export_volumes", data=data, **logs)
    assert exports["changed"]
    handed = {"transfer_uuid": exports["transfer_uuid"], "volume_map": exports["volume_map"]}
    transfer = run("transfer_volumes", data=data, **handed, **logs)
    created = run("create_instance", data=data, block_device_mapping=transfer["block_device_mapping"])
    assert created["server"] == {"id": scene.twins(scene.workloads[0])[0], "name": "web 0", "status": "ACTIVE"}
    assert created["state"] == "committed"
    cleaned = run("src_cleanup", **handed, **logs)
    assert cleaned == {"changed": True, "transfer_uuid": exports["transfer_uuid"], "state": "migrated"}
    scene.assert_migrated()
    assert set(json.loads(Path(prelim["state_file"]).read_text()).values()) == {100.0}
    log = Path(prelim["log_file"]).read_text()
    for stage in ("stop source", "export volumes", "transfer volumes", "create instance", "clean up source"):
        assert f"stage {stage}\n" in log
    assert not any("failed" in done.get("msg", "") for done in (prelim, exports, transfer, created, cleaned))


def test_maps_say_where_each_disk_is(run, scene):
    run("stop")
    exports, transfer = run("export_volumes")["volume_map"], run("transfer_volumes")["volume_map"]
    assert list(transfer) == list(exports)
    boot, *others = transfer.values()
    assert boot["snap_id"] is not None
    assert boot["bootable"]
    assert [entry["snap_id"] for entry in others] == [None, None]
    assert {entry["source_id"] for entry in others} <= {v.info.id for v in scene.workloads[0].params.volumes}
    assert [entry["progress"] for entry in exports.values()] == [0.0] * 3
    assert [entry["progress"] for entry in transfer.values()] == [100.0] * 3
    assert [entry["dest_id"] for entry in exports.values()] == [None] * 3
    assert {entry["dest_id"] for entry in transfer.values()} <= set(scene.destination._volumes)
    assert [entry["size"] for entry in transfer.values()] == [2, 1, 2]
    assert all(entry["url"].startswith("unix:/run/os-migrate/") for entry in exports.values())


def test_block_device_mapping_is_in_boot_order_and_as_nova_takes_it(run, scene):
    run("stop")
    done = run("transfer_volumes")
    mapping = done["block_device_mapping"]
    assert [disk["uuid"] for disk in mapping] == [entry["dest_id"] for entry in done["volume_map"].values()]
    assert [disk["boot_index"] for disk in mapping] == [0, -1, -1]
    assert {disk["source_type"] for disk in mapping} == {disk["destination_type"] for disk in mapping} == {"volume"}
    ours = [v.delete_on_termination for v in scene.source._machines[scene.workloads[0].id].view.volumes]
    assert mapping[0]["delete_on_termination"] == ours[0]


def test_nothing_changes_the_second_time_and_the_same_is_returned(run, scene):
    first = run.migrate()
    before = scene.picture()
    second = [run(stage) for stage in (*STAGES, "src_cleanup", "dst_failure_cleanup")]
    assert not any(done["changed"] for done in second)
    assert not any(done.get("failed") for done in second)
    assert second[2]["transfer_uuid"] == first[2]["transfer_uuid"]
    assert second[3]["block_device_mapping"] == first[3]["block_device_mapping"]
    prelim = run("prelim")
    assert (prelim["changed"], prelim["reason"]) == (False, f"already migrated: server {first[4]['server']['id']}")
    assert scene.picture() == before


def test_prelim_makes_the_files_but_not_in_check_mode(run, tmp_path):
    assert run("prelim", check=True)["changed"]
    assert not (tmp_path / "workload_logs").exists()
    done = run("prelim")
    assert Path(done["log_file"]) == tmp_path / "workload_logs" / f"{Path(done['log_file']).stem}.log"
    assert Path(done["log_file"]).exists()
    assert json.loads(Path(done["state_file"]).read_text()) == {}


def test_server_that_is_a_conversion_host_is_skipped(run, scene):
    machine = scene.source._machines[scene.workloads[0].id]
    machine.view = replace(machine.view, metadata={"conversion_host": "true"})
    assert run("prelim")["reason"] == "it is a conversion host"


def test_all_problems_are_told_at_once(run, scene):
    scene.destination._volume_types.clear()
    scene.destination._keypairs.clear()
    done = run("dst_check")
    assert done["failed"]
    assert len(done["error"]["problems"]) >= 2
    assert "fast" in done["msg"]
    assert "alice" in done["msg"]
    assert scene.journal.attempts() == []


def test_check_mode_touches_nothing(run, scene):
    for stage in (*STAGES, "src_cleanup", "dst_failure_cleanup"):
        done = run(stage, check=True)
        assert done["changed"] is (stage in STAGES), stage
    assert not any(run.locked)
    scene.assert_as_before()
    run("stop")
    assert run("src_cleanup", check=True)["changed"]
    assert scene.state is AttemptState.RUNNING
    run.migrate()
    assert not any(run(stage, check=True)["changed"] for stage in (*STAGES, "src_cleanup", "dst_failure_cleanup"))


def test_check_mode_says_what_would_keep_it_from_beginning(run, tmp_path):
    assert run("src_check", check=True)["changed"]
    (tmp_path / "os-migrate.yml").write_text("os_migrate_workload_stop_before_migration: false\n")
    done = run("src_check", check=True)
    assert "it is running" in done["msg"]
    assert run("stop", check=True)["changed"]


def test_check_mode_refuses_what_the_stage_would(run, scene):
    run("stop")
    scene.destination_host.corrupts = True
    run("transfer_volumes")
    told, done = run("create_instance", check=True), run("create_instance")
    assert (told["failed"], told["msg"]) == (True, done["msg"])


def test_failure_is_undone_by_the_clean_ups(run, scene):
    run("stop")
    run("export_volumes")
    scene.destination_host.corrupts = True
    failed = run("transfer_volumes")
    assert failed["error"]["kind"] == "DigestMismatch"
    assert run("src_cleanup")["state"] == "rolled back"
    assert not run("dst_failure_cleanup")["changed"]
    scene.assert_as_before()


def test_clean_up_without_an_attempt_asks_no_cloud(run):
    assert not run("src_cleanup")["changed"]
    assert not run("dst_failure_cleanup")["changed"]
    assert run.sessions == []


def test_clean_up_after_a_failure_leaves_a_twin_that_runs(run, scene):
    for stage in STAGES:
        run(stage)
    assert not run("dst_failure_cleanup")["changed"]
    assert run("src_cleanup")["changed"]
    scene.assert_migrated()


def test_disks_that_were_not_copied_are_refused(run):
    run("stop")
    run("transfer_volumes")
    done = run("create_instance", block_device_mapping=[{"uuid": "of-somebody-else", "boot_index": 0}])
    assert "block_device_mapping has other disks" in done["msg"]
    assert run("create_instance", block_device_mapping=[])["changed"]


def test_data_that_is_wrong_is_refused_with_its_fields(run, scene):
    data = {**run.data[scene.workloads[0].id], "params": {"name": "web 0", "flavour": "big"}}
    done = run("prelim", data=data)
    assert "flavour" in done["msg"]


def test_source_that_no_file_describes_is_refused(run):
    assert "there is no server nobody in" in run("src_check", name="nobody")["msg"]


def test_data_has_the_names_of_the_source_and_the_mapping_is_applied_once(run, scene, tmp_path):
    scene.destination._keypairs.clear()
    scene.destination.add_keypair("bob")
    (tmp_path / "mapping.yml").write_text("keypairs:\n  alice: bob\n  bob: nobody\n")
    assert [done.get("msg") for done in run.migrate()] == [None] * 6
    (twin,) = scene.twins(scene.workloads[0])
    assert scene.destination._machines[twin].view.key_name == "bob"


def test_user_data_is_in_no_log_and_no_journal(run, scene, tmp_path):
    run("prelim")
    run.migrate()
    assert USER_DATA in json.dumps(run.data)
    for file in [*(tmp_path / "workload_logs").iterdir(), tmp_path / "journal.sqlite", tmp_path / "journal.sqlite-wal"]:
        assert USER_DATA.encode() not in file.read_bytes(), file


def test_servers_of_one_name_have_logs_of_their_own(tmp_path, monkeypatch):
    scene = Scene(tmp_path, Shape("one"), Shape("two"), names=["twin", "twin"])
    write_workloads(tmp_path / "workloads.yml", scene.workloads)
    run = Modules(scene, tmp_path, monkeypatch)
    files = {run("prelim", workload=workload)["log_file"] for workload in scene.workloads}
    assert len(files) == 2


# Options ---------------------------------------------------------------------------------------------------------------


def test_options_say_which_hosts_and_how_long(run):
    hosts = {"conversion_host": {"name": "mine", "address": "192.0.2.9", "id": "h", "status": "ACTIVE"}}
    run("prelim", src_conversion_host={"name": "other"}, dst_filters={"project_id": "p"})
    run("transfer_volumes", **hosts, dst_conversion_host_address="192.0.2.1", timeout=77, ssh_user="debian")
    first, second = run.sessions
    assert first.source_host.host_name == "other"
    assert first.destination_host.host_name == "os_migrate_conv_dst"
    assert (second.source_host.host_name, second.destination_host.host_name) == ("os_migrate_conv_src", "mine")
    assert (second.destination_host.floating_ip_address, second.destination_host.manage_fip) == ("192.0.2.1", False)
    assert second.workloads.timeout_s == 77
    assert second.conversion.ssh_user == "debian"


def test_host_of_any_pair_is_no_other_name(run, tmp_path):
    (tmp_path / "os-migrate.yml").write_text("os_migrate_conversion_host_pairs: 2\n")
    host = {"name": "os_migrate_conv_dst-2"}
    run("transfer_volumes", conversion_host=host, dst_conversion_host_address="192.0.2.1")
    assert run.sessions[0].destination_host.host_name == "os_migrate_conv_dst"
    assert run.sessions[0].destination_host.floating_ip_address is None


# Batches ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path, monkeypatch) -> Modules:
    scene = Scene(tmp_path, Shape("one", data_volumes=1), Shape("two", data_volumes=1))
    write_workloads(tmp_path / "workloads.yml", scene.workloads)
    return Modules(scene, tmp_path, monkeypatch)


def results(done: Answer) -> dict[str, str]:
    return {outcome["name"]: outcome["result"] for outcome in done["outcomes"]}


def test_batch_migrates_what_the_filter_chooses_and_skips_what_is_done(many):
    one = many("batches.migrate", filter=["web 0"], parallel=1)
    assert (one["changed"], results(one)) == (True, {"web 0": "migrated"})
    both = many("batches.migrate", parallel=1)
    assert (both["changed"], results(both)) == (True, {"web 0": "skipped", "web 1": "migrated"})
    again = many("batches.migrate", parallel=1)
    assert (again["changed"], results(again)) == (False, {"web 0": "skipped", "web 1": "skipped"})
    many.scene.assert_migrated()
    assert many.sessions[0].workloads.parallel == 1


def test_batch_tells_each_failure_at_the_end(many):
    many.scene.source._set_lock(many.scene.workloads[0].id, "lock")
    done = many("batches.migrate", parallel=1)
    assert done["failed"]
    assert done["changed"]
    assert results(done) == {"web 0": "failed", "web 1": "migrated"}
    assert done["msg"].startswith("1 of 2 servers failed:\nweb 0 (")
    assert "it is locked" in done["msg"]


def test_batch_in_which_nothing_was_begun_has_changed_nothing(many):
    for workload in many.scene.workloads:
        many.scene.source._set_lock(workload.id, "lock")
    done = many("batches.migrate", parallel=1)
    assert (done["failed"], done["changed"]) == (True, False)


def test_batch_in_check_mode_is_a_plan(many):
    done = many("batches.migrate", check=True)
    assert done["changed"]
    assert [server["name"] for server in done["plan"]["servers"]] == ["web 0", "web 1"]
    many.scene.destination._keypairs.clear()
    problems = many("batches.migrate", check=True)
    assert problems["failed"]
    assert "alice" in problems["msg"]
    assert not problems["plan"]["can_start"]
    assert not any(many.locked)
    many.scene.assert_as_before()


def test_batch_brings_what_was_left_open_to_its_end_first(many, tmp_path):
    class DieInTheCopy(Hook):
        def before(self, call) -> None:
            super().before(call)
            if call.verb == "start CopyJob":
                raise Killed

    many.hook = DieInTheCopy()
    with pytest.raises(Killed):
        many("batches.migrate", parallel=1)
    many.hook = Hook()
    done = many("batches.migrate", parallel=1)
    assert results(done) == {"web 0": "migrated", "web 1": "migrated"}
    many.scene.assert_migrated()
    assert len(Journal(tmp_path / "journal.sqlite").attempts()) == 2


def test_batch_undoes_what_was_being_undone_and_migrates_it_anew(many):
    many.scene.seam.hook = Hook()
    many("stop")
    attempt = many.scene.journal.attempts()[0]
    many.scene.journal.set_state(attempt.id, AttemptState.ROLLING_BACK)
    assert results(many("batches.migrate", parallel=1)) == {"web 0": "migrated", "web 1": "migrated"}
    assert many.scene.journal.attempt(attempt.id).state is AttemptState.ROLLED_BACK


def test_batch_leaves_an_attempt_that_somebody_wants_to_look_at(many):
    many("stop")
    attempt = many.scene.journal.attempts()[0]
    many.scene.journal.set_state(attempt.id, AttemptState.FAILED, "no space")
    done = many("batches.migrate", parallel=1)
    assert results(done) == {"web 0": "failed", "web 1": "migrated"}
    assert "is unfinished (failed" in done["msg"]
