"""What a store knew before: contents of bars and trades that were replaced since."""

# Statements are put together from the names in this package; every value is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.records import Rows
from workbench.store.frames import dataframe, utc
from workbench.store.layout import LAYOUTS

__all__ = ["amend", "counts", "origin", "table"]

_BARS, _TRADES = LAYOUTS["bar"], LAYOUTS["trade"]
_NAT = np.iinfo(np.int64).min
#: What an amendment replaces of a trade.
_AMENDED = ("price", "size", "conds", "flags")


def _amendment() -> tuple[str, str]:
    """Return the statements that keep what a trade says, and that make it say something else."""
    key = [*_TRADES.series, *_TRADES.order]
    names = ["sid", *_TRADES.columns.values()]
    same = " AND ".join(f"{name} = :{name}" for name in key)
    now, new = ", ".join(f"t.{name}" for name in _AMENDED), ", ".join(f":{n}" for n in _AMENDED)
    last = f"SELECT {{}} FROM {_TRADES.revisions} WHERE {same} ORDER BY place DESC LIMIT 1"
    keep = (
        f"INSERT INTO {_TRADES.revisions} ({', '.join(names)}, place, known, until) "
        f"SELECT {', '.join(f't.{name}' for name in names)}, "
        f"coalesce(({last.format('place')}), -1) + 1, "
        f"coalesce(({last.format('until')}), t.received), :known "
        f"FROM {_TRADES.table} t WHERE {same} AND ({now}) IS NOT ({new})"
    )
    put = (
        f"INSERT INTO {_TRADES.table} ({', '.join(names)}) "
        f"VALUES ({', '.join(f':{name}' for name in names)}) ON CONFLICT DO UPDATE SET "
        f"{', '.join(f'{name} = excluded.{name}' for name in _AMENDED)} "
        f"WHERE ({', '.join(f'{_TRADES.table}.{name}' for name in _AMENDED)}) IS NOT ({new})"
    )
    return keep, put


_KEEP, _PUT = _amendment()


def amend(
    connection: sqlite3.Connection, rows: Rows, sids: npt.NDArray[np.int64], known: int
) -> int:
    """Replace what trades say, within a transaction of the caller's.

    Parameters
    ----------
    connection : sqlite3.Connection
    rows : array of TRADE
    sids : array of int64
        The store's number of each row's symbol.
    known : int
        When this became known, ns.

    Returns
    -------
    int
        Trades that say something else now, or are new.
    """
    changed = 0
    names = ("sid", *_TRADES.columns.values())
    for row in _TRADES.encode(rows, sids):
        values = dict(zip(names, row, strict=True)) | {"known": known}
        connection.execute(_KEEP, values)
        # A trade that was not stored came to be known by what amends it.
        changed += connection.execute(_PUT, values | {"received": known}).rowcount
    return changed


def origin(connection: sqlite3.Connection, sid: int, tf: int, as_of: int) -> int | None:
    """Return the best origin of which a series had bars at a moment, None if it had none."""
    found = [
        connection.execute(
            f"SELECT origin FROM {name} WHERE sid = ? AND tf = ? AND known <= ? "
            "ORDER BY origin LIMIT 1",
            (sid, tf, as_of),
        ).fetchone()
        for name in (_BARS.table, _BARS.revisions)
    ]
    return min((int(row[0]) for row in found if row is not None), default=None)


def table(
    connection: sqlite3.Connection, key: tuple[int, ...], time: int, *, revised: bool
) -> pd.DataFrame:
    """Return all that a bar ever said, in the order in which it was taken.

    Parameters
    ----------
    connection : sqlite3.Connection
    key : tuple of int
        Symbol, timeframe and origin, as the store numbers them.
    time : int
        Start of the bar, ns.
    revised : bool
        Whether the store knows of revisions: one of a version before 3 does not.

    Returns
    -------
    pandas.DataFrame
        See :meth:`workbench.store.store.Store.revisions`.
    """
    where = "WHERE a.sid = ? AND a.tf = ? AND a.origin = ? AND a.ts = ?"
    known = "a.known" if revised else "0"
    text = f"SELECT {known}, {1 << 62} AS place, {_BARS.select('a')} FROM {_BARS.table} a {where}"
    values = (*key, time)
    if revised:
        text += (
            f" UNION ALL SELECT a.known, a.place, {_BARS.select('a')} "
            f"FROM {_BARS.revisions} a {where} ORDER BY place"
        )
        values += values
    found = connection.execute(text, values).fetchall()
    since = np.array([row[0] for row in found], np.int64)
    # What was in force until then: of later contents the one that was known first replaced it.
    later = np.minimum.accumulate(since[:0:-1])[::-1]
    frame = dataframe("bar", _BARS.decode([row[2:] for row in found], 0)).reset_index()
    frame.insert(0, "known", utc(np.where(since == 0, _NAT, since)))
    frame.insert(1, "until", utc(np.append(later, _NAT)[: len(since)]))
    return frame


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many replaced contents are kept, by the table of what replaced them."""
    return {
        layout.table: int(
            connection.execute(f"SELECT count(*) FROM {layout.revisions}").fetchone()[0]
        )
        for layout in LAYOUTS.values()
        if layout.revisions is not None
    }
