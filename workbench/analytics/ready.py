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
from workbench.kernels.dispatch import all_finite, entry
from workbench.records import Rows
from workbench.sessions import timezone

if TYPE_CHECKING:
    from workbench.analytics.configured import Indicator

__all__ = ["Columns", "Ready", "Values", "fill_finite", "packed", "state_of"]

Values = npt.NDArray[np.float64]
Columns = Sequence[npt.NDArray[Any]]

_FLOAT = np.dtype(np.float64)
_WHOLE = np.dtype(np.int64)


class Ready:
    """Run an indicator over whole series, each from a fresh state.

    Everything that does not depend on the series is made once: a short kernel takes less time
    over a million bars than to look up names, make records and find its compiled entry after
    those bars have emptied the caches of the processor. Threads may share it.

    Parameters
    ----------
    indicator : Indicator

    Attributes
    ----------
    width : int
        Outputs.
    """

    __slots__ = ("_bars", "_call", "_dtypes", "_fresh", "_indicator", "_kinds", "_p", "width")

    def __init__(self, indicator: Indicator) -> None:
        spec = indicator.spec
        self.width = len(spec.outputs)
        self._indicator = indicator
        self._kinds = [_WHOLE if name in WHOLE else _FLOAT for name in spec.inputs]
        self._bars = bars_type(spec.inputs)
        self._p, self._fresh = packed(indicator), state_of(indicator)
        # The compiled entry, and the types of columns it is for.
        self._call: Callable[..., Any] | None = None
        self._dtypes: list[np.dtype[Any]] = []

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
        read = [_plain(values, kind) for values, kind in zip(given, self._kinds, strict=True)]
        n = len(read[0])
        for column in read:
            if column.shape != (n,):
                raise self._shapes(read)
        if out is None:
            out = np.empty((n, self.width))
        elif not (
            isinstance(out, np.ndarray) and out.shape == (n, self.width)
            and out.dtype == _FLOAT and out.flags.carray
        ):  # fmt: skip
            raise ConfigError(
                f"{self._indicator!r}: out must be a writable, C-ordered float64 array of shape "
                f"{(n, self.width)}"
            )
        self.fill(read, out, finite=finite)
        return out

    def fill(self, given: Columns, out: Values, *, finite: bool = False) -> None:
        """Write the values over columns, as `inputs.columns` gives them, to `out`.

        `finite` promises that no value is NaN or infinite.
        """
        if not finite and not _all_finite(given):
            _fill_some(self._indicator, self._p, self._fresh.copy(), given, out)
            return
        dtypes = [column.dtype for column in given]
        arguments = (self._p, self._fresh.copy(), self._bars(*given), out)
        if dtypes == self._dtypes and self._call is not None:
            self._call(*arguments)
            return
        kernel = self._indicator.spec.kernel
        if not self._dtypes:
            self._call, self._dtypes = entry(kernel, *arguments), dtypes
        kernel(*arguments)

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


def fill_finite(
    indicator: Indicator, p: Any, s: Rows, part: Columns, out: Values, *, finite: bool = False
) -> None:
    """Run a kernel over columns, passing over rows with a value that is not finite."""
    if finite or _all_finite(part):
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


def _all_finite(given: Columns) -> bool:
    return all(map(all_finite, _floats(given)))


def _floats(given: Columns) -> list[npt.NDArray[Any]]:
    return [column for column in given if column.dtype == _FLOAT]


def _plain(values: Any, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a column as the one kind of array that compiled entries take."""
    column = np.ascontiguousarray(values, kind)
    flags = column.flags
    if not flags.aligned:
        column = column.copy()
        flags = column.flags
    if flags.writeable:
        column = column.view()
        column.flags.writeable = False
    return column
