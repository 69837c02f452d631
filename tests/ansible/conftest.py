"""What the collection's tests share: where it is, modules run in this process, playbooks run in one of their own."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ansible.module_utils import basic

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "ansible_collections/os_migrate/os_migrate"
PLUGINS = "ansible_collections.os_migrate.os_migrate.plugins"


def constant(file: str, name: str) -> dict[str, object]:
    """Return what a plugin says of itself."""
    tree = ast.parse((COLLECTION / f"plugins/{file}.py").read_text())
    (value,) = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name
    ]
    return yaml.safe_load(value)


def documented(name: str) -> dict[str, dict[str, object]]:
    """Return the options of a module, those of its fragments among them."""
    documentation = constant(f"modules/{name}", "DOCUMENTATION")
    options: dict[str, dict[str, object]] = dict(documentation.get("options", {}))
    for fragment in documentation["extends_documentation_fragment"]:
        for option, said in constant(f"doc_fragments/{fragment.rpartition('.')[2]}", "DOCUMENTATION")[
            "options"
        ].items():
            options.setdefault(option, said)
    return options


class Module:
    """Runs modules as Ansible does, but in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, name: str, /, **options: object) -> dict[str, object]:
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        self._monkeypatch.setattr(basic, "_ANSIBLE_ARGS", arguments)
        self._monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        self._capsys.readouterr()
        with pytest.raises(SystemExit):
            import_module(f"{PLUGINS}.modules.{name}").main()
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def module(monkeypatch, capsys) -> Module:
    return Module(monkeypatch, capsys)


@dataclass(frozen=True)
class Played:
    """How a playbook ended."""

    rc: int
    out: str

    @property
    def changed(self) -> int:
        (recap,) = [line for line in self.out.splitlines() if line.startswith("localhost") and "changed=" in line]
        return int(recap.partition("changed=")[2].split()[0])


class Playbook:
    """Runs playbooks on this machine, with the collection as it is here."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.variables: dict[str, object] = {}

    def __call__(self, play: dict[str, object] | str, *words: str) -> Played:
        inventory = self._directory / "inventory.yml"
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {"migrator": {"hosts": {"localhost": host}, "vars": self.variables}}
        inventory.write_text(yaml.safe_dump(groups))
        if isinstance(play, str):
            file = COLLECTION / f"playbooks/{play}.yml"
        else:
            file = self._directory / "play.yml"
            file.write_text(yaml.safe_dump([{"hosts": "migrator", "gather_facts": False, **play}], sort_keys=False))
        ansible = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT), "ANSIBLE_LOCAL_TEMP": str(self._directory / "tmp")}
        environment = {**os.environ, **ansible, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "ANSIBLE_NOCOLOR": "1"}
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(file), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return Played(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def play(tmp_path) -> Playbook:
    return Playbook(tmp_path)
