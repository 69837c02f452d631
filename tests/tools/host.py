"""Be a conversion host: process 1 of its own mount and process namespaces, with a real sshd and the stand-in for systemd.

    unshare --mount --pid --fork --kill-child --mount-proc python3 host.py DIRECTORY

/run is its own, /etc is an overlay with one more user, /dev/disk/by-id is DIRECTORY/by-id. When it ends, so does all in it.
"""

import os
import subprocess
import sys
from pathlib import Path

USER, UID = "migrator", 4711

here = Path(sys.argv[1])


def mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
layers = f"lowerdir=/etc,upperdir={here}/etc,workdir={here}/work"
mount("-t", "overlay", "-o", layers, "overlay", "/etc")
mount("--bind", str(here / "by-id"), "/dev/disk/by-id")

tools = here / "bin"
tools.mkdir()
for name in ("systemd-run", "systemctl", "journalctl"):
    (tools / name).write_text(
        f'#!/bin/sh\nexec /usr/bin/python3 {Path(__file__).with_name("standin.py")} {name} "$@"\n'
    )
    (tools / name).chmod(0o755)
path = f"{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

with Path("/etc/passwd").open("a") as file:
    file.write(f"{USER}:x:{UID}:{UID}::{here}/home:/bin/bash\n")
with Path("/etc/group").open("a") as file:
    file.write(f"{USER}:x:{UID}:\n")
with Path("/etc/shadow").open("a") as file:
    file.write(f"{USER}:*:19000:0:99999:7:::\n")
Path("/etc/sudoers").write_text(f'Defaults secure_path="{path}"\n{USER} ALL=(ALL) NOPASSWD: ALL\n')
for path_of_user in (here / "home", here / "home/.ssh", here / "home/.ssh/authorized_keys"):
    os.chown(path_of_user, UID, UID)
Path("/run/sshd").mkdir()
with (here / "sshd_config").open("a") as file:
    file.write(f"SetEnv PATH={path}\n")

sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(here / "sshd_config")])
while True:  # process 1 buries the orphans
    if os.wait()[0] == sshd.pid:
        sys.exit("sshd ended")
