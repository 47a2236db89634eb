"""Aggregates: bars of any length, read from base bars page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.records import BAR, Rows
from workbench.sim.aggregates import MINUTE, merge
from workbench.sim.history import Base, History
from workbench.sim.hours import SECOND, day_bounds, eastern_date, next_date
from workbench.sim.request import ApiError, Request, choice, flag, limited, pack_cursor, span_of
from workbench.sim.wire import mean_price
from workbench.symbols import asset_class

__all__ = ["Buckets", "Page", "aggregates", "bar_fields", "page", "previous", "previous_day"]

_MS = 1_000_000
_INTRADAY = {"second": SECOND, "minute": MINUTE, "hour": 60 * MINUTE}
_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
#: Longest multiplier we take; a bucket longer than that is a mistake.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """Cut time into windows of some units.

    Seconds, minutes and hours count from the epoch; days, weeks (from Sunday), months,
    quarters and years start at midnight Eastern.

    Attributes
    ----------
    unit : str
    count : int
        Units in a window.
    """

    unit: str
    count: int

    @property
    def base(self) -> Base:
        """The bars that windows are built from."""
        if self.unit == "second":
            return "second"
        return "minute" if self.unit in _INTRADAY else "day"

    def window(self, time: int) -> tuple[int, int]:
        """Return start and end of the window that holds a time, ns."""
        if self.unit in _INTRADAY:
            length = self.count * _INTRADAY[self.unit]
            start = time // length * length
            return start, start + length
        first = _first_date(eastern_date(time), self.unit, self.count)
        return day_bounds(first)[0], day_bounds(next_date(first, self.unit, self.count))[0]

    def starts(self, rows: Rows) -> Any:
        """Return the start of the window of each base bar."""
        if self.unit in _INTRADAY:
            length = self.count * _INTRADAY[self.unit]
            return rows["time"] // length * length
        return np.array([self.window(time)[0] for time in rows["time"].tolist()], np.int64)


@lru_cache(maxsize=65_536)
def _first_date(day: date, unit: str, count: int) -> date:
    """Return the first day of the window that holds a day."""
    if unit == "day":
        return day - timedelta(days=day.toordinal() % count)
    if unit == "week":
        # Ordinal 0 would have been a Sunday.
        return day - timedelta(days=day.toordinal() % (7 * count))
    months = count * {"month": 1, "quarter": 3, "year": 12}[unit]
    index = day.year * 12 + day.month - 1
    index -= index % months
    return date(max(index // 12, 1), index % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of bars.

    Attributes
    ----------
    rows : array of BAR
        Oldest first.
    read : int
        Base bars that were read.
    more : tuple of int or None
        Span of the next page, ns; None at the end.
    """

    rows: Rows
    read: int
    more: tuple[int, int] | None


def page(
    history: History,
    symbol: str,
    buckets: Buckets,
    span: tuple[int, int],
    limit: int,
    *,
    backward: bool,
) -> Page:
    """Read at most `limit` base bars of [start, end) and build whole windows from them.

    Windows at the edges of the span are whole too. A window that the limit cuts is left to
    the next page, unless it would be the only one.
    """
    start, end = buckets.window(span[0])[0], buckets.window(span[1] - 1)[1]
    known = history.known()
    runs: list[Rows] = []
    count = 0
    for rows in history.base_bars(symbol, buckets.base, (start, end), known, backward=backward):
        if not len(rows):
            continue
        runs.append(rows)
        count += len(rows)
        if count > limit and _whole(buckets, runs, backward):
            break
    if not runs:
        return Page(np.zeros(0, BAR), 0, None)
    base = np.concatenate(runs[::-1] if backward else runs)
    starts = buckets.starts(base)
    keep = _kept(starts, limit, backward)
    chosen, marks = base[keep], starts[keep]
    more: tuple[int, int] | None = None
    if len(chosen) < len(base):
        more = (start, int(marks[0])) if backward else (buckets.window(int(marks[-1]))[1], end)
    return Page(_build(buckets, chosen, marks), len(chosen), more)


def _kept(starts: Any, limit: int, backward: bool) -> slice:
    """Return which base bars make whole windows within the limit, at least one window."""
    n = len(starts)
    if n <= limit:
        return slice(0, n)
    if backward:
        cut = n - limit
        edge = int(np.searchsorted(starts, starts[cut - 1], "right"))
        if edge == n:
            edge = int(np.searchsorted(starts, starts[-1], "left"))
        return slice(edge, n)
    edge = int(np.searchsorted(starts, starts[limit], "left"))
    if edge == 0:
        edge = int(np.searchsorted(starts, starts[0], "right"))
    return slice(0, edge)


def _whole(buckets: Buckets, runs: list[Rows], backward: bool) -> bool:
    """Return whether more than one window was read, so that one of them is complete."""
    first, last = (runs[-1], runs[0]) if backward else (runs[0], runs[-1])
    oldest, newest = int(first["time"][0]), int(last["time"][-1])
    return buckets.window(oldest) != buckets.window(newest)


def _build(buckets: Buckets, base: Rows, starts: Any) -> Rows:
    if buckets.count == 1 and buckets.unit == buckets.base:
        return base
    firsts = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1)).tolist()
    ends = [*firsts[1:], len(base)]
    made = []
    for first, end in zip(firsts, ends, strict=True):
        start, stop = buckets.window(int(starts[first]))
        made.append(merge(base[first:end], start, stop - start))
    return np.concatenate(made)


def bar_fields(row: np.void, *, whole: bool) -> dict[str, Any]:
    """Return a bar as the provider's fields.

    Parameters
    ----------
    row : one record of BAR
    whole : bool
        Whether volumes are whole shares.
    """
    volume = float(row["volume"])
    return {
        "v": int(volume) if whole and volume == int(volume) else volume,
        "vw": mean_price(float(row["vwap"])),
        "o": float(row["open"]),
        "c": float(row["close"]),
        "h": float(row["high"]),
        "l": float(row["low"]),
        "t": int(row["time"]) // _MS,
        "n": int(row["count"]),
    }


def aggregates(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}`."""
    ticker, multiplier, unit, first, last = parts
    if unit not in _UNITS:
        raise ApiError(400, "ERROR", text=f"timespan {unit[:40]!r} is not {', '.join(_UNITS)}")
    if not multiplier.isdecimal() or not 1 <= int(multiplier) <= _MOST:
        raise ApiError(400, "ERROR", text=f"multiplier {multiplier[:40]!r} is not 1 to {_MOST}")
    start, end = span_of("from", first, _MS)[0], span_of("to", last, _MS)[1]
    if end <= start:
        raise ApiError(400, "ERROR", text="'to' is before 'from'")
    query = request.query
    limit, backward = limited(query, 5000, 50_000), choice(query, "sort", ("asc", "desc")) == "desc"
    adjusted = flag(query, "adjusted", True)
    symbol = history.symbol(ticker)
    found = Page(np.zeros(0, BAR), 0, None)
    if symbol is not None:
        buckets = Buckets(unit, int(multiplier))
        found = page(history, symbol, buckets, (start, end), limit, backward=backward)
    body = _body(ticker, adjusted, found, backward)
    if found.more is not None:
        cursor = {"adjusted": str(adjusted).lower(), "limit": limit}
        cursor["sort"] = "desc" if backward else "asc"
        edges = [str(found.more[0] // _MS), str(found.more[1] // _MS - 1)]
        edges = [first, edges[1]] if backward else [edges[0], last]
        path = "/".join(("/v2/aggs/ticker", ticker, "range", multiplier, unit, *edges))
        body["next_url"] = f"{request.base}{path}?cursor={pack_cursor(cursor)}"
    return body


def previous(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/aggs/ticker/{ticker}/prev`: the last finished day."""
    (ticker,) = parts
    adjusted = flag(request.query, "adjusted", True)
    symbol = history.symbol(ticker)
    found = Page(np.zeros(0, BAR), 0, None)
    if symbol is not None:
        row = previous_day(history, symbol)
        found = Page(row, len(row), None)
    body = _body(ticker, adjusted, found, backward=False)
    for result in body.get("results", ()):
        result["T"] = ticker
    return body


def previous_day(history: History, symbol: str) -> Rows:
    """Return the bar of the last day before today that has one, or no row."""
    known = history.known()
    today = eastern_date(known)
    for back in range(1, 11):
        row = history.day(symbol, today - timedelta(days=back), known)
        if len(row):
            return row
    return np.zeros(0, BAR)


def _body(ticker: str, adjusted: bool, found: Page, backward: bool) -> dict[str, Any]:
    n = len(found.rows)
    body: dict[str, Any] = {"ticker": ticker, "queryCount": found.read, "resultsCount": n}
    body |= {"adjusted": adjusted}
    if n:
        whole = asset_class(ticker) == "stocks"
        rows = found.rows[::-1] if backward else found.rows
        body["results"] = [bar_fields(row, whole=whole) for row in rows]
    return body | {"status": "OK", "count": n}
