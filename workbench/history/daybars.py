"""Which session of a market each of a provider's bars of a day is about."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.calendar import edges_between, round_the_clock
from workbench.sessions import NEW_YORK
from workbench.store.frames import utc

__all__ = ["day_sessions"]

_NAT = np.iinfo(np.int64).min


def day_sessions(symbol: str, starts: npt.NDArray[np.int64] | pd.DatetimeIndex) -> pd.DataFrame:
    """Return for each of a provider's day bars the session it is of.

    The provider starts a day at midnight in New York, of crypto and forex pairs too. It is the
    civil day there, of 23 or 25 hours when the clocks change, and holds the trades before and
    after the regular session. Our own bars of a day ("session:day") hold the regular session;
    of what trades round the clock they are days of UTC, so that a provider's day bar covers
    parts of two of them.

    Parameters
    ----------
    symbol : str
        Tells the market.
    starts : int64 array or DatetimeIndex
        The times of day bars as they were fetched, ns UTC.

    Returns
    -------
    pandas.DataFrame
        A line for each bar, in the order given. Columns start; end: the next midnight there;
        day: the civil day in New York, datetime64[s]; open and close of the session whose
        trading day that is, NaT if there is none; early: whether it closes before 16:00 in New
        York; whole: whether the bar covers all of the session, from the first trade before its
        open to the last one after its close. Times are UTC.

    Raises
    ------
    ValueError
        If a time is not midnight in New York, or beyond the years whose sessions are known.

    Examples
    --------
    >>> bars = pd.DatetimeIndex(["2025-11-27 05:00", "2025-11-28 05:00"], tz="UTC")
    >>> found = day_sessions("SPY", bars)
    >>> found["open"].isna().tolist(), found["early"].tolist()
    ([True, False], [False, True])
    """
    if isinstance(starts, pd.DatetimeIndex):
        starts = starts.as_unit("ns").asi8
    times = np.asarray(starts, np.int64)
    local = pd.DatetimeIndex(utc(times)).tz_convert(NEW_YORK)
    days = local.tz_localize(None).to_numpy().astype("M8[D]")
    if not (local == local.normalize()).all():
        odd = local[local != local.normalize()][0]
        raise ValueError(f"a provider's day bar starts at midnight in New York, not at {odd}")
    nexts = pd.DatetimeIndex((days + 1).astype("M8[ns]")).tz_localize(NEW_YORK)
    ends = nexts.as_unit("ns").asi8
    opens, closes = np.full(len(times), _NAT), np.full(len(times), _NAT)
    early = whole = np.zeros(len(times), np.bool_)
    if len(times):
        low, high = int(times.min()), int(times.max())
        regular = edges_between(symbol, "day", low, high)
        extended = edges_between(symbol, "extended", low, high)
        at = np.searchsorted(regular.labels, days)
        at[at == len(regular.labels)] = 0
        held = regular.labels[at] == days
        opens[held], closes[held] = regular.opens[at[held]], regular.closes[at[held]]
        if not round_the_clock(symbol):
            early = held & (closes < _afternoon(days))
        whole = held & (extended.opens[at] >= times) & (extended.closes[at] <= ends)
    return pd.DataFrame(
        {
            "start": utc(times),
            "end": utc(ends),
            "day": days.astype("M8[s]"),
            "open": utc(opens),
            "close": utc(closes),
            "early": early,
            "whole": whole,
        }
    )


def _afternoon(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Return 16:00 in New York of civil days."""
    hours = pd.DatetimeIndex((days.astype("M8[h]") + 16).astype("M8[ns]"))
    return np.asarray(hours.tz_localize(NEW_YORK).as_unit("ns").asi8, np.int64)
