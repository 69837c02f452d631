# No module of a package; and pathlib, like urllib and subprocess, takes a guest under emulation seconds to import.
# ruff: noqa: INP001, PTH103, PTH108, PTH110, PTH120, PTH123
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
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METADATA_HOST = "169.254.169.254"
METADATA_PATH = "/openstack/latest"
USERS = ("root", "cloud-user")
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
STATE = "/var/lib/lab-instance"
USER_DATA_LOG = "/var/log/user-data.log"
# The metadata service answers late while the cloud is busy. Only a 404 means that there is nothing.
PATIENCE_S = 240
FOUND, NOT_FOUND = 200, 404


def fetch(name: str) -> str:
    """Return a file of the metadata service, or nothing if it has none or can't be reached in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            status, body = get(f"{METADATA_PATH}/{name}")
        except (OSError, ValueError):
            status, body = 0, ""
        if status == FOUND:
            return body
        if status == NOT_FOUND:
            return ""
        time.sleep(0.5)
    return ""


def get(path: str) -> tuple[int, str]:
    """Return status and body of one HTTP request; raise ValueError if the answer is cut short."""
    with socket.create_connection((METADATA_HOST, 80), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {METADATA_HOST}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().lower().split("\r\n")
    for field in fields:
        if field.startswith("content-length:") and int(field.partition(":")[2]) != len(body):
            raise ValueError(f"{path}: {len(body)} bytes where the answer's {field}")
    return int(status.split()[1]), body.decode(errors="replace")


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
        folder = f"{user.pw_dir}/.ssh"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
        write(f"{folder}/authorized_keys", text, 0o600, name)


def install_host_key(keys: dict[str, str], *, is_new: bool) -> None:
    """Install the host key of the user data, or have a new instance make one."""
    public = f"{HOST_KEY}.pub"
    if "ed25519_private" in keys:
        write(HOST_KEY, keys["ed25519_private"].strip() + "\n", 0o600)
        if "ed25519_public" in keys:
            write(public, keys["ed25519_public"].strip() + "\n", 0o644)
    elif is_new or not os.path.exists(HOST_KEY):
        for path in (HOST_KEY, public):
            if os.path.exists(path):
                os.unlink(path)
        os.spawnvp(os.P_WAIT, "ssh-keygen", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY])


def write(path: str, text: str, mode: int = 0o644, owner: str = "root") -> None:
    """Write a file with a mode, and an owner given as USER or USER:GROUP."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    user, _, group = owner.partition(":")
    account = pwd.getpwnam(user or "root")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), account.pw_uid, group_id(group) if group else account.pw_gid)


def group_id(name: str) -> int:
    """Return the number of a group."""
    import grp  # noqa: PLC0415 (rarely needed)

    return grp.getgrnam(name).gr_gid


def read(path: str) -> str:
    """Return a file's text, or nothing if there is no such file."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def configure() -> None:
    """Do what has to be done before anyone logs in."""
    metadata = json.loads(fetch("meta_data.json") or "{}")
    user_data = fetch("user_data") if metadata else ""
    settings = cloud_config(user_data)
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    instance_id = metadata.get("uuid", "")
    is_new = bool(instance_id) and read(f"{STATE}/id") != instance_id
    if metadata.get("hostname"):
        name = metadata["hostname"].partition(".")[0]
        socket.sethostname(name)
        write("/etc/hostname", f"{name}\n")
        write("/etc/hosts", f"127.0.0.1 localhost {name}\n")
    if metadata:
        authorize([*metadata.get("public_keys", {}).values(), *settings.get("ssh_authorized_keys", [])])
    install_host_key(settings.get("ssh_keys", {}), is_new=is_new)
    if is_new:
        for file in settings.get("write_files", []):
            mode = int(str(file.get("permissions", "0644")), 8)
            write(file["path"], file.get("content", ""), mode, file.get("owner", "root"))
        write(f"{STATE}/user-data", user_data, 0o700)
        write(f"{STATE}/pending", "")
        write(f"{STATE}/id", instance_id)
    say("configured")


def run() -> None:
    """Run the script or the commands of the user data, once per instance."""
    import subprocess  # noqa: PLC0415 (see the first lines)

    pending, script = f"{STATE}/pending", f"{STATE}/user-data"
    if not os.path.exists(pending):
        return
    os.unlink(pending)
    user_data = read(script)
    commands: list[Any] = cloud_config(user_data).get("runcmd", [])
    if user_data.startswith("#!"):
        commands = [[script]]
    with open(USER_DATA_LOG, "ab") as log:
        for command in commands:
            argv = ["/bin/sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
            try:
                subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                say(f"user data: {error}")


def say(message: str) -> None:
    """Write to the console, which Nova shows."""
    uptime_s = read("/proc/uptime").split()[0]
    with open("/dev/console", "w") as console:
        console.write(f"lab-instance: {message}, {uptime_s} s after boot\n")


if __name__ == "__main__":
    {"configure": configure, "run": run}[sys.argv[1]]()
