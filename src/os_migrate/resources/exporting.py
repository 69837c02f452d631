"""Describe what a project has in a cloud, kind by kind."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from os_migrate.files.filters import select, select_any
from os_migrate.resources.catalog import REFERRED
from os_migrate.resources.index import Index
from os_migrate.resources.kind import Kind, Resource
from os_migrate.rest import Json, Rest
from os_migrate.settings import NameFilter


@dataclass(frozen=True)
class Wish:
    """What is to be exported.

    `infrastructure` are names of ours, by kind. `whole_cloud` takes along what other projects own. With `one_filter` for several
    kinds, it need not match something of each.
    """

    filters: Mapping[str, NameFilter]
    infrastructure: Mapping[str, AbstractSet[str]]
    whole_cloud: bool = False
    one_filter: bool = False


@dataclass(frozen=True)
class Found:
    """What an export found of a kind.

    `alive` are the ids of all that there is, those that a filter leaves out among them. `unseen` are references to what the project
    can't see, so that they have no name. `left_out` says what can't leave its cloud, and why.
    """

    kind: Kind
    resources: tuple[Resource, ...]
    alive: AbstractSet[str]
    idle_filters: tuple[str, ...]
    unseen: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def export(rest: Rest, kinds: Sequence[Kind], everything: Sequence[Kind], wish: Wish) -> list[Found]:
    """Describe the resources of some kinds; `everything` are all kinds, for what is referred to.

    Raises:
        UserError: a filter matches nothing.
        CloudError: the cloud can't be listed.
    """
    index = Index(rest, everything, REFERRED, whole_cloud=wish.whole_cloud)
    return [_export(index, kind, wish) for kind in kinds]


def _export(index: Index, kind: Kind, wish: Wish) -> Found:
    things = [thing for thing in index.things(kind.name) if _belongs(index, kind, thing, wish)]
    unfit = {str(thing["id"]): kind.unfit(thing) for thing in things}
    resources = [kind.describe(thing, index) for thing in things]
    hidden = wish.infrastructure.get(kind.filter or kind.name, frozenset())
    ours = wish.infrastructure.get(kind.section, frozenset())
    visible = [r for r in resources if _filter_name(r) not in hidden and r.params.get("name") not in ours]
    wanted = wish.filters[kind.name]
    if wish.one_filter:
        selection = select_any(wanted, visible, _filter_name)
    else:
        selection = select(wanted, visible, _filter_name, kind.name.replace("_", " "))
    ordered = sorted(selection.chosen, key=lambda r: (r.name, r.id))
    chosen = [resource for resource in ordered if not unfit[resource.id]]
    left_out = [f"{kind.word} {r.name} ({r.id}): {unfit[r.id]}" for r in ordered if unfit[r.id]]
    unseen = [
        f"{kind.word} {resource.name}: {'.'.join(str(step) for step in reference.path[1:])}"
        for resource in chosen
        for reference in resource.refs()
        if reference.ref.name is None
    ]
    return Found(kind, tuple(chosen), {r.id for r in visible}, selection.idle, tuple(unseen), tuple(left_out))


def _filter_name(resource: Resource) -> str:
    return resource.kind.filter_name(resource.params)


def _belongs(index: Index, kind: Kind, thing: Json, wish: Wish) -> bool:
    return wish.whole_cloud or kind.ours(thing, index.scope.project_id)
