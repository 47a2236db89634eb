"""Tables of studies: events folded into one row for each thing they are about."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.kernels.swings import BORN, CHANGED, ENDED, TOUCHED
from workbench.records import Rows
from workbench.study.spec import Spec

__all__ = ["folded"]

_NEVER = np.iinfo(np.int64).min  # what datetime64 calls NaT


@lru_cache(maxsize=64)
def _words(words: tuple[str, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(list(words))


def folded(spec: Spec, events: Rows, still_open: bool = False) -> pd.DataFrame:
    """Return the table that events add up to.

    Parameters
    ----------
    spec : Spec
    events : structured array of the study's events
        From the first on, in order.
    still_open : bool
        Only rows that have not ended.

    Returns
    -------
    pandas.DataFrame
        A row for each thing, in order of confirmation, indexed by its number `id`; see
        `Spec.shown` for the columns.
    """
    what = events["what"]
    born = events[(what & BORN) != 0]
    n = len(born)
    values: dict[str, npt.NDArray[Any]] = {name: born[name] for name in ("kind", *spec.columns)}
    stamps = {"formed": born["formed"], "confirmed": born["time"]}
    if spec.ends:
        later = events[(what & CHANGED) != 0]
        for name in spec.changing:
            values[name] = values[name].copy()
            values[name][later["id"]] = later[name]  # of several the last counts
        over = events[(what & ENDED) != 0]
        touched = events[(what & TOUCHED) != 0]
        stamps["touched"] = _at(n, touched["id"], touched["time"])
        stamps["mitigated"] = _at(n, over["id"], over["time"])
        values["reason"] = _at(n, over["id"], over["reason"], 0)
    stamps |= {"first": born["first"], "last": born["last"]}
    number = np.arange(n)
    if still_open:
        keep = stamps["mitigated"] == _NEVER if spec.ends else number == n - 1
        number = number[keep]
        values = {name: column[keep] for name, column in values.items()}
        stamps = {name: column[keep] for name, column in stamps.items()}
    return _frame(spec, number, values, stamps)


def _at(
    n: int, places: npt.NDArray[np.int64], values: npt.NDArray[np.int64], empty: int = _NEVER
) -> npt.NDArray[np.int64]:
    out = np.full(n, empty, np.int64)
    out[places] = values
    return out


def _frame(
    spec: Spec,
    number: npt.NDArray[np.int64],
    values: dict[str, npt.NDArray[Any]],
    stamps: dict[str, npt.NDArray[np.int64]],
) -> pd.DataFrame:
    n = len(number)
    # One conversion for all times: making an index with a zone costs more than its rows do.
    every = np.concatenate(list(stamps.values())).view("M8[ns]")
    zoned = pd.DatetimeIndex(every).tz_localize("UTC").array
    columns: dict[str, Any] = {name: zoned[at * n : (at + 1) * n] for at, name in enumerate(stamps)}
    for name, column in values.items():
        words = spec.words.get(name)
        if words is None:
            columns[name] = np.ascontiguousarray(column)
        else:
            columns[name] = pd.Categorical.from_codes(column.tolist(), dtype=_words(words))
    index = pd.Index(number, name="id")
    return pd.DataFrame({name: columns[name] for name in spec.shown}, index=index)
