"""Market sessions: when a market is open before, during and after its regular hours.

New York's sessions come from the exchange calendar XNYS of `exchange_calendars`, holidays,
early closes and summer time included; what trades round the clock has UTC days.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, overload
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.sessions import NEW_YORK
from workbench.symbols import asset_class

__all__ = [
    "SESSIONS",
    "SPANS",
    "Edges",
    "Expectation",
    "Session",
    "edges",
    "edges_between",
    "expectation",
    "fixed_session",
    "is_market_open",
    "market_session",
    "round_the_clock",
    "session_edges",
]

Session = Literal["pre", "regular", "after", "closed"]
#: What a time is in, by number.
SESSIONS: tuple[Session, ...] = ("pre", "regular", "after", "closed")
#: What to expect of a feed: data all the time, now and then, or none.
Expectation = Literal["real-time", "limited", "closed"]
#: What bars by the calendar cover: one session of a day, all three of it, and the regular
#: sessions of a week or month.
SPANS = ("pre", "regular", "after", "extended", "day", "week", "month")

_Times = npt.NDArray[np.int64]
_Columns = tuple[npt.NDArray[np.datetime64], _Times, _Times, _Times, _Times]
_DAY = 86_400_000_000_000
_HOUR = 3_600_000_000_000
_FIRST, _LAST = 1962, 2100


@dataclass(frozen=True, slots=True)
class Edges:
    """Spans of time, in order, without overlap.

    Attributes
    ----------
    labels : datetime64[D] array
        The trading day; of weeks their Monday, of months their first day.
    opens, closes : int64 arrays
        ns UTC; a span holds its open and not its close.
    """

    labels: npt.NDArray[np.datetime64]
    opens: _Times
    closes: _Times

    def find(self, times: _Times) -> npt.NDArray[np.int64]:
        """Return the number of the span that holds each time, -1 for none."""
        at = np.searchsorted(self.opens, times, side="right").astype(np.int64) - 1
        held = (at >= 0) & (times < self.closes[at]) if len(self.opens) else at >= 0
        return np.where(held, at, -1)


def round_the_clock(symbol: str) -> bool:
    """Tell whether a symbol trades in UTC days without sessions.

    >>> round_the_clock("BTC-USD"), round_the_clock("AAPL")
    (True, False)
    """
    return asset_class(symbol) in ("crypto", "forex")


@lru_cache(maxsize=256)
def edges(symbol: str, kind: str, year: int) -> Edges:
    """Return the spans of a kind whose label is in a year.

    Parameters
    ----------
    symbol : str
        Crypto and forex pairs trade in UTC days of 24 hours, all others in New York.
    kind : str
        One of SPANS. Local times are: pre 04:00-09:30, regular 09:30-16:00 or the early
        close, after from there to 20:00, or 17:00 after an early close; extended 04:00 to
        the end of after; day is the regular session; week (from Monday) and month run from
        the first open to the last close of their regular sessions. Round the clock, regular,
        extended and day are all the UTC day, and there is no pre and after.
    year : int
        From 1962 to 2100.

    Raises
    ------
    ValueError
        If there is no such kind or the year is out of range.
    """
    if kind not in SPANS:
        raise ValueError(f"no span {kind!r}: there are {', '.join(SPANS)}")
    if not _FIRST <= year <= _LAST:
        raise ValueError(f"sessions are known from {_FIRST} to {_LAST}, not for {year}")
    # A week may begin in the year before, and end in the year after.
    days, opens, closes, early, ends = _days(round_the_clock(symbol), year)
    if kind in ("week", "month"):
        labels = _labels(days, kind)
        first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        last = np.r_[first[1:], len(labels)] - 1
        made = (labels[first], opens[first], closes[last])
    elif round_the_clock(symbol):
        some = slice(0, 0) if kind in ("pre", "after") else slice(None)
        made = (days[some], opens[some], closes[some])
    else:
        spans = {
            "pre": (early, opens),
            "regular": (opens, closes),
            "day": (opens, closes),
            "after": (closes, ends),
            "extended": (early, ends),
        }
        made = (days, *spans[kind])
    kept = made[0].astype("M8[Y]") == np.datetime64(str(year), "Y")
    result = Edges(*(column[kept] for column in made))
    for column in (result.labels, result.opens, result.closes):
        column.flags.writeable = False
    return result


def _labels(days: npt.NDArray[np.datetime64], kind: str) -> npt.NDArray[np.datetime64]:
    if kind == "month":
        return days.astype("M8[M]").astype("M8[D]")
    number = days.astype(np.int64)
    monday: npt.NDArray[np.datetime64] = (number - (number + 3) % 7).astype("M8[D]")
    return monday


@lru_cache(maxsize=64)
def _days(clock_round: bool, year: int) -> _Columns:
    """Return days, opens, closes, early opens and late ends, ten days beyond a year."""
    start, end = date(year, 1, 1) - timedelta(days=10), date(year, 12, 31) + timedelta(days=10)
    if clock_round:
        days = np.arange(np.datetime64(start), np.datetime64(end) + 1)
        opens = days.astype("M8[ns]").astype(np.int64)
        return days, opens, opens + _DAY, opens, opens + _DAY
    schedule = _exchange(1 + year // 20 * 20 - 21).loc[str(start) : str(end)]
    days = schedule.index.to_numpy().astype("M8[D]")
    opens, closes = (
        pd.DatetimeIndex(schedule[name]).as_unit("ns").asi8 for name in ("open", "close")
    )
    zone = ZoneInfo(NEW_YORK)
    at = [datetime(d.year, d.month, d.day, tzinfo=zone) for d in days.astype(object)]
    four = np.array([round(d.replace(hour=16).timestamp()) for d in at], np.int64) * 10**9
    # No day the clocks change is a trading day: twelve hours back it is four in the morning.
    early = four - 12 * _HOUR
    # The listed markets run their late session to 20:00, and to 17:00 after an early close.
    ends = np.where(closes < four, four + _HOUR, four + 4 * _HOUR)
    return days, np.asarray(opens), np.asarray(closes), early, ends


@lru_cache(maxsize=8)
def _exchange(first: int) -> Any:
    """Return the sessions of two score years and a bit."""
    # Imported here: it takes long to load, and only markets with sessions need it.
    import exchange_calendars

    with warnings.catch_warnings():
        # It reads `Series.values` of times with a zone, about which pandas from 3.1 on warns.
        warnings.filterwarnings("ignore", message=r"Series\.values", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"Series\.values", category=DeprecationWarning)
        calendar = exchange_calendars.get_calendar(
            "XNYS", start=f"{max(first, _FIRST - 1)}-01-01", end=f"{first + 45}-01-31"
        )
    return calendar.schedule


def _years(low: int, high: int) -> Iterable[int]:
    first, last = (
        int(np.datetime64(t, "ns").astype("M8[Y]").astype(int)) + 1970 for t in (low, high)
    )
    return range(first, last + 1)


def edges_between(symbol: str, kind: str, low: int, high: int) -> Edges:
    """Return the spans of a kind that touch a range of times, and some around it.

    Parameters
    ----------
    symbol, kind : str
        As of :func:`edges`.
    low, high : int
        ns UTC. The next span after `high` is among them.

    Raises
    ------
    ValueError
        If no session is known there.
    """
    parts = [
        edges(symbol, kind, year)
        for year in _years(low - 8 * _DAY, high + 40 * _DAY)
        if _FIRST <= year <= _LAST
    ]
    if not parts:
        raise ValueError(f"sessions are known from {_FIRST} to {_LAST} only")
    return Edges(
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.opens for p in parts]),
        np.concatenate([p.closes for p in parts]),
    )


def session_edges(symbol: str, start: int, end: int, kind: str = "day") -> pd.DataFrame:
    """Return the sessions of a market between two times.

    Parameters
    ----------
    symbol : str
    start, end : int
        ns UTC; spans that have any moment from `start` on and before `end`.
    kind : str
        One of SPANS, see :func:`edges`.

    Returns
    -------
    pandas.DataFrame
        Columns label (datetime64[s]: the trading day, the Monday of a week, the first of a
        month), open and close (int64 ns UTC).

    Examples
    --------
    >>> day = 86_400 * 10**9
    >>> table = session_edges("BTC-USD", 0, 2 * day)
    >>> table["open"].tolist()
    [0, 86400000000000]
    """
    if not start < end:
        return pd.DataFrame({"label": np.zeros(0, "M8[s]"), "open": _none(), "close": _none()})
    found = edges_between(symbol, kind, start, end)
    kept = (found.closes > start) & (found.opens < end)
    return pd.DataFrame(
        {
            "label": found.labels[kept].astype("M8[s]"),
            "open": found.opens[kept],
            "close": found.closes[kept],
        }
    )


def _none() -> _Times:
    return np.zeros(0, np.int64)


@overload
def market_session(time_ns: int, symbol: str) -> Session:
    """Return the session of one time."""


@overload
def market_session(time_ns: _Times, symbol: str) -> npt.NDArray[np.str_]:
    """Return the session of each time."""


def market_session(time_ns: int | _Times, symbol: str) -> Session | npt.NDArray[np.str_]:
    """Return the session of a market that a time is in.

    Parameters
    ----------
    time_ns : int or int64 array
        ns UTC.
    symbol : str
        Crypto and forex pairs are always in "regular".

    Returns
    -------
    "pre", "regular", "after" or "closed", or an array of them

    Examples
    --------
    >>> noon = 1_762_189_200 * 10**9  # 2025-11-03 12:00 in New York
    >>> market_session(noon, "AAPL"), market_session(noon + 86_400 * 5 * 10**9, "AAPL")
    ('regular', 'closed')
    >>> market_session(np.array([noon, noon + 5 * 3600 * 10**9]), "AAPL").tolist()
    ['regular', 'after']
    """
    times = np.atleast_1d(np.asarray(time_ns, np.int64))
    numbers = np.full(len(times), 3, np.int64)
    if len(times):
        low, high = int(times.min()), int(times.max())
        for number, kind in enumerate(SESSIONS[:3]):
            numbers[edges_between(symbol, kind, low, high).find(times) >= 0] = number
    if np.ndim(time_ns) == 0:
        return SESSIONS[int(numbers[0])]
    return np.array(SESSIONS)[numbers]


def is_market_open(symbol: str, at: int, *, extended: bool = False) -> bool:
    """Tell whether a market is open at a time.

    Parameters
    ----------
    symbol : str
        Crypto and forex pairs are always open.
    at : int
        ns UTC.
    extended : bool
        Whether the sessions before and after the regular one count.

    Examples
    --------
    >>> evening = 1_762_207_200 * 10**9  # 2025-11-03 17:00 in New York
    >>> is_market_open("AAPL", evening), is_market_open("AAPL", evening, extended=True)
    (False, True)
    """
    session = market_session(at, symbol)
    return session == "regular" or (extended and session != "closed")


def expectation(symbol: str, at: int) -> Expectation:
    """Return what to expect of a feed at a time.

    In the regular session data come in real time, and silence is a fault. Before and after it
    they are limited: trades are few, and silence proves nothing. While the market is closed
    there are none, and what is shown is refreshed from history.

    Parameters
    ----------
    symbol : str
    at : int
        ns UTC.

    Examples
    --------
    >>> evening = 1_762_207_200 * 10**9  # 2025-11-03 17:00 in New York
    >>> [expectation("AAPL", evening + hours * 3600 * 10**9) for hours in (-3, 0, 4)]
    ['real-time', 'limited', 'closed']
    >>> expectation("BTC-USD", evening)
    'real-time'
    """
    session = market_session(at, symbol)
    if session == "regular":
        return "real-time"
    return "closed" if session == "closed" else "limited"


def fixed_session(time_ns: int) -> Session:
    """Return the session by a fixed table in UTC, for venues without a calendar.

    Regular from 13:30 to 21:00, pre from 09:00, after until 01:00, every day of the week.

    Parameters
    ----------
    time_ns : int
        ns UTC.

    Examples
    --------
    >>> [fixed_session(hour * 3600 * 10**9) for hour in (0, 3, 9, 14, 22)]
    ['after', 'closed', 'pre', 'regular', 'after']
    """
    minute = time_ns % _DAY // 60_000_000_000
    if 13 * 60 + 30 <= minute < 21 * 60:
        return "regular"
    if 9 * 60 <= minute < 13 * 60 + 30:
        return "pre"
    return "after" if minute >= 21 * 60 or minute < 60 else "closed"
