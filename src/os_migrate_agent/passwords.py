"""Logging in by password: off, but for one user where the operator asks for it.

A block of ours at the end of sshd's configuration lets that user in: what a `Match` says goes before what stands above it, also before
what cloud images say there. Source: sshd_config(5), Match.
"""

import ctypes
import os
import re
import shutil
from typing import Optional

from os_migrate_agent.files import NEW, Json, write_text
from os_migrate_agent.process import AgentError, run

SSHD_CONFIG = "/etc/ssh/sshd_config"
SHADOW = "/etc/shadow"
UNITS = ("ssh.service", "sshd.service")
BEGIN, END = "# os-migrate: begin of password access", "# os-migrate: end of password access"


def verb_password(request: Json) -> Json:
    """Let a user in by a password (null: no longer), and say whether that changed anything; in a dry run, whether it would."""
    user, password = request["user"], request["password"]
    if password is not None and ("\n" in password or "\0" in password):
        raise AgentError("a password is one line")
    with open(SSHD_CONFIG, encoding="utf-8") as file:
        old = file.read()
    new = with_access(old, None if password is None else user)
    set_it = password is not None and not is_password(user, password)
    if not request["dry_run"]:
        if set_it:
            run(["chpasswd"], stdin=f"{user}:{password}\n")
        if new != old:
            _configure(new)
    return {"changed": set_it or new != old}


def with_access(config: str, user: Optional[str]) -> str:
    """Return sshd's configuration with our block for a user, or without any."""
    rest = re.sub(f"\n?{BEGIN}\n.*?{END}\n", "", config, flags=re.DOTALL)
    if user is None:
        return rest
    return f"{rest}\n{BEGIN}\nMatch User {user}\n    PasswordAuthentication yes\n{END}\n"


def is_password(user: str, password: str) -> bool:
    """Say whether that is a user's password; where this host's libcrypt can't be asked, it isn't."""
    with open(SHADOW, encoding="utf-8") as file:
        known = [line.split(":")[1] for line in file if line.startswith(user + ":")]
    if not known:
        raise AgentError(f"there is no user {user}")
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            crypt = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        crypt.argtypes, crypt.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
        return bool(known[0]) and crypt(password.encode(), known[0].encode()) == known[0].encode()
    return False


def _configure(config: str) -> None:
    """Replace sshd's configuration, if sshd takes it, and let sshd read it."""
    new = SSHD_CONFIG + NEW
    write_text(new, config)
    try:
        run([shutil.which("sshd") or "/usr/sbin/sshd", "-t", "-f", new])  # it wants its whole path
        shutil.copymode(SSHD_CONFIG, new)
        os.rename(new, SSHD_CONFIG)
    finally:
        if os.path.exists(new):
            os.unlink(new)
    for unit in UNITS:
        if run(["systemctl", "is-active", unit], check=False).strip() == "active":
            run(["systemctl", "reload", unit])
            return
