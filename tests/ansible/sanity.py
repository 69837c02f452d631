"""Run `ansible-test sanity` on an installed collection: `python -m tests.ansible.sanity DIRECTORY HOME [WORD]...`.

Each of its tests wants an environment of its own, which ansible-test makes in the home directory with pip, and for that it gets pip from the
network and forgets what this machine's environment says of where packages are. So it is given a home, where pip's settings are a
file and its pip is the one that Python brings. The directory must be outside of any work tree: what git ignores it leaves out.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

PIP = "get_pip_24_2.py"
"""What ansible-core 2.18 calls the script that installs its pip."""

BOOTSTRAP = '''\
"""Install the pip that ansible-test wants with the one that Python brings."""
import subprocess, sys
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)  # in its own process: it forgets pip's settings
wanted = [word for word in sys.argv[1:] if word not in {"--no-setuptools", "--no-wheel"}]
subprocess.run([sys.executable, "-m", "pip", "install", "-q", *wanted], check=True)
'''


def furnish(home: Path) -> None:
    """Make a home with pip's settings, as they are here, and the script."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    pairs = [line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line]
    said = {name.rpartition(".")[2]: " ".join(str(ast.literal_eval(value)).split()) for name, value in pairs}
    settings = home / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in said.items()), ""]))
    settings.chmod(0o600)
    script = home / ".ansible/test/cache" / PIP
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOOTSTRAP)


def main(directory: str, home: str, *words: str) -> int:
    """Run the tests; return their exit code, 1 if they looked at nothing."""
    furnish(Path(home))
    tools = Path(sys.executable).parent
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(tools / "ansible-test"), "sanity", "--local", "--requirements", "--python", version, "--color", "no"]
    environment = {**os.environ, "HOME": str(Path(home).absolute()), "PATH": f"{tools}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [*command, *words], cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as done:
        assert done.stdout is not None, "it is a pipe"
        looked = False
        for line in done.stdout:
            looked |= line.startswith("Running sanity test")
            print(line, end="", flush=True)
    return done.returncode or int(not looked)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
