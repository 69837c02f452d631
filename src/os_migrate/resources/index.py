"""What a cloud holds, by id and by name: each collection is listed once, when it is first asked for."""

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from os_migrate.files.filters import listed
from os_migrate.resources.kind import Kind, Unresolved, list_all, owner_of
from os_migrate.rest import Collection, Json, Rest, Scope
from os_migrate.workload import CURRENT, Ref

OF_DOMAINS: Final = frozenset({"projects", "users", "roles"})
"""What belongs to a domain and to no project: its references say the domain. A role of none belongs to the whole cloud."""


class Index:
    """The things of one cloud, and the references to them.

    `coming` are the names, by kind, of resources that the same import will make first: a reference to one is fine as long as
    nothing is made. With `whole_cloud`, an administrator sees what other projects have.
    """

    def __init__(
        self,
        rest: Rest,
        kinds: Sequence[Kind],
        referred: Mapping[str, Collection],
        *,
        coming: Mapping[str, set[str]] | None = None,
        whole_cloud: bool = False,
    ) -> None:
        self._rest = rest
        self._whole_cloud = whole_cloud
        self._kinds = {kind.name: kind for kind in kinds}
        self._collections = {**referred, **{kind.name: kind.collection for kind in kinds}}
        self._things: dict[str, dict[str, Json]] = {}
        self._lock = threading.RLock()
        self.coming = dict(coming or {})
        self.scope: Scope = rest.scope()
        self._current = {
            "projects": self.scope.project_id,
            "domains": self.scope.domain_id,
            "users": self.scope.user_id,
        }

    def things(self, kind: str) -> list[Json]:
        """Return what the cloud shows of a kind, but for what is no resource."""
        with self._lock:
            if kind not in self._things:
                known = self._kinds.get(kind)
                query = known.query(self.scope.project_id) if known and not self._whole_cloud else {}
                listed_by = known.listed if known else list_all
                found = listed_by(self._rest, self._collections[kind], query)
                self._things[kind] = {t["id"]: t for t in found if known is None or not known.hidden(t)}
            return list(self._things[kind].values())

    def put(self, kind: str, thing: Json) -> None:
        """Note a thing as it is since it was made or changed."""
        with self._lock:
            self.things(kind)
            self._things[kind][thing["id"]] = thing

    def id_of(self, kind: str, ref: Ref) -> str:
        """Return the id of what a reference means.

        `%auth%` and the project's own name stand for the project's own; without a project, it may be anybody's. A name that is
        itself `%auth%` means the current project, domain or user.

        Raises:
            Unresolved: there is no such thing, or there are several.
        """
        if ref.name == CURRENT and kind in self._current:
            return self._current[kind]
        word = self._word(kind)
        found = [t for t in self.things(kind) if t.get("name") == ref.name and self._fits(kind, t, ref)]
        if len(found) == 1:
            return str(found[0]["id"])
        if found:
            owner = "domain" if kind in OF_DOMAINS else "project"
            owners = [(t["id"], t.get("domain_id") if owner == "domain" else owner_of(t)) for t in found]
            whose = ", ".join(f"{thing_id} ({owner} {owner_id or 'none'})" for thing_id, owner_id in owners)
            remedy = f"there are: {whose}; rename one"
            if kind in OF_DOMAINS:
                remedy += ", or say `domain_name`"
            elif ref.project_name is None:
                remedy += f", or say `project_name: '{CURRENT}'` if the project's own is meant"
            raise Unresolved(f"{len(found)} {kind.replace('_', ' ')} are called {ref.name!r}", remedy=remedy)
        if ref.name in self.coming.get(kind, set()) and (ref.project_name is None or self._is_own(ref.project_name)):
            return f"new {word} {ref.name}"
        names = sorted({str(thing.get("name")) for thing in self.things(kind) if self._fits(kind, thing, ref)})
        remedy = f"there are: {listed(names)}"
        if kind in self._kinds:
            remedy += f"; import the {kind} first, or in the same command"
        raise Unresolved(f"there is no {word} {ref.name!r}{self._whose(kind, ref)}", remedy=remedy)

    def ref_to(self, kind: str, thing_id: str) -> Ref:
        """Return the reference to a thing: `%auth%` where it is the project's own, nothing where it is others'.

        What belongs to a domain is referred to with that: `%auth%` where it is the current one. A project is always called by its name:
        those who come from it must not end up in whatever project an administrator imports from.
        """
        self.things(kind)
        thing = self._things[kind].get(thing_id)
        if thing is None:
            return Ref(None)
        if kind == "domains":
            return Ref(self._domain_name(thing_id))
        if kind in OF_DOMAINS:
            return Ref(thing.get("name") or None, domain_name=self._domain_name(thing.get("domain_id")))
        ours = CURRENT if owner_of(thing) == self.scope.project_id else None
        return Ref(thing.get("name") or None, project_name=ours, domain_name=ours)

    def _fits(self, kind: str, thing: Json, ref: Ref) -> bool:
        if kind in OF_DOMAINS:
            return self._is_in_domain(kind, thing, ref.domain_name)
        if kind == "domains" or ref.project_name is None:
            return True
        if self._is_own(ref.project_name):
            return owner_of(thing) == self.scope.project_id
        projects = {p["id"] for p in self.things("projects") if p.get("name") == ref.project_name}
        return owner_of(thing) in projects

    def _is_in_domain(self, kind: str, thing: Json, domain_name: str | None) -> bool:
        if domain_name is None:
            return kind != "roles" or not thing.get("domain_id")
        own = domain_name in {CURRENT, self.scope.domain_name}
        domain_id = self.scope.domain_id if own else self.id_of("domains", Ref(domain_name))
        return thing.get("domain_id") == domain_id

    def _domain_name(self, domain_id: str | None) -> str | None:
        if not domain_id or domain_id == self.scope.domain_id:
            return CURRENT if domain_id else None
        self.things("domains")
        domain = self._things["domains"].get(domain_id)
        return str(domain["name"]) if domain else None

    def _is_own(self, project_name: str) -> bool:
        return project_name in {CURRENT, self.scope.project_name}

    def _word(self, kind: str) -> str:
        known = self._kinds.get(kind)
        return known.word if known else kind.removesuffix("s").removesuffix("ie").replace("_", " ")

    @staticmethod
    def _whose(kind: str, ref: Ref) -> str:
        if kind in OF_DOMAINS and ref.domain_name is not None:
            return " in this domain" if ref.domain_name == CURRENT else f" in domain {ref.domain_name!r}"
        if kind in OF_DOMAINS or ref.project_name is None:
            return ""
        return " in this project" if ref.project_name == CURRENT else f" in project {ref.project_name!r}"
