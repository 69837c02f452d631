"""The agent as it is put on a host: one file, under a name that has its digest in it, so that two versions don't meet."""

import hashlib
import io
import shlex
import zipfile
from importlib import resources
from typing import Final

from os_migrate.nbd import RUN_DIR
from os_migrate.units import PYTHON

PACKAGE: Final = "os_migrate_agent"


def _sources() -> dict[str, bytes]:
    """Return the agent's modules, and what starts them, by their names in the archive."""
    there = sorted(resources.files(PACKAGE).iterdir(), key=lambda file: file.name)
    modules = {f"{PACKAGE}/{file.name}": file.read_bytes() for file in there if file.name.endswith(".py")}
    return {"__main__.py": modules[f"{PACKAGE}/__main__.py"], **modules}


def _packed(sources: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sources.items():
            archive.writestr(name, text)
    return packed.getvalue()


_SOURCES = _sources()

ARCHIVE: Final = _packed(_SOURCES)
"""What is sent to a host."""

AGENT_PATH: Final = f"{RUN_DIR}/agent-{hashlib.sha256(repr(_SOURCES).encode()).hexdigest()[:12]}.zip"
"""Where it is there: as the host's own Python has compiled it, which saves a third of every start."""

_COMPILE = f"""\
import io, sys, zipfile
new = sys.argv[1]
zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).extractall(new)
with zipfile.PyZipFile(new + "/agent.zip", "w") as compiled:
    compiled.writepy(new + "/{PACKAGE}")
    compiled.writepy(new + "/__main__.py")
"""

PUT: Final = " && ".join(
    (
        f"umask 077 && mkdir -p {RUN_DIR} && chmod 711 {RUN_DIR} && new=$(mktemp -d {RUN_DIR}/new.XXXXXXXX)",
        f"{shlex.join([*PYTHON, '-c', _COMPILE])} $new",
        f"mv $new/agent.zip {AGENT_PATH} && rm -r $new",
    )
)
"""The shell script that makes the one of the other, which comes on stdin. Others may be about to do the same."""
