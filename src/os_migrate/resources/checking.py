"""Check the files of a data dir against one another, without any cloud."""

from collections.abc import Iterator, Sequence

from os_migrate.errors import Problem
from os_migrate.files.filters import listed
from os_migrate.resources.kind import Kind, Resource
from os_migrate.resources.shapes import Reference
from os_migrate.workload import CURRENT


def twice(resources: Sequence[Resource]) -> Iterator[Problem]:
    """Yield a problem for each resource that is known by the same as one before it."""
    first: dict[object, Resource] = {}
    for resource in resources:
        mark = (resource.kind.name, resource.mark())
        if mark in first:
            other = first[mark]
            what = f"{resource} is there twice: the other is at {other.where}"
            if str(other) == str(resource):
                yield Problem(resource.where, what, "rename or remove one of them")
            else:  # the mapping made them one
                yield Problem(
                    resource.where, f"{what}: {other}", "map one of them otherwise, or choose one by a filter"
                )
        first.setdefault(mark, resource)


def nameless(resources: Sequence[Resource]) -> Iterator[Problem]:
    """Yield a problem for each resource without a name: nothing could be told apart."""
    for resource in resources:
        if "name" in {entry.name for entry in resource.kind.fields} and not resource.params.get("name"):
            what = f"a {resource.kind.word} has no name, and is known by nothing else"
            yield Problem(resource.where, what, "name it in the source and export again, or name it in the file")


def dangling(resources: Sequence[Resource], kinds: Sequence[Kind]) -> Iterator[Problem]:
    """Yield a problem for each reference to the project's own that no file describes.

    What is others' must be in the destination, and so must be what no kind describes: only the cloud can tell.
    """
    names: dict[str, set[str]] = {kind.name: set() for kind in kinds}
    for resource in resources:
        names[resource.kind.name].add(resource.name)
    for resource in resources:
        for reference in resource.refs():
            if reference.kind in names and _is_missing(reference, names):
                path = ".".join(str(step) for step in reference.path[1:])
                what = f"{resource.kind.word} {resource.name}: {path}: no file has a {reference.kind} {reference.ref}"
                remedy = f"there are: {listed(sorted(names[reference.kind]))}; export the {reference.kind} too"
                yield Problem(resource.where, what, f"{remedy}, or have it in the destination")


def _is_missing(reference: Reference, names: dict[str, set[str]]) -> bool:
    ref = reference.ref
    return ref.project_name == CURRENT and ref.name not in {CURRENT, *names[reference.kind]}
