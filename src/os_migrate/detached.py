"""The migration of one detached volume, from top to bottom.

    export_volumes          it is as the file says, and nobody has it; mark it as on loan; attach it to the source host; scan; export
    transfer_volumes        create and attach the destination volume; SSH forwarding; copy; verify
                            say in its tag that it is whole                    ── committed: from here it only goes forward
    clean_up_source         as for a server (`flow`): the volume is detached from the host, the mark and our tags are gone

    roll_back               on any failure before the commit, likewise

Each stage can be called in a process of its own on the same journal, as those of `flow`.
"""

from collections.abc import Sequence

from os_migrate.errors import SourceChanged
from os_migrate.flow import clean_up_source
from os_migrate.journal import AttemptState
from os_migrate.model import Loan, Side, VolumeId, VolumeSpec
from os_migrate.plan import source_volume_problems
from os_migrate.run import Run
from os_migrate.step import Lasts
from os_migrate.steps.detached import KeepVolume, MarkVolume, SurveyVolume
from os_migrate.steps.volumes import AttachVolume
from os_migrate.transfer import Exported, export, hold_hosts, transfer
from os_migrate.twin import copy_spec
from os_migrate.workload import DetachedVolume


def migrate(run: Run, volume: DetachedVolume) -> VolumeId:
    """Migrate a detached volume and return its copy. After an error before the commit, `flow.roll_back` is to be called."""
    exported = export_volumes(run, volume)
    copy = transfer_volumes(run, volume, exported)
    clean_up_source(run)
    return copy


def export_volumes(run: Run, volume: DetachedVolume) -> tuple[Exported, ...]:
    """Bring the volume to the source host, marked as on loan, scan and export it there.

    Raises:
        SourceChanged: it can't leave as it is, with every reason; or somebody took it away.
    """
    with run.stage("export volumes"):
        hold_hosts(run)
        check_source(run, volume)
        disks = run.perform(SurveyVolume("source", volume.id)).disks
        run.perform(MarkVolume("source", volume.id))
        return export(run, disks, {disk.device: volume.id for disk in disks})


def transfer_volumes(run: Run, volume: DetachedVolume, exported: Sequence[Exported]) -> VolumeId:
    """Copy the volume, and prove the copy; when it is whole, the migration is committed.

    Raises:
        DigestMismatch: the copy differs from its source.
        SourceChanged: somebody took the volume away meanwhile.
    """

    def spec_of(e: Exported) -> VolumeSpec:
        return copy_spec(volume, e.disk, e.size_gib, dict(e.image_metadata))

    with run.stage("transfer volumes"):
        (copied,) = transfer(run, exported, spec_of)
        check_source(run, volume)
        run.perform(KeepVolume(f"destination {copied.disk.device}", copied.volume_id))
        run.enter(AttemptState.COMMITTED)
        run.undo(Lasts.TRANSFER)
        return copied.volume_id


def check_source(run: Run, volume: DetachedVolume) -> None:
    """Verify that the volume may leave as it is; from when it is marked, that it still is; at the source host, that nobody else has or had it.

    Raises:
        SourceChanged: it can't, with every reason; or it isn't there any more.
    """
    there = run.world.source.volume(volume.id)
    loan = Loan.of(there)
    marked = run.result_of(MarkVolume("source", volume.id)) is not None
    if marked and (loan is None or loan.attempt != run.attempt.id):  # what was done before may be undone
        raise SourceChanged(
            f"{volume.name or volume.id}: the volume isn't on loan to attempt {run.attempt.id} any more: somebody cleaned up after it",
            remedy="migrate again",
        )
    steps = [(r.step, r.result) for r in run.steps() if isinstance(r.step, AttachVolume)]
    hosts = {step.host_id: result for step, result in steps if step.side is Side.SOURCE}
    if not hosts:
        if problems := source_volume_problems(volume, there, run.attempt.id):
            raise SourceChanged("; ".join(map(str, problems)), remedy="mend that, then migrate again")
    elif None not in hosts.values() and [a.server_id for a in there.attachments] != list(hosts):
        raise SourceChanged(
            f"{volume.name or volume.id}: the volume was taken from the source conversion host, and may have been written to",
            remedy="leave it alone, then migrate again",
        )
