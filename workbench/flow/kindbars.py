"""Bars of other kinds than time bars that somebody watches, in step with trades and time bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from workbench.bars.calendarbars import CalendarBars
from workbench.bars.eventbars import EVENT_FAMILIES
from workbench.bars.kinds import BarKind
from workbench.bars.pricebars import PriceBars
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.flow.eventline import EventLine
from workbench.flow.quoteline import QuoteLine
from workbench.records import BAR, Batch, Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["KindBars", "base_of"]

#: Bars of a base that are kept to draw lines again after a late trade.
_KEPT = 65_536
_MINUTE = timeframe("1m")


def base_of(kind: BarKind) -> Timeframe | None:
    """Return the timeframe of the time bars a kind is built from live; None if from no bars.

    >>> from workbench.bars.kinds import bar_kind
    >>> base_of(bar_kind("kagi:10@5m")), base_of(bar_kind("volume:10"))
    (Timeframe(seconds=300, name='5m'), None)
    """
    if kind.family in EVENT_FAMILIES or kind.family in QUOTE_FAMILIES:
        return None
    return kind.base or _MINUTE


class _Made(Protocol):
    """Bars that are made from time bars."""

    def add(self, bars: Rows) -> Rows: ...

    def forming(self, bars: Rows | None = None, /) -> Rows: ...


class _FromBars:
    """Bars of one series that are made from time bars."""

    def __init__(self, kind: BarKind, symbol: str) -> None:
        self.kind = kind
        base = base_of(kind)
        self.seconds = base.seconds if base is not None else 0  # of the bars it is made from
        self._symbol = symbol
        self._kept = np.zeros(0, BAR)
        self._whole = True
        self._made = self._fresh()

    def _fresh(self) -> _Made:
        if self.kind.family == "session":
            return CalendarBars(self.kind, self._symbol)
        return PriceBars(self.kind)

    def begin(self, bars: Rows) -> Rows:
        """Take these bars instead of all before; return finished ones."""
        self._kept, self._whole = bars[-_KEPT:].copy(), len(bars) <= _KEPT
        self._made = self._fresh()
        return self._made.add(self._kept) if len(bars) else bars[:0]

    def add(self, bars: Rows) -> tuple[Rows, bool]:
        """Take closed and revised bars; return finished ones, and whether they are all anew."""
        if self.kind.family == "session":
            return self._made.add(bars), False
        last = int(self._kept["time"][-1]) if len(self._kept) else -(1 << 62)
        if (bars["time"] > last).all() and (np.diff(bars["time"]) > 0).all():
            self._keep(bars)
            return self._made.add(bars), False
        # Lines go on from the bars before: a late trade moves all that came after it.
        merged = np.concatenate([self._kept, bars])
        merged = merged[np.lexsort((merged["revision"], merged["time"]))]
        newest = np.append(merged["time"][1:] != merged["time"][:-1], True)
        if not self._whole:
            fresh = bars[bars["time"] > last]
            return self._made.add(fresh), False
        self._kept = merged[newest]
        self._made = self._fresh()
        return self._made.add(self._kept), True

    def _keep(self, bars: Rows) -> None:
        self._kept = np.concatenate([self._kept, bars])
        if len(self._kept) > _KEPT:
            self._kept = self._kept[-_KEPT // 2 :].copy()
            self._whole = False

    def forming(self, ahead: Rows) -> Rows:
        """Return what is not finished, looking at time bars that are not closed."""
        return self._made.forming(ahead)


class KindBars:
    """Build the bars of other kinds that somebody watches.

    Parameters
    ----------
    lateness : float
        Seconds that a trade may be behind the market's clock.

    Examples
    --------
    >>> from workbench.bars.kinds import bar_kind
    >>> from workbench.records import empty
    >>> kinds = KindBars(lateness=0.0)
    >>> trades = empty("trade", 5)
    >>> trades["time"], trades["price"], trades["size"] = range(5), 10.0, 1.0
    >>> len(kinds.open(0, "BTC-USD", bar_kind("trades:2"), trades, empty("bar")))
    2
    """

    def __init__(self, lateness: float) -> None:
        self.lateness = lateness
        self.overdue = 0  # trades too late for bars that depend on all before them
        self._events: dict[tuple[int, int], EventLine] = {}
        self._lines: dict[tuple[int, int], _FromBars] = {}
        self._quotes: dict[tuple[int, int], QuoteLine] = {}

    def __len__(self) -> int:
        return len(self._events) + len(self._lines) + len(self._quotes)

    def has(self, number: int, kind: BarKind) -> bool:
        """Tell whether bars of a kind are built for a symbol."""
        key = (number, kind.code)
        return key in self._events or key in self._lines or key in self._quotes

    def lines(self) -> list[tuple[int, EventLine]]:
        """Return the series that are built of trades, each with the number of its symbol."""
        return [(number, line) for (number, _), line in self._events.items()]

    def quoted(self) -> list[tuple[int, QuoteLine]]:
        """Return the series that are built of quotes, each with the number of its symbol."""
        return [(number, line) for (number, _), line in self._quotes.items()]

    def open(
        self, number: int, symbol: str, kind: BarKind, ticks: Rows, bars: Rows, whole: int = 0
    ) -> Rows:
        """Begin bars of a kind, and return those that are finished already.

        Parameters
        ----------
        number : int
            Of the symbol.
        symbol : str
        kind : BarKind
        ticks : array of TRADE, or of QUOTE where the kind is made from quotes
            Those of the symbol so far, in any order.
        bars : array of BAR
            Closed bars of the kind's base so far.
        whole : int
            Time, ns UTC, from which on they are all there were.
        """
        key = (number, kind.code)
        if kind.family in QUOTE_FAMILIES:
            quoted = self._quotes[key] = QuoteLine(kind, number, lateness=self.lateness)
            return quoted.begin(ticks)
        if kind.family in EVENT_FAMILIES:
            event = EventLine(kind, number, lateness=self.lateness, whole=whole)
            self._events[key] = event
            return event.begin(ticks)
        line = self._lines[key] = _FromBars(kind, symbol)
        return line.begin(bars)

    def close(self, number: int, kind: BarKind) -> None:
        """Stop building bars of a kind."""
        self._events.pop((number, kind.code), None)
        self._lines.pop((number, kind.code), None)
        self._quotes.pop((number, kind.code), None)

    def touched(self, number: int, code: int) -> bool | None:
        """Tell whether quotes came since the last call; None where bars are not made from them."""
        line = self._quotes.get((number, code))
        return None if line is None else line.touched()

    def forming(self, number: int, kind: BarKind, ahead: Rows) -> Rows:
        """Return the bars that are not finished, as they stand.

        Parameters
        ----------
        number : int
        kind : BarKind
        ahead : array of BAR
            Bars of the kind's base that are not closed.
        """
        key = (number, kind.code)
        ticked = self._events.get(key) or self._quotes.get(key)
        if ticked is not None:
            return ticked.forming()
        line = self._lines.get(key)
        return np.zeros(0, BAR) if line is None else line.forming(ahead)

    def trades(self, batch: Batch) -> Iterator[Rows]:
        """Take accepted trades; tell the bars they finish, series by series."""
        for (number, _), event in self._events.items():
            rows = batch.rows[batch.rows["symbol"] == number]
            if len(rows):
                before = event.overdue
                bars = event.add(rows)
                self.overdue += event.overdue - before
                if len(bars):
                    yield bars

    def quotes(self, batch: Batch) -> Iterator[Rows]:
        """Take accepted quotes; tell the bars they close or revise, series by series."""
        for (number, _), line in self._quotes.items():
            rows = batch.rows[batch.rows["symbol"] == number]
            bars = line.add(rows) if len(rows) else rows
            if len(bars):
                yield bars

    def bars(self, rows: Rows) -> Iterator[tuple[int, BarKind, Rows, bool]]:
        """Take time bars; tell the bars they finish, and whether a series begins anew."""
        for (number, _), line in self._lines.items():
            own = (rows["symbol"] == number) & (rows["timeframe"] == line.seconds)
            if own.any():
                bars, anew = line.add(rows[own])
                if len(bars) or anew:
                    yield number, line.kind, bars, anew

    def begin_again(self, number: int, seconds: int, bars: Rows) -> Iterator[tuple[BarKind, Rows]]:
        """Take these time bars instead of all of a symbol before; tell what they make."""
        for line in self._based(number, seconds):
            yield line.kind, line.begin(bars)

    def based(self, number: int, seconds: int) -> bool:
        """Tell whether bars are made from time bars of that many seconds."""
        return bool(self._based(number, seconds))

    def _based(self, number: int, seconds: int) -> list[_FromBars]:
        lines = self._lines.items()
        return [line for (n, _), line in lines if n == number and line.seconds == seconds]

    def advance(self, clock: int) -> Iterator[Rows]:
        """Release trades that waited long enough at a time of receipt, ns UTC."""
        for event in self._events.values():
            if event.due() <= clock:
                bars = event.advance(clock)
                if len(bars):
                    yield bars
