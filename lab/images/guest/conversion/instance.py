"""Stand-in for cloud-init: make this guest the instance that the cloud's metadata service describes.

instance.py configure    before sshd starts: name, SSH keys, host key, files
instance.py run          after that, once per instance: the script or the commands of the user data

User data is a script ("#!...") or "#cloud-config" followed by JSON, which is YAML. Its keys, as cloud-init has them:

    ssh_keys                {"ed25519_private": ..., "ed25519_public": ...}
    ssh_authorized_keys     [LINE, ...]
    write_files             [{"path": ..., "content": ..., "permissions": "0644", "owner": "user:group"}, ...]
    runcmd                  [COMMAND LINE or [WORD, ...], ...]
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

METADATA = "http://169.254.169.254/openstack/latest"
USERS = ("root", "cloud-user")
HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
STATE = Path("/var/lib/lab-instance")
USER_DATA_LOG = Path("/var/log/user-data.log")
# The metadata service answers late while the cloud is busy. Only a 404 means that there is nothing.
PATIENCE_S = 240
NOT_FOUND = 404


def fetch(name: str) -> bytes | None:
    """Return a file of the metadata service, or None if it has none or can't be reached in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{METADATA}/{name}", timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return None
        except OSError:
            pass
        time.sleep(0.5)
    return None


def cloud_config(user_data: str) -> dict[str, Any]:
    """Return the settings in the user data, or none if it is of another kind or not JSON."""
    head, _, body = user_data.partition("\n")
    if head.strip() != "#cloud-config":
        return {}
    try:
        settings = json.loads(body)
    except ValueError as error:
        say(f"user data: only JSON is understood after #cloud-config: {error}")
        return {}
    return settings if isinstance(settings, dict) else {}


def authorize(keys: list[str]) -> None:
    """Let the owners of these keys log in."""
    text = "".join(f"{key.strip()}\n" for key in keys if key.strip())
    for name in USERS:
        user = pwd.getpwnam(name)
        folder = Path(user.pw_dir, ".ssh")
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
        write(folder / "authorized_keys", text, 0o600, name)


def install_host_key(keys: dict[str, str], *, is_new: bool) -> None:
    """Install the host key of the user data, or have a new instance make one."""
    public = HOST_KEY.with_suffix(".pub")
    if "ed25519_private" in keys:
        write(HOST_KEY, keys["ed25519_private"].strip() + "\n", 0o600)
        if "ed25519_public" in keys:
            write(public, keys["ed25519_public"].strip() + "\n", 0o644)
    elif is_new or not HOST_KEY.exists():
        HOST_KEY.unlink(missing_ok=True)
        public.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(HOST_KEY)], check=True)


def write(path: Path, text: str, mode: int, owner: str = "root") -> None:
    """Write a file with a mode, and an owner given as USER or USER:GROUP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    user, _, group = owner.partition(":")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    path.chmod(mode)
    shutil.chown(path, user or "root", group or pwd.getpwnam(user or "root").pw_gid)


def configure() -> None:
    """Do what has to be done before anyone logs in."""
    metadata = json.loads(fetch("meta_data.json") or b"{}")
    user_data = (fetch("user_data") or b"").decode(errors="replace") if metadata else ""
    settings = cloud_config(user_data)
    STATE.mkdir(mode=0o700, exist_ok=True)
    known = STATE / "id"
    instance_id = metadata.get("uuid", "")
    is_new = bool(instance_id) and (not known.exists() or known.read_text() != instance_id)
    if metadata.get("hostname"):
        name = metadata["hostname"].partition(".")[0]
        Path("/proc/sys/kernel/hostname").write_text(name)
        Path("/etc/hostname").write_text(f"{name}\n")
        Path("/etc/hosts").write_text(f"127.0.0.1 localhost {name}\n")
    if metadata:
        authorize([*metadata.get("public_keys", {}).values(), *settings.get("ssh_authorized_keys", [])])
    install_host_key(settings.get("ssh_keys", {}), is_new=is_new)
    if is_new:
        for file in settings.get("write_files", []):
            mode = int(str(file.get("permissions", "0644")), 8)
            write(Path(file["path"]), file.get("content", ""), mode, file.get("owner", "root"))
        write(STATE / "user-data", user_data, 0o700)
        (STATE / "pending").touch()
        known.write_text(instance_id)
    say(f"configured {Path('/proc/uptime').read_text().split()[0]} s after boot")


def run() -> None:
    """Run the script or the commands of the user data, once per instance."""
    pending = STATE / "pending"
    if not pending.exists():
        return
    pending.unlink()
    script = STATE / "user-data"
    user_data = script.read_text()
    commands: list[Any] = cloud_config(user_data).get("runcmd", [])
    if user_data.startswith("#!"):
        commands = [[str(script)]]
    with USER_DATA_LOG.open("ab") as log:
        for command in commands:
            argv = ["/bin/sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
            try:
                subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                say(f"user data: {error}")


def say(message: str) -> None:
    """Write to the console, which Nova shows."""
    with Path("/dev/console").open("w") as console:
        console.write(f"lab-instance: {message}\n")


if __name__ == "__main__":
    {"configure": configure, "run": run}[sys.argv[1]]()
