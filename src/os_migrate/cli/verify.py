"""`os-migrate verify`: repeat the proof of what was migrated."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from os_migrate import verify as verifying
from os_migrate.cli.app import app, invocation_of, reporting
from os_migrate.cli.meter import duration
from os_migrate.cli.migration import calls_of
from os_migrate.errors import UserError
from os_migrate.failure import error_fields, error_text
from os_migrate.files.filters import listed
from os_migrate.model import ServerId
from os_migrate.report import WorkloadReport, read_report, report_files
from os_migrate.session import open_session
from os_migrate.settings import Settings
from os_migrate.verify import DiskCheck, State, Verification

Which = Annotated[
    list[str] | None, typer.Argument(metavar="NAME|ID", help="Servers or volumes. [default: all that were migrated]")
]


@app.command()
@reporting
def verify(ctx: typer.Context, which: Which = None) -> None:
    """Compare migrated disks with their sources and with the reports once more.

    Each disk is read from a snapshot in its own cloud, on the conversion hosts; nothing is detached, stopped or written to. The
    twin has run since it was proven: that it has written to its disks is told, and is no failure. A source that differs from the
    report is one.

    For example:

    - `os-migrate verify`
    - `os-migrate verify web1 --json`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    proofs, unreadable = chosen(settings, which or [])
    if not proofs and not unreadable:
        text = f"There is no report in {settings.data_dir}: nothing was migrated yet."
        invocation.show(text, {"verifications": [], "api_calls": {}})
        return
    found: list[Verification] = []
    calls: Mapping[str, int] = {}
    if any(proof.disks for proof in proofs):
        with (
            invocation.events(settings) as events,
            open_session(settings, events, hosts=True, lock=True) as session,
        ):
            found = verifying.verify(session.world, proofs, settings)
            calls = calls_of(session)
    else:
        found = [Verification(p.source_server_id, p.name, detail=p.proof) for p in proofs]
    by_id = {p.source_id: p for p in proofs}
    found += unreadable
    result = {"verifications": [fields(f, by_id.get(f.subject_id)) for f in found], "api_calls": dict(calls)}
    invocation.show("\n".join(line for f in found for line in lines_of(f, by_id.get(f.subject_id))), result)
    for one in found:
        if one.error is not None:
            typer.echo(f"{one.name or '(no name)'} ({one.subject_id}): not verified", err=True)
            typer.echo(error_text(one.error), err=True)
    failed = next((f.error for f in found if f.error is not None), None)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def chosen(settings: Settings, which: Sequence[str]) -> tuple[list[WorkloadReport], list[Verification]]:
    """Return the reports that are named, all if none is, and what is wrong with those that can't be used.

    Raises:
        UserError: a name has no report.
    """
    proofs: list[WorkloadReport] = []
    unreadable: list[Verification] = []
    for file in report_files(settings.data_dir):
        try:
            proofs.append(read_report(file))
        except UserError as error:
            unreadable.append(Verification(ServerId(file.stem), "", error=error))
    known = {word for p in proofs for word in (p.source_id, p.name)} | {u.server_id for u in unreadable}
    if missing := [word for word in which if word not in known]:
        names = listed([p.name for p in proofs])
        raise UserError(
            f"there is no report of {', '.join(map(repr, missing))}",
            remedy=f"there are those of: {names}; only what was migrated from this data dir has one",
        )
    if not which:
        return proofs, unreadable
    return (
        [p for p in proofs if {p.source_id, p.name} & set(which)],
        [u for u in unreadable if u.server_id in which],
    )


def lines_of(found: Verification, proof: WorkloadReport | None) -> list[str]:
    """Return a verification as people read it: a table of its disks."""
    lines = [f"{found.name or '(no name)'} ({found.subject_id}): {_verdict(found)}"]
    if proof is not None:
        lines.append(f"  migrated {proof.ended_at}, attempt {proof.attempt}; {proof.proof}")
    if found.detail and (proof is None or found.detail != proof.proof):
        lines.append(f"  {found.detail}")
    rows = [(d.device, f"source {d.source}", f"copy {d.copy}", says(d, found)) for d in found.disks]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    lines += ["  " + "  ".join(map(str.ljust, row, [*widths, 0])) for row in rows]
    return lines


def _verdict(found: Verification) -> str:
    if found.error is not None:
        return f"NOT verified, {duration(found.seconds)}"
    return f"verified, {duration(found.seconds)}" if found.disks else "nothing to verify"


def says(disk: DiskCheck, found: Verification) -> str:
    """Say what the three digests of a disk mean."""
    if State.GONE in {disk.source, disk.copy}:
        return "can't be compared any more"
    if disk.equal and disk.source is State.UNCHANGED:
        return f"all equal: {disk.source_digest}"
    if disk.equal:
        return f"source and copy are equal: {disk.source_digest}"
    if disk.is_doubtful:
        return "never proven, and they differ"
    if disk.source is State.UNCHANGED and found.volume_id:
        return "to be expected, if somebody has used the copy since"
    if disk.source is State.UNCHANGED:
        return "to be expected: the twin has run since, and wrote to it"
    return "source and copy differ"


def fields(found: Verification, proof: WorkloadReport | None) -> dict[str, object]:
    """Return a verification as the fields of a JSON line."""
    return {
        "server_id": found.server_id,
        "volume_id": found.volume_id,
        "name": found.name,
        "verified": found.error is None and bool(found.disks),
        "seconds": round(found.seconds, 3),
        "attempt": proof.attempt if proof else None,
        "migrated_at": proof.ended_at if proof else None,
        "proof": proof.proof if proof else None,
        "disks": [
            {
                "device": d.device,
                "source": d.source,
                "copy": d.copy,
                "equal": d.equal,
                "source_digest": d.source_digest,
                "copy_digest": d.copy_digest,
                "reported_digest": d.reported_digest,
            }
            for d in found.disks
        ],
        "detail": found.detail,
        "error": error_fields(found.error) if found.error else None,
    }
