"""Password access to a conversion host, as the agent sets it up: on files of a machine that isn't this one."""

import ctypes

import pytest

from os_migrate_agent import passwords
from os_migrate_agent.passwords import verb_password, with_access
from os_migrate_agent.process import AgentError

CONFIG = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\n"


def hashed(password: str) -> str:
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.argtypes, crypt.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    return crypt(password.encode(), b"$6$saltsalt$").decode()


class Machine:
    """What the agent finds on a machine; `ran` is what it ran, with what that got on stdin."""

    def __init__(self, directory, monkeypatch) -> None:
        self.config, self.shadow = directory / "sshd_config", directory / "shadow"
        self.config.write_text(CONFIG)
        self.config.chmod(0o644)
        self.shadow.write_text("root:*:1::::::\nuser:!:1::::::\n")
        self.ran: list[tuple[list[str], str]] = []
        self.refuses = ""
        monkeypatch.setattr(passwords, "SSHD_CONFIG", str(self.config))
        monkeypatch.setattr(passwords, "SHADOW", str(self.shadow))
        monkeypatch.setattr(passwords, "run", self.run)

    def run(self, argv, *, check=True, stdin=""):
        self.ran.append((argv, stdin))
        if argv[0] == "chpasswd":
            user, _, password = stdin.removesuffix("\n").partition(":")
            assert user == "user"
            self.shadow.write_text(f"root:*:1::::::\nuser:{hashed(password)}:1::::::\n")
        if argv[0].endswith("sshd") and self.refuses:
            raise AgentError(self.refuses)
        return "active\n" if argv[1:] == ["is-active", "sshd.service"] else "inactive\n"

    def allow(self, password, *, user="user", dry_run=False):
        self.ran.clear()
        return verb_password({"user": user, "password": password, "dry_run": dry_run})["changed"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_nothing_is_changed_where_nobody_asked(machine):
    assert machine.allow(None) is False
    assert machine.ran == []
    assert machine.config.read_text() == CONFIG


def test_the_user_alone_is_let_in_after_all_that_the_image_says(machine):
    assert machine.allow("geheim: ü") is True
    assert machine.config.read_text().startswith(CONFIG)
    assert "\nMatch User user\n    PasswordAuthentication yes\n" in machine.config.read_text().removeprefix(CONFIG)
    assert machine.config.stat().st_mode & 0o777 == 0o644
    assert machine.ran[-1][0] == ["systemctl", "reload", "sshd.service"]


def test_password_is_seen_in_no_command_line(machine):
    machine.allow("geheim")
    assert [argv for argv, stdin in machine.ran if "geheim" in stdin] == [["chpasswd"]]
    assert "geheim" not in repr([argv for argv, _ in machine.ran])
    assert "geheim" not in machine.config.read_text()


def test_the_same_again_changes_nothing_and_another_password_does(machine):
    machine.allow("geheim")
    assert machine.allow("geheim") is False
    assert machine.ran == []
    assert machine.allow("anders") is True
    assert [argv[0] for argv, _ in machine.ran] == ["chpasswd"]


def test_without_password_all_is_as_before(machine):
    machine.allow("geheim")
    assert machine.allow(None) is True
    assert machine.config.read_text() == CONFIG
    assert machine.allow(None) is False


def test_dry_run_tells_and_changes_nothing(machine):
    assert machine.allow("geheim", dry_run=True) is True
    assert machine.ran == []
    assert machine.config.read_text() == CONFIG


def test_configuration_that_sshd_refuses_is_not_left(machine):
    machine.refuses = "Bad configuration option"
    with pytest.raises(AgentError, match="Bad configuration"):
        machine.allow("geheim")
    assert machine.config.read_text() == CONFIG
    assert sorted(file.name for file in machine.config.parent.iterdir()) == ["shadow", "sshd_config"]


def test_a_second_line_is_no_password_and_a_stranger_no_user(machine):
    with pytest.raises(AgentError, match="one line"):
        machine.allow("geheim\nroot:geheim")
    with pytest.raises(AgentError, match="no user stranger"):
        machine.allow("geheim", user="stranger")
    assert machine.ran == []


def test_our_block_is_never_there_twice():
    once = with_access(CONFIG, "a")
    assert with_access(once, "a") == once
    assert with_access(once, "b") == once.replace("User a", "User b")
