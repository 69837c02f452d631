"""JSON files that carry the digest of what they say, so that a later edit shows.

    {"a": 1, "digest": "sha256:..."}      the digest is over the canonical JSON of everything else

It is a seal against mistakes and quiet edits, no signature: whoever knows how can seal a file anew.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from os_migrate.errors import UserError

DIGEST: Final = "digest"


def sealed(content: Mapping[str, object]) -> str:
    """Return content as the text of a file, with its digest as the last key."""
    plain = _plain(content)
    assert isinstance(plain, dict), "a mapping stays one"
    return json.dumps({**plain, DIGEST: digest_of(plain)}, indent=2, ensure_ascii=False) + "\n"


def digest_of(content: Mapping[str, object]) -> str:
    """Return the digest of content: sorted keys, no spaces, UTF-8. `jq -jcS 'del(.digest)' FILE | sha256sum` does the same."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def read_sealed(file: Path) -> dict[str, Any]:
    """Return what a file says, without its digest.

    Raises:
        UserError: it can't be read, has no digest, or was edited since it was written.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"can't read {file}: {why}", remedy="take it from a backup") from None
    said = content.pop(DIGEST, None) if isinstance(content, dict) else None
    if said is None:
        raise UserError(f"{file} carries no digest", remedy="it was written by an older version, or it is another file")
    if said != digest_of(content):
        raise UserError(
            f"{file} was edited since it was written: its digest isn't that of what it says",
            remedy="take it from a backup; what it says now proves nothing",
        )
    return dict(content)


def _plain(value: object) -> object:
    """Return a value as it comes back from a file; a whole float as an integer, since other tools write it so."""
    match value:
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
