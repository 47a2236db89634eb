"""All series that are kept in memory, fed with bars and read by screens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.analytics import Indicator
from workbench.bars.kinds import BarKind, kind_of
from workbench.bars.timebars import BarBuilder
from workbench.flow.kindbars import KindBars, base_of
from workbench.flow.series import Series
from workbench.flow.window import Window
from workbench.records import Batch, Rows, empty
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

__all__ = ["Board"]

_LOW, _SIGN = 0xFFFFFFFF, 0x80000000


class Board:
    """Hold the series of a feed and pass each its bars.

    Parameters
    ----------
    table : SymbolTable
    builder : BarBuilder
        Tells the forming bars.
    capacity : int
        Closed bars a window keeps.
    kinds : KindBars or None
        Makes bars of other kinds from those here, and tells the unfinished ones.
    """

    def __init__(
        self,
        table: SymbolTable,
        builder: BarBuilder,
        capacity: int,
        kinds: KindBars | None = None,
    ) -> None:
        self.capacity = capacity
        self.every = False  # whether series of any bars that come are kept
        self._table = table
        self._builder = builder
        self._kinds = KindBars(0.0) if kinds is None else kinds
        self._series: dict[tuple[int, int], list[Series]] = {}

    def __len__(self) -> int:
        return sum(len(some) for some in self._series.values())

    def base(self, symbol: int, tf: Timeframe | BarKind) -> Series | None:
        """Return the series of a symbol and timeframe without indicators, or None."""
        some = self._series.get((symbol, tf.code), ())
        return next((s for s in some if not s.indicators), None)

    def open(
        self, symbol: int, tf: Timeframe | BarKind, indicators: Sequence[Indicator], past: Rows
    ) -> Series:
        """Return the series with these indicators, made and filled if it is not there.

        Parameters
        ----------
        symbol : int
        tf : Timeframe
        indicators : sequence of Indicator
        past : array of BAR
            Closed bars to begin with, in order of time.
        """
        some = self._series.setdefault((symbol, tf.code), [])
        wanted = tuple(indicators)
        for series in some:
            if series.indicators == wanted:
                self._show(symbol, series)
                return series
        series = Series(self._table.name(symbol), tf, wanted, self.capacity)
        series.add(past)
        self._show(symbol, series)
        some.append(series)
        return series

    def release(self, window: Window) -> bool:
        """Give back a use of a window; True if its series is gone with it."""
        for key, some in self._series.items():
            for series in some:
                if series.window is window:
                    series.users = max(0, series.users - 1)
                    if series.users == 0 and series.indicators:
                        some.remove(series)
                        return True
                    return not some and self._series.pop(key, None) is not None
        return False

    def drop(self, symbol: int, tf: Timeframe | BarKind) -> None:
        """Forget the series of a symbol and timeframe that nobody watches."""
        key = (symbol, tf.code)
        left = [s for s in self._series.get(key, ()) if s.users]
        if left:
            self._series[key] = left
        else:
            self._series.pop(key, None)

    def watched(self, symbol: int, tf: Timeframe | BarKind) -> bool:
        """Tell whether a screen uses a series."""
        return any(s.users for s in self._series.get((symbol, tf.code), ()))

    def needed(self, symbol: int, tf: Timeframe) -> bool:
        """Tell whether a screen uses a series of time bars, or one that is made from them."""
        return self.watched(symbol, tf) or self._kinds.based(symbol, tf.seconds)

    def add(self, batch: Batch) -> None:
        """Pass closed and revised bars to their series, and to those made from them."""
        rows = batch.rows
        keys = rows["symbol"].astype(np.int64) << 32 | rows["timeframe"].astype(np.int64) & _LOW
        if len(rows) == 1 or (keys == keys[0]).all():
            self._pass(int(keys[0]), rows)
        else:
            for key in np.unique(keys):
                self._pass(int(key), rows[keys == key])
        for number, kind, bars, anew in self._kinds.bars(rows):
            if anew:
                self._hold(number, kind.code, bars)
            else:
                self._pass(number << 32 | kind.code & _LOW, bars)

    def _pass(self, key: int, rows: Rows) -> None:
        symbol, code = key >> 32, (key & _LOW ^ _SIGN) - _SIGN
        if self.every and (symbol, code) not in self._series:
            self.open(symbol, kind_of(code), (), rows[:0])
        for series in self._series.get((symbol, code), ()):
            series.add(rows)
            if series.users:  # closing a bar took the forming ones off the screen
                self._show(symbol, series)

    def restart(self, bars: Rows) -> None:
        """Begin a series of time bars again with these closed ones, and what is made from them."""
        if not len(bars):
            return
        number, seconds = int(bars["symbol"][0]), int(bars["timeframe"][0])
        self._hold(number, seconds, bars)
        for kind, made in self._kinds.begin_again(number, seconds, bars):
            self._hold(number, kind.code, made)

    def _hold(self, symbol: int, code: int, bars: Rows) -> None:
        """Have series hold these closed bars instead of theirs."""
        for series in self._series.get((symbol, code), ()):
            series.restart(bars)
            self._show(symbol, series)

    def redo(self, symbol: int, kind: BarKind, bars: Rows, gone: int) -> None:
        """Put bars in place of so many of the newest ones of a series."""
        for series in self._series.get((symbol, kind.code), ()):
            series.redo(bars, gone)
            self._show(symbol, series)

    def refresh(self) -> None:
        """Show the forming bars of watched series whose symbols had trades, or quotes."""
        touched: dict[int, bool] = {}
        for (symbol, code), some in self._series.items():
            watched = [series for series in some if series.users]
            if not watched:
                continue
            moved = self._kinds.touched(symbol, code)
            if moved is None:
                if symbol not in touched:
                    touched[symbol] = self._builder.touched(symbol)
                moved = touched[symbol]
            for series in watched if moved else ():
                self._show(symbol, series)

    def forming(self, symbol: int, tf: Timeframe | BarKind) -> Rows:
        """Return the bars of a series that are not closed, as they stand, oldest first."""
        if isinstance(tf, Timeframe):
            return self._builder.forming(symbol, tf)
        base = base_of(tf)
        ahead = empty("bar") if base is None else self._builder.forming(symbol, base)
        return self._kinds.forming(symbol, tf, ahead)

    def _show(self, symbol: int, series: Series) -> None:
        bars = self.forming(symbol, series.window.timeframe)
        if len(bars):
            series.form(bars)
