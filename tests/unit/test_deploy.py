"""Deployment of conversion hosts on fake clouds: what is made, reused, refused, linked and deleted."""

import base64
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from os_migrate import keys
from os_migrate.errors import CloudError, HostError, HostUnreachable, PlanError, RollbackIncomplete, UserError
from os_migrate.events import Events, Note
from os_migrate.hosts.check import check, link_script
from os_migrate.hosts.cloud_init import user_data
from os_migrate.hosts.delete import delete
from os_migrate.hosts.deploy import deploy, find_host, rehearse
from os_migrate.hosts.doors import ANYWHERE, SSH_CLIENT_SCRIPT
from os_migrate.hosts.hosting import MARK
from os_migrate.hosts.hosting import Stage as Part
from os_migrate.hosts.packages import REQUIRED, HostFacts
from os_migrate.model import (
    FixedIp,
    IngressRule,
    KeyPair,
    Named,
    Network,
    NetworkId,
    NetworkPart,
    PartKind,
    PortSpec,
    ServerId,
    ServerStatus,
    Side,
    Subnet,
)
from os_migrate.settings import ConversionSettings, HostSettings, Settings
from os_migrate.units import LINK_KEY
from tests.fakes.cloud import FakeCloud
from tests.fakes.seam import FakeClock, Killed

COMPLETE = HostFacts("debian", (), "12", "3.11", tuple((tool, "1") for tool in REQUIRED))
BARE = HostFacts("debian", (), "12", "3.11", ())


class FakeHostingCloud(FakeCloud):
    """A cloud in which hosts can be deployed. `interfaces` pairs routers with subnets."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(name, clock)
        self.keys: dict[str, str] = {}
        self.made: list[tuple[PartKind, NetworkPart]] = []
        self.interfaces: set[tuple[str, str]] = set()
        self.rules: dict[str, list[IngressRule]] = {}
        self.reboots = 0
        self.add_flavor("conv")
        self.add_image("os_migrate_conv")
        self.public = self.add_network("public", "172.31.11.0/24", is_external=True)

    def public_keys(self):
        return [KeyPair(id=name, name=name, public_key=public) for name, public in self.keys.items()]

    def import_keypair(self, name, public_key):
        self.keys[name] = public_key
        self.add_keypair(name)

    def delete_keypair(self, name):
        self.keys.pop(name, None)

    def parts(self, kind):
        return [part for made, part in self.made if made is kind]

    def create_network(self, name, mtu, description):
        new = self._make(PartKind.NETWORK, name, description)
        self._networks.append(Network(new, name))
        return new

    def create_subnet(self, name, network_id, addresses, description):
        new = self._make(PartKind.SUBNET, name, description, network_id)
        self._subnets.append(Subnet(new, name, network_id=network_id, cidr=addresses.cidr))
        return new

    def create_router(self, name, external_network_id, description):
        assert external_network_id == self.public.id
        return self._make(PartKind.ROUTER, name, description)

    def create_security_group(self, name, description):
        new = self._make(PartKind.SECURITY_GROUP, name, description)
        self._groups.append(Named(new, name))
        return new

    def ssh_rules(self, group_id):
        return list(self.rules.get(group_id, []))

    def allow_ssh(self, group_id, cidr, description):
        self.rules.setdefault(group_id, []).append(IngressRule(self._new_id("rule"), cidr, description))

    def delete_rule(self, rule_id):
        self.rules = {group: [r for r in rules if r.id != rule_id] for group, rules in self.rules.items()}

    @property
    def let_in(self) -> list[str]:
        return sorted(rule.cidr for rules in self.rules.values() for rule in rules)

    def join(self, router_id, subnet_id):
        self.interfaces.add((router_id, subnet_id))

    def part_from(self, router_id, subnet_id):
        self.interfaces.discard((router_id, subnet_id))

    def delete_part(self, kind, part_id):
        if kind is PartKind.ROUTER and any(router == part_id for router, _ in self.interfaces):
            raise CloudError(f"router {part_id} still has interfaces")
        if kind is PartKind.NETWORK and any(port.network_id == part_id for port, _ in self._ports.values()):
            raise CloudError(f"network {part_id} still has ports")
        self.made = [(k, part) for k, part in self.made if part.id != part_id]
        self._networks = [n for n in self._networks if n.id != part_id]
        self._groups = [g for g in self._groups if g.id != part_id]

    def reboot_server(self, server_id):
        self.reboots += 1

    def _make(self, kind, name, description, network_id=None):
        new = self._new_id(kind)
        self.made.append((kind, NetworkPart(new, name, None, description, network_id)))
        return new


def lets_in(cloud: FakeHostingCloud, network: str) -> bool:
    """Say whether a cloud's rules let a client in; groups of the operator's own do."""
    return not cloud.parts(PartKind.SECURITY_GROUP) or bool({ANYWHERE, network} & set(cloud.let_in))


class FakeDeployable:
    """A host's side of the deployment."""

    def __init__(
        self, name: str, server_id: str, stage: "Stage", cloud: FakeHostingCloud, *, reachable: bool, facts: HostFacts
    ) -> None:
        self.stage, self.cloud, self.reachable_now, self.now = stage, cloud, reachable, facts
        self.name, self.server_id = name, server_id
        self.scripts: list[str] = []
        self.scripts_of_root: list[str] = []
        self.authorized, self.authorized_from = "", None
        self.link: tuple[str, str] | None = None
        self.password: str | None = None
        self.closed = False

    def reachable(self):
        return self.reachable_now and self._let_in()

    def _let_in(self):
        return lets_in(self.cloud, self.stage.migrator)

    def logs_in(self, script):
        """Do as ssh does on the destination host: say what the link's command prints on the source host."""
        source = self.stage.hosts[self.name.replace("dst", "src")]
        assert f"HostKeyAlias={source.server_id} " in script
        if not lets_in(source.cloud, self.stage.peer):
            raise HostError("the script ended with 255: Connection timed out")
        if not source.authorized or source.authorized_from not in {None, self.stage.peer}:
            raise HostError("the script ended with 255: Permission denied")
        return f"{self.stage.peer.removesuffix('/32')} 40023 192.168.10.11 22\n"

    def await_reachable(self, timeout_s):
        if not self.reachable():
            raise HostUnreachable("no answer", remedy="look")

    def facts(self):
        self.await_reachable(0)
        return self.now

    def install_packages(self):
        self.now = COMPLETE

    def run_script(self, text, *, as_root=False):
        self.scripts.append(text)
        if as_root:
            self.scripts_of_root.append(text)
        if text == SSH_CLIENT_SCRIPT:
            return f"{self.stage.migrator.removesuffix('/32')} 40022 192.168.10.12 22\n"
        if LINK_KEY in text:
            return self.logs_in(text)
        return f"boot {self.cloud.reboots}\n"

    def allow_password(self, password, *, dry_run):
        before = self.password
        self.password = before if dry_run else password
        return before != password

    def authorize_link(self, public_key, network):
        before = self.authorized, self.authorized_from
        self.authorized, self.authorized_from = " ".join(public_key.split()[:2]), network
        return before != (self.authorized, network)

    def install_link(self, private_key, known_hosts):
        before, self.link = self.link, (private_key, known_hosts)
        return before != self.link

    def close(self):
        self.closed = True


class Stage:
    """Two clouds, settings, and the hosts that were opened."""

    def __init__(self, directory: Path) -> None:
        self.clock = ThreadSafeClock()
        self.clouds = {side: FakeHostingCloud(side.value, self.clock) for side in Side}
        host = HostSettings(host_name="", flavor_name="conv", external_network_name="public")
        self.settings = Settings(
            data_dir=directory,
            source_host=replace(host, host_name="conv_src"),
            destination_host=replace(host, host_name="conv_dst"),
            conversion=ConversionSettings(
                keypair_private_path=directory / "conversion/ssh.key",
                link_keypair_private_path=directory / "conversion/link-ssh.key",
                known_hosts_path=directory / "conversion/known_hosts",
            ),
        )
        self.migrator, self.peer = "198.51.100.7/32", "203.0.113.9/32"
        self.facts = COMPLETE
        self.unreachable: set[str] = set()
        self.hosts: dict[str, FakeDeployable] = {}
        self.notes: list[Note] = []
        self.events = Events(self.notes.append)

    def open_host(self, name: str, server_id: ServerId, address: str) -> FakeDeployable:
        cloud = self.clouds[Side.SOURCE if name.startswith("conv_src") else Side.DESTINATION]
        old = self.hosts.get(name)
        host = FakeDeployable(name, server_id, self, cloud, reachable=name not in self.unreachable, facts=self.facts)
        if old is not None and old.server_id == server_id:
            host.authorized, host.authorized_from, host.link = old.authorized, old.authorized_from, old.link
            host.password = old.password
        self.hosts[name] = host
        return host

    def deploy(self, *stages):
        return self.change(*stages).hosts

    def change(self, *stages):
        return deploy(self.clouds, self.settings, self.events, self.clock, self.open_host, stages or tuple(Part))

    def rehearse(self, *stages):
        return rehearse(self.clouds, self.settings, self.open_host, stages or tuple(Part))

    def delete(self, *, dry_run=False):
        return delete(self.clouds, self.settings, self.events, dry_run=dry_run)

    def check(self):
        return check(self.clouds, self.settings, self.open_host)

    def set_hosts(self, **changes):
        self.settings = replace(
            self.settings,
            source_host=replace(self.settings.source_host, **changes),
            destination_host=replace(self.settings.destination_host, **changes),
        )

    def set_conversion(self, **changes):
        self.settings = replace(self.settings, conversion=replace(self.settings.conversion, **changes))

    def inventory(self):
        return [
            (len(c.servers()), len(c.floating_ips()), [(kind, part.name) for kind, part in c.made], sorted(c.keys))
            for c in self.clouds.values()
        ]


class ThreadSafeClock(FakeClock):
    """Both sides are deployed at one time, on one clock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def sleep(self, seconds):
        with self.lock:
            super().sleep(seconds)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION


# Deploy ------------------------------------------------------------------------------------------------------------------


def test_both_hosts_are_deployed_and_linked(stage):
    source, destination = stage.deploy()

    for deployed in (source, destination):
        cloud = stage.clouds[deployed.side]
        server = cloud.server(deployed.server_id)
        assert server.status is ServerStatus.ACTIVE
        assert server.metadata == {"conversion_host": "true", "os_migrate_conversion_host": deployed.side.value}
        assert deployed.address in {ip.address for ip in cloud.floating_ips()}
        assert [kind for kind, _ in cloud.made] == list(PartKind)
        assert len(cloud.interfaces) == 1
        assert find_host(cloud, stage.settings, deployed.side) == (deployed.server_id, deployed.address)
    line = f"{source.server_id} ssh-ed25519 "
    assert stage.hosts["conv_dst"].link[1].startswith(line)
    link = keys.load(stage.settings.conversion.link_keypair_private_path)
    assert stage.hosts["conv_dst"].link[0] == link.private
    assert link.is_same(stage.hosts["conv_src"].authorized)
    assert all(host.closed for host in stage.hosts.values())


def test_deploying_again_changes_nothing(stage):
    first = stage.deploy()
    before = stage.inventory()
    assert [d.server_id for d in stage.deploy()] == [d.server_id for d in first]
    assert stage.inventory() == before


def test_what_is_changed_is_listed_and_a_second_time_it_is_nothing(stage):
    made = stage.change().changes
    for side in Side:
        mine = [line.removeprefix(f"{side} conversion host: ") for line in made if line.startswith(side)]
        assert mine[:5] == [
            "import key pair 'os_migrate_conv'",
            *(f"create {kind} 'os_migrate_conv'" for kind in PartKind),
        ]
        assert f"create server 'conv_{'src' if side is SOURCE else 'dst'}'" in mine
        assert "create floating IP" in mine
        assert f"let SSH in from {stage.migrator}" in mine
    assert stage.change().changes == ()


def test_stages_one_by_one_are_the_whole(stage):
    stage.facts = BARE
    assert stage.deploy(Part.HOSTS)
    assert all(host.now is BARE and host.link is None for host in stage.hosts.values())
    stage.change(Part.CONTENT)
    assert all(host.now is COMPLETE for host in stage.hosts.values())
    stage.facts = COMPLETE
    stage.change(Part.LINK)
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]
    assert stage.check() == ()
    assert stage.change().changes == ()


@pytest.mark.parametrize("stages", [(Part.CONTENT,), (Part.LINK,)])
def test_stages_that_need_a_host_make_none(stage, stages):
    before = stage.inventory()
    with pytest.raises(UserError, match="isn't there"):
        stage.deploy(*stages)
    assert stage.inventory() == before


def test_rehearsal_tells_what_each_stage_would_change_and_changes_nothing(stage):
    before = stage.inventory()
    assert [line.partition(":")[0] for line in stage.rehearse(Part.HOSTS)] == [
        "source conversion host 'conv_src'",
        "destination conversion host 'conv_dst'",
    ]
    assert stage.inventory() == before
    stage.facts = BARE
    stage.deploy(Part.HOSTS)
    assert stage.rehearse(Part.HOSTS) == ()
    assert ["it lacks nbdkit" in line for line in stage.rehearse(Part.CONTENT)] == [True, True]
    assert ["link between" in line for line in stage.rehearse(Part.LINK)] == [True]
    stage.facts = COMPLETE
    stage.deploy()
    assert stage.rehearse() == ()
    stage.set_conversion(reboot=True)
    assert [line.rpartition(" ")[2] for line in stage.rehearse()] == ["reboot", "reboot"]
    assert [cloud.reboots for cloud in stage.clouds.values()] == [0, 0]


def test_rehearsal_of_one_side_says_nothing_of_the_other(stage):
    stage.settings = stage.settings.only(DESTINATION)
    assert [line[:11] for line in stage.rehearse()] == ["destination"]


def test_rehearsal_refuses_what_deploying_refuses(stage):
    stage.deploy()
    stage.settings.conversion.known_hosts_path.unlink()
    with pytest.raises(UserError, match="hosts delete"):
        stage.rehearse()
    stage.set_hosts(flavor_name=None)
    with pytest.raises(PlanError, match="no flavor"):
        stage.rehearse()


def test_password_lets_in_only_where_it_is_asked_for(stage):
    stage.deploy()
    assert {host.password for host in stage.hosts.values()} == {None}
    stage.set_conversion(ssh_password="old secret")
    assert stage.rehearse() == stage.change().changes == ()
    stage.set_conversion(ssh_password_access=True)
    assert ["doesn't let its SSH user in by password" in line for line in stage.rehearse()] == [True, True]
    assert [line.rpartition(": ")[2] for line in stage.change().changes] == ["let the SSH user in by password"] * 2
    assert {host.password for host in stage.hosts.values()} == {"old secret"}
    assert stage.change().changes == ()
    stage.set_conversion(ssh_password_access=False)
    stage.deploy()
    assert {host.password for host in stage.hosts.values()} == {None}
    assert "old secret" not in repr(stage.settings) + repr(stage.notes)


def test_password_access_without_a_password_is_refused_before_anything_is_made(stage):
    before = stage.inventory()
    stage.set_conversion(ssh_password_access=True)
    for act in (stage.deploy, stage.rehearse):
        with pytest.raises(UserError, match="there is no password"):
            act()
    assert stage.inventory() == before


def test_host_key_is_handed_over_and_known_before_the_first_connection(stage):
    source, _ = stage.deploy()
    document = base64.b64decode(stage.clouds[SOURCE].server(source.server_id).user_data).decode()
    first, rest = document.split("\n", 1)
    handed = json.loads(rest)
    assert first == "#cloud-config"
    assert handed["ssh_deletekeys"] is True
    public = handed["ssh_keys"]["ed25519_public"].split()[:2]
    known = stage.settings.conversion.known_hosts_path
    assert f"{source.server_id} {' '.join(public)}" in known.read_text().splitlines()
    assert known.stat().st_mode & 0o777 == 0o600


def test_private_keys_are_readable_by_their_owner_only(stage):
    stage.deploy()
    conversion = stage.settings.conversion
    for path in (conversion.keypair_private_path, conversion.link_keypair_private_path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert keys.load(conversion.keypair_private_path).is_same(stage.clouds[SOURCE].keys["os_migrate_conv"])


def test_every_problem_of_both_sides_is_told_before_anything_is_made(stage):
    stage.settings = replace(
        stage.settings,
        source_host=replace(stage.settings.source_host, flavor_name=None, image_name="none"),
        destination_host=replace(stage.settings.destination_host, external_network_name="none"),
    )
    before = stage.inventory()
    with pytest.raises(PlanError) as raised:
        stage.deploy()
    assert [(p.where, p.what) for p in raised.value.problems] == [
        ("source conversion host", "no flavor is named"),
        ("source conversion host", "the image 'none' isn't there"),
        ("destination conversion host", "the external network 'none' isn't there"),
    ]
    assert "os_migrate_src_conversion_host_flavor_name" in str(raised.value)
    assert stage.inventory() == before


def test_ambiguous_name_is_refused_with_its_candidates(stage):
    twin = stage.clouds[SOURCE].add_image("os_migrate_conv")
    with pytest.raises(PlanError, match=twin.id):
        stage.deploy()


def test_key_pair_of_that_name_with_another_key_is_refused(stage):
    stage.clouds[SOURCE].import_keypair("os_migrate_conv", keys.generate("ed25519", "other").public)
    with pytest.raises(UserError, match="another public key"):
        stage.deploy()
    assert stage.clouds[SOURCE].servers() == []


def test_server_without_a_known_host_key_is_refused(stage):
    stage.deploy()
    stage.settings.conversion.known_hosts_path.unlink()
    with pytest.raises(UserError, match="hosts delete"):
        stage.deploy()


def test_foreign_server_of_that_name_is_refused_and_never_deleted(stage):
    cloud = stage.clouds[SOURCE]
    flavor, network = cloud.flavors()[0], cloud.networks()[0]
    foreign = cloud.add_server("conv_src", flavor, network, image=cloud.images()[0])
    with pytest.raises(UserError, match="os-migrate didn't make it"):
        stage.deploy()
    stage.delete()
    assert cloud.server(foreign).name == "conv_src"
    assert any(note.warning and foreign in note.text for note in stage.notes)


def test_network_of_the_operators_is_used_and_left(stage):
    stage.set_hosts(manage_network=False, net_name="own", secgroup_name="own")
    for cloud in stage.clouds.values():
        cloud.add_network("own", "10.9.0.0/24")
        cloud.add_security_group("own")
    source, _ = stage.deploy()
    cloud = stage.clouds[SOURCE]
    assert cloud.made == []
    assert [group.name for group in cloud.server_security_groups(source.server_id)] == ["own"]
    stage.delete()
    assert "own" in {network.name for network in cloud.networks()}


def test_fixed_address_is_used_without_floating_ips(stage):
    stage.set_hosts(manage_fip=False)
    source, _ = stage.deploy()
    cloud = stage.clouds[SOURCE]
    assert cloud.floating_ips() == []
    assert source.address in {ip.ip_address for port in cloud.ports() for ip in port.fixed_ips}


def test_given_floating_ip_is_used_and_left(stage):
    stage.settings = replace(
        stage.settings, source_host=replace(stage.settings.source_host, floating_ip_address="172.31.11.99")
    )
    cloud = stage.clouds[SOURCE]
    cloud.add_floating_ip(cloud.public, "172.31.11.99")
    source, _ = stage.deploy()
    assert source.address == "172.31.11.99"
    stage.delete()
    assert [ip.address for ip in cloud.floating_ips()] == ["172.31.11.99"]


def test_floating_ip_that_is_in_use_is_refused(stage):
    stage.settings = replace(
        stage.settings, source_host=replace(stage.settings.source_host, floating_ip_address="172.31.11.99")
    )
    cloud = stage.clouds[SOURCE]
    port = cloud.create_port(PortSpec(NetworkId(cloud.public.id), (FixedIp("", "172.31.11.7"),)), "")
    cloud.add_floating_ip(cloud.public, "172.31.11.99", port)
    with pytest.raises(UserError, match="in use"):
        stage.deploy()


def test_missing_tools_are_installed_between_the_hooks(stage):
    stage.facts = BARE
    stage.set_hosts(pre_content_hook="echo before", post_content_hook="echo after")
    stage.deploy()
    assert stage.hosts["conv_src"].scripts_of_root == ["echo before", "echo after"]
    assert stage.hosts["conv_src"].now is COMPLETE


def test_missing_tools_that_may_not_be_installed_are_an_error(stage):
    stage.facts = BARE
    stage.set_conversion(content_install=False)
    with pytest.raises(HostError, match=r"lacks .*nbdkit"):
        stage.deploy()


def test_reboot_waits_for_a_new_boot(stage):
    stage.set_conversion(reboot=True)
    stage.deploy()
    assert [cloud.reboots for cloud in stage.clouds.values()] == [1, 1]


def test_failure_on_one_side_leaves_what_the_next_try_goes_on_with(stage):
    stage.unreachable = {"conv_src"}
    with pytest.raises(HostUnreachable):
        stage.deploy()
    assert [len(cloud.servers()) for cloud in stage.clouds.values()] == [1, 1]
    stage.unreachable = set()
    stage.deploy()
    assert [len(cloud.servers()) for cloud in stage.clouds.values()] == [1, 1]


def test_stopped_host_is_started(stage):
    source, _ = stage.deploy()
    cloud = stage.clouds[SOURCE]
    cloud.stop_server(source.server_id)
    cloud.await_server(source.server_id, ServerStatus.SHUTOFF, 60)
    stage.deploy()
    assert cloud.server(source.server_id).status is ServerStatus.ACTIVE


def test_one_side_alone_is_deployed_without_a_link(stage):
    stage.settings = replace(stage.settings, source_host=replace(stage.settings.source_host, deploy=False))
    (destination,) = stage.deploy()
    assert destination.side is DESTINATION
    assert stage.hosts["conv_dst"].link is None
    assert stage.clouds[SOURCE].servers() == []


# Several pairs ------------------------------------------------------------------------------------------------------------


def names(stage):
    return [sorted(server.name for server in cloud.servers()) for cloud in stage.clouds.values()]


def test_every_pair_is_deployed_linked_checked_and_deleted(stage):
    before = stage.inventory()
    stage.set_conversion(pairs=3)
    deployed = stage.deploy()
    assert names(stage) == [[f"conv_{side}", f"conv_{side}-2", f"conv_{side}-3"] for side in ("src", "dst")]
    assert len({host.address for host in deployed if host.side is SOURCE}) == 3
    assert [kind for kind, _ in stage.clouds[SOURCE].made] == list(PartKind)
    for number in ("", "-2", "-3"):
        source = stage.hosts[f"conv_src{number}"]
        assert stage.hosts[f"conv_dst{number}"].link[1].startswith(f"{source.server_id} ")
        assert source.authorized_from == stage.peer
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]
    assert stage.check() == ()
    stage.unreachable = {"conv_dst-3"}
    (problem,) = stage.check()
    assert problem.where == "destination conversion host 'conv_dst-3'"
    stage.delete()
    assert stage.inventory() == before


def test_more_pairs_are_added_to_those_that_are_there(stage):
    first = stage.deploy()
    stage.set_conversion(pairs=2)
    assert [host.server_id for host in stage.deploy()[:2]] == [host.server_id for host in first]
    assert [len(servers) for servers in names(stage)] == [2, 2]


def test_pairs_that_are_no_longer_wanted_are_deleted_too(stage):
    before = stage.inventory()
    stage.set_conversion(pairs=2)
    stage.deploy()
    stage.set_conversion(pairs=1)
    stage.delete()
    assert stage.inventory() == before


def test_host_that_cannot_be_deleted_keeps_those_of_other_pairs_from_nothing(stage, monkeypatch):
    stage.set_conversion(pairs=3)
    second = stage.deploy()[2]
    cloud, delete_server = stage.clouds[SOURCE], stage.clouds[SOURCE].delete_server

    def refuse_one(server_id):
        if server_id == second.server_id:
            raise CloudError("it is locked")
        delete_server(server_id)

    monkeypatch.setattr(cloud, "delete_server", refuse_one)
    with pytest.raises(RollbackIncomplete) as raised:
        stage.delete()
    assert names(stage) == [["conv_src-2"], []]
    assert "source server 'conv_src-2': it is locked" in raised.value.standing


def test_numbered_host_of_another_data_dir_is_left(stage, tmp_path):
    stage.deploy()
    mine = stage.settings
    stage.set_hosts(net_name="other", subnet_name="other", router_name="other", secgroup_name="other")
    stage.set_conversion(known_hosts_path=tmp_path / "other")
    numbered = replace(stage.settings.source_host, host_name="conv_src-2")
    alone = replace(stage.settings.destination_host, deploy=False)
    stage.settings = replace(stage.settings, source_host=numbered, destination_host=alone)
    stage.deploy()
    stage.settings = mine
    stage.delete()
    assert names(stage)[0] == ["conv_src-2"]
    assert [ip.description for ip in stage.clouds[SOURCE].floating_ips()] == [f"{MARK} conv_src-2"]


# Who gets in --------------------------------------------------------------------------------------------------------------


def test_ssh_gets_in_only_from_the_migrator_and_to_the_source_from_the_peer(stage):
    stage.deploy()
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]
    assert stage.clouds[DESTINATION].let_in == [stage.migrator]
    assert stage.hosts["conv_src"].authorized_from == stage.peer


def test_whoever_has_moved_is_let_in_again_in_place_of_where_they_were(stage):
    stage.deploy()
    stage.migrator, stage.peer = "198.51.100.8/32", "203.0.113.10/32"
    stage.deploy()
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]
    assert stage.clouds[DESTINATION].let_in == [stage.migrator]


def test_networks_of_the_settings_are_let_in_too(stage):
    stage.set_conversion(ssh_networks=("192.0.2.0/24",))
    stage.deploy()
    assert stage.clouds[DESTINATION].let_in == ["192.0.2.0/24", stage.migrator]


def test_one_side_alone_keeps_who_was_let_in_before(stage):
    stage.deploy()
    destination = stage.settings.destination_host
    stage.settings = replace(stage.settings, destination_host=replace(destination, deploy=False))
    stage.deploy()
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]


def test_door_is_closed_though_a_later_step_fails(stage):
    stage.facts = BARE
    stage.set_conversion(content_install=False)
    with pytest.raises(HostError):
        stage.deploy()
    assert stage.clouds[SOURCE].let_in == [stage.migrator]


def test_door_is_closed_though_nobody_ever_got_in(stage):
    stage.unreachable = {"conv_src"}
    with pytest.raises(HostUnreachable):
        stage.deploy()
    assert stage.clouds[SOURCE].let_in == []
    assert stage.clouds[DESTINATION].let_in == [stage.migrator]
    stage.unreachable.clear()
    stage.deploy()
    assert stage.clouds[SOURCE].let_in == [stage.migrator, stage.peer]


def test_rules_of_others_and_groups_of_others_are_left_alone(stage):
    stage.deploy()
    cloud = stage.clouds[SOURCE]
    (group_id,) = cloud.rules
    cloud.allow_ssh(group_id, "10.0.0.0/8", "the operator's own")
    stage.deploy()
    assert "10.0.0.0/8" in cloud.let_in
    cloud.made = [
        (kind, replace(part, description="mine") if kind is PartKind.SECURITY_GROUP else part)
        for kind, part in cloud.made
    ]
    before = cloud.let_in
    stage.peer = "203.0.113.11/32"
    with pytest.raises(HostError, match="timed out"):
        stage.deploy()
    assert cloud.let_in == before


def test_check_tells_of_a_door_that_is_wide_open(stage):
    stage.deploy()
    cloud = stage.clouds[SOURCE]
    (group_id,) = cloud.rules
    cloud.allow_ssh(group_id, ANYWHERE, MARK)
    (problem,) = stage.check()
    assert problem.what == "its security group lets SSH in from anywhere"
    assert problem.where.startswith("source")


# Check -------------------------------------------------------------------------------------------------------------------


def test_check_finds_nothing_wrong_with_deployed_hosts(stage):
    stage.deploy()
    assert stage.check() == ()
    assert "ssh -T" in stage.hosts["conv_dst"].scripts[0]


def test_check_tells_all_problems_at_once(stage):
    problems = stage.check()
    assert [problem.where for problem in problems] == [
        "source conversion host 'conv_src'",
        "destination conversion host 'conv_dst'",
    ]
    stage.deploy()
    stage.unreachable, stage.facts = {"conv_src"}, BARE
    assert [p.what[:10] for p in stage.check()] == ["no answer", "it lacks nb"[:10]]


def test_link_is_checked_by_ssh_alone():
    script = link_script("cloud-user", "192.0.2.7", "server-1")
    assert "HostKeyAlias=server-1" in script
    assert script.endswith("-- 192.0.2.7 true </dev/null\n")


# Delete ------------------------------------------------------------------------------------------------------------------


def test_deleting_leaves_nothing_and_can_be_repeated(stage):
    before = stage.inventory()
    stage.deploy()
    for _ in range(2):
        stage.delete()
        assert stage.inventory() == before
        assert list(stage.settings.conversion.known_hosts_path.parent.iterdir()) == []


def test_dry_run_of_deleting_tells_what_it_would_delete_and_deletes_nothing(stage):
    stage.deploy()
    before = stage.inventory()
    told = stage.delete(dry_run=True)
    assert stage.inventory() == before
    assert all(cloud.interfaces for cloud in stage.clouds.values())
    assert stage.settings.conversion.keypair_private_path.exists()
    done = stage.delete()
    assert [line for line in done if "SSH key" not in line] == list(told)
    assert len(told) == 2 * len(("server", "floating IP", "router", "subnet", "network", "group", "key pair"))
    assert stage.delete() == stage.delete(dry_run=True) == ()


@pytest.mark.parametrize("order", [(Side.SOURCE, Side.DESTINATION), (Side.DESTINATION, Side.SOURCE)])
def test_private_keys_go_with_the_last_host_also_where_each_side_is_deleted_by_itself(stage, order):
    stage.deploy()
    conversion = stage.settings.conversion
    both = stage.settings
    for side, keys_are_left in zip(order, (True, False), strict=True):
        stage.settings = both.only(side)
        stage.delete()
        for path in (conversion.keypair_private_path, conversion.link_keypair_private_path):
            assert path.exists() is keys_are_left
    assert list(conversion.known_hosts_path.parent.iterdir()) == []


def test_what_was_there_before_is_left(stage):
    for cloud in stage.clouds.values():
        cloud.create_network("os_migrate_conv", None, "the operator's")
        port = cloud.create_port(PortSpec(NetworkId(cloud.public.id), (FixedIp("", "172.31.11.7"),)), "")
        cloud.create_floating_ip(cloud.public.id, port, None, None, "conv_src")
    before = stage.inventory()
    stage.deploy()
    stage.delete()
    assert stage.inventory() == before


def test_failed_deletions_are_listed_and_the_rest_is_deleted(stage, monkeypatch):
    stage.deploy()
    cloud = stage.clouds[SOURCE]

    def refuse(server_id):
        raise CloudError(f"server {server_id} is locked")

    with monkeypatch.context() as patch:
        patch.setattr(cloud, "delete_server", refuse)
        with pytest.raises(RollbackIncomplete) as raised:
            stage.delete()
    assert "is locked" in raised.value.standing[0]
    assert stage.clouds[DESTINATION].servers() == []
    assert stage.settings.conversion.keypair_private_path.exists()
    stage.delete()
    assert cloud.servers() == []
    assert cloud.made == []


# Keys --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", keys.KINDS)
def test_keys_of_every_kind_are_read_back(tmp_path, kind):
    path = tmp_path / "new" / "ssh.key"
    made = keys.ensure(path, kind, "comment")
    assert made.public.endswith(" comment")
    assert keys.ensure(path, kind, "comment").is_same(made.public)
    assert keys.public_path(path).read_text() == made.public + "\n"
    assert made.private not in repr(made)
    keys.remove(path)
    keys.remove(path)
    assert list(path.parent.iterdir()) == []


def test_unusable_keys_are_user_errors(tmp_path):
    (tmp_path / "bad").write_text("not a key")
    for path in ("bad", "missing"):
        with pytest.raises(UserError, match=path):
            keys.load(tmp_path / path)
    with pytest.raises(UserError, match="dsa"):
        keys.generate("dsa", "")


def test_user_data_is_cloud_config():
    key = keys.generate("ed25519", "host")
    document = base64.b64decode(user_data(key)).decode()
    assert document.startswith("#cloud-config\n{")
    assert json.loads(document.split("\n", 1)[1])["ssh_keys"]["ed25519_private"] == key.private


# Deaths ------------------------------------------------------------------------------------------------------------------


class MortalCloud(FakeHostingCloud):
    """A cloud whose client dies before its `left`-th call that changes something."""

    CHANGES = ("create_", "import_", "allow_", "join", "associate_", "delete_", "part_from")
    left = 10**6

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if not name.startswith(MortalCloud.CHANGES):
            return found

        def dying(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise Killed(name)
            return found(*args, **kwargs)

        return dying


def mortal_stage(directory: Path) -> Stage:
    directory.mkdir()
    stage = Stage(directory)
    stage.clouds = {side: MortalCloud(side.value, stage.clock) for side in Side}
    return stage


def dies(stage: Stage, act, calls: int) -> bool:
    """Let the source cloud's client die after so many changes; return whether it did."""
    stage.clouds[SOURCE].left = calls
    try:
        act()
    except Killed:
        return True
    finally:
        stage.clouds[SOURCE].left = 10**6
    return False


def deploy_as_told(stage: Stage) -> None:
    """Deploy; delete first where that is the remedy: nobody knows the host key of a server that was just being made."""
    told = ""
    try:
        stage.deploy()
    except UserError as error:
        told = error.remedy
    if told:
        assert told == "run `os-migrate hosts delete`, then `os-migrate hosts deploy`"
        stage.delete()
        stage.deploy()


def test_deploy_that_dies_anywhere_is_finished_by_the_next_and_leaves_nothing(tmp_path):
    for calls in range(100):
        stage = mortal_stage(tmp_path / str(calls))
        before = stage.inventory()
        if not dies(stage, stage.deploy, calls):
            break
        deploy_as_told(stage)
        assert stage.check() == ()
        assert [len(cloud.servers()) for cloud in stage.clouds.values()] == [1, 1]
        stage.delete()
        assert stage.inventory() == before
    assert calls > 8


def test_delete_that_dies_anywhere_is_finished_by_the_next(tmp_path):
    for calls in range(100):
        stage = mortal_stage(tmp_path / str(calls))
        before = stage.inventory()
        stage.deploy()
        if not dies(stage, stage.delete, calls):
            break
        stage.delete()
        assert stage.inventory() == before
    assert calls > 5
