"""What holds for all tests."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Heed Ctrl-C also where the tests were started in the background, which begins with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
