"""A feed that loses its connection again and again, and what stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from workbench.clock import SystemClock
from workbench.config import settings
from workbench.flow.feed import Feed
from workbench.sim.run import start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Source
from workbench.symbols import SymbolTable

__all__ = ["Grown", "reconnect_often"]


class Hasty(SystemClock):
    """The machine's clock for one who never waits long: delays of reconnects are cut short."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.005))


@dataclass
class Grown:
    """What many reconnects left behind.

    Attributes
    ----------
    reconnects : int
    files, threads : int
        More than before.
    megabytes : float
        Memory over the second half of them.
    connections : int
        Open at the simulator at the end.
    seconds : float
    """

    reconnects: int
    files: int
    threads: int
    megabytes: float
    connections: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing stayed behind but threads of the executor, which are at most six."""
        return self.files <= 2 and self.threads <= 6 and self.connections <= 1


def reconnect_often(times: int) -> Grown:
    """Cut a feed's connection so often, each time after data came again."""
    config = settings(api_key="k", reconnect="crypto")
    process = psutil.Process(os.getpid())
    with start_simulator(port=0, symbols=("BTC-USD",), rate=200.0, tick_seconds=0.01) as simulator:

        def source(market: str, table: SymbolTable) -> Source:
            return MassiveSource(market, base=simulator.url, key="k", table=table)

        with Feed(source, config=config, clock=Hasty(), rng=random.Random(1)) as feed:
            feed.subscribe("BTC-USD", ["1s"], channels=("trade",), timeout=240)
            feed.wait("BTC-USD", timeout=240)
            for _ in range(10):
                _again(feed, simulator.drop)
            gc.collect()
            files, threads = process.num_fds(), threading.active_count()
            middle, begun = 0, time.monotonic()
            for n in range(times):
                _again(feed, simulator.drop)
                if n == times // 2:
                    gc.collect()
                    middle = process.memory_info().rss
            gc.collect()
            memory = (process.memory_info().rss - middle) / 1e6

            def grown() -> Grown:
                return Grown(
                    times,
                    process.num_fds() - files,
                    threading.active_count() - threads,
                    memory,
                    simulator.connections(),
                    time.monotonic() - begun,
                )

            # Of a connection that was just cut one end may be open still.
            patience = time.monotonic() + 60
            while not (now := grown()).good and time.monotonic() < patience:
                time.sleep(0.01)
            return now


def _again(feed: Feed, drop: Callable[[], None]) -> None:
    stream = feed._core.uplink.stream("crypto")
    assert stream is not None
    connects = stream.traffic.connects
    drop()
    patience = time.monotonic() + 120
    while stream.traffic.connects == connects and time.monotonic() < patience:
        time.sleep(0.002)
    before = feed.health.numbers()["trades_accepted"]
    while feed.health.numbers()["trades_accepted"] == before:
        if time.monotonic() >= patience:
            raise TimeoutError(f"no data after a reconnect: {feed!r}")
        time.sleep(0.002)
