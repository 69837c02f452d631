"""The settings file."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from os_migrate.errors import PlanError, UserError
from os_migrate.files.config import find_file, load_settings
from os_migrate.files.variables import FOR_OTHERS, VARIABLES
from os_migrate.settings import EVERYTHING, Regex

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "os-migrate.yml"
    file.write_text(text)
    return file


def problems_of(file: Path, **overrides: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load_settings(file, overrides)
    return [str(p) for p in caught.value.problems]


def test_defaults_are_those_of_the_variables_page(tmp_path):
    settings = load_settings(written(tmp_path, "os_migrate_data_dir: /srv/data\n"), {})
    assert settings.data_dir == Path("/srv/data")
    assert (settings.source.cloud, settings.destination.cloud) == ("src", "dst")
    assert settings.source_host.host_name == "os_migrate_conv_src"
    assert settings.destination_host.host_name == "os_migrate_conv_dst"
    assert settings.conversion.keypair_private_path == Path("/srv/data/conversion/ssh.key")
    assert settings.conversion.link_keypair_private_path == Path("/srv/data/conversion/link-ssh.key")
    assert settings.images.blobs_dir == Path("/srv/data/image_blobs")
    assert settings.filter("workloads") == EVERYTHING
    assert settings.workloads.boot_disk_copy is None
    assert settings.workloads.timeout_s == 1800


def test_variables_of_ansible_users_are_understood(tmp_path):
    text = """
os_migrate_data_dir: /srv/data
os_migrate_src_auth_type: password
os_migrate_src_auth: {auth_url: 'https://src.example/v3', username: joe, password: hunter2}
os_migrate_dst_cloud: new
os_migrate_dst_validate_certs: false
os_migrate_src_conversion_external_network_name: public
os_migrate_dst_conversion_floating_ip_address: false
os_migrate_src_conversion_host_volume_size: 40
os_migrate_dst_conversion_subnet_dns_nameservers: [192.0.2.1, 192.0.2.2]
os_migrate_deploy_src_conversion_host: no
os_migrate_workloads_filter: [web 1, {regex: '^db'}]
os_migrate_user_filter: [joe]
os_migrate_workloads_boot_disk_copy: null
os_migrate_src_conversion_host_pre_content_hook: &hook |
  set -e
os_migrate_dst_conversion_host_pre_content_hook: *hook
"""
    settings = load_settings(written(tmp_path, text), {})
    assert settings.source.auth is not None
    assert settings.source.auth["username"] == "joe"
    assert settings.source.cloud is None
    assert settings.destination.cloud == "new"
    assert settings.destination.validate_certs is False
    assert settings.source_host.external_network_name == "public"
    assert settings.destination_host.floating_ip_address is None
    assert settings.source_host.volume_size_gib == 40
    assert settings.destination_host.subnet_dns_nameservers == ("192.0.2.1", "192.0.2.2")
    assert settings.source_host.deploy is False
    assert settings.filter("workloads") == ("web 1", Regex("^db"))
    assert settings.filter("user_project_role_assignments") == ("joe",)
    assert settings.destination_host.pre_content_hook == "set -e\n"


def test_other_keys_of_a_variable_file_are_left_alone(tmp_path):
    text = "os_migrate_data_dir: /srv\nansible_user: '{{ broken'\nvault: !vault |\n  aa\n1: [a]\n"
    assert load_settings(written(tmp_path, text), {}).data_dir == Path("/srv")


def test_every_problem_is_told_at_once_with_its_line(tmp_path):
    text = """os_migrate_data_dir: /srv
os_migrate_src_conversion_host_nmae: conv
os_migrate_timeout: soon
os_migrate_workload_stop_before_migration: maybe
os_migrate_workloads_filter: [{regex: '('}]
os_migrate_src_auth: joe
os_migrate_dst_conversion_net_mtu: 1500.5
os_migrate_dst_auth: !vault x
"""
    file = written(tmp_path, text)
    told = problems_of(file)
    assert len(told) == 7
    assert told[0].startswith(f"{file}:2: there is no variable os_migrate_src_conversion_host_nmae")
    assert "did you mean os_migrate_src_conversion_host_name?" in told[0]
    assert [int(re.match(rf"{re.escape(str(file))}:(\d+):", t)[1]) for t in told] == [2, 3, 4, 5, 6, 7, 8]


def test_a_missing_data_dir_is_told(tmp_path):
    assert "os_migrate_data_dir is not set" in problems_of(written(tmp_path, "other: 1\n"))[0]
    with pytest.raises(PlanError, match="no settings file was found"):
        load_settings(None, {})


def test_broken_yaml_is_told_with_its_line(tmp_path):
    file = written(tmp_path, "os_migrate_data_dir: /srv\nos_migrate_timeout: [1\n")
    assert problems_of(file)[0].startswith(f"{file}:")
    assert "not YAML" in problems_of(file)[0]


def test_a_key_given_twice_is_refused(tmp_path):
    file = written(tmp_path, "os_migrate_data_dir: /a\nos_migrate_data_dir: /b\n")
    assert problems_of(file)[0].startswith(f"{file}:2: os_migrate_data_dir is given twice")


def test_templates_are_filled_in(tmp_path):
    text = """
root: /srv
os_migrate_data_dir: "{{ root }}/{{ lookup('env', 'WHO') }}"
os_migrate_clouds_path: "{{os_migrate_data_dir}}/my.yaml"
limit: 60
os_migrate_timeout: "{{ limit }}"
secret: hunter2
os_migrate_src_auth: {password: "{{ secret }}"}
"""
    settings = load_settings(written(tmp_path, text), {}, {"WHO": "joe"})
    assert settings.data_dir == Path("/srv/joe")
    assert settings.clouds_path == Path("/srv/joe/my.yaml")
    assert settings.workloads.timeout_s == 60
    assert settings.source.auth == {"password": "hunter2"}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ a | default('b') }}", "isn't"),
        ("{% if a %}b{% endif %}", "isn't"),
        ("{{ nowhere }}", "nowhere"),
        ("{{ os_migrate_data_dir }}", "itself"),
        ("{{ list }}/x", "text"),
    ],
)
def test_other_templates_are_refused(tmp_path, template, why):
    text = f'a: 1\nlist: [1]\nos_migrate_data_dir: "{template}"\n'
    assert why in problems_of(written(tmp_path, text))[0]


def test_overrides_win_and_are_named_in_errors(tmp_path):
    file = written(tmp_path, "os_migrate_data_dir: /srv\nos_migrate_timeout: 10\n")
    given = {
        "os_migrate_timeout": "20",
        "os_migrate_workloads_filter": "[a, {regex: b}]",
        "os_migrate_src_conversion_net_name": "12",
        "os_migrate_workloads_data_copy": "no",
    }
    settings = load_settings(file, given)
    assert settings.workloads.timeout_s == 20
    assert settings.filter("workloads") == ("a", Regex("b"))
    assert settings.source_host.net_name == "12"
    assert settings.workloads.data_copy is False
    assert problems_of(file, os_migrate_tiemout="1")[0].startswith("--set os_migrate_tiemout: there is no variable")


def test_relative_paths_count_from_the_data_dir_and_the_data_dir_from_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    text = "os_migrate_data_dir: data\nos_migrate_conversion_keypair_private_path: my.key\nos_migrate_clouds_path: /c.yaml\n"
    settings = load_settings(written(tmp_path, text), {})
    assert settings.data_dir == tmp_path / "data"
    assert settings.conversion.keypair_private_path == tmp_path / "data" / "my.key"
    assert settings.clouds_path == Path("/c.yaml")
    assert load_settings(written(tmp_path, text), {"os_migrate_data_dir": "here"}).data_dir == Path("/here")


def test_clouds_yaml_of_the_data_dir_is_used_if_it_is_there(tmp_path):
    file = written(tmp_path, "os_migrate_data_dir: .\n")
    assert load_settings(file, {}).clouds_path is None
    (tmp_path / "clouds.yaml").write_text("clouds: {}\n")
    assert load_settings(file, {}).clouds_path == tmp_path / "clouds.yaml"


def test_secrets_are_in_no_repr_and_no_error(tmp_path):
    text = "os_migrate_data_dir: /srv\nos_migrate_src_auth: {password: hunter2}\nos_migrate_dst_auth: {password: hunter3}\n"
    assert "hunter" not in repr(load_settings(written(tmp_path, text), {}))
    told = problems_of(written(tmp_path, "os_migrate_data_dir: /srv\nos_migrate_src_auth: hunter2\n"))
    told += problems_of(written(tmp_path, "os_migrate_src_auth: {password: 'hunter2{{'}\n"))
    assert "hunter" not in str(told)


@pytest.mark.parametrize("name", ["os_migrate_src_auth", "os_migrate_dst_conversion_host_pre_content_hook"])
def test_what_may_hold_a_secret_is_refused_on_the_command_line(tmp_path, name):
    (told,) = problems_of(written(tmp_path, "os_migrate_data_dir: /srv\n"), **{name: "{password: hunter2"})
    assert told.startswith(f"--set {name}: {name} may hold a secret")
    assert "the settings file" in told
    assert "hunter" not in told


def test_no_variable_that_may_hold_a_secret_is_forgotten():
    private = {name for name, variable in VARIABLES.items() if variable.private}
    assert private == {n for n in VARIABLES if n.endswith(("_auth", "_content_hook", "_password"))}
    assert len(private) == 7


def test_the_file_is_found_where_documented(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file(None, {}) is None
    Path("os-migrate.yml").write_text("")
    assert find_file(None, {}) == Path("os-migrate.yml")
    assert find_file(None, {"OS_MIGRATE_SETTINGS": "x.yml"}) == Path("x.yml")
    assert find_file(Path("y.yml"), {"OS_MIGRATE_SETTINGS": "x.yml"}) == Path("y.yml")
    with pytest.raises(UserError, match=r"there is no x\.yml"):
        load_settings(Path("x.yml"), {})


def test_every_variable_is_documented_and_every_documented_one_exists():
    text = DOCS.read_text()
    values = {"os_migrate_conv", "os_migrate_conv_src", "os_migrate_conv_dst"}
    documented = set(re.findall(r"`(os_migrate_\w+)`", text)) - values
    documented |= {n.replace("_x_", f"_{side}_") for n in documented if "_x_" in n for side in ("src", "dst")}
    assert set(VARIABLES) - documented == set()
    assert {n for n in documented if "_x_" not in n} - set(VARIABLES) - FOR_OTHERS == set()


def test_what_only_playbooks_read_is_left_alone(tmp_path):
    lines = ["os_migrate_data_dir: data", "os_migrate_conversion_rhsm_password: secret", "os_migrate_src_release: 16"]
    file = tmp_path / "variables.yml"
    file.write_text("\n".join([*lines, "os_migrate_workloads_fail_fast: true"]))
    assert "secret" not in repr(load_settings(file, {}))


def test_password_of_the_hosts_is_in_the_file_only_and_never_shown(tmp_path):
    name = "os_migrate_conversion_host_ssh_user_password"
    file = tmp_path / "variables.yml"
    file.write_text(f"os_migrate_data_dir: data\n{name}: secret\n")
    settings = load_settings(file, {})
    assert settings.conversion.ssh_password == "secret"
    assert settings.conversion.ssh_password_access is False
    assert "secret" not in repr(settings)
    with pytest.raises(PlanError, match="every user of this machine can read"):
        load_settings(file, {name: "secret"})


def test_one_address_is_refused_for_several_pairs():
    given = {"os_migrate_data_dir": "x", "os_migrate_src_conversion_floating_ip_address": "192.0.2.1"}
    assert load_settings(None, given).conversion.pairs == 1
    with pytest.raises(PlanError, match="the address of one host") as raised:
        load_settings(None, {**given, "os_migrate_conversion_host_pairs": "2"})
    assert raised.value.problems[0].where == "--set os_migrate_src_conversion_floating_ip_address"


def test_each_pair_has_the_names_of_the_first_with_its_number():
    settings = load_settings(None, {"os_migrate_data_dir": "x", "os_migrate_conversion_host_pairs": "3"})
    first, second, third = settings.by_pair()
    assert first is settings
    assert second.source_host == replace(settings.source_host, host_name="os_migrate_conv_src-2")
    assert third.destination_host == replace(settings.destination_host, host_name="os_migrate_conv_dst-3")


def test_order_is_one_that_there_is():
    assert load_settings(None, {"os_migrate_data_dir": "x", "os_migrate_workloads_order": "smallest"}).workloads.order
    with pytest.raises(PlanError, match="must be one of file, smallest"):
        load_settings(None, {"os_migrate_data_dir": "x", "os_migrate_workloads_order": "biggest"})


@pytest.mark.parametrize(
    ("of_run", "of_pair", "pairs", "bytes_s"),
    [(None, None, 2, None), (80, None, 1, 10e6), (80, None, 4, 2.5e6), (None, 8, 4, 1e6), (80, 8, 4, 1e6)],
)
def test_pairs_have_equal_parts_of_the_runs_bandwidth(of_run, of_pair, pairs, bytes_s):
    settings = load_settings(None, {"os_migrate_data_dir": "x", "os_migrate_conversion_host_pairs": str(pairs)})
    transfer = replace(settings.transfer, limit_mbit=of_run, pair_limit_mbit=of_pair)
    assert replace(settings, transfer=transfer).limit_bytes_s == bytes_s
