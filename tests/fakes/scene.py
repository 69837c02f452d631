"""A whole world around the engine, fresh for every test: two clouds, two hosts, workloads, a journal on disk.

It knows the only two ends that a workload may have: `assert_migrated` and `assert_as_before`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from os_migrate import batch, cleanup
from os_migrate.batch import Outcome, Result
from os_migrate.events import Events
from os_migrate.journal import AttemptState
from os_migrate.model import Loan, ServerGroupId, ServerId, ServerStatus, Tag
from os_migrate.settings import Settings, WorkloadSettings
from os_migrate.workload import FloatingIpMode, PortCreationMode, PowerState, Workload
from os_migrate.world import HostPair, World
from tests.fakes.cloud import FakeCloud
from tests.fakes.host import FakeHost
from tests.fakes.journal import TestJournal, lose_power
from tests.fakes.seam import FakeClock, Hook, QuickClock, Seam
from tests.fakes.state import PROMPT, Latency
from tests.fakes.workloads import Shape, add_host, add_workload, expected_disks, furnish


class Scene:
    """Two clouds, and one workload of each given shape in the source."""

    def __init__(
        self,
        directory: Path,
        *shapes: Shape,
        latency: Latency = PROMPT,
        parallel: int = 1,
        names: Sequence[str] | None = None,
        pairs: int = 1,
    ) -> None:
        self.seam = Seam()
        self.clock = FakeClock() if parallel == 1 else QuickClock(self.seam, 200)
        self.violations: list[str] = []
        self.workloads: list[Workload] = []
        self.owner_started: dict[
            ServerId, AttemptState | None
        ] = {}  # servers that run because of that, and since which state
        self._owed: dict[str, Sequence[bytes]] = {}
        self.source = FakeCloud("source", self.clock, self.seam, latency)
        self.destination = FakeCloud("destination", self.clock, self.seam, latency)
        furnish(self.source, self.destination)
        self.seam.checks.append(self._check)
        self._pairs = pairs
        self._add_hosts()
        self.shapes = shapes
        self.workloads = [
            add_workload(self.source, self.destination, shape, names[number] if names else f"web {number}", number)
            for number, shape in enumerate(shapes)
        ]
        stop = any(shape.runs for shape in shapes)
        self.settings = Settings(
            data_dir=directory,
            workloads=WorkloadSettings(
                stop_before_migration=stop,
                unlock_before_migration=any(shape.locked for shape in shapes),
                parallel=parallel,
            ),
        )
        self.events = Events()
        self._path = directory / "journal.sqlite"
        self.journal = TestJournal(self._path, self.seam, self.clock)
        for cloud in (self.source, self.destination):
            cloud.hold_dear()
        self.before = self.picture()

    @property
    def world(self) -> World:
        return World(
            self.source,
            self.destination,
            self.source_host,
            self.destination_host,
            self.events,
            self.clock,
            timeout_s=300.0,
            other_pairs=self.other_pairs,
        )

    def _add_hosts(self) -> None:
        """Add the pairs of conversion hosts; `hosts` has them pair by pair, the source's before the destination's."""
        self.hosts: tuple[FakeHost, ...] = ()
        for number in range(1, self._pairs + 1):
            suffix = f" {number}" if number > 1 else ""
            pair = [
                FakeHost(f"{cloud.name} host{suffix}", cloud, add_host(cloud, f"conv{suffix}"), self.clock)
                for cloud in (self.source, self.destination)
            ]
            pair[1].peer = pair[0]
            self.hosts += tuple(pair)
        self.show_all_pairs()

    def show_all_pairs(self) -> None:
        """Let the engine see all pairs, in their order."""
        first, *others = (HostPair(*self.hosts[n : n + 2]) for n in range(0, len(self.hosts), 2))
        self._show(first, *others)

    def hide_first_pair(self) -> None:
        """Let the engine see all pairs but the first: somebody changed the settings."""
        self._show(*self.world.other_pairs)

    def swap_pairs(self) -> None:
        """Let the engine see the pairs in the opposite order."""
        self._show(*reversed(self.world.pairs))

    def _show(self, first: HostPair, *others: HostPair) -> None:
        assert isinstance(first.source, FakeHost)
        assert isinstance(first.destination, FakeHost)
        self.source_host, self.destination_host = first.source, first.destination
        self.other_pairs = others

    def replace_hosts(self) -> None:
        """Delete both conversion hosts, and deploy new ones."""
        self.seam.hook = Hook()
        for host in self.hosts:
            self.clock.sleep(60)
            host.cloud.delete_server(host.server_id)
            host.reboot()
        self._add_hosts()

    def let_hosts_take(self, disks: int) -> None:
        """Set how many disks each conversion host takes."""
        self.settings = replace(self.settings, conversion=replace(self.settings.conversion, disks=disks))

    def close(self) -> None:
        self.journal.close()

    # Acts ------------------------------------------------------------------------------------------------------------
    def migrate(self, hook: Hook | None = None) -> list[Outcome]:
        self.seam.hook = hook or Hook()
        return batch.migrate(self.world, self.journal, self.workloads, self.settings)

    def resume(self, hook: Hook | None = None) -> list[Outcome]:
        """Do as a new process does."""
        self._restart(hook)
        return batch.resume(self.world, self.journal, self.journal.unfinished(), self.workloads, self.settings)

    def rollback(self, hook: Hook | None = None) -> list[Outcome]:
        """Do as a new process does."""
        self._restart(hook)
        return batch.rollback(self.world, self.journal, self.journal.unfinished(), self.settings)

    def cleanup(self, hook: Hook | None = None) -> list[Outcome]:
        """Do as a new process does that has lost the journal."""
        self._path.unlink()
        self.journal.log.clear()
        self._restart(hook)
        return cleanup.clean_up(self.world, cleanup.find(self.world, ()), self.settings)

    def journal_file(self) -> bytes:
        """Return the journal as it is on disk."""
        self._restart(None)
        self.journal.close()
        return self._path.read_bytes()

    def find_journal(self, file: bytes) -> None:
        """Have a journal again that was lost."""
        self.journal.close()
        self._path.write_bytes(file)

    def owner_starts(self, workload: Workload) -> None:
        """Let the owner of a source server start it, if it is off: from then on it is theirs that it runs beside its twin."""
        machine = self.source._machines[workload.id]
        if machine.view.status is not ServerStatus.SHUTOFF:
            return
        booted = [t for t in self.twins(workload) if self.destination._machines[t].booted_with is not None]
        for twin in booted:  # from then on the two differ
            self._owed.setdefault(twin, expected_disks(self.source, self.destination, workload))
        committed = self.state in {AttemptState.COMMITTED, AttemptState.MIGRATED}
        self.owner_started[workload.id] = committed or (bool(booted) and Loan.of(machine.view) is None)
        self.source._switch(machine, "powering-on", self.source.latency.start, ServerStatus.ACTIVE)

    @property
    def state(self) -> AttemptState | None:
        """Return the state of the last attempt."""
        attempts = self.journal.attempts()
        return attempts[-1].state if attempts else None

    def _restart(self, hook: Hook | None) -> None:
        self.journal.close()
        for host in self.hosts:
            host.held.clear()
        self.seam.hook = hook or Hook()
        self.journal = TestJournal(self._path, self.seam, self.clock, self.journal.log)

    def lose_power(self) -> None:
        """Leave of the journal what is on disk when the migrator's machine loses power."""
        self.journal.close()
        lose_power(self._path, self.journal.log)
        self._restart(None)

    # Ends ------------------------------------------------------------------------------------------------------------
    def picture(self) -> tuple[dict[str, object], dict[str, object]]:
        """Return all that is there, but for the conversion hosts."""
        ids = [host.server_id for host in self.hosts]
        return self.source.picture(*ids), self.destination.picture(*ids)

    def assert_nothing_left(self) -> None:
        """Check what holds after every end: nothing of ours, nothing violated."""
        self.seam.hook = Hook()
        self.clock.sleep(300)  # what is still under way in a cloud comes to light
        left = [*self.source.tagged(), *self.destination.tagged()]
        left += [f"{host.name}: {unit}" for host in self.hosts for unit in host.units]
        left += [f"{h.name}: {v}" for h in self.hosts for v in h.cloud._machines[h.server_id].view.volumes]
        assert not left, left
        violations = [*self.violations, *self.source.violations, *self.destination.violations]
        violations += [v for host in self.hosts for v in host.violations]
        assert not violations, violations

    def assert_as_before(self) -> None:
        """Check that both clouds are as they were when the scene began."""
        self.assert_nothing_left()
        theirs = set(self.owner_started)
        for before, now in zip(self.before, self.picture(), strict=True):
            _same(_switched_off(before, theirs), _switched_off(now, theirs))

    def give_what_no_cleanup_knows(self) -> None:
        """Lock servers that were unlocked before they were marked, and delete server groups without servers."""
        for shape, workload in zip(self.shapes, self.workloads, strict=True):
            machine = self.source._machines[workload.id]
            machine.view = replace(machine.view, locked=shape.locked)
        for group in self.destination.server_groups():
            if not group.members:
                self.destination.delete_server_group(ServerGroupId(group.id))

    def assert_migrated(
        self, outcomes: Sequence[Outcome] | None = None, *, floating_ips: bool = True, dress: bool = True
    ) -> None:
        """Check that all workloads were migrated, whole, and that the source is as it was, but off."""
        if outcomes is not None:
            assert [o.result for o in outcomes] == [Result.MIGRATED] * len(outcomes), outcomes
        self.assert_nothing_left()
        for shape, workload in zip(self.shapes, self.workloads, strict=True):
            self._assert_twin(shape, workload)
            if dress:
                self._assert_dress(shape, workload)
            if floating_ips:
                self._assert_floating_ips(shape, workload)
        self._assert_only_twins_are_new()
        off = {w.id for w in self.workloads}
        _same(_switched_off(self.before[0], off), _switched_off(self.picture()[0], set(self.owner_started)))

    def twins(self, workload: Workload) -> list[str]:
        twins = [m.view for m in self.destination._machines.values()]
        return [s.id for s in twins if s.metadata.get(Tag.ORIGIN_KEY) == workload.id]

    def _assert_twin(self, shape: Shape, workload: Workload) -> None:
        twins = self.twins(workload)
        assert len(twins) == 1, twins
        twin = self.destination._machines[twins[0]]
        owed = self._owed.get(twins[0]) or expected_disks(self.source, self.destination, workload)
        assert list(twin.booted_with or ()) == list(owed)
        if workload.migration.data_copy:
            ours = [v.delete_on_termination for v in twin.view.volumes]
            theirs = [v.delete_on_termination for v in self.source._machines[workload.id].view.volumes]
            boot_is_copied_from_local = shape.boot_disk_copy and self.source._machines[workload.id].local is not None
            assert ours == [True] * boot_is_copied_from_local + theirs
        ports = [self.destination._ports[port_id][0] for port_id in twin.ports]
        wanted = workload.params.ports
        assert [p.fixed_ips[0].ip_address for p in ports] == [w.params.fixed_ips_refs[0].ip_address for w in wanted]
        if workload.migration.port_creation_mode is PortCreationMode.NEUTRON:
            assert [p.mac_address for p in ports] == [w.params.mac_address for w in wanted]

    def _assert_dress(self, shape: Shape, workload: Workload) -> None:
        """Check what only some servers have: it is there, and it is nowhere else."""
        (twin,) = (self.destination._machines[t] for t in self.twins(workload))
        is_off = shape.power is PowerState.AS_FOUND and not shape.runs
        assert twin.view.status is (ServerStatus.SHUTOFF if is_off else ServerStatus.ACTIVE)
        assert twin.view.locked is shape.locked
        group = workload.params.server_group
        groups = [g for g in self.destination._server_groups.values() if g.id in twin.view.group_ids]
        assert [(g.name, g.policy, g.max_server_per_host) for g in groups] == (
            [(group.name, group.policy, group.max_server_per_host)] if group else []
        )
        policies = {p.id: p.name for p in self.destination._qos_policies}
        for port_id, wanted in zip(twin.ports, (p.params for p in workload.params.ports), strict=True):
            port = self.destination._ports[port_id][0]
            assert (port.name, port.description) == (wanted.name or "", wanted.description or "")
            assert (port.tags, port.is_up) == (wanted.tags, wanted.admin_state_up is not False)
            assert port.allowed_address_pairs == wanted.allowed_address_pairs
            assert port.extra_dhcp_opts == wanted.extra_dhcp_opts
            assert (port.dns_name, port.dns_domain) == (wanted.dns_name or "", wanted.dns_domain or "")
            assert policies.get(port.qos_policy_id or "") == (wanted.qos_policy_ref and wanted.qos_policy_ref.name)
        if workload.migration.data_copy:
            copies = [self.destination._volumes[v.volume_id].view for v in twin.view.volumes]
            copied = {v.metadata["os_migrate_source_id"]: v for v in copies}
            for volume in workload.params.volumes:
                if volume.info.id in copied:
                    assert volume.params.metadata.items() <= copied[volume.info.id].metadata.items()

    def _assert_floating_ips(self, shape: Shape, workload: Workload) -> None:
        (twin,) = (self.destination._machines[t] for t in self.twins(workload))
        floating = [f.address for f, _ in self.destination._floating_ips.values() if f.port_id in twin.ports]
        assert len(floating) == len(workload.params.floating_ips)
        if shape.dressed:
            (ip,) = (f for f, _ in self.destination._floating_ips.values() if f.port_id in twin.ports)
            (wanted,) = (f.params for f in workload.params.floating_ips)
            kept = (ip.description, ip.tags, ip.dns_name, ip.dns_domain)
            assert kept == (wanted.description, wanted.tags, wanted.dns_name, wanted.dns_domain)
        if shape.holds_address and shape.floating_ip is not FloatingIpMode.NEW:
            assert floating == [f.params.floating_ip_address for f in workload.params.floating_ips]

    def _assert_only_twins_are_new(self) -> None:
        """Check for doubles: each new thing in the destination belongs to a twin."""
        before, now = self.before[1], self.picture()[1]
        twins = {t for w in self.workloads for t in self.twins(w)}
        new = {kind: set(now[kind]) - set(before[kind]) for kind in ("servers", "resources", "ports", "floating IPs")}  # type: ignore[call-overload]
        assert new["servers"] == twins
        machines = [self.destination._machines[t] for t in twins]
        copied = {v.volume_id for m in machines for v in m.view.volumes} - self.destination.precious
        assert new["resources"] == copied
        assert new["ports"] == {p for m in machines for p in m.ports}
        held = {f.id for f, _ in self.destination._floating_ips.values() if f.port_id in new["ports"]}
        assert new["floating IPs"] <= held
        assert all(group.members for group in self.destination.server_groups())

    def _check(self) -> None:
        """Check what must hold at every instant."""
        self._check_running()
        for host in self.hosts:
            host.check()

    def _check_running(self) -> None:
        """Note a source server and its twin that run at the same time."""
        on = {ServerStatus.ACTIVE}
        for workload in self.workloads:
            source = self.source._machines.get(workload.id)
            if source is None:
                continue
            if source.view.status not in on and source.task != "powering-on":
                self.owner_started.pop(workload.id, None)
                continue
            if workload.id in self.owner_started:
                continue
            for twin in self.twins(workload):
                if self.destination._machines[twin].view.status in on | {ServerStatus.BUILD}:
                    self.violations.append(f"{workload.id} and its twin {twin} run at the same time")


def _same(before: dict[str, object], now: dict[str, object]) -> None:
    for kind, was in before.items():
        if kind == "servers":
            assert isinstance(was, dict)
        assert now[kind] == was, f"{kind}: was {was}, is {now[kind]}"


def _switched_off(picture: dict[str, object], server_ids: set[str]) -> dict[str, object]:
    servers = picture["servers"]
    assert isinstance(servers, dict)
    off = {"status": ServerStatus.SHUTOFF, "raw_status": "SHUTOFF"}
    changed = {k: (replace(v, **off), p) if k in server_ids else (v, p) for k, (v, p) in servers.items()}
    return {**picture, "servers": changed}
