"""The mapping of names: how its file is read, and what it makes of a workload."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

import os_migrate
from os_migrate.errors import PlanError, UserError
from os_migrate.files.config import load_settings
from os_migrate.files.mapping import parse_mapping, read_mapping
from os_migrate.mapping import NULL_MEANS, Kind, NameMapping, mapped, references
from os_migrate.plan import resolve
from os_migrate.preflight import take_inventory
from os_migrate.twin import server_spec
from os_migrate.workload import BootVolumeParams, FloatingIpMode, Ref
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME

RICH = BY_NAME["volume_boot_two_volumes_running"]
LOCAL = BY_NAME["image_copied_running"]
KEPT = BY_NAME["image_kept_one_volume"]


def mapping(text: str) -> NameMapping:
    return parse_mapping(text, "mapping.yml")


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        mapping(text)
    return [f"{p.where}: {p.what} ({p.remedy})" for p in caught.value.problems]


def flavor(text: str, name: str) -> str | None:
    return mapping(text).name(Kind.FLAVORS, name)


# Names -------------------------------------------------------------------------------------------------------------------
def test_without_a_file_every_name_keeps_itself():
    assert read_mapping(None).name(Kind.FLAVORS, "m1.small") == "m1.small"


def test_an_empty_file_and_an_empty_section_map_nothing():
    assert mapping("").name(Kind.FLAVORS, "a") == "a"
    assert flavor("flavors:\n", "a") == "a"


def test_names_can_be_written_short_or_as_a_list():
    assert flavor("flavors: {a: b}", "a") == "b"
    assert flavor("flavors: [{name: a, to: b}]", "a") == "b"


def test_another_name_keeps_itself():
    assert flavor("flavors: {a: b}", "c") == "c"


def test_another_kind_keeps_its_names():
    assert mapping("flavors: {a: b}").name(Kind.IMAGES, "a") == "a"


def test_a_name_in_the_short_form_is_a_name_even_if_it_is_default():
    groups = mapping("security_groups: {default: base}")
    assert groups.name(Kind.SECURITY_GROUPS, "default") == "base"
    assert groups.name(Kind.SECURITY_GROUPS, "web") == "web"


def test_a_pattern_rewrites_with_its_groups():
    assert flavor(r"flavors: [{regex: 'm1\.(.*)', to: 'gp.\1'}]", "m1.small") == "gp.small"
    assert flavor(r"flavors: [{regex: 'm1\.(?P<size>.*)', to: 'gp.\g<size>'}]", "m1.small") == "gp.small"


def test_a_pattern_must_match_the_whole_name():
    assert flavor("flavors: [{regex: 'm1', to: gp}]", "m1.small") == "m1.small"


def test_a_pattern_that_leaves_nothing_of_a_name_leaves_it_as_it_is():
    assert flavor(r"flavors: [{regex: 'old(.*)', to: '\1'}]", "old") == "old"


def test_an_exact_name_wins_over_a_pattern_before_it_and_a_pattern_over_a_default():
    text = "flavors: [{default: d}, {regex: 'a.*', to: r}, {name: ab, to: n}]"
    assert [flavor(text, name) for name in ("ab", "ac", "b")] == ["n", "r", "d"]


def test_the_first_pattern_wins():
    assert flavor("flavors: [{regex: 'a.*', to: first}, {regex: '.*', to: second}]", "ab") == "first"


def test_a_name_is_mapped_once():
    assert flavor("flavors: {a: b, b: a}", "a") == "b"


@pytest.mark.parametrize("kind", ["availability_zones", "volume_availability_zones", "volume_types", "keypairs"])
def test_null_lets_the_cloud_choose(kind):
    assert mapping(f"{kind}: {{a: null}}").name(Kind(kind), "a") is None
    assert mapping(f"{kind}: [{{default: null}}]").name(Kind(kind), "a") is None
    assert mapping(f"{kind}: [{{regex: '.*', to: null}}]").name(Kind(kind), "a") is None


def test_a_renamed_name_is_that_name_and_says_in_messages_where_it_is_from():
    name = flavor("\nflavors:\n  a: b\n", "a")
    assert (name, f"{name}", hash(name)) == ("b", "b", hash("b"))
    assert repr(name) == "'b' (a by mapping.yml:3)"
    assert repr(deepcopy(name)) == repr(name)
    assert json.dumps(name) == '"b"'


# The file ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flavours: {}", "mapping.yml:1: unknown section flavours (did you mean flavors?)"),
        ("- a", "mapping.yml:1: this is no mapping file"),
        ("flavors: a", "flavors: it must hold names or a list of entries"),
        ("flavors: {a: 1}", "flavors: a name must be text"),
        ("flavors: {a: yes}", "flavors: a name must be text"),
        ("flavors: {a: ''}", "flavors: a name must be text"),
        ("flavors: [{name: 1.10, to: b}]", "flavors: a name must be text"),
        ("flavors: {a: null}", "flavors: nothing here can become null"),
        ("flavors: {a: !vault x}", "flavors: a name must be text"),
        ("flavors: {a: {to: b}}", "flavors: a name must be text"),
        ("flavors: [a]", "flavors: an entry is {name: NAME, to: NAME}"),
        ("flavors: [{name: a}]", "flavors: an entry is {name: NAME, to: NAME}"),
        ("flavors: [{name: a, regex: a, to: b}]", "flavors: an entry is {name: NAME, to: NAME}"),
        ("flavors: [{regex: '(', to: b}]", "flavors: bad regular expression '('"),
        (r"flavors: [{regex: 'a', to: '\1'}]", "flavors: bad backreference in"),
        (r"flavors: [{regex: 'a', to: '\g<x>'}]", "flavors: bad backreference in"),
        (r"flavors: [{regex: 'a', to: '\q'}]", "flavors: bad backreference in"),
        ("flavors: {a: b, a: c}", "mapping.yml:1: a is given twice"),
        ("flavors:\n- {name: a, to: b}\n- {name: a, to: c}", "mapping.yml:3: flavors: 'a' is given twice"),
        ("flavors: [{regex: a, to: b}, {regex: a, to: c}]", "flavors: 'a' is given twice, first at mapping.yml:1"),
        ("flavors: [{default: b}, {default: c}]", "flavors: a default is given twice"),
    ],
)
def test_a_mistake_is_refused_with_its_line(text, problem):
    (told,) = problems(text)
    assert problem in told


def test_all_mistakes_are_told_at_once():
    told = problems("flavours: {}\nflavors:\n  a: 1\n  b: null\nimages:\n- {regex: '(', to: b}\n")
    assert [t.split(": ")[0] for t in told] == ["mapping.yml:1", "mapping.yml:3", "mapping.yml:4", "mapping.yml:6"]


# Workloads ---------------------------------------------------------------------------------------------------------------
ELSEWHERE = {Kind.ROUTERS, Kind.NETWORK_AVAILABILITY_ZONES, Kind.USERS, Kind.ROLES, Kind.DOMAINS}
"""What no workload of these refers to."""

EVERYTHING = "\n".join(f"{kind}: [{{regex: '(.*)', to: 'new \\1'}}]" for kind in Kind)


def rich(tmp_path):
    """Return a workload with a reference of every kind."""
    workload = Scene(tmp_path, RICH).workloads[0]
    (port,) = workload.params.ports
    volumes = tuple(replace(v, params=replace(v.params, availability_zone="zone")) for v in workload.params.volumes)
    params = replace(
        workload.params,
        image_ref=Ref("cirros", "theirs"),
        availability_zone="nova",
        ports=(port,),
        volumes=volumes,
    )
    boot = BootVolumeParams(volume_type="fast", availability_zone="zone")
    migration = replace(
        workload.migration,
        boot_volume_params=boot,
        boot_disk_copy=False,
        floating_ip_mode=FloatingIpMode.AUTO,
    )
    return replace(workload, params=params, migration=migration)


def test_every_reference_of_a_workload_is_mapped(tmp_path):
    workload = rich(tmp_path)
    after = mapped(workload, mapping(EVERYTHING))
    params = after.params
    assert params.flavor_ref.name == "new m1.small"
    assert params.image_ref == Ref("new cirros", "new theirs")
    assert params.key_name == "new alice"
    assert params.availability_zone == "new nova"
    assert params.security_group_refs == (Ref("new web", "%auth%", "%auth%"),)
    port = params.ports[0].params
    assert port.network_ref == Ref("new private", "%auth%", "%auth%")
    assert port.fixed_ips_refs[0].subnet_ref == Ref("new private", "%auth%", "%auth%")
    assert port.security_group_refs == (Ref("new web"),)
    assert params.floating_ips[0].params.floating_network_ref.name == "new public"
    assert {v.params.volume_type for v in params.volumes} == {"new default", "new fast"}
    assert {v.params.availability_zone for v in params.volumes} == {"new zone"}
    assert after.migration.boot_volume_params == BootVolumeParams(volume_type="new fast", availability_zone="new zone")


def test_a_workload_stays_known_by_its_name_and_id_and_keeps_the_rest(tmp_path):
    workload = rich(tmp_path)
    after = mapped(workload, mapping(EVERYTHING))
    assert (after.id, after.name, after.info) == (workload.id, workload.name, workload.info)
    assert after.params.ports[0].params.fixed_ips_refs[0].ip_address == "10.0.0.77"
    assert [v.params.name for v in after.params.volumes] == [v.params.name for v in workload.params.volumes]


def test_an_empty_mapping_changes_nothing(tmp_path):
    workload = rich(tmp_path)
    assert mapped(workload, NameMapping()) == workload


def test_two_security_groups_that_become_one_are_one(tmp_path):
    workload = rich(tmp_path)
    workload = replace(workload, params=replace(workload.params, security_group_refs=(Ref("web"), Ref("db"))))
    after = mapped(workload, mapping("security_groups: [{default: base}]"))
    assert after.params.security_group_refs == (Ref("base"),)


def test_references_are_what_mapping_asks_for(tmp_path):
    found = references(rich(tmp_path))
    assert {kind for kind, _ in found} == set(Kind) - ELSEWHERE
    assert (Kind.VOLUME_TYPES, "fast") in found


def test_an_image_that_is_copied_and_a_skipped_floating_network_are_not_needed(tmp_path):
    workload = rich(tmp_path)
    migration = replace(workload.migration, boot_disk_copy=True, floating_ip_mode=FloatingIpMode.SKIP)
    found = references(replace(workload, migration=migration))
    assert (Kind.IMAGES, "cirros") not in found
    assert (Kind.NETWORKS, "public") not in found


def test_where_nothing_is_copied_no_volume_type_and_zone_are_needed(tmp_path):
    workload = rich(tmp_path)
    found = references(replace(workload, migration=replace(workload.migration, data_copy=False)))
    assert {Kind.VOLUME_TYPES, Kind.VOLUME_AVAILABILITY_ZONES} & {kind for kind, _ in found} == set()


def test_a_plan_says_which_line_gave_a_name_that_is_missing(tmp_path):
    scene = Scene(tmp_path, KEPT)
    wrong = "flavors: {m1.small: huge}\nkeypairs: {alice: bob}\nnetworks: {private: lan}\nvolume_types: {fast: ssd}"
    with pytest.raises(PlanError) as caught:
        resolve(mapped(scene.workloads[0], mapping(wrong)), take_inventory(scene.destination))
    told = [p.what for p in caught.value.problems]
    assert "there is no flavor 'huge' (m1.small by mapping.yml:1) in the destination" in told
    assert "there is no key pair 'bob' (alice by mapping.yml:2) in the destination" in told
    assert "there is no network 'lan' (private by mapping.yml:3) in the destination" in told
    assert "there is no volume type 'ssd' (fast by mapping.yml:4) in the destination" in told


def test_where_the_file_is_looked_for(tmp_path):
    assert load_settings(None, {"os_migrate_data_dir": str(tmp_path)}).mapping_file is None
    (tmp_path / "mapping.yml").write_text("")
    assert load_settings(None, {"os_migrate_data_dir": str(tmp_path)}).mapping_file == tmp_path / "mapping.yml"
    named = {"os_migrate_data_dir": str(tmp_path), "os_migrate_mapping_file": "other.yml"}
    assert load_settings(None, named).mapping_file == tmp_path / "other.yml"


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        read_mapping(tmp_path / "other.yml")


def test_a_twin_gets_key_and_zone_as_they_were_resolved(tmp_path):
    scene = Scene(tmp_path, KEPT)
    (workload,) = scene.workloads
    workload = replace(workload, params=replace(workload.params, availability_zone="mars"))
    scene.destination.add_keypair("bob")
    zone = scene.destination.availability_zones()[0].name
    begun = mapped(workload, mapping(f"keypairs: {{alice: bob}}\navailability_zones: {{mars: {zone}}}"))
    target = resolve(begun, take_inventory(scene.destination))
    spec = server_spec(workload, target, (), ())
    assert (spec.key_name, spec.availability_zone) == ("bob", zone)


def test_workloads_are_read_for_the_destination_at_one_place():
    source = Path(os_migrate.__file__).parent
    readers = {f.name for f in source.glob("**/*.py") if re.search(r"\bas_set\(", f.read_text(encoding="utf-8"))}
    assert readers == {"workload.py", "wanted.py"}, "who reads them otherwise forgets the mapping"


# Documented --------------------------------------------------------------------------------------------------------------
PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")


def test_the_documented_example_does_what_it_says():
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    rules = parse_mapping(example, "mapping.yml")
    assert [rules.name(Kind.FLAVORS, n) for n in ("m1.tiny", "m1.large", "x")] == ["gp.small", "gp.large", "gp.medium"]
    assert [rules.name(Kind.SECURITY_GROUPS, n) for n in ("default", "web")] == ["base", "web"]
    assert rules.name(Kind.AVAILABILITY_ZONES, "az1") is None
    assert [rules.name(Kind.VOLUME_TYPES, n) for n in ("ssd", "legacy")] == ["fast", None]
    assert "flavor 'gp.xlarge' (m1.xlarge by mapping.yml:3)" in PAGE
    assert rules.kinds[Kind.FLAVORS].regexes[0].where == "mapping.yml:3"


def test_every_section_is_documented_with_what_null_means():
    rows = {kind: row for row in PAGE.splitlines() if row.startswith("| `") for kind in re.findall(r"`(\w+)`", row)}
    assert set(rows) == set(Kind)
    for kind in Kind:
        assert NULL_MEANS.get(kind, "refused") in rows[kind]
