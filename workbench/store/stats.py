"""What a writer counts: rows by kind, what it refused, and where rows are missing for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from workbench.records import Batch, Kind
from workbench.symbols import SymbolTable

__all__ = ["Counts", "Loss", "Losses", "State", "WriterStats", "per_symbol"]

State = Literal["running", "store_full", "store_failing", "closed"]


@dataclass(frozen=True, slots=True)
class WriterStats:
    """What a writer did so far, and how it is.

    Attributes
    ----------
    state : "running", "store_full", "store_failing" or "closed"
        "store_full" and "store_failing" try again by themselves; nothing queued is lost.
    written : dict of str to int
        Rows committed, by kind, those included that were stored before.
    changed : int
        Rows committed that were new or changed something.
    queued : int
        Rows accepted and not yet committed.
    commits : int
        Transactions.
    dropped : dict of (str, str) to int
        Rows refused because the queue was full or closed, by kind and symbol.
    errors : int
        Times that the store refused something.
    aside : int
        Rows that can never be stored, kept aside.
    wal_bytes : int
        Size of the store's log.
    """

    state: State
    written: dict[str, int]
    changed: int
    queued: int
    commits: int
    dropped: dict[tuple[str, str], int]
    errors: int
    aside: int
    wal_bytes: int


@dataclass(slots=True)
class Counts:
    """Counts of a writer that go on."""

    written: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    commits: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: int = 0
    aside: int = 0


class Loss(NamedTuple):
    """Where rows of a series are not stored though they came.

    Attributes
    ----------
    kind : "trade", "quote" or "bar"
    symbol : str
        In our spelling; empty for rows whose number the table has no symbol for.
    first, last : int
        Event times of the first and the last of them, ns UTC; of bars these are starts.
    """

    kind: Kind
    symbol: str
    first: int
    last: int


def per_symbol(batch: Batch, table: SymbolTable) -> list[tuple[Loss, int]]:
    """Return which times of which symbols a batch spans, with the number of rows.

    Parameters
    ----------
    batch : Batch
    table : SymbolTable
        Names of the symbols in the rows.

    Examples
    --------
    >>> from workbench.records import empty
    >>> rows = empty("trade", 3)
    >>> rows["symbol"], rows["time"] = [0, 1, 0], [7, 8, 3]
    >>> for loss, n in per_symbol(Batch("trade", rows), SymbolTable(["AAPL", "MSFT"])):
    ...     print(loss.symbol, loss.first, loss.last, n)
    AAPL 3 7 2
    MSFT 8 8 1
    """
    numbers, places, counts = np.unique(
        batch.rows["symbol"], return_inverse=True, return_counts=True
    )
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    last = np.full(len(numbers), np.iinfo(np.int64).min)
    np.minimum.at(first, places, batch.rows["time"])
    np.maximum.at(last, places, batch.rows["time"])
    names = table.names()
    return [
        (Loss(batch.kind, names[number] if 0 <= number < len(names) else "", low, high), count)
        for number, low, high, count in zip(
            numbers.tolist(), first.tolist(), last.tolist(), counts.tolist(), strict=True
        )
    ]


class Losses:
    """Gather losses, as one for each kind and symbol, until somebody takes them.

    It is as large as the table of symbols at most. Not for several threads at once.

    Examples
    --------
    >>> losses = Losses()
    >>> losses.add(Loss("trade", "AAPL", 5, 9))
    >>> losses.add(Loss("trade", "AAPL", 3, 4))
    >>> losses.take(), losses.take()
    ([Loss(kind='trade', symbol='AAPL', first=3, last=9)], [])
    """

    def __init__(self) -> None:
        self._spans: dict[tuple[Kind, str], tuple[int, int]] = {}

    def add(self, loss: Loss) -> None:
        """Add a loss to what is known of its kind and symbol."""
        key = (loss.kind, loss.symbol)
        first, last = self._spans.get(key, (loss.first, loss.last))
        self._spans[key] = (min(first, loss.first), max(last, loss.last))

    def take(self) -> list[Loss]:
        """Return what was gathered since the last call, and forget it."""
        spans, self._spans = self._spans, {}
        return [Loss(*key, *span) for key, span in spans.items()]
