"""The demo: a server with known data is migrated from one cloud of the lab into the other, and the proof is shown.

Run it after `python -m lab up`. It can be repeated: what an earlier demo left is removed first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab import scenario
from lab.errors import LabError
from lab.scenario import Guest, Shape
from lab.settings import CLOUDS, STATE_DIR

DIRECTORY = STATE_DIR / "demo"
SERVER = Shape("demo", "10.0.0.100", data_gib=(1,), metadata=(("role", "demo"),))
DATA_MIB = 48
BOOT_MIB = 4


def say(text: str) -> None:
    """Tell the person what happens, with the time since the demo began."""
    print(f"\n=== {time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


BEGAN = time.monotonic()


def os_migrate(*words: str) -> str:
    """Run the product as its user does, in sight; return what it printed with --json."""
    program = Path(sys.executable).with_name("os-migrate")
    argv = [str(program), "--settings", str(DIRECTORY / "os-migrate.yml"), *words]
    print("$ os-migrate", *words, flush=True)
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE if "--json" in words else None, text=True)
    if done.returncode:
        raise LabError(f"os-migrate {' '.join(words)} ended with exit code {done.returncode}")
    return done.stdout or ""


def check(claim: str, holds: bool) -> None:  # noqa: FBT001 (a claim and whether it holds)
    """Print a claim as proven; raise LabError if it isn't."""
    if not holds:
        raise LabError(f"NOT SO: {claim}")
    print(f"  ok  {claim}", flush=True)


def bytes_from_source() -> int:
    """Return the bytes that have come out of the source cloud's external network so far, by the kernel's count."""
    statistics = Path("/sys/class/net") / CLOUDS["src"].external_veth / "statistics"
    return int((statistics / "rx_bytes").read_text())


def is_demo(server: Any) -> bool:
    """Say whether a server is the demo's or a conversion host."""
    return bool(server.name == SERVER.name or server.name.startswith("os_migrate_conv"))


def clean(source: Any, destination: Any) -> None:
    """Remove what an earlier demo left."""
    if (DIRECTORY / "os-migrate.yml").exists():
        os_migrate("hosts", "delete", "--force")
    for cloud in (source, destination):
        scenario.delete_servers(cloud, keep=lambda server: not is_demo(server))
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--keep-hosts", action="store_true", help="leave the conversion hosts in both clouds")
    arguments = parser.parse_args()
    try:
        demo(keep_hosts=arguments.keep_hosts)
    except (LabError, subprocess.SubprocessError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def demo(*, keep_hosts: bool) -> None:
    """Make a server, migrate it, and prove what became of it."""
    source, destination = scenario.connect("src"), scenario.connect("dst")
    say("removing what an earlier demo left")
    clean(source, destination)
    scenario.write_settings(DIRECTORY)

    say("source cloud: a server with a boot disk and a data volume, files with known checksums on both")
    server = scenario.create_server(source, SERVER)
    guest = scenario.guest_of(source, server)
    guest.await_ssh()
    (data_disk,) = scenario.data_disks(guest)
    files = scenario.write_files(guest, data_disk, DATA_MIB)
    boot_file = scenario.write_boot_file(guest, BOOT_MIB)
    print(
        f"  {server.name} ({server.id}) answers SSH at {guest.address}\n  {boot_file}\n  " + files.replace("\n", "\n  ")
    )

    before = scenario.holdings(source), scenario.holdings(destination)
    say("a conversion host in each cloud, at the same time")
    os_migrate("hosts", "deploy")
    say("what is there to migrate: workloads.yml")
    os_migrate("export", "workloads", "--filter", SERVER.name)
    workloads = DIRECTORY / "data" / "workloads.yml"
    workloads.write_text(
        workloads.read_text()
        .replace("boot_disk_copy: false", "boot_disk_copy: true")
        .replace("port_creation_mode: nova", "port_creation_mode: neutron")
    )
    say("the migration")
    sent = bytes_from_source()
    os_migrate("migrate", SERVER.name)
    sent = bytes_from_source() - sent
    say("once more: nothing is left to do")
    os_migrate("migrate", SERVER.name)
    if not keep_hosts:
        say("the conversion hosts go")
        os_migrate("hosts", "delete")

    say("the proof")
    prove(source, destination, server, (boot_file, files), before, keep_hosts=keep_hosts)
    print(f"  {sent / 2**20:.1f} MiB left the source cloud's floating IPs meanwhile, all protocols counted")
    print(f"\nThe demo took {time.monotonic() - BEGAN:.0f} s.")


def prove(
    source: Any,
    destination: Any,
    server: Any,
    checksums: tuple[str, str],
    before: tuple[scenario.Holdings, scenario.Holdings],
    *,
    keep_hosts: bool,
) -> None:
    """Look into both clouds and into the twin; raise LabError at the first thing that is not as it should be."""
    report = json.loads(next((DIRECTORY / "data" / "reports").glob("*.json")).read_text())
    twin = destination.compute.get_server(report["destination_server_id"])
    guest = scenario.guest_of(destination, twin)
    guest.await_ssh()
    check(f"the twin {twin.id} runs in the destination and answers SSH at {guest.address}", twin.status == "ACTIVE")
    check("the file on its boot disk has the same sha256", scenario.read_boot_file(guest) == checksums[0])
    check("the files on its data volume have the same sha256", read_data(guest) == checksums[1])
    for disk in report["disks"]:
        equal = disk["source_digest"] == disk["destination_digest"]
        check(f"{disk['device']}: digests of source and copy are equal: {disk['source_digest']}", equal)
    old, new = (
        next(iter(source.network.ports(device_id=server.id))),
        next(iter(destination.network.ports(device_id=twin.id))),
    )
    check(f"it has the same MAC {new.mac_address}", new.mac_address == old.mac_address)
    check(
        f"it has the same address {new.fixed_ips[0]['ip_address']}",
        new.fixed_ips[0]["ip_address"] == old.fixed_ips[0]["ip_address"],
    )
    now = source.compute.get_server(server.id)
    check("the source server is there, and off", now.status == "SHUTOFF")
    check("its volumes are attached to it again", len(list(source.compute.volume_attachments(server.id))) == 1)
    if not keep_hosts:
        check("nothing else is left in the source", scenario.holdings(source) == before[0])
        made = {"servers": 1, "volumes": 2, "ports": 1, "floating IPs": 1}
        grown = {
            kind: len(held - before[1][kind])
            for kind, held in scenario.holdings(destination).items()
            if held - before[1][kind]
        }
        check(
            "in the destination there is the twin with two volumes, a port and a floating IP, and nothing else",
            grown == made,
        )
    print("\nStage                    seconds")
    for stage, seconds in report["stage_seconds"]:
        print(f"  {stage:22} {seconds:7.1f}")
    for disk in report["disks"]:
        sizes = f"{disk['size_bytes'] >> 20} MiB, {disk['data_bytes'] >> 20} MiB of data, {disk['wire_bytes'] >> 20} MiB sent"
        print(f"  {disk['device']}: {sizes} in {disk['copy_seconds']:.1f} s")


def read_data(guest: Guest) -> str:
    """Return the checksums of the files on the twin's only data disk."""
    (disk,) = scenario.data_disks(guest)
    return scenario.read_files(guest, disk)


if __name__ == "__main__":
    sys.exit(main())
