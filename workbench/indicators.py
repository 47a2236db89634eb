"""Indicators: a number per bar, from one loop that serves batch, live and replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError, UnknownIndicatorError
from workbench.kernels import averages, momentum
from workbench.kernels.columns import bars_type
from workbench.records import Rows
from workbench.sessions import day_numbers, timezone

__all__ = [
    "CATALOGUE",
    "Indicator",
    "Parameter",
    "Run",
    "Spec",
    "ema",
    "indicator",
    "rsi",
    "sma",
    "vwap",
]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole or real number an indicator takes, and its range."""

    default: float
    low: float
    high: float
    text: str

    def check(self, indicator: str, name: str, value: Any) -> float:
        """Return the value; ConfigError if it is out of range or of the wrong kind."""
        whole = isinstance(self.default, int)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if not good or not self.low <= value <= self.high:
            kind = "whole number" if whole else "number"
            raise ConfigError(
                f"{indicator}: {name} must be a {kind} from {self.low:g} to {self.high:g}, "
                f"not {value!r}"
            )
        return int(value) if whole else float(value)


@dataclass(frozen=True)
class Spec:
    """What an indicator is, apart from its parameters' values.

    Attributes
    ----------
    name, title : str
        "ema" and "Exponential moving average".
    kernel : callable
        ``fn(p, s, bars, out)``, see `workbench.kernels.averages`.
    inputs : tuple of str
        Columns it reads: those of a bar, or "session" (number of the trading day).
    outputs : tuple of str
    parameters : mapping of name to Parameter
    state : list of (field, dtype)
    slots : callable
        Rows of state for given parameters; more than one where a `ring` is needed.
    pane : "price" or "own"
        Whether it is drawn over the candles.
    bounds, levels : tuples
        Fixed range of its pane and lines drawn in it; empty for none.
    source : str
        Where the formula comes from.
    """

    name: str
    title: str
    kernel: Callable[..., None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    state: list[tuple[str, str]]
    slots: Callable[[Mapping[str, float]], int]
    pane: str
    source: str
    bounds: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class Indicator:
    """An indicator with its parameters, ready to run.

    Examples
    --------
    >>> ema(20).label, ema(20).keys
    ('EMA 20', ('ema_20',))
    >>> frame = pd.DataFrame({"close": [1.0, 2.0, 3.0]})
    >>> sma(2).over(frame).tolist()
    [nan, 1.5, 2.5]
    """

    spec: Spec
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.parameters) - set(self.spec.parameters))
        if unknown:
            allowed = ", ".join(self.spec.parameters) or "none"
            raise ConfigError(f"{self.spec.name} has no parameter {unknown[0]!r}; it has {allowed}")
        values = {
            name: p.check(self.spec.name, name, self.parameters.get(name, p.default))
            for name, p in self.spec.parameters.items()
        }
        object.__setattr__(self, "parameters", values)

    @property
    def label(self) -> str:
        """Name and parameters for a legend: "EMA 20"."""
        return " ".join([self.spec.name.upper(), *(f"{v:g}" for v in self.parameters.values())])

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its outputs as columns: ("ema_20",)."""
        base = "_".join([self.spec.name, *(f"{v:g}" for v in self.parameters.values())])
        if len(self.spec.outputs) == 1:
            return (base,)
        return tuple(f"{base}_{output}" for output in self.spec.outputs)

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

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v:g}" for k, v in self.parameters.items())
        return f"{self.spec.name}({values})"

    def __hash__(self) -> int:
        return hash(self.keys)

    def start(self, symbol: str = "") -> Run:
        """Return a run over the bars of a symbol, from its first bar."""
        return Run(self, symbol)

    def over(self, bars: pd.DataFrame | Rows, symbol: str = "") -> pd.Series | pd.DataFrame:
        """Compute it over finished bars.

        Parameters
        ----------
        bars : DataFrame or array of BAR
            In order of time. A DataFrame needs the columns the indicator reads; an index of
            times where it asks for the session.
        symbol : str
            Tells the market's time zone where sessions matter; empty for UTC.

        Returns
        -------
        Series, or DataFrame for more than one output
            NaN in warm-up; indexed as the bars are.
        """
        values = self.start(symbol).add(bars)
        index = bars.index if isinstance(bars, pd.DataFrame) else _time_index(bars)
        if len(self.keys) == 1:
            return pd.Series(values[:, 0], index=index, name=self.keys[0])
        return pd.DataFrame(values, index=index, columns=list(self.keys))


class Run:
    """An indicator in the middle of a series: its state, and how to step back.

    Parameters
    ----------
    indicator : Indicator
    symbol : str
        Tells the market's time zone; empty for UTC.
    """

    #: Bars between two checkpoints, and how many checkpoints are kept.
    EVERY, KEEP = 64, 64

    def __init__(self, indicator: Indicator, symbol: str = "") -> None:
        spec = indicator.spec
        self.indicator = indicator
        self.count = 0
        self._zone = timezone(symbol) if symbol else "UTC"
        self._inputs = spec.inputs
        self._bars = bars_type(spec.inputs)
        fields = [(n, _dtype(v)) for n, v in indicator.parameters.items()] or [("none", "i8")]
        record = np.zeros(1, fields)
        for name, value in indicator.parameters.items():
            record[name] = value
        self._p = record[0]
        self._s = np.zeros(spec.slots(indicator.parameters), spec.state)
        self._checkpoints: list[tuple[int, Rows]] = [(0, self._s.copy())]

    def add(self, bars: pd.DataFrame | Rows) -> Values:
        """Take closed bars and return their values, shape (bars, outputs)."""
        columns = self._columns(bars)
        n = len(bars)
        out = np.empty((n, len(self.indicator.spec.outputs)))
        start = 0
        while start < n:  # stop at the checkpoints on the way, but only at those that are kept
            step = self.EVERY - self.count % self.EVERY
            left = n - start
            if left > self.KEEP * self.EVERY:
                step += (left - self.KEEP * self.EVERY) // self.EVERY * self.EVERY
            step = min(step, left)
            part = self._bars(*(column[start : start + step] for column in columns))
            self.indicator.spec.kernel(self._p, self._s, part, out[start : start + step])
            self.count += step
            start += step
            if self.count % self.EVERY == 0:
                self._checkpoints.append((self.count, self._s.copy()))
                del self._checkpoints[: -self.KEEP]
        return out

    def peek(self, bar: Rows) -> Values:
        """Return the values a forming bar, one row, would have; the state stays as it is."""
        values: Values = self.ahead(bar)[0]
        return values

    def ahead(self, bars: Rows) -> Values:
        """Return the values that bars to come would have, one after the other, as a peek."""
        out = np.empty((len(bars), len(self.indicator.spec.outputs)))
        part = self._bars(*self._columns(bars))
        self.indicator.spec.kernel(self._p, self._s.copy(), part, out)
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
                self._s = state.copy()
                self.count = at
                del self._checkpoints[place + 1 :]
                return
        raise ValueError(f"no checkpoint at bar {count}")

    def _columns(self, bars: pd.DataFrame | Rows) -> list[npt.NDArray[Any]]:
        if isinstance(bars, pd.DataFrame):
            columns = [
                _frame_column(bars, name, self._zone, self.indicator) for name in self._inputs
            ]
        else:
            columns = [
                day_numbers(np.ascontiguousarray(bars["time"]), self._zone)
                if name == "session"
                else np.ascontiguousarray(bars[name])
                for name in self._inputs
            ]
        views = [column.view() for column in columns]
        for view in views:
            view.flags.writeable = False  # one compiled kernel serves both kinds of array
        return views


def _dtype(value: float) -> str:
    return "i8" if isinstance(value, int) else "f8"


def _time_index(bars: Rows) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars["time"].view("M8[ns]"), tz="UTC", name="time")


def _frame_column(
    bars: pd.DataFrame, name: str, zone: str, indicator: Indicator
) -> npt.NDArray[Any]:
    if name == "session":
        if not isinstance(bars.index, pd.DatetimeIndex):
            raise ConfigError(f"{indicator!r} needs bars indexed by time")
        index = bars.index if bars.index.tz is not None else bars.index.tz_localize("UTC")
        times = index.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[ns]")
        return day_numbers(times.astype(np.int64), zone)
    if name == "notional" and name not in bars.columns:
        if "vwap" in bars.columns:
            price = bars["vwap"]
        else:
            price = (bars["high"] + bars["low"] + bars["close"]) / 3
        return np.ascontiguousarray((price * bars["volume"]).to_numpy(np.float64))
    if name not in bars.columns:
        raise ConfigError(f"{indicator!r} needs a column {name!r}; there is {list(bars.columns)}")
    return np.ascontiguousarray(bars[name].to_numpy(np.float64))


def _length(default: int, text: str) -> dict[str, Parameter]:
    return {"length": Parameter(default, 1, 100_000, text)}


def _one(parameters: Mapping[str, float]) -> int:
    return 1


def _per_length(parameters: Mapping[str, float]) -> int:
    return int(parameters["length"])


_SPECS: Sequence[Spec] = (
    Spec("sma", "Simple moving average", averages.sma, ("close",), ("sma",),
         _length(20, "bars averaged"), averages.SMA, _per_length, "price",
         "arithmetic mean of the last closes"),
    Spec("ema", "Exponential moving average", averages.ema, ("close",), ("ema",),
         _length(20, "bars; the factor is 2 / (length + 1)"), averages.EMA, _one, "price",
         "Hunter 1986; seeded by the mean of the first `length` closes, as TA-Lib"),
    Spec("rsi", "Relative strength index", momentum.rsi, ("close",), ("rsi",),
         _length(14, "bars of Wilder's smoothing"), momentum.RSI, _one, "own",
         "Wilder 1978, New Concepts in Technical Trading Systems", (0.0, 100.0), (30.0, 70.0)),
    Spec("vwap", "Volume-weighted average price of the session", averages.vwap,
         ("session", "notional", "volume"), ("vwap",), {}, averages.VWAP, _one, "price",
         "Berkowitz, Logue and Noser 1988; traded notional over volume since local midnight"),
)  # fmt: skip

#: All indicators by name.
CATALOGUE: dict[str, Spec] = {spec.name: spec for spec in _SPECS}


def indicator(name: str, **parameters: float) -> Indicator:
    """Return an indicator by name.

    Parameters
    ----------
    name : str
        As in :data:`CATALOGUE`.
    **parameters
        Its parameters; those left out take their default.

    Raises
    ------
    UnknownIndicatorError
        With the nearest names.
    ConfigError
        If a parameter is unknown or out of range.

    Examples
    --------
    >>> indicator("rsi", length=7)
    rsi(length=7)
    >>> indicator("rsj")
    Traceback (most recent call last):
        ...
    workbench.errors.UnknownIndicatorError: no indicator 'rsj'; did you mean rsi?
    """
    spec = CATALOGUE.get(str(name).lower())
    if spec is None:
        near = get_close_matches(str(name).lower(), CATALOGUE, 3, 0.5) or sorted(CATALOGUE)
        raise UnknownIndicatorError(f"no indicator {name!r}; did you mean {' or '.join(near)}?")
    return Indicator(spec, parameters)


def sma(length: int = 20) -> Indicator:
    """Return the simple moving average of the last `length` closes."""
    return indicator("sma", length=length)


def ema(length: int = 20) -> Indicator:
    """Return the exponential moving average with factor 2 / (length + 1)."""
    return indicator("ema", length=length)


def rsi(length: int = 14) -> Indicator:
    """Return the relative strength index of Wilder (1978), 0 to 100."""
    return indicator("rsi", length=length)


def vwap() -> Indicator:
    """Return the volume-weighted average price since the trading day began."""
    return indicator("vwap")
