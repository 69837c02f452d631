"""Collections of things, as a kind's table describes them: the generic part of a cloud."""

from collections.abc import Mapping, Sequence

from os_migrate.cloud.calls import Api, Service
from os_migrate.cloud.compute import MICROVERSION
from os_migrate.errors import NotFound
from os_migrate.rest import Collection, Json, Scope

JSON_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
"""What Glance calls RFC 6902."""


class Rest:
    """The part of `rest.Rest` that needs no service of its own."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def scope(self) -> Scope:
        """Return the current project, with its name and its domain's."""
        return self._api.scope()

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        """Return what the project sees of a collection; nothing where the service has no such collection."""
        pages = self._api.pages(
            collection.service,
            collection.path,
            collection.many,
            f"list the {_words(collection.many)}",
            params=query or {},
            microversion=self._version_for(collection),
        )
        try:
            return [item[collection.one] if set(item) == {collection.one} else item for item in pages]
        except NotFound:
            return []

    def read_from(self, collection: Collection, thing_id: str) -> Json:
        """Return one thing."""
        path, doing = f"{collection.path}/{thing_id}", f"read {_word(collection)} {thing_id}"
        answer = self._api.get(collection.service, path, doing, microversion=self._version_for(collection))
        return _unwrapped(collection, answer)

    def create_in(self, collection: Collection, body: Json) -> Json:
        """Create a thing, once: it is never sent twice."""
        doing = f"create {_word(collection)} {body.get('name') or ''}".rstrip()
        version = self._version_for(collection)
        answer = self._api.post(
            collection.service, collection.path, doing, _wrapped(collection, body), microversion=version
        )
        return _unwrapped(collection, answer.body)

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        """Change the given fields of a thing."""
        if collection.update == "JSON-PATCH":
            return self._patch(collection, thing_id, body)
        path, doing = f"{collection.path}/{thing_id}", f"update {_word(collection)} {thing_id}"
        wrapped = _wrapped(collection, body)
        if collection.update == "PATCH":
            answer = self._api.patch(collection.service, path, doing, wrapped)
        else:
            version = self._version_for(collection)
            answer = self._api.put(collection.service, path, doing, wrapped, microversion=version)
        return _unwrapped(collection, answer)

    def _patch(self, collection: Collection, thing_id: str, body: Json) -> Json:
        """Change a thing by operations: which one a key takes depends on whether the thing has it, and null takes it away."""
        path = f"{collection.path}/{thing_id}"
        doing = f"update {_word(collection)} {thing_id}"
        thing = self._api.get(collection.service, path, doing)
        operations: list[Json] = []
        for key, value in body.items():
            pointer = "/" + key.replace("~", "~0").replace("/", "~1")
            if value is not None:
                operations.append({"op": "replace" if key in thing else "add", "path": pointer, "value": value})
            elif key in thing:
                operations.append({"op": "remove", "path": pointer})
        return self._api.patch(collection.service, path, doing, operations, headers=JSON_PATCH) if operations else thing

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        """Put a body to an action of a thing."""
        doing = f"{_words(action)}: {_word(collection)} {thing_id}"
        return self._api.put(collection.service, f"{collection.path}/{thing_id}/{action}", doing, body)

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        """Delete a thing; one that isn't there is fine."""
        path, doing = f"{collection.path}/{thing_id}", f"delete {_word(collection)} {thing_id}"
        try:
            self._api.delete(collection.service, path, doing, microversion=self._version_for(collection))
        except NotFound:
            return

    def _version_for(self, collection: Collection) -> str | None:
        return self._api.microversion(Service.COMPUTE, MICROVERSION) if collection.service is Service.COMPUTE else None


def _wrapped(collection: Collection, body: Json) -> Json:
    return {collection.one: body} if collection.one else body


def _unwrapped(collection: Collection, answer: Json) -> Json:
    thing: Json = answer[collection.one] if collection.one else answer
    return thing


def _word(collection: Collection) -> str:
    return _words(collection.one or collection.many.removesuffix("s"))


def _words(key: str) -> str:
    return key.replace("_", " ")
