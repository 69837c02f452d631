"""The whole order with ansible-playbook, as an operator has it from OS Migrate 1.0.x: between two real clouds, as an ordinary tenant of both.

Servers, networks and hosts are made ready at the same time, in two data dirs; then a server is migrated by the role, which is killed in
the copy, one by the modules one by one, killed too, and one without a disturbance.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import scenario
from lab.errors import LabError
from lab.scenario import Guest, Shape
from lab.settings import STATE_DIR
from tests.acceptance.belongings import IMAGES, KEYS, OURS, Picture, clear, furnish, picture
from tests.acceptance.operating import Done
from tests.acceptance.playing import PLAYBOOKS, AnsibleOperator, Played, build_and_install
from tests.acceptance.watching import Seen, on_host, watching_this_machine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

RESUMED = Shape("ansible-resumed", "10.0.0.121", data_gib=(1,))
STAGED = Shape("ansible-staged", "10.0.0.122", data_gib=(1,))
PLAIN = Shape("ansible-plain", "10.0.0.123", data_gib=(1,))
SHAPES = (RESUMED, STAGED, PLAIN)
LOOSE = "ansible-loose"
FILES_MIB = 24
SLOWLY = {"os_migrate_bandwidth_limit": 16}  # some ten seconds of copying
KINDS = ("networks", "subnets", "routers", "router_interfaces", "security_groups", "security_group_rules")
MORE_KINDS = ("keypairs", "images")
PASSWORD = "correct-horse-battery-staple"
HOSTS = {"src": "ansible_conv_src", "dst": "ansible_conv_dst"}
PARTS = ("net", "subnet", "router", "secgroup", "keypair")
NAME = "ansible_conv"


# The kinds ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KindsScene:
    """What the playbooks of the kinds said, and what the clouds held in between."""

    source: Picture
    exports: tuple[Played, Played]
    rehearsal: Played
    after_rehearsal: Picture
    imports: tuple[Played, Played]
    destination: Picture
    files: set[str]


def play_kinds(operator: AnsibleOperator, source: Any, destination: Any) -> KindsScene:
    """Take all kinds there: once by the playbooks, the other times by a playbook of the operator's with all roles."""
    furnish(source)
    site = operator.directory / "site.yml"

    def by_playbooks(act: str) -> Played:
        every = [{"import_playbook": f"os_migrate.os_migrate.{act}_{kind}"} for kind in (*KINDS, *MORE_KINDS)]
        site.write_text(yaml.safe_dump(every))
        return operator.must(str(site))

    def by_roles(act: str, *words: str) -> Played:
        return operator.must(str(PLAYBOOKS / "kinds.yml"), *words, act=act, kinds=[*KINDS, *MORE_KINDS])

    exports = by_playbooks("export"), by_roles("export")
    rehearsal = by_roles("import", "--check", "--diff")
    after_rehearsal = picture(destination)
    return KindsScene(
        source=picture(source),
        exports=exports,
        rehearsal=rehearsal,
        after_rehearsal=after_rehearsal,
        imports=(by_playbooks("import"), by_roles("import")),
        destination=picture(destination),
        files={file.name for file in operator.data_dir.glob("*.yml")},
    )


# The servers --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hosts:
    """What the playbooks of the conversion hosts said, and what could be seen meanwhile."""

    rehearsal: Played
    after_rehearsal: set[str]
    deployed: Played
    seen: Seen
    sshd: dict[str, str]
    again: Played
    sshd_without_password: dict[str, str]


@dataclass(frozen=True)
class Prepared:
    """The servers of the source, with the files on their volumes."""

    servers: dict[str, Any]
    volumes: dict[str, str]
    files: dict[str, str]
    loose: str


@dataclass(frozen=True)
class Scene:
    """What the playbooks said one after the other."""

    operator: AnsibleOperator
    kinds: KindsScene
    hosts: Hosts
    prepared: Prepared
    before: tuple[scenario.Holdings, scenario.Holdings]
    exports: tuple[Played, Played]
    rehearsal: Played
    after_rehearsal: tuple[scenario.Holdings, scenario.Holdings]
    killed: dict[str, str]
    resumed: Done
    staged: Played
    staged_results: dict[str, Any]
    imports: tuple[Played, Played]
    loose: tuple[Played, ...]
    after: tuple[scenario.Holdings, scenario.Holdings]
    twins: dict[str, Any]


def prepare(source: Any) -> Prepared:
    """Make the servers, with random files on their volumes, and a volume that no server has."""
    made = scenario.together([partial(scenario.create_server, source, shape) for shape in SHAPES])
    servers = {server.name: server for server in made}
    volumes: dict[str, str] = {}
    files: dict[str, str] = {}

    def write(name: str) -> None:
        guest = await_guest(source, servers[name])
        (attachment,) = source.compute.volume_attachments(servers[name].id)
        volumes[name] = attachment.volume_id
        files[name] = scenario.write_files(guest, scenario.disk_of(guest, attachment.volume_id), FILES_MIB)

    scenario.together([partial(write, shape.name) for shape in SHAPES])
    loose = scenario.create_volume(source, LOOSE, 1)
    files[LOOSE] = on_volume(source, servers[PLAIN.name], loose, partial(scenario.write_files, mib=3))
    return Prepared(servers, volumes, files, loose.id)


def on_volume(cloud: Any, server: Any, volume: Any, act: Callable[[Guest, str], str]) -> str:
    """Do something on a volume in the guest of a server that has it for that time."""
    guest = await_guest(cloud, server)
    scenario.attach_volume(cloud, server, volume)
    try:
        disk = scenario.wait_for("the guest to see the volume", lambda: disk_or_none(guest, volume.id))
        return act(guest, disk)
    finally:
        cloud.compute.delete_volume_attachment(server, volume.id)
        scenario.wait_for(
            "the volume to be free", lambda: cloud.block_storage.get_volume(volume).status == "available" or None
        )


def disk_or_none(guest: Guest, volume_id: str) -> str | None:
    try:
        return scenario.disk_of(guest, volume_id)
    except LabError:
        return None


def await_guest(cloud: Any, server: Any) -> Guest:
    guest = scenario.guest_of(cloud, server)
    guest.await_ssh()
    return guest


def deploy(operator: AnsibleOperator, clouds: dict[str, Any]) -> Hosts:
    """Deploy the hosts, first with password access, then without."""
    rehearsal = operator.must("deploy_conversion_hosts", "--check")
    after_rehearsal = {s.name for cloud in clouds.values() for s in cloud.compute.servers()} & set(HOSTS.values())
    secret = operator.directory / "password.yml"
    secret.write_text(
        yaml.safe_dump(
            {
                "os_migrate_conversion_host_ssh_user_enable_password_access": True,
                "os_migrate_conversion_host_ssh_user_password": PASSWORD,
            }
        )
    )
    with watching_this_machine() as seen:
        deployed = operator.must("deploy_conversion_hosts", "-vvv", "-e", f"@{secret}")
    sshd = {x: password_access(operator, clouds[x], x) for x in HOSTS}
    again = operator.must("deploy_conversion_hosts", "-e", f"@{secret}")
    operator.must("deploy_conversion_hosts")
    without = {x: password_access(operator, clouds[x], x) for x in HOSTS}
    return Hosts(rehearsal, after_rehearsal, deployed, seen, sshd, again, without)


def password_access(operator: AnsibleOperator, cloud: Any, side: str) -> str:
    """Return what sshd on a host says of its user's passwords."""
    ask = "sudo sshd -T -C user=cloud-user,host=h,addr=192.0.2.1 | grep -i '^passwordauthentication'"
    return on_host(operator, cloud, HOSTS[side], ask).decode().split()[1]


def migrate(
    operator: AnsibleOperator, clouds: tuple[Any, Any], kinds: KindsScene, hosts: Hosts, prepared: Prepared
) -> Scene:
    """Migrate the servers and the loose volume."""
    source, destination = clouds

    def held() -> tuple[scenario.Holdings, scenario.Holdings]:
        return scenario.holdings(source), scenario.holdings(destination)

    before = held()
    exports = operator.must("export_workloads"), operator.must("export_workloads")
    rehearsal = operator.must("import_workloads", "--check")
    after_rehearsal = held()
    only = {"os_migrate_workloads_filter": [RESUMED.name]}
    killed = {RESUMED.name: operator.killed_in_the_copy("import_workloads", RESUMED.name, **only, **SLOWLY)}
    resumed = operator.os_migrate("resume")
    results = operator.directory / "staged.json"
    own = partial(operator.must, str(PLAYBOOKS / "one_by_one.yml"), server_name=STAGED.name, results_file=str(results))
    killed[STAGED.name] = operator.killed_in_the_copy(
        str(PLAYBOOKS / "one_by_one.yml"), STAGED.name, server_name=STAGED.name, results_file=str(results)
    )
    staged = own()
    imports = operator.must("import_workloads"), operator.must("import_workloads")
    loose = (
        operator.must("export_detached_volumes"),
        operator.must("export_detached_volumes"),
        operator.must("import_detached_volumes", "--check"),
        operator.must("import_detached_volumes"),
        operator.must("import_detached_volumes"),
    )
    names = {shape.name for shape in SHAPES}
    return Scene(
        operator=operator,
        kinds=kinds,
        hosts=hosts,
        prepared=prepared,
        before=before,
        exports=exports,
        rehearsal=rehearsal,
        after_rehearsal=after_rehearsal,
        killed=killed,
        resumed=resumed,
        staged=staged,
        staged_results=json.loads(results.read_text()),
        imports=imports,
        loose=loose,
        after=held(),
        twins={server.name: server for server in destination.compute.servers() if server.name in names},
    )


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_and_install(tmp_path_factory.mktemp("collection"))


@pytest.fixture(scope="module")
def scene(collections: Path, source: Any, destination: Any) -> Iterator[Scene]:
    base = STATE_DIR / "acceptance-ansible"
    kinds, servers = (AnsibleOperator(base / name, collections) for name in ("kinds", "servers"))
    clouds = {"src": source, "dst": destination}
    with ExitStack() as stack:
        for cloud in clouds.values():
            stack.callback(scenario.delete_servers, cloud)
            stack.callback(clear, cloud)
        stack.callback(lambda: (servers.data_dir / "os-migrate.yml").exists() and delete_hosts(servers))
        if (servers.data_dir / "os-migrate.yml").exists():
            delete_hosts(servers)
        for cloud in clouds.values():
            clear(cloud)
            scenario.delete_servers(cloud)
        shutil.rmtree(base, ignore_errors=True)
        only_ours = [{"regex": f"^{OURS}"}]
        filtered = ("networks", "subnets", "routers", "security_groups", *MORE_KINDS)
        kinds.prepare(**{f"os_migrate_{kind}_filter": only_ours for kind in filtered})
        parts = {f"os_migrate_{x}_conversion_{part}_name": NAME for x in HOSTS for part in PARTS}
        names = {f"os_migrate_{x}_conversion_host_name": name for x, name in HOSTS.items()}
        servers.prepare(
            os_migrate_workload_stop_before_migration=True,
            os_migrate_workloads_filter=[{"regex": "^ansible-"}],
            os_migrate_volumes_filter=[LOOSE],
            os_migrate_detached_volumes_filter=[LOOSE],
            **parts,
            **names,
        )
        taken, deployed, prepared = scenario.together(
            [
                partial(play_kinds, kinds, source, destination),
                partial(deploy, servers, clouds),
                partial(prepare, source),
            ]
        )
        yield migrate(servers, (source, destination), taken, deployed, prepared)


def delete_hosts(operator: AnsibleOperator) -> None:
    assert operator.os_migrate("hosts", "delete", "--force").exit_code == 0


def grown(scene: Scene) -> dict[str, int]:
    """Return how many of each kind the destination has more than before."""
    return {
        kind: len(held - scene.before[1][kind]) for kind, held in scene.after[1].items() if held - scene.before[1][kind]
    }


# What is claimed ----------------------------------------------------------------------------------------------------------


def test_the_kinds_arrive_as_they_were(scene: Scene) -> None:
    assert len(scene.kinds.source) == 11 + len(IMAGES) + len(KEYS)
    assert scene.kinds.destination == scene.kinds.source
    assert {f"{kind}.yml" for kind in (*KINDS, *MORE_KINDS)} <= scene.kinds.files


def test_check_mode_of_the_kinds_tells_all_and_makes_nothing(scene: Scene) -> None:
    assert scene.kinds.rehearsal.changed >= len(KINDS)
    assert scene.kinds.after_rehearsal == {}


def test_a_second_export_and_import_of_the_kinds_change_nothing(scene: Scene) -> None:
    (exported, exported_again), (imported, imported_again) = scene.kinds.exports, scene.kinds.imports
    assert exported.changed >= len(KINDS)
    assert imported.changed >= len(KINDS)
    assert (exported_again.changed, imported_again.changed) == (0, 0)


def test_hosts_are_deployed_once_and_check_mode_makes_none(scene: Scene) -> None:
    assert scene.hosts.rehearsal.changed >= 1
    assert scene.hosts.after_rehearsal == set()
    assert scene.hosts.deployed.changed >= 3
    assert scene.hosts.again.changed == 0


def test_password_lets_in_only_as_long_as_it_is_asked_for(scene: Scene) -> None:
    assert scene.hosts.sshd == {"src": "yes", "dst": "yes"}
    assert scene.hosts.sshd_without_password == {"src": "no", "dst": "no"}


def test_password_is_in_no_output_command_line_or_file_of_ours(scene: Scene) -> None:
    assert PASSWORD not in scene.hosts.deployed.out
    assert scene.hosts.seen.looks > 20
    assert not [line for line in scene.hosts.seen.lines if PASSWORD.encode() in line]
    kept = [file for file in scene.operator.data_dir.rglob("*") if file.is_file()]
    assert not [file for file in kept if PASSWORD.encode() in file.read_bytes()]


def test_credentials_are_for_their_owner_only_and_in_no_output(scene: Scene) -> None:
    variables = yaml.safe_load((scene.operator.directory / "variables.yml").read_text())
    password = variables["os_migrate_src_auth"]["password"]
    clouds = scene.operator.data_dir / "clouds.yaml"
    assert password in clouds.read_text()
    assert clouds.stat().st_mode & 0o777 == 0o600
    assert password not in (scene.operator.data_dir / "os-migrate.yml").read_text()
    assert password not in scene.hosts.deployed.out


def test_check_mode_of_the_servers_touches_nothing(scene: Scene) -> None:
    assert scene.rehearsal.changed == 1
    assert scene.after_rehearsal == scene.before


def test_server_whose_playbook_was_killed_in_the_copy_is_finished_by_resume(scene: Scene) -> None:
    assert any(0 < percent < 100 for percent in json.loads(scene.killed[RESUMED.name]).values())
    assert scene.resumed.exit_code == 0
    assert RESUMED.name in scene.resumed.out
    assert scene.twins[RESUMED.name].status == "ACTIVE"


def test_modules_one_by_one_go_on_where_they_were_killed(scene: Scene) -> None:
    assert any(0 < percent < 100 for percent in json.loads(scene.killed[STAGED.name]).values())
    exports, transfer, created = (scene.staged_results[name] for name in ("exports", "transfer", "created"))
    (device,) = transfer["volume_map"]
    entry = transfer["volume_map"][device]
    assert entry["source_id"] == scene.prepared.volumes[STAGED.name]
    assert entry["size"] == 1
    assert entry["progress"] == 100
    assert exports["transfer_uuid"] == transfer["transfer_uuid"]
    mapped = [disk["uuid"] for disk in transfer["block_device_mapping"] if disk["source_type"] == "volume"]
    assert mapped == [entry["dest_id"]]
    assert created["server"]["id"] == scene.twins[STAGED.name].id


def test_all_servers_are_migrated_and_a_second_run_changes_nothing(scene: Scene) -> None:
    assert scene.imports[0].changed >= 5  # the one that was left: its stages
    assert scene.imports[1].changed == 0
    assert set(scene.twins) == {shape.name for shape in SHAPES}
    assert [played.changed for played in scene.exports] == [1, 0]


def test_twins_hold_the_files_of_their_sources(scene: Scene, destination: Any) -> None:
    def read(name: str) -> str:
        twin = scene.twins[name]
        guest = await_guest(destination, twin)
        (attachment,) = destination.compute.volume_attachments(twin.id)
        return scenario.read_files(guest, scenario.disk_of(guest, attachment.volume_id))

    found = scenario.together([partial(read, shape.name) for shape in SHAPES])
    assert found == [scene.prepared.files[shape.name] for shape in SHAPES]


def test_loose_volume_is_copied_once(scene: Scene, destination: Any) -> None:
    exported, exported_again, rehearsed, imported, imported_again = (played.changed for played in scene.loose)
    assert (exported, exported_again, imported_again) == (1, 0, 0)
    assert rehearsed >= 1
    assert imported >= 1
    (copy,) = [volume for volume in destination.block_storage.volumes() if volume.name == LOOSE]
    twin = scene.twins[PLAIN.name]
    assert on_volume(destination, twin, copy, scenario.read_files) == scene.prepared.files[LOOSE]


def test_both_clouds_hold_what_they_should_and_nothing_of_ours(scene: Scene, source: Any, destination: Any) -> None:
    assert scene.after[0] == scene.before[0]
    assert grown(scene) == {"servers": 3, "volumes": 4, "ports": 3, "floating IPs": 3}
    for cloud in (source, destination):
        for thing in (*cloud.compute.servers(), *cloud.block_storage.volumes()):
            assert not [key for key in thing.metadata if key.startswith(("os_migrate_attempt", "os_migrate_loan"))]
    for name, volume_id in scene.prepared.volumes.items():
        server = source.compute.get_server(scene.prepared.servers[name].id)
        assert server.status == "SHUTOFF"
        assert [a.volume_id for a in source.compute.volume_attachments(server.id)] == [volume_id]
    assert "Nothing is left." in scene.operator.os_migrate("cleanup", "--dry-run").out


def test_deleting_the_hosts_leaves_nothing_of_them(scene: Scene, source: Any, destination: Any) -> None:
    names = set(HOSTS.values())
    rehearsed = scene.operator.must("delete_conversion_hosts", "--check")
    assert rehearsed.changed == 1
    assert names & {server.name for server in source.compute.servers()}
    assert [scene.operator.must("delete_conversion_hosts").changed for _ in range(2)] == [1, 0]
    for cloud in (source, destination):
        assert not names & {server.name for server in cloud.compute.servers()}
        made = [
            *cloud.network.networks(),
            *cloud.network.subnets(),
            *cloud.network.routers(),
            *cloud.network.security_groups(project_id=cloud.current_project_id),
            *cloud.compute.keypairs(),
        ]
        assert NAME not in {thing.name for thing in made}
    assert not list((scene.operator.data_dir / "conversion").glob("*"))
