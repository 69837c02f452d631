"""The compressed stream, from a sender to a receiver over a socket."""

import contextlib
import errno
import os
import socket
import threading

import pytest

from os_migrate_agent import receiving, sending
from os_migrate_agent.files import Progress
from os_migrate_agent.process import AgentError

from .conftest import BLOCK


@pytest.mark.timeout(60)
def test_source_that_cannot_be_read_ends_the_copy_with_its_error(tmp_path, monkeypatch):
    """And not as a link that broke: no other try would go better, and the operator would read of the wrong thing."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(BLOCK))
    target.write_bytes(bytes(BLOCK))

    def unreadable(_disk, _extents):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
        yield

    monkeypatch.setattr(sending, "chunks", unreadable)
    here, there = socket.socketpair()
    monkeypatch.setattr(receiving, "_request", lambda *_: here)

    def serve() -> None:
        with there, contextlib.suppress(OSError):
            sending._send(there, 1, 0, str(source), [(0, BLOCK)])

    threading.Thread(target=serve).start()
    with target.open("r+b") as disk:
        receiver = receiving.Receiver("", 1, disk.fileno(), Progress(str(tmp_path / "state"), BLOCK))
        with pytest.raises(AgentError, match=r"the source can't be read: .*Input/output error") as caught:
            receiver.receive()
    assert not isinstance(caught.value, receiving.LinkBroken)
