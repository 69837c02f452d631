"""`os-migrate mapping`: what the names of the source become, and what is missing."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
import yaml

from os_migrate.cli.app import Invocation, app, filter_of, invocation_of, reporting
from os_migrate.cli.migration import Filters, Names
from os_migrate.errors import PlanError, Problem
from os_migrate.files.filters import select
from os_migrate.files.mapping import read_mapping
from os_migrate.files.workloads import DETACHED_VOLUMES_FILE, WORKLOADS_FILE, read_detached_volumes
from os_migrate.kinds import read_files
from os_migrate.mapping import Entry, Kind, NameMapping, references, references_of_volume
from os_migrate.model import Flavor
from os_migrate.plan import Inventory
from os_migrate.preflight import take_inventory
from os_migrate.resources.catalog import KINDS
from os_migrate.resources.choosing import SERVERS, named
from os_migrate.resources.kind import Resource
from os_migrate.resources.wanted import described_workloads, names_in
from os_migrate.session import open_session
from os_migrate.settings import Settings
from os_migrate.workload import DetachedVolume, Workload

SUGGESTED = 3
"""More names to choose from would hide the good ones."""


@dataclass(frozen=True)
class Name:
    """A name of the source: how many servers and detached volumes need it, how many other resources have it, what it becomes, and by which entry."""

    kind: Kind
    name: str
    servers: int
    resources: int
    to: str | None
    by: Entry | None
    volumes: int = 0


@dataclass(frozen=True)
class Destination:
    """The names that a destination has, by kind, and the flavors of both clouds."""

    names: Mapping[Kind, frozenset[str]]
    flavors: Sequence[Flavor]
    source_flavors: Sequence[Flavor]

    def lacks(self, name: Name) -> bool:
        """Say whether what servers and detached volumes need isn't there: what only resources have is theirs to make. Of projects a tenant can't tell."""
        return (
            name.servers + name.volumes > 0
            and name.to is not None
            and name.kind in self.names
            and name.to not in self.names[name.kind]
        )

    def candidates(self, name: Name) -> list[str]:
        """Return what a name may have become: flavors of the same size, or as large; else names that are alike."""
        there = sorted(self.names.get(name.kind, ()))
        flavor = next((f for f in self.source_flavors if f.name == name.name), None)
        if name.kind is Kind.FLAVORS and flavor is not None:
            fitting = [f for f in self.flavors if all(a >= b for a, b in zip(_size(f), _size(flavor), strict=True))]
            return [f.name for f in sorted(fitting, key=lambda f: (_size(f), f.name))][:SUGGESTED]
        return difflib.get_close_matches(name.name, there, n=SUGGESTED)


@app.command()
@reporting
def mapping(
    ctx: typer.Context,
    names: Names = None,
    *,
    filters: Filters = None,
    destination: Annotated[
        bool, typer.Option("--destination", help="Ask the destination too: what isn't there ends the command with 2.")
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print a mapping file for what isn't there, with what it may be called.")
    ] = False,
) -> None:
    """Show what is called otherwise in the destination, by `mapping.yml`.

    Lists every name that the servers of `workloads.yml` need, and those of the other files unless servers are chosen: what it
    becomes, and the line that says so; then the lines that match nothing. Without `--destination` and `--suggest` no cloud is asked.

    For example:

    - `os-migrate mapping --destination`
    - `os-migrate mapping --suggest`
    """
    invocation = invocation_of(ctx)
    settings = invocation.settings()
    rules = read_mapping(settings.mapping_file)
    resources = (
        [] if names or filters else read_files(KINDS, lambda kind: settings.data_dir / kind.file, missing_is_fine=True)
    )
    volumes = [] if names or filters else _detached_volumes(settings)
    only_others = bool(resources or volumes) and not (settings.data_dir / WORKLOADS_FILE).exists()
    workloads = [] if only_others else _chosen(settings, names or [], filters or [])
    found = names_of(workloads, resources, rules, volumes)
    there = _ask(invocation, settings) if destination or suggest else None
    missing = [name for name in found if there is not None and there.lacks(name)]
    idle = _idle(found, rules)
    result = {"names": [_fields(name, there) for name in found], "idle": [_entry_text(k, e) for k, e in idle]}
    if suggest and there is not None:
        invocation.show(suggestion(missing, there), {**result, "suggested": _suggested(missing, there)})
        return
    invocation.show("\n".join(_lines(found, missing, idle)), result)
    if missing:
        raise PlanError([_problem(name) for name in missing])


def names_of(
    workloads: Sequence[Workload],
    resources: Sequence[Resource],
    rules: NameMapping,
    volumes: Sequence[DetachedVolume] = (),
) -> list[Name]:
    """Return every name that workloads and detached volumes need or other resources have, by kind."""
    servers = Counter(reference for workload in workloads for reference in references(workload))
    others = Counter(reference for resource in resources for reference in names_in(resource))
    of_volumes = Counter(reference for volume in volumes for reference in references_of_volume(volume))
    everything = {*servers, *others, *of_volumes}
    in_order = sorted(everything, key=lambda reference: (list(Kind).index(reference[0]), reference[1]))
    return [
        Name(k, n, servers[k, n], others[k, n], rules.name(k, n), rules.entry(k, n), of_volumes[k, n])
        for k, n in in_order
    ]


def suggestion(missing: Sequence[Name], there: Destination) -> str:
    """Return a mapping file for the names that are missing. What nobody can guess is left for the operator to fill in."""
    lines: list[str] = []
    for kind in dict.fromkeys(name.kind for name in missing):
        lines.append(f"{kind}:")
        for name in (n for n in missing if n.kind is kind):
            first, *others = there.candidates(name) or [""]
            note = f"or {', '.join(map(_quoted, others))}" if others else "" if first else "nothing there is like it"
            comment = f"  # {_needing(name)}" + (f"; {note}" if note else "")
            lines.append(f"  {_quoted(name.name)}: {_quoted(first)}{comment}")
    return "\n".join(lines) or "# Everything that the servers need is there."


def _chosen(settings: Settings, names: Sequence[str], filters: Sequence[str]) -> list[Workload]:
    everything = described_workloads(settings)
    if names:
        return named(names, everything, SERVERS)
    wanted = filter_of(filters) if filters else settings.filter("workloads")
    return list(select(wanted, everything, lambda w: w.name, "servers in workloads.yml").chosen)


def _detached_volumes(settings: Settings) -> Sequence[DetachedVolume]:
    file = settings.data_dir / DETACHED_VOLUMES_FILE
    return read_detached_volumes(file) if file.exists() else ()


def _ask(invocation: Invocation, settings: Settings) -> Destination:
    with invocation.events(settings) as events, open_session(settings, events, hosts=False, lock=False) as session:
        inventory = take_inventory(session.world.destination)
        return Destination(_names(inventory), inventory.flavors, session.world.source.flavors())


def _names(inventory: Inventory) -> dict[Kind, frozenset[str]]:
    things = {
        Kind.FLAVORS: inventory.flavors,
        Kind.IMAGES: inventory.images,
        Kind.NETWORKS: inventory.networks,
        Kind.SUBNETS: inventory.subnets,
        Kind.SECURITY_GROUPS: inventory.security_groups,
        Kind.KEYPAIRS: inventory.keypairs,
        Kind.AVAILABILITY_ZONES: inventory.availability_zones,
        Kind.VOLUME_TYPES: inventory.volume_types,
        Kind.VOLUME_AVAILABILITY_ZONES: inventory.volume_zones,
    }
    return {kind: frozenset(thing.name for thing in those) for kind, those in things.items()}


def _size(flavor: Flavor) -> tuple[int, int, int]:
    return flavor.vcpus, flavor.ram_mib, flavor.disk_gib


def _idle(found: Sequence[Name], rules: NameMapping) -> list[tuple[Kind, Entry]]:
    """Return the entries that decide about no name."""
    used = {(name.kind, name.by) for name in found}
    return [(kind, entry) for kind, names in rules.kinds.items() for entry in names if (kind, entry) not in used]


def _lines(found: Sequence[Name], missing: Sequence[Name], idle: Sequence[tuple[Kind, Entry]]) -> list[str]:
    lines: list[str] = []
    for kind in dict.fromkeys(name.kind for name in found):
        lines.append(kind)
        for name in (n for n in found if n.kind is kind):
            to = "the same" if name.by is None else "null" if name.to is None else str(name.to)
            by = f"  {name.by.where}" if name.by is not None else ""
            lines.append(f"  {name.name} -> {to}  ({_users(name)}){by}" + "  MISSING" * (name in missing))
    lines += [f"warning: {_entry_text(kind, entry)} matches nothing" for kind, entry in idle]
    return lines or ["The files have no names that could be mapped."]


def _entry_text(kind: Kind, entry: Entry) -> str:
    what = f"~{entry.source}" if entry.regex else repr(entry.source) if entry.source else "default"
    return f"{entry.where}: {kind}: {what}"


def _problem(name: Name) -> Problem:
    what = f"{name.to!r} isn't in the destination; {_needing(name)} need{'s' * (name.servers + name.volumes == 1)} it"
    return Problem(f"{name.kind}", what, "make it, or map it otherwise")


def _needing(name: Name) -> str:
    return _counted((name.servers, "server"), (name.volumes, "detached volume"))


def _users(name: Name) -> str:
    return _counted((name.servers, "server"), (name.volumes, "detached volume"), (name.resources, "resource"))


def _counted(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


def _suggested(missing: Sequence[Name], there: Destination) -> list[dict[str, object]]:
    return [{"kind": n.kind, "name": n.name, "candidates": there.candidates(n)} for n in missing]


def _fields(name: Name, there: Destination | None) -> dict[str, object]:
    return {
        "kind": name.kind,
        "name": name.name,
        "to": name.to,
        "by": name.by.where if name.by is not None else None,
        "servers": name.servers,
        "volumes": name.volumes,
        "resources": name.resources,
        "missing": there.lacks(name) if there is not None else None,
    }


def _quoted(name: str) -> str:
    """Return a name as YAML has it, on one line."""
    return yaml.safe_dump(name, default_style='"', allow_unicode=True, width=10**6).strip()
