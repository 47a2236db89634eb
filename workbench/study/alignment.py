"""Timeframes side by side: how far their trends agree, and where their prices stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError
from workbench.study.bars import BarReader, Bars
from workbench.study.study import Study
from workbench.study.trend import trend
from workbench.timeframes import Timeframe, timeframe

__all__ = ["alignment", "comparison"]

Frames = Mapping[str, Any]
_DIRECTIONS = pd.CategoricalDtype(["none", "up", "down"])


def alignment(
    frames: Frames,
    weights: Mapping[str, float] | None = None,
    *,
    study: Study | None = None,
    threshold: float = 0.25,
) -> pd.DataFrame:
    """Return how far the trends of several timeframes agree, at every time one of them changes.

    Parameters
    ----------
    frames : mapping of timeframe to bars or trend table
        "1m", "5m", "15m" ..., each with closed bars (a DataFrame or rows of BAR) or with the
        table that a trend study gave for them.
    weights : mapping of timeframe to float, or None
        Above zero; a longer timeframe may count for more. None for equal weights.
    study : Study or None
        A trend study for the frames that are bars; None for ``trend()``.
    threshold : float
        Least score, without its sign, that has a direction, 0 to 1.

    Returns
    -------
    pandas.DataFrame
        Indexed by the time from which a row may be used (the ends of bars), from the first time
        at which all timeframes have a trend. Score is -1 to 1: the weighted mean of each
        timeframe's strength with the sign of its direction. Direction is up, down or none;
        agreement is the share of weight whose direction is that of the score; then a column for
        each timeframe with its signed strength. A bar counts from its end on, never before.

    Raises
    ------
    ConfigError
        If there is no timeframe, a weight or threshold is out of range, or a table is not one
        of a trend study.

    Examples
    --------
    >>> close = [float(i) for i in range(60)]
    >>> one = pd.DataFrame({name: close for name in ("open", "high", "low", "close")})
    >>> one.index = pd.date_range("2025-11-03", periods=60, freq="1min")
    >>> five = one.iloc[4::5].set_axis(one.index[::5])
    >>> found = alignment({"1m": one, "5m": five}, study=trend(length=10))
    >>> str(found.index[0]), float(found["score"].iloc[0])
    ('2025-11-03 00:50:00+00:00', 1.0)
    """
    names = _names(frames)
    shares = _shares(names, weights)
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"alignment: threshold must be from 0 to 1, not {threshold!r}")
    chosen = study if study is not None else trend()
    if chosen.name != "trend":
        raise ConfigError(f"alignment takes a trend study, not {chosen!r}")
    known = [_signed(key, frames[key], names[key], chosen) for key in names]
    every = np.unique(np.concatenate([times for times, _ in known]))
    begin = max((int(times[0]) if len(times) else np.iinfo(np.int64).max) for times, _ in known)
    at = every[every >= begin]
    signed = np.column_stack(
        [values[np.searchsorted(times, at, side="right") - 1] if len(at) else np.empty(0)
         for times, values in known]
    )  # fmt: skip
    score = np.zeros(len(at))
    for place, share in enumerate(shares):  # one by one: the sum's bits must not depend on shape
        score += share * signed[:, place]
    score = np.clip(score, -1.0, 1.0)
    same = np.sign(signed) == np.sign(score)[:, None]
    agreement = np.zeros(len(at))
    for place, share in enumerate(shares):
        agreement += share * (same[:, place] & (score != 0.0))
    codes = np.where(np.abs(score) >= threshold, np.where(score > 0, 1, 2), 0)
    codes[score == 0.0] = 0
    columns: dict[str, Any] = {
        "score": score,
        "direction": pd.Categorical.from_codes(codes.tolist(), dtype=_DIRECTIONS),
        "agreement": np.minimum(agreement, 1.0),
    }
    columns |= {name.name: signed[:, place] for place, name in enumerate(names.values())}
    return pd.DataFrame(columns, index=_utc(at, "time"))


def comparison(frames: Mapping[str, Bars], at: Any = None) -> pd.DataFrame:
    """Return where the last finished bar of each timeframe stands, side by side.

    Parameters
    ----------
    frames : mapping of timeframe to bars
        Closed bars of one symbol, DataFrames or rows of BAR.
    at : Timestamp, datetime or None
        As known at this time (UTC if it names no zone); None for the end of the newest bar.

    Returns
    -------
    pandas.DataFrame
        Indexed by timeframe, shortest first: open, high, low, close and `change` (close less
        open) of the last bar that had ended; `since` (price less the close of the bar before
        it); `place` (0 at its low, 1 at its high, NaN for a bar without range) and `distance`
        (from its close) of the newest price, which is the close of the bar that ended last
        (of several the shortest); formed and confirmed. NaN and NaT where no bar had ended.

    Raises
    ------
    ConfigError
        If there is no timeframe, or bars lack a column.

    Examples
    --------
    >>> one = pd.DataFrame(
    ...     {"open": [1.0, 2, 3], "high": [2.0, 3, 4], "low": [1.0, 2, 3], "close": [2.0, 3, 4]},
    ...     index=pd.date_range("2025-11-03", periods=3, freq="1min"),
    ... )
    >>> two = one.iloc[:1].assign(close=3.0, high=3.0)
    >>> comparison({"1m": one, "2m": two})[["close", "change", "distance", "place"]]
               close  change  distance  place
    timeframe
    1m           4.0     1.0       0.0    1.0
    2m           3.0     2.0       1.0    1.5
    """
    names = _names(frames)
    rows = {}
    for key, name in names.items():
        rows[name.name] = BarReader(f"comparison, {name}", False, None, name).read(frames[key])
    ends = [int(found["end"][-1]) for found in rows.values() if len(found)]
    moment = max(ends, default=0) if at is None else _moment(at)
    known = {key: found[: int((found["end"] <= moment).sum())] for key, found in rows.items()}
    newest, price = np.iinfo(np.int64).min, np.nan
    for found in known.values():
        if len(found) and found["end"][-1] > newest:
            newest, price = int(found["end"][-1]), float(found["close"][-1])
    lines = [_line(found, price) for found in known.values()]
    table = pd.DataFrame(lines, index=pd.Index(list(known), name="timeframe"))
    for column in ("formed", "confirmed"):
        table[column] = _utc(table[column].to_numpy(np.int64))
    return table


def _line(found: npt.NDArray[Any], price: float) -> dict[str, Any]:
    """Return the row of a timeframe."""
    names = ("open", "high", "low", "close")
    if not len(found):
        never = np.iinfo(np.int64).min  # what datetime64 calls NaT
        gone = dict.fromkeys((*names, "change", "since", "place", "distance"), np.nan)
        return gone | {"formed": never, "confirmed": never}
    bar = found[-1]
    span = float(bar["high"] - bar["low"])
    before = float(found["close"][-2]) if len(found) > 1 else np.nan
    return {name: float(bar[name]) for name in names} | {
        "change": float(bar["close"] - bar["open"]),
        "since": price - before,
        "place": (price - float(bar["low"])) / span if span > 0.0 else np.nan,
        "distance": price - float(bar["close"]),
        "formed": int(bar["time"]),
        "confirmed": int(bar["end"]),
    }


def _names(frames: Mapping[str, Any]) -> dict[str, Timeframe]:
    """Return the timeframes by the keys they were given under, shortest first."""
    if not frames:
        raise ConfigError('give at least one timeframe, such as {"1m": bars}')
    named = sorted(((timeframe(key), key) for key in frames), key=lambda pair: pair[0])
    if len({name for name, _ in named}) < len(named):
        raise ConfigError(f"a timeframe is given twice: {', '.join(frames)}")
    return {key: name for name, key in named}


def _shares(names: Mapping[str, Timeframe], weights: Mapping[str, float] | None) -> list[float]:
    """Return the weights as shares that add up to 1."""
    if weights is None:
        return [1.0 / len(names)] * len(names)
    given = {timeframe(key): float(weight) for key, weight in weights.items()}
    if set(given) != set(names.values()):
        wanted = ", ".join(str(name) for name in names.values())
        raise ConfigError(f"alignment: weights must be given for {wanted}, not {list(weights)}")
    if not all(0.0 < weight < 1e9 for weight in given.values()):
        raise ConfigError(f"alignment: weights must be above 0, not {dict(weights)}")
    total = sum(given[name] for name in names.values())
    return [given[name] / total for name in names.values()]


def _signed(
    key: str, frame: Any, name: Timeframe, chosen: Study
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return when each trend of a timeframe became known, and its strength with a sign."""
    table = frame
    if not (isinstance(frame, pd.DataFrame) and "strength" in frame.columns):
        table = chosen.over(frame, timeframe=name)
    if not {"confirmed", "direction", "strength"} <= set(table.columns):
        raise ConfigError(f"alignment: {key!r} is no table of a trend study: {list(table.columns)}")
    index = pd.DatetimeIndex(table["confirmed"]).tz_convert("UTC").tz_localize(None)
    stamps = index.to_numpy().astype("M8[ns]").astype(np.int64)
    direction = table["direction"].astype(str).to_numpy()
    sign = np.where(direction == "up", 1.0, np.where(direction == "down", -1.0, 0.0))
    return stamps, sign * table["strength"].to_numpy(np.float64)


def _moment(at: Any) -> int:
    time = pd.Timestamp(at)
    return int((time if time.tzinfo is not None else time.tz_localize("UTC")).as_unit("ns").value)


def _utc(stamps: npt.NDArray[np.int64], name: str | None = None) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(stamps.view("M8[ns]"), name=name).tz_localize("UTC")
