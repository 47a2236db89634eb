"""Bars of quotes of a running series: their bids, asks or middles by the clock."""

from __future__ import annotations

from typing import cast

import numpy as np

from workbench.bars.kinds import BarKind
from workbench.bars.quotebars import QuoteBars, QuotePrice, quote_bars
from workbench.errors import ConfigError
from workbench.records import Rows

__all__ = ["QuoteLine"]


class QuoteLine:
    """Build the bars of one symbol's quotes, closed and revised by what quotes come.

    No clock of ours closes them: a replay closes what was closed live. The newest bar is
    unfinished until a quote of a later time comes.

    Parameters
    ----------
    kind : BarKind
        Such as "mid@1m".
    number : int
        Of the symbol.
    lateness : float
        Seconds after its end that a bar waits for late quotes.

    Attributes
    ----------
    late : set of int
        Starts of the bars, ns UTC, that quotes came too late for.

    Examples
    --------
    >>> from workbench.bars.kinds import bar_kind
    >>> from workbench.records import empty
    >>> quotes = empty("quote", 3)
    >>> quotes["time"], quotes["bid"], quotes["ask"] = [0, 10**9, 60 * 10**9], 10.0, [11, 12, 13]
    >>> line = QuoteLine(bar_kind("mid@1m"), 0, lateness=0.0)
    >>> line.begin(quotes)[["open", "close"]].tolist(), line.forming()["close"].tolist()
    ([(10.5, 11.0)], [11.5])
    """

    def __init__(self, kind: BarKind, number: int, *, lateness: float) -> None:
        if kind.base is None:
            raise ConfigError(f"{kind} is not a kind of bars that is made from quotes")
        self.kind = kind
        self.late: set[int] = set()
        self._base = kind.base
        self._number = number
        self._price = cast(QuotePrice, kind.family)
        self._bars = QuoteBars([kind.base], self._price, lateness=lateness)

    def begin(self, quotes: Rows) -> Rows:
        """Take quotes that there were before, in any order, and return the bars they close."""
        return self.add(quotes[np.argsort(quotes["time"], kind="stable")])

    def add(self, quotes: Rows) -> Rows:
        """Take quotes as they come and return the bars they close or revise."""
        bars = self._bars.add(quotes)
        overdue = self._bars.builder.overdue
        self.late |= {self._base.start(int(one.trade["time"][0])) for one in overdue}
        overdue.clear()
        return self._named(bars)

    def touched(self) -> bool:
        """Tell whether quotes came since the last call."""
        return self._bars.builder.touched(self._number)

    def forming(self) -> Rows:
        """Return the bars that are not closed, as they stand, oldest first."""
        return self._named(self._bars.forming(self._number, self._base))

    def again(self, quotes: Rows, whole: int) -> Rows:
        """Return the bars that quotes came too late for, as they are with these.

        Parameters
        ----------
        quotes : array of QUOTE
            The symbol's quotes at hand.
        whole : int
            Time, ns UTC, from which on they are all there were; older bars stay as they are.
        """
        starts, self.late = [start for start in sorted(self.late) if start >= whole], set()
        if not starts:
            return self._named(quote_bars(quotes[:0], self._base, self._price))
        end = starts[-1] + self._base.ns
        some = quotes[(quotes["time"] >= starts[0]) & (quotes["time"] < end)]
        bars = quote_bars(some, self._base, self._price)
        return self._named(bars[np.isin(bars["time"], starts)])

    def _named(self, bars: Rows) -> Rows:
        bars = bars.copy()
        bars["timeframe"] = self.kind.code
        return bars
