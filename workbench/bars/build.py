"""Bars of any kind from stored data, in one call."""

from __future__ import annotations

from typing import cast

import pandas as pd

from workbench.bars.batchbars import time_bars
from workbench.bars.calendarbars import calendar_bars
from workbench.bars.conditions import marked, rules_for
from workbench.bars.eventbars import EVENT_FAMILIES, event_bars
from workbench.bars.folding import bar_rows, fold_bars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.bars.pricebars import price_bars
from workbench.bars.quotebars import QUOTE_FAMILIES, QuotePrice, quote_bars, quote_trades
from workbench.bars.tapebars import tape_bars
from workbench.errors import ConfigError
from workbench.records import BAR, QUOTE, TRADE, Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["build_bars"]


def build_bars(
    data: Rows | pd.DataFrame,
    kind: str | Timeframe | BarKind,
    *,
    symbol: str = "",
    price: QuotePrice = "mid",
    base: str | Timeframe | None = None,
    conditions: bool = False,
) -> Rows:
    """Build bars of any kind from trades, quotes or smaller bars.

    Parameters
    ----------
    data : array of TRADE, QUOTE or BAR, or DataFrame
        A DataFrame of one symbol as a store or feed returns it: with a column price it is
        taken for trades, with bid and ask for quotes, with open and close for bars.
    kind : str, Timeframe or BarKind
        "5m", "session:day", "trades:100", "volume:1000", "dollar:1e6", "range:0.5",
        "renko:10", "renko:atr14@1m", "imbalance-volume", "run-trades", "heikin-ashi@1m",
        "line-break:3@1m", "kagi:10@1m", "point-figure:1x3@1m", "mid@1m".
    symbol : str
        Tells the market's sessions and rules; empty for UTC days.
    price : "mid", "bid" or "ask"
        Which price of quotes, where the kind does not tell.
    base : str, Timeframe or None
        Timeframe of the bars of a DataFrame, to be checked; None for no check.
    conditions : bool
        Whether the trades' conditions decide what each may set, by the rules of the symbol's
        venue; False lets every trade count.

    Returns
    -------
    array of BAR

    Raises
    ------
    UnknownTimeframeError
        If there is no such kind, or the bars do not divide it.
    ConfigError
        If the kind is not made from what was given.

    Examples
    --------
    >>> times = pd.to_datetime([0, 30, 60], unit="s", utc=True)
    >>> trades = pd.DataFrame({"price": [10.0, 12.0, 11.0], "size": [1.0, 2.0, 1.0]}, times)
    >>> build_bars(trades, "trades:2")[["open", "close", "volume"]].tolist()
    [(10.0, 12.0, 3.0), (11.0, 11.0, 1.0)]
    """
    read = bar_kind(kind)
    held = _held(data)
    if isinstance(read, BarKind) and read.family in QUOTE_FAMILIES:
        return _from_quotes(data, read, held)
    if held == "quote":
        data, held = quote_trades(data, price), "trade"
    if held == "trade":
        return _from_trades(data, read, symbol, conditions)
    if isinstance(read, Timeframe):
        return fold_bars(data, read, base=base)
    if read.family in EVENT_FAMILIES:
        raise ConfigError(f"{read} is made from trades or quotes; bars do not tell enough")
    if read.family == "session":
        return calendar_bars(data, read, symbol or "BTC-USD", base=_name(base))
    return price_bars(_of_base(data, read, base), read)


def _held(data: Rows | pd.DataFrame) -> str:
    if isinstance(data, pd.DataFrame):
        for column, kind in (("price", "trade"), ("bid", "quote"), ("close", "bar")):
            if column in data:
                return kind
        raise ConfigError(
            "the DataFrame is neither of trades (price, size), quotes (bid, ask) nor bars "
            f"(open, high, low, close): it has {', '.join(map(str, data.columns))}"
        )
    for dtype, kind in ((TRADE, "trade"), (QUOTE, "quote"), (BAR, "bar")):
        if data.dtype == dtype:
            return kind
    raise ConfigError(f"rows must be of TRADE, QUOTE or BAR, not {data.dtype}")


def _from_quotes(quotes: Rows | pd.DataFrame, kind: BarKind, held: str) -> Rows:
    if held != "quote":
        raise ConfigError(f"{kind} is made from quotes; {held}s do not tell of them")
    assert kind.base is not None
    bars = quote_bars(quotes, kind.base, cast(QuotePrice, kind.family))
    bars["timeframe"] = kind.code
    return bars


def _from_trades(
    trades: Rows | pd.DataFrame, kind: Timeframe | BarKind, symbol: str, conditions: bool
) -> Rows:
    if isinstance(kind, Timeframe):
        return _timed(trades, kind, symbol, conditions)
    if kind.family in EVENT_FAMILIES:
        return event_bars(trades, kind)
    if kind.family == "session":
        minutes = _timed(trades, timeframe("1m"), symbol, conditions)
        return calendar_bars(minutes, kind, symbol or "BTC-USD")
    assert kind.base is not None
    return price_bars(_timed(trades, kind.base, symbol, conditions), kind)


def _timed(trades: Rows | pd.DataFrame, tf: Timeframe, symbol: str, conditions: bool) -> Rows:
    if not conditions:
        return time_bars(trades, tf)
    if isinstance(trades, pd.DataFrame):
        raise ConfigError("conditions are read from rows of TRADE, not from a DataFrame")
    return tape_bars(marked(trades, rules_for(symbol)), tf)[0]


def _of_base(bars: Rows | pd.DataFrame, kind: BarKind, base: str | Timeframe | None) -> Rows:
    assert kind.base is not None
    rows = bar_rows(bars, base) if isinstance(bars, pd.DataFrame) else bars
    told = rows["timeframe"]
    return rows if (told == 0).all() else fold_bars(rows, kind.base)


def _name(base: str | Timeframe | None) -> str | None:
    return base.name if isinstance(base, Timeframe) else base
