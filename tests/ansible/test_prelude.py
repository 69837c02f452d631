"""Playbooks, run as an operator does: what needs no cloud."""

import stat

import pytest
import yaml

from os_migrate.files.config import load_settings
from os_migrate.settings import Regex

PRELUDE = {"roles": [{"role": "os_migrate.os_migrate.prelude_common"}]}
AUTH = {"auth_url": "https://old.example/v3", "username": "demo", "password": "s3cret!", "project_name": "shop"}


@pytest.fixture
def data_dir(tmp_path, play):
    data_dir = tmp_path / "data"
    play.variables = {
        "os_migrate_data_dir": str(data_dir),
        "os_migrate_src_auth": {**AUTH, "auth_url": "{{ old_cloud }}"},
        "old_cloud": AUTH["auth_url"],
        "os_migrate_src_region_name": "north",
        "os_migrate_networks_filter": ["shop", {"regex": "^back"}],
        "os_migrate_workload_stop_before_migration": True,
        "os_migrate_timeout": 600,
        "os_migrate_workloads_fail_fast": True,
        "os_migrate_conversion_host_ssh_user_password": "another s3cret!",
        "os_migrate_conversion_rhsm_username": "demo",
        "os_migrate_conversion_rhsm_password": "one more s3cret!",
    }
    return data_dir


def test_the_variables_of_a_playbook_are_the_settings_of_all(data_dir, play):
    played = play(PRELUDE)
    assert played.rc == 0, played.out
    settings = load_settings(data_dir / "os-migrate.yml", {})
    assert settings.data_dir == data_dir
    assert settings.filter("networks") == ("shop", Regex("^back"))
    assert settings.workloads.stop_before_migration is True
    assert settings.workloads.timeout_s == 600
    assert settings.clouds_path == data_dir / "clouds.yaml"
    clouds = yaml.safe_load((data_dir / "clouds.yaml").read_text())
    assert clouds == {"clouds": {"src": {"auth": AUTH, "region_name": "north"}}}


def test_credentials_are_in_the_clouds_file_alone_for_its_owner_only(data_dir, play):
    played = play(PRELUDE, "-vvv")
    assert "s3cret!" not in played.out
    assert "s3cret!" not in (data_dir / "os-migrate.yml").read_text()
    for file in ("os-migrate.yml", "clouds.yaml"):
        assert stat.S_IMODE((data_dir / file).stat().st_mode) == 0o600


def test_the_same_playbook_again_changes_nothing(data_dir, play):
    assert play(PRELUDE).changed == 1
    assert play(PRELUDE).changed == 0


def test_all_that_is_wrong_with_the_variables_is_told_at_once(data_dir, play):
    play.variables |= {"os_migrate_workload_filter": ["x"], "os_migrate_timeout": "soon"}
    played = play(PRELUDE)
    assert played.rc != 0
    assert "there is no variable os_migrate_workload_filter" in played.out
    assert "os_migrate_timeout must be a number" in played.out
    assert not (data_dir / "os-migrate.yml").exists()


def test_a_playbook_without_a_data_dir_says_so(play):
    played = play("validate_data_dir")
    assert played.rc != 0
    assert "os_migrate_data_dir" in played.out


def test_files_are_validated_and_all_that_is_wrong_is_told(data_dir, play):
    data_dir.mkdir()
    assert play("validate_data_dir").rc == 0
    resource = {"type": "openstack.network.Network", "params": {"name": "shop", "mtu": "much"}, "_info": {}}
    content = {"os_migrate_version": "1.0.5", "resources": [resource, {"type": "openstack.network.Router"}]}
    (data_dir / "networks.yml").write_text(yaml.safe_dump(content))
    played = play("validate_data_dir")
    assert played.rc != 0
    assert "mtu" in played.out
    assert "type must be openstack.network.Network" in played.out
