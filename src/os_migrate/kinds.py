"""Export and import of the kinds beside workloads: what every door does the same, around the tables in `resources`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from os_migrate.errors import Interrupted, OSMigrateError, PlanError, Problem, UserError
from os_migrate.events import Events, Note
from os_migrate.failure import error_fields
from os_migrate.files.blobs import Blobs
from os_migrate.files.durable import write_atomically
from os_migrate.files.filters import select, select_any
from os_migrate.files.resourcefile import Merged, merge
from os_migrate.files.workloads import read_detached_volumes, read_workloads
from os_migrate.model import Side
from os_migrate.resources.catalog import DETACHED_VOLUMES, KINDS, WORKLOADS
from os_migrate.resources.checking import dangling, nameless, twice
from os_migrate.resources.compare import Action, Verb
from os_migrate.resources.exporting import Found, Wish, export
from os_migrate.resources.files import dump_kind, read_kind
from os_migrate.resources.image_data import Fetched, Images, fetch
from os_migrate.resources.images import IMAGES
from os_migrate.resources.importing import Contents, Done, carry_out, prepare
from os_migrate.resources.kind import Kind, Resource
from os_migrate.rest import ImageData
from os_migrate.settings import EVERYTHING, NameFilter, Settings
from os_migrate.workload import Subject
from os_migrate.world import Clock, Cloud, SystemClock

INFRASTRUCTURE: Final = {
    "networks": "net_name",
    "subnets": "subnet_name",
    "routers": "router_name",
    "security_groups": "secgroup_name",
    "keypairs": "keypair_name",
}
"""The kinds of which `hosts deploy` makes one, and the settings that name it."""

READERS: Final[Mapping[str, Callable[[Path], Sequence[Subject]]]] = {
    WORKLOADS: read_workloads,
    DETACHED_VOLUMES: read_detached_volumes,
}
"""What reads the files of what is copied."""

FileOf = Callable[[Kind], Path]
"""Say where a kind's resources are."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What an export found of a kind; `before` and `after` are what its file held and holds."""

    file: Path
    found: Found
    merged: Merged[Resource]
    before: str
    after: str
    fetched: Sequence[Fetched] = ()

    @property
    def errors(self) -> list[OSMigrateError]:
        """Return why not all data of images is there."""
        return [entry.error for entry in self.fetched if entry.error is not None]

    def fields(self) -> dict[str, object]:
        """Return it for machines."""
        return {
            "kind": self.found.kind.name,
            "file": str(self.file),
            "exported": [r.id for r in self.found.resources],
            "added": [r.id for r in self.merged.added],
            "changed": [r.id for r in self.merged.changed],
            "vanished": [r.id for r in self.merged.vanished],
            "idle_filters": list(self.found.idle_filters),
            "unseen": list(self.found.unseen),
            "left_out": list(self.found.left_out),
            **({"data": [_data_fields(entry) for entry in self.fetched]} if self.found.kind is IMAGES else {}),
        }


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import did, or would do. `others` is what the destination has besides, within what is imported."""

    done: Sequence[Done]
    others: Sequence[str]
    dry_run: bool

    @property
    def errors(self) -> list[OSMigrateError]:
        """Return why some are not as they should be."""
        return [entry.error for entry in self.done if entry.error is not None]

    def fields(self) -> dict[str, object]:
        """Return it for machines."""
        resources = [_done_fields(entry) for entry in self.done]
        return {"dry_run": self.dry_run, "resources": resources, "others": list(self.others)}


def export_kinds(
    cloud: Cloud,
    settings: Settings,
    events: Events,
    kinds: Sequence[Kind],
    file_of: FileOf,
    wanted: NameFilter | None,
    *,
    may_match_none: bool = False,
    overwrite_migration_params: bool = False,
    write: bool = True,
    fetch_data: bool = True,
) -> list[Exported]:
    """Bring files up to date with what there is in a cloud; `wanted` is the filter for all kinds, else each has its own.

    The data of images comes along if the settings say so, unless `fetch_data` says no.

    Raises:
        UserError: a filter matches nothing, or a file can't be written.
        PlanError: a file is there, and can't be read.
        CloudError: the cloud can't be listed.
    """
    old = read_files(kinds, file_of, missing_is_fine=True)
    wish = Wish(
        {kind.name: _filter(settings, kind, wanted) for kind in kinds},
        {kind: _made_by_us(settings, field) for kind, field in INFRASTRUCTURE.items()},
        whole_cloud=not settings.source.filter_current_project,
        one_filter=wanted is not None and (may_match_none or len(kinds) > 1),
    )
    exported = export(cloud, kinds, KINDS, wish)
    if (
        wanted not in {None, EVERYTHING}
        and not may_match_none
        and not any(found.resources or found.left_out for found in exported)
    ):
        raise UserError("the filter matches nothing", remedy="check its spelling")
    done: list[Exported] = []
    for found in exported:
        of_kind = [resource for resource in old if resource.kind is found.kind]
        merged = merge(of_kind, found.resources, found.alive, overwrite_migration_params=overwrite_migration_params)
        file = file_of(found.kind)
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        after = dump_kind(found.kind, merged.resources)
        if write and after != before:
            write_atomically(file, after)
        with_data = found.kind is IMAGES and settings.images.export_blobs and fetch_data and write
        fetched = fetch_images(cloud, found.resources, settings, events) if with_data else ()
        done.append(Exported(file, found, merged, before, after, fetched))
    return done


def fetch_images(cloud: ImageData, images: Sequence[Resource], settings: Settings, events: Events) -> Sequence[Fetched]:
    """Download the data of images, as far as it isn't there; one that fails is told, and stops no other.

    Raises:
        Interrupted: Ctrl-C.
    """
    try:
        return fetch(cloud, images, Blobs(settings.images.blobs_dir), events, SystemClock())
    except KeyboardInterrupt:
        raise Interrupted("stopped on request", remedy="the same command again goes on with the next image") from None


def contents_of(cloud: Cloud, settings: Settings, events: Events, clock: Clock) -> Mapping[str, Contents]:
    """Return what kinds hold beside what their collections show."""
    blobs = Blobs(settings.images.blobs_dir)
    return {IMAGES.name: Images(cloud, blobs, events, clock, settings.workloads.timeout_s)}


@dataclasses.dataclass(frozen=True)
class Checked:
    """What was found in files: the resources of those kinds that were chosen, how many each file has, and all that is wrong."""

    resources: Sequence[Resource]
    counts: dict[str, int]
    problems: Sequence[Problem]


def check_files(
    kinds: Sequence[Kind],
    file_of: FileOf,
    *,
    named: AbstractSet[str],
    copied: Mapping[str, Path],
    dangle: bool = True,
) -> Checked:
    """Check the files of kinds against one another: those that are `named` must be there, the others are what they may refer to.

    `copied` are the files to check of servers and detached volumes, by the word of `resources.catalog`. Without `dangle`, references to what no file has are left to a cloud.
    """
    resources: list[Resource] = []
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    for kind in KINDS:
        file = file_of(kind)
        try:
            of_kind = read_kind(kind, file) if kind.name in named or file.exists() else ()
        except PlanError as error:
            problems += error.problems if kind in kinds else []
            continue
        resources += of_kind
        if kind in kinds and file.exists():
            counts[kind.name] = len(of_kind)
    mine = [resource for resource in resources if resource.kind in kinds]
    problems += [*twice(mine), *nameless(mine)]
    for name, file in copied.items():
        if name in named or file.exists():
            try:
                counts[name] = len(READERS[name](file))
            except PlanError as error:
                problems += error.problems
    if dangle:
        problems += [p for p in dangling(resources, KINDS) if p.where in {resource.where for resource in mine}]
    return Checked(mine, counts, problems)


def finishing(kinds: Sequence[Kind]) -> list[Kind]:
    """Return the other kinds with fields that had to wait for these."""
    imported = {kind.name for kind in kinds}
    return [kind for kind in KINDS if kind not in kinds and any(field.after in imported for field in kind.fields)]


def import_resources(
    cloud: Cloud,
    settings: Settings,
    events: Events,
    resources: Sequence[Resource],
    imported: AbstractSet[str],
    *,
    dry_run: bool,
    clock: Clock,
) -> Imported:
    """Make what resources describe; of kinds that are not `imported`, only what waited for those that are.

    Raises:
        PlanError: with every problem; nothing was touched.
        CloudError: the cloud can't be listed.
        Interrupted: Ctrl-C.
    """
    plan = prepare(cloud, resources, KINDS, imported, contents_of(cloud, settings, events, clock))
    for action in plan.actions:
        for name in action.waits:
            events.tell(Note(text=f"{action.resource}: {name} will come with {_after(action, name)}"))
    for kind in {action.resource.kind.name: action.resource.kind for action in plan.actions}.values():
        if kind.lacks and any(a.verb is Verb.CREATE and a.resource.kind is kind for a in plan.actions):
            events.tell(Note(text=f"new {kind.name} {kind.lacks}", warning=True))
    for other in plan.others:
        events.tell(Note(text=f"the destination has what the file doesn't: {other}", warning=True))
    if dry_run:
        done = [Done(action) for action in plan.actions]
    else:
        try:
            done = carry_out(plan, events, at_a_time=settings.api_calls_parallel, clock=clock)
        except KeyboardInterrupt:
            raise Interrupted("stopped on request", remedy="the same command again goes on where it was") from None
    return Imported(done, plan.others, dry_run)


def read_files(kinds: Sequence[Kind], file_of: FileOf, *, missing_is_fine: bool) -> list[Resource]:
    """Read the files of kinds. Raise PlanError with the problems of all of them."""
    resources: list[Resource] = []
    problems: list[Problem] = []
    for kind in kinds:
        if missing_is_fine and not file_of(kind).exists():
            continue
        try:
            resources += read_kind(kind, file_of(kind))
        except PlanError as error:
            problems += error.problems
    if problems:
        raise PlanError(problems)
    return resources


def chosen(resources: Sequence[Resource], settings: Settings, wanted: NameFilter | None) -> list[Resource]:
    """Return what the filters choose, kind by kind; one that is given need not match something of each kind.

    Raises:
        UserError: a filter matches nothing.
    """
    kinds: dict[str, list[Resource]] = {}
    for resource in resources:
        kinds.setdefault(resource.kind.name, []).append(resource)
    found: list[Resource] = []
    for of_kind in kinds.values():
        kind = of_kind[0].kind
        of_this = _filter(settings, kind, wanted)
        if wanted is not None and len(kinds) > 1:
            found += select_any(of_this, of_kind, _filter_name).chosen
        else:
            found += select(of_this, of_kind, _filter_name, f"{kind.name} in {kind.file}").chosen
    if resources and not found:
        raise UserError("the filter matches nothing in the files", remedy="check its spelling")
    return found


def _filter(settings: Settings, kind: Kind, wanted: NameFilter | None) -> NameFilter:
    return settings.filter(kind.filter or kind.name) if wanted is None else wanted


def _filter_name(resource: Resource) -> str:
    return resource.kind.filter_name(resource.params)


def _made_by_us(settings: Settings, field: str) -> frozenset[str]:
    return frozenset(str(getattr(settings.host(side), field)) for side in Side)


def _after(action: Action, name: str) -> str:
    return next(f"`os-migrate import {f.after}`" for f in action.resource.kind.fields if f.name == name)


def _data_fields(entry: Fetched) -> dict[str, object]:
    return {
        "id": entry.resource.id,
        "file": str(entry.file),
        "new": entry.is_new,
        "error": error_fields(entry.error) if entry.error else None,
    }


def _done_fields(entry: Done) -> dict[str, object]:
    action = entry.action
    return {
        "kind": action.resource.kind.name,
        "name": action.resource.name,
        "action": action.verb.value,
        "changes": [dataclasses.asdict(change) for change in (*action.changes, *action.late)],
        "waits": list(action.waits),
        "error": error_fields(entry.error) if entry.error else None,
    }
