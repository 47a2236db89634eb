"""Intervals of series and how they were learned: the rows a ledger keeps in a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from workbench.symbols import asset_class
from workbench.timeframes import timeframe

if TYPE_CHECKING:
    import sqlite3

    import pandas as pd

__all__ = [
    "OPEN",
    "STATES",
    "Change",
    "Interval",
    "IntervalState",
    "Series",
    "intervals_table",
    "read_intervals",
    "write_intervals",
]

IntervalState = Literal["received", "backfilled", "no-trade", "closed", "missing", "doubt"]
#: What can be known of an interval; of what is in none of them nothing is known.
STATES: tuple[IntervalState, ...] = (
    "received",
    "backfilled",
    "no-trade",
    "closed",
    "missing",
    "doubt",
)
#: The end of an interval that goes on, and the time of what has not happened yet.
OPEN = (1 << 63) - 1

_SELECT = """
SELECT c.source, s.symbol, c.kind, c.tf, c.lo, c.hi, c.state, c.learned, c.at, c.ready
FROM coverage c JOIN symbols s ON s.id = c.sid
WHERE (? IS NULL OR s.symbol = ?) AND (? IS NULL OR c.source = ?)
ORDER BY c.source, s.symbol, c.kind, c.tf, c.lo"""
_DELETE = "DELETE FROM coverage WHERE source = ? AND sid = ? AND kind = ? AND tf = ? AND lo = ?"
_INSERT = """
INSERT INTO coverage (source, sid, kind, tf, lo, hi, state, learned, at, ready)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET hi = excluded.hi,
  state = excluded.state, learned = excluded.learned, at = excluded.at, ready = excluded.ready"""


class Series(NamedTuple):
    """What a ledger keeps intervals of.

    Attributes
    ----------
    source : str
        Name of the source.
    symbol : str
        In our spelling.
    kind : "trade", "quote" or "bar"
    timeframe : int
        Seconds of a bar; 0 for what is none.
    """

    source: str
    symbol: str
    kind: str
    timeframe: int = 0


class Interval(NamedTuple):
    """What is known of a stretch of a series.

    Attributes
    ----------
    start, end : int
        Half-open range [start, end) of event time, ns UTC; an end of OPEN goes on.
    state : str
        One of STATES.
    learned : str
        From what it is known: a connection, a fetch, the calendar, or why it is not.
    at : int
        When that was learned, ns UTC.
    ready : int
        Of "doubt": only what was asked for at or after this time, ns UTC, settles it; OPEN
        while the feed is not live. 0 for the other states.
    """

    start: int
    end: int
    state: IntervalState
    learned: str
    at: int
    ready: int = 0


class Change(NamedTuple):
    """What to write so that the stored intervals of a series equal those in memory.

    Attributes
    ----------
    series : Series
    removed : tuple of int
        Starts of intervals that are gone.
    added : tuple of Interval
        New ones, and those that replace one of the same start.
    """

    series: Series
    removed: tuple[int, ...]
    added: tuple[Interval, ...]


def write_intervals(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write changes in the order given, within the caller's transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
    changes : iterable of Change

    Raises
    ------
    ValueError
        If an interval is empty or its state is none.
    """
    for series, removed, added in changes:
        for interval in added:
            if not interval.start < interval.end or interval.state not in STATES:
                raise ValueError(f"not an interval: {interval}")
        number = _number(connection, series.symbol)
        key = (series.source, number, series.kind, series.timeframe)
        connection.executemany(_DELETE, [(*key, start) for start in removed])
        connection.executemany(_INSERT, [(*key, *interval) for interval in added])


def _number(connection: sqlite3.Connection, symbol: str) -> int:
    connection.execute(
        "INSERT INTO symbols (symbol, asset_class) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (symbol, asset_class(symbol)),
    )
    found = connection.execute("SELECT id FROM symbols WHERE symbol = ?", (symbol,))
    return int(found.fetchone()[0])


def read_intervals(
    connection: sqlite3.Connection, symbol: str | None = None, source: str | None = None
) -> list[tuple[Series, Interval]]:
    """Return what is stored, series by series and in order of time.

    Parameters
    ----------
    connection : sqlite3.Connection
    symbol, source : str or None
        Only those of it; None is all.
    """
    # A store of an older version that was opened for reading has no such table yet.
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'coverage'").fetchone()
    if known is None:
        return []
    rows = connection.execute(_SELECT, (symbol, symbol, source, source)).fetchall()
    return [(Series(*row[:4]), Interval(*row[4:])) for row in rows]


def intervals_table(rows: Iterable[tuple[Series, Interval]]) -> pd.DataFrame:
    """Return intervals as a table, one line each.

    Returns
    -------
    pandas.DataFrame
        Columns source, symbol, kind, timeframe (empty text for what is no bar), start, end
        (UTC; NaT where it goes on), state, learned, at (UTC).

    Examples
    --------
    >>> minute = 60 * 10**9
    >>> table = intervals_table(
    ...     [(Series("sim", "AAPL", "bar", 60), Interval(0, minute, "received", "live 1", minute))]
    ... )
    >>> table[["timeframe", "state", "learned"]].values.tolist()
    [['1m', 'received', 'live 1']]
    """
    # Imported here: a ledger needs the records above only.
    import pandas as pd

    from workbench.store.frames import utc

    found = list(rows)
    nat = np.iinfo(np.int64).min
    ends = [nat if one.end == OPEN else one.end for _, one in found]

    def text(values: list[str]) -> pd.api.extensions.ExtensionArray:
        return pd.array(values, dtype="str")

    return pd.DataFrame(
        {
            "source": text([series.source for series, _ in found]),
            "symbol": text([series.symbol for series, _ in found]),
            "kind": text([series.kind for series, _ in found]),
            "timeframe": text(
                [timeframe(s.timeframe).name if s.timeframe else "" for s, _ in found]
            ),
            "start": utc(np.array([one.start for _, one in found], np.int64)),
            "end": utc(np.array(ends, np.int64)),
            "state": text([one.state for _, one in found]),
            "learned": text([one.learned for _, one in found]),
            "at": utc(np.array([one.at for _, one in found], np.int64)),
        }
    )
