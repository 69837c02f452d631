"""The two clouds of the lab, and an operator with conversion hosts in both."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lab import scenario
from lab.settings import STATE_DIR
from tests.acceptance.operating import Operator
from tests.acceptance.watching import HOSTS, Deployed, private_keys, watching_this_machine


@pytest.fixture(scope="session")
def source() -> Any:
    return scenario.connect("src")


@pytest.fixture(scope="session")
def destination() -> Any:
    return scenario.connect("dst")


@pytest.fixture(scope="session")
def deployed(source: Any, destination: Any) -> Iterator[Deployed]:
    """An operator with conversion hosts in both clouds, which are as good as empty before and after."""
    operator = Operator(STATE_DIR / "acceptance")
    if (operator.directory / "os-migrate.yml").exists():
        operator.run("hosts", "delete", "--force")
    for cloud in (source, destination):
        scenario.delete_servers(cloud)
    shutil.rmtree(operator.directory, ignore_errors=True)
    scenario.write_settings(operator.directory)
    with watching_this_machine() as seen:
        done = operator.must("hosts", "deploy")
    keys = private_keys(operator)
    assert keys
    yield Deployed(operator, done, seen)
    operator.must("hosts", "delete")
    for cloud in (source, destination):
        assert not {s.name for s in cloud.compute.servers()} & set(HOSTS.values())
        assert "os_migrate_conv" not in {pair.name for pair in cloud.compute.keypairs()}
        scenario.delete_servers(cloud)
    kept = [file.read_bytes() for file in operator.directory.rglob("*") if file.is_file()]
    assert not [line for line in keys for text in kept if line in text], "a private key outlives its hosts"


@pytest.fixture(scope="session")
def operator(deployed: Deployed) -> Operator:
    return deployed.operator
