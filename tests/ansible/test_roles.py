"""Roles, run as in an operator's own playbook, with nothing set but the variables; their clouds are nowhere."""

from pathlib import Path

import pytest

FILES = Path(__file__).parents[1] / "unit"


@pytest.fixture
def data_dir(tmp_path, play):
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text("clouds: {}\n")
    play.variables = {"os_migrate_data_dir": str(data_dir), "os_migrate_clouds_path": str(clouds)}
    return data_dir


@pytest.mark.parametrize(
    ("role", "file", "count"),
    [("import_detached_volumes", "detached_volumes", 2), ("import_workloads", "workloads", 1)],
)
def test_each_that_fails_is_undone_and_reported_at_the_end(role, file, count, data_dir, play):
    (data_dir / f"{file}.yml").write_text((FILES / f"{file}-1.0.5.yml").read_text())
    played = play({"roles": ["os_migrate.os_migrate.prelude_common", f"os_migrate.os_migrate.{role}"]})
    assert played.rc == 2
    assert f"{count} failed:" in played.out
    assert "clouds.yaml" in played.out
    assert "data_dir is missing" not in played.out
