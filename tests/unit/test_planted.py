"""Problems that are planted are found, all at once, by `plan` and by `migrate` alike, and nothing is touched."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from os_migrate import batch
from os_migrate.batch import Result
from os_migrate.errors import PlanError, Problem
from os_migrate.model import ApiVersions, Quoted, ServerId, ServerStatus, Side
from os_migrate.planning import make_plan
from os_migrate.workload import FixedIpRef, FloatingIpMode, Ref, WorkloadVolume
from os_migrate.world import UnusableHost
from tests.fakes.cloud import FakeCloud
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.workloads import Boot, Shape

ONE = Shape("one", boot=Boot.VOLUME, data_volumes=1, floating_ip=FloatingIpMode.NEW)


@dataclass(frozen=True)
class Planted:
    """A problem: how it is made, of the workload of a number, and what is to be said of it."""

    name: str
    plant: Callable[[Scene, int], None]
    where: str
    what: str

    def __str__(self) -> str:
        return self.name

    def is_in(self, problems: list[Problem]) -> bool:
        return any(self.where in p.where and self.what in p.what and p.remedy for p in problems)


def edit(scene: Scene, number: int, **changes: object) -> None:
    workload = scene.workloads[number]
    scene.workloads[number] = replace(workload, params=replace(workload.params, **changes))


def edit_port(scene: Scene, number: int, **changes: object) -> None:
    (port,) = scene.workloads[number].params.ports
    edit(scene, number, ports=(replace(port, params=replace(port.params, **changes)),))


def edit_server(scene: Scene, number: int, **changes: object) -> None:
    machine = scene.source._machines[scene.workloads[number].id]
    machine.view = replace(machine.view, **changes)


def edit_volume(scene: Scene, number: int, which: int, **changes: object) -> None:
    stored = scene.source._volumes[scene.workloads[number].params.volumes[which].info.id]
    stored.view = replace(stored.view, **changes)


def twice(scene: Scene, number: int) -> None:
    scene.destination.add_flavor("twice")
    scene.destination.add_flavor("twice")
    edit(scene, number, flavor_ref=Ref("twice"))


def taken_address(scene: Scene, number: int) -> None:
    (port,) = scene.workloads[number].params.ports
    scene.destination.port_with(scene.destination._networks[1], port.params.fixed_ips_refs[0].ip_address)


def taken_mac(scene: Scene, number: int) -> None:
    (port,) = scene.workloads[number].params.ports
    new = scene.destination.port_with(scene.destination._networks[1], f"10.0.9.{number + 1}")
    scene.destination._set_port(new, mac_address=(port.params.mac_address or "").upper())


def floating_ip_that_is_not_there(scene: Scene, number: int) -> None:
    workload = scene.workloads[number]
    scene.workloads[number] = replace(
        workload, migration=replace(workload.migration, floating_ip_mode=FloatingIpMode.EXISTING)
    )


def too_many_disks(scene: Scene, number: int) -> None:
    """Give a server a third disk, and let hosts take two."""
    scene.let_hosts_take(2)
    workload = scene.workloads[number]
    new = scene.source.add_volume("third", 1)
    scene.source._attach(workload.id, new, delete_on_termination=False, doomed=False)
    last = workload.params.volumes[-1]
    third = WorkloadVolume(replace(last.params, name="third"), replace(last.info, id=new))
    edit(scene, number, volumes=(*workload.params.volumes, third))


def old_nova(scene: Scene, number: int) -> None:
    scene.destination.offers = ApiVersions(compute="2.40")
    edit(scene, number, tags=("blue",))


def no_room(side: str, of: Quoted, volume_type: str = "") -> Callable[[Scene, int], None]:
    """Let a quota be used up."""

    def plant(scene: Scene, _: int) -> None:
        cloud: FakeCloud = getattr(scene, side)
        cloud.limits[of, volume_type] = cloud._used(of, volume_type)

    return plant


def small_volumes_only(scene: Scene, _: int) -> None:
    scene.destination.limits[Quoted.VOLUME_SIZE, ""] = 1


def lacks_a_tool(scene: Scene, _: int) -> None:
    scene.destination_host.lacks = ("nbdcopy",)


PLANTED = (
    Planted("missing flavor", lambda s, n: edit(s, n, flavor_ref=Ref("huge")), "workload", "no flavor 'huge'"),
    Planted("ambiguous flavor", twice, "workload", "flavor 'twice' is ambiguous"),
    Planted(
        "missing network", lambda s, n: edit_port(s, n, network_ref=Ref("nonet")), "workload", "no network 'nonet'"
    ),
    Planted("missing key", lambda s, n: edit(s, n, key_name="bob"), "workload", "no key pair 'bob'"),
    Planted("taken address", taken_address, "workload", "is taken by port"),
    Planted("taken MAC", taken_mac, "workload", "MAC address fa:16:3e:aa:bb"),
    Planted(
        "address of another subnet",
        lambda s, n: edit_port(s, n, fixed_ips_refs=(FixedIpRef("192.0.2.1", Ref("private")),)),
        "workload",
        "address 192.0.2.1 isn't one of subnet 10.0.0.0/16",
    ),
    Planted("floating IP gone", floating_ip_that_is_not_there, "workload", "isn't there in the destination"),
    Planted(
        "volume that grew", lambda s, n: edit_volume(s, n, 1, size_gib=7), "workload", "has 7 GiB, the file says 1"
    ),
    Planted("encrypted", lambda s, n: edit_volume(s, n, 1, encrypted=True), "workload", "is encrypted"),
    Planted("volume in error", lambda s, n: edit_volume(s, n, 1, status="error"), "workload", "data 0 is error"),
    Planted("locked", lambda s, n: edit_server(s, n, locked=True), "workload", "it is locked"),
    Planted(
        "not stopped",
        lambda s, n: edit_server(s, n, status=ServerStatus.ACTIVE, raw_status="ACTIVE"),
        "workload",
        "it is running",
    ),
    Planted(
        "paused", lambda s, n: edit_server(s, n, status=ServerStatus.OTHER, raw_status="PAUSED"), "workload", "PAUSED"
    ),
    Planted(
        "server gone",
        lambda s, n: s.workloads.__setitem__(
            n, replace(s.workloads[n], info=replace(s.workloads[n].info, id=ServerId("gone")))
        ),
        "server",
        "there is no server gone",
    ),
    Planted("more disks than slots", too_many_disks, "conversion hosts", "each takes 2 disks, and 3 are to be copied"),
    Planted(
        "old Nova", old_nova, "workload", "it has tags, which the destination's Nova takes since 2.52; it offers 2.40"
    ),
    Planted("tool", lacks_a_tool, "destination conversion host", "it lacks nbdcopy"),
    Planted("volume too large", small_volumes_only, "destination project", "a volume may have 1 GiB there"),
    *(
        Planted(f"{side} {of}", no_room(side, of), f"{side} project", f"its quota of {of.value}")
        for side, kinds in (
            ("source", (Quoted.VOLUMES, Quoted.GIGABYTES, Quoted.SNAPSHOTS)),
            (
                "destination",
                (
                    Quoted.VOLUMES,
                    Quoted.GIGABYTES,
                    Quoted.INSTANCES,
                    Quoted.CORES,
                    Quoted.RAM,
                    Quoted.PORTS,
                    Quoted.FLOATING_IPS,
                ),
            ),
        )
        for of in kinds
    ),
    Planted(
        "volumes of a type",
        no_room("destination", Quoted.VOLUMES, "fast"),
        "destination project",
        "its quota of volumes of type 'fast'",
    ),
)


def found_by_migrate(scene: Scene) -> list[Problem]:
    """Return what `migrate` refuses all workloads for."""
    outcomes = batch.migrate(scene.world, scene.journal, scene.workloads, scene.settings)
    assert {o.result for o in outcomes} == {Result.FAILED}
    assert all(isinstance(o.error, PlanError) for o in outcomes)
    assert {o.exit_code for o in outcomes} == {2}
    return list(dict.fromkeys(p for o in outcomes if isinstance(o.error, PlanError) for p in o.error.problems))


def found_untouched(scene: Scene) -> list[Problem]:
    """Return what `plan` finds; check that `migrate` finds the same, and that neither touches anything."""
    before, scene.seam.hook = scene.picture(), Hook()
    problems = list(make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems)
    assert found_by_migrate(scene) == problems
    assert [str(call) for call in scene.seam.hook.calls if call.mutates] == []
    assert scene.picture() == before
    assert scene.journal.attempts() == []
    assert not any(host.units or host.held for host in scene.hosts)
    return problems


def test_nothing_that_was_not_planted_is_found(tmp_path):
    scene = Scene(tmp_path, ONE)
    assert make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems == ()


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_planted_problem_is_found_alone_by_plan_and_by_migrate(tmp_path, planted):
    scene = Scene(tmp_path, ONE)
    planted.plant(scene, 0)
    problems = found_untouched(scene)
    assert planted.is_in(problems), problems


def test_more_than_twenty_planted_problems_are_all_found_at_once_before_anything_is_touched(tmp_path):
    assert len(PLANTED) > 20
    scene = Scene(tmp_path, *[ONE] * len(PLANTED))
    for number, planted in enumerate(PLANTED):
        planted.plant(scene, number)
    problems = found_untouched(scene)
    assert [str(planted) for planted in PLANTED if not planted.is_in(problems)] == []
    assert [str(p) for p in problems if not p.remedy] == []


def test_what_fits_the_quotas_exactly_can_start_and_is_migrated(tmp_path):
    """The quotas that a plan asks for are those that a migration needs: the fake clouds refuse what goes beyond them."""
    scene = Scene(tmp_path, ONE, Shape("local", data_volumes=1, floating_ip=FloatingIpMode.NEW), ONE)
    needed = {
        ("source", Quoted.VOLUMES): 1,
        ("source", Quoted.SNAPSHOTS): 1,
        ("source", Quoted.GIGABYTES): 4,  # a snapshot of 2 GiB, and a volume from it
        ("destination", Quoted.INSTANCES): 3,
        ("destination", Quoted.CORES): 3,
        ("destination", Quoted.RAM): 3 * 512,
        ("destination", Quoted.VOLUMES): 6,
        ("destination", Quoted.GIGABYTES): 3 + 2 + 3,
        ("destination", Quoted.PORTS): 3,
        ("destination", Quoted.FLOATING_IPS): 3,
    }
    for (side, of), amount in needed.items():
        cloud: FakeCloud = getattr(scene, side)
        cloud.limits[of, ""] = cloud._used(of, "") + amount
    limits = dict(scene.source.limits), dict(scene.destination.limits)
    assert make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems == ()
    for (side, of), amount in needed.items():  # one less of any is too few
        cloud = getattr(scene, side)
        cloud.limits[of, ""] -= 1
        (problem,) = make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems
        assert f"{amount} more are needed" in problem.what
        assert "raised by 1, to " in problem.remedy
        cloud.limits[of, ""] += 1
    assert (scene.source.limits, scene.destination.limits) == limits
    scene.assert_migrated(scene.migrate())


def test_volumes_of_another_type_do_not_count_for_the_quota_of_a_type(tmp_path):
    scene = Scene(tmp_path, ONE)
    no_room("destination", Quoted.VOLUMES, "fast")(scene, 0)
    scene.destination.limits[Quoted.VOLUMES, "fast"] += 1  # of the two that are made, one is of that type
    assert found_by_plan(scene) == []


def test_snapshots_count_for_as_many_servers_as_are_migrated_at_once(tmp_path):
    scene = Scene(tmp_path, *[ONE] * 3, parallel=2)
    scene.source.limits[Quoted.SNAPSHOTS, ""] = 1
    (problem,) = make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems
    assert "2 more are needed, 2 of them for a while, for 2 servers at once: 1 too many" in problem.what
    assert "os_migrate_workloads_parallel" in problem.remedy
    scene.close()


def test_quota_that_the_cloud_does_not_tell_stops_nothing_and_is_named(tmp_path):
    scene = Scene(tmp_path, ONE)
    scene.destination.untold_quotas = {Quoted.PORTS, Quoted.CORES}
    plan = make_plan(scene.world, scene.journal, scene.workloads, scene.settings)
    assert plan.problems == ()
    (told,) = plan.unchecked
    assert told.startswith("the destination doesn't tell its quotas of cores, ports")


def test_quotas_are_not_looked_at_where_the_settings_say_so(tmp_path):
    scene = Scene(tmp_path, ONE)
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, check_quotas=False))
    scene.destination.limits[Quoted.PORTS, ""] = 0
    plan = make_plan(scene.world, scene.journal, scene.workloads, scene.settings)
    assert plan.problems == ()
    assert plan.unchecked == ("quotas are not checked, as os_migrate_check_quotas says",)


def test_host_that_cannot_be_used_is_one_problem_and_not_said_to_be_absent(tmp_path):
    scene = Scene(tmp_path, ONE)
    problem = Problem("destination conversion host 'conv'", "it has no address", "deploy it again")
    unusable = UnusableHost(1, Side.DESTINATION, problem)
    world = replace(scene.world, destination_host=None, unusable_hosts=(unusable,))
    assert make_plan(world, scene.journal, scene.workloads, scene.settings).problems == (problem,)


def test_cloud_without_cinder_is_told_before_anything_else_is_asked(tmp_path):
    scene = Scene(tmp_path, ONE)
    scene.destination.offers = ApiVersions(missing=("block-storage",))
    for act in (make_plan, batch.migrate):
        with pytest.raises(PlanError, match="destination cloud: its catalog has no block-storage service"):
            act(scene.world, scene.journal, scene.workloads, scene.settings)


def test_server_without_ports_is_refused_where_nova_would_give_it_one(tmp_path):
    scene = Scene(tmp_path, Shape("bare", data_volumes=1))
    edit(scene, 0, ports=())
    assert found_by_plan(scene) == []
    scene.destination.offers = ApiVersions(compute="2.36")
    (problem,) = found_by_plan(scene)
    assert "it has no ports" in problem


def found_by_plan(scene: Scene) -> list[str]:
    return [p.what for p in make_plan(scene.world, scene.journal, scene.workloads, scene.settings).problems]


def test_ephemeral_disk_is_warned_of(tmp_path):
    scene = Scene(tmp_path, ONE)
    scene.source._flavors[0] = replace(scene.source._flavors[0], ephemeral_gib=5)
    (server,) = make_plan(scene.world, scene.journal, scene.workloads, scene.settings).servers
    assert server.checked.problems == ()
    assert "its ephemeral disk of 5 GiB is not copied" in server.checked.warnings[0]


@pytest.mark.parametrize(("version", "warned"), [("2.78", True), ("2.79", False)])
def test_source_that_cannot_give_back_the_flag_of_a_volume_is_warned_of(tmp_path, version, warned):
    scene = Scene(tmp_path, Shape("two", data_volumes=2))  # the second goes with its server
    scene.source.offers = ApiVersions(compute=version)
    (server,) = make_plan(scene.world, scene.journal, scene.workloads, scene.settings).servers
    assert ["too old to give volumes back" in text for text in server.checked.warnings] == [True] * warned
