"""The tools of this host."""

import subprocess
from typing import List, Optional

TAIL = 2000  # characters of a tool's last words


class AgentError(Exception):
    """Say what failed; the caller adds the host's name and the remedy."""


def run(argv: List[str], *, check: bool = True, timeout_s: Optional[float] = None, stdin: str = "") -> str:
    """Run a tool and return what it said on stdout."""
    try:
        done = subprocess.run(
            argv,
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise AgentError(argv[0] + " is not installed") from None
    except subprocess.TimeoutExpired:
        raise AgentError(f"{argv[0]} took longer than {timeout_s or 0:g} s") from None
    if check and done.returncode != 0:
        raise AgentError(f"{argv[0]} ended with {done.returncode}: {tail(done.stderr)}")
    return done.stdout.decode("utf-8", "replace")


def tail(output: bytes) -> str:
    """Return a tool's last words."""
    return output.decode("utf-8", "replace").strip()[-TAIL:]
