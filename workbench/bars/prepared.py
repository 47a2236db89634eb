"""Kinds of bars whose kernels are compiled: what a thread that must not wait can build."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from workbench.bars.calendarbars import CalendarBars
from workbench.bars.eventbars import EVENT_FAMILIES, EventBars, event_bars
from workbench.bars.folding import fold_bars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.bars.pricebars import PriceBars
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.records import BAR, TRADE, Rows
from workbench.timeframes import Timeframe

__all__ = ["prepared", "sample_bars", "sample_trades"]

_START = 1_700_000_000_000_000_000


def prepared(kind: str | int | Timeframe | BarKind) -> Timeframe | BarKind:
    """Read a kind of bars, and compile what builds it if that is not so yet.

    Parameters
    ----------
    kind : str, int, Timeframe or BarKind
        As :func:`~workbench.bars.kinds.bar_kind` reads it. Timeframes are built by kernels that
        every feed has ready.

    Raises
    ------
    UnknownTimeframeError
        If there is no such kind, or its parameters are not as they must be.

    Examples
    --------
    >>> prepared("trades:100").name
    'trades:100'
    """
    found = bar_kind(kind)
    if isinstance(found, BarKind):
        _compile(found)
    return found


@lru_cache(maxsize=256)
def _compile(kind: BarKind) -> None:
    if kind.family in EVENT_FAMILIES:
        events = EventBars(kind, lateness=1.0)
        events.add(sample_trades(50))
        events.forming()
        events.advance(_START + 100 * 10**9)
        event_bars(sample_trades(50), kind)
    elif kind.family == "session":
        fold_bars(sample_bars(5), "5m")
        days = CalendarBars(kind, "BTC-USD")
        days.add(sample_bars(5))
        days.forming(sample_bars(6)[5:])
    elif kind.family not in QUOTE_FAMILIES:  # those are built as time bars are
        base = 60 if kind.base is None else kind.base.seconds
        lines = PriceBars(kind)
        lines.add(sample_bars(5, base))
        lines.forming(sample_bars(6, base)[5:])


def sample_trades(n: int) -> Rows:
    """Return trades of a price, one a second, to compile with."""
    trades = np.zeros(n, TRADE)
    trades["time"] = _START + np.arange(n) * 10**9
    trades["price"] = trades["size"] = 1.0
    return trades


def sample_bars(n: int, seconds: int = 60) -> Rows:
    """Return bars of so many seconds and one price, one after the other, to compile with."""
    bars = np.zeros(n, BAR)
    start = _START - 200 * 10**9  # a whole 5 minutes
    bars["time"] = start // (seconds * 10**9) * seconds * 10**9 + np.arange(n) * seconds * 10**9
    bars["timeframe"], bars["volume"] = seconds, 1.0
    for name in ("open", "high", "low", "close", "vwap", "notional"):
        bars[name] = 10.0
    return bars
