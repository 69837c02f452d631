"""The command line: one module a family of commands, one for what they share (`app`), one for what they show (`display`)."""

from os_migrate.cli import export, hosts, migration, status
from os_migrate.cli.app import app, main

__all__ = ["app", "export", "hosts", "main", "migration", "status"]
