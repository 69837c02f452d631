"""Read the settings: one YAML file with the variables of OS Migrate, and what the command line overrides.

The file may be the one that Ansible reads: other keys in it are left alone, simple templates are filled in
(`templates`). A name that begins with `os_migrate_` and isn't one of ours is refused: it is a slip of the pen more
often than not.
"""

import dataclasses
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from os_migrate.errors import PlanError, Problem
from os_migrate.files import marked
from os_migrate.files.marked import BadValueError, Document, Tagged
from os_migrate.files.templates import Templates
from os_migrate.files.variables import (
    FOR_OTHERS,
    VARIABLES,
    Variable,
    mapping,
    name_filter,
    optional_text,
    order,
    path,
    text,
    texts,
)
from os_migrate.settings import CloudSettings, Settings

DEFAULT_FILE: Final = Path("os-migrate.yml")
FILE_VARIABLE: Final = "OS_MIGRATE_SETTINGS"
PREFIX: Final = "os_migrate_"
WRITTEN: Final = "# Written by the prelude of OS Migrate's playbooks, from their variables. Each run writes it anew.\n"
"""How a file begins whose values Ansible has filled in already: what still looks like a template there is meant as it stands."""

MAPPING_FILE: Final = "mapping.yml"

_AS_TYPED: Final = {text, optional_text, order, path}
_STRUCTURED: Final = {mapping, name_filter, texts}


def find_file(given: Path | None, environment: Mapping[str, str], data_dir: str | None = None) -> Path | None:
    """Return the settings file: the one given, that of OS_MIGRATE_SETTINGS, os-migrate.yml in this directory, or in the data dir given."""
    if given is not None:
        return given
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    places = [Path(), *([Path(data_dir).expanduser()] if data_dir is not None else [])]
    return next((place / DEFAULT_FILE for place in places if (place / DEFAULT_FILE).is_file()), None)


def load_settings(
    file: Path | None,
    overrides: Mapping[str, str],
    environment: Mapping[str, str] = os.environ,
    *,
    given_by: str = "--set",
) -> Settings:
    """Read the settings from `file` (None: only the overrides), with `overrides` (name to text, `given_by` this) on top.

    A relative data dir counts from the file it is written in, other relative paths from the data dir.

    Raises:
        PlanError: with every problem, each with its line.
    """
    problems: list[Problem] = []
    document = marked.read(file, absent="name it with --settings") if file is not None else Document("", None)
    values = _top(document)
    where = {name: document.where((name,)) for name in values if name.startswith(PREFIX)}
    for name, typed in overrides.items():
        if name in VARIABLES and VARIABLES[name].private:
            problems.append(_not_here(name))
            continue
        where[name] = f"{given_by} {name}"
        values[name] = _typed(name, typed, where[name])
    base = file.parent if file is not None and "os_migrate_data_dir" not in overrides else Path()
    fills = file is None or not file.read_text(encoding="utf-8").startswith(WRITTEN)
    return read_settings(values, where, base, environment, file=file, problems=problems, fills=fills)


def read_settings(
    values: Mapping[str, object],
    where: Mapping[str, str],
    base: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    file: Path | None = None,
    problems: Sequence[Problem] = (),
    fills: bool = True,
) -> Settings:
    """Read variables that came from somewhere: `where` says of each of ours from where, `base` what a relative data dir counts from.

    Templates are filled in, unless somebody did so before.

    Raises:
        PlanError: with every problem, those found before among them.
    """
    found = list(problems)
    templates = Templates(values, environment)
    sections: dict[str, dict[str, Any]] = {}
    for name, place in where.items():
        variable = VARIABLES.get(name)
        if name in FOR_OTHERS:
            continue
        if variable is None:
            found.append(Problem(place, f"there is no variable {name}", _nearest(name)))
            continue
        try:
            _fill(sections, variable, templates.fill(values[name]) if fills else values[name])
        except BadValueError as error:
            found.append(Problem(place, f"{name} {error}", "see docs/settings.md"))
    if "data_dir" not in sections.get("", {}) and not any("os_migrate_data_dir" in p.what for p in found):
        found.append(_no_data_dir(file))
    found += _addresses_of_several(sections, where)
    if found:
        raise PlanError(found)
    return _settings(sections, base)


def _top(document: Document) -> dict[str, object]:
    value = document.value()
    if value is None:
        return {}
    if not isinstance(value, dict):
        remedy = "it must hold lines of `os_migrate_...: value`"
        problem = Problem(document.where(()), "this is no settings file", remedy)
        raise PlanError([problem])
    return value


def _typed(name: str, typed: str, where: str) -> object:
    """Return an override as YAML would have it; what is text anyway is taken as it stands."""
    variable = VARIABLES.get(name)
    if variable is None or variable.read not in _STRUCTURED:
        return typed
    return marked.parse(typed, where).value()


def _fill(sections: dict[str, dict[str, Any]], variable: Variable, value: object) -> None:
    if value is None:  # not set, as Ansible's null
        return
    if isinstance(value, Tagged):
        raise BadValueError(f"is {value}: that can't be read here")
    sections.setdefault(variable.section, {})[variable.field] = variable.read(value)


def _not_here(name: str) -> Problem:
    what = f"{name} may hold a secret, and every user of this machine can read a command line"
    remedy = "put it into the settings file"
    if name.endswith("_auth"):
        remedy += ", or the cloud into clouds.yaml; a password that was given here is to be changed"
    return Problem(f"--set {name}", what, remedy)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, VARIABLES, n=1)
    return f"did you mean {near[0]}?" if near else "see docs/settings.md"


def _addresses_of_several(sections: Mapping[str, dict[str, Any]], where: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what one address can't be for: several hosts."""
    if sections.get("conversion", {}).get("pairs", 1) == 1:
        return
    for side, section in (("src", "source_host"), ("dst", "destination_host")):
        if sections.get(section, {}).get("floating_ip_address"):
            name = f"os_migrate_{side}_conversion_floating_ip_address"
            what = f"{name} is the address of one host, and there are several pairs"
            yield Problem(where[name], what, "unset it, or set os_migrate_conversion_host_pairs to 1")


def _no_data_dir(file: Path | None) -> Problem:
    where = str(file) if file is not None else "settings"
    remedy = "set it in the settings file, or give --data-dir: one directory for each source project"
    if file is None:
        remedy += "; no settings file was found (--settings, OS_MIGRATE_SETTINGS, ./os-migrate.yml)"
    return Problem(where, "os_migrate_data_dir is not set", remedy)


def _settings(sections: Mapping[str, dict[str, Any]], base: Path) -> Settings:
    top = sections[""]
    data_dir: Path = (base / top["data_dir"]).absolute()
    empty = Settings(data_dir=data_dir)
    clouds = data_dir / top["clouds_path"] if "clouds_path" in top else data_dir / "clouds.yaml"
    mapping_file = data_dir / top.get("mapping_file", MAPPING_FILE)
    conversion = dataclasses.replace(empty.conversion, **sections.get("conversion", {}))
    images = dataclasses.replace(empty.images, **sections.get("images", {}))
    return Settings(
        data_dir=data_dir,
        # Without the variable and without that file, openstacksdk looks where the openstack command does.
        clouds_path=clouds if "clouds_path" in top or clouds.is_file() else None,
        mapping_file=mapping_file if "mapping_file" in top or mapping_file.exists() else None,
        source=_cloud(empty.source, sections.get("source", {})),
        destination=_cloud(empty.destination, sections.get("destination", {})),
        source_host=dataclasses.replace(empty.source_host, **sections.get("source_host", {})),
        destination_host=dataclasses.replace(empty.destination_host, **sections.get("destination_host", {})),
        conversion=dataclasses.replace(
            conversion,
            keypair_private_path=data_dir / conversion.keypair_private_path,
            link_keypair_private_path=data_dir / conversion.link_keypair_private_path,
            known_hosts_path=data_dir / conversion.known_hosts_path,
        ),
        workloads=dataclasses.replace(empty.workloads, **sections.get("workloads", {})),
        transfer=dataclasses.replace(empty.transfer, **sections.get("transfer", {})),
        images=dataclasses.replace(images, blobs_dir=data_dir / images.blobs_dir),
        filters=sections.get("filters", {}),
        validate_files=top.get("validate_files", True),
        api_calls_parallel=top.get("api_calls_parallel", empty.api_calls_parallel),
    )


def _cloud(default: CloudSettings, given: dict[str, Any]) -> CloudSettings:
    """Return the settings of a cloud; with auth variables there need be no clouds.yaml, unless it is named too."""
    if "auth" in given and "cloud" not in given:
        given = {**given, "cloud": None}
    return dataclasses.replace(default, **given)
