"""The roles that users have in projects by themselves: not those of groups, nor what is inherited."""

from collections.abc import Mapping, Sequence
from typing import Final

from os_migrate.resources.keystone import called, keystone, name_in
from os_migrate.resources.kind import Field, Kind, Write, anybodys, identity
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import RefTo
from os_migrate.rest import Collection, Json, Rest, Service

PROJECTS: Final = keystone("projects")
INHERITED: Final = "OS-INHERIT:inherited_to"


def of_users_in_projects(rest: Rest, assignments: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List what users have in projects: an assignment has no id in Keystone, so it is known by what it joins."""
    return [
        _joined(a["project_id"], a["user_id"], a["role_id"])
        for a in map(_flat, rest.list_of(assignments, query))
        if a["project_id"] and a["user_id"]
    ]


def _flat(assignment: Json) -> Json:
    scope = assignment.get("scope") or {}
    project = {} if INHERITED in scope else scope.get("project") or {}
    user = assignment.get("user") or {}
    return {"project_id": project.get("id"), "user_id": user.get("id"), "role_id": assignment["role"]["id"]}


def _joined(project_id: str, user_id: str, role_id: str) -> Json:
    ids = {"project_id": project_id, "user_id": user_id, "role_id": role_id}
    return {"id": "/".join(ids.values()), **ids}


def assign(rest: Rest, _assignments: Collection, body: Json) -> Json:
    """Give a user a role in a project; once more changes nothing."""
    rest.act_on(PROJECTS, body["project_id"], f"users/{body['user_id']}/roles/{body['role_id']}", {})
    return _joined(body["project_id"], body["user_id"], body["role_id"])


def label(params: Mapping[str, object]) -> str:
    """Return an assignment as people read it: `alice: member in shop`."""
    return f"{called(params, 'user_ref')}: {called(params, 'role_ref')} in {called(params, 'project_ref')}"


def user_of(params: Mapping[str, object]) -> str:
    """Return the name of the user."""
    return name_in(params, "user_ref")


def _joins(name: str, kind: str, api: str) -> Field:
    return Field(name, RefTo(kind), api=api, required=True, write=Write.CREATE, identifies=identity)


USER_PROJECT_ROLE_ASSIGNMENTS: Final = Kind(
    name="user_project_role_assignments",
    type="openstack.identity.UserProjectRoleAssignment",
    word="role assignment",
    collection=Collection(Service.IDENTITY, "/role_assignments", "role_assignments", "role_assignment"),
    label=label,
    listed=of_users_in_projects,
    ours=anybodys,
    make=assign,
    filtered_by=user_of,
    for_admin=True,
    fields=(
        _joins("user_ref", "users", "user_id"),
        _joins("project_ref", "projects", "project_id"),
        _joins("role_ref", "roles", "role_id"),
    ),
    info=info("id", "user_id", "project_id", "role_id"),
)
