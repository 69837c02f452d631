"""The conversion hosts through the modules' door, on two fake clouds."""

import json
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from os_migrate.door import hosts as door
from os_migrate.door import resources
from os_migrate.door.call import Answer, Call, answer
from os_migrate.journal import Journal
from os_migrate.model import Side
from os_migrate.session import Session
from tests.unit.test_deploy import BARE, COMPLETE, Stage

SETTINGS = "".join(
    f"os_migrate_{x}_conversion_{name}: {value}\n"
    for x in ("src", "dst")
    for name, value in (
        ("host_name", f"conv_{x}"),
        ("flavor_name", "conv"),
        ("external_network_name", "public"),
    )
)


class Modules:
    """Calls the door as modules do; what a module answers is JSON."""

    def __init__(self, stage: Stage, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage, self.data_dir = stage, data_dir
        self.file = data_dir / "os-migrate.yml"
        self.file.write_text(SETTINGS)
        self.locks: list[bool] = []
        self.settings = []
        monkeypatch.setattr(door, "open_session", self._open)
        monkeypatch.setattr(resources, "open_cloud", self._open_cloud)
        monkeypatch.setattr(door.hosts, "open_remote_host", lambda _settings, *which: stage.open_host(*which))
        monkeypatch.setattr(door.hosts, "refuse_if_used", lambda *_: None)

    @contextmanager
    def _open(self, settings, events, *, hosts, lock):
        self.locks.append(lock)
        self.settings.append(settings)
        world = SimpleNamespace(events=events, clock=self.stage.clock)
        with closing(Journal(self.data_dir / "journal.sqlite")) as journal:
            yield Session(settings, journal, world, self.stage.clouds)

    @contextmanager
    def _open_cloud(self, _settings, _events, side, *, lock):
        yield self.stage.clouds[side]

    def __call__(self, function: str, *, check: bool = False, **options: object) -> Answer:
        side = Side(options.get("side", "source"))
        call = Call({"data_dir": str(self.data_dir), **options}, side, check=check)
        return json.loads(json.dumps(answer(f"hosts.{function}", call)))


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def run(stage, tmp_path, monkeypatch):
    return Modules(stage, tmp_path, monkeypatch)


def test_three_modules_make_the_hosts_ready_and_each_changes_something_once(run, stage):
    stage.facts = BARE
    for function in ("deploy", "fill", "link"):
        assert run(function, check=True)["changed"] is True
        done = run(function)
        assert done["changed"] is True
        assert all(isinstance(line, str) for line in done["changes"])
        stage.facts = COMPLETE if function == "fill" else stage.facts
    assert stage.clouds[Side.SOURCE].let_in == [stage.migrator, stage.peer]
    for function in ("deploy", "fill", "link"):
        assert run(function, check=True)["changed"] is False
        done = run(function)
        assert (done["changed"], done["changes"]) == (False, [])


def test_check_mode_makes_nothing_and_holds_no_lock(run, stage):
    before = stage.inventory()
    done = run("deploy", check=True)
    assert done["changed"]
    assert done["hosts"] == []
    assert stage.inventory() == before
    assert run.locks == [False]
    run("deploy")
    made = stage.inventory()
    assert run("delete", check=True)["changed"]
    assert stage.inventory() == made
    assert run.locks == [False, True, False]


def test_hosts_are_returned_with_what_an_inventory_needs(run, stage):
    source, destination = run("deploy")["hosts"]
    assert [source["side"], destination["side"]] == ["source", "destination"]
    assert source["address"] in {ip.address for ip in stage.clouds[Side.SOURCE].floating_ips()}
    assert source["private_key_file"] == str(run.data_dir / "conversion/ssh.key")
    assert f"-o HostKeyAlias={source['id']} -o StrictHostKeyChecking=yes" in source["ssh_args"]
    assert source["os"] == "debian 12"


def test_one_side_alone_is_deployed_and_deleted(run, stage):
    assert [host["side"] for host in run("deploy", side="destination")["hosts"]] == ["destination"]
    assert stage.clouds[Side.SOURCE].servers() == []
    run("deploy")
    assert all(line.startswith("source") for line in run("delete", side="source")["changes"])
    assert [len(cloud.servers()) for cloud in stage.clouds.values()] == [0, 1]


def test_what_the_settings_leave_alone_changes_nothing(run, stage):
    both = "os_migrate_deploy_src_conversion_host: false\nos_migrate_deploy_dst_conversion_host: false\n"
    run.file.write_text(SETTINGS + both)
    for check in (True, False):
        assert run("deploy", check=check)["changed"] is False
    assert not (run.data_dir / "conversion").exists()


def test_hosts_are_linked_though_others_deployed_them(run, stage):
    run("deploy")
    run.file.write_text(SETTINGS + "os_migrate_deploy_src_conversion_host: false\n")
    assert run("link")["changed"]
    assert stage.hosts["conv_dst"].link is not None


def test_a_password_of_the_task_lets_in_where_the_settings_ask_for_it(run, stage):
    run("deploy")
    assert run("fill", ssh_user_password="geheim")["changed"] is False
    run.file.write_text(SETTINGS + "os_migrate_conversion_host_ssh_user_enable_password_access: true\n")
    assert "there is no password" in run("fill")["msg"]
    done = run("fill", ssh_user_password="geheim")
    assert done["changed"]
    assert "geheim" not in json.dumps(done)
    assert {host.password for host in stage.hosts.values()} == {"geheim"}


def test_hosts_under_an_open_migration_are_not_deleted_unless_that_is_forced(run, stage):
    run("deploy")
    with closing(Journal(run.data_dir / "journal.sqlite")) as journal:
        journal.begin("server-1", "web", destination="project")
    before = stage.inventory()
    for check in (True, False):
        assert "migrations are open that need the conversion hosts: 'web'" in run("delete", check=check)["msg"]
    assert stage.inventory() == before
    assert run("delete", force=True)["changed"]
    assert run("delete", force=True)["changed"] is False


def test_a_host_is_found_by_name_or_id_in_the_cloud_that_is_named(run, stage):
    source, destination = run("deploy")["hosts"]
    found = run("info", server="conv_src")["openstack_conversion_host"]
    assert found["status"] == "ACTIVE"
    assert {key: found[key] for key in ("address", "id", "name")} == {
        key: source[key] for key in ("address", "id", "name")
    }
    for how in ({"cloud": "dst"}, {"side": "destination"}):
        assert run("info", server=destination["id"], **how)["openstack_conversion_host"]["name"] == "conv_dst"
    assert "isn't there" in run("info", server="conv_dst")["msg"]
    assert "isn't there" in run("info", server="conv_src", filters={"status": "SHUTOFF"})["msg"]
    assert "can't choose by colour" in run("info", server="conv_src", filters={"colour": "red"})["msg"]
