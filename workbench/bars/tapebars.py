"""Time bars by the rules of the tape: trades set what their conditions allow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from workbench.bars.batchbars import time_bars
from workbench.bars.conditions import NO_VOLUME, RESTRICTED
from workbench.bars.folding import joined
from workbench.bars.timebars import KEPT, BarBuilder, Overdue
from workbench.kernels import bars
from workbench.kernels import tapebars as kernel
from workbench.kernels.barstate import NEVER
from workbench.kernels.exact import rounded
from workbench.records import Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["TapeBuilder", "Unpriced", "tape_bars"]

#: Trades and volume of intervals in which no trade may set a price.
Unpriced = tuple[int, float]


class TapeBuilder(BarBuilder):
    """Build time bars of trades whose flags tell what they may set.

    Use it like a :class:`~workbench.bars.timebars.BarBuilder`, which it is where no trade is
    marked; :func:`workbench.bars.conditions.marked` marks them. A bar begins with the first
    trade that may set open and close. Trades that may set high and low, or volume, are added to
    it, those from before it included; with volume goes notional, and so vwap. `count` is the
    number of trades that set anything. A trade that may set prices and no volume counts with
    size 0. Without one trade that may set open and close there is no bar: see :meth:`unpriced`.

    Parameters
    ----------
    timeframes : iterable of Timeframe or str
    lateness : float
        Seconds after its end that a bar waits for late trades.

    Attributes
    ----------
    left_out : int
        Trades that may set nothing.

    Examples
    --------
    >>> from workbench.bars.conditions import US_EQUITIES, marked
    >>> from workbench.records import TRADE
    >>> trades = np.zeros(3, TRADE)
    >>> trades["time"] = 1_762_189_200 * 10**9 + np.arange(3)
    >>> trades["price"], trades["size"] = [99.0, 10.0, 11.0], [5.0, 100.0, 100.0]
    >>> trades["conditions"] = [37, 0, 0]  # an odd lot sets no price
    >>> builder = TapeBuilder(["1m"])
    >>> _ = builder.add(marked(trades, US_EQUITIES))
    >>> builder.forming(0, "1m")[["open", "high", "close", "volume", "count"]].tolist()
    [(10.0, 11.0, 11.0, 205.0, 3)]
    """

    def __init__(self, timeframes: Iterable[Timeframe | str], *, lateness: float = 0.0) -> None:
        self.left_out = 0
        self._waits = False
        self._waiting = np.zeros((0, 0), kernel.WAITING)
        self._lost = np.zeros(0, kernel.WAITING)
        super().__init__(timeframes, lateness=lateness)

    def add(self, trades: Rows) -> Rows:
        """Take accepted trades and return the bars they closed or revised."""
        # In pieces of few intervals of the shortest bars, so that what waits for the first
        # price of a bar reaches it while it is at hand, however many intervals are given.
        length = min((tf.ns for tf in self.timeframes), default=1 << 60)
        if not int(np.bitwise_or.reduce(trades["flags"], initial=0)) & RESTRICTED:
            length *= KEPT
            if not self._waits or not len(trades) or int(np.ptp(trades["time"])) < length:
                return self._settled(trades, [super().add(trades)])
        cuts = np.flatnonzero(np.diff(trades["time"] // length)) + 1
        return joined([self._add(some) for some in np.split(trades, cuts)])

    def _add(self, trades: Rows) -> Rows:
        eligible, others, nothing = _parted(trades)
        self.left_out += nothing
        parts = []
        if len(others):
            self._grow(int(others["symbol"].max()) + 1)
            parts.append(self._restrict(others))
        parts.append(super().add(eligible))
        return self._settled(eligible, parts)

    def _settled(self, eligible: Rows, parts: list[Rows]) -> Rows:
        """Give what waits to the bars that trades have begun, and join all that was emitted."""
        if self._waits and len(eligible):
            parts.append(self._settle(np.unique(eligible["symbol"]).astype(np.int64)))
            self._waits = bool((self._waiting["start"] != NEVER).any())
        return joined(parts)

    def _take_over(self, symbol: int, tf: Timeframe, other: BarBuilder, anew: bool) -> None:
        """Take over the state of one series, and what waits for the first price of a bar."""
        if other._head["count"].any():
            super()._take_over(symbol, tf, other, anew)
        else:  # no price yet; what was given up of it stays so
            bars.adopt(
                self._head, self._now, self._slots, self._tfs, symbol, self.timeframes.index(tf),
                self.lateness, other._head, other._now, other._slots,
            )  # fmt: skip
        if isinstance(other, TapeBuilder) and other._waiting.size:
            j = self.timeframes.index(tf)
            self._room()
            other._room()
            ring = self._tfs[j]
            places = slice(ring["offset"], ring["offset"] + ring["ring"])
            self._waiting[symbol, places] = other._waiting[0]
            kernel.lose(self._lost[j], other._lost[0])
            self._waits |= other._waits

    def remove_timeframe(
        self, name: Timeframe | str, *, symbols: Iterable[int] | None = None
    ) -> None:
        """Stop a timeframe, for some symbols or (None) for all; its forming bars are dropped."""
        tf = timeframe(name)
        given = None if symbols is None else list(symbols)
        super().remove_timeframe(tf, symbols=given)
        if tf in self.timeframes and self._waiting.size:
            self._room()
            ring = self._tfs[self.timeframes.index(tf)]
            rows = slice(None) if given is None else [s for s in given if s < len(self._waiting)]
            self._waiting["start"][rows, ring["offset"] : ring["offset"] + ring["ring"]] = NEVER

    def unpriced(self, name: Timeframe | str) -> Unpriced:
        """Return trades and volume of a timeframe that are in no bar, for want of a price.

        Those that still wait for one are among them, and those given up, even if a price came
        too late and the bar was built again elsewhere.
        """
        j = self.timeframes.index(timeframe(name))
        if not self._waiting.size:
            return 0, 0.0
        self._room()
        ring = self._tfs[j]
        waiting = self._waiting[:, ring["offset"] : ring["offset"] + ring["ring"]].ravel()
        some = np.append(waiting[waiting["start"] != NEVER], self._lost[j])
        return _total(some)

    def _restrict(self, rows: Rows) -> Rows:
        self._room()
        one = np.zeros(1, kernel.WAITING)
        rows = rows.view()
        rows.flags.writeable = False
        parts, start = [], 0
        while start < len(rows):
            start, n, m, waits = kernel.restrict(
                self._head, self._now, self._slots, self._waiting, self._lost, self._tfs,
                self.lateness, rows, start, one[0], self._out, self._overdue,
            )  # fmt: skip
            parts.append(self._out[:n].copy())
            self._waits |= waits > 0
            for row, j in self._overdue[:m]:
                self.overdue.append(Overdue(rows[row : row + 1].copy(), self.timeframes[j]))
        return joined(parts)

    def _settle(self, symbols: npt.NDArray[np.int64]) -> Rows:
        self._room()
        parts, start = [], 0
        while start < len(symbols):
            start, n = kernel.settle(
                self._now, self._slots, self._waiting, self._tfs, symbols, start, self._out
            )
            parts.append(self._out[:n].copy())
        return joined(parts)

    def _room(self) -> None:
        """Let what waits have the places that the bars have."""
        if len(self._lost) < len(self._tfs):
            lost = np.zeros(len(self._tfs), kernel.WAITING)
            lost[: len(self._lost)] = self._lost
            self._lost = lost
        if self._waiting.shape != self._slots.shape:
            waiting = np.zeros(self._slots.shape, kernel.WAITING)
            waiting["start"] = NEVER
            rows, places = self._waiting.shape
            waiting[:rows, :places] = self._waiting
            self._waiting = waiting


def tape_bars(trades: Rows, name: Timeframe | str) -> tuple[Rows, Unpriced]:
    """Build the bars of stored, marked trades in one go.

    Parameters
    ----------
    trades : array of TRADE
        Of any symbols, in any order, marked by :func:`workbench.bars.conditions.marked`.
    name : Timeframe or str

    Returns
    -------
    (array of BAR, (int, float))
        The bars that come out of :class:`TapeBuilder`, and trades and volume of intervals
        that have no bar, since no trade of them may set a price.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> trades = np.zeros(2, TRADE)
    >>> trades["price"], trades["size"], trades["flags"] = [9.0, 10.0], 1.0, [6, 0]
    >>> tape_bars(trades, "1m")[0][["open", "low", "volume"]].tolist()
    [(10.0, 10.0, 2.0)]
    """
    tf = timeframe(name)
    eligible, others, _ = _parted(trades)
    bars = time_bars(eligible, tf)
    work = np.zeros(2, kernel.WAITING)
    if len(others):
        others = others[np.lexsort((others["time"], others["symbol"]))]
        others.flags.writeable = False
        kernel.merge(bars, others, tf.ns, tf.origin, work[0], work[1])
    return bars, _total(work[1:])


def _parted(trades: Rows) -> tuple[Rows, Rows, int]:
    """Return trades that may open a bar, those that may set less, how many may set nothing."""
    marks = trades["flags"] & np.uint8(RESTRICTED)
    if not marks.any():
        return trades, trades[:0], 0
    able = (marks & np.uint8(RESTRICTED ^ NO_VOLUME)) == 0
    eligible = trades[able]
    eligible["size"][marks[able] == NO_VOLUME] = 0.0
    eligible["flags"] &= np.uint8(255 ^ RESTRICTED)  # what is left may set what it says
    some = ~able & (marks != RESTRICTED)
    return eligible, trades[some], int((marks == RESTRICTED).sum())


def _total(held: Rows) -> Unpriced:
    volume = sum(int(row["volume_hi"]) << 62 | int(row["volume_lo"]) for row in held)
    high, low = volume >> 62, volume & ((1 << 62) - 1)
    return int(held["count"].sum()), float(rounded(np.int64(high), np.int64(low))[0])
