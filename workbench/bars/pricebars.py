"""Bars that follow the price, made from closed bars: Heikin-Ashi, line break, Kagi, boxes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.bars.folding import bar_rows, checked_bars, fixed, joined, newest_bars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.errors import UnknownTimeframeError
from workbench.kernels import pricebars as kernel
from workbench.records import BAR, FORMING, Rows

__all__ = ["FAMILIES", "PriceBars", "price_bars"]

#: Families of :mod:`workbench.bars.kinds` that are made here, with the number kernels know them by.
FAMILIES = {"heikin-ashi": 0, "line-break": 1, "kagi": 2, "point-figure": 3}
_ROOM = 1 << 16
#: Prices in boxes stay below this, so that each box has a number of its own.
_MOST_BOXES = 2.0**52


class PriceBars:
    """Build bars that follow the price from closed bars of one series as they come.

    All rows of a kind are the same for any split into calls. A bar of the base goes to one
    line, with its volume and count: to the line it goes on with, or to the one it begins or
    (line break) draws. What no finished line holds is in :meth:`forming`.

    Parameters
    ----------
    kind : str or BarKind
        "heikin-ashi@1m", "line-break:3@1m", "kagi:10@1m", "point-figure:1x3@1m".

    Attributes
    ----------
    kind : BarKind
    overdue : list of array of BAR
        Bars, one row each, that are not after the last one taken: revisions and late bars.
        Lines depend on all bars before them, so these are not taken in; build the lines again
        from the stored bars with :func:`price_bars` to have them.

    Raises
    ------
    UnknownTimeframeError
        If the kind is not one of these.

    Notes
    -----
    All go by closes, except Heikin-Ashi. Line break and Heikin-Ashi as in S. Nison, Beyond
    Candlesticks (1994), and D. Valcu, Using the Heikin-Ashi Technique (2004); Kagi with a
    reversal by amount as in Nison; point and figure by closes with a box of fixed size, as in
    T. Dorsey, Point and Figure Charting (1995).

    Examples
    --------
    >>> bars = np.zeros(4, BAR)
    >>> bars["time"], bars["volume"] = np.arange(4) * 60 * 10**9, 1.0
    >>> bars["open"] = bars["high"] = bars["low"] = bars["close"] = [1.0, 2.0, 5.0, 4.0]
    >>> lines = PriceBars("line-break:3@1m")
    >>> lines.add(bars)[["open", "close", "volume"]].tolist()
    [(1.0, 2.0, 2.0), (2.0, 5.0, 1.0)]
    >>> lines.forming()[["open", "close", "volume"]].tolist()
    [(5.0, 4.0, 1.0)]
    """

    def __init__(self, kind: str | BarKind) -> None:
        read = bar_kind(kind)
        if not isinstance(read, BarKind) or read.family not in FAMILIES:
            raise UnknownTimeframeError(
                f"{str(kind)!r} is made from no bars: write heikin-ashi@1m, line-break:3@1m, "
                "kagi:10@1m or point-figure:1x3@1m"
            )
        self.kind = read
        self.overdue: list[Rows] = []
        self._family = FAMILIES[read.family]
        self._p = _parameters(read)
        self._s = np.zeros(1, kernel.PRICE)
        self._s["time"] = kernel.NONE
        self._last = int(kernel.NONE)
        self._symbol: int | None = None

    def __repr__(self) -> str:
        return f"PriceBars({self.kind.name!r})"

    def add(self, bars: Rows) -> Rows:
        """Take closed bars and return the finished rows, closed.

        Parameters
        ----------
        bars : array of BAR
            Of the kind's base, of one symbol, in order of emission.

        Raises
        ------
        ValueError
            If rows are of several symbols, of another timeframe than the base, or no bars.
        """
        if not len(bars):
            return np.zeros(0, BAR)
        self._check(bars)
        self._symbol = int(bars["symbol"][0])
        before = np.maximum.accumulate(np.r_[self._last, bars["time"][:-1]])
        fresh = bars["time"] > before
        if not fresh.all():
            self.overdue += [bars[i : i + 1].copy() for i in np.flatnonzero(~fresh)]
            bars = bars[fresh]
        if len(bars):
            self._last = int(bars["time"][-1])
        return self._run(self._s, bars)

    def forming(self, bars: Rows | None = None) -> Rows:
        """Return what is not finished, as it stands.

        Parameters
        ----------
        bars : array of BAR, or None
            Bars of the base that are not closed, to be looked at and not kept.

        Returns
        -------
        array of BAR
            State FORMING. With bars given also the rows these would finish.
        """
        state = self._s
        parts: list[Rows] = []
        if bars is not None and len(bars):
            self._check(bars)
            state = self._s.copy()
            parts.append(self._run(state, bars[bars["time"] > self._last]))
        out = np.zeros(1, BAR)
        parts.append(out[: kernel.unfinished(self._p[0], state[0], self._family, out)])
        rows = joined(parts)
        rows["state"] = FORMING
        return rows

    def _run(self, state: Rows, bars: Rows) -> Rows:
        out = np.zeros(min(len(bars), _ROOM) + 1, BAR)
        parts: list[Rows] = []
        at = 0
        bars = fixed(bars)
        p, s = self._p[0], state[0]
        while at < len(bars):
            if self._family == 0:
                at, n = kernel.heikin_ashi(p, s, bars, at, out)
            elif self._family == 1:
                at, n = kernel.line_break(p, s, bars, at, out)
            elif self._family == 2:
                at, n = kernel.kagi(p, s, bars, at, out)
            else:
                at, n = kernel.point_figure(p, s, bars, at, out)
            parts.append(out[:n].copy())
        return joined(parts)

    def _check(self, bars: Rows) -> None:
        checked_bars(bars)
        symbol = int(bars["symbol"][0]) if self._symbol is None else self._symbol
        if (bars["symbol"] != symbol).any():
            raise ValueError(f"{self.kind} bars are of one symbol, and these rows of several")
        base = self.kind.base
        wrong = (bars["timeframe"] != 0) & (bars["timeframe"] != (base.seconds if base else 0))
        if wrong.any():
            seconds = int(bars["timeframe"][wrong][0])
            raise ValueError(f"{self.kind} is made from {base} bars, not from those of {seconds} s")
        size = float(self._p["size"][0])
        if self._family == 3 and (np.abs(bars["close"]) / size >= _MOST_BOXES).any():
            raise ValueError(f"a box of {size:g} is too small for these prices")


def price_bars(bars: Rows | pd.DataFrame, kind: str | BarKind) -> Rows:
    """Build bars that follow the price from stored bars in one go.

    Parameters
    ----------
    bars : array of BAR, or DataFrame
        Closed bars of one series of the kind's base; where a bar comes several times the
        newest revision counts. A DataFrame as in :func:`workbench.bars.folding.bar_rows`.
    kind : str or BarKind
        See :class:`PriceBars`.

    Returns
    -------
    array of BAR
        Finished lines, state CLOSED: those that come out live from the same bars.

    Raises
    ------
    ValueError
        If rows are no bars, of several symbols, or repeat.

    Examples
    --------
    >>> bars = np.zeros(2, BAR)
    >>> bars["time"], bars["open"], bars["high"] = [0, 60 * 10**9], [1.0, 2.0], 3.0
    >>> bars["low"], bars["close"] = 1.0, 2.0
    >>> price_bars(bars, "heikin-ashi@1m")[["open", "close"]].tolist()
    [(1.5, 1.75), (1.625, 2.0)]
    """
    built = PriceBars(kind)
    rows = bar_rows(bars) if isinstance(bars, pd.DataFrame) else newest_bars(bars)
    return built.add(rows)


def _parameters(kind: BarKind) -> Rows:
    p = np.zeros(1, kernel.PARAMETERS)
    p["code"] = kind.code
    if kind.family == "line-break":
        p["lines"] = kind.parameters[0]
    elif kind.family == "kagi":
        p["reversal"] = kind.parameters[0]
    elif kind.family == "point-figure":
        size = kind.parameters[0]
        p["size"], p["reversal"] = kind.parameters
        inverse = 1.0 / size
        if inverse > 1.0 and abs(inverse - round(inverse)) <= 1e-9 * inverse:
            p["inverse"] = round(inverse)
    return p
