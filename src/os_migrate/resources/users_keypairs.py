"""Key pairs of all users, as an administrator gives them to the users of the same names."""

from collections.abc import Mapping, Sequence
from typing import Final

from os_migrate.resources.keypairs import COLLECTION, KEYPAIR, NAME, PUBLIC_KEY, TYPE
from os_migrate.resources.keystone import called
from os_migrate.resources.kind import Field, Kind, Write, anybodys, identity
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import RefTo
from os_migrate.resources.user_project_role_assignments import user_of
from os_migrate.resources.users import USERS
from os_migrate.rest import Collection, Json, Rest


def known(keypair: Json, user_id: str) -> Json:
    """Return a key pair with an id: those of two users may have one name."""
    return {**keypair, "id": f"{user_id}/{keypair['name']}", "user_id": user_id}


def of_all_users(rest: Rest, keypairs: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List the key pairs user by user: Nova tells those of one only."""
    return [
        known(keypair, user["id"])
        for user in USERS.listed(rest, USERS.collection, query)
        for keypair in rest.list_of(keypairs, {"user_id": user["id"]})
    ]


def give_key(rest: Rest, keypairs: Collection, body: Json) -> Json:
    """Give a user a public key; the administrator's own may have come with `keypairs` in the same command."""
    there = [k for k in rest.list_of(keypairs, {"user_id": body["user_id"]}) if k["name"] == body["name"]]
    if there and PUBLIC_KEY.agrees(body["public_key"], there[0]):
        return known(there[0], body["user_id"])
    return known(rest.create_in(keypairs, body), body["user_id"])


def label(params: Mapping[str, object]) -> str:
    """Return what people call it: whose, and its name."""
    return f"{called(params, 'user_ref')}: {params.get('name')}"


USERS_KEYPAIRS: Final = Kind(
    name="users_keypairs",
    type=KEYPAIR,
    word="key pair",
    collection=COLLECTION,
    label=label,
    listed=of_all_users,
    ours=anybodys,
    make=give_key,
    mapped_as="keypairs",
    filter="user_project_role_assignments",
    filtered_by=user_of,
    for_admin=True,
    fields=(
        Field("user_ref", RefTo("users"), api="user_id", required=True, write=Write.CREATE, identifies=identity),
        NAME,
        TYPE,
        PUBLIC_KEY,
    ),
    info=info("id", "user_id", "fingerprint"),
)
