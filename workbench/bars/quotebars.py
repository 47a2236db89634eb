"""Bars of quotes: bid, ask or their middle, as bars of trades without volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import BarBuilder
from workbench.records import QUOTE, TRADE, Rows
from workbench.timeframes import Timeframe

__all__ = ["PRICES", "QUOTE_FAMILIES", "QuoteBars", "QuotePrice", "quote_bars", "quote_trades"]

QuotePrice = Literal["mid", "bid", "ask"]
#: What a bar of quotes may be made from.
PRICES: tuple[QuotePrice, ...] = ("mid", "bid", "ask")
#: The families of :data:`~workbench.bars.kinds.FAMILIES` that are built here.
QUOTE_FAMILIES: frozenset[str] = frozenset(PRICES)
_NEEDED = ("bid", "ask")
_OPTIONAL = ("sequence",)


def quote_trades(quotes: Rows | pd.DataFrame, price: QuotePrice = "mid") -> Rows:
    """Return quotes as trades of size 0 at one of their prices.

    A quote counts for the bid or the ask if that side is there, that is finite and above 0, and
    for the middle, (bid + ask) / 2, if both are. A crossed quote (bid above ask) counts for
    none: which of its sides is stale cannot be told. A locked one (bid equal to ask) counts.

    Parameters
    ----------
    quotes : array of QUOTE, or DataFrame
        Of any symbols; or a DataFrame of one, indexed by time, with bid, ask and perhaps
        sequence.
    price : "mid", "bid" or "ask"

    Returns
    -------
    array of TRADE
        In the order of the quotes; those that do not count are left out.

    Raises
    ------
    ValueError
        If there is no such price, or a column is missing.
    TypeError
        If a DataFrame is not indexed by time.

    Examples
    --------
    >>> quotes = np.zeros(3, QUOTE)
    >>> quotes["bid"], quotes["ask"] = [10.0, 10.5, 0.0], [11.0, 10.0, 12.0]
    >>> [quote_trades(quotes, price)["price"].tolist() for price in PRICES]
    [[10.5], [10.0], [11.0, 12.0]]
    """
    if price not in PRICES:
        raise ValueError(f"no price {price!r} of a quote: there are {', '.join(PRICES)}")
    if isinstance(quotes, pd.DataFrame):
        quotes = _rows(quotes)
    kept, prices = _prices(quotes, price)
    rows = np.zeros(len(prices), TRADE)
    for field in ("time", "received", "sequence", "symbol"):
        rows[field] = quotes[field][kept]
    rows["price"] = prices
    return rows


def _prices(
    quotes: Rows, price: QuotePrice
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    bid, ask = quotes["bid"], quotes["ask"]
    has_bid, has_ask = (np.isfinite(side) & (side > 0) for side in (bid, ask))
    fair = ~(has_bid & has_ask & (bid > ask))
    if price == "mid":
        kept = fair & has_bid & has_ask
        return kept, (bid[kept] + ask[kept]) * 0.5
    kept = fair & (has_bid if price == "bid" else has_ask)
    return kept, quotes[price][kept]


def _rows(frame: pd.DataFrame) -> Rows:
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise TypeError(f"quotes must be indexed by time, not by {type(index).__name__}")
    missing = [name for name in _NEEDED if name not in frame]
    if missing:
        raise ValueError(f"quotes have no column {', '.join(missing)}")
    rows = np.zeros(len(frame), QUOTE)
    rows["time"] = index.as_unit("ns").asi8
    for name in (*_NEEDED, *_OPTIONAL):
        if name in frame:
            rows[name] = frame[name].to_numpy()
    return rows


def quote_bars(
    quotes: Rows | pd.DataFrame, name: Timeframe | str, price: QuotePrice = "mid"
) -> Rows:
    """Build bars of stored quotes in one go.

    Parameters
    ----------
    quotes : array of QUOTE, or DataFrame
        See :func:`quote_trades`, which tells which quotes count.
    name : Timeframe or str
    price : "mid", "bid" or "ask"

    Returns
    -------
    array of BAR
        `count` is the number of quotes, `volume` and `notional` are 0, `vwap` is the close.

    Examples
    --------
    >>> quotes = np.zeros(2, QUOTE)
    >>> quotes["bid"], quotes["ask"] = [10.0, 11.0], [11.0, 12.0]
    >>> quote_bars(quotes, "1m")[["open", "close", "volume", "count"]].tolist()
    [(10.5, 11.5, 0.0, 2)]
    """
    return time_bars(quote_trades(quotes, price), name)


class QuoteBars:
    """Build bars of quotes as they come, of many symbols and timeframes.

    They are those of :func:`quote_bars`: the same quotes count, and the bars are built by the
    code that builds bars of trades.

    Parameters
    ----------
    timeframes : iterable of Timeframe or str
    price : "mid", "bid" or "ask"
    lateness : float
        Seconds after its end that a bar waits for late quotes before it is closed.

    Attributes
    ----------
    builder : BarBuilder
        What it runs on.
    left_out : int
        Quotes that did not count: crossed, or without the side wanted.

    Examples
    --------
    >>> quotes = np.zeros(2, QUOTE)
    >>> quotes["time"], quotes["bid"], quotes["ask"] = [0, 60 * 10**9], 10.0, [11.0, 9.0]
    >>> bars = QuoteBars(["1m"], "mid")
    >>> bars.add(quotes).size, bars.left_out, bars.finish()["close"].tolist()
    (0, 1, [10.5])
    """

    def __init__(
        self,
        timeframes: Iterable[Timeframe | str],
        price: QuotePrice = "mid",
        *,
        lateness: float = 0.0,
    ) -> None:
        self.price: QuotePrice = price
        self.left_out = 0
        self.builder = BarBuilder(timeframes, lateness=lateness)
        quote_trades(np.zeros(0, QUOTE), price)  # tells of a price that there is not

    def __repr__(self) -> str:
        return f"QuoteBars({self.price!r}, {self.builder!r})"

    def add(self, quotes: Rows) -> Rows:
        """Take accepted quotes in any order and return the bars they closed or revised."""
        rows = quote_trades(quotes, self.price)
        self.left_out += len(quotes) - len(rows)
        return self.builder.add(rows)

    def advance(self, clock: int) -> Rows:
        """Return the bars that the clock closes, see :meth:`BarBuilder.advance`."""
        return self.builder.advance(clock)

    def finish(self) -> Rows:
        """Close every bar, as at the end of a recording, and return the bars."""
        return self.builder.finish()

    def forming(self, symbol: int, name: Timeframe | str) -> Rows:
        """Return the bars of a series that are not closed, oldest first."""
        return self.builder.forming(symbol, name)
