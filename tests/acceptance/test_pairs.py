"""Four servers at once through two pairs of conversion hosts, one of them to fail; what compresses is compressed; a verification dies."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

import os_migrate.flow  # noqa: F401 (the steps that the journal names)
from lab import scenario
from lab.scenario import Shape
from os_migrate.journal import Journal
from os_migrate.model import Side
from os_migrate.session import open_journal
from os_migrate.steps.transfer import StartJob
from tests.acceptance.operating import Done, Operator, flavor_for_no_hypervisor
from tests.acceptance.watching import HOSTS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

SHAPES = tuple(Shape(f"paired-{n}", f"10.0.0.{120 + n}", data_gib=(1,), floating_ip=n in {1, 2}) for n in range(1, 5))
TEXT, RANDOM, *_, FAILING = SHAPES
TEXT_MIB = 80
PAIRS = ("--set", "os_migrate_conversion_host_pairs=2")
LIMITS = ("os_migrate_workloads_parallel=4", "os_migrate_conversion_host_disks=1", "os_migrate_bandwidth_limit=48")


@dataclass(frozen=True)
class Scene:
    """What there was before, and what the run said."""

    operator: Operator
    servers: dict[str, Any]
    files: dict[str, str]
    text: str
    before: tuple[scenario.Holdings, scenario.Holdings]
    done: Done


def mounted(guest: scenario.Guest, disk: str, script: str) -> str:
    return guest.run(f"mount {disk} /mnt; {script}; umount /mnt", timeout_s=300)


@pytest.fixture(scope="module")
def scene(operator: Operator, source: Any, destination: Any) -> Iterator[Scene]:
    operator.must("hosts", "deploy", *PAIRS)
    made = scenario.together([partial(scenario.create_server, source, shape) for shape in SHAPES])
    servers = {server.name: server for server in made}
    files = {}
    for shape in (TEXT, RANDOM):
        guest = scenario.guest_of(source, servers[shape.name])
        guest.await_ssh()
        (disk,) = scenario.data_disks(guest)
        files[shape.name] = scenario.write_files(guest, disk, 3)
    guest = scenario.guest_of(source, servers[TEXT.name])
    (disk,) = scenario.data_disks(guest)
    lines = f"yes 'a line of text like many others' | head -c {TEXT_MIB << 20} > /mnt/text"
    text = mounted(guest, disk, f"{lines}; sync; sha256sum /mnt/text")
    before = scenario.holdings(source), scenario.holdings(destination)
    operator.must("export", "workloads", "--filter", "~^paired-")
    with flavor_for_no_hypervisor() as flavor:

        def edit(params: dict[str, Any], _migration: dict[str, Any]) -> None:
            if params["name"] == FAILING.name:
                params["flavor_ref"]["name"] = flavor

        operator.edit_workloads(edit)
        wanted = [word for setting in LIMITS for word in ("--set", setting)]
        done = operator.run("--json", "migrate", "--filter", "~^paired-", *PAIRS, *wanted)
    yield Scene(operator, servers, files, text, before, done)
    operator.must("hosts", "delete", *PAIRS)
    operator.must("hosts", "deploy")
    scenario.delete_servers(source, keep=lambda s: s.name in HOSTS.values())
    scenario.delete_servers(destination, keep=lambda s: s.name in HOSTS.values())


def test_one_of_four_fails_and_the_others_are_migrated(scene: Scene, source: Any) -> None:
    assert scene.done.exit_code == 3
    results = {name: outcome["result"] for name, outcome in scene.done.results.items()}
    assert results == {shape.name: "rolled back" if shape is FAILING else "migrated" for shape in SHAPES}
    assert "No valid host" in scene.done.err
    status = {name: source.compute.get_server(server.id).status for name, server in scene.servers.items()}
    assert status == {shape.name: "ACTIVE" if shape is FAILING else "SHUTOFF" for shape in SHAPES}


def test_both_pairs_of_hosts_were_used_and_no_host_had_two_disks(scene: Scene, source: Any) -> None:
    hosts = {server.id: server.name for server in source.compute.servers() if server.name.startswith(HOSTS["source"])}
    with open_journal(scene.operator.data_dir) as journal:
        used = [hosts[host_id] for host_id in hosts_of(journal)]
    assert set(used) == {HOSTS["source"], HOSTS["source"] + "-2"}
    assert sorted(used.count(name) for name in set(used)) in ([1, 3], [2, 2])


def hosts_of(journal: Journal) -> list[str]:
    """Return the source host of each attempt."""
    ours = [attempt for attempt in journal.attempts() if attempt.name.startswith("paired-")]
    steps = [[record.step for record in journal.steps(attempt.id)] for attempt in ours]
    return [
        next(str(s.host_id) for s in performed if isinstance(s, StartJob) and s.side is Side.SOURCE)
        for performed in steps
    ]


def test_text_was_compressed_and_what_is_random_was_not(scene: Scene) -> None:
    (text,) = scene.done.results[TEXT.name]["report"]["disks"]
    assert text["copy_method"].startswith("zstd")
    assert "the link carries" in text["copy_reason"]
    assert text["data_bytes"] > TEXT_MIB << 20
    assert text["wire_bytes"] < text["data_bytes"] / 4
    (random,) = scene.done.results[RANDOM.name]["report"]["disks"]
    assert random["copy_method"] == "stream"


def test_copies_hold_the_same_files(scene: Scene, destination: Any) -> None:
    for shape in (TEXT, RANDOM):
        twin = destination.compute.get_server(scene.done.results[shape.name]["report"]["destination_server_id"])
        guest = scenario.guest_of(destination, twin)
        guest.await_ssh()
        (disk,) = scenario.data_disks(guest)
        assert scenario.read_files(guest, disk) == scene.files[shape.name]
        if shape is TEXT:
            assert mounted(guest, disk, "sha256sum /mnt/text") == scene.text


def test_nothing_of_the_failed_one_is_left(scene: Scene, source: Any, destination: Any) -> None:
    assert scenario.holdings(source) == scene.before[0]
    grown = {kind: len(ids - scene.before[1][kind]) for kind, ids in scenario.holdings(destination).items()}
    assert {kind: count for kind, count in grown.items() if count} == {
        "servers": 3,
        "volumes": 3,
        "ports": 3,
        "floating IPs": 2,
    }


def test_verification_that_was_killed_is_cleaned_up_and_can_be_repeated(
    scene: Scene, source: Any, destination: Any
) -> None:
    before = scenario.holdings(source), scenario.holdings(destination)
    command = scene.operator.command("--verbose", "verify", RANDOM.name, *PAIRS)
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as verification:
        assert verification.stderr is not None
        said = ""
        for line in verification.stderr:
            said += line
            if "step StartJob:scan" in line:
                break
        verification.kill()
    assert "step StartJob:scan" in said, said
    assert (scenario.holdings(source), scenario.holdings(destination)) != before
    scenario.wait_for(
        "the hosts to notice that it is dead",
        lambda: scene.operator.run("cleanup", "--yes", *PAIRS).exit_code == 0 or None,
        60,
    )
    assert (scenario.holdings(source), scenario.holdings(destination)) == before
    done = scene.operator.must("--json", "verify", RANDOM.name, *PAIRS)
    (verification,) = done.result["verifications"]
    assert [disk["source"] for disk in verification["disks"]] == ["unchanged"]
    assert (scenario.holdings(source), scenario.holdings(destination)) == before


def test_host_without_virt_sparsify_goes_by_maps_and_says_why(scene: Scene, source: Any) -> None:
    scene.operator.must("export", "workloads", "--filter", FAILING.name)
    how = ("--set", "os_migrate_sparsify=virt-sparsify")
    done = scene.operator.must("--json", "migrate", FAILING.name, *PAIRS, *how)
    (disk,) = done.results[FAILING.name]["report"]["disks"]
    assert disk["source_digest"] == disk["destination_digest"]
    assert "virt-sparsify is not installed" in str(disk["parts"])
    assert source.compute.get_server(scene.servers[FAILING.name].id).status == "SHUTOFF"
