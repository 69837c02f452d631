"""Collections of things, as a kind's table describes them: the generic part of a cloud."""

from collections.abc import Mapping, Sequence

from os_migrate.cloud.calls import Api, Service
from os_migrate.cloud.compute import MICROVERSION
from os_migrate.errors import NotFound
from os_migrate.rest import Collection, Json, Scope


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
        path, doing = f"{collection.path}/{thing_id}", f"update {_word(collection)} {thing_id}"
        wrapped = _wrapped(collection, body)
        if collection.update == "PATCH":
            answer = self._api.patch(collection.service, path, doing, wrapped)
        else:
            version = self._version_for(collection)
            answer = self._api.put(collection.service, path, doing, wrapped, microversion=version)
        return _unwrapped(collection, answer)

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
    return _words(collection.one or collection.many)


def _words(key: str) -> str:
    return key.replace("_", " ")
