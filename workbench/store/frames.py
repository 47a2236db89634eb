"""Rows as DataFrames, and times as people write them."""

from __future__ import annotations

from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.records import Kind, Rows

__all__ = ["When", "dataframe", "nanoseconds", "quote_frame", "utc"]

#: A moment: ISO text, a date, datetime, Timestamp or datetime64, or int ns since the epoch.
When: TypeAlias = "int | str | date | np.datetime64"

#: Fields that become columns, in this order. The exact remains of sums stay with the rows.
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "trade": ("price", "size", "side", "exchange", "sequence", "id", "conditions", "flags"),
    "quote": ("bid", "bid_size", "ask", "ask_size", "bid_exchange", "ask_exchange", "sequence"),
    "bar": (
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
        "count",
        "notional",
        "revision",
        "state",
        "origin",
    ),
}


def utc(times: npt.NDArray[np.int64], name: str | None = None) -> pd.DatetimeIndex:
    """Return times in ns since the epoch as a UTC index with ns resolution.

    >>> utc(np.array([1_000_000_000], np.int64), "time")
    DatetimeIndex(['1970-01-01 00:00:01+00:00'], dtype='datetime64[ns, UTC]', name='time', freq=None)
    """  # noqa: E501
    stamps = np.ascontiguousarray(times, np.int64).view("M8[ns]")
    return pd.DatetimeIndex(stamps, name=name).tz_localize("UTC")


def dataframe(kind: Kind, rows: Rows) -> pd.DataFrame:
    """Return rows of one series as a DataFrame indexed by UTC time.

    Parameters
    ----------
    kind : "trade", "quote" or "bar"
    rows : structured array of that kind's dtype

    Returns
    -------
    pandas.DataFrame
        Index "time" (a bar's start) with ns resolution; columns as in the record, in the
        record's units. Trades and quotes have `received` as UTC times too; `side` is 1
        bought, -1 sold, 0 not told; `state` is 2 closed, 3 revised; `origin` is 0 built here
        from trades, 1 sent by the provider.

    Examples
    --------
    >>> from workbench.records import empty
    >>> list(dataframe("quote", empty("quote")).columns)[:4]
    ['bid', 'bid_size', 'ask', 'ask_size']
    """
    columns: dict[str, object] = {name: np.ascontiguousarray(rows[name]) for name in _COLUMNS[kind]}
    if kind != "bar":
        columns["received"] = utc(rows["received"])
    return pd.DataFrame(columns, index=utc(rows["time"], "time"))


def nanoseconds(when: When) -> int:
    """Return a moment in ns since the epoch, UTC.

    Parameters
    ----------
    when : int, str, date, datetime, pandas.Timestamp or numpy.datetime64
        An int is ns already. What names no zone is UTC; a date is its midnight.

    Raises
    ------
    ValueError
        If it is no moment between the years 1677 and 2262.

    Examples
    --------
    >>> nanoseconds("2025-11-03"), nanoseconds("2025-11-03 09:30-05:00"), nanoseconds(5)
    (1762128000000000000, 1762180200000000000, 5)
    """
    if isinstance(when, (int, np.integer)) and not isinstance(when, bool):
        if not -(1 << 63) <= int(when) < 1 << 63:
            raise ValueError(f"not a time in ns since the epoch: {when}")
        return int(when)
    if not isinstance(when, (str, date, np.datetime64)):
        raise ValueError(
            f"not a time: {when!r}; write ISO text such as '2025-11-03 14:30', a date, a "
            "datetime, a Timestamp, or int ns since the epoch"
        )
    try:
        stamp = pd.Timestamp(when).as_unit("ns")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"not a time: {str(when)[:60]!r} ({error})") from None
    if pd.isna(stamp):
        raise ValueError(f"not a time: {str(when)[:60]!r}")
    return int(stamp.value)


def quote_frame(rows: Rows) -> pd.DataFrame:
    """Return quotes as a frame with their spread.

    >>> from workbench.records import empty
    >>> quote_frame(empty("quote", 1))["spread"].isna().item()
    True
    """
    frame = dataframe("quote", rows)
    # A crossed or one-sided quote has no spread worth a number.
    good = (frame["bid"] > 0) & (frame["ask"] >= frame["bid"])
    frame.insert(4, "spread", (frame["ask"] - frame["bid"]).where(good))
    return frame
