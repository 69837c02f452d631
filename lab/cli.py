"""Command line: ``python -m lab COMMAND``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import images, process, secrets_file
from lab.bring_up import BringUp
from lab.cache import remove_tree
from lab.clouds_yaml import CLOUD_ERRORS
from lab.console import Console
from lab.container import Container
from lab.controlplane import schema, seed
from lab.controlplane.services import SERVICES
from lab.errors import LabError, UsageError
from lab.settings import CACHE_DIR, CLOUDS, CLOUDS_YAML, SSH_KEY, STATE_DIR, Cloud
from lab.status import all_status, describe
from lab.stop import remove, stop

_DESCRIPTION = """\
Run two real OpenStack clouds, src and dst, on this machine.

  python -m lab up                      build what is missing, start both clouds, fill them
  python -m lab status [--json]         every service, and how to reach the clouds
  python -m lab exec src virsh list     run a command in a cloud's container
  python -m lab logs src nova-compute -f
  python -m lab down                    stop both; `up` starts them again with their data
  python -m lab destroy [--cache]       remove both; the cache makes the next `up` quick
"""
_EPILOG = f"""\
files:
  {STATE_DIR}    the clouds' data and logs; OS_MIGRATE_LAB_DIR overrides it
  {CLOUDS_YAML}    entries src, dst (ordinary user) and src-admin, dst-admin
  {SSH_KEY}    private key of the key pair `lab`, which is in both clouds
  {CACHE_DIR}    root filesystem, databases, images; OS_MIGRATE_LAB_CACHE overrides it

exit code: 0 done, 1 failed, 2 wrong usage; `exec` has that of the command. See docs/lab.md for more.
"""
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    # To be asked to end is to be interrupted: builds are given up, and leave nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _check_machine()
        code: int = options.run(options)
    except KeyboardInterrupt:
        process.cancel()
        print("lab: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        return 1
    except (LabError, *CLOUD_ERRORS) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return code


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise UsageError("the lab makes namespaces and mounts: run it as root")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    up = commands.add_parser("up", help="bring both clouds up; what is up already stays as it is")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop the clouds and keep their data")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="show every service of both clouds")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)

    destroy = commands.add_parser("destroy", help="remove the clouds and their data")
    destroy.add_argument("--cache", action="store_true", help="remove the cache too: the next `up` builds it all")
    destroy.set_defaults(run=_destroy)

    execute = commands.add_parser("exec", help="run a command in a cloud's container; a shell if there is none")
    execute.add_argument("cloud", choices=CLOUDS)
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    execute.set_defaults(run=_exec)

    logs = commands.add_parser("logs", help="show the end of a service's log, or of all")
    logs.add_argument("cloud", choices=CLOUDS)
    logs.add_argument("service", nargs="?", choices=[service.name for service in SERVICES], metavar="SERVICE")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    logs.add_argument("-n", "--lines", type=int, default=40, help="how many lines to begin with (default: 40)")
    logs.set_defaults(run=_logs)

    seeding = commands.add_parser("seed", help="make flavors, networks, images and so on again, as far as they miss")
    seeding.set_defaults(run=_seed)
    return parser


def _up(_: argparse.Namespace) -> int:
    console = Console()
    BringUp(list(CLOUDS.values()), console).run()
    print(f"\n{console.summary()}\n\nBoth clouds are up:  export OS_CLIENT_CONFIG_FILE={CLOUDS_YAML}")
    return 0


def _down(_: argparse.Namespace) -> int:
    console = Console()

    def stop_one(cloud: Cloud) -> None:
        with console.stage(f"stop {cloud.name}"):
            stop(cloud)

    with ThreadPoolExecutor() as pool:
        list(pool.map(stop_one, CLOUDS.values()))
    schema.remove_leftovers()
    return 0


def _destroy(options: argparse.Namespace) -> int:
    console = Console()

    def remove_one(cloud: Cloud) -> None:
        with console.stage(f"remove {cloud.name}"):
            remove(cloud)

    with ThreadPoolExecutor() as pool:
        list(pool.map(remove_one, CLOUDS.values()))
    schema.remove_leftovers()
    remove_tree(STATE_DIR)
    if options.cache:
        with console.stage(f"remove {CACHE_DIR}"):
            remove_tree(CACHE_DIR)
    return 0


def _status(options: argparse.Namespace) -> int:
    status = all_status()
    print(json.dumps(status, indent=2) if options.json else describe(status))
    return 0 if all(cloud["up"] for cloud in status.values()) else 1


def _exec(options: argparse.Namespace) -> int:
    argv = Container(CLOUDS[options.cloud]).command(options.command or ["bash"])
    return subprocess.run(argv, check=False).returncode


def _logs(options: argparse.Namespace) -> int:
    folder = CLOUDS[options.cloud].log_directory
    files = [folder / f"{options.service}.log"] if options.service else sorted(folder.glob("*.log"))
    missing = [str(file) for file in files if not file.exists()]
    if missing or not files:
        raise UsageError(f"no log {', '.join(missing) or f'in {folder}'}")
    follow = ["-F"] if options.follow else []
    return subprocess.run(["tail", f"--lines={options.lines}", *follow, *files], check=False).returncode


def _seed(_: argparse.Namespace) -> int:
    console = Console()
    secrets_file.load()
    seed.make_ssh_key()
    folder = images.ensure()

    def seed_one(cloud: Cloud) -> None:
        Container(cloud).state()
        with console.stage(f"seed {cloud.name}"):
            seed.seed(cloud)
            seed.seed_images(cloud, folder)

    with ThreadPoolExecutor() as pool:
        list(pool.map(seed_one, CLOUDS.values()))
    return 0
