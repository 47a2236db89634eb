"""Reconciling a day: what the store holds against what a provider tells of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.clock import SystemClock
from workbench.errors import StoreBusyError
from workbench.history.archive import Archive, open_archive
from workbench.history.fetch import fetch_rows
from workbench.history.request import Request, day_long, request
from workbench.reconciliation.comparison import compare, differing
from workbench.reconciliation.result import Reconciliation
from workbench.reconciliation.tape import Tape
from workbench.records import BAR, CANCELLED, TRADE, Batch, Rows
from workbench.sessions import timezone
from workbench.store.coverage import Interval
from workbench.store.frames import nanoseconds
from workbench.store.store import Store, open_store
from workbench.symbols import SymbolTable, canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Evidence", "bounds", "fetch_tape", "reconcile"]

log = logging.getLogger("workbench.reconciliation.day")

#: Of which times the provider's trades are fetched: the whole day, bars that differ, none.
Evidence = Literal["day", "bars", "none"]
_EVIDENCE = ("day", "bars", "none")
_CANCELLED_CODE = 8


def reconcile(
    symbol: str,
    day: date | str,
    *,
    timeframe: str | int | Timeframe = "1m",
    source: str | Archive | None = "massive",
    store: Store | str | Path | None = None,
    evidence: Evidence = "day",
    lateness: float = 2.0,
    round_lot: float | None = None,
    **opening: Any,
) -> Reconciliation:
    """Compare our bars of a day with the provider's, and find a reason for each difference.

    Our bars are built by the rules of the tape from the trades in the store. The provider's
    bars, and ours where there are none, are kept in the store.

    Parameters
    ----------
    symbol : str
        In any spelling.
    day : date or str
        A day of the market: in New York for stocks, in UTC for what trades round the clock.
    timeframe : str, int or Timeframe
        Shorter than a day.
    source : str, Archive or None
        Who tells bars and trades; see :func:`~workbench.history.archive.open_archive`. None
        asks nobody and takes the provider's bars that the store holds.
    store : Store, str, Path or None
        Holds our trades. None builds our bars from the provider's own trades: then only rules
        differ.
    evidence : "day", "bars" or "none"
        Of which times to fetch the provider's trades: of the day, which tells all that was
        corrected since; of the bars that differ, which is less to fetch; of none.
    lateness : float
        Seconds after the end of a bar from which on a trade may be too late for the
        provider's bar, 0 or more.
    round_lot : float or None
        Shares below which a trade is an odd lot; None is 100 for stocks, and none for others.
    **opening
        Further arguments of `open_archive`, such as `config` or `per_minute`.

    Returns
    -------
    Reconciliation

    Raises
    ------
    ValueError
        If the day has not begun or is none, the timeframe is not shorter than a day, or
        neither a store nor a source is given.
    AuthError, RateLimitError, ProviderError, ConnectError, DecodeError
        As :func:`~workbench.history.fetch.fetch_bars`.
    StoreError
        If the store cannot be read.

    Examples
    --------
    >>> found = reconcile("SPY", "2025-11-03", store="market.db")  # doctest: +SKIP
    >>> found.summary  # doctest: +SKIP
    'SPY 2025-11-03 1m: 958 of 960 bars agree; 2 differ: 2 missing; trades 3 added'
    """
    if evidence not in _EVIDENCE:
        raise ValueError(f"evidence is one of {', '.join(_EVIDENCE)}, not {evidence!r}")
    if store is None and source is None:
        raise ValueError("give a store, a source or both: there is nothing to compare")
    if not lateness >= 0:
        raise ValueError(f"lateness is seconds, 0 or more, not {lateness}")
    with ExitStack() as stack:
        archive = None if source is None else stack.enter_context(_archive(source, opening))
        held = None if store is None else stack.enter_context(_store(store))
        clock = SystemClock() if archive is None else archive.clock
        wanted = _wanted(symbol, day, timeframe, clock.now())
        table = SymbolTable() if archive is None else archive.table
        return _reconciled(wanted, archive, held, table, evidence,
                           lateness=lateness, round_lot=round_lot)  # fmt: skip


def _reconciled(
    wanted: Request,
    archive: Archive | None,
    store: Store | None,
    table: SymbolTable,
    evidence: Evidence,
    **options: Any,
) -> Reconciliation:
    assert wanted.timeframe is not None
    span = (wanted.start, wanted.end)
    theirs: Tape | None = None
    intervals: list[Interval] = []
    if store is None:
        assert archive is not None
        theirs = fetch_tape(archive, wanted.symbol, *span)
        own = Tape(theirs.trades)
    else:
        own, intervals = _own(store, wanted, table)
    bars = _bars(wanted, archive, store, table)
    if archive is not None and theirs is None and evidence != "none":
        spans = [span]
        if evidence == "bars":
            starts = differing(wanted.symbol, own.trades, bars, wanted.timeframe)
            spans = list(_joined(starts, wanted.timeframe.ns))
        theirs = _tapes([fetch_tape(archive, wanted.symbol, *part) for part in spans])
        if evidence == "bars":  # elsewhere both sides are taken to tell the same
            rest = own.trades[~_inside(own.trades["time"], spans)]
            theirs = Tape(np.concatenate([theirs.trades, rest]), theirs.amended, theirs.codes)
    found = compare(
        wanted.symbol, own, bars, theirs, tf=wanted.timeframe, span=span, intervals=intervals,
        source="store" if archive is None else archive.name, numbers=table, **options,
    )  # fmt: skip
    if store is not None:
        _keep(store, found, bars if archive is not None else bars[:0])
    log.info("%s", found.summary)
    return found


@contextmanager
def _archive(source: str | Archive, opening: dict[str, Any]) -> Iterator[Archive]:
    if isinstance(source, Archive):
        yield source  # whoever opened it closes it
        return
    with open_archive(source, **opening) as archive:
        yield archive


@contextmanager
def _store(store: Store | str | Path) -> Iterator[Store]:
    if not isinstance(store, str | Path):
        yield store
        return
    try:
        opened = open_store(store)
    except StoreBusyError:  # somebody records: reading is enough
        opened = open_store(store, mode="ro")
    with opened:
        yield opened


def bounds(symbol: str, day: date | str) -> tuple[int, int]:
    """Return when a day of a market begins and ends, ns UTC.

    Parameters
    ----------
    symbol : str
    day : date or str
        Of a moment the date as written counts.

    Examples
    --------
    >>> start, end = bounds("SPY", "2025-11-02")  # the clocks went back
    >>> (end - start) // (3600 * 10**9)
    25
    """
    try:
        stamp = pd.Timestamp(day)
        zone = ZoneInfo(timezone(canonical(symbol)))
        first = datetime(stamp.year, stamp.month, stamp.day, tzinfo=zone)
    except (ValueError, TypeError):
        raise ValueError(f'not a day: {str(day)[:40]!r}; write it as "2025-11-03"') from None
    following = first.date() + timedelta(days=1)
    last = datetime(following.year, following.month, following.day, tzinfo=zone)
    return nanoseconds(first), nanoseconds(last)


def _wanted(symbol: str, day: date | str, name: str | int | Timeframe, now: int) -> Request:
    length = timeframe(name)
    if day_long(length) or length.seconds > 86_400:
        raise ValueError(f"bars shorter than a day are reconciled, not {length}")
    start, end = bounds(symbol, day)
    wanted = request(symbol, length, start=start, end=end)
    # Of today only bars that have ended can be compared.
    last = min(wanted.end, length.start(now))
    if last <= wanted.start:
        raise ValueError(f"{str(day)[:10]} has no bar yet that has ended")
    return wanted.over(wanted.start, last)


def _own(store: Store, wanted: Request, table: SymbolTable) -> tuple[Tape, list[Interval]]:
    rows = store.rows("trade", wanted.symbol, start=wanted.start, end=wanted.end,
                      table=table, cancelled=True)  # fmt: skip
    void = (rows["flags"] & CANCELLED) != 0
    codes = np.full(int(void.sum()), _CANCELLED_CODE, np.int64)
    intervals = [one for series, one in store.intervals(wanted.symbol) if series.kind == "trade"]
    return Tape(rows[~void], rows[void], codes), intervals


def _bars(
    wanted: Request, archive: Archive | None, store: Store | None, table: SymbolTable
) -> Rows:
    if archive is not None:
        return fetch_rows(archive, wanted)
    assert store is not None
    return store.rows("bar", wanted.symbol, timeframe=wanted.timeframe, origin=1,
                      start=wanted.start, end=wanted.end, table=table)  # fmt: skip


def fetch_tape(archive: Archive, symbol: str, start: int, end: int) -> Tape:
    """Return the trades of a range as the provider tells them now, each once.

    Parameters
    ----------
    archive : Archive
    symbol : str
    start, end : int
        Half-open range, ns UTC.

    Raises
    ------
    AuthError, RateLimitError, ProviderError, ConnectError, DecodeError
        As :meth:`~workbench.history.archive.Archive.pages`.
    """
    pages = list(archive.pages(request(symbol, None, start=start, end=end, kind="trade")))
    return _tapes([Tape(page.batch.rows, page.amended, page.codes) for page in pages])


def _tapes(parts: list[Tape]) -> Tape:
    none = np.zeros(0, TRADE)
    trades = np.concatenate([none, *(part.trades for part in parts)])
    amended = np.concatenate([none, *(part.amended for part in parts)])
    codes = np.concatenate([np.zeros(0, np.int64), *(part.codes for part in parts)])
    first = _first(amended)
    once = trades[_first(trades)]
    order = np.lexsort((once["sequence"], once["time"]))
    return Tape(once[order], amended[first], codes[first])


def _first(rows: Rows) -> npt.NDArray[np.int64]:
    """Return the places of rows less those that a page tells again."""
    keys = pd.MultiIndex.from_arrays(
        [np.ascontiguousarray(rows[name]) for name in ("time", "sequence", "exchange", "id")]
    )
    return np.flatnonzero(~keys.duplicated())


def _joined(starts: npt.NDArray[np.int64], length: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of bars, neighbours as one."""
    cuts = np.flatnonzero(np.diff(starts) > length) + 1
    for part in np.split(starts, cuts):
        if len(part):
            yield int(part[0]), int(part[-1]) + length


def _inside(times: npt.NDArray[np.int64], spans: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(times), np.bool_)
    for start, end in spans:
        found |= (times >= start) & (times < end)
    return found


def _keep(store: Store, found: Reconciliation, theirs: Rows) -> None:
    """Store the provider's bars, and ours where the store has none of our own."""
    if store.info()["mode"] != "rw":
        return
    held = store.rows("bar", found.symbol, timeframe=found.timeframe, origin=0,
                      start=found.start, end=found.end)  # fmt: skip
    own = found.own_bars[~np.isin(found.own_bars["time"], held["time"])].copy()
    own["symbol"] = found.numbers.id(found.symbol)
    for rows in (own, theirs):
        if len(rows):
            store.append(Batch("bar", rows.astype(BAR), found.timeframe), found.numbers)
