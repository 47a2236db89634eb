"""What a store holds, as tables for people."""

from __future__ import annotations

import html
import sqlite3
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.store import queries
from workbench.store.frames import utc
from workbench.store.layout import LAYOUTS
from workbench.store.queries import Span
from workbench.symbols import asset_class
from workbench.timeframes import timeframe

__all__ = ["counts", "coverage", "html_table", "symbols"]

_SHOWN = 20


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the rows of each table of records."""
    return {
        layout.table: int(
            connection.execute(f"SELECT count(*) FROM {layout.table}").fetchone()[0]  # noqa: S608
        )
        for layout in LAYOUTS.values()
    }


def coverage(connection: sqlite3.Connection, symbol: str | None) -> pd.DataFrame:
    """Return first and last time and rows of each series, of one symbol or all.

    Returns
    -------
    pandas.DataFrame
        Columns symbol, kind, timeframe and origin ("own" or "provider"; both empty text for
        what is not a bar), first, last (UTC), rows.
    """
    ids = queries.symbol_ids(connection)
    if symbol is None:
        found = list(queries.spans(connection))
    else:
        sid = ids.get(symbol)
        found = [] if sid is None else list(queries.spans(connection, sid=sid))
    names = {sid: name for name, sid in ids.items()}
    # A symbol that was first stored between the two statements is in the next answer.
    found = [span for span in found if span.key[0] in names]
    found.sort(key=lambda span: (names[span.key[0]], span.kind, span.key))
    return pd.DataFrame(
        {
            "symbol": _text([names[span.key[0]] for span in found]),
            "kind": _text([span.kind for span in found]),
            "timeframe": _text([_timeframe(span) for span in found]),
            "origin": _text([_origin(span) for span in found]),
            "first": utc(np.array([span.first for span in found], np.int64)),
            "last": utc(np.array([span.last for span in found], np.int64)),
            "rows": np.array([span.rows for span in found], np.int64),
        }
    )


def symbols(connection: sqlite3.Connection) -> pd.DataFrame:
    """Return one line per symbol, in alphabetical order.

    Returns
    -------
    pandas.DataFrame
        Index "symbol"; columns asset_class, trades, quotes, bars (rows of each), timeframes
        (of the bars, shortest first), first, last (UTC).
    """
    by_symbol: dict[int, list[Span]] = {}
    for span in queries.spans(connection):
        by_symbol.setdefault(span.key[0], []).append(span)
    # Asked after the series: a symbol is stored no later than its rows.
    ids = {n: sid for n, sid in queries.symbol_ids(connection).items() if sid in by_symbol}
    lists = [by_symbol[sid] for sid in ids.values()]
    columns: dict[str, object] = {"asset_class": _text([asset_class(name) for name in ids])}
    for layout in LAYOUTS.values():
        rows = [sum(s.rows or 0 for s in spans if s.kind == layout.kind) for spans in lists]
        columns[layout.table] = np.array(rows, np.int64)
    columns["timeframes"] = _text([_timeframes(spans) for spans in lists])
    columns["first"] = utc(np.array([min(s.first for s in spans) for spans in lists], np.int64))
    columns["last"] = utc(np.array([max(s.last for s in spans) for spans in lists], np.int64))
    return pd.DataFrame(columns, index=pd.Index(_text(list(ids)), name="symbol"))


def html_table(title: str, connection: sqlite3.Connection) -> str:
    """Return a title and the first series of a store as HTML, without counting rows."""
    names = {sid: name for name, sid in queries.symbol_ids(connection).items()}
    lines = []
    for span in queries.spans(connection, count=False, most=_SHOWN + 1):
        ends = utc(np.array([span.first, span.last], np.int64))
        cells = (
            names.get(span.key[0], ""),
            span.kind,
            _timeframe(span),
            _origin(span),
            *(f"{end:%Y-%m-%d %H:%M:%S}" for end in ends),
        )
        lines.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    more = "<p>and more: see coverage()</p>" if len(lines) > _SHOWN else ""
    heads = ("symbol", "kind", "timeframe", "origin", "first (UTC)", "last (UTC)")
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{line}</tr>" for line in lines[:_SHOWN])
    return (
        f"<p><code>{html.escape(title)}</code></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def _text(values: Sequence[str]) -> pd.api.extensions.ExtensionArray:
    # An array: a Series would be aligned by its own index. Typed even where it is empty.
    return pd.array(list(values), dtype="str")


def _timeframe(span: Span) -> str:
    return timeframe(span.key[1]).name if span.kind == "bar" else ""


def _origin(span: Span) -> str:
    if span.kind != "bar":
        return ""
    return "own" if span.key[2] == 0 else "provider"


def _timeframes(spans: Sequence[Span]) -> str:
    seconds = sorted({span.key[1] for span in spans if span.kind == "bar"})
    return " ".join(timeframe(length).name for length in seconds)
