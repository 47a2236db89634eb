"""How the fields of a record lie in the columns of a table."""

# Statements are put together from the names in this package; every value is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.records import BAR, CLOSED, QUOTE, REVISED, TRADE, Batch, Kind, Rows

__all__ = ["LAYOUTS", "Layout", "gathered"]

_TOP = np.uint64(1 << 63)
#: Rows of one statement; with more of them it gets no faster.
_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of record as a table.

    Attributes
    ----------
    kind : "trade", "quote" or "bar"
    table : str
    dtype : dtype of the record
    columns : dict of str to str
        Column by record field, without the symbol.
    series : tuple of str
        Columns that come first in the key and name a series, the symbol's number first.
    order : tuple of str
        Columns of the key after those, the time first: rows are read in their order.
    upsert : bool
        Whether a repeated key overwrites; where not, the first delivery stays.
    stamp : str or None
        Column that holds when a row became known; None where the record tells it.
    revisions : str or None
        Table of what rows said before they were replaced; None where none ever is.
    """

    kind: Kind
    table: str
    dtype: np.dtype[np.void]
    columns: dict[str, str]
    series: tuple[str, ...]
    order: tuple[str, ...]
    upsert: bool = False
    stamp: str | None = None
    revisions: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the order of `encode`'s tuples."""
        return ("sid", *self.columns.values(), *(() if self.stamp is None else (self.stamp,)))

    def insert(self, rows: int = 1) -> str:
        """Return the statement that stores so many rows; its arguments are `encode`'s tuples."""
        names = self.names
        row = f"({', '.join('?' * len(names))})"
        text = f"INSERT INTO {self.table} ({', '.join(names)}) VALUES {', '.join([row] * rows)}"
        if not self.upsert:
            return f"{text} ON CONFLICT DO NOTHING"
        values = [name for name in names if name not in (*self.series, *self.order)]
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        # The same content is no news, whenever it is told again.
        values = [name for name in values if name != self.stamp]
        old = ", ".join(f"{self.table}.{name}" for name in values)
        new = ", ".join(f"excluded.{name}" for name in values)
        return (
            f"{text} ON CONFLICT DO UPDATE SET {changes} "
            f"WHERE excluded.rev >= {self.table}.rev AND ({old}) IS NOT ({new})"
        )

    def put(
        self,
        connection: sqlite3.Connection,
        rows: Rows,
        sids: npt.NDArray[np.int64],
        known: npt.NDArray[np.int64],
    ) -> int:
        """Store rows, within a transaction of the caller's; return those new or changed.

        See :meth:`encode`.
        """
        # Starting a statement costs as much as storing a row: let one store many.
        count = len(rows) // _TOGETHER
        whole, width = count * _TOGETHER, _TOGETHER * len(self.names)
        # Asked of each statement: the connection's own count has what a trigger does in it.
        changed = 0
        if count:
            text = self.insert(_TOGETHER)
            values = chain.from_iterable(self.encode(rows[:whole], sids[:whole], known[:whole]))
            for _ in range(count):
                changed += connection.execute(text, tuple(islice(values, width))).rowcount
        if whole < len(rows):
            rest = self.encode(rows[whole:], sids[whole:], known[whole:])
            changed += connection.executemany(self.insert(), rest).rowcount
        return changed

    def select(self, row: str) -> str:
        """Return the list of what `decode` wants, the record's fields in its order.

        Parameters
        ----------
        row : str
            What the statement calls the table.
        """
        columns = (self.columns.get(str(name)) for name in self.dtype.names or ())
        return ", ".join(f"{row}.{name} AS {name}" if name else "0" for name in columns)

    def encode(
        self,
        rows: Rows,
        sids: npt.NDArray[np.int64],
        known: npt.NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Return rows as tuples of plain Python numbers for :meth:`insert`.

        Parameters
        ----------
        rows : structured array of the record's dtype
        sids : array of int64
            The store's number of each row's symbol.
        known : array of int64 or None
            When each row became known, ns, for a layout with a `stamp`; None is 0 for all.
        """
        columns = [sids.tolist()]
        for name in self.columns:
            column = rows[name]
            if column.dtype == np.uint64:
                column = (column ^ _TOP).view(np.int64)
            columns.append(column.tolist())
        if self.stamp is not None:
            columns.append([0] * len(rows) if known is None else known.tolist())
        return zip(*columns, strict=True)

    def decode(self, fetched: Iterable[tuple[Any, ...]], symbol: int) -> Rows:
        """Return fetched tuples as rows of one symbol.

        Parameters
        ----------
        fetched : iterable of tuples
            As :meth:`select` orders them.
        symbol : int
            Number that the rows carry.
        """
        signed = np.dtype([(name, _signed(self.dtype[name])) for name in self.dtype.names or ()])
        rows: Rows = np.fromiter(fetched, dtype=signed).view(self.dtype)
        for name in self.columns:
            if self.dtype[name] == np.uint64:
                rows[name] ^= _TOP
        rows["symbol"] = symbol
        return rows


def _signed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.int64) if dtype == np.uint64 else dtype


def gathered(batches: Iterable[Batch], now: int) -> dict[Kind, tuple[Rows, npt.NDArray[np.int64]]]:
    """Return the rows of batches by kind, each with the time when it became known.

    Parameters
    ----------
    batches : iterable of Batch
    now : int
        When those became known that do not tell, ns.

    Raises
    ------
    ValueError
        If there are bars among them that are not stored: forming, or without a timeframe.
    """
    kinds: dict[Kind, list[Batch]] = {}
    for batch in batches:
        if len(batch):
            kinds.setdefault(batch.kind, []).append(batch)
    parts = {}
    for kind, some in kinds.items():
        rows = some[0].rows if len(some) == 1 else np.concatenate([one.rows for one in some])
        times = np.array([one.known or now for one in some], np.int64)
        parts[kind] = (rows, np.repeat(times, [len(one) for one in some]))
    if "bar" in parts:
        bars = parts["bar"][0]
        state = bars["state"]
        if not ((state == CLOSED) | (state == REVISED)).all():
            raise ValueError("only closed and revised bars are stored, not forming ones")
        if (bars["timeframe"] <= 0).any():
            raise ValueError("a bar is stored under its timeframe in seconds, which is missing")
    return parts


LAYOUTS: dict[Kind, Layout] = {
    "trade": Layout(
        "trade",
        "trades",
        TRADE,
        {
            "time": "ts",
            "sequence": "seq",
            "exchange": "exch",
            "id": "id",
            "received": "received",
            "price": "price",
            "size": "size",
            "side": "side",
            "conditions": "conds",
            "flags": "flags",
        },
        series=("sid",),
        order=("ts", "seq", "exch", "id"),
        revisions="trade_revisions",
    ),
    "quote": Layout(
        "quote",
        "quotes",
        QUOTE,
        {
            "time": "ts",
            "sequence": "seq",
            "bid_exchange": "bid_exch",
            "ask_exchange": "ask_exch",
            "bid": "bid",
            "bid_size": "bid_size",
            "ask": "ask",
            "ask_size": "ask_size",
            "received": "received",
        },
        series=("sid",),
        order=("ts", "seq", "bid_exch", "ask_exch", "bid", "bid_size", "ask", "ask_size"),
    ),
    "bar": Layout(
        "bar",
        "bars",
        BAR,
        {
            "timeframe": "tf",
            "origin": "origin",
            "time": "ts",
            "open": "open",
            "high": "high",
            "low": "low",
            "close": "close",
            "volume": "volume",
            "vwap": "vwap",
            "count": "n",
            "volume_rest": "volume_rest",
            "notional": "notional",
            "notional_rest": "notional_rest",
            "revision": "rev",
            "state": "state",
        },
        series=("sid", "tf", "origin"),
        order=("ts",),
        upsert=True,
        stamp="known",
        revisions="bar_revisions",
    ),
}
