"""An invented market that is unkind to indicators."""

from __future__ import annotations

import numpy as np

from workbench.records import BAR, CLOSED, Rows

__all__ = ["invented_bars"]

_STEP = 300 * 10**9
_DAY = 86_400 * 10**9
#: Wednesday 2025-02-26 14:30 UTC: the open in New York, two days before the end of a month.
_FIRST = 1_740_580_200 * 10**9


def invented_bars(count: int = 600, *, seed: int = 0) -> Rows:
    """Return bars of five minutes of a market that nobody trades.

    Sessions of unequal length with nights and weekends between them; prices in cents that walk,
    stand still for a while and jump to another level now and then; bars in which nothing was
    traded.

    Parameters
    ----------
    count : int
        Number of bars, 0 or more.
    seed : int
        The same seed gives the same bars, 0 or more.

    Returns
    -------
    array of BAR
        Closed bars in order of time.

    Examples
    --------
    >>> bars = invented_bars(300, seed=1)
    >>> len(bars), bool((bars["high"] >= bars["low"]).all()), bool((bars["volume"] == 0).any())
    (300, True, True)
    """
    rng = np.random.default_rng(seed)
    bars = np.zeros(count, BAR)
    bars["time"] = _times(rng, count)
    step = rng.normal(0.0, 0.004, count)
    step[rng.random(count) < 0.01] = 0.0
    jumps = np.flatnonzero(rng.random(count) < 0.004)
    step[jumps] = rng.choice([-1.6, -0.4, 0.4, 1.6], len(jumps))
    still = _stretches(rng, count, 0.008, 30)
    step[still] = 0.0
    # The walk is bent back, so that no jump takes it out of sight.
    level = np.zeros(count)
    at = 0.0
    for i in range(count):
        at = 0.999 * at + step[i] if step[i] else at
        level[i] = at
    close = np.round(100.0 * np.exp(level), 2)
    before = np.concatenate([close[:1], close[:-1]])
    opened = np.where(still, close, np.round(before * (1 + rng.normal(0, 0.0005, count)), 2))
    reach = np.where(still, 0.0, rng.exponential(0.002, (2, count)))
    bars["open"], bars["close"] = opened, close
    bars["high"] = np.round(np.maximum(opened, close) * (1 + reach[0]), 2)
    bars["low"] = np.round(np.minimum(opened, close) * (1 - reach[1]), 2)
    volume = np.round(rng.lognormal(5.0, 1.0, count))
    volume[_stretches(rng, count, 0.01, 12) | (rng.random(count) < 0.02)] = 0.0
    bars["volume"] = volume
    bars["vwap"] = np.round((bars["high"] + bars["low"] + close) / 3.0, 4)
    bars["notional"] = bars["vwap"] * volume
    bars["count"] = np.ceil(volume / 10.0)
    bars["timeframe"] = _STEP // 10**9
    bars["state"] = CLOSED
    return bars


def _times(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    times = np.zeros(count, np.int64)
    day = _FIRST
    start = 0
    while start < count:
        end = min(count, start + int(rng.integers(8, 79)))
        times[start:end] = day + np.arange(end - start) * _STEP
        start = end
        weekend = (day // _DAY + 3) % 7 == 4  # 1970-01-01 was a Thursday
        day += (3 if weekend else 1) * _DAY
    return times


def _stretches(
    rng: np.random.Generator, count: int, share: float, most: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    marked = np.zeros(count, np.bool_)
    for start in np.flatnonzero(rng.random(count) < share):
        marked[start : start + int(rng.integers(3, most))] = True
    return marked
