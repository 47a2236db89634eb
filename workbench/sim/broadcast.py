"""The market's clock: what was sent when, to whom."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from workbench.clock import Clock
from workbench.sim.barfeed import BarFeed
from workbench.sim.connection import Connection
from workbench.sim.history import History
from workbench.sim.limits import Limits
from workbench.sim.market import Market
from workbench.sim.wire import CHANNELS, Chunk
from workbench.symbols import asset_class

__all__ = ["Broadcast"]

#: Events a hurried market hands out at a time.
_HURRY = 4_000


class Broadcast:
    """Move a market forward and hand its events to the connections that want them.

    Parameters
    ----------
    market : Market
    clock : Clock
    limits : Limits
    pool : ThreadPoolExecutor
        For work that would hold up the loop.
    """

    def __init__(
        self, market: Market, clock: Clock, limits: Limits, pool: ThreadPoolExecutor
    ) -> None:
        self.position = 0
        self.finished = False
        self.connections: dict[Connection, None] = {}
        self.history = History(market, lambda: self.position)
        self._market = market
        self._clock = clock
        self._limits = limits
        self._pool = pool
        self._bars = BarFeed(self.history, limits.bar_wait)
        self._demand: frozenset[int] = frozenset()
        self._readers = asyncio.Event()
        self._wanted = np.zeros(4 * len(market.symbols), np.bool_)
        self._tally = np.zeros(4 * len(market.symbols), np.int64)
        self._warm = set(market.symbols) if market.instant else set()
        self._warming: dict[str, asyncio.Future[None]] = {}
        self._opening: dict[str, asyncio.Future[None]] = {}

    def counts(self) -> dict[str, int]:
        """Return how many events went out on each topic, each once for all readers."""
        return {
            f"{CHANNELS[asset_class(symbol)][kind]}.{symbol}": n
            for topic, n in enumerate(self._tally.tolist())
            for symbol, kind in [(self._market.symbols[topic // 4], topic % 4)]
            if n
        }

    def refresh(self) -> None:
        """Take note that connections or their topics changed."""
        symbols, cold = self._market.symbols, set()
        for connection in self.connections:
            wanted = connection.session.demand()
            cold |= {symbols[topic // 4] for topic in wanted} - self._warm
            # A symbol that is still to be warmed up comes a moment later: what would be sent
            # meanwhile must not pile up for a reader that has just arrived.
            connection.want(frozenset(t for t in wanted if symbols[t // 4] in self._warm))
        demands = [c.demand for c in self.connections if c.demand]
        self._demand = frozenset().union(*demands)
        self._wanted[:] = False
        self._wanted[sorted(self._demand)] = True
        if len(demands) >= self._limits.wait_for:
            self._readers.set()
        else:
            self._readers.clear()
        for symbol in cold - set(self._warming):
            self._warming[symbol] = asyncio.ensure_future(self._warm_up(symbol))

    async def _warm_up(self, symbol: str) -> None:
        loop = asyncio.get_running_loop()
        now = self._clock.now()
        try:
            await loop.run_in_executor(self._pool, self._market.warm, symbol, now)
            self._warm.add(symbol)
        finally:
            del self._warming[symbol]
        self.refresh()

    async def run(self) -> None:
        """Send the market until cancelled."""
        self.refresh()
        await self._readers.wait()
        while self._market.hurried and self._warming:  # or some would miss the beginning
            await asyncio.wait(list(self._warming.values()))
        self.position = self._market.begin(self._clock.now())
        while True:
            if self._market.hurried:
                await self._readers.wait()
            await self._open_bars()
            moved = self._step()
            if self._market.hurried and moved:
                await asyncio.gather(*(c.room() for c in list(self.connections)))
                await asyncio.sleep(0)  # let readers in even if nothing had to wait
            else:
                await self._clock.sleep(self._limits.tick_seconds)

    def _step(self) -> bool:
        """Send what is due now and return whether the market moved."""
        since = self.position
        until = self._market.reach(since, self._clock.now(), _HURRY)
        if until > since:
            chunk = self._market.chunk(since, until, self._demand)
            self.position = until
            self._hand_out(chunk)
        ended = self._market.ended(until) and not self.finished
        bars = self._bars.advance(until, self._demand, flush=ended)
        if bars is not None:
            self._hand_out(bars)
        self.finished = self.finished or ended
        self._market.prepare(until)
        return until > since

    async def _open_bars(self) -> None:
        """Begin to make bars that are newly wanted; their day so far may take a while."""
        for symbol in self._bars.missing(self._demand):
            if symbol not in self._opening:
                self._opening[symbol] = asyncio.ensure_future(self._open(symbol, self.position))
        if self._market.hurried and self._opening:
            await asyncio.wait(list(self._opening.values()))

    async def _open(self, symbol: str, known: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            day = await loop.run_in_executor(self._pool, self._bars.day_so_far, symbol, known)
            self._bars.open(symbol, day, known)
        finally:
            del self._opening[symbol]

    async def stop(self) -> None:
        """Give up work that was begun in the background."""
        tasks = [*self._opening.values(), *self._warming.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hand_out(self, chunk: Chunk) -> None:
        if not len(chunk):
            return
        frames: dict[frozenset[int], list[bytes]] = {}
        for connection in list(self.connections):
            if not connection.demand:
                continue
            if connection.demand not in frames:
                made = chunk.frames(connection.mask, self._limits.frame_events)
                frames[connection.demand] = made
            connection.push(frames[connection.demand])
            if connection.overfull and not self._market.hurried:
                connection.kick("slow_consumer", "You are reading too slowly; disconnected")
        wanted = chunk.topics[self._wanted[chunk.topics]]
        self._tally += np.bincount(wanted, minlength=len(self._tally))
