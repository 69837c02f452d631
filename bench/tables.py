"""The results as text and as JSON."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.cases import Measure
from bench.results import MIB, CaseResult, Verdict

TOOLS: Final = {
    "qemu": ("qemu-img", "--version"),
    "nbdkit": ("nbdkit", "--version"),
    "libnbd": ("nbdcopy", "--version"),
    "openssh": ("ssh", "-V"),
    "partclone": ("partclone.extfs", "--version"),
    "zstd": ("zstd", "--version"),
}


def text_of(result: CaseResult) -> str:
    """Return a case's medians as a table, with its targets below."""
    case = result.case
    lines = [
        f"{case.name}: {', '.join(case.disks)}, link {case.link}, {result.in_use_bytes / MIB:.0f} MiB in use",
        f"  {'':20} {'wall':>8} {'ratio':>6} {'CPU':>8} {'ratio':>6} {'source':>7} {'dest.':>7} {'wire':>10} {'back':>7} {'link':>6}",
    ]
    for variant in case.variants:
        m = result.median(variant)
        wall, cpu = result.value(Measure.WALL, variant), result.value(Measure.CPU, variant)
        share = "" if m.link_share is None else f"{m.link_share:.0%}"
        lines.append(
            f"  {variant:20} {m.wall_s:6.1f} s {wall:6.2f} {m.cpu_s:6.1f} s {cpu:6.2f} {m.source_cpu_s:7.1f}"
            f" {m.destination_cpu_s:7.1f} {m.wire_bytes / MIB:6.1f} MiB {m.back_bytes / MIB:7.1f} {share:>6}"
        )
    lines += [f"  {verdict_line(verdict)}" for verdict in result.verdicts()]
    return "\n".join(lines)


def verdict_line(verdict: Verdict) -> str:
    """Say whether a target is met."""
    target = verdict.target
    said = "met   " if verdict.is_met else "MISSED"
    return f"{said} {target.variant}: {target.measure} {verdict.value:.3g}, wanted {target}"


def markdown_of(results: Sequence[CaseResult]) -> str:
    """Return the medians as a table for the documentation; what misses its target is marked."""
    lines = [
        "| disk, link | | wall, s | ratio | CPU, s | ratio | on the wire, MiB | share of the link |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        verdicts = {(v.target.measure, v.target.variant): v for v in result.verdicts()}
        for variant in result.case.variants:
            m = result.median(variant)
            in_use = verdicts.get((Measure.WIRE_IN_USE, variant)) or verdicts.get((Measure.WIRE_MIB, variant))
            of_use = f" ({m.wire_bytes / result.in_use_bytes:.2f} of what is in use)" if result.in_use_bytes else ""
            cells = (
                f"{', '.join(result.case.disks)}, {result.case.link}" if variant is result.case.base else "",
                variant,
                f"{m.wall_s:.1f}",
                _marked(f"{result.value(Measure.WALL, variant):.3f}", verdicts.get((Measure.WALL, variant))),
                f"{m.cpu_s:.1f}",
                _marked(f"{result.value(Measure.CPU, variant):.3f}", verdicts.get((Measure.CPU, variant))),
                _marked(f"{m.wire_bytes / MIB:.1f}{of_use}", in_use),
                _marked(
                    "" if m.link_share is None else f"{m.link_share:.0%}", verdicts.get((Measure.LINK_SHARE, variant))
                ),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _marked(text: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return text
    return f"{text}, {'met' if verdict.is_met else '**missed**'}: {verdict.target}"


def json_of(results: Sequence[CaseResult]) -> dict[str, Any]:
    """Return everything that was measured."""
    return {"machine": machine(), "cases": [_case(result) for result in results]}


def _case(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "name": case.name,
        "disks": list(case.disks),
        "link": case.link,
        "in_use_bytes": result.in_use_bytes,
        "base": case.base,
        "medians": {
            variant: {
                **asdict(result.median(variant)),
                "wall_ratio": result.value(Measure.WALL, variant),
                "cpu_ratio": result.value(Measure.CPU, variant),
            }
            for variant in case.variants
        },
        "targets": [{**asdict(v.target), "value": v.value, "is_met": v.is_met} for v in result.verdicts()],
        "samples": [asdict(sample) for sample in result.samples],
    }


def machine() -> dict[str, Any]:
    """Return what the figures are of."""
    return {
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "tools": {name: _version(argv) for name, argv in TOOLS.items()},
    }


def _version(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found.group() if found else ""
