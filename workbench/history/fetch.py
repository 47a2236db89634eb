"""Fetch history as DataFrames, of one symbol or of many at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.clock import SystemClock
from workbench.errors import AuthError, ConnectError, DecodeError, ProviderError
from workbench.history.archive import Archive, open_archive
from workbench.history.meter import Meter, Told
from workbench.history.request import Request, day_long, period_start, request
from workbench.records import KINDS, Kind, Rows
from workbench.store.frames import When, dataframe, nanoseconds
from workbench.symbols import canonicals
from workbench.timeframes import Timeframe

__all__ = [
    "Fetched",
    "fetch_bars",
    "fetch_many",
    "fetch_quotes",
    "fetch_rows",
    "fetch_trades",
]

log = logging.getLogger("workbench.history.fetch")

_DAY = 86_400 * 10**9
_NEWEST = 200
#: How far back the newest rows are looked for, in days, if the first look found too few.
_BACK = (700, 7000)
_TROUBLE = (ProviderError, ConnectError, DecodeError)


@dataclass(slots=True)
class Fetched:
    """What a fetch of many series brought.

    Attributes
    ----------
    frames : dict of str to DataFrame
        By symbol, of those that came.
    errors : dict of str to str
        Why the others did not.
    """

    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """Say in one line how many came, and what went wrong.

        >>> Fetched(errors={"AAPL": "no answer"}).summary
        '0 of 1 came; AAPL: no answer'
        """
        total = len(self.frames) + len(self.errors)
        words = [f"{symbol}: {error}" for symbol, error in self.errors.items()]
        return "; ".join([f"{len(self.frames)} of {total} came", *words])


def fetch_bars(
    symbol: str,
    timeframe: str | int | Timeframe = "1m",
    *,
    limit: int | None = None,
    start: When | None = None,
    end: When | None = None,
    period: str | None = None,
    source: str | Archive = "massive",
    **opening: Any,
) -> pd.DataFrame:
    """Fetch closed bars as the provider makes them.

    Parameters
    ----------
    symbol : str
        In any spelling.
    timeframe : str, int or Timeframe
        "1d" and "1w" start when the provider lets them, at midnight in New York.
    limit : int or None
        The newest so many, found across closed hours and days. None is 200 without a start
        or period, and all with one.
    start, end : When or None
        Half-open range; what names no zone is UTC. An `end` of None is now.
    period : str or None
        Instead of a start, how long before the end: "1D", "2W", "3M", "1Y".
    source : str or Archive
        "massive", "sim" or an address; see :func:`~workbench.history.archive.open_archive`.
    **opening
        Further arguments of it, such as `config` or `per_minute`.

    Returns
    -------
    pandas.DataFrame
        Indexed by the UTC time of their start, as :meth:`~workbench.store.store.Store.bars`
        gives them; `origin` is 1.

    Raises
    ------
    AuthError, RateLimitError, ProviderError, ConnectError, DecodeError
        If the provider refuses, cannot be reached, or answers with what cannot be read.

    Examples
    --------
    >>> fetch_bars("BTC-USD", "5m", limit=3, source="sim").shape[0]
    3
    """
    return _frame(("bar", symbol, timeframe, limit, start, end, period), source, opening)


def fetch_trades(
    symbol: str,
    *,
    limit: int | None = None,
    start: When | None = None,
    end: When | None = None,
    period: str | None = None,
    source: str | Archive = "massive",
    **opening: Any,
) -> pd.DataFrame:
    """Fetch trades; see :func:`fetch_bars` for the parameters and errors.

    >>> fetch_trades("BTC-USD", limit=5, source="sim").shape[0]
    5
    """
    return _frame(("trade", symbol, None, limit, start, end, period), source, opening)


def fetch_quotes(
    symbol: str,
    *,
    limit: int | None = None,
    start: When | None = None,
    end: When | None = None,
    period: str | None = None,
    source: str | Archive = "massive",
    **opening: Any,
) -> pd.DataFrame:
    """Fetch quotes; see :func:`fetch_bars` for the parameters and errors.

    Raises
    ------
    ConfigError
        For a crypto pair: the provider keeps no quotes of those.

    Examples
    --------
    >>> fetch_quotes("SPY", limit=5, source="sim").shape[0]
    5
    """
    return _frame(("quote", symbol, None, limit, start, end, period), source, opening)


_Wish = tuple[
    Kind,
    str,
    "str | int | Timeframe | None",
    "int | None",
    "When | None",
    "When | None",
    "str | None",
]


def _frame(wish: _Wish, source: str | Archive, opening: dict[str, Any]) -> pd.DataFrame:
    with _opened(source, opening) as archive:
        return dataframe(wish[0], _rows(wish, archive))


@contextmanager
def _opened(source: str | Archive, opening: dict[str, Any]) -> Iterator[Archive]:
    if isinstance(source, Archive):
        yield source  # whoever opened it closes it
        return
    with open_archive(source, **opening) as archive:
        yield archive


def _rows(wish: _Wish, archive: Archive) -> Rows:
    kind, symbol, length, limit, start, end, period = wish
    if limit is not None and limit < 1:
        raise ValueError(f"limit is a number of rows, at least 1, not {limit}")
    high = archive.clock.now() if end is None else nanoseconds(end)
    if period is not None:
        if start is not None:
            raise ValueError("give a start or a period, not both")
        start = period_start(period, high)
    low = None if start is None else nanoseconds(start)
    if low is None and limit is None:
        limit = _NEWEST
    wanted = request(symbol, length, start=high - 1 if low is None else low, end=high, kind=kind)
    if limit is None:
        return fetch_rows(archive, wanted)
    return _newest(archive, wanted, limit, bounded=low is not None)


def fetch_rows(archive: Archive, wanted: Request, *, newest: int | None = None) -> Rows:
    """Return the rows of a request as records, oldest first, each once.

    Parameters
    ----------
    archive : Archive
    wanted : Request
    newest : int or None
        Only so many, from the end of the range; None is all.

    Raises
    ------
    AuthError, RateLimitError, ProviderError, ConnectError, DecodeError
        As :meth:`~workbench.history.archive.Archive.pages` does.
    """
    begun = archive.clock.now()
    parts: list[Rows] = []
    found = 0
    ask = None if newest is None else newest + 1  # the newest bar may be forming
    for page in archive.pages(wanted, newest=ask):
        rows = page.batch.rows
        if wanted.timeframe is not None:
            late = 3600 * 10**9 if day_long(wanted.timeframe) else 0
            rows = rows[rows["time"] + wanted.timeframe.ns + late <= begun]
        parts.append(rows)
        found += len(rows)
        if newest is not None and found >= newest:
            break
    ordered = parts if newest is None else parts[::-1]
    joined = np.concatenate(ordered) if ordered else np.zeros(0, KINDS[wanted.kind])
    rows = _once(wanted.kind, joined)
    return rows if newest is None else rows[-newest:]


def _once(kind: Kind, rows: Rows) -> Rows:
    """Return rows in order of time, those that two pages share once."""
    if (np.diff(rows["time"]) > 0).all():
        return rows
    order = ["time"] if kind == "bar" else ["time", "sequence"]
    names = {
        "bar": order,
        "trade": [*order, "exchange", "id"],
        "quote": [*order, "bid_exchange", "ask_exchange", "bid", "bid_size", "ask", "ask_size"],
    }[kind]
    # The first key of lexsort is its last; it is stable, and pages are almost in order.
    rows = rows[np.lexsort([rows[name] for name in reversed(names)])]
    if len(rows) < 2:
        return rows
    differs = np.zeros(len(rows) - 1, np.bool_)
    for name in names:
        differs |= rows[name][1:] != rows[name][:-1]
    # Of a bar told twice the later page knows better.
    last = np.append(differs, True) if kind == "bar" else np.append(True, differs)
    once: Rows = rows[last]
    return once


def _newest(archive: Archive, wanted: Request, limit: int, *, bounded: bool) -> Rows:
    """Return the newest rows of a range, or of all there is up to its end."""
    if bounded:
        return fetch_rows(archive, wanted, newest=limit)
    length = 10**9 if wanted.timeframe is None else wanted.timeframe.ns
    # Five times as long holds the nights and weekends, and ten days any holidays.
    first = 5 * (limit + 2) * length + 10 * _DAY
    rows = np.zeros(0, KINDS[wanted.kind])
    for span in (first, *(days * _DAY for days in _BACK)):
        if span < first:
            continue
        try:
            low = max(wanted.end - span, 0)
            rows = fetch_rows(archive, wanted.over(low, wanted.end), newest=limit)
        except AuthError:
            if span == first:
                raise
            break  # the plan does not reach that far back
        if len(rows) >= limit:
            break
    return rows


def fetch_many(
    symbols: Iterable[str],
    timeframe: str | int | Timeframe | None = "1m",
    *,
    kind: Kind = "bar",
    limit: int | None = None,
    start: When | None = None,
    end: When | None = None,
    period: str | None = None,
    source: str | Archive = "massive",
    workers: int = 4,
    progress: Told | bool | None = None,
    **opening: Any,
) -> Fetched:
    """Fetch the same of many symbols, some at a time; one that fails does not stop the rest.

    Parameters
    ----------
    symbols : iterable of str
    timeframe, kind, limit, start, end, period, source
        As of :func:`fetch_bars`.
    workers : int
        Symbols at a time, 1 to 64.
    progress : callable, bool or None
        Told after each symbol; None and True draw a bar, False is silent.
    **opening
        As of :func:`fetch_bars`.

    Returns
    -------
    Fetched

    Examples
    --------
    >>> fetched = fetch_many(["BTC-USD", "SPY"], limit=2, source="sim", progress=False)
    >>> sorted(fetched.frames), fetched.errors
    (['BTC-USD', 'SPY'], {})
    """
    if not 1 <= workers <= 64:
        raise ValueError(f"workers is 1 to 64, not {workers}")
    names = list(dict.fromkeys(canonicals(symbols)))
    if end is None:  # one moment for all of them
        given = opening.get("clock")
        clock = source.clock if isinstance(source, Archive) else given or SystemClock()
        end = clock.now()
    fetched = Fetched()
    stop = opening.setdefault("stop", threading.Event())
    with ExitStack() as opened:
        archive = opened.enter_context(_opened(source, opening))
        pool = opened.enter_context(
            ThreadPoolExecutor(workers, thread_name_prefix="workbench-fetch")
        )
        meter = Meter(progress, opened, unit="symbol")
        meter.begin(len(names))
        tasks = {
            pool.submit(_rows, (kind, name, timeframe, limit, start, end, period), archive): name
            for name in names
        }
        try:
            for task in as_completed(tasks):
                name = tasks[task]
                meter.add(name, _came(fetched, kind, name, task))
        except BaseException:
            # Ctrl+C: what waits is let go, what is on its way is the last.
            stop.set()
            archive.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return fetched


def _came(fetched: Fetched, kind: Kind, name: str, task: Future[Rows]) -> int:
    """Keep what came of a symbol, or why it did not; return its rows."""
    try:
        fetched.frames[name] = dataframe(kind, task.result())
    except _TROUBLE as error:
        log.warning("%s was not fetched: %s", name, error)
        fetched.errors[name] = error.message
    except CancelledError:
        fetched.errors[name] = "cancelled"
    return len(fetched.frames.get(name, ()))
