"""The newest rows of a kind, of all symbols, in a ring."""

from __future__ import annotations

import numpy as np

from workbench.records import KINDS, Batch, Kind, Rows

__all__ = ["Recent"]

_NEVER = -(1 << 62)
_NOBODY = -1  # the number of no symbol


class Recent:
    """Keep the newest rows in order of acceptance, and the last one of each symbol.

    Parameters
    ----------
    kind : "trade" or "quote"
    capacity : int
        Rows kept, of all symbols together.

    Attributes
    ----------
    replaced : dict of int to int
        The oldest time, ns UTC, from which on rows of a symbol were replaced by others, until
        whoever builds on them takes it out.

    Examples
    --------
    >>> from workbench.records import empty
    >>> recent = Recent("trade", 4)
    >>> rows = empty("trade", 6)
    >>> rows["price"] = range(6)
    >>> recent.add(Batch("trade", rows))
    >>> recent.of(0)["price"].tolist(), recent.last(0)["price"].tolist()
    ([2.0, 3.0, 4.0, 5.0], [5.0])
    """

    def __init__(self, kind: Kind, capacity: int) -> None:
        self.total = 0
        self.replaced: dict[int, int] = {}
        self.fallen = _NEVER  # newest time of a row that fell off: what is later is whole
        self._kind = kind
        self._rows = np.zeros(capacity, KINDS[kind])
        self._last = np.zeros(16, KINDS[kind])
        self._seen = np.zeros(16, bool)

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        rows = batch.rows
        if not len(rows):
            return
        top = int(rows["symbol"].max())
        if top >= len(self._last):
            more = np.zeros(max(top + 1, 2 * len(self._last)), self._last.dtype)
            more[: len(self._last)] = self._last
            seen = np.zeros(len(more), bool)
            seen[: len(self._last)] = self._seen
            self._last, self._seen = more, seen
        self._last[rows["symbol"]] = rows
        self._seen[rows["symbol"]] = True
        capacity = len(self._rows)
        kept = rows[-capacity:]
        at = (self.total + len(rows) - len(kept)) % capacity
        first = min(len(kept), capacity - at)
        if self.total + len(rows) > capacity:
            self._fall(rows[: len(rows) - len(kept)], at, first, len(kept) - first)
        self._rows[at : at + first] = kept[:first]
        self._rows[: len(kept) - first] = kept[first:]
        self.total += len(rows)

    def _fall(self, passed: Rows, at: int, first: int, wrapped: int) -> None:
        """Note the times of rows that others take the places of, and of those that get none."""
        held = min(self.total, len(self._rows))
        gone = (passed, self._rows[at : min(at + first, held)], self._rows[:wrapped])
        times = [int(some["time"].max()) for some in gone if len(some)]
        self.fallen = max(self.fallen, *times) if times else self.fallen

    def replace(self, symbol: int, start: int, end: int, rows: Rows) -> None:
        """Hold these rows instead of a symbol's rows of [start, end), as far back as it has any.

        Parameters
        ----------
        symbol : int
        start, end : int
            ns UTC.
        rows : array
            Of the symbol and of that time.
        """
        held = self._rows[: self.total]
        own = held["symbol"] == symbol
        if not own.any():
            return
        start = max(start, self.fallen + 1, int(held["time"][own].min()))
        rows = rows[(rows["time"] >= start) & (rows["time"] < end)]
        places = np.flatnonzero(own & (held["time"] >= start) & (held["time"] < end))
        before = held[places]
        if before.tobytes() == rows.tobytes():
            return
        kept = min(len(places), len(rows))
        held[places[:kept]] = rows[:kept]
        held["symbol"][places[kept:]] = _NOBODY
        self.replaced[symbol] = min(start, self.replaced.get(symbol, start))
        if len(rows) > kept:
            self.add(Batch(self._kind, rows[kept:]))
        left = self.of(symbol, 1)  # what was the last may be gone
        self._seen[symbol] = bool(len(left))
        self._last[symbol : symbol + len(left)] = left

    @property
    def complete(self) -> bool:
        """Whether nothing has fallen off yet."""
        return self.total <= len(self._rows)

    def of(self, symbol: int, last: int | None = None) -> Rows:
        """Return a symbol's rows, oldest first; None for `last` means all that are kept."""
        capacity = len(self._rows)
        rows: Rows = self._rows[: self.total]
        if not self.complete:
            rows = np.roll(self._rows, -(self.total % capacity), axis=0)
        rows = rows[rows["symbol"] == symbol]
        return rows if last is None else rows[max(0, len(rows) - last) :].copy()

    def within(self, symbol: int, start: int, end: int) -> Rows:
        """Return a symbol's rows of [start, end) in ns UTC, in order of acceptance."""
        rows: Rows = self._rows[: self.total]
        times = rows["time"].copy()  # side by side they are compared much faster
        found = np.flatnonzero((times >= start) & (times < end))
        found = found[rows["symbol"][found] == symbol]
        if not self.complete:  # the oldest row is where the next one will be put
            turn = np.searchsorted(found, self.total % len(self._rows))
            found = np.roll(found, -int(turn))
        return rows[found]

    def last(self, symbol: int) -> Rows:
        """Return a symbol's newest row, or no row."""
        if symbol >= len(self._last) or not self._seen[symbol]:
            return self._last[:0].copy()
        return self._last[symbol : symbol + 1].copy()
