"""One call to a cloud: on this thread's connection, retried where that is safe, counted, its errors translated.

    answer                                 raised
    404                                    NotFound
    no answer, 429, 500, 502, 503, 504     CloudUnavailable   (GET, PUT, PATCH and DELETE were tried again before)
    any other 4xx or 5xx                   Refused, a CloudError with the service's own words and the request's id

Each try after the first is told. A POST is never sent twice here: the first may have been obeyed. The runner looks before it does it again.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stamina
from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks
from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection
from requests import RequestException, Response

from os_migrate.cloud.refusals import Refused, Unanswered, refusal, unanswered
from os_migrate.errors import CloudError
from os_migrate.events import Note
from os_migrate.rest import CHUNK_BYTES, Bytes, Json, Scope, Service
from os_migrate.world import Clock

CALLS_AT_ONCE = 8
"""More wait here for their turn: what a tenant may ask of an API at a time, its operator knows; a few hurt nobody."""

ATTEMPTS = 5
RETRYING_S = 60.0
TIMEOUT_S = (10, 120)
"""To connect, and between bytes: Nova holds an attach request until its compute host has answered."""

ONCE = {"connect_retries": 0, "status_code_retries": 0}
"""For images the SDK has keystoneauth send a request again after a 503, a POST too: who tries again is decided here."""

DATA_TIMEOUT_S = (10, 900)
"""The same for data: a store may have to fetch an image before its first byte, or to put it away after its last."""

BINARY = {"Content-Type": "application/octet-stream", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Answer:
    """What a service said yes with."""

    body: Json
    location: str | None = None


class Api:
    """The calls to one cloud, from any thread, so many at a time. Who pauses before the next try is in nobody's way."""

    def __init__(
        self,
        name: str,
        open_connection: Callable[[], Connection],
        clock: Clock,
        tell: Callable[[Note], None],
        at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self.name = name
        self.clock = clock
        self.tell = tell
        self._open_connection = open_connection
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(at_once)
        self._calls = 0
        self._microversions: dict[Service, str] = {}

    @property
    def calls(self) -> int:
        """Return how many HTTP answers were received, those of Keystone included."""
        with self._lock:
            return self._calls

    def project_id(self) -> str:
        """Return the project that the credentials are scoped to."""
        for attempt in self._attempts():
            with attempt, self._calling("authenticate"):
                project_id: str | None = self._connection().session.get_project_id()
        if not project_id:
            raise self._unscoped()
        return project_id

    def missing_services(self) -> tuple[str, ...]:
        """Return which services the catalog doesn't have, in this region, and the settings name no endpoint for."""
        for attempt in self._attempts():
            with attempt, self._calling("read the catalog"):
                connection = self._connection()
                kinds = [service.replace("_", "-") for service in Service]
                return tuple(kind for kind in kinds if not connection.endpoint_for(kind))
        raise AssertionError("stamina returns or raises")

    def scope(self) -> Scope:
        """Return the project that the credentials are scoped to, with its name and its domain's."""
        for attempt in self._attempts():
            with attempt, self._calling("authenticate"):
                session = self._connection().session
                auth: Any = session.auth
                access = auth.get_access(session)
        if not access.project_id:
            raise self._unscoped()
        return Scope(
            access.project_id,
            access.project_name or "",
            access.project_domain_name or "",
            access.project_domain_id or "",
            access.user_id or "",
        )

    def _unscoped(self) -> CloudError:
        what = f"{self.name}: the credentials are not scoped to a project"
        return CloudError(what, remedy="name a project in the auth settings")

    def microversion(self, service: Service, highest: str) -> str | None:
        """Return the highest microversion, up to `highest`, that the service offers; None where it has none.

        Each service is asked with one `highest` only.
        """
        if service not in self._microversions:
            for attempt in self._attempts():
                with attempt, self._calling(f"ask {service} for its versions"):
                    offered = utils.maximum_supported_microversion(self._proxy(service), highest)
            if offered is None:  # it has none, or could not say so now
                return None
            self._microversions[service] = offered
        return self._microversions[service]

    def get(
        self,
        service: Service,
        path: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> Json:
        """Return the answer's body. `doing` says in an error what for: "read server 4711"."""
        return self._again(service, "GET", path, doing, params=params, microversion=microversion).body

    def pages(
        self,
        service: Service,
        path: str,
        key: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> Iterator[Json]:
        """Yield the items of a list, page by page.

        Raises:
            CloudError: the service tells a part only, and not how to get the rest: Keystone's `list_limit`.
        """
        query = dict(params or {})
        while True:
            body = self.get(service, path, doing, params=query, microversion=microversion)
            items = body.get(key) or []
            yield from items
            if not items or not _has_more(body, key):
                if body.get("truncated"):
                    what = f"{self.name}: {doing}: the cloud tells the first {len(items)} only"
                    raise CloudError(what, remedy="have list_limit raised in its configuration")
                return
            query["marker"] = _mark(items[-1])

    def post(
        self,
        service: Service,
        path: str,
        doing: str,
        body: Json,
        *,
        microversion: str | None = None,
        secret: str | None = None,
    ) -> Answer:
        """Send a body once. Where it holds a `secret`, that goes into no log and no error."""
        return self._once(service, "POST", path, doing, body=body, microversion=microversion, secret=secret)

    def put(
        self,
        service: Service,
        path: str,
        doing: str,
        body: Json,
        *,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> Json:
        """Replace something: doing it twice is the same as once."""
        return self._again(service, "PUT", path, doing, body=body, headers=headers, microversion=microversion).body

    def patch(
        self,
        service: Service,
        path: str,
        doing: str,
        body: Json | list[Json],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Change the given fields of something: doing it twice is the same as once."""
        return self._again(service, "PATCH", path, doing, body=body, headers=headers).body

    def delete(self, service: Service, path: str, doing: str, *, microversion: str | None = None) -> None:
        """Delete something. Raise NotFound if it isn't there."""
        self._again(service, "DELETE", path, doing, microversion=microversion)

    @contextmanager
    def download(self, service: Service, path: str, doing: str) -> Iterator[Iterator[bytes]]:
        """Read data piece by piece. It takes no turn: it may go on for hours."""
        with self._translated(doing):
            response: Response = self._proxy(service).request(
                path, "GET", stream=True, headers=dict(BINARY), timeout=DATA_TIMEOUT_S, skip_cache=True, log=False
            )
            error = refusal(response, f"{self.name}: {doing}")
        try:
            if error:
                raise error
            yield self._pieces(response, doing)
        finally:
            response.close()

    def _pieces(self, response: Response, doing: str) -> Iterator[bytes]:
        with self._translated(doing):
            yield from response.iter_content(CHUNK_BYTES)

    def upload(self, service: Service, path: str, doing: str, data: Bytes) -> None:
        """Send data piece by piece, once. It takes no turn: it may go on for hours."""
        with self._translated(doing):
            response: Response = self._proxy(service).request(
                path,
                "PUT",
                data=data,
                headers=dict(BINARY),
                timeout=DATA_TIMEOUT_S,
                skip_cache=True,
                log=False,
                **ONCE,
            )
            error = refusal(response, f"{self.name}: {doing}")
            if error:
                raise error

    def _again(
        self,
        service: Service,
        method: str,
        path: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> Answer:
        for attempt in self._attempts():
            with attempt:
                return self._once(
                    service, method, path, doing, params=params, body=body, headers=headers, microversion=microversion
                )
        raise AssertionError("stamina returns or raises")

    def _once(
        self,
        service: Service,
        method: str,
        path: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
        secret: str | None = None,
    ) -> Answer:
        with self._calling(doing):
            response: Response = self._proxy(service).request(
                path,
                method,
                params=params,
                json=body,
                headers=dict(headers or {}),
                microversion=microversion,  # given even where None, so that no default of clouds.yaml changes an answer
                timeout=TIMEOUT_S,
                skip_cache=True,
                log=secret is None,
                **ONCE,
            )
            error = refusal(response, f"{self.name}: {doing}", secret)
            if error:
                raise error
            return Answer(body=response.json() if response.content else {}, location=response.headers.get("location"))

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._open_connection()
            connection.session.session.hooks["response"].append(self._count)
            self._thread.connection = connection
        return connection

    def _proxy(self, service: Service) -> adapter.Adapter:
        proxy: adapter.Adapter = getattr(self._connection(), service)
        return proxy

    def _count(self, _response: Response, *_args: object, **_kwargs: object) -> None:
        with self._lock:
            self._calls += 1

    def _attempts(self) -> Iterator[Any]:
        last: Unanswered | None = None

        def pause(error: Exception) -> bool | float:
            nonlocal last
            if not isinstance(error, Unanswered):
                return False
            last = error
            return True if error.retry_after_s is None else error.retry_after_s

        tries = stamina.retry_context(on=pause, attempts=ATTEMPTS, timeout=RETRYING_S, wait_initial=0.5, wait_max=10.0)
        for attempt in tries:
            if last is not None:
                self.tell(Note(text=f"{last.what}; trying again"))
            yield attempt

    @contextmanager
    def _calling(self, doing: str) -> Iterator[None]:
        """Take a turn, and translate what is raised."""
        with self._turns, self._translated(doing):
            yield

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        """Turn what the SDK, keystoneauth and requests raise into errors of ours."""
        try:
            yield
        except (ks.ClientException, sdk.SDKException, RequestException) as error:
            raise unanswered(error, f"{self.name}: {doing}") from None


def _has_more(body: Json, key: str) -> bool:
    links = body.get(f"{key}_links") or []
    of_keystone = body.get("links") or {}
    return bool(body.get("next") or of_keystone.get("next")) or any(link.get("rel") == "next" for link in links)


def _mark(item: Json) -> str:
    """Return what the next page begins after. Nova wraps each key pair, and knows it by its name."""
    return str(item["id"] if "id" in item else item["keypair"]["name"])


__all__ = ["Api", "Json", "Refused", "Service"]
