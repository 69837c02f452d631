"""What the kinds of Keystone's resources share. They belong to domains, which are no kind: they must be in the destination."""

import json
from collections.abc import Hashable, Iterator, Mapping
from typing import Final

from os_migrate.files.fileformat import Fault, described
from os_migrate.files.marked import Steps
from os_migrate.resources.kind import Field, Write, identity
from os_migrate.resources.shapes import FLAG, SEE, TEXT, Lookup, RefTo, Shape
from os_migrate.rest import Collection, Service
from os_migrate.workload import CURRENT


def keystone(many: str) -> Collection:
    """Return a collection of Keystone's."""
    return Collection(Service.IDENTITY, f"/{many}", many, many.removesuffix("s"), update="PATCH")


def called(params: Mapping[str, object], field: str) -> str:
    """Return the name in a reference, with its domain where that isn't the current one."""
    ref = params.get(field)
    if not isinstance(ref, dict):
        return ""
    domain = ref.get("domain_name")
    return str(ref.get("name")) if domain in {None, CURRENT} else f"{ref.get('name')} ({domain})"


def name_in(params: Mapping[str, object], field: str) -> str:
    """Return the name in a reference."""
    ref = params.get(field)
    return str(ref.get("name")) if isinstance(ref, dict) else ""


class Options(Shape):
    """What Keystone calls options: whatever a cloud knows. One that the file doesn't say stays as it is."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with them: Keystone knows its options."""
        if not isinstance(value, dict):
            yield Fault(path, f"must be a mapping, is {described(value)}", SEE)

    def from_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return them in the order of their names."""
        return dict(sorted(value.items())) if isinstance(value, dict) else {}

    def canon(self, value: object) -> Hashable:
        """Return them without an order."""
        return json.dumps(value, sort_keys=True)

    def agrees(self, want: object, have: object) -> bool:
        """Say whether each option is as it is wanted."""
        assert isinstance(want, dict), "it was seen to be one"
        assert isinstance(have, dict), "Keystone has a mapping"
        return all(have.get(key) == value for key, value in want.items())


NAME: Final = Field("name", TEXT, required=True, identifies=identity)
DOMAIN: Final = Field(
    "domain_ref", RefTo("domains"), api="domain_id", required=True, write=Write.CREATE, identifies=identity
)
DESCRIPTION: Final = Field("description", TEXT, default="")
ENABLED: Final = Field("is_enabled", FLAG, api="enabled", default=True)
OPTIONS: Final = Field("options", Options(), default={})
