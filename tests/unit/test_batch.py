import os
import signal
from collections import Counter
from dataclasses import replace

import pytest

from os_migrate import batch, cleanup
from os_migrate.batch import Result
from os_migrate.errors import (
    CloudError,
    HostUnreachable,
    Interrupted,
    JournalFailed,
    OSMigrateError,
    PlanError,
    RollbackIncomplete,
    SourceChanged,
    UserError,
)
from os_migrate.events import WorkloadEnded, WorkloadStarted
from os_migrate.journal import AttemptState, Journal
from os_migrate.model import ServerStatus
from os_migrate.preflight import check
from os_migrate.settings import Order
from os_migrate.world import HostPair
from tests.crash.instants import KillAt, die
from tests.fakes.cloud import FakeCloud
from tests.fakes.scene import Scene
from tests.fakes.seam import Call, Hook
from tests.fakes.workloads import BY_NAME, SHAPES, Boot, Shape

RICH = BY_NAME["volume_boot_two_volumes_running"]
LOCAL = BY_NAME["image_copied_running"]
PLAIN = BY_NAME["image_kept_one_volume"]


class FailVerb(Hook):
    """Let calls of one verb fail, from the first on."""

    def __init__(self, verb: str, error: BaseException, times: int = 10**6, skip: int = 0) -> None:
        super().__init__()
        self.verb, self.error, self.times, self.skip = verb, error, times, skip

    def before(self, call: Call) -> None:
        super().before(call)
        if call.verb == self.verb:
            self.skip -= 1
            if self.skip < 0 < self.times:
                self.times -= 1
                raise self.error


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path, RICH)


def results(outcomes):
    return [o.result for o in outcomes]


def test_second_run_changes_nothing_and_says_so(scene):
    scene.migrate()
    after = scene.picture()
    hook = Hook()
    (outcome,) = scene.migrate(hook)
    assert outcome.result is Result.SKIPPED
    assert "already migrated" in outcome.detail
    assert scene.picture() == after
    assert not [str(c) for c in hook.calls if c.mutates]


def test_several_workloads_are_migrated_one_after_another(tmp_path):
    scene = Scene(tmp_path, RICH, LOCAL, PLAIN)
    scene.assert_migrated(scene.migrate())


def test_one_that_fails_stops_nobody_else_and_is_as_before(tmp_path):
    scene = Scene(tmp_path, LOCAL, RICH, PLAIN)
    outcomes = scene.migrate(FailVerb("create_server", CloudError("no valid host"), times=1, skip=1))
    assert results(outcomes) == [Result.MIGRATED, Result.ROLLED_BACK, Result.MIGRATED]
    assert "no valid host" in outcomes[1].detail
    failed = scene.workloads[1]
    assert not scene.twins(failed)
    assert scene.source.server(failed.id).status is ServerStatus.ACTIVE
    scene.assert_nothing_left()


def test_unresolved_workload_is_refused_before_anything_is_touched(scene):
    workload = scene.workloads[0]
    scene.workloads[0] = replace(workload, params=replace(workload.params, key_name="bob"))
    (outcome,) = scene.migrate()
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, PlanError)
    assert scene.journal.attempts() == []
    scene.assert_as_before()


def test_server_that_is_gone_is_refused(scene):
    workload = scene.workloads[0]
    scene.workloads[0] = replace(workload, info=replace(workload.info, id="gone"))
    (outcome,) = batch.migrate(scene.world, scene.journal, scene.workloads, scene.settings)
    assert "there is no server gone" in outcome.detail


def test_conversion_host_is_skipped(scene):
    workload = scene.workloads[0]
    host = replace(workload, info=replace(workload.info, id=scene.source_host.server_id))
    (outcome,) = batch.migrate(scene.world, scene.journal, [host], scene.settings)
    assert outcome.result is Result.SKIPPED


@pytest.mark.parametrize("number", [40, 150, 250, 330])
def test_unfinished_attempt_is_refused_with_the_commands_that_end_it(scene, number):
    die(scene.migrate, number)
    assert scene.journal.unfinished()
    (outcome,) = scene.migrate()
    assert outcome.result is Result.FAILED
    assert "os-migrate resume" in outcome.detail
    assert "os-migrate rollback" in outcome.detail


def test_twin_of_an_unfinished_attempt_does_not_count_as_migrated(scene):
    hook = Hook()
    scene.migrate(hook)
    last_untag = max(n for n, c in enumerate(hook.calls) if c.verb == "set_server_metadata") + 1
    scene = Scene(_fresh(scene), RICH)
    die(scene.migrate, last_untag)
    assert scene.state is AttemptState.COMMITTED
    (outcome,) = scene.migrate()
    assert outcome.result is Result.FAILED
    assert "unfinished" in outcome.detail


def _fresh(scene):
    directory = scene.settings.data_dir / "again"
    directory.mkdir()
    return directory


def test_finished_attempts_are_neither_resumed_nor_rolled_back(scene):
    scene.migrate()
    before = scene.picture()
    for act in (batch.resume, batch.rollback):
        args = [scene.workloads] if act is batch.resume else []
        with pytest.raises(UserError, match="finished already"):
            act(scene.world, scene.journal, scene.journal.attempts(), *args, scene.settings)
    assert scene.picture() == before


def test_committed_attempt_is_not_rolled_back(scene):
    die(scene.migrate, _instant_of(scene, AttemptState.COMMITTED))
    assert scene.state is AttemptState.COMMITTED
    with pytest.raises(UserError, match="already running in the destination"):
        scene.rollback()
    scene.assert_migrated(scene.resume())


def _instant_of(scene, state):
    """Return the number of the call after which an attempt has a state, from a scene of its own."""
    other = Scene(_fresh(scene), *scene.shapes)

    class Watch(Hook):
        found = None

        def before(self, call):
            if self.found is None and other.state is state:
                self.found = len(self.calls)
            super().before(call)

    watch = Watch()
    other.migrate(watch)
    assert watch.found is not None
    return watch.found


@pytest.mark.parametrize("act", ["resume", "rollback", "cleanup"])
@pytest.mark.parametrize("number", [150, 330])
def test_attempt_is_not_ended_with_another_destination_project_than_it_began_with(scene, number, act):
    """There nothing of it is found: the source would run beside its twin."""
    die(scene.migrate, number)
    (attempt,) = scene.journal.unfinished()
    ours = scene.destination
    scene.destination = FakeCloud("elsewhere", scene.clock, scene.seam)
    scene.seam.hook = hook = Hook()
    if act == "cleanup":
        scene.destination_host.held.clear()
        scene.source_host.held.clear()
        (found,) = cleanup.find(replace(scene.world, destination_host=None), (), although_held=[attempt.id])
        assert "into the destination project project-destination, not into project-elsewhere" in found.problem
        assert not found.ready
    else:
        with pytest.raises(UserError, match="into another destination project than project-elsewhere") as caught:
            getattr(scene, act)(hook)
        assert "project-destination" in caught.value.remedy
    assert not [str(c) for c in hook.calls if c.mutates]
    scene.destination = ours
    scene.assert_migrated(scene.resume())


def test_resume_wants_the_workload_in_the_file(scene):
    die(scene.migrate, 60)
    scene.workloads.clear()
    with pytest.raises(UserError, match=r"not in workloads\.yml"):
        scene.resume()
    scene.rollback()
    assert scene.state is AttemptState.ROLLED_BACK


def test_failure_can_be_left_as_it_is_and_rolled_back_later(scene):
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, cleanup_on_failure=False))
    (outcome,) = scene.migrate(FailVerb("create_server", CloudError("no valid host")))
    assert outcome.result is Result.FAILED
    assert scene.state is AttemptState.FAILED
    assert scene.destination_host.units == {}
    scene.rollback()
    scene.assert_as_before()


def test_failure_that_was_left_as_it_is_is_never_continued(scene):
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, cleanup_on_failure=False))
    scene.migrate(FailVerb("create_server", CloudError("no valid host")))
    assert results(scene.resume()) == [Result.ROLLED_BACK]
    scene.assert_as_before()


def test_first_error_is_told_before_what_the_undo_met(scene):
    class Both(FailVerb):
        def before(self, call):
            super().before(call)
            if call.verb == "attach_volume" and self.times == 0:
                raise CloudError("does not attach")

    (outcome,) = scene.migrate(Both("create_server", CloudError("no valid host"), times=1))
    assert outcome.result is Result.ROLLBACK_INCOMPLETE
    assert str(outcome.error) == "no valid host"
    assert isinstance(outcome.later_error, RollbackIncomplete)
    assert outcome.detail.index("no valid host") < outcome.detail.index("does not attach")
    assert "openstack server add volume" in outcome.detail
    assert scene.journal.attempts()[-1].error.startswith("no valid host")


def test_fault_of_ours_in_the_undo_of_one_stops_nobody_else(tmp_path, monkeypatch):
    scene = Scene(tmp_path, LOCAL, RICH, PLAIN)

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(batch.flow, "roll_back", broken)
    outcomes = scene.migrate(FailVerb("create_server", CloudError("no valid host"), times=1, skip=1))
    assert results(outcomes) == [Result.MIGRATED, Result.ROLLBACK_INCOMPLETE, Result.MIGRATED]
    assert "no valid host" in outcomes[1].detail
    assert "ZeroDivisionError" in outcomes[1].detail


@pytest.mark.parametrize("error", [CloudError("the destination is away"), ZeroDivisionError()], ids=["ours", "any"])
def test_migration_that_cannot_begin_anew_in_a_resume_stops_nobody_else(tmp_path, monkeypatch, error):
    scene = Scene(tmp_path, RICH, LOCAL)
    first, second = scene.workloads
    for workload in scene.workloads:
        die(lambda hook, w=workload: begin(scene, w, hook), 120)
    scene.seam.hook = Hook()
    scene.clock.sleep(60)
    scene.source.start_server(first.id)
    scene.clock.sleep(60)
    scene.source.stop_server(first.id)
    scene.clock.sleep(60)

    def broken(*_):
        raise error

    monkeypatch.setattr(batch, "check", broken)
    outcomes = scene.resume()
    assert results(outcomes) == [Result.ROLLED_BACK, Result.MIGRATED]
    assert isinstance(outcomes[0].error, SourceChanged)
    assert (str(error) or "ZeroDivisionError") in outcomes[0].detail
    assert scene.source.server(first.id).status is ServerStatus.ACTIVE
    assert scene.twins(second)


def begin(scene, workload, hook):
    scene.seam.hook = hook
    batch.migrate(scene.world, scene.journal, [workload], scene.settings)


def test_display_that_fails_stops_no_migration(scene):
    def dead(event):
        heard.append(event)
        raise BrokenPipeError(32, "Broken pipe")

    heard, others = [], []
    scene.events.subscribe(dead)
    scene.events.subscribe(others.append)
    scene.assert_migrated(scene.migrate())
    assert others == heard
    assert "Broken pipe" in scene.events.failure


def test_server_does_not_run_without_its_volumes_after_an_incomplete_rollback(scene):
    class NeverAttach(FailVerb):
        def before(self, call):
            super().before(call)
            if call.verb == "attach_volume" and self.times == 0:
                raise CloudError("does not attach")

    scene.migrate(NeverAttach("create_server", CloudError("no valid host"), times=1))
    server = scene.source.server(scene.workloads[0].id)
    assert len(server.volumes) == 1
    assert server.status is ServerStatus.SHUTOFF
    assert results(scene.rollback()) == [Result.ROLLED_BACK]
    scene.assert_as_before()


def test_server_does_not_run_while_its_twin_cannot_be_deleted(scene):
    class NeverDelete(FailVerb):
        def before(self, call):
            super().before(call)
            if call.where == "destination" and call.verb in {"server", "delete_server"}:
                raise CloudError("does not go, and is not told of")

    (outcome,) = scene.migrate(NeverDelete("", CloudError("")))
    assert outcome.result is Result.ROLLBACK_INCOMPLETE
    scene.seam.hook = Hook()
    scene.clock.sleep(300)
    (twin,) = scene.twins(scene.workloads[0])
    assert scene.destination.server(twin).status is ServerStatus.ACTIVE
    assert scene.source.server(scene.workloads[0].id).status is ServerStatus.SHUTOFF
    assert results(scene.rollback()) == [Result.ROLLED_BACK]
    scene.assert_as_before()


@pytest.mark.parametrize("number", range(30, 380, 37))
def test_ctrl_c_names_the_command_that_resumes(scene, number):
    with pytest.raises(Interrupted) as caught:
        scene.migrate(StopAt(number))
    assert "os-migrate resume" in caught.value.remedy
    scene.assert_migrated(scene.resume())


class StopAt(KillAt):
    """Press Ctrl-C before the call of the given number."""

    def before(self, call):
        if len(self.calls) == self.number:
            self.calls.append(call)
            raise KeyboardInterrupt
        super().before(call)


def test_ctrl_c_names_only_what_was_in_progress(tmp_path):
    scene = Scene(tmp_path, RICH, LOCAL, PLAIN)
    looked_at, died, third = scene.workloads
    keep = replace(scene.settings, workloads=replace(scene.settings.workloads, cleanup_on_failure=False))
    scene.seam.hook = FailVerb("create_server", CloudError("no valid host"))
    batch.migrate(scene.world, scene.journal, [looked_at], keep)
    die(lambda hook: begin(scene, died, hook), 60)
    with pytest.raises(Interrupted) as caught:
        begin(scene, third, StopAt(60))
    attempt = scene.journal.attempts(third.id)[-1]
    assert caught.value.what == f"stopped while {third.name} was in progress"
    assert caught.value.remedy == f"`os-migrate resume {attempt.id}`"
    scene._restart(StopAt(20))
    with pytest.raises(Interrupted) as caught:
        batch.rollback(scene.world, scene.journal, scene.journal.attempts(died.id), scene.settings)
    assert caught.value.what == f"stopped while {died.name} was in progress"


def test_ctrl_c_before_anything_began_names_nothing_to_resume(scene):
    scene.seam.hook = Hook()
    with pytest.raises(Interrupted) as caught:
        batch._at_once(scene.world, scene.journal, scene.settings, [batch.Work(stop)])
    assert caught.value.what == "stopped before anything was in progress"
    assert "resume" not in caught.value.remedy


def stop(_pair):
    raise KeyboardInterrupt


def test_ctrl_c_in_the_undo_of_a_failure_names_it_too(scene):
    class FailThenInterrupt(FailVerb):
        def before(self, call):
            super().before(call)
            if call.verb == "attach_volume" and self.times == 0:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        scene.migrate(FailThenInterrupt("create_server", CloudError("no valid host"), times=1))
    assert results(scene.resume()) == [Result.ROLLED_BACK]
    scene.assert_as_before()


def test_fault_of_ours_is_rolled_back_too(scene):
    (outcome,) = scene.migrate(FailVerb("create_server", ZeroDivisionError("oops")))
    assert outcome.result is Result.ROLLED_BACK
    assert isinstance(outcome.error, OSMigrateError)
    assert "ZeroDivisionError" in outcome.detail
    scene.assert_as_before()


def test_every_workload_tells_its_begin_and_its_end(tmp_path):
    scene = Scene(tmp_path, LOCAL, PLAIN)
    told = []
    scene.events.subscribe(told.append)
    scene.migrate(FailVerb("create_server", CloudError("no"), times=1))
    assert [e.name for e in told if isinstance(e, WorkloadStarted)] == ["web 0", "web 1"]
    ends = [(e.name, e.outcome) for e in told if isinstance(e, WorkloadEnded)]
    assert ends == [("web 0", "rolled back"), ("web 1", "migrated")]


def test_retry_after_a_rollback_is_a_new_attempt(scene):
    scene.migrate(FailVerb("create_server", CloudError("no"), times=1))
    scene.assert_migrated(scene.migrate())
    states = [a.state for a in scene.journal.attempts()]
    assert states == [AttemptState.ROLLED_BACK, AttemptState.MIGRATED]


def test_missing_hosts_are_refused_only_where_disks_are_copied(tmp_path):
    scene = Scene(tmp_path, RICH, BY_NAME["image_kept_no_volume"])
    world = replace(scene.world, source_host=None, destination_host=None)
    outcomes = batch.migrate(world, scene.journal, scene.workloads, scene.settings)
    assert results(outcomes) == [Result.FAILED, Result.MIGRATED]
    assert outcomes[0].detail.count("os-migrate hosts deploy") == 2


# At once ---------------------------------------------------------------------------------------------------------------


def test_many_workloads_at_once_are_all_migrated(tmp_path):
    scene = Scene(tmp_path, *SHAPES, *SHAPES, parallel=5)
    scene.assert_migrated(scene.migrate())


def test_failure_of_one_does_not_touch_those_beside_it(tmp_path):
    scene = Scene(tmp_path, RICH, LOCAL, PLAIN, RICH, parallel=4)
    outcomes = scene.migrate(FailVerb("create_server", CloudError("no valid host"), times=1))
    assert Counter(results(outcomes)) == {Result.MIGRATED: 3, Result.ROLLED_BACK: 1}


class WatchDisks(Hook):
    """Note the most disks that each source host had at a time."""

    def __init__(self, scene):
        super().__init__()
        self.hosts = [host for host in scene.hosts if host.cloud is scene.source]
        self.most = [0 for _ in self.hosts]

    def before(self, call):
        disks = [len(host.cloud._machines[host.server_id].view.volumes) for host in self.hosts]
        self.most = [max(pair) for pair in zip(self.most, disks, strict=True)]


@pytest.mark.parametrize("pairs", [1, 2])
def test_hosts_never_get_more_disks_than_they_can_take(tmp_path, pairs):
    scene = Scene(tmp_path, *[RICH] * 5, parallel=5, pairs=pairs)
    scene.settings = replace(scene.settings, conversion=replace(scene.settings.conversion, disks=6))
    watch = WatchDisks(scene)
    scene.assert_migrated(scene.migrate(watch))
    assert watch.most == [6] * pairs


def test_disks_of_attempts_that_were_left_open_are_counted(tmp_path):
    scene = Scene(tmp_path, RICH, *[RICH] * 3, parallel=3)
    scene.settings = replace(
        scene.settings,
        workloads=replace(scene.settings.workloads, cleanup_on_failure=False),
        conversion=replace(scene.settings.conversion, disks=9),
    )
    all_of_them, scene.workloads = scene.workloads, scene.workloads[:1]
    scene.migrate(FailVerb("create_port", CloudError("no")))
    assert scene.state is AttemptState.FAILED
    scene.workloads = all_of_them[1:]
    watch = WatchDisks(scene)
    assert results(scene.migrate(watch)) == [Result.MIGRATED] * 3
    assert watch.most == [9]


def begins(scene):
    """Return the list in which the names of workloads appear as they begin."""
    names = []
    scene.events.subscribe(lambda event: names.append(event.name) if isinstance(event, WorkloadStarted) else None)
    return names


@pytest.mark.parametrize(("order", "began"), [(Order.FILE, [0, 1, 2, 3]), (Order.SMALLEST, [3, 2, 1, 0])])
def test_workloads_begin_in_the_order_that_is_set(tmp_path, order, began):
    three, kept = BY_NAME["image_copied_three_volumes"], BY_NAME["image_kept_no_volume"]
    scene = Scene(tmp_path, three, RICH, LOCAL, kept)
    scene.settings = replace(scene.settings, workloads=replace(scene.settings.workloads, order=order))
    names = begins(scene)
    scene.assert_migrated(scene.migrate())
    assert names == [f"web {number}" for number in began]


def test_preflight_looks_at_all_pairs(tmp_path):
    scene = Scene(tmp_path, RICH, pairs=2)
    scene.hosts[3].lacks = ("nbdkit",)
    (outcome,) = scene.migrate()
    assert "destination conversion host 'destination host 2': it lacks nbdkit" in outcome.detail
    world = replace(scene.world, other_pairs=(HostPair(None, scene.hosts[3]),))
    scene.hosts[3].lacks = ()
    (outcome,) = batch.migrate(world, scene.journal, scene.workloads, scene.settings)
    assert "source conversion host of pair 2: it isn't there" in outcome.detail


def died_in_its_copy(tmp_path):
    scene = Scene(tmp_path, RICH, pairs=2)
    hook = Hook()
    Scene(_fresh(scene), RICH, pairs=2).migrate(hook)
    verbs = [call.verb for call in hook.calls]
    assert die(scene.migrate, verbs.index("start CopyJob") + 5)
    scene.seam.hook = Hook()
    return scene


def test_resumed_attempt_goes_on_through_its_own_pair(tmp_path):
    scene = died_in_its_copy(tmp_path)
    scene.swap_pairs()
    hook = Hook()
    scene.assert_migrated(scene.resume(hook))
    used = {call.where for call in hook.calls if call.mutates and " host" in call.where}
    assert used == {"source host", "destination host"}


def test_attempt_whose_pair_the_settings_no_longer_name_is_refused_and_left_as_it_is(tmp_path):
    scene = died_in_its_copy(tmp_path)
    units = dict(scene.destination_host.units)
    scene.hide_first_pair()
    (outcome,) = scene.resume()
    assert outcome.result is Result.FAILED
    assert "os_migrate_conversion_host_pairs" in outcome.detail
    assert scene.hosts[1].units == units
    assert scene.state is AttemptState.RUNNING
    scene.show_all_pairs()
    scene.assert_migrated(scene.resume())


def test_cloud_that_cannot_say_whether_the_pair_is_there_leaves_the_attempt_as_it_is(tmp_path):
    scene = died_in_its_copy(tmp_path)
    scene.hide_first_pair()
    (outcome,) = scene.resume(FailVerb("server", CloudError("not now")))
    assert (outcome.result, outcome.detail) == (Result.FAILED, "not now")
    assert scene.state is AttemptState.RUNNING


def test_attempt_whose_pair_is_deleted_is_undone(tmp_path):
    scene = died_in_its_copy(tmp_path)
    scene.hide_first_pair()
    for host in scene.hosts[:2]:
        host.cloud.delete_server(host.server_id)
        host.reboot()
    assert results(scene.resume()) == [Result.ROLLED_BACK]


def test_run_that_is_stopped_leaves_all_that_ran_to_be_resumed(tmp_path):
    scene = Scene(tmp_path, RICH, LOCAL, RICH, parallel=3)

    class Press(Hook):
        pressed = False

        def before(self, call):
            if call.verb == "start CopyJob" and not self.pressed:
                self.pressed = True
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        scene.migrate(Press())
    open_attempts = scene.journal.unfinished()
    assert len(open_attempts) == 3
    assert all(a.id in caught.value.remedy for a in open_attempts)


# Before anything is touched ----------------------------------------------------------------------------------------------


def test_host_that_lacks_a_tool_or_does_not_answer_is_refused_before_a_server_is_stopped(tmp_path, monkeypatch):
    scene = Scene(tmp_path, RICH, RICH)
    scene.source_host.lacks = ("nbdkit",)

    def silent(_self):
        raise HostUnreachable("no route to host", remedy="see the network")

    monkeypatch.setattr(scene.destination_host, "missing_tools", silent.__get__(scene.destination_host))
    outcomes = scene.migrate()
    assert results(outcomes) == [Result.FAILED] * 2
    for outcome in outcomes:
        assert "source conversion host 'source host': it lacks nbdkit" in outcome.detail
        assert "destination conversion host 'destination host': no route to host" in outcome.detail
    scene.assert_as_before()
    assert scene.journal.attempts() == []


def test_link_that_does_not_work_is_refused_before_a_server_is_stopped(tmp_path):
    scene = Scene(tmp_path, RICH)
    scene.destination_host.script_error = "Connection timed out"
    (outcome,) = scene.migrate()
    assert outcome.result is Result.FAILED
    assert "can't open SSH to source host.example" in outcome.detail
    assert "Connection timed out" in outcome.detail
    scene.assert_as_before()
    assert scene.journal.attempts() == []


def test_link_that_the_operator_makes_is_not_looked_at(tmp_path):
    scene = Scene(tmp_path, RICH)
    scene.settings = replace(scene.settings, conversion=replace(scene.settings.conversion, link=False))
    scene.destination_host.script_error = "Connection timed out"
    scene.assert_migrated(scene.migrate())


def test_more_disks_than_a_host_has_slots_are_refused_before_a_server_is_stopped(tmp_path):
    scene = Scene(tmp_path, Shape("many", boot=Boot.VOLUME, data_volumes=24, runs=True), RICH)
    many, rich = scene.migrate()
    assert (many.result, rich.result) == (Result.FAILED, Result.MIGRATED)
    assert "conversion hosts: each takes 24 disks, and 25 are to be copied" in many.detail


def test_hosts_that_take_more_disks_get_them(tmp_path):
    scene = Scene(tmp_path, Shape("many", boot=Boot.VOLUME, data_volumes=24, runs=True))
    scene.let_hosts_take(25)
    scene.assert_migrated(scene.migrate())


def same_address(one, two):
    ports = tuple(
        replace(mine, params=replace(mine.params, fixed_ips_refs=other.params.fixed_ips_refs))
        for mine, other in zip(two.params.ports, one.params.ports, strict=True)
    )
    return replace(two, params=replace(two.params, ports=ports, floating_ips=()))


def same_mac(one, two):
    ports = tuple(
        replace(mine, params=replace(mine.params, mac_address=other.params.mac_address))
        for mine, other in zip(two.params.ports, one.params.ports, strict=True)
    )
    return replace(two, params=replace(two.params, ports=ports))


def same_volumes(one, two):
    return replace(two, migration=replace(two.migration, additional_volumes=one.migration.additional_volumes))


@pytest.mark.parametrize(
    ("shape", "edit", "told"),
    [
        ("volume_boot_two_volumes_running", same_address, "address 10.0.0."),
        ("volumes_brought", same_mac, "MAC address fa:16:3e:"),
        ("volumes_brought", same_volumes, "volume volume-"),
    ],
)
def test_what_only_one_can_have_is_refused_to_the_second(tmp_path, shape, edit, told):
    scene = Scene(tmp_path, BY_NAME[shape], BY_NAME[shape])
    one, two = scene.workloads
    outcomes = batch.migrate(scene.world, scene.journal, [one, edit(one, two)], scene.settings)
    assert results(outcomes) == [Result.MIGRATED, Result.FAILED]
    assert told in outcomes[1].detail
    assert "is wanted by 'web 0' of this run too" in outcomes[1].detail


def test_everything_is_looked_up_once_however_many_workloads_there_are(tmp_path):
    scene = Scene(tmp_path, *[PLAIN] * 6)

    def asked(number):
        scene.seam.hook = hook = Hook()
        checks = check(scene.world, scene.journal, scene.workloads[:number], scene.settings)
        assert [c.problems for c in checks.workloads] == [()] * number
        return [str(call) for call in hook.calls if call.where != "journal"]

    assert asked(6) == asked(1)


# The disk with the journal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["detach_volume", "start CopyJob", "create_server"])
def test_journal_that_cannot_be_written_stops_all_until_it_can(scene, verb):
    class DiskFails(Hook):
        def before(self, call):
            super().before(call)
            if call.verb == verb:
                scene.journal._db.execute("PRAGMA query_only = ON")

    (outcome,) = scene.migrate(DiskFails())
    assert outcome.result is Result.ROLLBACK_INCOMPLETE
    assert "can't use the journal" in outcome.detail
    assert "attempt to write a readonly database" in outcome.detail
    calls = len(scene.seam.hook.calls)
    assert [str(call) for call in scene.seam.hook.calls[-2:]] == ["journal.update"] * 2, calls
    scene.assert_migrated(scene.resume())


def test_file_that_is_no_journal_is_told_of(tmp_path):
    (tmp_path / "journal.sqlite").write_text("something else entirely, longer than a page header of sqlite" * 40)
    with pytest.raises(JournalFailed, match="file is not a database"):
        Journal(tmp_path / "journal.sqlite")
