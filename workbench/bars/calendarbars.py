"""Bars by the exchange's calendar: sessions, trading days, weeks and months."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bars.batchbars import time_bars
from workbench.bars.foldedbars import FoldedBars
from workbench.bars.folding import bar_rows, checked_bars, fold_spans, newest_bars, straddles
from workbench.bars.kinds import BarKind, bar_kind
from workbench.calendar import edges_between
from workbench.errors import UnknownTimeframeError
from workbench.kernels.folding import NEVER
from workbench.records import BAR, TRADE, Rows

__all__ = ["CalendarBars", "CalendarSpans", "calendar_bars"]

_Times = npt.NDArray[np.int64]
#: All sessions begin and end on a minute: trades become minutes first.
_BASE = "1m"
_FOREVER = np.int64(1 << 62)


class CalendarSpans:
    """The spans of a market's calendar.

    Parameters
    ----------
    kind : str or BarKind
        Such as "session:day".
    symbol : str
        Tells the market.

    Raises
    ------
    UnknownTimeframeError
        If there is no such kind.

    Examples
    --------
    >>> spans = CalendarSpans("session:day", "BTC-USD")
    >>> [each.tolist() for each in spans.bounds(np.array([5 * 10**9]))]
    [[0], [86400000000000]]
    """

    def __init__(self, kind: str | BarKind, symbol: str) -> None:
        read = bar_kind(kind)
        if not isinstance(read, BarKind) or read.family != "session":
            raise UnknownTimeframeError(
                f"{kind!r} is no bar by the calendar: write session:pre, session:regular, "
                "session:after, session:day, session:week or session:month"
            )
        self._span = read.choice
        self.name = read.name
        self.code = read.code
        self.symbol = symbol

    def bounds(self, times: _Times) -> tuple[_Times, _Times]:
        """Return start and end of the span that holds each time, ns.

        Where none does: NEVER, and the start of the next one.
        """
        if not len(times):
            return times, times
        known = edges_between(self.symbol, self._span, int(times.min()), int(times.max()))
        at = known.find(times)
        held = at >= 0
        following = np.searchsorted(known.opens, times, side="right")
        opens, closes = np.append(known.opens, NEVER), np.append(known.closes, _FOREVER)
        starts = np.where(held, opens[at], NEVER)
        opens[-1] = _FOREVER
        return starts, np.where(held, closes[at], opens[following])


def calendar_bars(
    rows: Rows | pd.DataFrame, kind: str | BarKind, symbol: str, *, base: str | None = None
) -> Rows:
    """Build bars by the calendar from trades, or from smaller bars.

    The bars from trades, from bars of those trades and from bars of bars are equal bit for
    bit. What falls between sessions is in no bar. Weeks and months hold regular sessions
    only, as days do.

    Parameters
    ----------
    rows : array of TRADE or BAR, or DataFrame
        Of one symbol: trades in any order; closed bars of a timeframe that divides the
        sessions, such as 1m or 30m, the newest revision of each counting; a DataFrame of
        either, with a column price or open.
    kind : str or BarKind
        "session:pre", "session:regular", "session:after", "session:day", "session:week" or
        "session:month".
    symbol : str
        Tells the market: crypto and forex have UTC days, all others New York's sessions.
    base : str, optional
        Timeframe of the bars of a DataFrame; None for no check that none crosses an edge.

    Returns
    -------
    array of BAR
        `time` is the open of the session, or of the first session of a week or month.

    Raises
    ------
    UnknownTimeframeError
        If there is no such kind, or a bar reaches over an edge of it.
    ValueError
        If rows are of several symbols, or no bars.

    Examples
    --------
    >>> trades = np.zeros(2, TRADE)
    >>> trades["time"], trades["price"], trades["size"] = [0, 86_400 * 10**9], [1.0, 2.0], 1.0
    >>> calendar_bars(trades, "session:month", "BTC-USD")[["open", "close", "count"]].tolist()
    [(1.0, 2.0, 2)]
    """
    spans = CalendarSpans(kind, symbol)
    if isinstance(rows, pd.DataFrame):
        rows = time_bars(rows, _BASE) if "price" in rows else bar_rows(rows, base)
    elif rows.dtype == TRADE:
        rows = time_bars(rows, _BASE)
    if not len(rows):
        return np.zeros(0, BAR)
    if (rows["symbol"] != rows["symbol"][0]).any():
        raise ValueError("bars by the calendar are of one symbol, and these rows are of several")
    rows = newest_bars(rows)
    starts, ends = spans.bounds(np.ascontiguousarray(rows["time"]))
    last = rows["time"] + rows["timeframe"].astype(np.int64) * 1_000_000_000
    wrong = np.flatnonzero(last > ends)
    if len(wrong):
        raise straddles(rows, int(wrong[0]), spans.name)
    return fold_spans(checked_bars(rows), starts, spans.code)


class CalendarBars:
    """Build bars by the calendar from closed bars of one series as they come.

    Parameters
    ----------
    kind : str or BarKind
        As of :func:`calendar_bars`.
    symbol : str

    Attributes
    ----------
    bars : FoldedBars
        What it runs on; its `overdue` and `outside` tell what is in no bar.

    Examples
    --------
    >>> hour = np.zeros(1, BAR)
    >>> hour["timeframe"], hour["volume"] = 3600, 2.0
    >>> days = CalendarBars("session:day", "BTC-USD")
    >>> days.add(hour).size, days.forming()["volume"].item()
    (0, 2.0)
    """

    def __init__(self, kind: str | BarKind, symbol: str) -> None:
        spans = CalendarSpans(kind, symbol)
        self.kind, self.symbol = spans.name, symbol
        self.bars = FoldedBars(spans)

    def __repr__(self) -> str:
        return f"CalendarBars({self.kind!r}, {self.symbol!r})"

    def add(self, bars: Rows) -> Rows:
        """Take closed and revised smaller bars, return what they close and revise."""
        return self.bars.add(bars)

    def advance(self, clock: int) -> Rows:
        """Return the bars whose session has ended by the market's time, ns UTC."""
        return self.bars.advance(clock)

    def forming(self, more: Rows | None = None) -> Rows:
        """Return the bars not closed, also looking at smaller ones that are forming."""
        return self.bars.forming(more)
