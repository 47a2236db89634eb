"""What is asked of a store's tables: rows of a series, and what series there are.

Every statement is a transaction of its own and is read to its end: a reader that keeps one
open would make the writer's log grow without bound.
"""

# Statements are put together from the names in this package; every value is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.records import Rows
from workbench.store import revisions
from workbench.store.layout import LAYOUTS, Layout
from workbench.store.statements import Range, statement

__all__ = ["Span", "read", "series_origin", "spans", "symbol_ids"]

#: Rows read in one transaction.
PAGE = 200_000


@dataclass(frozen=True, slots=True)
class Span:
    """One series: its kind, key, first and last time in ns, and rows (None: not counted)."""

    kind: str
    key: tuple[int, ...]
    first: int
    last: int
    rows: int | None


def symbol_ids(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the store's number of each symbol."""
    return dict(connection.execute("SELECT symbol, id FROM symbols ORDER BY symbol"))


def series_origin(
    connection: sqlite3.Connection, sid: int, tf: int, as_of: int | None = None
) -> int | None:
    """Return the best origin of which a series has bars, or had at a moment; None if none."""
    if as_of is not None:
        return revisions.origin(connection, sid, tf, as_of)
    found = connection.execute(
        "SELECT min(origin) FROM bars WHERE sid = ? AND tf = ?", (sid, tf)
    ).fetchone()[0]
    return None if found is None else int(found)


def read(
    connection: sqlite3.Connection,
    layout: Layout,
    key: tuple[int, ...],
    within: Range,
    *,
    symbol: int,
    page: int = PAGE,
    revised: bool = True,
) -> Rows:
    """Return rows of a series in the order of its key.

    Parameters
    ----------
    connection : sqlite3.Connection
    layout : Layout
    key : tuple of int
        Values of the layout's `series` columns.
    within : Range
    symbol : int
        Number that the rows carry.
    page : int
        Most rows of one transaction.
    revised : bool
        Whether the store knows of revisions: one of a version before 3 does not.
    """
    newest_first = within.last is not None
    left = within.last
    parts: list[Rows] = []
    after: tuple[Any, ...] | None = None
    while left is None or left > 0:
        limit = page if left is None else min(page, left)
        text, values = statement(
            layout, key, within, after, newest_first=newest_first, revised=revised
        )
        part = layout.decode(connection.execute(text, (*values, limit)), symbol)
        parts.append(part)
        if len(part) < limit:
            break
        left = None if left is None else left - limit
        after = _position(layout, part[-1:])
    if not parts:
        return np.zeros(0, layout.dtype)
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return rows[::-1].copy() if newest_first else rows


def _position(layout: Layout, row: Rows) -> tuple[Any, ...]:
    values = dict(zip(layout.names, next(layout.encode(row, np.zeros(1, np.int64))), strict=True))
    return tuple(values[name] for name in layout.order)


def spans(
    connection: sqlite3.Connection,
    *,
    sid: int | None = None,
    count: bool = True,
    most: int | None = None,
) -> Iterator[Span]:
    """Yield the series there are.

    Parameters
    ----------
    connection : sqlite3.Connection
    sid : int or None
        Of one symbol, by the store's number; None is all.
    count : bool
        Whether to count rows, which reads every one of them.
    most : int or None
        Series to stop after; None is all.
    """
    found = 0
    for layout in LAYOUTS.values():
        for key in _keys(connection, layout, sid):
            if most is not None and found >= most:
                return
            found += 1
            yield _span(connection, layout, key, count=count)


def _keys(
    connection: sqlite3.Connection, layout: Layout, sid: int | None
) -> Iterator[tuple[int, ...]]:
    # Jumps from series to series along the key; DISTINCT would walk over every row.
    names, marks = ", ".join(layout.series), ", ".join("?" * len(layout.series))
    only = "" if sid is None else " AND sid = ?"
    text = (
        f"SELECT {names} FROM {layout.table} WHERE ({names}) > ({marks}){only} "
        f"ORDER BY {names} LIMIT 1"
    )
    key: tuple[int, ...] | None = (-1,) * len(layout.series)
    if sid is not None:
        key = (sid, *(-1,) * (len(layout.series) - 1))
        if len(layout.series) == 1:
            key = (sid - 1,)
    while key is not None:
        key = connection.execute(text, key if sid is None else (*key, sid)).fetchone()
        if key is not None:
            yield key


def _span(
    connection: sqlite3.Connection, layout: Layout, key: tuple[int, ...], *, count: bool
) -> Span:
    tests = " AND ".join(f"{name} = ?" for name in layout.series)
    source = f"FROM {layout.table} WHERE {tests}"
    first, last = connection.execute(
        f"SELECT (SELECT min(ts) {source}), (SELECT max(ts) {source})",
        (*key, *key),
    ).fetchone()
    rows = None
    if count:
        rows = int(connection.execute(f"SELECT count(*) {source}", key).fetchone()[0])
    return Span(layout.kind, key, int(first), int(last), rows)
