"""What the provider remembers: trades, quotes and bars of everything sent so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

import numpy as np

from workbench.records import BAR, KINDS, Rows
from workbench.sim.aggregates import bars, merge
from workbench.sim.hours import DAY, SECOND, day_bounds, eastern_date
from workbench.sim.market import Market
from workbench.symbols import asset_class

__all__ = ["Base", "History"]

Base = Literal["second", "minute", "day"]

_HOUR = 3600 * SECOND
#: First stretch of trades that is read for a page; later ones grow.
_SHORT = 15 * SECOND


class History:
    """Answer for the past of a market, as of what was sent.

    Parameters
    ----------
    market : Market
    position : callable
        Returns how far the market was sent, ns on its clock.
    """

    def __init__(self, market: Market, position: Callable[[], int]) -> None:
        self.market = market
        self._position = position
        self._finished = lru_cache(maxsize=20_000)(self._whole_day)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols of the market."""
        return self.market.symbols

    def known(self) -> int:
        """Return the time of sending up to which the past is known now."""
        return self.market.known(self._position())

    def symbol(self, ticker: str) -> str | None:
        """Return our spelling of a ticker of the REST interface, None if there is none.

        Crypto pairs are written "X:BTCUSD" or "X:BTC-USD" there.
        """
        for symbol in self.symbols:
            kind = asset_class(symbol)
            if kind == "crypto" and ticker in (f"X:{symbol}", f"X:{symbol.replace('-', '')}"):
                return symbol
            if kind != "crypto" and ticker == symbol:
                return symbol
        return None

    def trades(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return trades of [start, end) by event time, of those sent before `known`."""
        return self.market.trades(symbol, start, end, known)

    def quotes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return quotes of [start, end) by event time, of those sent before `known`."""
        return self.market.quotes(symbol, start, end, known)

    def ticks(
        self, kind: Literal["trade", "quote"], symbol: str, span: tuple[int, int], known: int
    ) -> tuple[Callable[[], Iterator[Rows]], Callable[[], Iterator[Rows]]]:
        """Return two readers of rows by event time: oldest first and newest first.

        Each yields runs of rows, short ones first: a page costs little more than it shows.
        """
        read = self.market.trades if kind == "trade" else self.market.quotes
        start, end = self._clip(span, known)

        def forward() -> Iterator[Rows]:
            low, step = start, _SHORT
            while low < end:
                yield read(symbol, low, min(low + step, end), known)
                low, step = low + step, min(2 * step, _HOUR)

        def backward() -> Iterator[Rows]:
            high, step = end, _SHORT
            while high > start:
                yield read(symbol, max(high - step, start), high, known)[::-1]
                high, step = high - step, min(2 * step, _HOUR)

        return forward, backward

    def last(self, kind: Literal["trade", "quote"], symbol: str, known: int) -> Rows:
        """Return the newest trade or quote as one row, or no row."""
        span = (known - 10 * DAY, known + _HOUR)
        for rows in self.ticks(kind, symbol, span, known)[1]():
            if len(rows):
                return rows[:1]
        return np.zeros(0, KINDS[kind])

    def window(self, symbol: str, start: int, length: int, known: int) -> Rows:
        """Return the bar of one window as one row, or no row."""
        return bars(self.market.trades(symbol, start, start + length, known), length)

    def base_bars(
        self, symbol: str, base: Base, span: tuple[int, int], known: int, *, backward: bool
    ) -> Iterator[Rows]:
        """Yield runs of base bars that start in [start, end), oldest or newest run first.

        Rows within a run are always oldest first.
        """
        start, end = self._clip(span, known)
        if base == "day":
            yield from self._days(symbol, start, end, known, backward)
            return
        step = _HOUR if base == "second" else DAY
        lows = range(start // step * step, end, step)
        for low in reversed(lows) if backward else lows:
            low, high = max(low, start), min(low + step, end)
            if base == "minute":
                yield self.market.minutes(symbol, low, high, known)
                continue
            yield bars(self.market.trades(symbol, low, high, known), SECOND)

    def day(self, symbol: str, day: date, known: int) -> Rows:
        """Return the bar of an Eastern day as far as known, as one row, or no row."""
        start, end = day_bounds(day)
        if known > end + _HOUR:
            return self._finished(symbol, day)
        return self._bar(symbol, start, end, known)

    def _whole_day(self, symbol: str, day: date) -> Rows:
        start, end = day_bounds(day)
        return self._bar(symbol, start, end, end + _HOUR)

    def _bar(self, symbol: str, start: int, end: int, known: int) -> Rows:
        rows = self.market.minutes(symbol, start, end, known)
        return merge(rows, start, end - start) if len(rows) else np.zeros(0, BAR)

    def _days(
        self, symbol: str, start: int, end: int, known: int, backward: bool
    ) -> Iterator[Rows]:
        if end <= start:
            return
        first, last = eastern_date(start), eastern_date(end - 1)
        days = range((last - first).days + 1)
        for offset in reversed(days) if backward else days:
            rows = self.day(symbol, first + timedelta(days=offset), known)
            if len(rows) and start <= rows["time"][0] < end:
                yield rows

    def _clip(self, span: tuple[int, int], known: int) -> tuple[int, int]:
        # A recording's receiving clock may run a little behind its event times.
        return max(span[0], self.market.first - 2 * DAY), min(span[1], known + _HOUR)
