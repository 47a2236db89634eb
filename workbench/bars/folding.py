"""Bars from smaller bars: 1m to 5m to 1h to 1d, equal to those built from trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.digest import newest
from workbench.errors import UnknownTimeframeError
from workbench.kernels import folding as kernel
from workbench.records import BAR, Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = [
    "FrameSpans",
    "Spans",
    "bar_rows",
    "checked_bars",
    "fixed",
    "fold_bars",
    "fold_spans",
    "joined",
    "newest_bars",
    "straddles",
]

_Times = npt.NDArray[np.int64]
_PRICES = ("open", "high", "low", "close", "volume")


class Spans(Protocol):
    """What longer bars cover.

    Attributes
    ----------
    name : str
        As users write it, for messages.
    code : int
        What the timeframe column of the longer bars says.
    """

    @property
    def name(self) -> str: ...
    @property
    def code(self) -> int: ...
    def bounds(self, times: _Times) -> tuple[_Times, _Times]:
        """Return start and end of the span that holds each time, ns.

        Outside of all spans: NEVER of the kernel, and the start of the next one.
        """


class FrameSpans:
    """The spans of a timeframe.

    Parameters
    ----------
    name : Timeframe or str

    Examples
    --------
    >>> [each.tolist() for each in FrameSpans("1m").bounds(np.array([61 * 10**9]))]
    [[60000000000], [120000000000]]
    """

    def __init__(self, name: Timeframe | str) -> None:
        self._tf = timeframe(name)
        self.name = self._tf.name
        self.code = self._tf.seconds

    def bounds(self, times: _Times) -> tuple[_Times, _Times]:
        """Return start and end of the bar that holds each time, ns."""
        starts = times - (times - self._tf.origin) % self._tf.ns
        return starts, starts + self._tf.ns


def bar_rows(frame: pd.DataFrame, base: Timeframe | str | None = None) -> Rows:
    """Return the bars of a DataFrame of one series as rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Indexed by time, strictly increasing; open, high, low, close, volume, and notional or
        vwap. What else a bar has is taken if it is there, and 0 if not.
    base : Timeframe or str, optional
        Of the bars; None for not told (0 in the rows).

    Raises
    ------
    TypeError
        If it is not indexed by time.
    ValueError
        If a column is missing, or times go back or repeat.
    """
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise TypeError(f"bars must be indexed by time, not by {type(index).__name__}")
    missing = [name for name in _PRICES if name not in frame]
    if "notional" not in frame and "vwap" not in frame:
        missing.append("notional (or vwap)")
    if missing:
        raise ValueError(f"bars have no column {', '.join(missing)}")
    times = np.asarray(index.as_unit("ns").asi8)
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise ValueError(f"times of bars must increase, but row {back[0] + 1} goes back or repeats")
    rows = np.zeros(len(frame), BAR)
    rows["time"] = times
    for name in (*_PRICES, "vwap", "count", "notional", "volume_rest", "notional_rest", "origin"):
        if name in frame:
            rows[name] = frame[name].to_numpy()
    if "notional" not in frame:
        rows["notional"] = rows["vwap"] * rows["volume"]
    rows["timeframe"] = timeframe(base).seconds if base is not None else 0
    return rows


def checked_bars(bars: Rows) -> Rows:
    """Return bars after a look at their numbers.

    Raises
    ------
    ValueError
        If a price is not finite, low and high do not hold open and close, or a sum is not
        finite; the row and its time are told.
    """
    bad = kernel.flawed(fixed(bars))
    if bad >= 0:
        when = pd.Timestamp(int(bars["time"][bad]), tz="UTC")
        raise ValueError(
            f"row {bad} ({when}) is no bar: prices must be finite with low <= open, close <= "
            f"high, volume and notional finite; it says {bars[bad].item()[1:6]}"
        )
    return bars


def fold_bars(
    bars: Rows | pd.DataFrame, name: Timeframe | str, *, base: Timeframe | str | None = None
) -> Rows:
    """Put bars together into longer ones.

    From bars built from trades, and through any chain of timeframes, the result is that of
    the trades bit for bit, as long as no sum is 2**53 times a part of it: the rests of the
    sums, which bars carry, are a float each.

    Parameters
    ----------
    bars : array of BAR, or DataFrame
        Closed bars of one timeframe and any symbols, as built, emitted or stored. Where a bar
        comes several times the newest revision counts. Intervals without a bar are gaps that
        stay. Or a DataFrame of one series, see :func:`bar_rows`.
    name : Timeframe or str
        A multiple of theirs.
    base : Timeframe or str, optional
        Of the bars of a DataFrame, to be checked against `name`; None for no check.

    Returns
    -------
    array of BAR
        By symbol and time. The last bar of each symbol is as far as its rows go.

    Raises
    ------
    UnknownTimeframeError
        If the bars' timeframe does not divide the new one.
    ValueError
        If the same revision of a bar comes twice, or a row is no bar.

    Examples
    --------
    >>> bars = np.zeros(3, BAR)
    >>> bars["time"], bars["timeframe"] = np.array([0, 60, 300]) * 10**9, 60
    >>> bars["open"] = bars["high"] = bars["low"] = bars["close"] = [1.0, 2.0, 3.0]
    >>> bars["volume"], bars["count"] = [5.0, 6.0, 7.0], 1
    >>> fold_bars(bars, "5m")[["open", "close", "volume", "count"]].tolist()
    [(1.0, 2.0, 11.0, 2), (3.0, 3.0, 7.0, 1)]
    """
    tf = timeframe(name)
    if isinstance(bars, pd.DataFrame):
        bars = bar_rows(bars, base)
    if not len(bars):
        return np.zeros(0, BAR)
    _one_base(bars, tf)
    bars = newest_bars(bars)
    starts = np.empty(len(bars), np.int64)
    over = kernel.place(fixed(bars), tf.ns, tf.origin, starts)
    if over >= 0:
        raise straddles(bars, over, tf.name)
    return fold_spans(checked_bars(bars), starts, tf.seconds)


def fold_spans(bars: Rows, starts: _Times, code: int) -> Rows:
    """Put ordered bars together that belong to one longer bar.

    Parameters
    ----------
    bars : array of BAR
        By symbol and time, each once.
    starts : int64 array
        Start of the longer bar each belongs to, ns; NEVER of the kernel for none.
    code : int
        What the timeframe column of the longer bars is to say.
    """
    state = np.zeros(1, kernel.FOLD)
    state["start"] = kernel.NEVER
    parts, at = [], 0
    out = np.zeros(min(len(bars), 1 << 16) + 1, BAR)
    while at < len(bars):
        at, n = kernel.fold(fixed(starts), fixed(bars), at, state[0], code, out)
        parts.append(out[:n].copy())
    n = kernel.show(state[0], code, 2, 0, out)
    return joined([*parts, out[:n].copy()])


def joined(parts: Sequence[Rows]) -> Rows:
    """Return bars one after the other.

    Joining records makes NumPy compare their fields, which takes longer than most of the work
    on a bar: empty parts are left out first.
    """
    some = [part for part in parts if len(part)]
    if not some:
        return np.zeros(0, BAR)
    return some[0] if len(some) == 1 else np.concatenate(some)


def fixed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view: one compiled kernel then serves both kinds of array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _one_base(bars: Rows, tf: Timeframe) -> None:
    seconds = int(bars["timeframe"][0])
    if (bars["timeframe"] != seconds).any():
        some: Sequence[int] = np.unique(bars["timeframe"]).tolist()
        raise UnknownTimeframeError(f"bars of several timeframes at once, of {some} seconds")
    if seconds > 0 and tf.seconds % seconds:
        raise UnknownTimeframeError(f"{tf.name} is no multiple of the bars' {seconds} s")


def newest_bars(bars: Rows) -> Rows:
    """Return the newest revision of each bar, ordered; ValueError if one comes twice."""
    if kernel.ordered(fixed(bars)):
        return bars
    kept = newest(bars)
    order = np.lexsort((bars["revision"], bars["time"], bars["symbol"]))
    keys = bars[["symbol", "time", "revision"]][order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        when = pd.Timestamp(int(keys["time"][twice[0]]), tz="UTC")
        raise ValueError(
            f"the bar of {when} comes twice with revision {keys['revision'][twice[0]]}: bars of "
            "one origin are wanted, each revision of them once"
        )
    return kept


def straddles(bars: Rows, row: int, name: str) -> UnknownTimeframeError:
    """Return the error that tells which bar reaches over an edge."""
    when = pd.Timestamp(int(bars["time"][row]), tz="UTC")
    return UnknownTimeframeError(
        f"the bar of {when} over {bars['timeframe'][row]} s reaches over an edge of {name}: "
        "take smaller bars"
    )
