"""Trees of Debian packages, which become root filesystems of containers and guests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.process import run
from lab.settings import DEBIAN_SUITE

# Nothing in a container or a guest reads these, and to unpack them takes time.
_NEVER_READ = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
)
_POLICY_NO_SERVICES = "#!/bin/sh\nexit 101\n"
_HOOKS = Path("/usr/share/mmdebstrap/hooks")


def apt_sources() -> list[Path]:
    """Return the machine's own apt sources that serve the lab's suite: trees are built from the same mirrors."""
    folder = Path("/etc/apt")
    candidates = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    sources = [
        path
        for path in candidates
        if path.suffix in {".list", ".sources"} and path.is_file() and DEBIAN_SUITE in path.read_text()
    ]
    if not sources:
        raise UsageError(f"no apt source of Debian {DEBIAN_SUITE} in {folder}: the lab runs on Debian 12")
    return sources


def bootstrap(
    tree: Path, packages: Sequence[str], *, log: Path, exclude: Sequence[str] = (), variant: str = "minbase"
) -> None:
    """Fill `tree` with a Debian that holds `packages`, without the files that match `exclude`.

    All goes in one pass of apt under eatmydata, which takes half the time of debootstrap followed by apt-get. No service
    is started, and /usr/bin/py3compile is left out: modules are compiled at once afterwards, by `compile_python`.
    """
    excluded = (*_NEVER_READ, "/usr/bin/py3compile", *exclude)
    options = log.with_suffix(".apt.conf")
    options.write_text(_apt_options())
    policy = log.with_suffix(".policy")
    policy.write_text(_POLICY_NO_SERVICES)
    policy.chmod(0o755)
    run(
        [
            # Its own namespaces: a build that is killed leaves neither processes nor mounts.
            *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory", "--skip=check/empty"),
            f"--hook-dir={_HOOKS / 'eatmydata'}",
            f"--aptopt={options}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in excluded),
            *("--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold"),
            f"--essential-hook=copy-in {policy} /usr/sbin",
            f'--essential-hook=mv "$1/usr/sbin/{policy.name}" "$1/usr/sbin/policy-rc.d"',
            f"--include={','.join(packages)}",
            DEBIAN_SUITE,
            tree,
            *apt_sources(),
        ],
        log=log,
    )


def _apt_options() -> str:
    """Return how the machine's apt reaches its mirrors, and how little is to be installed."""
    kept = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries")
    dump = run(["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', "Acquire"])
    lines = [line for line in dump.splitlines() if line.startswith(kept)]
    return "\n".join([*lines, 'Acquire::Languages "none";', 'APT::Install-Recommends "false";', ""])


def compile_python(tree: Path) -> None:
    """Compile every installed Python module in `tree`."""
    # A few packages ship modules for other versions of Python: those don't compile, and compileall says so by its exit code.
    compile_all = "import compileall; compileall.compile_dir('/usr/lib/python3/dist-packages', quiet=2, workers=2)"
    run(["chroot", tree, "/usr/bin/python3", "-c", compile_all])
