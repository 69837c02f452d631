"""A plan in words: as a table for people, and as the fields of a JSON line."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from os_migrate.cli.meter import duration, size
from os_migrate.errors import Problem
from os_migrate.plan.estimate import Times
from os_migrate.plan.made import Made
from os_migrate.planning import Plan, PlannedServer
from os_migrate.workload import Workload


def text_of(plan: Plan, width: int) -> str:
    """Return a plan as people read it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(_table(plan))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*lines, *_below(plan)])


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("#", "server", "disks", "addresses", "flavor"):
        table.add_column(column, overflow="fold")
    for column in ("off for", "begins", "ends"):
        table.add_column(column, no_wrap=True)
    table.add_column("problems", overflow="fold")
    for number, server in enumerate(plan.servers, 1):
        checked = server.checked
        name = escape(name_of(plan, server))
        disks = "\n".join(f"{escape(disk.device)} {disk.size_gib} GiB" for disk in checked.disks) or "none"
        addresses = escape("\n".join(addresses_of(server)))
        if checked.skip or server.likely is None:
            table.add_row(str(number), name, disks, addresses, "", "", "", "", f"skipped: {escape(checked.skip)}")
            continue
        at = [duration(seconds) for seconds in (server.likely.downtime_s, server.likely.begin_s, server.likely.end_s)]
        problems = str(len(checked.problems)) if checked.problems else "none"
        table.add_row(str(number), name, disks, addresses, escape("\n-> ".join(flavors_of(server))), *at, problems)
    return table


def _below(plan: Plan) -> Iterator[str]:
    yield ""
    yield summary(plan)
    yield "Reckoned with:"
    yield from (f"  {line}" for line in plan.basis.lines)
    if plan.to_migrate:
        yield "Made:"
    for server in plan.to_migrate:
        yield f"  for {name_of(plan, server)}:"
        yield from (f"    {made_text(made)}" for made in server.checked.made)
    if warnings := list(warnings_of(plan)):
        yield "To be known:"
        yield from (f"  {warning}" for warning in warnings)
    yield from _verdict(plan)


def _verdict(plan: Plan) -> Iterator[str]:
    if not plan.problems:
        command = "migrate" if of_servers(plan) else "import detached_volumes"
        yield f"No problem was found: `os-migrate {command}` can start." if plan.to_migrate else "Nothing to do."
        return
    count = len(plan.problems)
    yield f"It can't start, there {'is a problem' if count == 1 else f'are {count} problems'}; nothing was touched:"
    for problem in plan.problems:
        yield f"  {problem.where}: {problem.what}"
        yield from [f"      {problem.remedy}"] if problem.remedy else []


def of_servers(plan: Plan) -> bool:
    """Say whether a plan is one of servers, not of detached volumes."""
    return all(isinstance(server.checked.workload, Workload) for server in plan.servers)


def summary(plan: Plan) -> str:
    """Return the whole run in a sentence."""
    count = len(plan.to_migrate)
    word = "server" if of_servers(plan) else "detached volume"
    servers = f"{count} {word}{'s' * (count != 1)}"
    skipped = len(plan.servers) - count
    rest = f" ({skipped} skipped)" if skipped else ""
    total = sum(server.checked.bytes_to_copy for server in plan.to_migrate)
    likely = sum(server.likely_bytes for server in plan.to_migrate)
    data = size(total) if likely == total else f"about {size(likely)} in {size(total)}"
    at_most = f", {duration(plan.full_s)} if every disk is full" if round(plan.full_s) > round(plan.likely_s) else ""
    return f"{servers}{rest}, {plan.parallel} at once, {data} to copy: about {duration(plan.likely_s)}{at_most}."


def name_of(plan: Plan, server: PlannedServer) -> str:
    """Return a server's name, with its id where the name alone doesn't tell which it is."""
    workload = server.checked.workload
    alike = sum(other.checked.workload.name == workload.name for other in plan.servers)
    return workload.name if workload.name and alike == 1 else f"{workload.name or '(no name)'} ({workload.id})"


def addresses_of(server: PlannedServer) -> list[str]:
    """Return the addresses of a server's ports, and its floating ones with what becomes of them; a volume has none."""
    workload, target = server.checked.workload, server.checked.target
    if not isinstance(workload, Workload):
        return []
    params = workload.params
    fixed = [ip.ip_address for port in params.ports for ip in port.params.fixed_ips_refs]
    kept = {ip.address for ip in target.floating_ips if ip.existing is not None} if target else set()
    new = {ip.address for ip in target.floating_ips if ip.existing is None} if target else set()
    floating = [
        address + (" (kept)" if address in kept else " (replaced)" if address in new else " (left behind)")
        for address in (ip.params.floating_ip_address for ip in params.floating_ips)
    ]
    return [*fixed, *(floating if target else [])]


def flavors_of(server: PlannedServer) -> tuple[str, ...]:
    """Return a server's flavor and its twin's; a volume has none."""
    if not isinstance(server.checked.workload, Workload):
        return ()
    return server.checked.server.flavor_name if server.checked.server else "?", server.flavor or "?"


def made_text(made: Made) -> str:
    """Return something that is made in words."""
    large = f", {made.size_gib} GiB" if made.size_gib else ""
    kind = f", type {made.volume_type}" if made.volume_type else ""
    flavor = f", flavor {made.flavor.name}" if made.flavor else ""
    detail = f", {made.detail}" if made.detail else ""
    brief = ", for a while" if made.temporary else ""
    return f"{made.side}: {made.kind} {made.name}{large}{kind}{flavor}{detail}{brief}"


def warnings_of(plan: Plan) -> Iterator[str]:
    """Yield what stops nothing, and is to be known beforehand."""
    for server in plan.to_migrate:
        yield from (f"{name_of(plan, server)}: {warning}" for warning in server.checked.warnings)
    yield from plan.unchecked


def fields(plan: Plan) -> dict[str, object]:
    """Return a plan as the fields of a JSON line."""
    return {
        "can_start": not plan.problems,
        "problems": _problems(plan.problems),
        "servers": [_server(number, server) for number, server in enumerate(plan.servers, 1)],
        "seconds": round(plan.likely_s, 1),
        "seconds_if_full": round(plan.full_s, 1),
        "parallel": plan.parallel,
        "basis": list(plan.basis.lines),
        "unchecked": list(plan.unchecked),
    }


def _server(number: int, server: PlannedServer) -> Mapping[str, object]:
    checked = server.checked
    return {
        "order": number,
        "server_id": checked.workload.id if isinstance(checked.workload, Workload) else "",
        "volume_id": "" if isinstance(checked.workload, Workload) else checked.workload.id,
        "name": checked.workload.name,
        "skip": checked.skip,
        "source_flavor": checked.server.flavor_name if checked.server else "",
        "destination_flavor": server.flavor,
        "addresses": addresses_of(server),
        "disks": [{"device": d.device, "volume_id": d.volume_id, "size_gib": d.size_gib} for d in checked.disks],
        "bytes": server.likely_bytes,
        "bytes_if_full": checked.bytes_to_copy,
        "likely": _times(server.likely),
        "if_full": _times(server.full),
        "made": [_made(made) for made in checked.made],
        "warnings": list(checked.warnings),
        "problems": _problems(checked.problems),
    }


def _times(times: Times | None) -> dict[str, float] | None:
    if times is None:
        return None
    return {name: round(seconds, 1) for name, seconds in (*asdict(times).items(), ("downtime_s", times.downtime_s))}


def _made(made: Made) -> dict[str, object]:
    return {
        "side": made.side,
        "kind": made.kind,
        "name": made.name,
        "size_gib": made.size_gib or None,
        "volume_type": made.volume_type or None,
        "flavor": made.flavor.name if made.flavor else None,
        "temporary": made.temporary,
        "detail": made.detail,
    }


def _problems(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [asdict(problem) for problem in problems]
