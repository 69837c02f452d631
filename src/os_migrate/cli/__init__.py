"""The command line: one module a family of commands, one for what they share (`app`), one for what they show (`display`)."""

from os_migrate.cli import cleanup, export, files, hosts, mapping, migration, plan, resources, status, verify
from os_migrate.cli.app import app, main

__all__ = [
    "app",
    "cleanup",
    "export",
    "files",
    "hosts",
    "main",
    "mapping",
    "migration",
    "plan",
    "resources",
    "status",
    "verify",
]
