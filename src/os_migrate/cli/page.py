"""A plan as a page that an operator can send to the servers' owners.

One file that loads nothing, from anywhere, and runs nothing. Whatever comes from a cloud or a file is escaped. It shows what a server is called
and becomes; never its user data, metadata, keys, or how a cloud is reached.
"""

from collections.abc import Iterable, Iterator
from html import escape

from os_migrate import __version__
from os_migrate.cli.meter import duration, size
from os_migrate.cli.planned import flavors_of, made_text, name_of, summary, warnings_of
from os_migrate.errors import Problem
from os_migrate.planning import Plan, PlannedServer, addresses_of

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --paper: #fff; --card: #f4f6f9; --line: #d9dfe7;
  --good: #1a7f4b; --bad: #b3261e; --bar: #2f6fde; --tail: #b9cdf3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #9aa6b5; --paper: #14181f; --card: #1d232c;
  --line: #333c49; --good: #58c98b; --bad: #ff8a80; --bar: #6ea0ff; --tail: #34496f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.2rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.lead { color: var(--dim); margin: 0; }
.verdict { margin: 1.2rem 0; padding: .8rem 1rem; border-left: .3rem solid var(--good); background: var(--card); }
.verdict.bad { border-color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .7rem; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; font-size: .85rem; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
small, .dim { color: var(--dim); } .bad { color: var(--bad); }
.track { position: relative; height: .8rem; min-width: 9rem; background: var(--card); border-radius: .2rem; }
.off, .tail { position: absolute; top: 0; height: 100%; border-radius: .2rem; min-width: 2px; }
.off { background: var(--bar); } .tail { background: var(--tail); }
dt { font-weight: 600; } dd { margin: 0 0 .8rem; }
details { margin: .3rem 0; } summary { cursor: pointer; }
footer { margin-top: 2.5rem; color: var(--dim); font-size: .85rem; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } tr, dd, .verdict { break-inside: avoid; }
  .off, .tail, .track { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(plan: Plan) -> str:
    """Return the page."""
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Migration plan</title><style>{STYLE}</style></head><body>",
            "<h1>Migration plan</h1>",
            f'<p class="lead">{escape(summary(plan))}</p>',
            *_verdict(plan),
            *_servers(plan),
            *_made(plan),
            *_list("To be known", warnings_of(plan)),
            *_list("What the times are reckoned with", plan.basis.lines),
            f"<footer>Made by OS Migrate {escape(__version__)}. Times count from the start of the run.</footer>",
            "</body></html>",
            "",
        )
    )


def _verdict(plan: Plan) -> Iterator[str]:
    if not plan.problems:
        yield '<div class="verdict">No problem was found: it can start.</div>'
        return
    yield f'<div class="verdict bad">It can\'t start yet. Problems: {len(plan.problems)}. Nothing was touched.</div>'
    yield "<h2>Problems</h2><dl>"
    yield from map(_problem, plan.problems)
    yield "</dl>"


def _problem(problem: Problem) -> str:
    remedy = f"<br><small>{escape(problem.remedy)}</small>" if problem.remedy else ""
    return f"<dt>{escape(problem.where)}</dt><dd>{escape(problem.what)}{remedy}</dd>"


def _servers(plan: Plan) -> Iterator[str]:
    yield '<h2>Servers, in their order</h2><div class="wide"><table><thead><tr>'
    heads = ("#", "Server", "Disks", "Addresses", "Flavor", "Off for", "When", "Problems")
    yield "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead><tbody>"
    yield from (_row(plan, number, server) for number, server in enumerate(plan.servers, 1))
    yield "</tbody></table></div>"


def _row(plan: Plan, number: int, server: PlannedServer) -> str:
    checked = server.checked
    name = f"{escape(checked.workload.name or '(no name)')}<br><small>{escape(checked.workload.id)}</small>"
    if checked.skip or server.likely is None or server.full is None:
        skipped = f'<td colspan="6" class="dim">skipped: {escape(checked.skip)}</td>'
        return f'<tr><td class="number">{number}</td><td>{name}</td>{skipped}</tr>'
    data = f"<br><small>about {size(server.likely_bytes)} to copy</small>" if checked.disks else ""
    disks = _lines(f"{disk.device} {disk.size_gib} GiB" for disk in checked.disks) or "nothing is copied"
    flavor = " → ".join(flavors_of(server))
    worst = round(server.full.downtime_s) > round(server.likely.downtime_s)
    at_most = f"<br><small>{duration(server.full.downtime_s)} if its disks are full</small>" if worst else ""
    count = f'<span class="bad">{len(checked.problems)}</span>' if checked.problems else "none"
    cells = (disks + data, _lines(addresses_of(server)), escape(flavor))
    return (
        f'<tr><td class="number">{number}</td><td>{name}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="number">{duration(server.likely.downtime_s)}{at_most}</td><td>{_bar(plan, server)}</td><td>{count}</td></tr>'
    )


def _bar(plan: Plan, server: PlannedServer) -> str:
    """Draw when a server is off, and what is cleaned up after it, within the whole run."""
    when = server.likely
    assert when is not None, "what isn't skipped has times"

    def style(begin_s: float, end_s: float) -> str:
        whole = plan.likely_s or 1.0
        return f"left:{begin_s / whole:.2%};width:{(end_s - begin_s) / whole:.2%}"

    off = f'<span class="off" style="{style(when.begin_s, when.twin_s)}"></span>'
    tail = f'<span class="tail" style="{style(when.twin_s, when.end_s)}"></span>'
    words = f"after {duration(when.begin_s)}, runs again after {duration(when.twin_s)}"
    return f'<div class="track">{off}{tail}</div><small>{words}</small>'


def _made(plan: Plan) -> Iterator[str]:
    if not plan.to_migrate:
        return
    yield "<h2>What is made</h2>"
    for server in plan.to_migrate:
        name = name_of(plan, server)
        items = "".join(f"<li>{escape(made_text(made))}</li>" for made in server.checked.made)
        yield f"<details open><summary>{escape(name)}</summary><ul>{items}</ul></details>"


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    if items:
        yield f"<h2>{title}</h2><ul>{items}</ul>"


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(escape(line) for line in lines)
