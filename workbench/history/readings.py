"""What warm-ups compute from their bars, and how it reads in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.analytics import ema
from workbench.history.warmups import Feeds, Warmup
from workbench.records import Rows
from workbench.store.frames import utc
from workbench.study.blocks import order_blocks
from workbench.study.profile import profile
from workbench.study.structure import structure
from workbench.study.study import Study
from workbench.study.trend import trend

__all__ = ["FAST", "READERS", "SLOW", "Reading", "price_words", "reading"]

#: Lengths of the two averages, in bars.
FAST, SLOW = 9, 21


class Reading(NamedTuple):
    """What bars tell.

    Attributes
    ----------
    value : DataFrame
        Averages by time, or the table of a study.
    words : str
    """

    value: pd.DataFrame
    words: str


def reading(warmup: Warmup, rows: Rows, symbol: str = "") -> Reading:
    """Return what a warm-up computes from bars.

    Parameters
    ----------
    warmup : Warmup
    rows : array of BAR
        Closed bars, oldest first, no more than the warm-up wants; fewer tell less, and the
        words begin with how many there are.
    symbol : str
        In our spelling; empty for a market in UTC.

    Raises
    ------
    ValueError
        If there is no bar, or one that is none.

    Examples
    --------
    >>> from workbench.history.warmups import warmup
    >>> from workbench.records import empty
    >>> rows = empty("bar", 15)
    >>> rows["time"], rows["timeframe"] = np.arange(15) * 60 * 10**9, 60
    >>> for name in ("open", "high", "low", "close"):
    ...     rows[name] = np.arange(100.0, 115.0)
    >>> reading(warmup("M1_StatisticalTrend"), rows).words
    'uptrend, t=inf'
    """
    if not len(rows):
        raise ValueError("there are no bars to read")
    value, words = READERS[warmup.feeds](rows, symbol, warmup.bars)
    if len(rows) < warmup.bars:
        words = f"{len(rows)} of {warmup.bars} bars: {words}"
    return Reading(value, words)


def _averages(rows: Rows, symbol: str, bars: int) -> Reading:
    close = np.ascontiguousarray(rows["close"])
    columns = {}
    for length in (FAST, SLOW):
        indicator = ema(length)
        columns[indicator.keys[0]] = indicator.values(close)[:, 0]
    value = pd.DataFrame(columns, index=utc(rows["time"], "time"))
    fast, slow = (float(column[-1]) for column in columns.values())
    if math.isnan(slow):
        return Reading(value, f"too few for EMA {SLOW}")
    side = "above" if fast > slow else "below" if fast < slow else "at"
    return Reading(value, f"EMA {FAST} {side} {SLOW}")


def _structure(rows: Rows, symbol: str, bars: int) -> Reading:
    table = _table(structure(), rows, symbol)
    sides = {"up": "bullish structure", "down": "bearish structure"}
    breaks = table[table["kind"] == "break"]
    trend_word = str(breaks["trend"].iloc[-1]) if len(breaks) else ""
    labels = []
    for kind in ("swing high", "swing low"):
        swings = table.loc[table["kind"] == kind, "label"]
        if len(swings) and swings.iloc[-1]:
            labels.append(str(swings.iloc[-1]))
    words = sides.get(trend_word, "no break of structure yet")
    return Reading(table, f"{words}: {'/'.join(labels)}" if labels else words)


def _trend(rows: Rows, symbol: str, bars: int) -> Reading:
    table = _table(trend(bars), rows, symbol)
    if table.empty:
        return Reading(table, "too few for a trend")
    last = table.iloc[-1]
    words = {"up": "uptrend", "down": "downtrend"}.get(str(last["direction"]), "no trend")
    return Reading(table, f"{words}, t={float(last['t']):.1f}")


def _nodes(rows: Rows, symbol: str, bars: int) -> Reading:
    # The profile speaks when its window is full: a short one reads what there is.
    table = _table(profile(length=min(bars, len(rows))), rows, symbol)
    area, nodes = table[table["kind"] == "value area"], int((table["kind"] == "HVN").sum())
    if area.empty:
        return Reading(table, "no volume")
    poc = price_words(float(area["peak_now"].iloc[-1]))
    return Reading(table, f"POC {poc}, {nodes} HVN {'zone' if nodes == 1 else 'zones'}")


def _blocks(rows: Rows, symbol: str, bars: int) -> Reading:
    table = _table(order_blocks(), rows, symbol)
    kinds = table.loc[table["mitigated"].isna(), "kind"].astype(str).tolist()
    parts = [f"{kinds.count(kind)} {kind}" for kind in ("bullish", "bearish") if kind in kinds]
    if not parts:
        return Reading(table, "no open order block")
    noun = "order block" if len(kinds) == 1 else "order blocks"
    return Reading(table, f"{' and '.join(parts)} {noun} open")


#: By what a warm-up feeds: (bars, symbol, wanted bars) to a reading.
READERS: Mapping[Feeds, Callable[[Rows, str, int], Reading]] = {
    "ema": _averages,
    "structure": _structure,
    "trend": _trend,
    "nodes": _nodes,
    "blocks": _blocks,
}


def _table(study: Study, rows: Rows, symbol: str) -> pd.DataFrame:
    return study.over(rows, symbol)


def price_words(price: float) -> str:
    """Return a price to five significant digits.

    >>> price_words(64210.4), price_words(187.526), price_words(0.000012345)
    ('64,210', '187.53', '0.00001234')
    """
    if not price > 0 or math.isinf(price):
        return f"{price:g}"
    return f"{price:,.{max(0, min(8, 4 - math.floor(math.log10(price))))}f}"
