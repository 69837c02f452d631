"""An operator who uses the product from Ansible: an inventory, a variable file as of OS Migrate 1.0.x, and playbooks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import scenario
from lab.settings import CLOUDS_YAML
from tests.acceptance.operating import Done

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "ansible_collections" / "os_migrate" / "os_migrate"
PLAYBOOKS = Path(__file__).with_name("playbooks")
RECAP = re.compile(r"^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """What ansible-playbook did."""

    exit_code: int
    out: str

    @property
    def changed(self) -> int:
        """Return how many tasks changed something, of all hosts."""
        recap = RECAP.findall(self.out)
        assert recap, self.out
        return sum(int(changed) for _, _, changed, _, _ in recap)


@dataclass(frozen=True)
class AnsibleOperator:
    """Somebody who has installed the collection from its file, in a directory of their own."""

    directory: Path
    collections: Path

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    def prepare(self, **variables: object) -> None:
        """Write the inventory, and the variable file with the credentials of both of the lab's clouds."""
        self.directory.mkdir(parents=True)
        (self.directory / "inventory.yml").write_text(
            "migrator:\n  hosts:\n    localhost:\n      ansible_connection: local\n"
            '      ansible_python_interpreter: "{{ ansible_playbook_python }}"\n'
        )
        clouds = yaml.safe_load(CLOUDS_YAML.read_text())["clouds"]
        mine: dict[str, object] = {"os_migrate_data_dir": str(self.data_dir)}
        for x in ("src", "dst"):
            mine[f"os_migrate_{x}_auth"] = clouds[x]["auth"]
            mine[f"os_migrate_{x}_region_name"] = clouds[x]["region_name"]
            mine[f"os_migrate_{x}_conversion_flavor_name"] = "conv"
            mine[f"os_migrate_{x}_conversion_external_network_name"] = scenario.EXTERNAL_NETWORK
        # Under emulation a server boots an order of magnitude slower than on hardware.
        mine["os_migrate_conversion_host_deploy_timeout"] = 600
        file = self.directory / "variables.yml"
        file.write_text(yaml.safe_dump({**mine, **variables}))
        file.chmod(0o600)

    def command(self, playbook: str, *words: str, **extra: object) -> list[str]:
        """Return the command for a playbook of the collection, or for one of the operator's own (a path)."""
        name = playbook if "/" in playbook else f"os_migrate.os_migrate.{playbook}"
        argv = [tool("ansible-playbook"), "-i", "inventory.yml", "-e", "@variables.yml"]
        argv += ["-e", json.dumps(extra)] if extra else []
        return [*argv, *words, name]

    def play(self, playbook: str, *words: str, **extra: object) -> Played:
        argv = self.command(playbook, *words, **extra)
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False, timeout=1200
        )
        spent_s = time.monotonic() - began
        print(
            f"$ {' '.join(argv[1:])} -> {done.returncode}, {spent_s:.1f} s\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
        )
        return Played(done.returncode, done.stdout + done.stderr)

    def must(self, playbook: str, *words: str, **extra: object) -> Played:
        played = self.play(playbook, *words, **extra)
        assert played.exit_code == 0, played.out[-8000:]
        return played

    def killed_in_the_copy(self, playbook: str, server_name: str, /, **extra: object) -> str:
        """Play a playbook, and kill it with all that it has started while the server's disk is copied; return what was going on."""
        state = self.data_dir / "workload_logs" / f"{server_name}.state"
        with (self.directory / "killed.log").open("a+") as out:
            player = subprocess.Popen(
                self.command(playbook, **extra),
                cwd=self.directory,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            deadline = time.monotonic() + 300
            while not copy_moves(state):
                out.seek(0)
                assert player.poll() is None, out.read()[-6000:]
                assert time.monotonic() < deadline, "no copy was ever seen to move"
                time.sleep(0.1)
            percents = state.read_text()
            family = descendants(player.pid)
            os.killpg(player.pid, signal.SIGKILL)
            for pid in family:  # a module may have a process group of its own
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            player.wait()
        return percents

    def os_migrate(self, *words: str) -> Done:
        """Run the command line as it is named in remedies: with nothing but the data dir."""
        argv = [tool("os-migrate"), "--data-dir", str(self.data_dir), *words]
        done = subprocess.run(argv, cwd=self.directory, capture_output=True, text=True, check=False, timeout=900)
        print(f"$ {' '.join(argv[1:])} -> {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "OS_"))},
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.directory / "ansible"),
        }


def build_and_install(directory: Path) -> Path:
    """Build the collection's file and install that, as ansible-galaxy does; return where it is."""
    built, installed = directory / "built", directory / "collections"
    galaxy = tool("ansible-galaxy")
    run([galaxy, "collection", "build", str(COLLECTION), "--output-path", str(built)])
    (file,) = built.glob("*.tar.gz")
    run([galaxy, "collection", "install", str(file), "--offline", "--collections-path", str(installed)])
    return installed


def run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def tool(name: str) -> str:
    """Return a program of the environment that the tests run in."""
    return str(Path(sys.executable).with_name(name))


def copy_moves(state: Path) -> bool:
    """Say whether a copy has told progress and is not done."""
    if not state.exists():
        return False
    percents: dict[str, Any] = json.loads(state.read_text() or "{}")
    return any(0 < percent < 100 for percent in percents.values())


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that a process has started, directly or not."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found += parents.get(child, [])
    return found
