"""What tests of whole programs share: time, on a machine that may be slow and stop at times."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.clock import Clock, SystemClock

#: Seconds for what a running feed brings about sooner or later, whatever stops in between.
_SOONER_OR_LATER = 600.0
#: Seconds after which a test of several processes or a whole feed hangs rather than is slow.
_PATIENCE = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here longer than others until it counts as hanging."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_PATIENCE))


class _Steady(SystemClock):
    def __init__(self) -> None:
        self._now = super().now()

    def now(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._now += round(seconds * 1e9)


@pytest.fixture
def steady_clock() -> Callable[[], Clock]:
    """Make clocks whose time passes in sleeps only, so that a stop makes no market jump."""
    return _Steady


@pytest.fixture
def eventually() -> Callable[[Callable[[], None]], None]:
    """Return a function that makes a check until it holds; what it said last is told if not.

    For what is true of a feed whenever nothing is on its way: late trades, a connection that was
    lost and holes that are being filled may make it untrue for a while, at any time.
    """

    def wait(check: Callable[[], None]) -> None:
        end = time.monotonic() + _SOONER_OR_LATER
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)

    return wait


@pytest.fixture
def kept_port() -> Iterator[int]:
    """Hold a port on which only servers that share its address may listen, one after another."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
