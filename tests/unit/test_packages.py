"""What a conversion host lacks, how it gets it, and its line for the link."""

import pytest

from os_migrate.hosts.packages import REQUIRED, HostFacts, install_commands
from os_migrate.hosts.remote import with_link_key

LINK = "ssh-ed25519 AAAAlink somebody@somewhere"


def facts(os_id, os_like=(), os_version="12", tools=()):
    return HostFacts(os_id, tuple(os_like), os_version, "3.11.2", tuple(tools))


def test_tool_without_a_version_is_missing():
    tools = [(name, "1.0") for name in REQUIRED if name != "nbdcopy"]
    assert facts("debian", tools=[*tools, ("nbdcopy", None)]).missing == ("nbdcopy",)


def test_tools_that_can_be_done_without_are_not_missed():
    assert facts("debian", tools=[*((name, "1.0") for name in REQUIRED), ("partclone", None)]).missing == ()


@pytest.mark.parametrize(
    ("os_id", "os_like", "version", "program", "package"),
    [
        ("debian", (), "12", "apt-get", "libnbd-bin"),
        ("ubuntu", ("debian",), "22.04", "apt-get", "libnbd-bin"),
        ("rhel", ("fedora",), "9.4", "dnf", "nbdkit-basic-filters"),
        ("rocky", ("rhel", "centos", "fedora"), "8.9", "dnf", "libnbd"),
        ("fedora", (), "40", "dnf", "libnbd"),
        ("centos", ("rhel", "fedora"), "7", "yum", "libnbd"),
    ],
)
def test_every_family_installs_with_its_own_program(os_id, os_like, version, program, package):
    command = install_commands(facts(os_id, os_like, version))[-1]
    assert command[0] == program
    assert package in command


def test_unknown_family_has_no_commands():
    assert install_commands(facts("plan9")) == ()


def test_link_key_is_added_once_restricted_and_without_its_comment():
    text = with_link_key("ssh-rsa AAAAother me\n", LINK, "192.0.2.7/32")
    assert text.splitlines() == [
        "ssh-rsa AAAAother me",
        'restrict,port-forwarding,command="echo $SSH_CONNECTION",from="192.0.2.7/32" ssh-ed25519 AAAAlink os-migrate-link',
    ]
    assert with_link_key(text, LINK, "192.0.2.7/32") == text


def test_older_link_key_is_replaced_and_others_stay():
    text = with_link_key(with_link_key("# mine\nssh-rsa AAAAother me\n", "ssh-ed25519 AAAAold x", None), LINK, None)
    assert "AAAAold" not in text
    assert text.startswith("# mine\nssh-rsa AAAAother me\n")


def test_last_line_without_an_end_is_not_joined():
    assert with_link_key("ssh-rsa AAAAother me", LINK, None).splitlines()[0] == "ssh-rsa AAAAother me"


def test_versions_name_the_system_python_and_the_tools_that_are_there():
    found = facts("debian", tools=[("nbdkit", "1.32.5"), ("partclone", None)]).versions
    assert found == (("system", "debian 12"), ("python", "3.11.2"), ("nbdkit", "1.32.5"))
