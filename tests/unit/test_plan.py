from dataclasses import replace

import pytest

from os_migrate.errors import PlanError
from os_migrate.model import GIB, Server, ServerId, ServerStatus, Tag, VolumeId
from os_migrate.plan import host_problems, resolve, source_problems, twin_of
from os_migrate.preflight import take_inventory
from os_migrate.workload import (
    BootVolumeParams,
    FixedIpRef,
    FloatingIpMode,
    MigrationParams,
    PortCreationMode,
    Ref,
    VolumeChoice,
)
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME

RICH = BY_NAME["volume_boot_two_volumes_running"]
LOCAL = BY_NAME["image_copied_running"]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path, RICH)


def problems_of(scene, workload, **changes):
    """Return what resolving a workload finds, after changes of its params, as text."""
    changed = replace(workload, params=replace(workload.params, **changes))
    with pytest.raises(PlanError) as caught:
        resolve(changed, take_inventory(scene.destination))
    return [f"{p.what} ({p.remedy})" for p in caught.value.problems]


def with_migration(workload, **changes):
    return replace(workload, migration=replace(workload.migration, **changes))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"flavor_ref": Ref("huge")}, "flavor 'huge'"),
        ({"key_name": "bob"}, "key pair 'bob'"),
        ({"availability_zone": "mars"}, "availability zone 'mars'"),
        ({"security_group_refs": (Ref("db"),)}, "security group 'db'"),
    ],
)
def test_missing_reference_is_named(scene, changes, kind):
    (problem,) = problems_of(scene, scene.workloads[0], **changes)
    assert problem.startswith(f"there is no {kind} in the destination")


def test_every_problem_is_told_at_once_with_a_remedy(scene):
    problems = problems_of(scene, scene.workloads[0], flavor_ref=Ref("huge"), key_name="bob", availability_zone="mars")
    assert len(problems) == 3
    assert all("(" in p for p in problems)


def test_missing_network_and_subnet_are_named(scene):
    workload = scene.workloads[0]
    (port,) = workload.params.ports
    fixed = (FixedIpRef("10.0.0.9", Ref("nosub")),)
    lost = replace(port, params=replace(port.params, network_ref=Ref("nonet"), fixed_ips_refs=fixed))
    assert len(problems_of(scene, workload, ports=(lost,), floating_ips=())) == 2


def test_subnet_of_another_network_does_not_count(scene):
    scene.destination.add_network("other", "10.9.0.0/24")
    workload = scene.workloads[0]
    (port,) = workload.params.ports
    fixed = (FixedIpRef("10.9.0.9", Ref("other")),)
    lost = replace(port, params=replace(port.params, fixed_ips_refs=fixed))
    (problem,) = problems_of(scene, workload, ports=(lost,), floating_ips=())
    assert "there is no subnet 'other'" in problem


def test_ambiguous_name_is_refused_with_all_ids(scene):
    second = scene.destination.add_flavor("m1.small")
    (problem,) = problems_of(scene, scene.workloads[0])
    assert "ambiguous" in problem
    assert second.id in problem


def test_own_projects_thing_is_preferred_to_another_projects_of_the_same_name(scene):
    ours = next(n for n in scene.destination._networks if n.name == "private")
    scene.destination._networks.insert(0, replace(ours, id="network-of-others", project_id="others"))
    target = resolve(scene.workloads[0], take_inventory(scene.destination))
    assert [p.network_id for p in target.ports] == [ours.id]


def test_shared_thing_of_another_project_is_taken_where_ours_is_missing(scene):
    group = scene.destination._groups[0]
    scene.destination._groups[0] = replace(group, project_id="others")
    assert resolve(scene.workloads[0], take_inventory(scene.destination)).security_group_names == ("web",)


def test_taken_address_is_named_with_its_port(scene):
    network = next(n for n in scene.destination._networks if n.name == "private")
    port_id = scene.destination.port_with(network, "10.0.0.77")
    (problem,) = problems_of(scene, scene.workloads[0])
    assert port_id in problem


def test_port_with_two_addresses_needs_neutron(tmp_path):
    scene = Scene(tmp_path, LOCAL)
    workload = scene.workloads[0]
    (port,) = workload.params.ports
    two = (*port.params.fixed_ips_refs, FixedIpRef("10.0.0.99", port.params.fixed_ips_refs[0].subnet_ref))
    changed = replace(port, params=replace(port.params, fixed_ips_refs=two))
    (problem,) = problems_of(scene, workload, ports=(changed,))
    assert "port_creation_mode: neutron" in problem
    neutron = with_migration(workload, port_creation_mode=PortCreationMode.NEUTRON)
    resolve(replace(neutron, params=replace(neutron.params, ports=(changed,))), take_inventory(scene.destination))


def test_volume_boot_without_copy_or_volume_is_refused(scene):
    workload = with_migration(scene.workloads[0], boot_disk_copy=False)
    (problem,) = problems_of(scene, workload)
    assert "boot_disk_copy: true" in problem


def test_missing_image_is_named_only_where_it_is_needed(tmp_path):
    scene = Scene(tmp_path, LOCAL)
    scene.destination._images.clear()
    workload = scene.workloads[0]
    assert resolve(workload, take_inventory(scene.destination)).image_id is None
    (problem,) = problems_of(scene, with_migration(workload, boot_disk_copy=False))
    assert "there is no image 'cirros'" in problem


def test_unknown_volume_type_and_zone_are_named_once_each(scene):
    override = BootVolumeParams(volume_type="gold", availability_zone="mars")
    problems = problems_of(scene, with_migration(scene.workloads[0], boot_volume_params=override))
    assert [p.split(" in the")[0] for p in problems] == [
        "there is no volume type 'gold'",
        "there is no volume availability zone 'mars'",
    ]


def test_brought_volumes_must_be_there_and_available(scene):
    busy = scene.destination.add_volume("busy", 2)
    scene.destination._mark(busy, "in-use")
    migration = MigrationParams(
        data_copy=False,
        floating_ip_mode=FloatingIpMode.SKIP,
        boot_volume=VolumeChoice(busy),
        additional_volumes=(VolumeChoice(VolumeId("nowhere")),),
    )
    problems = problems_of(scene, replace(scene.workloads[0], migration=migration))
    assert len(problems) == 2
    assert "in-use" in problems[0]
    assert "nowhere" in problems[1]


@pytest.mark.parametrize("in_use", [True, False])
def test_existing_floating_ip_must_be_there_and_free(scene, in_use):
    cloud = scene.destination
    if in_use:
        (held, born), *_ = cloud._floating_ips.values()
        cloud._floating_ips[held.id] = (replace(held, port_id="somebody's"), born)
    else:
        cloud._floating_ips.clear()
    (problem,) = problems_of(scene, scene.workloads[0])
    assert ("is in use" if in_use else "isn't there") in problem


def test_floating_ip_modes_choose_as_they_say(scene):
    (held, _), *_ = scene.destination._floating_ips.values()
    inventory = take_inventory(scene.destination)

    def floating(mode):
        return resolve(with_migration(scene.workloads[0], floating_ip_mode=mode), inventory).floating_ips

    assert floating(FloatingIpMode.SKIP) == ()
    assert floating(FloatingIpMode.EXISTING)[0].existing == held
    assert floating(FloatingIpMode.AUTO)[0].existing == held
    assert floating(FloatingIpMode.NEW)[0].existing is None
    without = replace(inventory, floating_ips=())
    auto = resolve(with_migration(scene.workloads[0], floating_ip_mode=FloatingIpMode.AUTO), without).floating_ips
    assert auto[0].existing is None
    assert auto[0].network_id is not None


def test_floating_network_must_be_external(scene):
    scene.destination._networks[0] = replace(scene.destination._networks[0], is_external=False)
    (problem,) = problems_of(scene, with_migration(scene.workloads[0], floating_ip_mode=FloatingIpMode.NEW))
    assert "external network" in problem


def test_floating_ip_of_an_address_that_no_port_has_is_refused(scene):
    workload = scene.workloads[0]
    (ip,) = workload.params.floating_ips
    lost = replace(ip, params=replace(ip.params, fixed_ip_address="10.0.0.200"))
    (problem,) = problems_of(scene, workload, floating_ips=(lost,))
    assert "no port has its fixed address 10.0.0.200" in problem
    unsaid = replace(ip, params=replace(ip.params, fixed_ip_address=None))
    resolve(
        replace(workload, params=replace(workload.params, floating_ips=(unsaid,))), take_inventory(scene.destination)
    )


@pytest.mark.parametrize(
    ("image", "flavor", "problem"),
    [
        ({"min_disk_gib": 2}, {}, "disk of 1 GiB, image 'cirros' needs 2"),
        ({"virtual_size_bytes": GIB + 1}, {}, "disk of 1 GiB, image 'cirros' needs 2"),
        ({"min_ram_mib": 513}, {}, "512 MiB of memory, image 'cirros' needs 513"),
        ({"min_ram_mib": 512}, {}, ""),
        ({"min_disk_gib": 2}, {"disk_gib": 0}, ""),  # 0 is as large as the image
    ],
)
def test_flavor_smaller_than_its_image_needs_is_refused(tmp_path, image, flavor, problem):
    scene = Scene(tmp_path, LOCAL)
    cloud = scene.destination
    (stored,) = cloud._images.values()
    stored.view = replace(stored.view, **image)
    cloud._flavors[0] = replace(cloud._flavors[0], **flavor)
    resolve(scene.workloads[0], take_inventory(cloud))  # its boot disk is a volume
    kept = with_migration(scene.workloads[0], boot_disk_copy=False)
    if problem:
        (found,) = problems_of(scene, kept)
        assert problem in found
    else:
        resolve(kept, take_inventory(cloud))


def brought(scene, *sizes_gib):
    """Return the workload with volumes of these sizes that the operator brings."""
    boot, *more = (VolumeChoice(scene.destination.add_volume("brought", size)) for size in sizes_gib)
    migration = MigrationParams(
        data_copy=False, floating_ip_mode=FloatingIpMode.SKIP, boot_volume=boot, additional_volumes=tuple(more)
    )
    return replace(scene.workloads[0], migration=migration)


@pytest.mark.parametrize("sizes_gib", [(2, 1, 2), (2, 2, 1), (3, 3, 3), (2, 1), (2, 1, 1, 1)])
def test_brought_volumes_may_be_as_large_as_those_of_the_source_or_larger_in_any_order_or_others(scene, sizes_gib):
    resolve(brought(scene, *sizes_gib), take_inventory(scene.destination))


@pytest.mark.parametrize(("sizes_gib", "wanted"), [((1, 1, 2), 2), ((2, 1, 1), 2)])
def test_brought_volume_that_is_smaller_than_its_source_is_refused(scene, sizes_gib, wanted):
    (problem,) = problems_of(scene, brought(scene, *sizes_gib))
    assert f"has 1 GiB, less than the {wanted} of the source's" in problem


def test_flavor_with_less_memory_than_a_brought_boot_volume_needs_is_refused(scene):
    workload = brought(scene, 2)
    stored = scene.destination._volumes[workload.migration.boot_volume.uuid]
    stored.view = replace(stored.view, image_metadata={"min_ram": "513"})
    (problem,) = problems_of(scene, workload)
    assert "512 MiB of memory, volume" in problem


# The source --------------------------------------------------------------------------------------------------------------


def source_of(scene, **changes):
    workload = scene.workloads[0]
    server = replace(scene.source.server(workload.id), **changes)
    return workload, server, scene.source.volumes()


@pytest.mark.parametrize(
    ("status", "stop", "count"),
    [
        (ServerStatus.SHUTOFF, False, 0),
        (ServerStatus.ACTIVE, True, 0),
        (ServerStatus.ACTIVE, False, 1),
        (ServerStatus.ERROR, True, 1),
        (ServerStatus.OTHER, True, 1),
    ],
)
def test_source_must_be_off_or_be_stopped(scene, status, stop, count):
    assert len(source_problems(*source_of(scene, status=status), stop=stop)) == count


def test_locked_source_is_refused(scene):
    assert "locked" in source_problems(*source_of(scene, locked=True), stop=True)[0].what


def test_volumes_that_changed_since_the_export_are_refused_unless_we_took_them(scene):
    workload, server, volumes = source_of(scene)
    fewer = replace(server, volumes=server.volumes[:1])
    assert "export it again" in source_problems(workload, fewer, volumes, stop=True)[0].remedy
    assert source_problems(workload, fewer, volumes, stop=True, begun=True) == []


def test_size_that_was_edited_or_has_changed_since_the_export_is_refused(scene):
    workload, server, volumes = source_of(scene)
    first, *rest = volumes
    (problem,) = source_problems(workload, server, [replace(first, size_gib=9), *rest], stop=True)
    assert "has 9 GiB, the file says 2" in problem.what


def test_encrypted_and_shared_volumes_are_refused(scene):
    workload, server, volumes = source_of(scene)
    first, second, *rest = volumes
    shared = replace(second, multiattach=True, attachments=(*second.attachments, *second.attachments))
    problems = source_problems(workload, server, [replace(first, encrypted=True), shared, *rest], stop=True)
    assert ["encrypted" in p.what for p in problems] == [True, False]
    assert "attached to other servers" in problems[1].what


def test_each_missing_host_is_a_problem():
    assert host_problems(source=True, destination=True) == []
    assert len(host_problems(source=False, destination=False)) == 2


def test_twin_is_known_by_our_tag_and_not_by_its_name(scene):
    workload = scene.workloads[0]

    def server(name, metadata):
        return Server(ServerId("x"), name, ServerStatus.ACTIVE, metadata=metadata)

    assert twin_of(workload, [server(workload.name, {})]) is None
    ours = server("renamed", {Tag.ORIGIN_KEY: workload.id})
    assert twin_of(workload, [ours]) is ours
    unfinished = server("x", {Tag.ORIGIN_KEY: workload.id, Tag.ATTEMPT_KEY: "a"})
    assert twin_of(workload, [unfinished]) is None


def test_plan_names_where_the_problem_is(scene):
    workload = scene.workloads[0]
    with pytest.raises(PlanError) as caught:
        resolve(replace(workload, params=replace(workload.params, key_name="x")), take_inventory(scene.destination))
    assert workload.id in caught.value.problems[0].where
    assert workload.name in str(caught.value)
