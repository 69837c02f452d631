"""The twin is what its source was: kept, refused beforehand, or lost because the operator said so. docs/fidelity.md names these."""

from dataclasses import replace

import pytest

from os_migrate.batch import Result
from os_migrate.errors import CloudError, PlanError
from os_migrate.events import Note
from os_migrate.files.fileformat import structure, unstructure
from os_migrate.model import (
    AddressPair,
    AttemptId,
    DhcpOption,
    Loan,
    QosPolicyId,
    ServerId,
    ServerStatus,
    Tag,
)
from os_migrate.plan import resolve
from os_migrate.preflight import check, take_inventory
from os_migrate.resources.listing import listing_of
from os_migrate.resources.workload import export
from os_migrate.steps.groups import CreateServerGroup, GroupInUse
from os_migrate.twin import boot_properties, usual_hostname
from os_migrate.workload import (
    EncryptedVolumes,
    FixedIpRef,
    Loss,
    PortCreationMode,
    PowerState,
    Ref,
    ServerGroupParams,
    Workload,
)
from tests.fakes.scene import Scene
from tests.fakes.workloads import BY_NAME, DRESSED_PORT

LOCAL = BY_NAME["image_copied_running"]  # ports by Nova, all that a port can have
PLAIN = BY_NAME["volume_boot_nova_ports"]
KEPT = BY_NAME["all_kept"]  # ports by Neutron
RICH = BY_NAME["volume_boot_two_volumes_running"]
TAG = Tag(AttemptId("a"), "CreateServerGroup:twin")


def edited(scene, *, migration=None, port=None, **params):
    """Return the workload after an edit of the file."""
    (workload,) = scene.workloads
    if port is not None:
        (only,) = workload.params.ports
        params["ports"] = (replace(only, params=replace(only.params, **port)),)
    return replace(
        workload,
        params=replace(workload.params, **params),
        migration=replace(workload.migration, **(migration or {})),
    )


def problems(scene, workload=None):
    """Return what the checks before a run find."""
    checks = check(scene.world, scene.journal, [workload or scene.workloads[0]], scene.settings)
    return [f"{p.what} ({p.remedy})" for checked in checks.workloads for p in checked.problems]


def refused(scene, workload):
    """Return why a destination can't have a workload."""
    with pytest.raises(PlanError) as caught:
        resolve(workload, take_inventory(scene.destination))
    return [f"{p.what} ({p.remedy})" for p in caught.value.problems]


def twin_of(scene):
    (twin,) = scene.twins(scene.workloads[0])
    return scene.destination.server(ServerId(twin))


def twin_port(scene):
    (port_id,) = scene.destination._machines[twin_of(scene).id].ports
    return scene.destination._ports[port_id][0]


def change_volume(scene, number, **changes):
    volume_id = scene.workloads[0].params.volumes[number].info.id
    stored = scene.source._volumes[volume_id]
    stored.view = replace(stored.view, **changes)
    scene.before = scene.picture()


def change_server(scene, **changes):
    machine = scene.source._machines[scene.workloads[0].id]
    machine.view = replace(machine.view, **changes)
    scene.before = scene.picture()


# Servers -----------------------------------------------------------------------------------------------------------------


def test_twin_has_the_words_and_switches_of_its_source(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    said = {
        "description": "a shop",
        "tags": ("red", "blue"),
        "metadata": {"owner": "päivi"},
        "config_drive": True,
        "disk_config": "MANUAL",
        "availability_zone": "nova",
    }
    scene.workloads = [edited(scene, **said)]
    scene.assert_migrated(scene.migrate())
    twin, params = twin_of(scene), scene.workloads[0].params
    assert (twin.name, twin.description, twin.tags, twin.metadata["owner"]) == (
        params.name,
        "a shop",
        ("red", "blue"),
        "päivi",
    )
    assert (twin.config_drive, twin.disk_config, twin.availability_zone) == (True, "MANUAL", "nova")
    assert (twin.key_name, twin.user_data, twin.flavor_name) == (params.key_name, params.user_data, "m1.small")
    assert set(twin.metadata) == {"owner", Tag.ORIGIN_KEY}


def test_server_is_exported_with_all_it_is(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    cloud, workload = scene.source, scene.workloads[0]
    group = cloud.create_server_group("apart", "anti-affinity", 2)
    change_server(scene, hostname="shop", group_ids=(group,), description="d", tags=("t",), config_drive=True)
    params = export(cloud.server(workload.id), [], listing_of(cloud)).params
    assert params.server_group == ServerGroupParams("apart", "anti-affinity", 2)
    assert (params.hostname, params.description, params.tags, params.config_drive) == ("shop", "d", ("t",), True)


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web 1", "web-1"),
        ("Web_1.example", "web-1-example"),
        ("päivi☃", "päivi"),
        ("☃", "Server-s1"),
        ("-a-", "a"),
        ("x" * 70, "x" * 63),
    ],
)
def test_hostname_is_told_only_where_nova_would_not_make_it_of_the_name(tmp_path, name, hostname):
    assert usual_hostname(name, "s1") == hostname
    scene = Scene(tmp_path, PLAIN)
    change_server(scene, id="s1", name=name, hostname=hostname)
    (machine,) = [m for m in scene.source._machines.values() if m.view.id == "s1"]
    assert export(machine.view, [], listing_of(scene.source)).params.hostname is None


def test_hostname_that_an_old_destination_cannot_give_is_refused(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    scene.destination.has_hostnames = False
    (problem,) = refused(scene, edited(scene, hostname="shop"))
    assert "older than 2.90" in problem


def test_hostname_is_kept(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    scene.workloads = [edited(scene, hostname="shop")]
    scene.assert_migrated(scene.migrate())
    assert twin_of(scene).hostname == "shop"


def test_locked_server_is_unlocked_if_asked_and_locked_at_the_end_as_is_its_twin(tmp_path):
    scene = Scene(tmp_path, KEPT)
    scene.assert_migrated(scene.migrate())
    assert scene.source.server(scene.workloads[0].id).locked
    assert twin_of(scene).locked


def test_locked_server_is_refused_unless_it_may_be_unlocked(tmp_path):
    scene = Scene(tmp_path, KEPT)
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, unlock_before_migration=False))
    (problem,) = problems(scene)
    assert "os_migrate_workload_unlock_before_migration" in problem


def test_failure_locks_the_source_again(tmp_path):
    scene = Scene(tmp_path, KEPT)
    scene.destination_host.corrupts = True
    (outcome,) = scene.migrate()
    assert outcome.result is Result.ROLLED_BACK
    assert scene.source.server(scene.workloads[0].id).locked
    scene.assert_as_before()


@pytest.mark.parametrize("was_locked", [True, False])
@pytest.mark.parametrize("was_running", [True, False])
def test_loan_says_whether_the_server_was_locked(tmp_path, was_running, was_locked):
    scene = Scene(tmp_path, PLAIN)
    loan = Loan(AttemptId("a"), ServerId("s"), was_running, destination="p", was_locked=was_locked)
    lent = replace(scene.source.server(scene.workloads[0].id), metadata=loan.metadata())
    assert Loan.of(lent) == loan


@pytest.mark.parametrize(
    ("power", "runs", "status"),
    [
        (PowerState.RUNNING, False, ServerStatus.ACTIVE),
        (PowerState.AS_FOUND, False, ServerStatus.SHUTOFF),
        (PowerState.AS_FOUND, True, ServerStatus.ACTIVE),
    ],
)
def test_twin_runs_unless_its_source_was_off_and_it_is_to_be_as_found(tmp_path, power, runs, status):
    scene = Scene(tmp_path, replace(PLAIN, power=power, runs=runs))
    scene.assert_migrated(scene.migrate())
    assert twin_of(scene).status is status


def test_ephemeral_disk_is_refused_unless_it_may_be_lost(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    change_server(scene, ephemeral_gib=2)
    (problem,) = problems(scene)
    assert "ephemeral disks of 2 GiB" in problem
    assert "may_lose: [ephemeral_disks]" in problem
    assert problems(scene, edited(scene, migration={"may_lose": (Loss.EPHEMERAL_DISKS,)})) == []


def test_swap_disk_is_the_flavors_or_refused_unless_it_may_be_lost(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    change_server(scene, swap_mib=512)
    (problem,) = problems(scene)
    assert "swap disk of 512 MiB, flavor 'm1.small' one of 0" in problem
    assert problems(scene, edited(scene, migration={"may_lose": (Loss.SWAP_DISK,)})) == []
    scene.destination._flavors[0] = replace(scene.destination._flavors[0], swap_mib=512)
    assert problems(scene) == []


def test_image_booted_server_stays_image_booted_where_its_boot_disk_is_not_copied(tmp_path):
    scene = Scene(tmp_path, BY_NAME["image_kept_one_volume"])
    scene.assert_migrated(scene.migrate())
    twin = twin_of(scene)
    image = next(i for i in scene.destination.images() if i.name == "cirros")
    assert twin.image_id == image.id
    assert len(twin.volumes) == 1


# Server groups -----------------------------------------------------------------------------------------------------------


GROUP = ServerGroupParams("apart", "anti-affinity")


def test_server_group_of_that_name_and_policy_is_used(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    group = scene.destination.create_server_group("apart", "anti-affinity", None)
    scene.before = scene.picture()
    scene.workloads = [edited(scene, server_group=GROUP)]
    scene.assert_migrated(scene.migrate())
    assert twin_of(scene).group_ids == (group,)
    assert len(scene.destination.server_groups()) == 1


def test_workloads_of_one_group_end_in_one_group(tmp_path):
    scene = Scene(tmp_path, LOCAL, LOCAL, LOCAL, parallel=3, pairs=1)
    scene.assert_migrated(scene.migrate())
    (group,) = scene.destination.server_groups()
    assert len(group.members) == 3


def test_server_group_that_was_made_goes_with_a_failure_unless_somebody_is_in_it(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    world, cloud = scene.world, scene.destination
    step = CreateServerGroup("twin", "apart", "anti-affinity")
    made = step.do(world, TAG)
    assert made.ours
    assert step.find(world, TAG) == made
    again = step.do(world, TAG)
    assert again == GroupInUse(made.id, ours=False)
    step.undo(world, TAG, again)
    assert [g.id for g in cloud.server_groups()] == [made.id]
    machine = next(iter(cloud._machines.values()))
    machine.view = replace(machine.view, group_ids=(made.id,))
    step.undo(world, TAG, made)
    assert [g.id for g in cloud.server_groups()] == [made.id]
    machine.view = replace(machine.view, group_ids=())
    for _ in range(2):
        step.undo(world, TAG, made)
    assert cloud.server_groups() == []


@pytest.mark.parametrize(
    ("there", "params", "wanted"),
    [
        ([("apart", "affinity")], {}, "has the policy affinity in the destination, not anti-affinity"),
        ([("apart", "anti-affinity")] * 2, {}, "is ambiguous"),
        ([], {"scheduler_hints": {"group": "g"}}, "scheduler_hints names a server group"),
    ],
)
def test_server_group_that_is_in_doubt_is_refused(tmp_path, there, params, wanted):
    scene = Scene(tmp_path, PLAIN)
    for name, policy in there:
        scene.destination.create_server_group(name, policy, None)
    (problem,) = refused(scene, edited(scene, server_group=GROUP, **params))
    assert wanted in problem


# Volumes -----------------------------------------------------------------------------------------------------------------


def test_volumes_keep_their_words_type_and_flags(tmp_path):
    scene = Scene(tmp_path, RICH)
    (workload,) = scene.workloads
    volumes = tuple(
        replace(v, params=replace(v.params, description=f"disk {n}", metadata={"backup": "daily", "n": str(n)}))
        for n, v in enumerate(workload.params.volumes)
    )
    scene.workloads = [edited(scene, volumes=volumes)]
    scene.assert_migrated(scene.migrate())
    twin, source = twin_of(scene), scene.source.server(workload.id)
    assert [v.delete_on_termination for v in twin.volumes] == [v.delete_on_termination for v in source.volumes]
    for attached, old in zip(twin.volumes, volumes, strict=True):
        copy = scene.destination.volume(attached.volume_id)
        original = scene.source.volume(old.info.id)
        assert (copy.name, copy.description) == (old.params.name, old.params.description)
        assert (copy.volume_type, copy.size_gib, copy.bootable) == (
            original.volume_type,
            original.size_gib,
            original.bootable,
        )
        assert copy.metadata == {**old.params.metadata, Tag.ORIGIN_KEY: old.info.id}
        assert boot_properties(original.image_metadata).items() <= copy.image_metadata.items()


def test_volume_is_exported_with_its_owners_metadata_only(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    change_volume(scene, 0, metadata={"backup": "daily", Tag.ORIGIN_KEY: "from an earlier move"})
    (workload,) = scene.workloads
    params = export(scene.source.server(workload.id), [], listing_of(scene.source)).params
    assert params.volumes[0].params.metadata == {"backup": "daily"}


def test_boot_disk_that_is_copied_keeps_what_it_needs_to_boot():
    kept = {
        "hw_firmware_type": "uefi",
        "hw_machine_type": "q35",
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "virtio-scsi",
        "os_type": "linux",
        "os_secure_boot": "required",
        "img_config_drive": "mandatory",
        "architecture": "x86_64",
    }
    lost = {"os_hash_algo": "sha512", "img_signature": "x", "min_ram": "0", "os_migrate_attempt": "a", "owner": "me"}
    assert boot_properties({**kept, **lost}) == kept


def test_local_boot_disk_that_is_copied_keeps_the_properties_of_its_image(tmp_path):
    scene = Scene(tmp_path, BY_NAME["image_copied_three_volumes"])
    scene.assert_migrated(scene.migrate())
    boot = scene.destination.volume(twin_of(scene).volumes[0].volume_id)
    assert boot.bootable
    assert boot.image_metadata["hw_disk_bus"] == "virtio"


def test_data_volume_keeps_its_image_properties(tmp_path):
    scene = Scene(tmp_path, RICH)
    change_volume(scene, 1, image_metadata={"hw_disk_bus": "scsi"})
    scene.assert_migrated(scene.migrate())
    copy = scene.destination.volume(twin_of(scene).volumes[1].volume_id)
    assert copy.image_metadata == {"hw_disk_bus": "scsi"}
    assert not copy.bootable


ENCRYPT, IN_PLAIN = {"encrypted_volumes": EncryptedVolumes.ENCRYPT}, {"encrypted_volumes": EncryptedVolumes.PLAIN}


@pytest.fixture
def encrypted(tmp_path):
    """A scene whose second volume, of type `fast`, is encrypted."""
    scene = Scene(tmp_path, RICH)
    change_volume(scene, 1, encrypted=True)
    return scene


def test_encrypted_volume_is_refused_unless_the_operator_says_what_becomes_of_it(encrypted):
    (problem,) = problems(encrypted)
    assert "encrypted_volumes: encrypt" in problem
    for migration in (ENCRYPT, IN_PLAIN):
        assert problems(encrypted, edited(encrypted, migration=migration)) == []
    first, second, third = encrypted.workloads[0].params.volumes
    typeless = replace(second, params=replace(second.params, volume_type=None))
    (problem,) = problems(encrypted, edited(encrypted, migration=ENCRYPT, volumes=(first, typeless, third)))
    assert "has no volume_type" in problem


def test_encrypted_volume_is_copied_into_one_that_is_too(encrypted):
    encrypted.destination.encrypting.add("fast")
    encrypted.workloads = [edited(encrypted, migration=ENCRYPT)]
    encrypted.assert_migrated(encrypted.migrate())
    volumes = [encrypted.destination.volume(v.volume_id) for v in twin_of(encrypted).volumes]
    assert [v.encrypted for v in volumes] == [False, True, True]


def test_volume_type_that_does_not_encrypt_gets_no_byte_of_an_encrypted_volume(encrypted):
    encrypted.workloads = [edited(encrypted, migration=ENCRYPT)]
    (outcome,) = encrypted.migrate()
    assert isinstance(outcome.error, CloudError)
    assert "of type 'fast' isn't" in str(outcome.error)
    assert not any(call.verb.startswith("start CopyJob") for call in encrypted.seam.hook.calls)
    encrypted.assert_as_before()


def test_encrypted_volume_is_copied_in_plain_if_the_operator_says_so(encrypted):
    encrypted.workloads = [edited(encrypted, migration=IN_PLAIN)]
    encrypted.assert_migrated(encrypted.migrate())


def test_volume_of_several_servers_needs_a_type_for_that_or_may_lose_it(tmp_path):
    scene = Scene(tmp_path, RICH)
    change_volume(scene, 1, multiattach=True)
    (problem,) = problems(scene)
    assert "volume type 'fast' isn't known to allow that" in problem
    assert problems(scene, edited(scene, migration={"may_lose": (Loss.MULTIATTACH,)})) == []
    scene.destination._volume_types[:] = [
        replace(t, multiattach=t.name == "fast") for t in scene.destination._volume_types
    ]
    assert problems(scene) == []
    scene.assert_migrated(scene.migrate())
    assert scene.destination.volume(twin_of(scene).volumes[1].volume_id).multiattach


def test_read_only_volume_is_refused_unless_that_may_be_lost(tmp_path):
    scene = Scene(tmp_path, RICH)
    change_volume(scene, 1, read_only=True)
    (problem,) = problems(scene)
    assert "is read-only" in problem
    assert problems(scene, edited(scene, migration={"may_lose": (Loss.READ_ONLY,)})) == []


# Ports -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [LOCAL, KEPT], ids=["nova", "neutron"])
def test_port_keeps_all_that_can_be_given_to_it_whoever_makes_it(tmp_path, shape):
    scene = Scene(tmp_path, shape)
    scene.assert_migrated(scene.migrate())
    port, (wanted,) = twin_port(scene), (p.params for p in scene.workloads[0].params.ports)
    assert (port.name, port.description, port.tags) == (wanted.name, wanted.description, wanted.tags)
    assert (port.is_up, port.dns_name, port.dns_domain) == (False, wanted.dns_name, wanted.dns_domain)
    assert port.allowed_address_pairs == wanted.allowed_address_pairs
    assert port.extra_dhcp_opts == wanted.extra_dhcp_opts
    assert port.qos_policy_id == scene.destination._qos_policies[0].id
    assert port.fixed_ips[0].ip_address == wanted.fixed_ips_refs[0].ip_address


def test_port_without_anything_special_is_left_as_nova_makes_it(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    scene.assert_migrated(scene.migrate())
    assert "dress_port" not in {call.verb for call in scene.seam.hook.calls}


@pytest.mark.parametrize("mode", list(PortCreationMode))
def test_port_keeps_its_own_security_groups(tmp_path, mode):
    scene = Scene(tmp_path, PLAIN)
    group = scene.destination.add_security_group("db")
    migration = {"port_creation_mode": mode}
    scene.workloads = [edited(scene, migration=migration, port={"security_group_refs": (Ref("db"),)})]
    scene.assert_migrated(scene.migrate())
    assert twin_port(scene).security_group_ids == (group.id,)


def test_security_group_of_a_port_that_is_missing_is_refused(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    (problem,) = refused(scene, edited(scene, port={"security_group_refs": (Ref("db"),)}))
    assert "there is no security group 'db'" in problem


@pytest.mark.parametrize("mode", list(PortCreationMode))
def test_port_without_port_security_has_none_and_no_groups(tmp_path, mode):
    scene = Scene(tmp_path, PLAIN)
    insecure = {"port_security_enabled": False, "security_group_refs": None}
    scene.workloads = [edited(scene, migration={"port_creation_mode": mode}, port=insecure)]
    scene.assert_migrated(scene.migrate())
    port = twin_port(scene)
    assert not port.has_port_security
    assert port.security_group_ids == ()


def test_port_without_port_security_but_with_groups_is_refused(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    both = {"port_security_enabled": False, "security_group_refs": (Ref("web"),)}
    (problem,) = refused(scene, edited(scene, port=both))
    assert "has no port security, and security groups" in problem


def test_port_of_neutron_keeps_several_addresses(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    ref = Ref("private", "%auth%", "%auth%")
    addresses = tuple(FixedIpRef(f"10.0.0.{n}", ref) for n in (77, 78, 79))
    several = edited(scene, port={"fixed_ips_refs": addresses})
    assert "set port_creation_mode: neutron" in refused(scene, several)[0]
    scene.workloads = [
        edited(scene, migration={"port_creation_mode": PortCreationMode.NEUTRON}, port={"fixed_ips_refs": addresses})
    ]
    scene.assert_migrated(scene.migrate())
    assert [ip.ip_address for ip in twin_port(scene).fixed_ips] == ["10.0.0.77", "10.0.0.78", "10.0.0.79"]


def test_address_that_follows_from_the_mac_is_not_asked_for(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    subnet = scene.destination._subnets[1]
    automatic = replace(subnet, id="v6", name="private-v6", cidr="2001:db8::/64", assigns_itself=True)
    scene.destination._subnets.append(automatic)
    ref = Ref("private-v6", "%auth%", "%auth%")
    both = (*scene.workloads[0].params.ports[0].params.fixed_ips_refs, FixedIpRef("2001:db8::f816:3eff:fe00:1", ref))
    target = resolve(edited(scene, port={"fixed_ips_refs": both}), take_inventory(scene.destination))
    assert [ip.subnet_id for ip in target.ports[0].fixed_ips] == [subnet.id]


def test_vnic_type_that_nova_would_lose_is_refused_unless_it_may_be_lost(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    direct = edited(scene, port={"binding_vnic_type": "direct"})
    (problem,) = refused(scene, direct)
    assert "set port_creation_mode: neutron" in problem
    may = replace(direct, migration=replace(direct.migration, may_lose=(Loss.VNIC_TYPE,)))
    resolve(may, take_inventory(scene.destination))
    by_neutron = replace(direct, migration=replace(direct.migration, port_creation_mode=PortCreationMode.NEUTRON))
    assert resolve(by_neutron, take_inventory(scene.destination)).ports[0].vnic_type == "direct"


def test_mac_address_that_nova_loses_is_told(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    told = []
    scene.events.subscribe(lambda event: told.append(event.text) if isinstance(event, Note) else None)
    scene.assert_migrated(scene.migrate())
    mac = scene.workloads[0].params.ports[0].params.mac_address
    assert [text for text in told if f"its MAC address isn't {mac} any more" in text]


@pytest.mark.parametrize(
    ("extension", "key"),
    [
        ("allowed-address-pairs", "allowed_address_pairs"),
        ("extra_dhcp_opt", "extra_dhcp_opts"),
        ("dns-integration", "dns_name"),
        ("dns-domain-ports", "dns_domain"),
        ("standard-attr-tag", "tags"),
        ("qos", "qos_policy_ref"),
    ],
)
def test_what_the_destinations_neutron_does_not_know_is_refused(tmp_path, extension, key):
    scene = Scene(tmp_path, PLAIN)
    workload = edited(scene, port={key: DRESSED_PORT[key]})
    resolve(workload, take_inventory(scene.destination))
    scene.destination.extensions = scene.destination.extensions - {extension}
    (problem,) = refused(scene, workload)
    assert f"has {key}, which Neutron in the destination doesn't know ({extension}) (remove {key})" in problem


def test_qos_policy_that_is_missing_is_refused(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    (problem,) = refused(scene, edited(scene, port={"qos_policy_ref": Ref("fast")}))
    assert "there is no QoS policy 'fast'" in problem


def test_port_is_exported_with_all_it_is(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    cloud, (workload,) = scene.source, scene.workloads
    (port_id,) = cloud._machines[workload.id].ports
    port, born = cloud._ports[port_id]
    pairs, options = (AddressPair("10.0.0.9"),), (DhcpOption("mtu", "1400"),)
    dressed = replace(
        port,
        name="front",
        description="d",
        tags=("t",),
        is_up=False,
        has_port_security=False,
        security_group_ids=(),
        allowed_address_pairs=pairs,
        extra_dhcp_opts=options,
        dns_name="other",
        dns_domain="example.org.",
        qos_policy_id=QosPolicyId(cloud._qos_policies[0].id),
    )
    cloud._ports[port_id] = (dressed, born)
    (exported,) = export(cloud.server(workload.id), [], listing_of(cloud)).params.ports
    params = exported.params
    assert (params.name, params.description, params.tags, params.admin_state_up) == ("front", "d", ("t",), False)
    assert (params.port_security_enabled, params.allowed_address_pairs) == (False, pairs)
    assert (params.extra_dhcp_opts, params.dns_name, params.dns_domain) == (options, "other", "example.org.")
    assert params.qos_policy_ref is not None
    assert params.qos_policy_ref.name == "slow"


def test_dns_name_that_nova_gives_is_not_told(tmp_path):
    scene = Scene(tmp_path, PLAIN)
    (port_id,) = scene.source._machines[scene.workloads[0].id].ports
    port, born = scene.source._ports[port_id]
    scene.source._ports[port_id] = (replace(port, dns_name="web-0"), born)
    (exported,) = export(scene.source.server(scene.workloads[0].id), [], listing_of(scene.source)).params.ports
    assert exported.params.dns_name is None


def test_floating_ip_keeps_its_words_tags_and_qos(tmp_path):
    scene = Scene(tmp_path, KEPT)
    scene.assert_migrated(scene.migrate())
    (ip,) = [f for f in scene.destination.floating_ips() if f.port_id == twin_port(scene).id]
    (wanted,) = (f.params for f in scene.workloads[0].params.floating_ips)
    assert (ip.description, ip.tags, ip.dns_name, ip.dns_domain) == (
        "the front door",
        ("front",),
        "www",
        "example.org.",
    )
    assert wanted.tags == ip.tags
    assert ip.qos_policy_id == scene.destination._qos_policies[0].id


# The file ----------------------------------------------------------------------------------------------------------------


def test_additions_of_ours_are_in_the_file_only_where_they_say_something(tmp_path):
    plain = unstructure(replace(Scene(tmp_path, PLAIN).workloads[0]))
    assert set(plain["_migration_params"]) == {
        "boot_disk_copy",
        "data_copy",
        "floating_ip_mode",
        "port_creation_mode",
        "boot_volume_params",
        "boot_volume",
        "additional_volumes",
    }
    assert not {"hostname", "server_group"} & set(plain["params"])
    assert set(plain["params"]["volumes"][0]["params"]) == {
        "name",
        "description",
        "availability_zone",
        "volume_type",
        "volume_image_metadata",
    }
    assert not set(DRESSED_PORT) & set(plain["params"]["ports"][0]["params"])


def test_file_with_all_additions_is_read_as_it_was_written(tmp_path):
    scene = Scene(tmp_path, KEPT)
    losses = {"may_lose": tuple(Loss), "encrypted_volumes": EncryptedVolumes.PLAIN}
    workload = edited(scene, migration=losses, port={"port_security_enabled": False, "allowed_address_pairs": ()})
    written = unstructure(workload)
    assert written["_migration_params"]["may_lose"] == list(map(str, Loss))
    assert written["params"]["server_group"] == {"name": "apart", "policy": "anti-affinity", "max_server_per_host": 2}
    assert structure(Workload, written) == workload


@pytest.mark.parametrize(
    ("section", "key", "value", "wanted"),
    [
        ("_migration_params", "may_lose", ["everything"], "must be one of ephemeral_disks"),
        ("_migration_params", "encrypted_volumes", "maybe", "must be one of refuse"),
        ("params", "hostname", "a.b", "must have 2 to 63 letters"),
        ("params", "server_group", {"name": "g"}, "is missing"),
    ],
)
def test_additions_are_read_strictly(tmp_path, section, key, value, wanted):
    written = unstructure(Scene(tmp_path, PLAIN).workloads[0])
    written[section][key] = value
    faults = structure(Workload, written)
    assert isinstance(faults, list)
    assert wanted in faults[0].what
