"""An indicator with its parameters: one loop that serves batch, live and replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.inputs import check_order
from workbench.analytics.parameters import Choice, Value, read, shown
from workbench.analytics.ready import Ready
from workbench.analytics.run import Run
from workbench.analytics.spec import Spec
from workbench.errors import ConfigError
from workbench.records import Rows

__all__ = ["Indicator"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Indicator:
    """An indicator with its parameters, ready to run.

    A row with an input that is NaN or infinite is passed over: its outputs are NaN, and what
    comes after is as if the row had not been there. A number nearer to zero than 1e-100 is read
    as zero.

    Parameters
    ----------
    spec : Spec
    parameters : mapping
        Those left out take their default.
    of : str or tuple of str
        Columns to read in place of :attr:`Spec.inputs`; empty for those.

    Raises
    ------
    ConfigError
        If a parameter is unknown or out of range.

    Examples
    --------
    >>> from workbench.analytics import ema, sma
    >>> ema(20).label, ema(20).keys
    ('EMA 20', ('ema_20',))
    >>> frame = pd.DataFrame({"close": [1.0, 2.0, 3.0]})
    >>> sma(2).over(frame).tolist()
    [nan, 1.5, 2.5]
    >>> sma(2, of="volume").label
    'SMA 2 of volume'
    """

    spec: Spec
    parameters: Mapping[str, Value] = field(default_factory=dict)
    of: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spec = self.spec
        values = read(spec.name, spec.parameters, self.parameters)
        wrong = spec.check(values)
        if wrong:
            raise ConfigError(f"{spec.name}: {wrong}")
        of = (self.of,) if isinstance(self.of, str) else tuple(self.of)
        if of and len(of) != len(spec.inputs):
            raise ConfigError(
                f"{spec.name} reads {len(spec.inputs)} columns ({', '.join(spec.inputs)}), "
                f"not {len(of)}"
            )
        object.__setattr__(self, "parameters", values)
        object.__setattr__(self, "of", () if of == spec.inputs else of)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns it reads."""
        return tuple(self.of) or self.spec.inputs

    @property
    def label(self) -> str:
        """Name and parameters for a legend: "EMA 20"; choices only where they were made."""
        words = [self.spec.name.upper(), *self._words()]
        return " ".join(words + (["of", ", ".join(self.of)] if self.of else []))

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its outputs as columns: ("ema_20",)."""
        base = "_".join([self.spec.name, *self._words(), *self.of])
        if len(self.spec.outputs) == 1:
            return (base,)
        return tuple(f"{base}_{output}" for output in self.spec.outputs)

    @property
    def drawn(self) -> dict[str, str]:
        """Keys of the outputs that a chart draws, each with its name in the legend."""
        names = self.spec.drawn or self.spec.outputs
        keys = dict(zip(self.spec.outputs, self.keys, strict=True))
        if len(names) == 1:
            return {keys[names[0]]: self.label}
        return {keys[name]: f"{self.label} {name.replace('_', ' ')}" for name in names}

    @property
    def pane(self) -> str:
        """Where it is drawn: "price" over the candles, "own" below."""
        return self.spec.pane

    @property
    def range(self) -> tuple[float, ...] | None:
        """Fixed range of its pane, or None."""
        return self.spec.bounds or None

    @property
    def levels(self) -> tuple[float, ...]:
        """Lines drawn in its pane."""
        return self.spec.levels

    @property
    def warmup(self) -> int:
        """Rows before the first in which every output has a value."""
        return self.spec.warmup(self.parameters)

    def __repr__(self) -> str:
        values = [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}"
            for name, value in self._told()
        ]
        if self.of:
            values.append(f"of={self.of[0] if len(self.of) == 1 else self.of!r}")
        return f"{self.spec.name}({', '.join(values)})"

    def _told(self) -> list[tuple[str, Value]]:
        """Return the parameters that names tell: all but choices left as they are."""
        kinds = self.spec.parameters
        return [
            (name, value)
            for name, value in self.parameters.items()
            if not (isinstance(kinds[name], Choice) and value == kinds[name].default)
        ]

    def _words(self) -> list[str]:
        return [shown(value) for _, value in self._told()]

    def __hash__(self) -> int:
        return hash(self.keys)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "ready"}

    @cached_property
    def ready(self) -> Ready:
        """Its kernel and parameters made ready for whole series; kept."""
        return Ready(self)

    def start(self, symbol: str = "") -> Run:
        """Return a run over the bars of a symbol, from its first bar."""
        return Run(self, symbol)

    def over(self, bars: pd.DataFrame | Rows, symbol: str = "") -> pd.Series | pd.DataFrame:
        """Compute it over finished bars.

        Parameters
        ----------
        bars : DataFrame or array of BAR
            Of one symbol, in order of time. A DataFrame needs the columns the indicator
            reads, and an index of times where sessions matter.
        symbol : str
            Tells the market's time zone where sessions matter; empty for UTC.

        Returns
        -------
        Series, or DataFrame for more than one output
            NaN in warm-up; indexed as the bars are.

        Raises
        ------
        ConfigError
            If a column is missing, times repeat or go back, or the bars are too few for a
            single value.
        """
        check_order(bars, self.spec.name)
        if len(bars) <= self.warmup:
            raise ConfigError(
                f"{self!r} needs at least {self.warmup + 1} bars for a value, not {len(bars)}"
            )
        values = self.ready.table(bars, symbol)
        index = bars.index if isinstance(bars, pd.DataFrame) else _time_index(bars)
        if len(self.keys) == 1:
            return pd.Series(values[:, 0], index=index, name=self.keys[0])
        return pd.DataFrame(values, index=index, columns=list(self.spec.outputs))

    def values(self, *columns: Any, out: Values | None = None, finite: bool = False) -> Values:
        """Compute it over plain columns.

        Parameters
        ----------
        *columns : array-like, shape (n,)
            One for each of :attr:`inputs`, in their order.
        out : float64 array, shape (n, outputs), or None
            To write to; None makes one.
        finite : bool
            True promises that no value is NaN or infinite, or nearer to zero than 1e-100 but
            not zero, and spares the look for them, which costs about as much as reading the
            columns. Values after a broken promise mean nothing.

        Returns
        -------
        float64 array, shape (n, outputs)
            NaN in warm-up.

        Examples
        --------
        >>> from workbench.analytics import sma
        >>> sma(2).values([1.0, 2.0, 4.0])[:, 0].tolist()
        [nan, 1.5, 3.0]
        """
        if len(columns) != len(self.spec.inputs):
            names = ", ".join(self.inputs)
            raise ConfigError(f"{self!r} takes {len(self.inputs)} columns: {names}")
        return self.ready.plain(columns, out, finite=finite)

    def prepare(self) -> None:
        """Compile its kernel, or load it from the cache, before data come."""
        self.values(*[[0.0, 0.0]] * len(self.inputs))


def _time_index(bars: Rows) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars["time"].view("M8[ns]"), tz="UTC", name="time")
