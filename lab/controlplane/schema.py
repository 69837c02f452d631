"""The databases as the services' migrations leave them, made once and copied into every new cloud.

To migrate eight schemas takes most of a minute; to copy MariaDB's directory takes a second. It is made in a container of
its own, which has no network. Nova's cells are in it: they are the same in every cloud, since databases and messages are
reached by the container's own socket and loopback.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import rootfs
from lab.cache import Entry, digest_of, remove_tree
from lab.container import Container
from lab.controlplane import files
from lab.controlplane.configuration import SCHEMAS, database_url
from lab.controlplane.probes import mariadb_answers, wait_for
from lab.network import exists
from lab.process import run
from lab.secrets_file import Secrets
from lab.settings import Cloud

SCRATCH = Cloud("schema", 0)

_NEUTRON = ("--config-file", "/etc/neutron/neutron.conf", "--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini")

# Jobs run two at a time, commands of a job one after the other; the longest jobs come first.
_MIGRATIONS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("nova-manage", "api_db", "sync"),
        ("nova-manage", "cell_v2", "map_cell0", "--database_connection", database_url("nova_cell0")),
        ("nova-manage", "db", "sync"),
        ("nova-manage", "cell_v2", "create_cell", "--name", "cell1"),
    ),
    (("neutron-db-manage", *_NEUTRON, "upgrade", "heads"),),
    (("cinder-manage", "db", "sync"),),
    (("keystone-manage", "db_sync"),),
    (("glance-manage", "db_sync"),),
    (("placement-manage", "db", "sync"),),
)


def entry() -> Entry:
    """Return the cache entry of the databases."""
    here = Path(__file__)
    return Entry("schema", digest_of(rootfs.entry().digest, here, here.with_name("configuration.py"), files.MARIADB))


def ensure(tree: Path) -> Path:
    """Return MariaDB's directory with every schema, making it if it isn't in the cache. `tree` is the root filesystem."""
    return entry().ensure(lambda folder: _build(tree, folder)) / "mysql"


def _build(tree: Path, folder: Path) -> None:
    remove_leftovers()
    container = Container(SCRATCH)
    try:
        run(["ip", "netns", "add", SCRATCH.namespace])
        files.write(SCRATCH, Secrets(admin="", tenant="", service="", metadata=""))
        container.start(tree)
        _migrate(container)
        container.stop_services(["mariadb"], timeout_s=60)
        shutil.move(SCRATCH.directory / "data" / "mysql", folder / "mysql")
    finally:
        remove_leftovers()


def _migrate(container: Container) -> None:
    install = ("mariadb-install-db", "--defaults-file=/etc/mysql/lab.cnf", "--user=root", "--skip-test-db")
    container.run("eatmydata", *install, "--auth-root-authentication-method=normal", log="mariadb-install-db")
    container.start_services(["mariadb"])
    wait_for(container, "mariadb", mariadb_answers)
    statements = "".join(f"CREATE DATABASE {schema};" for schema in SCHEMAS)
    container.run("mariadb", "--defaults-file=/etc/mysql/lab.cnf", "--execute", statements)

    def migrate(commands: tuple[tuple[str, ...], ...]) -> None:
        for command in commands:
            container.run(*command, log=command[0])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate, _MIGRATIONS))


def remove_leftovers() -> None:
    """Remove the container in which the schemas are made, if a build that was killed left it."""
    Container(SCRATCH).kill()
    if exists(SCRATCH):
        run(["ip", "netns", "delete", SCRATCH.namespace])
    remove_tree(SCRATCH.directory)
