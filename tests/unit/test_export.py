"""Servers become workloads."""

from dataclasses import replace

import pytest

from os_migrate.errors import UserError
from os_migrate.model import (
    AttemptId,
    FixedIp,
    FloatingIp,
    FloatingIpId,
    Image,
    Loan,
    Named,
    Network,
    NetworkId,
    Port,
    PortId,
    SecurityGroupId,
    Server,
    ServerId,
    ServerStatus,
    Subnet,
    SubnetId,
    Volume,
    VolumeAttachment,
    VolumeId,
)
from os_migrate.resources.workload import Listing, as_set, export, export_all, is_conversion_host
from os_migrate.settings import EVERYTHING, WorkloadSettings
from os_migrate.workload import MigrationParams, Ref, VolumeChoice
from tests.fakes.scene import Scene
from tests.fakes.workloads import Boot, Shape

OURS, THEIRS = "project-1", "admin"


def port(number: int, network: str, address: str, groups: tuple[str, ...] = ("g1",)) -> Port:
    return Port(
        id=PortId(f"p{number}"),
        name="",
        network_id=NetworkId(network),
        mac_address=f"fa:16:3e:00:00:0{number}",
        fixed_ips=(FixedIp(SubnetId("sub"), address),),
        device_id="s1",
        device_owner="compute:nova",
        security_group_ids=tuple(SecurityGroupId(g) for g in groups),
        vnic_type="direct",
        binding_profile={"trusted": True},
    )


def volume(volume_id: str, *, bootable: bool = False) -> Volume:
    return Volume(
        VolumeId(volume_id),
        f"name of {volume_id}",
        "in-use",
        3,
        "",
        "fast",
        "nova",
        bootable=bootable,
        image_metadata={"hw_disk_bus": "scsi"},
    )


LISTING = Listing(
    project_id=OURS,
    flavor_ids={"m1": "f1"},
    images={"i1": Image("i1", "cirros", THEIRS)},
    networks={"n1": Network("n1", "inside", OURS), "n2": Network("n2", "public", THEIRS, is_external=True)},
    subnets={"sub": Subnet("sub", "inside-v4", OURS)},
    security_groups={"g1": Named("g1", "web", OURS), "g2": Named("g2", "admin", OURS)},
    volumes={VolumeId(v): volume(v, bootable=v == "v1") for v in ("v1", "v2", "v3")},
    ports=[port(2, "n1", "10.0.0.2"), port(1, "n1", "10.0.0.1"), replace(port(3, "n1", "10.0.0.3"), device_id="s2")],
    floating_ips=[
        FloatingIp(
            FloatingIpId("x1"), "192.0.2.1", NetworkId("n2"), PortId("p1"), "r1", "10.0.0.1", "front", tags=("t",)
        ),
        FloatingIp(FloatingIpId("x2"), "192.0.2.2", NetworkId("n2"), PortId("p3"), "r1", "10.0.0.3"),
        FloatingIp(FloatingIpId("x3"), "192.0.2.3", NetworkId("n2")),
    ],
)
SERVER = Server(
    id=ServerId("s1"),
    name="web/1",
    status=ServerStatus.SHUTOFF,
    raw_status="SHUTOFF",
    flavor_name="m1",
    key_name="mine",
    metadata={"role": "web", "os_migrate_source_id": "from an earlier move"},
    tags=("a",),
    addresses=("10.0.0.2", "10.0.0.1", "192.0.2.1"),
    volumes=(
        VolumeAttachment(VolumeId("v1"), "/dev/vda"),
        VolumeAttachment(VolumeId("v3"), "/dev/vdc"),
        VolumeAttachment(VolumeId("v2"), "/dev/vdb"),
    ),
)
GROUPS = [Named("g1", "web")]


def test_references_are_by_name_and_say_what_is_ours():
    params = export(replace(SERVER, image_id="i1"), GROUPS, LISTING).params
    assert params.flavor_ref == Ref("m1")
    assert params.image_ref == Ref("cirros")
    assert params.security_group_refs == (Ref("web", "%auth%", "%auth%"),)
    assert params.ports[0].params.network_ref == Ref("inside", "%auth%", "%auth%")
    assert params.ports[0].params.fixed_ips_refs[0].subnet_ref == Ref("inside-v4", "%auth%", "%auth%")
    assert params.floating_ips[0].params.floating_network_ref == Ref("public")


def test_ports_are_in_the_order_of_novas_addresses():
    assert [p.info.id for p in export(SERVER, GROUPS, LISTING).params.ports] == ["p2", "p1"]


def test_volumes_are_in_novas_order():
    volumes = export(SERVER, GROUPS, LISTING).params.volumes
    assert [v.info.id for v in volumes] == ["v1", "v3", "v2"]
    assert volumes[0].info.is_bootable
    assert volumes[1].info.attachments[0].device == "/dev/vdc"
    assert volumes[0].params.volume_image_metadata == {"hw_disk_bus": "scsi"}
    assert (volumes[0].params.volume_type, volumes[0].params.description) == ("fast", None)


def test_ports_keep_what_they_are():
    params = export(SERVER, GROUPS, LISTING).params.ports[1].params
    assert params.mac_address == "fa:16:3e:00:00:01"
    assert (params.binding_vnic_type, params.binding_profile) == ("direct", {"trusted": True})


def test_a_ports_groups_are_told_only_where_they_differ_from_the_servers():
    listing = replace(
        LISTING,
        ports=[port(1, "n1", "10.0.0.1"), port(2, "n1", "10.0.0.2", ("g2", "g1")), port(3, "n1", "10.0.0.3", ())],
    )
    refs = {p.info.id: p.params.security_group_refs for p in export(SERVER, GROUPS, listing).params.ports}
    ours = Ref("admin", "%auth%", "%auth%"), Ref("web", "%auth%", "%auth%")
    assert refs == {"p1": None, "p2": ours, "p3": ()}


def test_only_the_servers_own_floating_ips_are_told():
    (ip,) = export(SERVER, GROUPS, LISTING).params.floating_ips
    assert (ip.params.floating_ip_address, ip.params.fixed_ip_address) == ("192.0.2.1", "10.0.0.1")
    assert (ip.info.port_id, ip.info.router_id, ip.info.tags) == ("p1", "r1", ("t",))


def test_the_boot_disk_is_copied_where_the_server_boots_from_a_volume():
    from_volume, from_image = export(SERVER, GROUPS, LISTING), export(replace(SERVER, image_id="i1"), GROUPS, LISTING)
    assert from_volume.params.image_ref is None
    assert from_volume.migration == MigrationParams(boot_disk_copy=True, additional_volumes=(VolumeChoice(),))
    assert from_image.migration.boot_disk_copy is False


def test_our_own_tags_are_no_metadata_of_the_server():
    assert export(SERVER, GROUPS, LISTING).params.metadata == {"role": "web"}


def test_an_image_that_is_gone_is_not_taken_for_a_boot_volume():
    assert export(replace(SERVER, image_id="gone"), GROUPS, LISTING).params.image_ref == Ref(None)


def test_a_volume_that_is_not_listed_is_an_error():
    with pytest.raises(UserError, match="v2"):
        export(SERVER, GROUPS, replace(LISTING, volumes={v: LISTING.volumes[v] for v in ("v1", "v3")}))


@pytest.mark.parametrize(
    ("metadata", "is_host"),
    [
        ({}, False),
        ({"conversion_host": "true"}, True),
        ({"conversion_host": "false"}, False),
        ({"os_migrate_conversion_host": "source"}, True),
    ],
)
def test_conversion_hosts_are_known_by_their_metadata(metadata, is_host):
    assert is_conversion_host(replace(SERVER, metadata=metadata)) is is_host


def test_settings_for_all_servers_win_over_the_file():
    workload = export(SERVER, GROUPS, LISTING)
    assert as_set(workload, WorkloadSettings()) == workload
    assert as_set(workload, WorkloadSettings(boot_disk_copy=False)).migration.boot_disk_copy is False
    assert as_set(workload, WorkloadSettings(data_copy=False)).migration.data_copy is False
    own = replace(workload, migration=replace(workload.migration, data_copy=False))
    assert as_set(own, WorkloadSettings(data_copy=True)).migration.data_copy is False


# A whole project --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path, Shape("one", data_volumes=2), Shape("two", boot=Boot.VOLUME, data_volumes=1))


def test_an_export_of_a_project_describes_its_servers(scene):
    found = export_all(scene.source, EVERYTHING, set())
    by_id = {w.id: w for w in found.workloads}
    assert {w.id for w in scene.workloads} <= set(by_id)
    for expected in scene.workloads:
        exported = by_id[expected.id]
        assert [v.info.id for v in exported.params.volumes] == [v.info.id for v in expected.params.volumes]
        assert exported.params.flavor_ref.name == expected.params.flavor_ref.name
        assert exported.migration.boot_disk_copy is (exported.params.image_ref is None)


def test_an_unfinished_server_is_left_out_and_told(scene):
    one, two = (w.id for w in scene.workloads)
    found = export_all(scene.source, EVERYTHING, {one})
    assert one not in {w.id for w in found.workloads}
    assert [s.id for s in found.unfinished] == [one]
    assert {one, two} <= found.alive


def test_a_server_on_loan_to_another_data_dir_is_left_out_and_told(scene):
    one, two = (w.id for w in scene.workloads)
    scene.source.set_server_metadata(one, Loan(AttemptId("a1"), one).metadata())
    found = export_all(scene.source, EVERYTHING, set())
    assert [w.id for w in found.workloads if w.id in {one, two}] == [two]
    assert [s.id for s in found.unfinished] == [one]


def test_an_export_asks_for_each_list_once(scene):
    class Counting:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __getattr__(self, name: str) -> object:
            self.calls.append(name)
            return getattr(scene.source, name)

    cloud = Counting()
    export_all(cloud, EVERYTHING, set())
    lists = [
        "servers",
        "flavors",
        "images",
        "networks",
        "subnets",
        "security_groups",
        "ports",
        "floating_ips",
        "volumes",
    ]
    assert {name: cloud.calls.count(name) for name in lists} == dict.fromkeys(lists, 1)


def test_one_server_that_cannot_be_described_does_not_stop_the_others(scene):
    broken = next(iter(scene.workloads))
    hidden = broken.params.volumes[0].info.id

    class Hiding:
        def __getattr__(self, name: str) -> object:
            if name == "volumes":
                return lambda: [v for v in scene.source.volumes() if v.id != hidden]
            return getattr(scene.source, name)

    found = export_all(Hiding(), EVERYTHING, set())
    assert scene.workloads[1].id in {w.id for w in found.workloads}
    assert hidden in str(found.failed[0])


def test_a_filter_that_matches_no_server_is_an_error(scene):
    with pytest.raises(UserError, match="matches none of the servers"):
        export_all(scene.source, ("nobody",), set())
