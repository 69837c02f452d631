"""The plain way: qemu-nbd at the source, `ssh -L`, `qemu-img convert` at the destination, all with their defaults.

The volumes come and go as for ours, and the commands go over the same SSH connections.
"""

from pathlib import Path
from typing import Final

from bench.bed import USER, Bed
from bench.disks import Disk
from bench.network import ADDRESS
from os_migrate.model import ServerId, Side, VolumeId, VolumeSpec
from os_migrate.units import LINK_KEY, LINK_KNOWN_HOSTS

NBD_PORT: Final = 10809
PID_FILE: Final = "/run/bench-nbd.pid"
CONTROL: Final = "/run/bench-ssh"
HOST: Final = ServerId("the conversion host")
COPY_S: Final = 1800.0


class PlainTransfer:
    """A disk that is about to be copied."""

    def __init__(self, bed: Bed, disk: Disk) -> None:
        self._bed = bed
        self._source = bed.clouds[Side.SOURCE]
        self._destination = bed.clouds[Side.DESTINATION]
        self._original = self._source.lend(disk.path, disk.recipe.name)
        self._running: list[tuple[Side, tuple[str, ...]]] = []
        self.copies: list[Path] = []

    def __call__(self) -> None:
        """Export and copy; the destination volume is left, detached."""
        self._attach(Side.SOURCE, self._original)
        self._export()
        twin = self._destination.create_volume(VolumeSpec("twin", self._source.volume(self._original).size_gib))
        self._attach(Side.DESTINATION, twin)
        self._open_tunnel()
        convert = ("qemu-img", "convert", "-p", "-n", "-f", "raw", "-O", "raw")
        url = f"nbd://127.0.0.1:{NBD_PORT}"
        self._bed.root(Side.DESTINATION, *convert, url, self._destination.device_of(twin), timeout_s=COPY_S)
        self._stop(Side.DESTINATION)
        self._destination.detach_volume(HOST, twin)
        self.copies = [self._destination.file_of(twin)]

    def close(self) -> None:
        """Stop what runs, and detach the source."""
        for side in Side:
            self._stop(side)
        self._source.detach_volume(HOST, self._original)

    def _attach(self, side: Side, volume_id: VolumeId) -> None:
        self._bed.clouds[side].attach_volume(HOST, volume_id, device=None, delete_on_termination=False)

    def _export(self) -> None:
        device = self._source.device_of(self._original)
        serve = f"qemu-nbd --fork --persistent --read-only --format=raw --bind=127.0.0.1 --port={NBD_PORT}"
        self._bed.root(Side.SOURCE, "sh", "-c", f"{serve} --pid-file={PID_FILE} {device} >{PID_FILE}.log 2>&1")
        self._running.append((Side.SOURCE, ("pkill", "--pidfile", PID_FILE)))

    def _open_tunnel(self) -> None:
        source = self._bed.machines[Side.SOURCE]
        options = (
            "BatchMode=yes",
            "ExitOnForwardFailure=yes",
            f"UserKnownHostsFile={LINK_KNOWN_HOSTS}",
            f"HostKeyAlias={source.host.server_id}",
        )
        login = ("ssh", "-F", "none", "-f", "-N", "-M", "-S", CONTROL, "-i", LINK_KEY, "-l", USER)
        words = [word for option in options for word in ("-o", option)]
        forward = ("-L", f"{NBD_PORT}:127.0.0.1:{NBD_PORT}", ADDRESS[Side.SOURCE])
        command = " ".join([*login, *words, *forward])
        self._bed.root(Side.DESTINATION, "sh", "-c", f"{command} >{CONTROL}.log 2>&1")
        self._running.append((Side.DESTINATION, ("ssh", "-S", CONTROL, "-O", "exit", ADDRESS[Side.SOURCE])))

    def _stop(self, side: Side) -> None:
        for entry in [e for e in self._running if e[0] is side]:
            self._running.remove(entry)
            self._bed.root(side, *entry[1])
