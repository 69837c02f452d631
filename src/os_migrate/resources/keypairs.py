"""Key pairs of the user: the public keys. Nobody sees a private one, and none is ever made here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from os_migrate.files.fileformat import Fault
from os_migrate.files.marked import Steps
from os_migrate.resources.kind import Field, Kind, Write, anybodys, identity
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import TEXT, RefTo, Shape, Text, ref_of
from os_migrate.rest import Collection, Json, Rest, Service
from os_migrate.workload import CURRENT

KEYPAIR: Final = "openstack.compute.Keypair"
COLLECTION: Final = Collection(Service.COMPUTE, "/os-keypairs", "keypairs", "keypair")
OTHERS: Final = "key pairs of other users are in users_keypairs.yml, for an administrator"
ONESELF: Final = {"name": CURRENT, "project_name": CURRENT, "domain_name": CURRENT}


def bare(key: str) -> str:
    """Return a public key without its comment: the rest makes the fingerprint, and is all that logs in."""
    if key.lstrip().startswith("-----BEGIN"):
        return "".join(key.split())
    kind, _, rest = key.strip().partition(" ")
    return f"{kind} {rest.split()[0]}" if rest.split() else key.strip()


@dataclass(frozen=True)
class PublicKey(Text):
    """A public key, or a certificate; its value is never told."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with it: it may be a private key."""
        yield from TEXT.faults(value, path)
        if "PRIVATE KEY" in str(value):
            yield Fault(
                path, "is a private key", "put the public key here, and make a new pair if others saw this file"
            )


@dataclass(frozen=True)
class Oneself(Shape):
    """The reference to the user whose credentials are used: a tenant sees no others."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield a fault if it is somebody else."""
        yield from RefTo("users").faults(value, path)
        if isinstance(value, dict) and ref_of(value).name not in {CURRENT, None}:
            yield Fault((*path, "name"), f"must be {CURRENT}, is {value['name']!r}", OTHERS)


PUBLIC_KEY: Final = Field("public_key", PublicKey("a public key", bare), required=True, write=Write.CREATE)
NAME: Final = Field("name", TEXT, required=True, write=Write.CREATE, identifies=identity)
TYPE: Final = Field("type", Text(choices=("ssh", "x509")), default="ssh", write=Write.CREATE)


def known(keypair: Json, user_id: str) -> Json:
    """Return a key pair of a user with an id: Nova knows it by user and name."""
    return {**keypair, "id": keypair["name"], "user_id": user_id}


def of_oneself(rest: Rest, keypairs: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List the user's key pairs."""
    user_id = rest.scope().user_id
    return [known(keypair, user_id) for keypair in rest.list_of(keypairs, query)]


def give_key(rest: Rest, keypairs: Collection, body: Json) -> Json:
    """Give the cloud a public key."""
    return known(rest.create_in(keypairs, body), rest.scope().user_id)


KEYPAIRS: Final = Kind(
    name="keypairs",
    type=KEYPAIR,
    word="key pair",
    collection=COLLECTION,
    listed=of_oneself,
    ours=anybodys,
    shown=lambda keypair: {**keypair, "user_ref": ONESELF},
    make=give_key,
    fields=(NAME, TYPE, PUBLIC_KEY, Field("user_ref", Oneself(), write=Write.NEVER)),
    info=info("id", "user_id", "fingerprint"),
)
