"""Clean tables: leave out what is wrong, put in order, show what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.calendar import market_session
from workbench.errors import ConfigError
from workbench.quality.rules import Rules
from workbench.quality.tables import names_of, times_of
from workbench.quality.validation import validate
from workbench.records import Kind

__all__ = ["clean"]


def clean(
    frame: pd.DataFrame,
    *,
    remove_outliers: bool = True,
    fill_gaps: bool = False,
    kind: Kind | None = None,
    rules: Rules | None = None,
    symbol: str | None = None,
) -> pd.DataFrame:
    """Return a table without the rows that :func:`validate` finds wrong, in order of time.

    Rows that are merely out of order are put in order. Of rows of one time that contradict
    each other the first is kept. No value is ever changed or made up.

    Parameters
    ----------
    frame : DataFrame
    remove_outliers : bool
        Whether prices too far from those around them are removed too.
    fill_gaps : bool
        Whether intervals without a bar get a row of NaN. A column "filled" tells which they
        are. Only times at which the market was in a session that the table has bars of are
        filled.
    kind, rules, symbol
        As in :func:`validate`.

    Returns
    -------
    DataFrame
        A new one.

    Examples
    --------
    >>> times = pd.to_datetime(["2025-11-03 15:00", "2025-11-03 15:02", "2025-11-03 15:03"])
    >>> bars = pd.DataFrame({"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0}, index=times)
    >>> clean(bars, fill_gaps=True)["filled"].tolist()
    [False, True, False, False]
    """
    check = validate(frame, kind=kind, rules=rules, symbol=symbol)
    errors = check.errors
    spared = {"order"} if remove_outliers else {"order", "deviation"}
    gone = errors.loc[~errors["type"].isin(spared), "row"].to_numpy()
    kept = np.setdiff1d(np.arange(len(frame)), gone)
    times = times_of(frame)[kept]
    order = np.argsort(times, kind="stable")
    made = frame.iloc[kept[order]].copy()
    if not fill_gaps:
        return made
    if check.kind != "bar":
        raise ConfigError("only gaps between bars can be filled")
    names = names_of(made, symbol)
    parts = [_filled(made[names == name], times[order][names == name], str(name))
             for name in pd.unique(names)]  # fmt: skip
    return pd.concat(parts) if parts else made.assign(filled=False)


def _filled(frame: pd.DataFrame, times: npt.NDArray[np.int64], name: str) -> pd.DataFrame:
    frame = frame.assign(filled=False)
    if len(times) < 2:
        return frame
    lengths, counts = np.unique(np.diff(times), return_counts=True)
    step = int(lengths[np.argmax(counts)])
    expected = np.arange(times[0], times[-1] + 1, step)
    lacking = np.setdiff1d(expected, times)
    if name and len(lacking) and step < 86_400 * 10**9:
        sessions = np.unique(market_session(times, name))
        lacking = lacking[np.isin(market_session(lacking, name), sessions)]
    if not len(lacking):
        return frame
    stamps = pd.to_datetime(lacking, utc=True)
    blank: dict[str, Any] = {"filled": True}
    if "symbol" in frame.columns:
        blank["symbol"] = frame["symbol"].iloc[0]
    if isinstance(frame.index, pd.DatetimeIndex):
        zone = frame.index.tz
        stamps = stamps.tz_convert(zone) if zone is not None else stamps.tz_localize(None)
        added = pd.DataFrame(blank, index=stamps.as_unit(frame.index.unit))
        added.index.name = frame.index.name
    else:
        column = frame["time"]
        values = lacking if pd.api.types.is_integer_dtype(column) else stamps
        added = pd.DataFrame(blank | {"time": values})
    whole = added.reindex(columns=frame.columns)
    whole["filled"] = True
    joined = pd.concat([frame.astype({c: "float64" for c in frame if _count(frame[c])}), whole])
    order = np.argsort(np.concatenate([times, lacking]), kind="stable")
    return joined.iloc[order]


def _count(column: pd.Series[Any]) -> bool:
    """Tell whether a column holds whole numbers, which know no NaN."""
    return pd.api.types.is_integer_dtype(column) and column.name != "time"
