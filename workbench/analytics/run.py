"""An indicator in the middle of a series, and several of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.inputs import WHOLE, columns, row
from workbench.errors import ConfigError
from workbench.kernels.columns import bars_type
from workbench.kernels.dispatch import all_finite, bound, entry
from workbench.records import Rows
from workbench.sessions import timezone

if TYPE_CHECKING:
    from workbench.analytics.configured import Indicator

__all__ = ["Columns", "Ready", "Run", "Runs", "Values", "compute", "compute_columns"]

Values = npt.NDArray[np.float64]
Columns = Sequence[npt.NDArray[Any]]


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
        self._p, self._s = _record(indicator), _state(indicator)
        self._ahead = self._s.copy()
        self._checkpoints: list[tuple[int, Rows]] = [(0, self._s.copy())]

    def add(self, bars: pd.DataFrame | Rows) -> Values:
        """Take closed bars and return their values, shape (bars, outputs)."""
        return self.columns(self._read(bars))

    def columns(self, given: Columns) -> Values:
        """Take closed bars as columns, in the order of the indicator's inputs."""
        n = len(given[0])
        out = np.empty((n, len(self.indicator.spec.outputs)))
        finite = n > self.EVERY and all(all_finite(c) for c in given if c.dtype == np.float64)
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
            _fill(self.indicator, self._p, self._s, part, some, finite=finite)
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
        _fill(self.indicator, self._p, self._ahead, self._read(bars), out)
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
            cell[0] = value
            good = good and value - value == 0.0
        return good


class Ready:
    """An indicator made ready to be run over many series, each from a fresh state.

    Parameters
    ----------
    indicator : Indicator

    Attributes
    ----------
    width : int
        Outputs.
    """

    def __init__(self, indicator: Indicator) -> None:
        spec = indicator.spec
        self.indicator = indicator
        self.width = len(spec.outputs)
        self._bars = bars_type(spec.inputs)
        self._p, self._s = _record(indicator), _state(indicator)
        self._bytes = self._s.view(np.uint8)
        self._call: Callable[..., Any] | None = None

    def fill(self, given: Columns, out: Values, *, finite: bool) -> None:
        """Write the values over columns, as `inputs.columns` gives them, to `out`."""
        self._bytes.fill(0)
        if not finite:
            _fill(self.indicator, self._p, self._s, given, out)
            return
        arguments = (self._p, self._s, self._bars(*given), out)
        if self._call is None:
            self._call = entry(self.indicator.spec.kernel, *arguments)
        self._call(*arguments)


def compute(
    indicator: Indicator,
    bars: pd.DataFrame | Rows | Sequence[Any],
    symbol: str = "",
    out: Values | None = None,
    *,
    finite: bool = False,
) -> Values:
    """Return the values of an indicator over bars or plain columns, from a fresh state."""
    if isinstance(bars, pd.DataFrame | np.ndarray):
        zone = timezone(symbol) if symbol else "UTC"
        given: Columns = columns(bars, indicator.inputs, zone, indicator.spec.name)
    else:
        given = [_plain(c, n) for c, n in zip(bars, indicator.spec.inputs, strict=True)]
    return compute_columns(indicator, given, out, finite=finite)


def compute_columns(
    indicator: Indicator, given: Columns, out: Values | None, *, finite: bool = False
) -> Values:
    """Return the values of an indicator over columns as `inputs.columns` gives them."""
    n = len(given[0])
    if any(column.shape != (n,) for column in given):
        shapes = ", ".join(str(column.shape) for column in given)
        raise ConfigError(f"{indicator!r}: the columns have shapes {shapes}; one is wanted for all")
    width = len(indicator.spec.outputs)
    if out is None:
        out = np.empty((n, width))
    elif out.shape != (n, width) or out.dtype != np.float64 or not out.flags.c_contiguous:
        raise ConfigError(f"{indicator!r}: out must be a float64 array of shape {(n, width)}")
    prepared, state = _prepared(indicator), _state(indicator)
    known = out.flags.carray and all(map(_usual, given))
    if known and prepared.takes(given) and (finite or all(map(all_finite, _floats(given)))):
        prepared.fill(state, given, out)
    else:
        _fill(indicator, prepared.p, state, given, out, finite=finite)
    return out


class _Prepared:
    """The parameters of an indicator as its kernel reads them, and that kernel's own entry.

    To find the entry by the types of its arguments takes longer than a short kernel.
    """

    __slots__ = ("_call", "_dtypes", "_spec", "p")

    def __init__(self, indicator: Indicator) -> None:
        self.p = _record(indicator)
        self._spec = indicator.spec
        self._call: Callable[..., Any] | None = None
        self._dtypes: list[np.dtype[Any]] = []

    def takes(self, given: Columns) -> bool:
        """Tell whether columns are of the types that the entry is for; the first decide."""
        dtypes = [column.dtype for column in given]
        self._dtypes = self._dtypes or dtypes
        return dtypes == self._dtypes

    def fill(self, state: Rows, given: Columns, out: Values) -> None:
        arguments = (self.p, state, bars_type(self._spec.inputs)(*given), out)
        if self._call is None:
            self._call = entry(self._spec.kernel, *arguments)
        self._call(*arguments)


@lru_cache(maxsize=256)
def _prepared(indicator: Indicator) -> _Prepared:
    return _Prepared(indicator)


def _usual(column: npt.NDArray[Any]) -> bool:
    """Tell whether a column is of the one kind that compiled entries take."""
    flags = column.flags
    return flags.c_contiguous and flags.aligned and not flags.writeable


def _floats(given: Columns) -> list[npt.NDArray[Any]]:
    return [column for column in given if column.dtype == np.float64]


def _plain(values: Any, name: str) -> npt.NDArray[Any]:
    column = np.ascontiguousarray(values, np.int64 if name in WHOLE else np.float64).view()
    column.flags.writeable = False
    return column


def _record(indicator: Indicator) -> Any:
    kinds = indicator.spec.parameters
    numbers = {n: kinds[n].number(value) for n, value in indicator.parameters.items()}
    fields = [(n, "i8" if isinstance(v, int) else "f8") for n, v in numbers.items()]
    record = np.zeros(1, fields or [("none", "i8")])
    for name, value in numbers.items():
        record[name] = value
    return record[0]


def _state(indicator: Indicator) -> Rows:
    spec = indicator.spec
    return np.zeros(max(1, spec.slots(indicator.parameters)), spec.state)


def _fill(
    indicator: Indicator, p: Any, s: Rows, part: Columns, out: Values, *, finite: bool = False
) -> None:
    """Run a kernel over columns, passing over rows with a value that is not finite."""
    spec = indicator.spec
    floats = _floats(part)
    bars = bars_type(spec.inputs)
    if finite or all(map(all_finite, floats)):
        spec.kernel(p, s, bars(*part), out)
        return
    good = np.logical_and.reduce([np.isfinite(column) for column in floats])
    kept = [column[good] for column in part]
    for column in kept:
        column.flags.writeable = False
    some = np.empty((len(kept[0]), out.shape[1]))
    spec.kernel(p, s, bars(*kept), some)
    out[...] = np.nan
    out[good] = some
