"""What a function of bars answered, in a form in which two answers can be compared.

Two forms: a value (or several) for each bar, or a table of events in which each row says when it
became known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError
from workbench.records import Rows

__all__ = ["Answer", "Bars", "apart", "read_answer", "times_of"]

Bars = pd.DataFrame | Rows
Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Answer:
    """What a function answered over some bars.

    Attributes
    ----------
    columns : mapping of name to array
        Float64, or objects; NaN or None where there is nothing. A bool is 1.0 where it is true
        and nothing where it is not: a rule that is silent has said nothing.
    known : array of int64 or None
        For a table of events, when each row became known, ns; None for values of bars.
    ended : array of int64 or None
        For a table of events, the last time that stands in a row.
    """

    columns: dict[str, Column]
    known: npt.NDArray[np.int64] | None = None
    ended: npt.NDArray[np.int64] | None = None


def times_of(bars: Bars) -> npt.NDArray[np.int64] | None:
    """Return the times of bars, ns UTC, or None if they have none."""
    if not isinstance(bars, pd.DataFrame):
        return np.ascontiguousarray(bars["time"])
    return _stamps(bars.index) if isinstance(bars.index, pd.DatetimeIndex) else None


def read_answer(given: Any, bars: Bars, known: str | None = None) -> Answer:
    """Return what a function answered over bars.

    Parameters
    ----------
    given : Series, DataFrame, array or list
        As long as the bars; or indexed by their times or numbers, some of which may lack; or
        a DataFrame of events with a column `known`.
    bars : DataFrame or array of BAR
    known : str or None
        Column that says when a row became known; None for "confirmed" if there is one.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if isinstance(given, pd.DataFrame):
        name = known if known is not None else "confirmed"
        if name in given.columns:
            return _events(given, name)
        if known is not None:
            raise ConfigError(f"there is no column {known!r} in the answer: {list(given.columns)}")
    if isinstance(given, pd.Series):
        given = given.to_frame(given.name if given.name is not None else "value")
    if isinstance(given, pd.DataFrame):
        frame = _placed(given, bars)
        return Answer({str(name): _column(frame.iloc[:, i]) for i, name in enumerate(frame)})
    values = np.asarray(given)
    if values.dtype.names:
        parts = {name: values[name] for name in values.dtype.names}
    elif values.ndim == 2:
        parts = {f"column {i}": values[:, i] for i in range(values.shape[1])}
    else:
        parts = {"value": values}
    if values.ndim not in (1, 2) or len(values) != len(bars):
        raise ConfigError(
            f"the answer has shape {values.shape}; wanted is a value for each of the "
            f"{len(bars)} bars, a Series or DataFrame indexed as they are, or a table with a "
            'column "confirmed"'
        )
    return Answer({name: _column(pd.Series(part)) for name, part in parts.items()})


def apart(a: Column, b: Column, tolerance: float) -> npt.NDArray[np.bool_]:
    """Tell where two columns differ by more than rounding does."""
    none = _nothing(a) & _nothing(b)
    if a.dtype == object or b.dtype == object:
        pairs = zip(a.tolist(), b.tolist(), strict=True)
        return np.array([x != y for x, y in pairs], np.bool_) & ~none
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.maximum(np.abs(a), np.abs(b))
        finite = size[np.isfinite(size)]
        floor = 1e-3 * float(np.median(finite)) if len(finite) else 0.0
        near = np.abs(a - b) <= tolerance * np.maximum(size, floor)
    return np.asarray(~(near | (a == b) | none), np.bool_)


def _nothing(column: Column) -> npt.NDArray[np.bool_]:
    return np.asarray(pd.isna(column), np.bool_)


def _stamps(index: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    return np.asarray(index.as_unit("ns").asi8)


def _column(values: pd.Series[Any]) -> Column:
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind):
        return np.where(values.fillna(False).to_numpy(np.bool_), 1.0, np.nan)
    if pd.api.types.is_numeric_dtype(kind):
        return values.to_numpy(np.float64, na_value=np.nan)
    out = values.astype(object).to_numpy(copy=True)
    out[np.asarray(pd.isna(out), np.bool_)] = None
    return np.asarray(out)


def _placed(frame: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    """Return rows of an answer at the bars they are indexed by."""
    index = frame.index
    times = times_of(bars)
    if times is not None and isinstance(index, pd.DatetimeIndex):
        stamps = _stamps(index)
        if np.array_equal(stamps, times):
            return frame
        if not index.is_unique:
            raise ConfigError("the answer has several rows of one time, and no column confirmed")
        places = np.searchsorted(times, stamps)
        places[places == len(times)] = 0
        there = times[places] == stamps if len(times) else np.zeros(len(stamps), np.bool_)
        chosen = frame[there].set_axis(places[there])
        return chosen.reindex(range(len(times)))
    if isinstance(bars, pd.DataFrame) and not index.equals(bars.index) and index.is_unique:
        return frame.reindex(bars.index)
    if len(frame) != len(bars):
        raise ConfigError(f"the answer has {len(frame)} rows, the bars {len(bars)}")
    return frame


def _events(table: pd.DataFrame, name: str) -> Answer:
    known = _ns(table[name])
    ended = known.copy()
    for column in table:
        if pd.api.types.is_datetime64_any_dtype(table[column].dtype):
            ended = np.maximum(ended, _ns(table[column]))
    order = np.argsort(known, kind="stable")
    columns = {str(c): _column(table[c].iloc[order]) for c in table}
    return Answer(columns, known[order], ended[order])


def _ns(column: pd.Series[Any]) -> npt.NDArray[np.int64]:
    stamps = pd.DatetimeIndex(column).as_unit("ns")
    return np.where(stamps.isna(), np.iinfo(np.int64).min, stamps.asi8)
