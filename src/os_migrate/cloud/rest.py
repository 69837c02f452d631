"""Collections of things, as a kind's table describes them: the generic part of a cloud."""

from collections.abc import Mapping, Sequence

from os_migrate.cloud.calls import Api
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
        doing = f"list the {_words(collection.many)}"
        try:
            return list(
                self._api.pages(collection.service, collection.path, collection.many, doing, params=query or {})
            )
        except NotFound:
            return []

    def create_in(self, collection: Collection, body: Json) -> Json:
        """Create a thing, once: it is never sent twice."""
        doing = f"create {_words(collection.one)} {body.get('name') or ''}".rstrip()
        answer = self._api.post(collection.service, collection.path, doing, _wrapped(collection, body))
        return _unwrapped(collection, answer.body)

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        """Change the given fields of a thing."""
        send = self._api.patch if collection.update == "PATCH" else self._api.put
        doing = f"update {_words(collection.one)} {thing_id}"
        answer = send(collection.service, f"{collection.path}/{thing_id}", doing, _wrapped(collection, body))
        return _unwrapped(collection, answer)

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        """Put a body to an action of a thing."""
        doing = f"{_words(action)}: {_words(collection.one)} {thing_id}"
        return self._api.put(collection.service, f"{collection.path}/{thing_id}/{action}", doing, body)

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        """Delete a thing; one that isn't there is fine."""
        try:
            self._api.delete(
                collection.service,
                f"{collection.path}/{thing_id}",
                f"delete {_words(collection.one)} {thing_id}",
            )
        except NotFound:
            return


def _wrapped(collection: Collection, body: Json) -> Json:
    return {collection.one: body} if collection.one else body


def _unwrapped(collection: Collection, answer: Json) -> Json:
    thing: Json = answer[collection.one] if collection.one else answer
    return thing


def _words(key: str) -> str:
    return key.replace("_", " ")
