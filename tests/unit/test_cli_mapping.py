"""`os-migrate mapping`, and the mapping where workloads are migrated, on fake clouds."""

from dataclasses import replace

import pytest

from os_migrate.cli import mapping as mapping_command
from os_migrate.files.mapping import parse_mapping
from os_migrate.files.workloads import write_workloads
from os_migrate.mapping import Kind
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook, Killed
from tests.fakes.workloads import Shape
from tests.unit.test_cli import Commands, outcomes_of


class KillBefore(Hook):
    """Die before the first call of a kind to the destination."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self._verb = verb

    def before(self, call: Call) -> None:
        if (call.where, call.verb) == ("destination", self._verb):
            raise Killed(str(call))
        super().before(call)


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path, Shape("one", data_volumes=1), Shape("two", data_volumes=1))


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    commands = Commands(scene, tmp_path, monkeypatch)
    monkeypatch.setattr(mapping_command, "open_session", commands._open)
    write_workloads(commands.file, scene.workloads)
    return commands


def write(run: Commands, text: str) -> None:
    (run.directory / "mapping.yml").write_text(text)


def names_of(ran) -> dict[tuple[str, str], dict[str, object]]:
    return {(n["kind"], n["name"]): n for n in ran.result["names"]}


def flavors_of_twins(scene: Scene) -> set[str]:
    twins = [t for w in scene.workloads for t in scene.twins(w)]
    return {scene.destination._machines[t].view.flavor_name for t in twins}


# Migrate -----------------------------------------------------------------------------------------------------------------
def test_migrate_takes_the_names_of_the_mapping(run):
    run.scene.destination.add_flavor("gp.small")
    write(run, r"flavors: [{regex: 'm1\.(.*)', to: 'gp.\1'}]")
    done = run("migrate")
    assert done.exit_code == 0, done.err
    run.scene.assert_migrated()
    assert flavors_of_twins(run.scene) == {"gp.small"}


def test_migrate_refuses_what_the_mapping_names_and_nobody_has_before_anything_is_touched(run):
    write(run, "flavors:\n  m1.small: huge\n")
    done = run("migrate")
    assert done.exit_code == 2
    assert "there is no flavor 'huge' (m1.small by mapping.yml:2) in the destination" in done.err
    run.scene.assert_as_before()


def test_what_is_migrated_stays_so_under_another_mapping(run):
    run("migrate")
    write(run, "flavors:\n  m1.small: huge\n")
    assert outcomes_of(run.json("migrate")) == {"web 0": "skipped", "web 1": "skipped"}


def test_a_mistake_in_the_mapping_ends_every_command_that_needs_it(run):
    write(run, "flavours: {}\n")
    for words in (["migrate"], ["mapping"]):
        done = run(*words)
        assert done.exit_code == 2
        assert "unknown section flavours" in done.err
    run.scene.assert_as_before()


def test_resume_reads_the_mapping_and_an_attempt_keeps_the_names_that_it_began_with(scene, run):
    with pytest.raises(Killed):
        scene.migrate(KillBefore("create_volume"))
    scene.seam.hook = Hook()
    write(run, "flavours: {}\n")
    assert "unknown section flavours" in run("resume").err
    write(run, "flavors: [{default: gone}]\n")
    assert outcomes_of(run.json("resume")) == {"web 0": "migrated"}


# The command -------------------------------------------------------------------------------------------------------------
def test_it_shows_what_each_name_becomes_and_asks_no_cloud(run):
    write(run, "flavors:\n  m1.small: gp.small\nkeypairs:\n- {default: null}\n")
    done = run("mapping")
    assert done.exit_code == 0
    assert "flavors\n  m1.small -> gp.small  (2 servers)  mapping.yml:2\n" in done.out
    assert "keypairs\n  alice -> null  (2 servers)  mapping.yml:4\n" in done.out
    assert "networks\n  private -> the same  (2 servers)\n" in done.out
    assert run.sessions == []


def test_it_shows_the_names_of_the_chosen_servers_only(run):
    workload = run.scene.workloads[1]
    other = replace(workload, params=replace(workload.params, key_name="bob"))
    write_workloads(run.file, [run.scene.workloads[0], other])
    assert ("keypairs", "bob") in names_of(run.json("mapping"))
    for words in (["web 0"], ["--filter", "web 0"]):
        assert ("keypairs", "bob") not in names_of(run.json("mapping", *words))


def test_entries_that_match_nothing_are_named(run):
    write(
        run, "flavors:\n- {name: m1.smal, to: a}\n- {regex: 'x.*', to: b}\n- {regex: 'm1.*', to: c}\n- {default: d}\n"
    )
    done = run("mapping")
    warnings = [line for line in done.out.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: mapping.yml:2: flavors: 'm1.smal' matches nothing",
        "warning: mapping.yml:3: flavors: ~x.* matches nothing",
        "warning: mapping.yml:5: flavors: default matches nothing",
    ]
    assert run.json("mapping").result["idle"] == [
        w.removeprefix("warning: ").removesuffix(" matches nothing") for w in warnings
    ]


def test_an_idle_entry_is_named_beside_a_used_one_on_the_same_line(run):
    write(run, "flavors: {m1.small: a, m1.smal: b}\n")
    assert run.json("mapping").result["idle"] == ["mapping.yml:1: flavors: 'm1.smal'"]


def test_what_the_destination_lacks_is_an_error(run):
    write(run, "flavors:\n  m1.small: huge\n")
    done = run("mapping", "--destination")
    assert done.exit_code == 2
    assert "m1.small -> huge  (2 servers)  mapping.yml:2  MISSING" in done.out
    assert "flavors: 'huge' (m1.small by mapping.yml:2) isn't in the destination; 2 servers need it" in done.err
    assert [key for key, n in names_of(run.json("mapping", "--destination")).items() if n["missing"]] == [
        ("flavors", "m1.small")
    ]


def test_what_the_destination_has_is_none(run):
    assert run("mapping", "--destination").exit_code == 0


# Suggestions -------------------------------------------------------------------------------------------------------------
def test_a_suggestion_is_a_mapping_file_with_the_nearest_names(run):
    destination = run.scene.destination
    (small,) = (f for f in destination._flavors if f.name == "m1.small")
    destination._flavors[:] = [
        replace(small, id="f3", name="gp.large", vcpus=small.vcpus * 4),
        replace(small, id="f2", name="gp.small"),
        replace(small, id="f1", name="gp.nano", ram_mib=1),
    ]
    destination._keypairs[:] = [replace(k, id="alice2", name="alice2") for k in destination._keypairs]
    done = run("mapping", "--suggest")
    assert done.exit_code == 0
    assert '"m1.small": "gp.small"  # 2 servers; or "gp.large"' in done.out
    suggested = parse_mapping(done.out, "suggested")
    assert suggested.name(Kind.FLAVORS, "m1.small") == "gp.small"
    assert suggested.name(Kind.KEYPAIRS, "alice") == "alice2"
    assert set(suggested.kinds) == {Kind.FLAVORS, Kind.KEYPAIRS}
    (first, second) = run.json("mapping", "--suggest").result["suggested"]
    assert (first["candidates"], second["candidates"]) == (["gp.small", "gp.large"], ["alice2"])


def test_what_nobody_can_guess_is_left_open_so_that_it_is_not_forgotten(run):
    run.scene.destination._keypairs.clear()
    done = run("mapping", "--suggest")
    assert '"alice": ""  # 2 servers; nothing there is like it' in done.out
    write(run, done.out)
    assert "a name must be text" in run("migrate").err


def test_where_nothing_is_missing_nothing_is_suggested(run):
    assert run("mapping", "--suggest").out == "# Everything that the servers need is there.\n"
