"""The shape of a workload or a detached volume in a file, to and from the values of `workload`.

The fields are those of the dataclasses; here is only what differs: `info` and `migration` are called `_info` and
`_migration_params`, every resource says its `type`, and older files call two fields otherwise. Types are checked, never
converted: `name: 12` is a mistake, not a name.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import GenericAlias
from typing import Any, Final, TypeVar, get_args

from cattrs import AttributeValidationNote, BaseValidationError, Converter, IterableValidationNote
from cattrs.cols import list_structure_factory
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from os_migrate.files import marked
from os_migrate.files.marked import BadValueError, Tagged
from os_migrate.files.values import refusals
from os_migrate.workload import (
    OURS,
    DetachedVolume,
    DeviceInfo,
    EncryptedVolumes,
    FloatingIpInfo,
    FloatingIpMode,
    Loss,
    MigrationParams,
    PortCreationMode,
    PortInfo,
    PowerState,
    Subject,
    VolumeInfo,
    Workload,
    WorkloadFloatingIp,
    WorkloadInfo,
    WorkloadParams,
    WorkloadPort,
    WorkloadVolume,
)

S = TypeVar("S", Workload, DetachedVolume)

TYPES: Final[Mapping[type, str]] = {
    Workload: "openstack.compute.Server",
    WorkloadPort: "openstack.network.ServerPort",
    WorkloadFloatingIp: "openstack.network.ServerFloatingIP",
    WorkloadVolume: "openstack.network.ServerVolume",
    DetachedVolume: "openstack.network.ServerVolume",
}
READ_ONLY: Final = {WorkloadInfo, PortInfo, FloatingIpInfo, VolumeInfo, DeviceInfo}
RENAMED: Final = {"info": "_info", "migration": "_migration_params"}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with a resource; `path` leads to the value within it."""

    path: marked.Steps
    what: str
    remedy: str = ""


def structure(kind: type[S], resource: object) -> S | list[Fault]:
    """Return what a resource describes, or all that is wrong with it."""
    try:
        found: S = _converter.structure(resource, kind)
    except (BaseValidationError, BadValueError) as error:
        return list(faults_of(error))
    return [Fault(*refused) for refused in refusals(found)] or found


def unstructure(subject: Subject) -> dict[str, object]:
    """Return a workload or detached volume as its file has it, keys in the file's order."""
    unstructured: dict[str, object] = _converter.unstructure(subject)
    return unstructured


def faults_of(error: BaseException, path: marked.Steps = ()) -> Iterator[Fault]:
    """Yield what cattrs collected, each with the path to the value."""
    match error:
        case BaseValidationError():
            for inner in error.exceptions:
                yield from faults_of(inner, (*path, *_step(inner)))
        case ForbiddenExtraKeysError():
            known = [RENAMED.get(f.name, f.name) for f in dataclasses.fields(error.cl or object)]
            for key in sorted(error.extra_fields):
                near = difflib.get_close_matches(key, known, n=1)
                remedy = f"did you mean {near[0]}?" if near else "remove it; docs/files.md lists the keys"
                yield Fault((*path, key), "unknown key", remedy)
        case KeyError():
            yield Fault(path, "is missing", "add it, or export it again")
        case _:
            yield Fault(path, str(error), "docs/files.md describes it")


def _step(error: BaseException) -> marked.Steps:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (RENAMED.get(note.name, note.name),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def described(value: object) -> str:
    """Say what a value is, without the value: it may be a secret."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", float: "a decimal number"}
    if isinstance(value, Tagged):
        return str(value)
    return "nothing" if value is None else names.get(type(value), "a number")


def instead_of_text(value: object) -> str:
    """Say what stands where text is needed, and how it becomes text."""
    quotes = ": put it in quotes" if isinstance(value, bool | int | float) else ""
    return f"must be text, is {described(value)}{quotes}"


def _strict(wanted: type, name: str) -> Callable[[object, object], Any]:
    def check(value: object, _: object) -> object:
        if type(value) is not wanted:
            raise BadValueError(instead_of_text(value) if wanted is str else f"must be {name}, is {described(value)}")
        return value

    return check


def _texts(value: object, _: object) -> dict[str, str]:
    """Read a mapping of texts."""
    if not isinstance(value, dict):
        raise BadValueError(f"must be a mapping, is {described(value)}")
    for key, item in value.items():
        if not isinstance(item, str):
            raise BadValueError(f"{key} {instead_of_text(item)}")
    return value


def _mode(value: object, modes: type[StrEnum]) -> StrEnum:
    try:
        return modes(str(value))
    except ValueError:
        given = repr(value) if isinstance(value, str) else described(value)
        raise BadValueError(f"must be one of {', '.join(modes)}, is {given}") from None


def _flag_or_text(value: object, _: object) -> object:
    """Read `config_drive`, which Nova reports as a boolean, as "True" or as ""."""
    if value is None or isinstance(value, bool | str):
        return value
    raise BadValueError(f"must be true or false, is {described(value)}")


def _tuple_of(kind: Any, converter: Converter) -> Callable[[object, object], Any]:
    as_list: Any = GenericAlias(list, (get_args(kind)[0],))
    structure_list = list_structure_factory(as_list, converter)

    def check(value: object, _: object) -> object:
        if not isinstance(value, list):
            raise BadValueError(f"must be a list, is {described(value)}")
        return tuple(structure_list(value, as_list))

    return check


def _reader_of(cls: type, converter: Converter) -> Callable[[object, object], Any]:
    """Return what reads one of our dataclasses: null stands for the default, unknown keys are refused."""
    fields = dataclasses.fields(cls)
    renames: dict[str, Any] = {f.name: override(rename=RENAMED[f.name]) for f in fields if f.name in RENAMED}
    read: Callable[[Any, Any], Any]
    read = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=cls not in READ_ONLY, **renames)
    defaults = {
        RENAMED.get(f.name, f.name)
        for f in fields
        if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
    }

    def check(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise BadValueError(f"must be a mapping, is {described(value)}")
        given = {key: item for key, item in value.items() if item is not None or key not in defaults}
        return read(_as_today(given, cls), cls)

    return check


def _as_today(given: dict[str, object], cls: type) -> dict[str, object]:
    """Return a mapping as today's files have it; without what only marks a resource."""
    if cls in TYPES:
        if given.get("type") != TYPES[cls]:
            raise BadValueError(f"type must be {TYPES[cls]}")
        ours = "migration" in (f.name for f in dataclasses.fields(cls))
        return {k: v for k, v in given.items() if k != "type" and (ours or k != "_migration_params" or v)}
    if cls in READ_ONLY:  # an id that is all digits is still an id; `size` is the only number there
        return {key: item if key == "size" else _as_text(item) for key, item in given.items()}
    if cls is WorkloadParams:
        return {**given, "name": ""} if given.get("name", "") is None else given  # a server may have no name
    if cls is MigrationParams:
        old_boot, old_others = given.pop("boot_volume_id", None), given.pop("additional_volume_ids", None)
        if old_boot is not None:
            given.setdefault("boot_volume", {"uuid": old_boot})
        if isinstance(old_others, list):
            given.setdefault("additional_volumes", [{"uuid": volume_id} for volume_id in old_others])
    return given


def _as_text(value: object) -> object:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return str(value) if type(value) in {int, float} else value


def _writer_of(cls: type, converter: Converter) -> Callable[[Any], dict[str, object]]:
    renamed = [f.name for f in dataclasses.fields(cls) if f.name in RENAMED]
    renames: dict[str, Any] = {name: override(rename=RENAMED[name]) for name in renamed}
    silent: dict[str, Any] = {
        f.name: override(omit_if_default=True) for f in dataclasses.fields(cls) if f.metadata == OURS
    }
    write: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(cls, converter, **renames, **silent)

    def resource(value: object) -> dict[str, object]:
        written = write(value)
        return {
            "type": TYPES[cls],
            "params": written["params"],
            "_info": written["_info"],
            "_migration_params": written.get("_migration_params", {}),
        }

    return resource if cls in TYPES else write


def _make_converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    for wanted, name in ((str, "text"), (int, "a whole number"), (bool, "true or false")):
        converter.register_structure_hook(wanted, _strict(wanted, name))
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, str], _texts)
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, object], _strict(dict, "a mapping"))
    for modes in (
        FloatingIpMode,
        PortCreationMode,
        Loss,
        EncryptedVolumes,
        PowerState,
    ):  # by name: cattrs would take them for the text that they also are
        converter.register_structure_hook(modes, _mode)
        converter.register_unstructure_hook(modes, lambda mode: mode.value)
    converter.register_structure_hook_func(lambda kind: kind == bool | str | None, _flag_or_text)
    converter.register_structure_hook_factory(lambda kind: getattr(kind, "__origin__", None) is tuple, _tuple_of)
    converter.register_structure_hook_factory(dataclasses.is_dataclass, _reader_of)
    converter.register_unstructure_hook_factory(dataclasses.is_dataclass, _writer_of)
    return converter


_converter = _make_converter()
