"""Command line: ``python -m bench``."""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.bed import clean, have_own_mounts, open_bed
from bench.cases import CASES, Case
from bench.disks import prepare
from bench.results import CaseResult
from bench.rounds import carry_out
from bench.tables import json_of, machine, markdown_of, text_of
from lab import process
from lab.errors import LabError, UsageError
from os_migrate.errors import OSMigrateError

CACHE_DIR: Final = Path(os.environ.get("OS_MIGRATE_BENCH_CACHE", "/var/cache/os-migrate-bench"))
LOCK: Final = Path("/run/os-migrate-bench.lock")

_MISSED = 3
_INTERRUPTED = 130
_EPILOG = f"""\
cases: {", ".join(CASES)}

files:
  {CACHE_DIR}    disks, 14 GB when all are made; OS_MIGRATE_BENCH_CACHE overrides it
  {CACHE_DIR}/results    result.txt, .md, .json and .svg of the last run

exit code: 0 done, 1 failed, 2 wrong usage, {_MISSED} a target was missed (with --strict). See docs/performance.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench and return the exit code."""
    options = _parser().parse_args(arguments)
    # To be asked to end is to be interrupted: all that was made is removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        if os.geteuid() != 0:
            raise UsageError("the bench makes namespaces and mounts: run it as root")
        have_own_mounts()
        with _alone():
            options.cache.mkdir(parents=True, exist_ok=True)
            if options.clean:
                clean(options.cache)
                return 0
            return _run(options)
    except KeyboardInterrupt:
        process.cancel()
        print("bench: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (LabError, OSMigrateError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the data path beside the plain way.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help="what to measure (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant has its turn (default: 5)")
    parser.add_argument("--strict", action="store_true", help=f"end with {_MISSED} if a target is missed")
    parser.add_argument("--verbose", action="store_true", help="tell how long each step of the engine takes")
    parser.add_argument("--cache", type=Path, default=CACHE_DIR, help="where disks and results are kept")
    parser.add_argument("--output", type=Path, help="where results go (default: results in the cache)")
    parser.add_argument("--clean", action="store_true", help="only remove what a killed bench has left")
    return parser


@contextmanager
def _alone() -> Iterator[None]:
    """Let one bench at a time run: its namespaces have fixed names."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another bench runs on this machine") from None
        yield


def _run(options: argparse.Namespace) -> int:
    cases: list[Case] = [CASES[name] for name in options.cases or CASES]
    output: Path = options.output or options.cache / "results"
    output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    results: list[CaseResult] = []
    clean(options.cache)
    disks = {name: prepare(name, options.cache, say) for case in cases for name in case.disks}
    with open_bed(options.cache, say) as bed:
        for case in cases:
            own = [disks[name] for name in case.disks]
            results.append(carry_out(case, own, options.rounds, bed, say, verbose=options.verbose))
            _write(results, output)
    print(f"\n{(output / 'result.txt').read_text(encoding='utf-8')}")
    _draw(results, output)
    missed = [v for result in results for v in result.verdicts() if not v.is_met]
    return _MISSED if missed and options.strict else 0


def _write(results: Sequence[CaseResult], output: Path) -> None:
    """Keep what there is so far: a run takes an hour."""
    about = machine()
    tools = ", ".join(f"{name} {version}" for name, version in about["tools"].items())
    head = (
        f"medians of {len(results[0].samples) // len(results[0].case.variants)} rounds, {about['cores']} cores; {tools}"
    )
    text = "\n\n".join([head, *(text_of(result) for result in results)])
    (output / "result.txt").write_text(f"{text}\n", encoding="utf-8")
    (output / "result.md").write_text(f"{markdown_of(results)}\n", encoding="utf-8")
    (output / "result.json").write_text(f"{json.dumps(json_of(results), indent=2)}\n", encoding="utf-8")


def _draw(results: Sequence[CaseResult], output: Path) -> None:
    from bench.plot import draw  # noqa: PLC0415 (what it needs is optional)

    try:
        draw(results, output / "result.svg")
    except ModuleNotFoundError as error:
        print(f"no plot: {error}; `make bench` installs what it needs")
    print(f"written to {output}")
