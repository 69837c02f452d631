"""An operator who uses the product from its command line, with a data dir of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import scenario


@contextmanager
def flavor_for_no_hypervisor() -> Iterator[str]:
    """Have a flavor in the destination whose disk no hypervisor there can hold; nothing but the scheduler finds out."""
    admin = scenario.connect("dst-admin")
    flavor = admin.compute.create_flavor(name="enormous", ram=512, vcpus=1, disk=100_000)
    try:
        yield flavor.name
    finally:
        admin.compute.delete_flavor(flavor)


SLOWLY = ("--set", "os_migrate_bandwidth_limit=24")
"""Lets 96 MiB take half a minute, so that whoever wants to meet a copy does."""


@dataclass(frozen=True)
class Done:
    """What a command of the product did."""

    exit_code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """Return what the command found, from the JSON lines."""
        lines = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]
        (result,) = [line for line in lines if line.get("event") == "result"]
        return dict(result)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Return the outcome of each workload by name."""
        return {outcome["name"]: outcome for outcome in self.result["outcomes"]}


@dataclass(frozen=True)
class Operator:
    """Somebody who uses the product with a data dir of their own."""

    directory: Path

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    def command(self, *words: str) -> list[str]:
        program = Path(sys.executable).with_name("os-migrate")
        return [str(program), "--settings", str(self.directory / "os-migrate.yml"), *words]

    def run(self, *words: str, timeout_s: float = 1500) -> Done:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=timeout_s)
        print("$ os-migrate", *words, f"-> {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return Done(done.returncode, done.stdout, done.stderr)

    def must(self, *words: str) -> Done:
        done = self.run(*words)
        assert done.exit_code == 0, f"os-migrate {' '.join(words)}: {done.err or done.out}"
        return done

    def edit_workloads(self, edit: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        """Edit the parameters and the migration parameters of each workload."""
        path = self.data_dir / "workloads.yml"
        content = yaml.safe_load(path.read_text())
        for resource in content["resources"]:
            edit(resource["params"], resource["_migration_params"])
        path.write_text(yaml.safe_dump(content, allow_unicode=True))
