"""What the kinds of resources want of a cloud: its collections, as the services' REST APIs have them.

`cloud.rest.Rest` is the real one; tests have a fake that is held to the same contract. Calls raise the errors of `errors.py` and
nothing else. What is listed and sent are the services' own JSON objects: a kind's table of fields says what they mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

Json = dict[str, Any]


class Service(StrEnum):
    """The services that are used, as openstacksdk names their proxies."""

    COMPUTE = "compute"
    BLOCK = "block_storage"
    IMAGE = "image"
    NETWORK = "network"
    IDENTITY = "identity"


@dataclass(frozen=True)
class Collection:
    """Things of one sort at a service: `/networks` lists `networks`, one of which is a `network`.

    `one` is "" where the service sends things without a wrapper. `update` is the method that changes one: PUT, PATCH, or JSON-PATCH
    where a PATCH takes a list of operations.
    Where a list wraps each of its things too, as Nova's key pairs, the wrapper is taken away.
    """

    service: Service
    path: str
    many: str
    one: str
    update: str = "PUT"


@dataclass(frozen=True)
class Scope:
    """Whom the credentials of a cloud are for: the project, its domain, and the user."""

    project_id: str
    project_name: str
    domain_name: str
    domain_id: str
    user_id: str


class Rest(Protocol):
    """The collections of one cloud, as one project sees them."""

    def project_id(self) -> str:
        """Return the current project's id; the first call authenticates."""

    def scope(self) -> Scope:
        """Return the current project, with its name and its domain's."""

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        """Return what the project sees of a collection; nothing where the service has no such collection."""

    def read_from(self, collection: Collection, thing_id: str) -> Json:
        """Return one thing. Raise NotFound if it isn't there."""

    def create_in(self, collection: Collection, body: Json) -> Json:
        """Create a thing, once: it is never sent twice. Return it as the service answers."""

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        """Change the given fields of a thing; repeating it changes nothing."""

    def act_on(self, collection: Collection, thing_id: str, action: str, body: Json) -> Json:
        """Put a body to an action of a thing (`tags`, `add_router_interface`)."""

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        """Delete a thing; one that isn't there is fine."""


UNFINISHED: Final = "os_migrate_unfinished"
"""Tags an image until its data is there and proven: it counts for nothing."""

CHUNK_BYTES: Final = 1 << 20
"""Data is read, digested and sent in such pieces, however large an image is."""


class Bytes(Protocol):
    """Data that is read piece by piece, and again from its beginning where it must be sent again."""

    def __len__(self) -> int:
        """Return how many bytes there are."""

    def __iter__(self) -> Iterator[bytes]:
        """Read them."""


class ImageData(Protocol):
    """The data of images, which no collection carries."""

    def read_image(self, image_id: str) -> AbstractContextManager[Iterator[bytes]]:
        """Read an image's data piece by piece; it may end early, and nobody but its hash would tell."""

    def write_image(self, image_id: str, data: Bytes, timeout_s: float) -> Json:
        """Give a new image its data, once; return it when it is active. Raise CloudError if it has gone wrong."""
