"""The last prices of all symbols as a table."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workbench.bars.timebars import BarBuilder
from workbench.flow.recent import Recent
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

__all__ = ["DAY", "prices"]

DAY = timeframe("1d")
_COLUMNS = ("symbol", "price", "time", "bid", "ask", "spread", "open", "high", "low", "volume")


def prices(
    names: Iterable[str], table: SymbolTable, builder: BarBuilder, quotes: Recent
) -> pd.DataFrame:
    """Return a row for each symbol: last trade, last quote, and the day so far.

    Parameters
    ----------
    names : iterable of str
    table : SymbolTable
    builder : BarBuilder
        Builds day bars of every symbol.
    quotes : Recent
    """
    rows = []
    for name in names:
        number = table.id(name)
        trade = builder.last(number)
        quote = quotes.last(number)
        day = builder.forming(number, DAY)
        time, price = trade if trade else (0, np.nan)
        bid, ask = (quote["bid"][0], quote["ask"][0]) if len(quote) else (np.nan, np.nan)
        first, high, low, volume = (
            day[["open", "high", "low", "volume"]][-1].item() if len(day) else (np.nan,) * 4
        )
        rows.append((name, price, time, bid, ask, ask - bid, first, high, low, volume))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS)).set_index("symbol")
    times = frame["time"].to_numpy(np.int64)
    times = np.where(times > 0, times, np.iinfo(np.int64).min)  # not a time
    frame["time"] = pd.DatetimeIndex(times.view("M8[ns]")).tz_localize("UTC")
    frame["change"] = frame["price"] - frame["open"]
    frame["change_percent"] = 100 * frame["change"] / frame["open"]
    return frame
