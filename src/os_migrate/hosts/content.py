"""What a conversion host is filled with: the operator's hooks, the packages, password access; and the reboot after it.

A hook is the operator's own, and runs as root, as OS Migrate 1.0.x has it. What it changes, nobody knows, so it counts for nothing.
"""

from os_migrate.errors import HostError, UserError
from os_migrate.hosts.changes import Changes
from os_migrate.hosts.hosting import DeployableHost, HostingCloud
from os_migrate.hosts.packages import HostFacts
from os_migrate.model import ServerId
from os_migrate.settings import ConversionSettings, HostSettings
from os_migrate.world import Clock

REBOOT_TIMEOUT_S = 300.0
REBOOT_POLL_S = 3.0
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def refuse_access_without_password(conversion: ConversionSettings) -> None:
    """Refuse password access that nobody has given a password for: there is none that everybody knows."""
    if conversion.ssh_password_access and not conversion.ssh_password:
        raise UserError(
            "password access to the conversion hosts is on, and there is no password",
            remedy="set os_migrate_conversion_host_ssh_user_password, or "
            "os_migrate_conversion_host_ssh_user_enable_password_access to false",
        )


def fill(host: DeployableHost, conversion: ConversionSettings, wanted: HostSettings, changes: Changes) -> HostFacts:
    """Run the operator's hooks and install what is missing; return what the host has then."""
    if wanted.pre_content_hook:
        changes.tell("run the hook before the installation")
        host.run_script(wanted.pre_content_hook, as_root=True)
    facts = host.facts()
    if facts.missing and conversion.content_install:
        changes.add(f"install {', '.join(facts.missing)}")
        host.install_packages()
    if wanted.post_content_hook:
        changes.tell("run the hook after the installation")
        host.run_script(wanted.post_content_hook, as_root=True)
    if host.allow_password(password_of(conversion), dry_run=False):
        changes.add(f"{'let' if conversion.ssh_password_access else 'no longer let'} the SSH user in by password")
    if facts.missing:
        facts = host.facts()
    if facts.missing:
        raise HostError(
            f"the conversion host {host.name!r} lacks {', '.join(facts.missing)}",
            remedy="set os_migrate_conversion_host_content_install to true, or use an image that has them",
        )
    return facts


def password_of(conversion: ConversionSettings) -> str | None:
    """Return the password that lets the SSH user in, None where none does."""
    return conversion.ssh_password if conversion.ssh_password_access else None


def reboot(cloud: HostingCloud, host: DeployableHost, server_id: ServerId, clock: Clock) -> None:
    """Reboot the guest and wait until it answers as a new boot: SSH still answers for a while before."""
    before = host.run_script(BOOT_ID)
    cloud.reboot_server(server_id)
    deadline = clock.now() + REBOOT_TIMEOUT_S
    while True:
        clock.sleep(REBOOT_POLL_S)
        try:
            if host.run_script(BOOT_ID) != before:
                return
        except HostError:
            if clock.now() > deadline:
                raise
        if clock.now() > deadline:
            raise HostError(
                f"server {server_id} didn't reboot within {REBOOT_TIMEOUT_S:.0f} s", remedy="look at its console"
            )
