"""Massive's past: what to ask its REST interface for, and rows from the pages it answers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from workbench.errors import ConfigError
from workbench.records import BAR, CLOSED, QUOTE, TRADE, Batch, Kind, Rows
from workbench.sources.massive import NO_ID
from workbench.sources.massive_pages import PAGES, Wanted, unusable
from workbench.sources.massive_wire import Packs, decimal, id_number, sequences, shorts
from workbench.sources.source import Reject
from workbench.symbols import SymbolTable, asset_class, rest_ticker
from workbench.timeframes import Timeframe

__all__ = ["PAGE_ROWS", "MassiveRest", "Page", "PageCall", "base_seconds"]

#: Most base bars, trades or quotes that one call gives.
PAGE_ROWS = 50_000

_MS = 1_000_000
_RAW = 1000
#: Corrections that take a trade back: erroneous, cancelled, cancel and error records.
_CANCELS = (7, 8, 10, 11)
_SIDE = {1: -1, 2: 1}
_PLAIN = re.compile(r"[A-Za-z0-9.:\-_]")


@dataclass(frozen=True, slots=True)
class PageCall:
    """A GET request: path from the provider's base, and parameters. Holds no key."""

    path: str
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer held.

    Attributes
    ----------
    batch : Batch
        Rows within what was wanted, oldest first.
    next : str or None
        Address of the next page as the provider wrote it; None at the end.
    reached : int
        Up to this moment, ns, all that was wanted has come with this page; only for pages
        that are read oldest first.
    rejects : list of Reject
        Events that could not become rows.
    amended : array of TRADE
        Trades with a correction code; those that were taken back are not in the batch.
    codes : int64 array
        The code of each of them.
    """

    batch: Batch
    next: str | None
    reached: int
    rejects: list[Reject] = field(default_factory=list)
    amended: Rows = field(default_factory=lambda: np.zeros(0, TRADE))
    codes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def base_seconds(timeframe: Timeframe) -> int:
    """Return the length of the bars that the provider counts for a call, seconds.

    >>> from workbench.timeframes import timeframe
    >>> [base_seconds(timeframe(name)) for name in ("5s", "1m", "4h", "1w")]
    [1, 60, 60, 86400]
    """
    unit = _unit(timeframe)[1]
    return {"second": 1, "minute": 60, "hour": 60, "day": 86_400, "week": 86_400}[unit]


def _unit(timeframe: Timeframe) -> tuple[int, str]:
    seconds = timeframe.seconds
    for length, unit in ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % length == 0:
            return seconds // length, unit
    return seconds, "second"


class MassiveRest:
    """Speak Massive's REST interface for history: bars, trades and quotes.

    Bars carry origin 1. Times of trades and quotes are cut to whole ms, as its websocket
    tells them: so one trade has one key, whichever way it came, and it is that time which has to
    lie in the range that is asked for. Bars of days and weeks start where the provider lets them
    start, at midnight in New York.

    Parameters
    ----------
    table : SymbolTable or None
        Numbers for symbols; None makes a table of its own.
    adjusted : bool
        Whether bars are adjusted for splits.
    page_rows : int
        Base bars, trades or quotes to ask for at a time, 1 to 50,000.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from workbench.timeframes import timeframe
    >>> wanted = SimpleNamespace(kind="bar", symbol="BTC-USD", timeframe=timeframe("5m"),
    ...                          start=0, end=600 * 10**9)
    >>> rest = MassiveRest()
    >>> rest.first(wanted).path
    '/v2/aggs/ticker/X:BTCUSD/range/5/minute/0/599999'
    >>> body = b'{"status":"OK","resultsCount":1,"results":[{"t":0,"o":1,"h":2,"l":1,"c":2,"v":5}]}'
    >>> page = rest.read(wanted, body)
    >>> page.batch.rows["close"].tolist(), page.next, page.reached == wanted.end
    ([2.0], None, True)
    """

    name = "massive"

    def __init__(
        self,
        table: SymbolTable | None = None,
        *,
        adjusted: bool = True,
        page_rows: int = PAGE_ROWS,
    ) -> None:
        self.table = SymbolTable() if table is None else table
        self.page_rows = min(max(1, page_rows), PAGE_ROWS)
        self._adjusted = adjusted
        self._packs = Packs()

    def first(self, wanted: Wanted, *, newest: int | None = None) -> PageCall:
        """Return the call for the first page.

        Parameters
        ----------
        wanted : Wanted
        newest : int or None
            Read from the newest row back, so many rows a page (1 to 50,000); None reads from
            the oldest on, in the largest pages.
        """
        ticker = _quoted(rest_ticker(wanted.symbol))
        order = "asc" if newest is None else "desc"
        limit = self.page_rows if newest is None else newest
        if wanted.kind == "bar":
            if wanted.timeframe is None:
                raise ValueError("bars are asked for by timeframe")
            if newest is not None:  # the limit counts base bars, and a window is never cut
                limit = (newest + 1) * wanted.timeframe.seconds // base_seconds(wanted.timeframe)
            count, unit = _unit(wanted.timeframe)
            first, last = -(-wanted.start // _MS), (wanted.end - 1) // _MS
            path = f"/v2/aggs/ticker/{ticker}/range/{count}/{unit}/{first}/{last}"
            params = {"adjusted": str(self._adjusted).lower(), "sort": order}
        else:
            if wanted.kind == "quote" and asset_class(wanted.symbol) == "crypto":
                raise ConfigError(
                    f"{self.name} keeps no quotes of crypto pairs: ask for trades or bars",
                    symbol=wanted.symbol,
                    source=self.name,
                )
            path = f"/v3/{wanted.kind}s/{ticker}"
            first, end = (-(-time // _MS) * _MS for time in (wanted.start, wanted.end))
            params = {"timestamp.gte": str(first), "timestamp.lt": str(end)}
            params |= {"order": order, "sort": "timestamp"}
        params["limit"] = str(max(1, min(limit, PAGE_ROWS)))
        return PageCall(path, params)

    def read(
        self, wanted: Wanted, body: bytes, *, received: int = 0, backward: bool = False
    ) -> Page:
        """Return the rows of a page.

        Parameters
        ----------
        wanted : Wanted
        body : bytes
            As the provider answered, unpacked.
        received : int
            When it came, ns UTC.
        backward : bool
            Whether it was asked for from the newest row back.

        Raises
        ------
        DecodeError
            If it is cut, garbled, or not such a page.
        ProviderError
            If it is a refusal in the form of a good answer; AuthError for one about the plan.
        """
        page, events, rejects = PAGES[wanted.kind].open(body, wanted, received)
        make = {"bar": self._bars, "trade": self._trades, "quote": self._quotes}[wanted.kind]
        exact = _times(events, wanted)
        rows = make(events, exact, wanted)
        rows["symbol"] = self.table.id(wanted.symbol)
        if wanted.kind != "bar":
            rows["received"] = received
        if backward:
            rows, exact, events = rows[::-1], exact[::-1], events[::-1]
        if (np.diff(exact) < 0).any():
            raise unusable(wanted, "rows are not in order of time")
        reached = wanted.end if not page.next_url else _reached(wanted, exact)
        within = (rows["time"] >= wanted.start) & (rows["time"] < wanted.end)
        sound, codes = _sound(wanted.kind, rows), _codes(events)
        taken, told = np.isin(codes, _CANCELS), (codes != 0) & within & sound
        for refused, rule in ((within & ~sound, "price"), (within & sound & taken, "cancelled")):
            for row in np.flatnonzero(refused).tolist():
                raw = msgspec.json.encode(events[row])[:_RAW]
                rejects.append(Reject(rule, f"{wanted.kind} of {wanted.symbol}", raw, received))
        kept = rows[within & sound & ~taken]
        batch = Batch(wanted.kind, kept, wanted.timeframe)
        if wanted.kind != "trade":
            return Page(batch, page.next_url or None, reached, rejects)
        return Page(batch, page.next_url or None, reached, rejects, rows[told], codes[told])

    def _bars(self, events: list[Any], exact: npt.NDArray[np.int64], wanted: Wanted) -> Rows:
        assert wanted.timeframe is not None
        rows = np.zeros(len(events), BAR)
        rows["time"] = exact
        rows["open"] = [e.o for e in events]
        rows["high"] = [e.h for e in events]
        rows["low"] = [e.l for e in events]
        rows["close"] = [e.c for e in events]
        rows["volume"] = [e.v for e in events]
        vwap = np.array([e.vw or 0.0 for e in events], np.float64)
        typical = (rows["high"] + rows["low"] + rows["close"]) / 3
        rows["vwap"] = np.where(vwap > 0, vwap, typical)
        with np.errstate(over="ignore"):
            rows["notional"] = rows["vwap"] * rows["volume"]
        rows["count"] = [e.n or 0 for e in events]
        rows["timeframe"] = wanted.timeframe.seconds
        rows["state"] = CLOSED
        rows["origin"] = 1
        return rows

    def _trades(self, events: list[Any], exact: npt.NDArray[np.int64], wanted: Wanted) -> Rows:
        rows = np.zeros(len(events), TRADE)
        rows["time"] = exact // _MS * _MS
        rows["price"] = [e.price for e in events]
        rows["exchange"] = shorts([e.exchange for e in events])
        rows["size"] = [
            e.size if e.decimal_size is None else decimal(e.decimal_size) for e in events
        ]
        rows["id"] = [id_number(e.id) if e.id not in (None, "") else 0 for e in events]
        if asset_class(wanted.symbol) == "crypto":
            rows["sequence"] = rows["id"]
            codes = [e.conditions[0] if e.conditions else 0 for e in events]
            rows["conditions"] = shorts(codes)
            rows["side"] = [_SIDE.get(code, 0) for code in codes]
        else:
            rows["sequence"] = sequences([e.sequence_number for e in events])
            packs = self._packs
            rows["conditions"] = [packs[e.conditions] for e in events]
        for row, e in enumerate(events):
            if e.id in (None, ""):  # named after what it says: a repeat gets the same name
                named = id_number(f"{int(exact[row])} {e.price!r} {e.size!r} {e.sequence_number}")
                rows["id"][row] = (1 << 63) | named
                rows["flags"][row] |= NO_ID
        return rows

    def _quotes(self, events: list[Any], exact: npt.NDArray[np.int64], wanted: Wanted) -> Rows:
        rows = np.zeros(len(events), QUOTE)
        rows["time"] = exact // _MS * _MS
        for name in ("bid", "ask"):
            rows[name] = [getattr(e, f"{name}_price") for e in events]
            rows[f"{name}_size"] = [getattr(e, f"{name}_size") for e in events]
            rows[f"{name}_exchange"] = shorts([getattr(e, f"{name}_exchange") for e in events])
        rows["sequence"] = sequences([e.sequence_number for e in events])
        return rows


def _quoted(ticker: str) -> str:
    """Return a ticker as one part of a path."""
    return "".join(c if _PLAIN.match(c) else f"%{ord(c):02X}" for c in ticker)


def _times(events: list[Any], wanted: Wanted) -> npt.NDArray[np.int64]:
    try:
        if wanted.kind == "bar":
            return np.array([e.t * _MS for e in events], np.int64)
        return np.array([e.sip_timestamp or e.participant_timestamp for e in events], np.int64)
    except OverflowError:
        raise unusable(wanted, "a time is none") from None


def _reached(wanted: Wanted, exact: npt.NDArray[np.int64]) -> int:
    if not len(exact):
        return wanted.start
    last = int(exact[-1])
    if wanted.kind == "bar" and wanted.timeframe is not None:
        # Days and weeks have no fixed length: ask again from just after their start.
        last += wanted.timeframe.ns if wanted.timeframe.seconds < 86_400 else _MS
    else:  # more of them may share its ms, so that is not done yet
        last = last // _MS * _MS
    return max(wanted.start, min(last, wanted.end))


def _sound(kind: Kind, rows: Rows) -> npt.NDArray[np.bool_]:
    """Return which rows hold numbers that can be prices and sizes."""
    held = np.ones(len(rows), np.bool_)
    if kind == "bar":
        low, high = rows["low"], rows["high"]
        held &= (low > 0) & (high < math.inf) & np.isfinite(rows["notional"])
        held &= (rows["volume"] >= 0) & (rows["volume"] < math.inf)
        for name in ("open", "close"):
            held &= (rows[name] >= low) & (rows[name] <= high)
        return held
    names = ("price", "size") if kind == "trade" else ("bid", "ask", "bid_size", "ask_size")
    for name in names:
        held &= np.isfinite(rows[name]) & (rows[name] >= 0)
    return held & (rows["price"] > 0) if kind == "trade" else held


def _codes(events: list[Any]) -> npt.NDArray[np.int64]:
    """Return the correction codes of trades; 0 is none."""
    return shorts([getattr(e, "correction", 0) for e in events])
