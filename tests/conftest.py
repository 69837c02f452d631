"""What holds for all tests."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long a case takes says more of the machine than of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Heed Ctrl-C also where the tests were started in the background, which begins with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
