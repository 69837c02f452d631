"""Every shape of server, migrated between two real clouds in one run, as an ordinary tenant of both."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from lab import scenario
from lab.scenario import Guest, Shape
from tests.acceptance.operating import Done, Operator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

COPIED_BOOT_DISK = Shape("boot disk+data", "10.0.0.101", data_gib=(1,), metadata=(("owner", "päivi"),))
FROM_IMAGE = Shape("from-image", "10.0.0.102", data_gib=(1, 1, 1))
BOOT_VOLUME = Shape("boot-volume", "10.0.0.103", boot_volume=True, delete_on_termination=True)
NOTHING_COPIED = Shape("nothing-copied", "10.0.0.104")
BROUGHT = Shape("brought", "10.0.0.105", floating_ip=False)
RUNNING = Shape("running", "10.0.0.106", floating_ip=False)
SHAPES = (COPIED_BOOT_DISK, FROM_IMAGE, BOOT_VOLUME, NOTHING_COPIED, BROUGHT, RUNNING)


@dataclass(frozen=True)
class Scene:
    """What there was before the migration, and what it said."""

    operator: Operator
    servers: dict[str, Any]
    attached: dict[str, list[str]]
    boot_file: str
    boot_volume_file: str
    files: dict[str, str]
    brought_volume: str
    before: tuple[scenario.Holdings, scenario.Holdings]
    refused: Done
    done: Done

    def twin(self, destination: Any, name: str) -> Any:
        return destination.compute.get_server(self.done.results[name]["report"]["destination_server_id"])


def await_guest(cloud: Any, server: Any) -> Guest:
    guest = scenario.guest_of(cloud, server)
    guest.await_ssh()
    return guest


def attached(cloud: Any, server: Any) -> list[str]:
    """Return the volumes of a server in the order of their devices."""
    return [a.volume_id for a in sorted(cloud.compute.volume_attachments(server.id), key=lambda a: str(a.device))]


@pytest.fixture(scope="module")
def scene(operator: Operator, source: Any, destination: Any) -> Scene:
    made = scenario.together([partial(scenario.create_server, source, shape) for shape in SHAPES])
    servers = {server.name: server for server in made}
    guests = {
        shape.name: await_guest(source, servers[shape.name]) for shape in (COPIED_BOOT_DISK, FROM_IMAGE, BOOT_VOLUME)
    }
    boot_file = scenario.write_boot_file(guests[COPIED_BOOT_DISK.name], 2)
    boot_volume_file = scenario.write_boot_file(guests[BOOT_VOLUME.name], 2)
    # A gap in the order of devices: the middle volume goes, the outer ones stay where they are.
    second = attached(source, servers[FROM_IMAGE.name])[1]
    source.compute.delete_volume_attachment(servers[FROM_IMAGE.name], second)
    scenario.wait_for(
        "the volume to be free", lambda: source.block_storage.get_volume(second).status == "available" or None
    )
    files = {}
    for shape in (COPIED_BOOT_DISK, FROM_IMAGE):
        guest = guests[shape.name]
        for volume_id in attached(source, servers[shape.name]):
            files[volume_id] = scenario.write_files(guest, scenario.disk_of(guest, volume_id), 3)
    for name in (NOTHING_COPIED.name, BROUGHT.name):
        source.compute.stop_server(servers[name])
    brought = scenario.create_volume(destination, "brought-data", 1)
    for name in (NOTHING_COPIED.name, BROUGHT.name):
        source.compute.wait_for_server(servers[name], status="SHUTOFF", wait=120)

    before = scenario.holdings(source), scenario.holdings(destination)
    operator.must("export", "workloads")

    def edit(described: dict[str, Any], params: dict[str, Any]) -> None:
        name = described["name"]
        if name == COPIED_BOOT_DISK.name:
            params.update(boot_disk_copy=True, port_creation_mode="neutron")
        elif name == BROUGHT.name:
            params.update(data_copy=False, additional_volumes=[{"uuid": brought.id}])

    operator.edit_workloads(edit)
    refused = operator.run("migrate", RUNNING.name, "--set", "os_migrate_workload_stop_before_migration=false")
    names = [shape.name for shape in SHAPES if shape is not RUNNING]
    done = operator.run("--json", "migrate", *names)
    return Scene(
        operator=operator,
        servers=servers,
        attached={name: attached(source, server) for name, server in servers.items()},
        boot_file=boot_file,
        boot_volume_file=boot_volume_file,
        files=files,
        brought_volume=brought.id,
        before=before,
        refused=refused,
        done=done,
    )


def test_all_shapes_migrate_in_one_run(scene: Scene) -> None:
    assert {name: outcome["result"] for name, outcome in scene.done.results.items()} == {
        shape.name: "migrated" for shape in SHAPES if shape is not RUNNING
    }
    assert scene.done.exit_code == 0


def test_a_running_server_is_refused_and_left_alone_unless_stopping_was_asked_for(scene: Scene, source: Any) -> None:
    assert scene.refused.exit_code == 2
    assert "it is running" in scene.refused.err
    assert source.compute.get_server(scene.servers[RUNNING.name].id).status == "ACTIVE"


def test_copied_boot_disk_and_data_volume_hold_the_same_files(scene: Scene, destination: Any) -> None:
    guest = await_guest(destination, scene.twin(destination, COPIED_BOOT_DISK.name))
    assert scenario.read_boot_file(guest) == scene.boot_file
    (disk,) = scenario.data_disks(guest)
    assert [scenario.read_files(guest, disk)] == [scene.files[v] for v in scene.attached[COPIED_BOOT_DISK.name]]


def test_data_volumes_keep_their_order(scene: Scene, destination: Any) -> None:
    twin = scene.twin(destination, FROM_IMAGE.name)
    guest = await_guest(destination, twin)
    found = [scenario.read_files(guest, scenario.disk_of(guest, volume)) for volume in attached(destination, twin)]
    assert found == [scene.files[v] for v in scene.attached[FROM_IMAGE.name]]
    assert len(found) == 2


def test_copied_boot_volume_boots_and_keeps_its_properties(scene: Scene, source: Any, destination: Any) -> None:
    twin = scene.twin(destination, BOOT_VOLUME.name)
    assert scenario.read_boot_file(await_guest(destination, twin)) == scene.boot_volume_file
    (attachment,) = destination.compute.volume_attachments(twin.id)
    assert attachment.delete_on_termination is True
    (old,) = source.compute.volume_attachments(scene.servers[BOOT_VOLUME.name].id)
    kept = source.block_storage.get_volume(old.volume_id)
    copy = destination.block_storage.get_volume(attachment.volume_id)
    assert copy.is_bootable
    assert (copy.name, copy.size, copy.volume_type) == (kept.name, kept.size, kept.volume_type)
    hardware = {k: v for k, v in kept.volume_image_metadata.items() if k.startswith("hw_")}
    assert hardware
    assert hardware.items() <= copy.volume_image_metadata.items()


def test_every_copy_is_proven_by_equal_digests(scene: Scene) -> None:
    disks = {name: outcome["report"]["disks"] for name, outcome in scene.done.results.items()}
    assert {name: len(copied) for name, copied in disks.items()} == {
        COPIED_BOOT_DISK.name: 2,
        FROM_IMAGE.name: 2,
        BOOT_VOLUME.name: 1,
        NOTHING_COPIED.name: 0,
        BROUGHT.name: 0,
    }
    for copied in disks.values():
        for disk in copied:
            assert disk["source_digest"] == disk["destination_digest"]
            assert len(disk["source_digest"]) == 64


def test_file_systems_are_copied_by_their_maps(scene: Scene) -> None:
    for name in (COPIED_BOOT_DISK.name, BOOT_VOLUME.name):
        for disk in scene.done.results[name]["report"]["disks"]:
            mapped = [part["what"] for part in disk["parts"] if part["how"] == "map"]
            assert len(mapped) == 1, disk["parts"]
            assert mapped[0] in {"ext2", "ext4"}
            assert disk["used_bytes"] < disk["size_bytes"]


def test_empty_blocks_are_not_sent(scene: Scene) -> None:
    for disk in scene.done.results[FROM_IMAGE.name]["report"]["disks"]:
        assert disk["size_bytes"] == 1 << 30
        assert disk["wire_bytes"] < 64 << 20


def test_twin_has_the_flavor_key_metadata_and_addresses_of_its_source(
    scene: Scene, source: Any, destination: Any
) -> None:
    twin, old = scene.twin(destination, COPIED_BOOT_DISK.name), scene.servers[COPIED_BOOT_DISK.name]
    assert (twin.name, twin.key_name, twin.flavor.name) == (old.name, old.key_name, old.flavor.name)
    assert twin.metadata["owner"] == "päivi"
    (new_port,) = destination.network.ports(device_id=twin.id)
    (old_port,) = source.network.ports(device_id=old.id)
    assert new_port.mac_address == old_port.mac_address
    assert [ip["ip_address"] for ip in new_port.fixed_ips] == [COPIED_BOOT_DISK.fixed_ip]
    group = destination.network.find_security_group(scenario.SECURITY_GROUP)
    assert new_port.security_group_ids == [group.id]


def test_nova_made_ports_keep_the_fixed_ip(scene: Scene, destination: Any) -> None:
    twin = scene.twin(destination, BOOT_VOLUME.name)
    (port,) = destination.network.ports(device_id=twin.id)
    assert [ip["ip_address"] for ip in port.fixed_ips] == [BOOT_VOLUME.fixed_ip]


def test_without_data_copy_the_brought_volume_is_attached(scene: Scene, destination: Any) -> None:
    assert attached(destination, scene.twin(destination, BROUGHT.name)) == [scene.brought_volume]


def test_source_servers_are_off_with_their_volumes_in_their_places(scene: Scene, source: Any) -> None:
    for shape in SHAPES:
        server = source.compute.get_server(scene.servers[shape.name].id)
        assert server.status == ("ACTIVE" if shape is RUNNING else "SHUTOFF")
        assert attached(source, server) == scene.attached[shape.name]


def test_nothing_of_ours_is_left_in_either_cloud(scene: Scene, source: Any, destination: Any) -> None:
    assert scenario.holdings(source) == scene.before[0]
    grown = {
        kind: len(held - scene.before[1][kind])
        for kind, held in scenario.holdings(destination).items()
        if held - scene.before[1][kind]
    }
    assert grown == {"servers": 5, "volumes": 5, "ports": 5, "floating IPs": 4}
    for volume in destination.block_storage.volumes():
        assert "os_migrate_attempt" not in volume.metadata
    for server in destination.compute.servers():
        assert "os_migrate_attempt" not in server.metadata
    for port in destination.network.ports():
        assert "os_migrate_attempt" not in port.description


def test_verify_repeats_the_proof_and_leaves_nothing(scene: Scene, source: Any, destination: Any) -> None:
    before = scenario.holdings(source), scenario.holdings(destination)
    done = scene.operator.must("--json", "verify", COPIED_BOOT_DISK.name, BOOT_VOLUME.name)
    disks = {v["name"]: v["disks"] for v in done.result["verifications"]}
    assert {name: len(checked) for name, checked in disks.items()} == {COPIED_BOOT_DISK.name: 2, BOOT_VOLUME.name: 1}
    for name, checked in disks.items():
        for disk, reported in zip(checked, scene.done.results[name]["report"]["disks"], strict=True):
            assert disk["source"] == "unchanged"
            assert disk["source_digest"] == reported["source_digest"]
            assert disk["copy"] in {"unchanged", "changed"}
    assert (scenario.holdings(source), scenario.holdings(destination)) == before


def test_a_second_run_changes_nothing_and_says_so(scene: Scene, source: Any, destination: Any) -> None:
    before = scenario.holdings(source), scenario.holdings(destination)
    again = scene.operator.must("--json", "migrate", *scene.done.results)
    assert {outcome["result"] for outcome in again.results.values()} == {"skipped"}
    assert all("already migrated" in outcome["detail"] for outcome in again.results.values())
    assert (scenario.holdings(source), scenario.holdings(destination)) == before


def test_deploying_the_hosts_again_reuses_them(scene: Scene, source: Any) -> None:
    before = scenario.holdings(source)
    scene.operator.must("hosts", "deploy")
    assert scenario.holdings(source) == before
    scene.operator.must("hosts", "check")
