"""Time bars of stored trades in one go."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bars.timebars import TF, BarBuilder
from workbench.kernels import batch
from workbench.kernels.barstate import SLOT
from workbench.records import BAR, TRADE, Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["time_bars"]

#: What of a trade its bar depends on.
_FIELDS = ("time", "price", "size", "sequence")
#: Bits of a trade's flags that restrict what it may set: see `conditions`.
_RESTRICTED = 2 | 4 | 8


def time_bars(trades: Rows | pd.DataFrame, name: Timeframe | str) -> Rows:
    """Build the bars of stored trades in one go.

    The bars are those that came out live, bit for bit, whatever the order of the trades was.

    Parameters
    ----------
    trades : array of TRADE, or DataFrame
        Accepted trades: rows of any symbols, or a DataFrame of one symbol as a store or a feed
        returns it: indexed by time, with price, size and (else all 0) sequence. Trades of one
        symbol in order of time are fastest.
        Flags that :func:`workbench.bars.conditions.marked` set are honoured.
    name : Timeframe or str

    Returns
    -------
    array of BAR
        The newest row of each bar, ordered by symbol and time. From a DataFrame, `symbol` is 0.

    Examples
    --------
    >>> times = pd.to_datetime([0, 30, 60], unit="s", utc=True)
    >>> trades = pd.DataFrame({"price": [10.0, 12.0, 11.0], "size": [1.0, 2.0, 1.0]}, times)
    >>> time_bars(trades, "1m")[["close", "volume", "count"]].tolist()
    [(12.0, 3.0, 2), (11.0, 1.0, 1)]
    """
    tf = timeframe(name)
    if "flags" in (trades if isinstance(trades, pd.DataFrame) else TRADE.names or ()):
        held = int(np.bitwise_or.reduce(np.asarray(trades["flags"], np.uint8), initial=0))
        if held & _RESTRICTED:
            return _marked(trades, tf)
    if isinstance(trades, pd.DataFrame):
        columns, symbol = _columns(trades), 0
    elif len(trades) and (trades["symbol"] == trades["symbol"][0]).all():
        columns = {field: np.ascontiguousarray(trades[field]) for field in _FIELDS}
        symbol = int(trades["symbol"][0])
    else:
        return _routed(trades, tf)
    bars = _straight(columns, symbol, tf)
    if bars is not None:
        return bars
    if isinstance(trades, pd.DataFrame):
        rows = np.zeros(len(trades), TRADE)
        for field, column in columns.items():
            rows[field] = column
        trades = rows
    return _routed(trades, tf)


def _marked(trades: Rows | pd.DataFrame, tf: Timeframe) -> Rows:
    """Build bars of trades whose flags tell what they may not set."""
    from workbench.bars.tapebars import tape_bars  # which builds on this module

    if isinstance(trades, pd.DataFrame):
        rows = np.zeros(len(trades), TRADE)
        for field, column in _columns(trades).items():
            rows[field] = column
        rows["flags"] = trades["flags"].to_numpy(np.uint8)
        trades = rows
    return tape_bars(trades, tf)[0]


def _columns(trades: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    index = trades.index
    if not isinstance(index, pd.DatetimeIndex):
        raise TypeError(f"trades must be indexed by time, not by {type(index).__name__}")
    if index.unit != "ns":
        index = index.as_unit("ns")
    columns: dict[str, npt.NDArray[Any]] = {"time": np.asarray(index.asi8)}
    for field in ("price", "size"):
        columns[field] = np.ascontiguousarray(trades[field].to_numpy(np.float64))
    if "sequence" in trades:
        columns["sequence"] = np.ascontiguousarray(trades["sequence"].to_numpy(np.uint64))
    else:
        columns["sequence"] = np.zeros(len(trades), np.uint64)
    return columns


def _straight(columns: dict[str, npt.NDArray[Any]], symbol: int, tf: Timeframe) -> Rows | None:
    """Build bars from columns of one symbol; None if they are not in order."""
    times, price, size, sequence = (columns[field].view() for field in _FIELDS)
    for column in (times, price, size, sequence):
        column.flags.writeable = False  # one compiled kernel serves both kinds of array
    row = np.zeros(1, TF)
    row["length"], row["origin"], row["seconds"] = tf.ns, tf.origin, tf.seconds
    room = min(len(times), (int(times[-1]) - int(times[0])) // tf.ns + 2) if len(times) else 0
    if room < 1 and len(times):
        return None
    out = np.zeros(min(room, 1 << 22), BAR)  # only what is written takes memory
    work = np.zeros(1, SLOT)
    parts = [out[:0]]
    start = 0
    while start < len(times):
        start, n = batch.fill(times, price, size, sequence, start, row[0], symbol, work[0], out)
        if start < 0:
            return None
        parts.append(out[:n].copy() if start < len(times) else out[:n])
    return parts[-1] if len(parts) < 3 else np.concatenate(parts)


def _routed(trades: Rows, tf: Timeframe) -> Rows:
    builder = BarBuilder([tf])
    bars = np.concatenate([builder.add(trades), builder.finish()])
    if builder.overdue:  # far out of order
        return time_bars(trades[np.argsort(trades["time"], kind="stable")], tf)
    order = np.lexsort((bars["revision"], bars["time"], bars["symbol"]))
    bars = bars[order]
    last = np.ones(len(bars), bool)
    last[:-1] = (np.diff(bars["time"]) != 0) | (np.diff(bars["symbol"]) != 0)
    return bars[last]
