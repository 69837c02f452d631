"""workloads.yml."""

import dataclasses
import os
import stat
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from os_migrate.errors import PlanError, UserError
from os_migrate.files.durable import write_atomically
from os_migrate.files.resourcefile import merge
from os_migrate.files.workloads import dump_workloads, log_name, parse_workloads, read_workloads, write_workloads
from os_migrate.model import ServerId
from os_migrate.workload import FloatingIpMode, MigrationParams, Ref, VolumeChoice, Workload

EXAMPLE = (Path(__file__).parent / "workloads-1.0.5.yml").read_text()


@pytest.fixture
def example() -> Workload:
    (workload,) = parse_workloads(EXAMPLE, "workloads.yml")
    return workload


def problems_of(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_workloads(text, "workloads.yml")
    return [str(p) for p in caught.value.problems]


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_file_of_1_0_5_is_read(example):
    assert (example.id, example.name) == ("af61", "osm_server")
    assert example.migration == MigrationParams(boot_disk_copy=True, additional_volumes=(VolumeChoice(),))
    assert example.params.flavor_ref == Ref("m1.small")
    assert example.params.security_group_refs == (Ref("osm_security_group", "%auth%", "%auth%"),)
    (port,) = example.params.ports
    assert port.params.mac_address == "fa:16:3e:d7:ae:16"
    assert port.params.security_group_refs is None
    (volume,) = example.params.volumes
    assert volume.size_bytes == 10 * 1024**3
    assert volume.params.volume_image_metadata == {"hw_firmware_type": "uefi", "hw_machine_type": "q35"}
    assert volume.info.attachments[0].device == "/dev/vda"
    (ip,) = example.params.floating_ips
    assert ip.info.router_id == "31bc"


def test_a_file_of_1_0_5_is_written_as_it_was(example):
    theirs, ours = yaml.safe_load(EXAMPLE), yaml.safe_load(dump_workloads([example]))
    theirs["resources"][0]["_info"]["security_group_ids"] = ["1359"]  # an id, though it looks like a number
    assert ours["resources"] == theirs["resources"]


def test_what_is_written_is_read_back(example):
    assert parse_workloads(dump_workloads([example]), "x") == (example,)


ODD_NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


TAGS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters=",/"), min_size=1, max_size=12)


@given(name=ODD_NAMES, metadata=st.dictionaries(ODD_NAMES, ODD_NAMES, max_size=3), tag=TAGS)
def test_odd_names_survive(name, metadata, tag):
    (workload,) = parse_workloads(EXAMPLE, "workloads.yml")
    params = dataclasses.replace(
        workload.params, name=name, metadata=metadata, tags=(tag, "yes", "12", "~", "2026-01-01")
    )
    odd = dataclasses.replace(workload, params=params)
    assert parse_workloads(dump_workloads([odd]), "x") == (odd,)


@pytest.mark.parametrize(
    "name", ["", "a/b", "emoji 🦆", "$(reboot)", "'", '"', "- x", "a: b", "# c", "null", "1e3", "\x85"]
)
def test_a_name_is_only_a_name(example, name):
    odd = dataclasses.replace(example, params=dataclasses.replace(example.params, name=name))
    assert parse_workloads(dump_workloads([odd]), "x")[0].name == name


def test_a_server_without_a_name_is_read():
    assert parse_workloads(EXAMPLE.replace("name: osm_server", "name: null", 1), "x")[0].name == ""


def test_older_files_say_volumes_otherwise():
    text = EXAMPLE.replace(
        "boot_volume: {uuid: null}, additional_volumes: [{uuid: null}]",
        "boot_volume_id: b1, additional_volume_ids: [d1, d2]",
    )
    migration = parse_workloads(text, "x")[0].migration
    assert migration.boot_volume == VolumeChoice("b1")
    assert [choice.uuid for choice in migration.additional_volumes] == ["d1", "d2"]


def test_optional_keys_may_be_missing_or_null():
    minimal = """
os_migrate_version: 1.0.0
resources:
- type: openstack.compute.Server
  _info: {id: a1}
  params: {name: n, flavor_ref: {name: f}, metadata: null, tags: null, ports: null}
"""
    (workload,) = parse_workloads(minimal, "x")
    assert workload.migration == MigrationParams()
    assert workload.params.ports == ()
    assert workload.params.metadata == {}


def test_unknown_keys_under_info_are_ignored():
    text = EXAMPLE.replace("_info: {id: af61,", "_info: {id: af61, novelty: 1,")
    assert parse_workloads(text, "x")[0].id == "af61"


def test_every_problem_is_told_at_once_with_line_and_server():
    text = (
        EXAMPLE.replace("disk_config: MANUAL", "disk_confg: MANUAL")
        .replace("key_name: osm_key", "key_name: 12")
        .replace("floating_ip_mode: auto", "floating_ip_mode: always")
        .replace("mac_address: 'fa:16:3e:d7:ae:16'", "mac_address: [fa]")
        .replace("params: {name: vm-boot,", "params: {nmae: vm-boot,")
        .replace("size: 10, ", "")
    )
    told = problems_of(text)
    assert len(told) == 6
    assert all("server 'osm_server'" in problem for problem in told)

    def one(part: str) -> str:
        return next(problem for problem in told if part in problem)

    assert one("params.disk_confg").startswith(f"workloads.yml:{line_of(text, 'disk_confg')}: ")
    assert "did you mean disk_config?" in one("params.disk_confg")
    assert "must be text, is a number: put it in quotes" in one("params.key_name")
    assert "auto, new, existing, skip" in one("floating_ip_mode")
    assert one("params.ports.0.params.mac_address").startswith(f"workloads.yml:{line_of(text, 'mac_address')}: ")
    assert one("params.volumes.0.params.nmae").startswith(f"workloads.yml:{line_of(text, 'nmae')}: ")
    assert "params.volumes.0._info.size: is missing" in one("_info.size")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("openstack.compute.Server", "openstack.compute.Flavor", "type must be openstack.compute.Server"),
        ("openstack.network.ServerPort", "openstack.network.Port", "params.ports.0: type must be"),
        ("os_migrate_version: 1.0.5\n", "", "os_migrate_version is missing"),
        ("resources:", "resuorces:", "resources must be a list"),
        ("boot_disk_copy: true", "boot_disk_copy: 'true'", "boot_disk_copy: must be true or false, is text"),
        ("metadata: {}", "metadata: {a: 1}", "params.metadata: a must be text"),
        ("volumes:\n", "volumes: none\n    _:\n", "params.volumes: must be a list, is text"),
        ("image_ref: null", "image_ref: cirros", "params.image_ref: must be a mapping, is text"),
        ("user_data: null", "user_data: !vault x", "params.user_data: must be text, is a !vault value"),
        ("name: osm_server", "name: osm_server\n    name: other", "name is given twice"),
        ("      _migration_params: {}", "      _migration_params: {port: 1}", "_migration_params: unknown key"),
        ("  params:\n    name", "  params:\n    &x name", None),
        ("tags: []", "tags: &t [*t]", "contains itself"),
        ("_info: {id: af61,", "_info: {", "_info.id: is missing"),
        ("metadata: {}", "metadata: {", "not YAML"),
    ],
)
def test_a_mistake_is_refused(before, after, told):
    assert before in EXAMPLE
    text = EXAMPLE.replace(before, after, 1)
    if told is None:
        parse_workloads(text, "x")
    else:
        assert told in "\n".join(problems_of(text))


def test_secrets_in_user_data_are_in_no_error_and_no_repr(example):
    told = problems_of(EXAMPLE.replace("user_data: null", "user_data: [hunter2]"))
    secret = dataclasses.replace(example, params=dataclasses.replace(example.params, user_data="hunter2"))
    assert "hunter2" not in str(told) + repr(secret)


def test_the_same_id_twice_is_refused_and_the_same_name_is_not(example):
    twice = dump_workloads([example, example])
    (told,) = problems_of(twice)
    assert "has the id of the one at workloads.yml:3: af61" in told
    namesake = dataclasses.replace(example, info=dataclasses.replace(example.info, id=ServerId("b2")))
    assert len(parse_workloads(dump_workloads([example, namesake]), "x")) == 2


def test_a_file_of_another_version_is_read_if_its_fields_are_known():
    assert parse_workloads(EXAMPLE.replace("1.0.5", "9.9"), "x")


def test_no_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError) as caught:
        read_workloads(tmp_path / "workloads.yml")
    assert "os-migrate export workloads" in caught.value.remedy


def test_only_the_owner_can_read_the_file(tmp_path, example):
    file = tmp_path / "workloads.yml"
    write_workloads(file, [example])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "x"
    write_atomically(file, "old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# An export over an existing file ----------------------------------------------------------------------------------------


def changed(workload: Workload, server_id: str = "", name: str = "", mode: FloatingIpMode | None = None) -> Workload:
    return dataclasses.replace(
        workload,
        info=dataclasses.replace(workload.info, id=ServerId(server_id or workload.id)),
        params=dataclasses.replace(workload.params, name=name or workload.name),
        migration=dataclasses.replace(workload.migration, floating_ip_mode=mode or workload.migration.floating_ip_mode),
    )


def test_an_export_keeps_edits_and_order_and_forgets_what_is_gone(example):
    edited = changed(example, "s1", "old name", FloatingIpMode.SKIP)
    gone, filtered = changed(example, "s2"), changed(example, "s3", "filtered out")
    new = [changed(example, "s9", "zz"), changed(example, "s8", "aa"), changed(example, "s1", "new name")]
    alive = {ServerId(i) for i in ("s1", "s3", "s8", "s9")}
    merged = merge([filtered, gone, edited], new, alive, overwrite_migration_params=False)
    assert [w.id for w in merged.resources] == ["s3", "s1", "s8", "s9"]
    assert merged.resources[1] == changed(edited, name="new name")
    assert [w.id for w in merged.added] == ["s8", "s9"]
    assert [w.id for w in merged.changed] == ["s1"]
    assert merged.vanished == (gone,)


def test_an_export_overwrites_edits_if_told_to(example):
    edited = changed(example, "s1", mode=FloatingIpMode.SKIP)
    merged = merge([edited], [changed(example, "s1")], {ServerId("s1")}, overwrite_migration_params=True)
    assert merged.resources[0].migration.floating_ip_mode is FloatingIpMode.AUTO


def test_the_same_export_again_changes_nothing(example):
    merged = merge([example], [example], {example.id}, overwrite_migration_params=False)
    assert merged.resources == (example,)
    assert (merged.added, merged.changed, merged.vanished) == ((), (), ())


# Names of logs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("web-1.example", [], "web-1.example"),
        ("web", ["web"], "web-a1"),
        ("", [], "a1"),
        ("../../etc/passwd", [], "_.._etc_passwd-a1"),
        (".hidden", [], "hidden-a1"),
        ("-rf", [], "rf-a1"),
        ("a b\n🦆", [], "a_b__-a1"),
        ("x" * 255, [], "x" * 100 + "-a1"),
    ],
)
def test_log_names_are_safe(name, others, expected):
    assert log_name(name, ServerId("a1"), others) == expected
