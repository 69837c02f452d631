"""A bad workloads.yml: each is refused with its line and a remedy, never with anything but an error for the operator."""

import copy
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from os_migrate.errors import PlanError, UserError
from os_migrate.files.workloads import parse_workloads, read_workloads

EXAMPLE = (Path(__file__).parent / "workloads-1.0.5.yml").read_text()


def problems_of(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_workloads(text, "f.yml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "where", "what", "remedy"),
    [
        ("", 1, "it holds nothing", "os-migrate export workloads"),
        ("# only a comment\n", 1, "it holds nothing", "os-migrate export workloads"),
        ("- a\n", 1, "it holds a list", "os-migrate export workloads"),
        ("hello", 1, "it holds text", "os-migrate export workloads"),
        (
            "os_migrate_version: 1.0.5\nresources: {}\n",
            2,
            "must be a list, is a mapping",
            "os-migrate export workloads",
        ),
        ("os_migrate_version: 1.0.5\nresources:\n- null\n", 3, "must be a mapping, is nothing", "docs/files.md"),
        ("os_migrate_version: [1]\nresources: []\n", 1, "must be text, is a list", "os-migrate export workloads"),
        ("os_migrate_version: 1\nresources: " + "[" * 60, "2:61", "values deep", "no file"),
        (EXAMPLE + "---\n" + EXAMPLE, "45:1", "another document", "mend the line"),
    ],
)
def test_what_is_no_resource_file_is_refused(text, where, what, remedy):
    (told,) = problems_of(text)
    assert told.startswith(f"f.yml:{where}: ")
    assert what in told
    assert remedy in told


def test_file_that_is_deeper_than_any_parser_goes_is_refused():
    (told,) = problems_of("os_migrate_version: 1\nresources: " + "[" * 100_000)
    assert told.startswith("f.yml:2:")  # the column is the parser's
    assert "values deep" in told


@pytest.mark.parametrize(
    ("before", "after", "what", "remedy"),
    [
        ("    name: osm_server", "\tname: osm_server", "not YAML", "mend the line"),
        ("name: osm_server", "name: a\x07b", "control characters", r'"\x07"'),
        ("name: osm_server", "name: 12", "must be text, is a number", "in quotes"),
        ("name: osm_server", "name: on", "must be text, is true or false", "in quotes"),
        ("name: osm_server", f"name: {'x' * 256}", "at most 255 characters, has 256", "shorten"),
        ("name: osm_server", "name: !!binary aGVsbG8=", "is a !!binary value", "docs/files.md"),
        (
            "description: osm_server",
            "description: !!python/object/apply:os.system [exit]",
            "is a !!python/object/apply:os.system value",
            "docs/files.md",
        ),
        ("description: osm_server", "description: !!python/name:os.system", "must be text", "docs/files.md"),
        ("metadata: {}", "metadata: !!set {a}", "must be a mapping, is a !!set value", "docs/files.md"),
        ("metadata: {}", "metadata: {a: null}", "a must be text, is nothing", "docs/files.md"),
        ("metadata: {}", f"metadata: {{a: {'x' * 256}}}", "at most 255 characters", "shorten"),
        ("metadata: {}", "metadata: {[a]: b}", "a key must be text", "write the key"),
        ("key_name: osm_key", "kee_name: osm_key", "unknown key", "did you mean key_name?"),
        ("key_name: osm_key", "warp_factor: 9", "unknown key", "docs/files.md"),
        ("key_name: osm_key", "key_name: osm_key\n    key_name: b", "given twice", "keep one"),
        ("flavor_ref: {name: m1.small,", "flavor_ref: {nmae: m1.small, name: x,", "unknown key", "did you mean name?"),
        ("flavor_ref: {name: m1.small,", "flavor_ref: {", "flavor_ref.name: is missing", "add it"),
        ("tags: []", "tags: ['a,b']", "none of them a comma", "edit or remove"),
        ("tags: []", f"tags: [{', '.join('abcdefghij'[n % 10] for n in range(51))}]", "at most 50 tags", "remove some"),
        ("user_data: null", "user_data: '#!/bin/sh'", "must be base64", "base64 -w0"),
        ("disk_config: MANUAL", "disk_config: manual", "must be AUTO or MANUAL, is 'manual'", "null"),
        ("{ip_address: 192.168.20.7,", "{ip_address: 192.168.20.777,", "must be an IP address", "edit it"),
        ("'fa:16:3e:d7:ae:16'", "'fa:16:3e'", "must be like fa:16:3e:00:00:01", "null"),
        ("floating_ip_address: 172.20.9.135", "floating_ip_address: public", "must be an IP address", "edit it"),
        ("floating_ip_mode: auto", "floating_ip_mode: sometimes", "auto, new, existing, skip, is 'sometimes'", "docs"),
        ("port_creation_mode: nova", "port_creation_mode: [x]", "nova, neutron, is a list", "docs/files.md"),
        ("size: 10", "size: 10.5", "must be a whole number, is a decimal number", "docs/files.md"),
        ("size: 10", "size: 0", "above 0", "export the server again"),
        ("size: 10", "size: null", "must be a whole number, is nothing", "docs/files.md"),
        ("size: 10", f"size: {'9' * 5000}", "no number that can be read", "mend it"),
        ("size: 10", "size: !!float ten", "no number that can be read", "mend it"),
        ("{id: af61,", "{id: '',", "_info.id: must not be empty", "export the server again"),
        ("{id: af61,", "{id: null,", "_info.id: must be text, is nothing", "docs/files.md"),
    ],
)
def test_a_bad_value_is_told_with_its_line_and_a_remedy(before, after, what, remedy):
    assert before in EXAMPLE
    text = EXAMPLE.replace(before, after, 1)
    line = next(n for n, (a, b) in enumerate(zip(EXAMPLE.splitlines(), text.splitlines(), strict=False), 1) if a != b)
    told = next(problem for problem in problems_of(text) if what in problem)
    assert told.startswith((f"f.yml:{line}:", f"f.yml:{line + after.count(chr(10))}:"))
    assert remedy in told


def test_a_python_object_in_a_file_is_not_made(tmp_path):
    trace = tmp_path / "trace"
    bad = f"description: !!python/object/apply:os.mkdir [{trace}]"
    assert problems_of(EXAMPLE.replace("description: osm_server", bad))
    assert not trace.exists()


def test_a_volume_listed_twice_is_refused():
    again = "    - type: openstack.network.ServerVolume\n      _info: {id: 7e93, size: 10}\n      params: {}\n"
    (told,) = problems_of(EXAMPLE.rstrip("\n") + "\n" + again)
    assert "params.volumes.1._info.id: volume 7e93 is listed twice" in told


def test_unknown_fields_of_an_unknown_version_are_told_with_the_version():
    text = EXAMPLE.replace("key_name: osm_key", "warp_factor: 9")
    assert len(problems_of(text)) == 1
    first, second = problems_of(text.replace("1.0.5", "3.1.0"))
    assert first.startswith("f.yml:1: the file says it is of version 3.1.0")
    assert "warp_factor" in second


@pytest.mark.parametrize(
    ("content", "where"),
    [(EXAMPLE.replace("osm_server", "sérv").encode("latin-1"), "10"), (EXAMPLE.encode("utf-16"), "1")],
)
def test_text_that_is_not_utf_8_is_told_with_its_line(tmp_path, content, where):
    file = tmp_path / "workloads.yml"
    file.write_bytes(content)
    with pytest.raises(PlanError) as caught:
        read_workloads(file)
    assert str(caught.value) == f"{file}:{where}: this is not UTF-8 text (save the file as UTF-8)"


def test_a_byte_order_mark_is_read_over(tmp_path):
    file = tmp_path / "workloads.yml"
    file.write_text(EXAMPLE, encoding="utf-8-sig")
    assert read_workloads(file) == parse_workloads(EXAMPLE, "x")


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "real.yml").write_text(EXAMPLE)
    (tmp_path / "workloads.yml").symlink_to("real.yml")
    assert read_workloads(tmp_path / "workloads.yml")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Path.mkdir, "is not a file"),
        (os.mkfifo, "is not a file"),
        (lambda file: file.symlink_to("nowhere"), "there is no"),
        (lambda file: file.symlink_to(file.name), "can't read"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path, make, told):
    make(tmp_path / "workloads.yml")
    with pytest.raises(UserError, match=told) as caught:
        read_workloads(tmp_path / "workloads.yml")
    assert caught.value.remedy


# Whatever is in a file ------------------------------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "%auth%", "1.0.5", "openstack.compute.Server", "10.0.0.1", "x" * 300])
)
THINGS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def read_or_refuse(text: str) -> None:
    try:
        parse_workloads(text, "f.yml")
        problems = []
    except PlanError as refused:
        problems = refused.problems
    assert all(problem.where.startswith("f.yml:") for problem in problems)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    read_or_refuse(text)


@given(st.binary(max_size=40), st.integers(0, len(EXAMPLE)), st.integers(0, 60))
def test_a_mangled_file_is_read_or_refused(inserted, start, removed):
    read_or_refuse(EXAMPLE[:start] + inserted.decode("latin-1") + EXAMPLE[start + removed :])


def places(value: object, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [steps, *(place for key, inner in items for place in places(inner, (*steps, key)))]


PLACES = places(yaml.safe_load(EXAMPLE))[1:]


@given(st.data(), st.sampled_from(PLACES), THINGS)
def test_any_value_in_any_place_is_read_or_refused(data, place, thing):
    document = copy.deepcopy(yaml.safe_load(EXAMPLE))
    *way, last = place
    holder = document
    for step in way:
        holder = holder[step]
    if data.draw(st.booleans()):
        holder[last] = thing
    else:
        del holder[last]
    read_or_refuse(yaml.safe_dump(document, allow_unicode=data.draw(st.booleans())))
