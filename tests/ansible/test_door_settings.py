"""The settings of a module's call, and what a playbook's prelude writes."""

from pathlib import Path

import pytest
import yaml

from os_migrate.door.call import Call
from os_migrate.door.prelude import write_settings
from os_migrate.door.settings import cloud_of, data_dir_of, settings_of
from os_migrate.errors import PlanError, UserError
from os_migrate.files.config import WRITTEN
from os_migrate.model import Side
from os_migrate.settings import CloudSettings

AUTH = {"auth_url": "https://old.example/v3", "username": "demo", "password": "s3cret!"}


@pytest.mark.parametrize(
    ("options", "directory"),
    [
        ({"data_dir": "/d", "path": "/e/networks.yml"}, "/d"),
        ({"path": "/d/networks.yml"}, "/d"),
        ({"log_dir": "/d/workload_logs"}, "/d"),
        ({"log_file": "/d/workload_logs/web.log"}, "/d"),
        ({"state_file": "/d/workload_logs/web.state"}, "/d"),
    ],
)
def test_the_data_dir_is_told_by_what_a_task_says(options, directory):
    assert data_dir_of(options) == Path(directory)


def test_a_task_that_tells_no_data_dir_learns_how():
    with pytest.raises(UserError, match="module_defaults"):
        settings_of({"data": {}}, Side.SOURCE)


def test_what_a_task_says_wins_over_the_file(tmp_path):
    (tmp_path / "os-migrate.yml").write_text(
        "os_migrate_data_dir: .\nos_migrate_timeout: 60\nos_migrate_proof: false\n"
    )
    settings = settings_of({"data_dir": str(tmp_path), "timeout": 90, "ssh_key_path": "/k"}, Side.SOURCE)
    assert (settings.workloads.timeout_s, settings.transfer.proof) == (90, False)
    assert settings.conversion.keypair_private_path == Path("/k")


def test_an_option_that_can_not_be_is_told_as_the_tasks(tmp_path):
    with pytest.raises(PlanError, match="the task's os_migrate_timeout"):
        settings_of({"data_dir": str(tmp_path), "timeout": -1}, Side.SOURCE)


def test_a_tasks_cloud_is_that_of_the_modules_side(tmp_path):
    settings = settings_of({"data_dir": str(tmp_path), "cloud": "new"}, Side.DESTINATION)
    assert (settings.source.cloud, settings.destination.cloud) == ("src", "new")


def test_credentials_of_a_task_replace_the_cloud():
    cloud = cloud_of({"auth": AUTH, "validate_certs": False}, CloudSettings(cloud="src", region_name="north"))
    assert (cloud.cloud, cloud.auth, cloud.validate_certs, cloud.region_name) == (None, AUTH, False, "north")


def test_a_cloud_may_be_an_entry_of_clouds_yaml():
    cloud = cloud_of({"cloud": {"auth": AUTH, "verify": False, "interface": "internal"}}, CloudSettings(cloud="src"))
    assert (cloud.cloud, cloud.auth, cloud.validate_certs) == (None, AUTH, False)
    assert cloud.others == {"interface": "internal"}


@pytest.mark.parametrize("cloud", [7, {"region_name": "x"}])
def test_a_cloud_that_is_none_is_refused(cloud):
    with pytest.raises(UserError):
        cloud_of({"cloud": cloud}, CloudSettings())


def prelude(data_dir: Path, **secrets: object) -> Call:
    variables = {"os_migrate_timeout": 60, "os_migrate_clouds_path": "/etc/mine.yaml"}
    return Call({"data_dir": str(data_dir), "variables": variables, "secrets": secrets}, Side.SOURCE)


def test_both_clouds_of_the_variables_are_written_beside_those_that_are_there(tmp_path):
    (tmp_path / "clouds.yaml").write_text("clouds: {other: {auth: {auth_url: x}}, src: {auth: {auth_url: old}}}\n")
    assert write_settings(prelude(tmp_path, os_migrate_src_auth=AUTH, os_migrate_dst_auth=AUTH))["changed"]
    clouds = yaml.safe_load((tmp_path / "clouds.yaml").read_text())["clouds"]
    assert clouds == {"other": {"auth": {"auth_url": "x"}}, "src": {"auth": AUTH}, "dst": {"auth": AUTH}}
    assert settings_of({"data_dir": str(tmp_path)}, Side.SOURCE).clouds_path == tmp_path / "clouds.yaml"


def test_without_credentials_the_operators_clouds_are_left_alone(tmp_path):
    write_settings(prelude(tmp_path))
    assert not (tmp_path / "clouds.yaml").exists()
    assert settings_of({"data_dir": str(tmp_path)}, Side.SOURCE).clouds_path == Path("/etc/mine.yaml")


def test_one_cloud_here_and_one_in_the_operators_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="os_migrate_src_auth is given"):
        write_settings(prelude(tmp_path, os_migrate_src_auth=AUTH))
    assert not (tmp_path / "os-migrate.yml").exists()


def test_settings_that_no_playbook_wrote_are_never_replaced(tmp_path):
    (tmp_path / "os-migrate.yml").write_text("os_migrate_data_dir: .\n")
    with pytest.raises(UserError, match="not written by a playbook"):
        write_settings(prelude(tmp_path))
    assert (tmp_path / "os-migrate.yml").read_text() == "os_migrate_data_dir: .\n"


def test_a_file_that_others_can_read_is_mended(tmp_path):
    write_settings(prelude(tmp_path))
    (tmp_path / "os-migrate.yml").chmod(0o644)
    assert write_settings(prelude(tmp_path))["changed"]
    assert (tmp_path / "os-migrate.yml").stat().st_mode & 0o077 == 0


def test_hooks_are_settings_and_say_so_to_their_owner_only(tmp_path):
    hook = "os_migrate_src_conversion_host_pre_content_hook"
    write_settings(prelude(tmp_path, **{hook: "echo hello\n"}))
    assert settings_of({"data_dir": str(tmp_path)}, Side.SOURCE).source_host.pre_content_hook == "echo hello\n"
    assert (tmp_path / "os-migrate.yml").read_text().startswith(WRITTEN)


def test_what_ansible_has_filled_in_is_taken_as_it_stands(tmp_path):
    hook = "os_migrate_src_conversion_host_pre_content_hook"
    script = "podman ps --format '{{.Names}}' # in {{ os_migrate_data_dir }}"
    write_settings(prelude(tmp_path, **{hook: script}))
    assert settings_of({"data_dir": str(tmp_path)}, Side.SOURCE).source_host.pre_content_hook == script
