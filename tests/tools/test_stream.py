"""The stream, from a sender to a receiver over a socket."""

import contextlib
import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from os_migrate_agent import receiving, sending
from os_migrate_agent.digest import Digest
from os_migrate_agent.files import Progress
from os_migrate_agent.process import AgentError

from .conftest import BLOCK, shaped

pytestmark = pytest.mark.timeout(60)


class Link:
    """A sender and a receiver, and the connections between them, each of which carries so many bytes before it breaks."""

    def __init__(self, directory: Path, content: bytes, breaks: tuple[int, ...] = (), restarts: bool = False) -> None:
        self.source, self.target = directory / "source", directory / "target"
        self.source.write_bytes(content)
        self.target.write_bytes(shaped("d" * (len(content) // BLOCK), seed=7))
        self.size = len(content)
        self.extents = [(0, self.size)]
        self.sent = sending.Sent(self.size, with_digest=True)
        self.breaks = list(breaks)
        self.restarts = restarts
        self.threads: list[threading.Thread] = []

    def connect(self, _path, request) -> socket.socket:
        here, there = socket.socketpair()
        if self.restarts:
            self.sent = sending.Sent(self.size, with_digest=True)
        served, sent = there, self.sent
        if self.breaks:
            served, far = socket.socketpair()
            self._start(self._carry, far, there, self.breaks.pop(0))
        self._start(self._serve, served, request, sent)
        return here

    def _start(self, target, *args) -> None:
        self.threads.append(threading.Thread(target=target, args=args))
        self.threads[-1].start()

    def _serve(self, there, request, sent) -> None:
        with there, contextlib.suppress(OSError):
            sending._answer(there, request, str(self.source), self.extents, sent)

    def _carry(self, far, there, left: int) -> None:
        with far, there:
            while left and (some := far.recv(min(left, 1 << 16))):
                there.sendall(some)
                left -= len(some)

    def copy(self, monkeypatch, compression: str = "auto") -> receiving.Receiver:
        monkeypatch.setattr(receiving, "ask", self.connect)
        with self.target.open("r+b") as disk:
            progress = Progress(str(self.target) + ".state", self.size)
            receiver = receiving.Receiver("", compression, disk.fileno(), self.extents, progress)
            try:
                for _ in range(1 + len(self.breaks)):
                    with contextlib.suppress(receiving.LinkBroken):
                        receiver.receive()
            finally:
                for thread in self.threads:
                    thread.join()
        return receiver


def digest_of(content: bytes) -> str:
    digest = Digest(len(content))
    for offset in range(0, len(content), BLOCK):
        block = content[offset : offset + BLOCK]
        if any(block):
            digest.take(offset, memoryview(block))
    return str(digest)


SHAPE = "d00dd1d0" * 20


@pytest.mark.parametrize("compression", ["auto", "zstd"])
@pytest.mark.parametrize("restarts", [False, True], ids=["same sender", "restarted sender"])
@pytest.mark.parametrize("breaks", [(), (1,), (3 * BLOCK, 40 * BLOCK), (BLOCK,) * 9])
def test_stream_that_breaks_goes_on_and_has_the_digest_of_the_whole_disk(
    tmp_path, monkeypatch, breaks, restarts, compression
):
    content = shaped(SHAPE)
    link = Link(tmp_path, content, breaks, restarts=restarts)
    receiver = link.copy(monkeypatch, compression)
    assert link.target.read_bytes() == content
    assert receiver.sent["digest"] == digest_of(content)
    assert receiver.sent["data_bytes"] == len(content) - SHAPE.count("0") * BLOCK
    assert receiver.sent["extents"] == len(receiver.written) == len(SHAPE.replace("0", " ").split())


@pytest.mark.parametrize(("level", "method"), [(3, "compressed"), (0, "as it is")])
def test_link_is_measured_with_the_data_itself_and_the_copy_goes_on_at_the_level_chosen(
    tmp_path, monkeypatch, level, method
):
    content = shaped("d1" * 40)
    link = Link(tmp_path, content)
    asked = []

    def choose(link_bytes_s, _measure, *, always):
        asked.append((link_bytes_s > 0, always))
        return level, method

    monkeypatch.setattr(sending, "choose", choose)
    monkeypatch.setattr(receiving, "WORTH", len(content))
    monkeypatch.setattr(receiving, "MEASURED_S", 1e-6)
    receiver = link.copy(monkeypatch)
    assert asked == [(True, False)]
    assert (receiver.level, receiver.reason) == (level, method)
    assert link.target.read_bytes() == content
    assert receiver.sent["digest"] == digest_of(content)
    if level:
        assert receiver.wire_bytes < len(content) * 0.8
    else:
        assert receiver.wire_bytes == len(content)


def test_zeroes_are_not_sent_though_they_are_in_use(tmp_path, monkeypatch):
    content = shaped("0" * 200 + "d" + "0" * 200)
    link = Link(tmp_path, content)
    assert link.copy(monkeypatch).wire_bytes < BLOCK + 500
    assert link.target.read_bytes() == content


def test_what_is_not_in_use_is_neither_read_nor_left(tmp_path, monkeypatch):
    link = Link(tmp_path, shaped("dddd"))
    link.extents = [(BLOCK, BLOCK)]
    receiver = link.copy(monkeypatch)
    wanted = bytes(BLOCK) + link.source.read_bytes()[BLOCK : 2 * BLOCK] + bytes(2 * BLOCK)
    assert link.target.read_bytes() == wanted
    assert receiver.sent["digest"] == digest_of(wanted)


def test_what_two_connections_read_is_digested_once():
    content = shaped("dddddd")
    blocks = [(at, memoryview(content)[at : at + BLOCK]) for at in range(0, len(content), BLOCK)]
    sent = sending.Sent(len(content), with_digest=True)
    sent.take(blocks[:4], 4 * BLOCK)
    sent.take(blocks[2:5], 5 * BLOCK)  # the new one, which begins where the receiver is
    sent.take(blocks[4:5], 5 * BLOCK)  # the old one, which doesn't know yet that nobody listens
    sent.take(blocks[5:], 6 * BLOCK)
    assert sent.summary() == {
        "digest": digest_of(content), "size_bytes": len(content), "data_bytes": len(content), "extents": 1,
    }  # fmt: skip


@pytest.mark.parametrize("compression", ["auto", "zstd"])
def test_source_that_cannot_be_read_ends_the_copy_with_its_error(tmp_path, monkeypatch, compression):
    """And not as a link that broke: no other try would go better, and the operator would read of the wrong thing."""

    def unreadable(_disk, _extents):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
        yield

    monkeypatch.setattr(sending, "chunks", unreadable)
    with pytest.raises(AgentError, match=r"the source can't be read: .*Input/output error") as caught:
        Link(tmp_path, bytes(BLOCK)).copy(monkeypatch, compression)
    assert not isinstance(caught.value, receiving.LinkBroken)


def test_sample_is_of_what_is_sent(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(shaped("d000" * 40))
    pieces = sending.sample(str(disk), [(0, 160 * BLOCK)])
    assert len(b"".join(pieces)) == sending.SAMPLES * sending.SAMPLE // 4
