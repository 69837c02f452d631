"""What a playbook begins with: its variables become files, so that all modules and the command line have the same settings.

DATA_DIR/os-migrate.yml    the variables, without credentials
DATA_DIR/clouds.yaml       the clouds of which the variables have credentials, beside those that it has already
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from os_migrate import __version__
from os_migrate.door.call import Answer, Call
from os_migrate.door.settings import CLOUD_KEYS, path_of
from os_migrate.errors import UserError
from os_migrate.files import marked
from os_migrate.files.config import DEFAULT_FILE, WRITTEN, read_settings
from os_migrate.files.durable import write_atomically
from os_migrate.files.variables import FOR_OTHERS
from os_migrate.model import Side
from os_migrate.session import prepare_data_dir
from os_migrate.settings import CloudSettings, Settings

SECRETS: Final = ("_auth", "_password")
"""How the names of variables end that the settings' file has no business with."""

CLOUDS_FILE: Final = "clouds.yaml"


def write_settings(call: Call) -> Answer:
    """Write the settings and the clouds of a playbook's variables, for their owner only; in check mode too, since what follows reads them.

    Raises:
        PlanError: with everything that is wrong with the variables; nothing was written.
        UserError: there are settings that no playbook wrote, or the data dir can't be written.
    """
    data_dir = path_of(call.options["data_dir"])
    given = {**call.options.get("variables", {}), **call.options.get("secrets", {})}
    variables = {name: value for name, value in given.items() if name not in FOR_OTHERS}
    variables["os_migrate_data_dir"] = str(data_dir)
    settings = read_settings(variables, dict.fromkeys(variables, "the playbook"), Path(), fills=False)
    file, clouds_file = data_dir / DEFAULT_FILE, data_dir / CLOUDS_FILE
    clouds = {
        x: entry for x, cloud in (("src", settings.source), ("dst", settings.destination)) if (entry := _entry(cloud))
    }
    kept = {name: value for name, value in variables.items() if value is not None and not name.endswith(SECRETS)}
    kept["os_migrate_data_dir"] = "."
    if clouds:
        _refuse_two_files(settings, clouds_file, clouds)
        for name in ("os_migrate_clouds_path", *(f"os_migrate_{x}_cloud" for x in clouds)):
            kept.pop(name, None)
    before = _content(file)
    if before and not before.startswith(WRITTEN):
        raise UserError(
            f"{file} was not written by a playbook",
            remedy="move it away; its variables go into a playbook's variable file",
        )
    wanted = {file: WRITTEN + _yaml(kept)}
    if clouds:
        wanted[clouds_file] = _yaml({"clouds": {**_clouds_in(clouds_file), **clouds}})
    prepare_data_dir(data_dir)
    changed = [path for path, text in wanted.items() if _content(path) != text or path.stat().st_mode & 0o077]
    for path in changed:
        write_atomically(path, wanted[path])
    return {"changed": bool(changed), "files": [str(path) for path in wanted], "version": __version__}


def _entry(cloud: CloudSettings) -> dict[str, Any]:
    """Return what clouds.yaml says of a cloud, if there are credentials."""
    if not cloud.auth:
        return {}
    given = {key: getattr(cloud, field) for key, field in CLOUD_KEYS.items()}
    return {key: value for key, value in given.items() if value is not None}


def _refuse_two_files(settings: Settings, clouds_file: Path, clouds: Mapping[str, object]) -> None:
    """Raise UserError if one cloud is in a file of the operator's, and the other among the variables."""
    if settings.clouds_path not in {None, clouds_file} and len(clouds) < len(Side):
        (given,) = clouds
        raise UserError(
            f"os_migrate_{given}_auth is given, and the other cloud is in {settings.clouds_path}",
            remedy="put both clouds into that file, or give os_migrate_src_auth and os_migrate_dst_auth",
        )


def _clouds_in(file: Path) -> dict[str, object]:
    """Return the clouds that the data dir's file has already."""
    value = marked.parse(_content(file), str(file)).value()
    clouds = value.get("clouds") if isinstance(value, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _content(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _yaml(value: Mapping[str, object]) -> str:
    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, sort_keys=True, allow_unicode=True)
