"""Write small files so that a reader, also one after a power loss, finds the old content or the new, never a part."""

import os
import tempfile
from pathlib import Path

from os_migrate.errors import UserError


def write_atomically(file: Path, text: str) -> None:
    """Replace a file's content at once and durably: readers see the old or the new, also after a power loss.

    Raises:
        UserError: the directory can't be written, or is full; the old file is as it was.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as temporary:
                temporary.write(text)
                temporary.flush()
                os.fsync(temporary.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        remedy = "check the directory's permissions and its free space"
        raise UserError(f"can't write {file}: {error.strerror}", remedy=remedy) from None
