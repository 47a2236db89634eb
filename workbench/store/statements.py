"""Statements that read rows of a series: as they are, or as they were known at a moment.

Of a bar or a trade that was replaced, what it said before lies in a table of revisions. The
contents of a row are a list in the order in which they were taken: at a moment t that one was
in force which is the last of those that were known by t.
"""

# Statements are put together from the names in this package; every value is bound.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.records import CANCELLED
from workbench.store.layout import Layout

__all__ = ["Range", "statement"]

#: When the content at hand became known, of the row that `{row}` names.
_SINCE = {
    "bar": "{row}.known",
    "trade": "coalesce((SELECT u.until FROM trade_revisions u WHERE {same} "
    "ORDER BY u.place DESC LIMIT 1), 0)",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Which rows of a series, and as known when.

    Attributes
    ----------
    start, end : int or None
        Event times [start, end) in ns; None is open.
    last : int or None
        Only so many of the newest; None is all.
    as_of : int or None
        As it was known at that moment, ns; None is as it is known now.
    cancelled : bool
        Whether trades that were cancelled are among them.
    """

    start: int | None = None
    end: int | None = None
    last: int | None = None
    as_of: int | None = None
    cancelled: bool = True


def statement(
    layout: Layout,
    key: tuple[int, ...],
    within: Range,
    after: tuple[Any, ...] | None,
    *,
    newest_first: bool,
    revised: bool = True,
) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that reads a page of rows, and its arguments but the limit.

    Parameters
    ----------
    layout : Layout
    key : tuple of int
        Values of the layout's `series` columns.
    within : Range
    after : tuple or None
        Values of the layout's `order` columns of the row to go on after; None begins.
    newest_first : bool
    revised : bool
        Whether the store knows of revisions: one of a version before 3 does not.
    """
    tests, values = _tests(layout, "a", key, within, after, newest_first=newest_first)
    direction = " DESC" if newest_first else ""
    order = f"ORDER BY {', '.join(f'{name}{direction}' for name in layout.order)} LIMIT ?"
    head = f"SELECT {layout.select('a')} FROM {layout.table} a WHERE"
    moment = within.as_of
    if moment is None or layout.revisions is None or not revised:
        return f"{head} {' AND '.join(tests)} {order}", tuple(values)
    now = _SINCE[layout.kind].format(row="a", same=_same(layout, "u", "a"))
    present = f"{head} {' AND '.join([*tests, f'{now} <= ?'])}"
    past, old = _past(layout, key, within, after, newest_first=newest_first)
    return f"{present} UNION ALL {past} {order}", (*values, moment, *old)


def _tests(
    layout: Layout,
    row: str,
    key: tuple[int, ...],
    within: Range,
    after: tuple[Any, ...] | None,
    *,
    newest_first: bool,
) -> tuple[list[str], list[Any]]:
    tests = [f"{row}.{name} = ?" for name in layout.series]
    values: list[Any] = list(key)
    for test, bound in (("ts >= ?", within.start), ("ts < ?", within.end)):
        if bound is not None:
            tests.append(f"{row}.{test}")
            values.append(bound)
    if after is not None:
        names = ", ".join(f"{row}.{name}" for name in layout.order)
        marks = ", ".join("?" * len(layout.order))
        tests.append(f"({names}) {'<' if newest_first else '>'} ({marks})")
        values.extend(after)
    if layout.kind == "trade" and not within.cancelled:
        tests.append(f"{row}.flags & {CANCELLED} = 0")
    if within.as_of is not None and "received" in layout.columns:
        tests.append(f"{row}.received <= ?")
        values.append(within.as_of)
    return tests, values


def _past(
    layout: Layout,
    key: tuple[int, ...],
    within: Range,
    after: tuple[Any, ...] | None,
    *,
    newest_first: bool,
) -> tuple[str, tuple[Any, ...]]:
    """Return the statement for rows whose content at that moment was replaced since."""
    tests, values = _tests(layout, "r", key, within, after, newest_first=newest_first)
    since = _SINCE[layout.kind].format(row="b", same=_same(layout, "u", "r"))
    tests += [
        "r.known <= ?",
        f"r.place = (SELECT max(m.place) FROM {layout.revisions} m "
        f"WHERE {_same(layout, 'm', 'r')} AND m.known <= ?)",
        f"(SELECT {since} FROM {layout.table} b WHERE {_same(layout, 'b', 'r')}) > ?",
    ]
    text = f"SELECT {layout.select('r')} FROM {layout.revisions} r WHERE {' AND '.join(tests)}"
    return text, (*values, *(within.as_of,) * 3)


def _same(layout: Layout, one: str, other: str) -> str:
    names = (*layout.series, *layout.order)
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)
