"""An indicator in the middle of a series, and several of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.inputs import WHOLE, columns, row
from workbench.analytics.ready import Columns, Values, cleaned, fill_finite, packed, state_of
from workbench.kernels.columns import bars_type
from workbench.kernels.dispatch import SMALLEST, bound
from workbench.records import Rows
from workbench.sessions import timezone

if TYPE_CHECKING:
    from workbench.analytics.configured import Indicator

__all__ = ["Run", "Runs"]


class Run:
    """An indicator in the middle of a series: its state, and how to step back.

    Parameters
    ----------
    indicator : Indicator
    symbol : str
        Tells the market's time zone; empty for UTC.

    Attributes
    ----------
    count : int
        Bars taken.
    """

    #: Bars between two checkpoints, and how many checkpoints are kept.
    EVERY, KEEP = 64, 64
    #: A long way that is gone again has checkpoints only so often, but for its last part.
    _AGAIN, _LAST = 4 * EVERY, 16 * EVERY

    def __init__(self, indicator: Indicator, symbol: str = "") -> None:
        self.indicator = indicator
        self.count = 0
        self._most = 0  # bars taken before the last step back
        self._zone = timezone(symbol) if symbol else "UTC"
        self._p, self._s = packed(indicator), state_of(indicator)
        self._ahead = self._s.copy()
        self._checkpoints: list[tuple[int, Rows]] = [(0, self._s.copy())]

    def add(self, bars: pd.DataFrame | Rows) -> Values:
        """Take closed bars and return their values, shape (bars, outputs)."""
        return self.columns(self._read(bars))

    def columns(self, given: Columns) -> Values:
        """Take closed bars as columns, in the order of the indicator's inputs."""
        n = len(given[0])
        out = np.empty((n, len(self.indicator.spec.outputs)))
        given, finite = cleaned(given) if n > self.EVERY else (given, False)
        start = 0
        while start < n:  # stop at the checkpoints on the way, but only at those that are kept
            step = self.EVERY - self.count % self.EVERY
            left = n - start
            if left > self.KEEP * self.EVERY:
                step += (left - self.KEEP * self.EVERY) // self.EVERY * self.EVERY
            elif left > self._LAST and self.count < self._most:
                step += self._AGAIN - self.EVERY
            step = min(step, left)
            part = [column[start : start + step] for column in given]
            some = out[start : start + step]
            fill_finite(self.indicator, self._p, self._s, part, some, finite=finite)
            self.passed(step)
            start += step
        return out

    def passed(self, bars: int) -> None:
        """Count bars that the state has taken, and keep a checkpoint if one is due."""
        self.count += bars
        if self.count % self.EVERY == 0:
            self._checkpoints.append((self.count, self._s.copy()))
            del self._checkpoints[: -self.KEEP]

    def bind(self, part: Columns, out: Values, *, ahead: bool) -> Any:
        """Return a call that takes the one row that `part` holds by then, and fills `out`.

        Parameters
        ----------
        part : sequence of arrays of one element
        out : float64 array, shape (1, outputs)
        ahead : bool
            Whether it works on the state of :meth:`look` rather than on its own.
        """
        spec = self.indicator.spec
        state = self._ahead if ahead else self._s
        return bound(spec.kernel, self._p, state, bars_type(spec.inputs)(*part), out)

    def look(self) -> None:
        """Copy the state to the one that calls bound with `ahead` work on."""
        self._ahead[...] = self._s

    def peek(self, bar: Rows) -> Values:
        """Return the values a forming bar, one row, would have; the state stays as it is."""
        values: Values = self.ahead(bar)[0]
        return values

    def ahead(self, bars: Rows) -> Values:
        """Return the values that bars to come would have, one after the other, as a peek."""
        out = np.empty((len(bars), len(self.indicator.spec.outputs)))
        self.look()
        fill_finite(self.indicator, self._p, self._ahead, self._read(bars), out)
        return out

    def reach(self, count: int) -> int:
        """Return how many bars the newest kept state of at most `count` has taken, or -1."""
        return max((at for at, _ in self._checkpoints if at <= count), default=-1)

    def rollback(self, count: int) -> None:
        """Step back to the state kept at exactly `count` bars (see :meth:`reach`).

        Raises
        ------
        ValueError
            If none was kept there.
        """
        for place, (at, state) in enumerate(self._checkpoints):
            if at == count:
                self._s[...] = state
                self._most, self.count = max(self._most, self.count), at
                del self._checkpoints[place + 1 :]
                return
        raise ValueError(f"no checkpoint at bar {count}")

    def _read(self, bars: pd.DataFrame | Rows) -> Columns:
        return columns(bars, self.indicator.inputs, self._zone, self.indicator.spec.name)


class Runs:
    """Several indicators over one series, fed together.

    A row at a time costs one call of each kernel and little more: the columns they read are
    taken from the bar once, and calls are made ready before.

    Parameters
    ----------
    indicators : sequence of Indicator
    symbol : str

    Attributes
    ----------
    runs : tuple of Run
    width : int
        Outputs of all indicators together.
    """

    def __init__(self, indicators: Sequence[Indicator], symbol: str = "") -> None:
        self.runs = tuple(indicator.start(symbol) for indicator in indicators)
        self.width = sum(len(indicator.spec.outputs) for indicator in indicators)
        self._zone = timezone(symbol) if symbol else "UTC"
        self._row = np.empty((1, self.width))
        self._cells: dict[str, npt.NDArray[Any]] = {}
        for indicator in indicators:
            for name in indicator.inputs:
                kind = np.int64 if name in WHOLE else np.float64
                self._cells.setdefault(name, np.zeros(1, kind))
        self._calls = self._bind(ahead=False)
        self._peeks = self._bind(ahead=True)

    def _bind(self, *, ahead: bool) -> list[Any]:
        calls = []
        start = 0
        for run in self.runs:
            parts = [self._cells[name].view() for name in run.indicator.inputs]
            for part in parts:
                part.flags.writeable = False
            end = start + len(run.indicator.spec.outputs)
            calls.append(run.bind(parts, self._row[:, start:end], ahead=ahead))
            start = end
        return calls

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def count(self) -> int:
        """Bars taken."""
        return self.runs[0].count if self.runs else 0

    def add(self, bars: Rows) -> Values:
        """Take closed bars and return the values of all, side by side."""
        if len(bars) == 1 and self.runs and self._load(bars[0]):
            for call in self._calls:
                call()
            for run in self.runs:
                run.passed(1)
            return self._row.copy()
        if not self.runs:
            return np.empty((len(bars), 0))
        return np.hstack([run.add(bars) for run in self.runs])

    def ahead(self, bars: Rows) -> Values:
        """Return the values that bars to come would have, one after the other, as a peek."""
        if not self.runs:
            return np.empty((len(bars), 0))
        out = np.empty((len(bars), self.width))
        for run in self.runs:
            run.look()
        for i in range(len(bars)):
            if not self._load(bars[i]):
                return np.hstack([run.ahead(bars) for run in self.runs])
            for call in self._peeks:
                call()
            out[i] = self._row[0]
        return out

    def reach(self, count: int) -> int:
        """Return how many bars the newest state that all have kept has taken, or -1."""
        return min((run.reach(count) for run in self.runs), default=-1)

    def rollback(self, count: int) -> None:
        """Step back to the states kept at exactly `count` bars."""
        for run in self.runs:
            run.rollback(count)

    def _load(self, bar: Any) -> bool:
        """Put a bar into the cells; False if something in it is not finite."""
        good = True
        for name, cell in self._cells.items():
            value = row(bar, name, self._zone)
            if -SMALLEST < value < SMALLEST and value:
                value = 0
            cell[0] = value
            good = good and value - value == 0.0
        return good
