"""An indicator made ready to be run over whole series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.inputs import WHOLE, columns
from workbench.errors import ConfigError
from workbench.kernels.columns import bars_type
from workbench.kernels.dispatch import INFINITE, TINY, cleared, entry, oddities
from workbench.records import Rows
from workbench.sessions import timezone

if TYPE_CHECKING:
    from workbench.analytics.configured import Indicator

__all__ = ["Columns", "Ready", "Values", "cleaned", "fill_finite", "packed", "state_of"]

Values = npt.NDArray[np.float64]
Columns = Sequence[npt.NDArray[Any]]
Kinds = tuple[np.dtype[Any], ...]

_FLOAT = np.dtype(np.float64)
_WHOLE = np.dtype(np.int64)


class Ready:
    """Run an indicator over whole series, each from a fresh state.

    All that does not depend on the series is made once, and what is done for each is little: a
    million bars empty the caches of the processor, and from memory a few lines of Python take as
    long as a quarter of a short kernel. Threads may share it.

    Parameters
    ----------
    indicator : Indicator

    Attributes
    ----------
    width : int
        Outputs.
    """

    __slots__ = ("_bars", "_calls", "_indicator", "_kinds", "_p", "_spare", "_zeros", "width")

    def __init__(self, indicator: Indicator) -> None:
        spec = indicator.spec
        self.width = len(spec.outputs)
        self._indicator = indicator
        self._kinds = tuple(_WHOLE if name in WHOLE else _FLOAT for name in spec.inputs)
        self._bars = bars_type(spec.inputs)
        self._p = packed(indicator)
        # States that nobody works on, each with its bytes; to clear one is quicker than a new one.
        self._spare = [_with_bytes(state_of(indicator))]
        self._zeros = bytes(self._spare[0][1])
        # Compiled entries by the types of columns they are for.
        self._calls: dict[Kinds, Callable[..., Any]] = {}

    def table(self, bars: pd.DataFrame | Rows, symbol: str = "") -> Values:
        """Return the values over bars.

        Raises
        ------
        ConfigError
            If a column is missing or holds no numbers.
        """
        zone = timezone(symbol) if symbol else "UTC"
        given = columns(bars, self._indicator.inputs, zone, self._indicator.spec.name)
        out = np.empty((len(bars), self.width))
        self.fill(given, out)
        return out

    def plain(self, given: Sequence[Any], out: Values | None, *, finite: bool) -> Values:
        """Return the values over plain columns, see :meth:`Indicator.values`.

        Raises
        ------
        ConfigError
            If columns are of different lengths, or `out` has no room for the values.
        """
        read = []
        for values, kind in zip(given, self._kinds, strict=True):
            column = np.ascontiguousarray(values, kind)
            flags = column.flags
            if flags.writeable or not flags.aligned:
                column = _usual(column)
            read.append(column)
        shape = read[0].shape
        for column in read:
            if column.shape != shape or len(shape) != 1:
                raise self._shapes(read)
        if out is None:
            out = np.empty((shape[0], self.width))
        else:
            self._check(out, shape[0])
        if finite:
            self._run(self._kinds, read, out)
        else:
            self.fill(read, out)
        return out

    def fill(self, given: Columns, out: Values, *, finite: bool = False) -> None:
        """Write the values over columns, as `inputs.columns` gives them, to `out`.

        `finite` tells that they are as :func:`cleaned` returns them, and all finite.
        """
        if not finite:
            given, finite = cleaned(given)
        if finite:
            self._run(tuple(column.dtype for column in given), given, out)
        else:
            self._run_some(given, out)

    def _run(self, kinds: Kinds, given: Columns, out: Values) -> None:
        try:
            spare = self._spare.pop()
            spare[1][:] = self._zeros
        except IndexError:  # another thread has it
            spare = _with_bytes(state_of(self._indicator))
        arguments = (self._p, spare[0], tuple.__new__(self._bars, given), out)
        call = self._calls.get(kinds)
        if call is None:
            call = self._calls[kinds] = entry(self._indicator.spec.kernel, *arguments)
        call(*arguments)
        self._spare.append(spare)

    def _run_some(self, given: Columns, out: Values) -> None:
        _fill_some(self._indicator, self._p, state_of(self._indicator), given, out)

    def _check(self, out: Any, rows: int) -> None:
        """Raise ConfigError unless `out` is an array that the values can be written to."""
        shape = (rows, self.width)
        known = isinstance(out, np.ndarray) and out.shape == shape and out.dtype == _FLOAT
        if not known or not out.flags.carray:
            raise ConfigError(
                f"{self._indicator!r}: out must be a writable, C-ordered float64 array of shape "
                f"{shape}"
            )

    def _shapes(self, given: Columns) -> ConfigError:
        shapes = ", ".join(str(column.shape) for column in given)
        return ConfigError(
            f"{self._indicator!r}: the columns have shapes {shapes}; one is wanted for all"
        )


def packed(indicator: Indicator) -> Any:
    """Return the parameters of an indicator as the record that its kernel reads."""
    kinds = indicator.spec.parameters
    numbers = {n: kinds[n].number(value) for n, value in indicator.parameters.items()}
    fields = [(n, "i8" if isinstance(v, int) else "f8") for n, v in numbers.items()]
    record = np.zeros(1, fields or [("none", "i8")])
    for name, value in numbers.items():
        record[name] = value
    return record[0]


def state_of(indicator: Indicator) -> Rows:
    """Return the state of an indicator before its first bar."""
    spec = indicator.spec
    return np.zeros(max(1, spec.slots(indicator.parameters)), spec.state)


def _with_bytes(state: Rows) -> tuple[Rows, memoryview]:
    return state, state.view(np.uint8).data


def fill_finite(
    indicator: Indicator, p: Any, s: Rows, part: Columns, out: Values, *, finite: bool = False
) -> None:
    """Run a kernel over columns, passing over rows with a value that is not finite.

    `finite` tells that they are as :func:`cleaned` returns them, and all finite.
    """
    if not finite:
        part, finite = cleaned(part)
    if finite:
        spec = indicator.spec
        spec.kernel(p, s, bars_type(spec.inputs)(*part), out)
    else:
        _fill_some(indicator, p, s, part, out)


def _fill_some(indicator: Indicator, p: Any, s: Rows, part: Columns, out: Values) -> None:
    """Run a kernel over the rows without a value that is not finite."""
    good = np.logical_and.reduce([np.isfinite(column) for column in _floats(part)])
    kept = [column[good] for column in part]
    for column in kept:
        column.flags.writeable = False
    some = np.empty((len(kept[0]), out.shape[1]))
    spec = indicator.spec
    spec.kernel(p, s, bars_type(spec.inputs)(*kept), some)
    out[...] = np.nan
    out[good] = some


def cleaned(given: Columns) -> tuple[Columns, bool]:
    """Return columns with numbers too near to zero as zeros, and whether all are finite."""
    odd = [oddities(column) if column.dtype == _FLOAT else 0 for column in given]
    finite = not any(found & INFINITE for found in odd)
    places = [place for place, found in enumerate(odd) if found & TINY]
    if not places:
        return given, finite
    read = list(given)
    # One piece of memory: an allocator gives several back to the system at once, and asks anew.
    rooms = np.empty((len(places), len(given[0])))
    for place, room in zip(places, rooms, strict=True):
        cleared(given[place], room)
        room.flags.writeable = False
        read[place] = room
    return read, finite


def _floats(given: Columns) -> list[npt.NDArray[Any]]:
    return [column for column in given if column.dtype == _FLOAT]


def _usual(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous column as the one kind of array that compiled entries take."""
    read = column.view() if column.flags.aligned else column.copy()
    read.flags.writeable = False
    return read
