"""The kinds beside servers, and their files: export, import, validation, and what is in a cloud."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any, Final

from os_migrate.door.call import Answer, Call, failure
from os_migrate.door.settings import path_of
from os_migrate.errors import OSMigrateError, PlanError, Problem, UserError
from os_migrate.events import Events
from os_migrate.failure import error_text
from os_migrate.files import marked
from os_migrate.files.blobs import Blobs
from os_migrate.files.marked import BadValueError
from os_migrate.files.variables import name_filter
from os_migrate.kinds import (
    READERS,
    Imported,
    check_files,
    chosen,
    export_kinds,
    fetch_images,
    finishing,
    import_resources,
    read_files,
)
from os_migrate.resources.catalog import KINDS, WORKLOADS, choose_kinds
from os_migrate.resources.compare import Verb
from os_migrate.resources.images import IMAGES
from os_migrate.resources.kind import Kind, Resource
from os_migrate.resources.wanted import wanted_resources
from os_migrate.resources.workload import Export
from os_migrate.rest import Collection, Service
from os_migrate.servers import ExportedDetached, ExportedServers, export_detached_volumes, export_servers
from os_migrate.session import open_cloud, open_journal
from os_migrate.settings import NameFilter, Settings
from os_migrate.world import Cloud, SystemClock

VOLUMES_FILTER: Final = "volumes"
"""Detached volumes have a filter of their own at the export."""


def export_kind(call: Call, kind: str) -> Answer:
    """Bring the file of a kind up to date with the source."""
    (of_kind,) = choose_kinds([kind])
    file = path_of(call.options["path"])
    with opened(call, lock=False) as (settings, events, cloud):
        (exported,) = export_kinds(
            cloud,
            settings,
            events,
            [of_kind],
            lambda _: file,
            filter_of(call.options),
            overwrite_migration_params=bool(call.options.get("overwrite_migration_params")),
            write=not call.check,
            fetch_data=False,
        )
    for idle in exported.found.idle_filters:
        call.warn(f"nothing matches the filter's {idle}")
    for unseen in exported.found.unseen:
        call.warn(f"{unseen} is something that the project can't see: name it, or make it null")
    changed = exported.before != exported.after
    answer = {
        "changed": changed,
        "path": str(file),
        "exported": [r.name for r in exported.found.resources],
        "added": [r.name for r in exported.merged.added],
        "updated": [r.name for r in exported.merged.changed],
        "vanished": [r.name for r in exported.merged.vanished],
        "left_out": list(exported.found.left_out),
    }
    return {**answer, **diff_of(call, [(str(file), exported.before, exported.after)])}


def export_image_data(call: Call) -> Answer:
    """Download the data of the images that a file describes, as far as it isn't there; one that fails stops no other."""
    file = path_of(call.options["path"])
    with opened(call, lock=False) as (settings, events, cloud):
        images = chosen(read_files([IMAGES], lambda _: file, missing_is_fine=False), settings, filter_of(call.options))
        blobs = Blobs(settings.images.blobs_dir)
        if call.check:
            missing = [image for image in images if blobs.find(image.id, image.name) is None]
            return {"changed": bool(missing), "data": [], "missing": [image.name for image in missing]}
        fetched = fetch_images(cloud, images, settings, events)
    errors = [entry.error for entry in fetched if entry.error is not None]
    answer: Answer = {
        "changed": any(entry.is_new for entry in fetched),
        "data": [{"name": e.resource.name, "file": str(e.file), "new": e.is_new} for e in fetched if e.error is None],
        "missing": [entry.resource.name for entry in fetched if entry.error is not None],
    }
    return {**answer, **failed(errors)}


def export_workload(call: Call) -> Answer:
    """Bring workloads.yml up to date with the source's servers; what can't be described fails, and the rest is written."""
    return _export_copied(call, WORKLOADS, export_servers)


def export_detached_volume(call: Call) -> Answer:
    """Bring detached_volumes.yml up to date with the source's volumes that no server has."""
    return _export_copied(call, VOLUMES_FILTER, export_detached_volumes)


def _export_copied(call: Call, filtered_as: str, export: Callable[..., ExportedServers | ExportedDetached]) -> Answer:
    file = path_of(call.options["path"])
    with opened(call, lock=False) as (settings, _, cloud), open_journal(settings.data_dir) as journal:
        exported = export(
            cloud,
            journal,
            file,
            filter_of(call.options) or settings.filter(filtered_as),
            overwrite_migration_params=bool(call.options.get("overwrite_migration_params")),
            write=not call.check,
        )
    found, merged = exported.found, exported.merged
    for idle in found.idle_filters:
        call.warn(f"nothing matches the filter's {idle}")
    answer: Answer = {
        "changed": exported.before != exported.after,
        "path": str(file),
        "exported": [r.name for r in (found.workloads if isinstance(found, Export) else found.volumes)],
        "added": [r.name for r in merged.added],
        "updated": [r.name for r in merged.changed],
        "vanished": [r.name for r in merged.vanished],
        "unfinished": [r.name for r in found.unfinished],
        **diff_of(call, [(str(file), without_user_data(exported.before), without_user_data(exported.after))]),
    }
    return {**answer, **failed([exported.error] if exported.error is not None else [])}


def import_kind(call: Call, kind: str) -> Answer:
    """Make in the destination what a file or a task describes; what is there is left alone, or updated where it differs."""
    (of_kind,) = choose_kinds([kind])
    with opened(call, lock=not call.check) as (settings, events, cloud):
        described, late = _described(call, of_kind, settings), _late(call, of_kind, settings)

        def imported_with(earlier: Sequence[Kind]) -> Imported:
            waiting = [resource for resource in late if resource.kind not in earlier]
            resources = [*_of_data_dir(earlier, settings), *described, *waiting]
            return import_resources(
                cloud,
                settings,
                events,
                wanted_resources(resources, settings),
                {kind.name for kind in (*earlier, of_kind)},
                dry_run=call.check,
                clock=SystemClock(),
            )

        earlier = [kind for kind in KINDS[: KINDS.index(of_kind)] if (settings.data_dir / kind.file).exists()]
        imported = _foretold(imported_with, of_kind, earlier) if call.check else imported_with([])
    fields = imported.fields()
    texts = [
        (
            str(entry.action.resource),
            "",
            "".join(f"{change}\n" for change in (*entry.action.changes, *entry.action.late)),
        )
        for entry in imported.done
    ]
    answer: Answer = {
        "changed": any(entry.action.verb is not Verb.SAME and entry.error is None for entry in imported.done),
        "resources": fields["resources"],
        "others": fields["others"],
        **diff_of(call, texts),
    }
    return {**answer, **failed(imported.errors)}


def _foretold(imported_with: Callable[[Sequence[Kind]], Imported], kind: Kind, earlier: Sequence[Kind]) -> Imported:
    """Return what an import would do: if it is refused as things are, then with the kinds before it as their files have them."""
    try:
        return imported_with([])
    except PlanError as refused:
        with suppress(UserError):  # of those before it: what is wrong with this one is what to tell
            whole = imported_with(earlier)
            return replace(whole, done=[entry for entry in whole.done if entry.action.resource.kind is kind])
        raise refused from None


def export_keypairs(call: Call) -> Answer:
    """Bring the file of key pairs up to date: the user's own, or those of all users."""
    return export_kind(call, _of_keypairs(call))


def import_keypairs(call: Call) -> Answer:
    """Make key pairs: for the user, or for all users."""
    return import_kind(call, _of_keypairs(call))


def read_resources(call: Call) -> Answer:
    """Return the resources of a file as they stand there."""
    file = path_of(call.options["path"])
    value = marked.read(file, absent="export it first").value()
    resources = value.get("resources") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(resources, list):
        raise UserError(f"{file} is no resource file", remedy="it must hold os_migrate_version and resources")
    return {"resources": resources, "os_migrate_version": value.get("os_migrate_version")}


def validate(call: Call) -> Answer:
    """Check files, by default all of the data dir: syntax, fields, doubles, and references between them. No cloud is asked.

    What is wrong is returned, and doesn't fail the task.
    """
    paths = [path_of(path) for path in call.options.get("paths") or ()]
    data_dir = call.data_dir or (paths[0].parent if paths else None)
    if data_dir is None:
        raise UserError("neither paths nor data_dir is given", remedy="say which files to check")
    given = {path.stem: path for path in paths}
    if len(given) < len(paths):
        raise UserError("two files are called the same", remedy="check them one after the other")
    kinds = choose_kinds([name for name in given if name not in READERS]) if paths else KINDS
    found = check_files(
        kinds,
        lambda kind: given.get(kind.name, data_dir / kind.file),
        named=set(given),
        copied={name: given.get(name, data_dir / f"{name}.yml") for name in READERS if name in given or not paths},
    )
    errors = [str(problem) for problem in found.problems]
    text = error_text(PlanError(found.problems)) if errors else ""
    return {"ok": not errors, "errors": errors, "files": found.counts, **({"msg": text} if text else {})}


def list_kind(call: Call, kind: str, answer: str) -> Answer:
    """Return what a cloud has of a kind, as its API tells it; `filters` are values that must be equal."""
    (of_kind,) = choose_kinds([kind])
    return _listed(call, of_kind.collection, {}, answer)


def list_role_assignments(call: Call) -> Answer:
    """Return the role assignments that the credentials may see, of some kinds of assignees and scopes."""
    assignments = Collection(Service.IDENTITY, "/role_assignments", "role_assignments", "role_assignment")
    answer = "openstack_role_assignments"
    listed = _listed(call, assignments, {"include_names": "true"}, answer)[answer]
    assignees, scopes = call.options.get("assignee_types"), call.options.get("scope_types")
    return {
        answer: [
            a
            for a in listed
            if (assignees is None or set(assignees) & set(a)) and (scopes is None or set(scopes) & set(a["scope"]))
        ]
    }


def auth_info(call: Call) -> Answer:
    """Return for which project the credentials are."""
    with opened(call, lock=False) as (_, _, cloud):
        scope = cloud.scope()
    return {
        "auth_info": {
            "project_id": scope.project_id,
            "project_name": scope.project_name,
            "user_id": scope.user_id,
        }
    }


def _listed(call: Call, collection: Collection, query: Mapping[str, str], answer: str) -> Answer:
    filters: Mapping[str, Any] = call.options.get("filters") or {}
    with opened(call, lock=False) as (_, _, cloud):
        things = cloud.list_of(collection, query)
    return {answer: [t for t in things if all(t.get(key) == value for key, value in filters.items())]}


def failed(errors: Sequence[OSMigrateError]) -> Answer:
    """Return what makes an answer one that failed, with the errors, each once; nothing where there are none."""
    if not errors:
        return {}
    texts = dict.fromkeys(error_text(error) for error in errors)
    return {**failure(errors[0]), "msg": "\n".join(texts)}


@contextmanager
def opened(call: Call, *, lock: bool) -> Iterator[tuple[Settings, Events, Cloud]]:
    """Open the cloud that a call is for; a call without a data dir has one for as long as it lasts."""
    with ExitStack() as stack:
        if call.data_dir is None:
            call = replace(call, options={**call.options, "data_dir": stack.enter_context(TemporaryDirectory())})
        settings = call.settings()
        events = stack.enter_context(call.events(settings))
        yield settings, events, stack.enter_context(open_cloud(settings, events, call.side, lock=lock))


def filter_of(options: Mapping[str, Any]) -> NameFilter | None:
    """Return the filter that a task says, by `name` or `filter`; None where it says nothing.

    Raises:
        UserError: it is no filter.
    """
    if options.get("name") is not None:
        return (str(options["name"]),)
    if options.get("filter") is None:
        return None
    try:
        found: NameFilter = name_filter(options["filter"])
    except BadValueError as error:
        raise UserError(f"filter {error}", remedy="an entry is a name, or {regex: PATTERN}") from None
    return found


USER_DATA: Final = re.compile(r"^( *)user_data: (?!null$)(.*(?:\n\1 .*)*)$", re.MULTILINE)
"""The user data of a server in a file, with the lines that go on with it."""


def without_user_data(text: str) -> str:
    """Return a file's text with digests in place of user data, which may hold secrets: a change still shows."""
    return USER_DATA.sub(
        lambda found: f"{found[1]}user_data: <sha256 {hashlib.sha256(found[2].encode()).hexdigest()[:16]}>", text
    )


def diff_of(call: Call, texts: Sequence[tuple[str, str, str]]) -> Answer:
    """Return what Ansible shows with --diff: of each thing its name, and its text before and after."""
    if not call.diff:
        return {}
    return {
        "diff": [
            {"before_header": name, "after_header": name, "before": before, "after": after}
            for name, before, after in texts
            if before != after
        ]
    }


def _of_keypairs(call: Call) -> str:
    return "users_keypairs" if call.options.get("all_users") else "keypairs"


def _described(call: Call, kind: Kind, settings: Settings) -> list[Resource]:
    """Return the resources that a task says, or those of a file that its filter chooses."""
    if "data" in call.options:
        described = kind.structure(call.options["data"])
        if isinstance(described, list):
            raise PlanError([Problem(_place(f.path), f"{kind.word}: {f.what}", f.remedy) for f in described])
        return [replace(described, where="data")]
    file = path_of(call.options["path"])
    found = read_files([kind], lambda _: file, missing_is_fine=False)
    return chosen(found, settings, filter_of(call.options))


def _late(call: Call, kind: Kind, settings: Settings) -> list[Resource]:
    """Return the resources of the data dir with fields that wait for this kind."""
    return _of_data_dir(finishing([kind]), settings) if call.data_dir is not None else []


def _of_data_dir(kinds: Sequence[Kind], settings: Settings) -> list[Resource]:
    """Return what the files of the data dir have of kinds, as far as the settings' filters choose it."""
    return chosen(read_files(kinds, lambda kind: settings.data_dir / kind.file, missing_is_fine=True), settings, None)


def _place(path: Sequence[object]) -> str:
    return ".".join(["data", *(str(step) for step in path)])
