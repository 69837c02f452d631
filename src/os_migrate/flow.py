"""The migration of one workload, from top to bottom.

    prelim                  skip what is migrated already; open an attempt
    check_destination       every reference resolves
    stop_source             if asked; unlock it before, if asked
    check_source            SHUTOFF
    export_volumes          boot disk: snapshot, volume from it; data volumes: detach;
                            attach all to the source host; scan; export over NBD, read-only, local only
    transfer_volumes        create and attach the destination volumes; SSH forwarding; copy; verify; detach
    create_instance         ports, server group, twin, floating IPs       ── committed: from here it only goes forward
    clean_up_source         close exports, detach, delete snapshot and volume, re-attach the data volumes; the twin off or locked,
                            as its source was

    roll_back               on any failure before the commit: undo all of it, in both clouds, last first

Each stage can be called in a process of its own on the same journal (the Ansible modules do): a step that is done returns what it
returned then, so a stage calls the one before it for what it needs.
"""

from collections.abc import Sequence
from functools import partial

from os_migrate.bring import bring_local_disk, bring_volume
from os_migrate.elsewhere import refuse_if_ended
from os_migrate.errors import SourceChanged
from os_migrate.events import Note
from os_migrate.journal import AttemptState
from os_migrate.model import Loan, Nic, ServerGroupId, ServerId, Side, VolumeId, VolumeSpec
from os_migrate.plan import Inventory, Target, source_problems
from os_migrate.report import WorkloadReport, report, write_report
from os_migrate.run import Run
from os_migrate.step import Lasts
from os_migrate.steps.groups import CreateServerGroup
from os_migrate.steps.network import AssociateFloatingIp, CreateFloatingIp, CreatePort, DressPort
from os_migrate.steps.servers import (
    CreateServer,
    MarkServer,
    ReadActions,
    ResolveTarget,
    StopServer,
    SurveySource,
)
from os_migrate.steps.states import LockTwin, StopTwin, UnlockServer
from os_migrate.steps.volumes import DetachVolume
from os_migrate.survey import Disk, Survey, used_since
from os_migrate.tags import sweep, untag
from os_migrate.transfer import Copied, Exported, export, hold_hosts, transfer
from os_migrate.twin import boot_volume_name, is_to_be_dressed, server_spec, volume_spec
from os_migrate.workload import PortCreationMode, Workload


def migrate(run: Run, workload: Workload, inventory: Inventory) -> ServerId:
    """Migrate a workload and return its twin. After an error before the commit, `roll_back` is to be called."""
    target = check_destination(run, workload, inventory)
    stop_source(run, workload)
    check_source(run, workload)
    exported = export_volumes(run, workload)
    copied = transfer_volumes(run, workload, exported)
    twin = create_instance(run, workload, target, copied)
    clean_up_source(run)
    return twin


def check_destination(run: Run, workload: Workload, inventory: Inventory) -> Target:
    """Resolve every reference of the workload in the destination."""
    with run.stage("check destination"):
        return run.perform(ResolveTarget("destination", workload, inventory))


def stop_source(run: Run, workload: Workload) -> None:
    """Survey the source server, unlock it, mark it as on loan, and stop it; what it needs of that and was asked for.

    Before that both hosts must answer, and hold the attempt for as long as this process lives: see `cleanup`.
    """
    with run.stage("stop source"):
        if workload.copies:
            hold_hosts(run)
        survey = _survey(run, workload)
        if survey.was_locked and run.settings.workloads.unlock_before_migration:
            run.perform(UnlockServer("source", workload.id))
        run.perform(MarkServer("source", workload.id, survey.was_running, survey.was_locked))
        if survey.was_running and run.settings.workloads.stop_before_migration:
            run.perform(StopServer("source", workload.id))


def check_source(run: Run, workload: Workload) -> None:
    """Verify that the source server is off, may leave as it is, and was not used since its disks were taken.

    Raises:
        SourceChanged: it can't leave as it is, with every reason; or somebody used it since.
    """
    with run.stage("check source"):
        _refuse_used(run, workload)
        run.perform(ReadActions("source", workload.id))  # before the look at it: a start in between must not go unseen
        begun = any(isinstance(record.step, DetachVolume) for record in run.steps())
        surveyed = [] if begun else [d.volume_id for d in _survey(run, workload).disks if d.volume_id is not None]
        volumes = [run.world.source.volume(volume_id) for volume_id in surveyed]
        server = run.world.source.server(workload.id)  # last of all: whether it is off is what matters most
        problems = source_problems(workload, server, volumes, stop=False, attempt=run.attempt.id, begun=begun)
        if problems:
            raise SourceChanged("; ".join(str(problem) for problem in problems), remedy="mend that, then migrate again")
        if Loan.of(server) is None:  # what was done before may be undone
            raise SourceChanged(
                f"{workload.name}: its source server isn't marked as on loan any more: somebody cleaned up after attempt {run.attempt.id}",
                remedy="migrate again",
            )


def export_volumes(run: Run, workload: Workload) -> tuple[Exported, ...]:
    """Bring all disks that are copied to the source host, scan and export them there."""
    with run.stage("export volumes"):
        disks = [d for d in _survey(run, workload).disks if _is_copied(d, workload)]
        if not disks:
            return ()
        at_host = {d.device: _bring_boot_disk(run, workload, d) for d in disks if d.is_boot}
        for disk in reversed(disks):  # see DetachVolume
            if disk.volume_id is not None and not disk.is_boot:
                detach = DetachVolume(disk.device, workload.id, disk.volume_id, disk.device, disk.delete_on_termination)
                at_host[disk.device] = run.perform(detach)
        return export(run, disks, at_host)


def transfer_volumes(run: Run, workload: Workload, exported: Sequence[Exported]) -> tuple[Copied, ...]:
    """Copy every exported disk onto a destination volume of its own, and prove the copy.

    Raises:
        DigestMismatch: a copy differs from its source.
    """
    with run.stage("transfer volumes"):
        if not exported:
            return ()
        copied = transfer(run, exported, partial(_volume_spec, run, workload))
        run.undo(Lasts.TRANSFER)
        return copied


def create_instance(run: Run, workload: Workload, target: Target, copied: Sequence[Copied]) -> ServerId:
    """Create the twin with its ports, disks and floating IPs; when it runs, the migration is committed."""
    with run.stage("create instance"):
        check_source(run, workload)  # again: somebody may have started the server during the copy
        nics = tuple(_nic(run, workload, target, number) for number in range(len(target.ports)))
        disks = [(c.disk, c.volume_id) for c in copied]
        spec = server_spec(workload, target, nics, disks, _server_group(run, target))
        twin = run.perform(CreateServer("twin", spec))
        _dress_ports(run, workload, target, twin, nics)
        for number, ip in enumerate(target.floating_ips):
            if ip.existing is not None:
                run.perform(AssociateFloatingIp(f"{number}", twin, ip.existing.id, ip.fixed_ip))
            elif ip.network_id is not None:
                run.perform(CreateFloatingIp(f"{number}", twin, ip.network_id, ip.fixed_ip, ip.description, ip.extras))
        check_source(run, workload)  # or while the twin was built: until the commit it is the twin that goes
        run.enter(AttemptState.COMMITTED)
        return twin


def clean_up_source(run: Run) -> None:
    """Undo in the source what only the migration needed, and take our tags off what was migrated.

    The volumes go back to the source server, which stays off. The proof is on disk before the attempt counts as migrated.
    """
    with run.stage("clean up source"):
        if any(record.tried > record.started for record in run.steps()):
            _sweep(run)  # a create that was tried twice may have been accepted twice
        _give_back(run)
        _leave_as_found(run)
    write_report(proof_of(run), run.settings.data_dir)
    run.enter(AttemptState.MIGRATED)


def finish_found(run: Run) -> None:
    """Do as `clean_up_source` where the journal is lost, and with it the proof; see `cleanup`."""
    with run.stage("clean up source"):
        _sweep(run)
        _give_back(run)
        _leave_as_found(run)
    run.enter(AttemptState.MIGRATED)


def proof_of(run: Run) -> WorkloadReport:
    """Return the proof of what this attempt migrated."""
    return report(run.attempt, run.steps(), run.journal.stage_seconds(run.attempt.id))


def roll_back(run: Run, cause: str | None = None) -> None:
    """Undo the whole attempt in both clouds; the source server ends in the state it was found in.

    Raises:
        RollbackIncomplete: something of ours still stands; the attempt stays open.
        UserError: somebody without this journal has ended it, or begun another; see `elsewhere`.
    """
    with run.stage("roll back"):
        run.enter(AttemptState.ROLLING_BACK, cause)
        refuse_if_ended(run)
        run.undo(*Lasts)
        _sweep(run)
        run.enter(AttemptState.ROLLED_BACK)


# The source ------------------------------------------------------------------------------------------------------------


def _survey(run: Run, workload: Workload) -> Survey:
    return run.perform(SurveySource("source", workload.id))


def _refuse_used(run: Run, workload: Workload) -> None:
    """Raise SourceChanged if the source server was used since it was off."""
    before = run.result_of(ReadActions("source", workload.id))
    if before is None:
        return
    if used := used_since(before, run.world.source.server_actions(workload.id)):
        raise SourceChanged(
            f"{workload.name}: the source server was used since its disks were taken ({', '.join(used)})",
            remedy="keep it off, then migrate again",
        )


def _is_copied(disk: Disk, workload: Workload) -> bool:
    return workload.migration.data_copy and (workload.migration.boot_disk_copy or not disk.is_boot)


def _bring_boot_disk(run: Run, workload: Workload, disk: Disk) -> VolumeId:
    """Make a temporary volume with the boot disk's bytes: the disk itself stays where it is."""
    name = boot_volume_name(workload, run.settings.workloads.boot_volume_prefix)
    if disk.volume_id is not None:
        return bring_volume(run, Side.SOURCE, "boot disk", disk.device, disk.volume_id, name)
    return bring_local_disk(run, workload.id, "boot disk", disk.device, name)


# The destination -------------------------------------------------------------------------------------------------------


def _volume_spec(run: Run, workload: Workload, exported: Exported) -> VolumeSpec:
    prefix = run.settings.workloads.boot_volume_prefix
    return volume_spec(workload, exported.disk, exported.size_gib, dict(exported.image_metadata), prefix)


def _nic(run: Run, workload: Workload, target: Target, number: int) -> Nic:
    spec = target.ports[number]
    if workload.migration.port_creation_mode is PortCreationMode.NEUTRON:
        return Nic(port_id=run.perform(CreatePort(f"{number}", spec, spec.description)))
    return Nic(network_id=spec.network_id, fixed_ip=spec.address)


def _server_group(run: Run, target: Target) -> ServerGroupId | None:
    wanted = target.server_group
    if wanted is None:
        return None
    if wanted.id is not None:
        return wanted.id
    return run.perform(CreateServerGroup("twin", wanted.name, wanted.policy, wanted.max_server_per_host)).id


def _dress_ports(run: Run, workload: Workload, target: Target, twin: ServerId, nics: Sequence[Nic]) -> None:
    """Give the ports what they lack; what Nova's lack for good is told."""
    for number, (spec, nic) in enumerate(zip(target.ports, nics, strict=True)):
        if is_to_be_dressed(workload, spec, number):
            run.perform(DressPort(f"{number}", twin, nic.port_id, spec))
        if nic.port_id is None and spec.mac_address:
            text = f"port {number + 1}: its MAC address isn't {spec.mac_address} any more; port_creation_mode: neutron would keep it"
            run.world.events.tell(Note(workload=run.attempt.server_id, text=text))


def _leave_as_found(run: Run) -> None:
    """Switch the twin off if its source was found off and that was asked for; lock it if its source was locked."""
    twin = run.result_of(CreateServer("twin"))
    if twin is None:
        return
    target = run.result_of(ResolveTarget("destination"))
    survey = run.result_of(SurveySource("source", run.attempt.server_id))
    if target and survey and target.as_found and not survey.was_running:
        run.perform(StopTwin("twin", twin))
    if any(isinstance(record.step, UnlockServer) for record in run.steps()):
        run.perform(LockTwin("twin", twin))


# Both clouds -----------------------------------------------------------------------------------------------------------


def _give_back(run: Run) -> None:
    run.undo(Lasts.TRANSFER, Lasts.MIGRATION)
    if any(isinstance(record.step, LockTwin) for record in run.steps()):
        return  # the tags went before, and may be locked in now
    run.patiently("untag", lambda _tries: untag(run.world.destination, run.steps()))


def _sweep(run: Run) -> None:
    clouds = (run.world.source, run.world.destination)
    run.patiently("sweep", lambda _tries: sweep(clouds, run.attempt.id, run.steps()))
