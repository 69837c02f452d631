"""`export`, `import`, `validate` and `diff` of the kinds beside workloads, on two fake clouds."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from os_migrate.cli import app, resources
from os_migrate.cli.app import hoisted
from os_migrate.model import Side
from os_migrate.resources.neutron import neutron
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock
from tests.unit.test_cli import Ran

NETWORKS, SUBNETS = neutron("networks"), neutron("subnets")


class Clouds:
    """The command line over two fake clouds; `there` is the data dir of exports from the destination."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source, self.destination = (FakeCloud(side, FakeClock()) for side in Side)
        self.here, self.there = directory / "here", directory / "there"
        for made in (self.here, self.there):
            made.mkdir()
        monkeypatch.setattr(resources, "open_cloud", self._open)

    def __call__(self, *words: str) -> Ran:
        done = CliRunner().invoke(app, hoisted(["--data-dir", str(self.here), *words]), catch_exceptions=False)
        return Ran(done.exit_code, done.stdout, done.stderr)

    def good(self, *words: str) -> str:
        ran = self(*words)
        assert ran.exit_code == 0, ran.err
        return ran.out

    def export_there(self, *kinds: str) -> None:
        """Export the destination as if it were a source."""
        self.source, self.destination, self.here, self.there = self.destination, self.source, self.there, self.here
        try:
            self.good("export", *kinds)
        finally:
            self.source, self.destination, self.here, self.there = self.destination, self.source, self.there, self.here

    def file(self, kind: str) -> dict[str, object]:
        return yaml.safe_load((self.here / f"{kind}.yml").read_text())

    def params(self, kind: str) -> dict[str, dict[str, object]]:
        return {r["params"]["name"]: r["params"] for r in self.file(kind)["resources"]}

    def edit(self, kind: str, name: str, **params: object) -> None:
        file = self.file(kind)
        (resource,) = [r for r in file["resources"] if r["params"]["name"] == name]
        resource["params"].update(params)
        (self.here / f"{kind}.yml").write_text(yaml.safe_dump(file, sort_keys=False))

    @contextmanager
    def _open(self, settings, events, side, *, lock):
        yield self.source if side is Side.SOURCE else self.destination


@pytest.fixture
def run(tmp_path, monkeypatch) -> Clouds:
    return Clouds(tmp_path, monkeypatch)


def furnish(cloud: FakeCloud) -> None:
    """Make two networks of the project, with what a subnet can have."""
    network = cloud.create_in(NETWORKS, {"name": "shop", "description": "all of it", "mtu": 1400})
    cloud.act_on(NETWORKS, network["id"], "tags", {"tags": ["b", "a"]})
    four = {"name": "shop-4", "network_id": network["id"], "ip_version": 4, "cidr": "192.0.2.0/24"}
    pools = [{"start": "192.0.2.100", "end": "192.0.2.200"}, {"start": "192.0.2.10", "end": "192.0.2.20"}]
    routes = [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.9"}]
    dns = ["192.0.2.8", "192.0.2.7"]
    cloud.create_in(
        SUBNETS, {**four, "allocation_pools": pools, "host_routes": routes, "dns_nameservers": dns, "gateway_ip": None}
    )
    six = {"name": "shop-6", "network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
    cloud.create_in(SUBNETS, {**six, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "enable_dhcp": True})
    cloud.create_in(NETWORKS, {"name": "back", "port_security_enabled": False})


def test_what_is_exported_and_imported_is_exported_the_same_there(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    out = run.good("import", "networks", "subnets")
    assert "4 created" in out
    run.export_there("networks", "subnets")
    for kind in ("networks", "subnets"):
        here, there = ((directory / f"{kind}.yml").read_text() for directory in (run.here, run.there))
        params = [[r["params"] for r in yaml.safe_load(text)["resources"]] for text in (here, there)]
        assert params[0] == params[1]
    assert run.params("subnets")["shop-4"]["gateway_ip"] is None
    assert run.params("subnets")["shop-4"]["dns_nameservers"] == ["192.0.2.8", "192.0.2.7"]
    assert run.params("networks")["back"]["is_port_security_enabled"] is False


def test_second_import_changes_nothing(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    run.good("import", "all")
    before = run.destination.seam.changes
    assert run.good("import", "all").splitlines() == ["4 same"]
    assert run.destination.seam.changes == before


def test_edited_file_is_an_update_and_shows_what_differs(run):
    furnish(run.source)
    run.good("export", "networks")
    run.good("import", "networks")
    run.edit("networks", "shop", mtu=1350, tags=["c"])
    dry = run.good("import", "networks", "--dry-run")
    assert dry.splitlines() == [
        "~ network shop",
        "    ~ mtu: 1400 -> 1350",
        "    ~ tags: ['a', 'b'] -> ['c']",
        "1 to update, 1 same",
    ]
    (before,) = [n for n in run.destination.list_of(NETWORKS) if n["name"] == "shop"]
    assert before["mtu"] == 1400
    assert "1 updated, 1 same" in run.good("import", "networks")
    (after,) = [n for n in run.destination.list_of(NETWORKS) if n["name"] == "shop"]
    assert (after["mtu"], after["tags"], after["id"]) == (1350, ["c"], before["id"])


def test_what_cannot_be_changed_is_refused_with_all_the_rest_before_anything_is_touched(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    run.good("import", "networks", "subnets")
    run.edit("networks", "back", mtu=1350)
    run.edit("subnets", "shop-4", cidr="198.51.100.0/24", ip_version=6)
    ran = run("import", "networks", "subnets", "--json")
    assert ran.exit_code == 2
    (error,) = [line for line in map(json.loads, ran.out.splitlines()) if line["event"] == "error"]
    assert len(error["problems"]) == 2
    assert "cidr: '192.0.2.0/24' -> '198.51.100.0/24'" in str(error["problems"])
    assert "subnets.yml:" in error["problems"][0]["where"]
    assert {n["mtu"] for n in run.destination.list_of(NETWORKS)} == {1400, 1442}


def test_subnets_alone_are_refused_where_their_network_is_missing(run):
    furnish(run.source)
    run.good("export", "networks", "subnets")
    ran = run("import", "subnets")
    assert ran.exit_code == 2
    assert "there is no network 'shop' in this project" in ran.err
    assert "import the networks first" in ran.err
    assert run.destination.list_of(SUBNETS) == []
