"""The two clouds of the lab, and an operator with conversion hosts in both."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lab import scenario
from lab.settings import STATE_DIR
from tests.acceptance.operating import Operator


@pytest.fixture(scope="session")
def source() -> Any:
    return scenario.connect("src")


@pytest.fixture(scope="session")
def destination() -> Any:
    return scenario.connect("dst")


@pytest.fixture(scope="session")
def operator(source: Any, destination: Any) -> Iterator[Operator]:
    """An operator with conversion hosts in both clouds, which are as good as empty before and after."""
    operator = Operator(STATE_DIR / "acceptance")
    if (operator.directory / "os-migrate.yml").exists():
        operator.run("hosts", "delete", "--force")
    for cloud in (source, destination):
        scenario.delete_servers(cloud)
    shutil.rmtree(operator.directory, ignore_errors=True)
    scenario.write_settings(operator.directory)
    operator.must("hosts", "deploy")
    yield operator
    operator.must("hosts", "delete")
    for cloud in (source, destination):
        scenario.delete_servers(cloud)
