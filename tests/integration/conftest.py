"""What tests of whole programs share: time, on a machine that may be slow and stop at times."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.clock import Clock, SystemClock

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
def kept_port() -> Iterator[int]:
    """Hold a port on which only servers that share its address may listen, one after another."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
