"""A plan in words, for people."""

import io
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from os_migrate.cli.meter import duration, size
from os_migrate.plan.made import Made
from os_migrate.planning import Plan, PlannedServer, addresses_of
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
