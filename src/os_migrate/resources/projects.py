"""Projects, of all domains. The domains themselves must be in the destination."""

from collections.abc import Iterator
from typing import Final

from os_migrate.files.marked import Steps
from os_migrate.mapping import Rename
from os_migrate.resources.keystone import DESCRIPTION, DOMAIN, ENABLED, NAME, OPTIONS, keystone
from os_migrate.resources.kind import Field, Kind, Write, anybodys
from os_migrate.resources.neutron import info
from os_migrate.resources.shapes import FLAG, TEXT, ListOf, Lookup, Reference, RefTo, ref_of, unstructured_ref


class ParentRef(RefTo):
    """A reference to what a project is in: another project, or its domain, which is in no domain itself."""

    def to_api(self, value: object, lookup: Lookup) -> object:
        """Return the id of the domain or project that is meant."""
        return lookup.id_of(self._kind_of(value), ref_of(value))

    def from_api(self, value: object, lookup: Lookup) -> object:
        """Return the reference to a domain or a project."""
        domain = lookup.ref_to("domains", str(value))
        return unstructured_ref(domain) if domain.name is not None else super().from_api(value, lookup)

    def refs(self, value: object, path: Steps) -> Iterator[Reference]:
        """Yield the reference, to what it is."""
        yield Reference(path, self._kind_of(value), ref_of(value))

    def renamed(self, value: object, rename: Rename) -> object:
        """Return the reference with other names: those of domains, or those of projects."""
        kind = self._kind_of(value)
        return super().renamed(value, rename) if kind == self.kind else RefTo(kind).renamed(value, rename)

    def _kind_of(self, value: object) -> str:
        return "domains" if ref_of(value).domain_name is None else self.kind


PROJECTS: Final = Kind(
    name="projects",
    type="openstack.identity.Project",
    word="project",
    collection=keystone("projects"),
    ours=anybodys,
    for_admin=True,
    fields=(
        NAME,
        DESCRIPTION,
        DOMAIN,
        Field("is_domain", FLAG, default=False, write=Write.CREATE),
        ENABLED,
        Field("parent_ref", ParentRef("projects"), api="parent_id", write=Write.CREATE),
        OPTIONS,
        Field("tags", ListOf(TEXT), default=[]),
    ),
    info=info("id", "domain_id", "parent_id"),
)
