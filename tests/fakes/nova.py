"""The fake's servers. A server that runs writes to its disks all the time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

from os_migrate.errors import CloudError, NotFound
from os_migrate.model import (
    Attachment,
    FixedIp,
    Flavor,
    Named,
    PortSpec,
    Quoted,
    SecurityGroupId,
    Server,
    ServerAction,
    ServerGroup,
    ServerGroupId,
    ServerId,
    ServerSpec,
    ServerStatus,
    SubnetId,
    VolumeAttachment,
    VolumeId,
)
from tests.fakes.cinder import FakeCinder
from tests.fakes.neutron import FakeNeutron
from tests.fakes.state import Machine, guest_writes, kept

MOVING = {"reserved", "attaching", "detaching"}
ON, OFF = ServerStatus.ACTIVE, ServerStatus.SHUTOFF


def letters(number: int) -> str:
    """Return what tells a disk of a bus apart: a to z, then aa, as Linux counts."""
    return (letters(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def takes_name(name: str) -> bool:
    """Say whether Nova takes a server's name: at most 255 characters, none beyond U+FFFF, no spaces around."""
    return 0 < len(name) <= 255 and name == name.strip() and all(c < "\uffff" and c.isprintable() for c in name)


class FakeNova(FakeCinder, FakeNeutron):
    """The part of `world.Cloud` that Nova answers."""

    def servers(self) -> Sequence[Server]:
        with self._reads("servers"):
            listed = [m for m in self._machines.values() if self._listed(m.born)]
            return [replace(m.view, volumes=tuple(replace(v, device="") for v in m.view.volumes)) for m in listed]

    def server(self, server_id: ServerId) -> Server:
        with self._reads("server"):
            return self._machine(server_id).view

    def server_actions(self, server_id: ServerId) -> Sequence[ServerAction]:
        with self._reads("server_actions"):
            return list(self._machine(server_id).actions)

    def server_security_groups(self, server_id: ServerId) -> Sequence[Named]:
        with self._reads("server_security_groups"):
            held = {g for p in self._machine(server_id).ports for g in self._ports[p][0].security_group_ids}
            return [g for g in self._groups if g.id in held]

    def flavors(self) -> Sequence[Flavor]:
        with self._reads("flavors"):
            return list(self._flavors)

    def keypairs(self) -> Sequence[Named]:
        with self._reads("keypairs"):
            return list(self._keypairs)

    def availability_zones(self) -> Sequence[Named]:
        with self._reads("availability_zones"):
            return [Named("nova", "nova")]

    # Power -----------------------------------------------------------------------------------------------------------
    def stop_server(self, server_id: ServerId) -> None:
        with self._does("stop_server"):
            machine = self._open(server_id)
            if machine.view.status is ON:
                self._switch(machine, "powering-off", self.latency.stop, OFF)
            elif machine.view.status is not OFF and machine.task != "powering-off":
                raise self._refuse(f"server {server_id} is {machine.view.raw_status}")

    def start_server(self, server_id: ServerId) -> None:
        with self._does("start_server"):
            machine = self._open(server_id)
            if machine.view.status is OFF:
                self._switch(machine, "powering-on", self.latency.start, ON)
            elif machine.view.status is not ON and machine.task != "powering-on":
                raise self._refuse(f"server {server_id} is {machine.view.raw_status}")

    def await_server(self, server_id: ServerId, status: ServerStatus, timeout_s: float) -> Server:
        def look() -> bool:
            server = self._machine(server_id).view
            if server.status is ServerStatus.ERROR:
                raise CloudError(f"{self._name}: server {server_id} went to ERROR: {server.fault}")
            return server.status is status

        self._until(look, f"server {server_id} becomes {status}", timeout_s)
        return self.server(server_id)

    def lock_server(self, server_id: ServerId) -> None:
        self._set_lock(server_id, "lock")

    def unlock_server(self, server_id: ServerId) -> None:
        self._set_lock(server_id, "unlock")

    def _set_lock(self, server_id: ServerId, action: str) -> None:
        with self._does(f"{action}_server"):
            machine = self._machine(server_id)
            machine.note(action)
            machine.view = replace(machine.view, locked=action == "lock")

    # Groups ----------------------------------------------------------------------------------------------------------
    def server_groups(self) -> Sequence[ServerGroup]:
        with self._reads("server_groups"):
            members = {
                g: tuple(m.view.id for m in self._machines.values() if g in m.view.group_ids)
                for g in self._server_groups
            }
            return [replace(group, members=members[group.id]) for group in self._server_groups.values()]

    def create_server_group(self, name: str, policy: str, max_server_per_host: int | None) -> ServerGroupId:
        with self._does("create_server_group"):
            new = ServerGroupId(self._new_id("servergroup"))
            self._server_groups[new] = ServerGroup(new, name, f"project-{self._name}", policy, max_server_per_host)
        return new

    def delete_server_group(self, group_id: ServerGroupId) -> None:
        with self._does("delete_server_group"):
            self._server_groups.pop(group_id, None)

    def takes_hostnames(self) -> bool:
        with self._reads("versions"):
            return self.has_hostnames

    # Make and delete -------------------------------------------------------------------------------------------------
    def create_server(self, spec: ServerSpec) -> ServerId:
        with self._does("create_server") as call:
            flavor = next((f for f in self._flavors if f.id == spec.flavor_id), None)
            if flavor is None or (spec.key_name and spec.key_name not in {k.name for k in self._keypairs}):
                raise self._refuse(f"flavor {spec.flavor_id} or key {spec.key_name} isn't there")
            if not takes_name(spec.name):
                raise self._refuse(f"{spec.name!r} is no name that Nova takes")
            volume_ids = [d.volume_id for d in spec.block_devices if d.volume_id]
            for volume_id in volume_ids:
                if self._volume(volume_id).view.status != "available":
                    raise self._refuse(f"volume {volume_id} is not available")
            for nic in spec.nics:
                if nic.port_id and self._get(self._ports, nic.port_id, "port")[0].device_id:
                    raise self._refuse(f"port {nic.port_id} is in use")
            image_id = spec.image_id or next((d.image_id for d in spec.block_devices if d.image_id), None)
            local = self._get(self._images, image_id, "image").data if image_id else None
            group = (spec.scheduler_hints or {}).get("group")
            if group and group not in self._server_groups:
                raise self._refuse(f"there is no server group {group}")
            if local is None and not any(d.boot_index == 0 for d in spec.block_devices):
                raise self._refuse("there is nothing to boot from")
            self._refuse_beyond((Quoted.INSTANCES, 1), (Quoted.CORES, flavor.vcpus), (Quoted.RAM, flavor.ram_mib))
            server = Server(
                id=ServerId(self._new_id("server")),
                name=spec.name,
                status=ServerStatus.BUILD,
                raw_status="BUILD",
                description=spec.description,
                image_id=image_id,
                flavor_name=flavor.name,
                key_name=spec.key_name,
                metadata=dict(spec.metadata),
                tags=spec.tags,
                user_data=spec.user_data,
                config_drive=bool(spec.config_drive),
                disk_config=spec.disk_config,
                availability_zone=spec.availability_zone,
                hostname=spec.hostname or spec.name.lower().replace(" ", "-"),
                ephemeral_gib=flavor.ephemeral_gib,
                swap_mib=flavor.swap_mib,
                group_ids=tuple(g for g in self._server_groups if g == group),
                project_id=f"project-{self._name}",
            )
            machine = Machine(server, self.clock.now(), local, spec)
            machine.note("create")
            self._machines[server.id] = machine
            for volume_id in volume_ids:
                self._mark(volume_id, "reserved")
            doomed = self.seam.hook.dooms(call)
            self._later(self.latency.build / 2, lambda: self._plug(machine))
            self._later(self.latency.build, lambda: self._finish_build(machine, doomed=doomed))
        return server.id

    def delete_server(self, server_id: ServerId) -> None:
        with self._does("delete_server"):
            if server_id not in self._machines:
                return
            self._open(server_id).task = "deleting"
            self._later(self.latency.delete, lambda: self._lose_server(server_id))
        self._until(lambda: server_id not in self._machines, f"server {server_id} is gone")

    def set_server_metadata(self, server_id: ServerId, metadata: Mapping[str, str | None]) -> None:
        with self._does("set_server_metadata"):
            machine = self._open(server_id)
            machine.view = replace(machine.view, metadata=kept(machine.view.metadata, metadata))

    # Volumes of servers ----------------------------------------------------------------------------------------------
    def attach_volume(
        self, server_id: ServerId, volume_id: VolumeId, *, device: str | None, delete_on_termination: bool
    ) -> None:
        """Like libvirt's driver, take the next free device whatever was wished for."""
        if not self._nova_lists(server_id, volume_id):
            with self._does("attach_volume") as call:
                if (volume := self._volume(volume_id).view).status != "available":
                    raise self._refuse(f"volume {volume_id} is {volume.status}")
                machine = self._open(server_id)
                if len(machine.view.volumes) >= self.attach_limits.get(server_id, len(self._volumes)):
                    raise self._refuse(f"the maximum number of volumes of server {server_id} is exceeded")
                machine.note("attach_volume")
                doomed = self.seam.hook.dooms(call)
                self._mark(volume_id, "reserved")
                self._attaching[volume_id] = server_id
                self._later(self.latency.attach / 2, lambda: self._mark(volume_id, "attaching", was="reserved"))
                self._later(
                    self.latency.attach,
                    lambda: self._unless_stuck(
                        "attaching",
                        lambda: self._attach(server_id, volume_id, delete_on_termination, doomed=doomed),
                    ),
                )
        self._await_rest(volume_id)
        if not self._is_on(server_id, volume_id):
            raise CloudError(f"{self._name}: volume {volume_id} could not be attached to {server_id}; Nova gave up")

    def detach_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        if volume_id not in self._volumes:
            return
        if self._nova_lists(server_id, volume_id):
            with self._does("detach_volume") as call:
                self._open(server_id)
                if (status := self._volume(volume_id).view.status) == "in-use":
                    doomed = self.seam.hook.dooms(call)
                    self._mark(volume_id, "detaching")
                    self._machine(server_id).note("detach_volume")
                    self._later(
                        self.latency.detach,
                        lambda: self._unless_stuck(
                            "detaching", lambda: self._detach(server_id, volume_id, doomed=doomed)
                        ),
                    )
                elif status != "detaching":
                    raise self._refuse(f"volume {volume_id} is {status}")
            self._await_rest(volume_id)
        if self._is_on(server_id, volume_id):
            raise CloudError(f"{self._name}: server {server_id} does not let go of volume {volume_id}")

    # Inside ----------------------------------------------------------------------------------------------------------
    def _machine(self, server_id: ServerId) -> Machine:
        return self._get(self._machines, server_id, "server")

    def _open(self, server_id: ServerId) -> Machine:
        """Return a server that a tenant may change: one that is locked may not even be marked."""
        machine = self._machine(server_id)
        if machine.view.locked:
            raise self._refuse(f"server {server_id} is locked")
        return machine

    def _nova_lists(self, server_id: ServerId, volume_id: VolumeId) -> bool:
        """Say whether Nova has the volume on the server: from the request on until it is detached."""
        with self._reads("attachments"):
            return self._attaching.get(volume_id) == server_id or self._is_on(server_id, volume_id)

    def _is_on(self, server_id: ServerId, volume_id: VolumeId) -> bool:
        return any(a.server_id == server_id for a in self._volume(volume_id).view.attachments)

    def _await_rest(self, volume_id: VolumeId) -> None:
        self._until(lambda: self._volume(volume_id).view.status not in MOVING, f"volume {volume_id} is at rest")

    def _switch(self, machine: Machine, task: str, seconds: float, end: ServerStatus) -> None:
        """Begin a change of power; until it is over the server is in no state that decides anything."""
        machine.note("start" if end is ON else "stop")
        machine.task = task
        machine.view = replace(
            machine.view, status=ServerStatus.OTHER, raw_status=f"{machine.view.raw_status} ({task})"
        )
        self._later(seconds, lambda: self._switched(machine, end))

    def _switched(self, machine: Machine, end: ServerStatus) -> None:
        machine.task = ""
        machine.view = replace(machine.view, status=end, raw_status=end.value)
        if end is ON and machine.booted_with is None:
            machine.booted_with = tuple(self.disks(machine.view.id))

    def _attach(self, server_id: ServerId, volume_id: VolumeId, delete_on_termination: bool, *, doomed: bool) -> None:
        machine = self._machines.get(server_id)
        self._attaching.pop(volume_id, None)
        if doomed or machine is None:
            self._mark(volume_id, "available")
            return
        used = {v.device for v in machine.view.volumes} | ({"/dev/vda"} if machine.local is not None else set())
        device = next(d for n in count() if (d := f"/dev/vd{letters(n)}") not in used)
        attachment = VolumeAttachment(volume_id, device, delete_on_termination)
        machine.view = replace(machine.view, volumes=(*machine.view.volumes, attachment))
        volume = self._volume(volume_id)
        volume.view = replace(volume.view, status="in-use", attachments=(Attachment(server_id, device),))

    def _detach(self, server_id: ServerId, volume_id: VolumeId, *, doomed: bool = False) -> None:
        machine = self._machines.get(server_id)
        if doomed:
            self._mark(volume_id, "in-use")
            return
        if machine is not None:
            left = tuple(v for v in machine.view.volumes if v.volume_id != volume_id)
            machine.view = replace(machine.view, volumes=left)
        if volume := self._volumes.get(volume_id):
            volume.view = replace(volume.view, status="available", attachments=())

    def _plug(self, machine: Machine) -> None:
        """Do as Nova does on the compute host: ports only now, and an address that is taken fails the server."""
        assert machine.spec is not None
        if machine.view.id not in self._machines:
            return
        groups = tuple(SecurityGroupId(g.id) for g in self._groups if g.name in machine.spec.security_group_names)
        try:
            for nic in machine.spec.nics:
                if nic.port_id:
                    self._set_port(nic.port_id, device_id=machine.view.id, device_owner="compute:nova")
                    machine.ports[nic.port_id] = False
                elif nic.network_id:
                    fixed = (FixedIp(SubnetId(""), nic.fixed_ip),) if nic.fixed_ip else ()
                    port = self._make_port(PortSpec(nic.network_id, fixed, None, groups), device_id=machine.view.id)
                    machine.ports[port.id] = True
        except CloudError as error:
            machine.view = replace(machine.view, status=ServerStatus.ERROR, raw_status="ERROR", fault=str(error))

    def _finish_build(self, machine: Machine, *, doomed: bool) -> None:
        assert machine.spec is not None
        if machine.view.id not in self._machines or machine.view.status is not ServerStatus.BUILD:
            return
        if doomed:
            machine.view = replace(machine.view, status=ServerStatus.ERROR, raw_status="ERROR", fault="no valid host")
            return
        for entry in machine.spec.block_devices:
            if entry.volume_id:
                self._attach(machine.view.id, entry.volume_id, entry.delete_on_termination, doomed=False)
        self._switched(machine, ON)

    def _lose_server(self, server_id: ServerId) -> None:
        machine = self._machines.pop(server_id, None)
        if machine is None:
            return
        wanted = {d.volume_id: d.delete_on_termination for d in machine.spec.block_devices} if machine.spec else {}
        wanted |= {v.volume_id: v.delete_on_termination for v in machine.view.volumes}
        for volume_id, delete in wanted.items():
            if volume_id in self._volumes:
                self._detach(server_id, volume_id)
                if delete:
                    self._lose_volume(volume_id)
        for port_id, made_by_nova in machine.ports.items():
            if made_by_nova:
                self._lose_port(port_id)
            elif port_id in self._ports:
                self._set_port(port_id, device_id="", device_owner="")

    def disks(self, server_id: ServerId) -> list[bytes]:
        """Return the bytes of a server's disks, the boot disk first."""
        machine = self._machine(server_id)
        local = [] if machine.local is None else [machine.local]
        return local + [self._volumes[v.volume_id].data for v in machine.view.volumes]

    def booted_with(self, server_id: ServerId) -> tuple[bytes, ...]:
        """Return what a server's disks held when it first ran."""
        booted = self._machine(server_id).booted_with
        assert booted is not None, f"{server_id} never ran"
        return booted

    def let_guests_write(self) -> None:
        """Let every running server write to all of its disks."""
        for machine in self._machines.values():
            if machine.writes and (machine.view.status is ON or machine.task == "powering-off"):
                text = f"{machine.view.id} {self.clock.now()}"
                if machine.local is not None:
                    machine.local = guest_writes(machine.local, text)
                for attachment in machine.view.volumes:
                    volume = self._volumes[attachment.volume_id]
                    volume.data = guest_writes(volume.data, text)

    def _pass_time(self) -> None:
        self.let_guests_write()
        super()._pass_time()


__all__ = ["FakeNova", "NotFound"]
