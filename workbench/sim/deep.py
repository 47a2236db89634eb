"""Minute bars of the deep past, made without their trades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.records import BAR, CLOSED, Rows
from workbench.sim.aggregates import MINUTE
from workbench.sim.block import Setting
from workbench.sim.hours import SECOND
from workbench.sim.instrument import Instrument

__all__ = ["deep_minutes"]


def deep_minutes(item: Instrument, span: Sequence[Setting], rng: np.random.Generator) -> Rows:
    """Return the minute bars of consecutive blocks.

    They start and end each block at the same prices as its trades do, and have about the
    same counts, sizes and ranges; minute for minute they differ from the trades.

    Parameters
    ----------
    item : Instrument
    span : sequence of Setting
        The blocks, all of the same whole number of minutes.
    rng : numpy.random.Generator

    Returns
    -------
    array of BAR
        Minutes without a trade have no bar.
    """
    steps = span[0].length // MINUTE
    n = len(span)
    deviation = np.array([s.deviation for s in span])
    noise = rng.standard_normal((n, steps)) * (deviation / np.sqrt(steps))[:, None]
    walk = np.cumsum(noise, axis=1)
    ends = np.array([s.last - s.first for s in span])
    share = np.arange(1, steps + 1) / steps
    path = walk + (ends - walk[:, -1])[:, None] * share
    closes = np.exp(np.array([s.first for s in span])[:, None] + path).ravel()
    opens = np.concatenate([[np.exp(span[0].first)], closes[:-1]])
    reach = np.repeat(deviation, steps) / np.sqrt(steps)
    highs = np.maximum(opens, closes) * np.exp(rng.exponential(0.4, n * steps) * reach)
    lows = np.minimum(opens, closes) * np.exp(-rng.exponential(0.4, n * steps) * reach)
    counts = rng.poisson(np.repeat([s.rate * 60 for s in span], steps))
    rows = np.zeros(n * steps, BAR)
    rows["time"] = span[0].number * span[0].length + np.arange(n * steps) * MINUTE
    scale = 10.0**item.decimals
    for name, prices in (("open", opens), ("high", highs), ("low", lows), ("close", closes)):
        rows[name] = np.maximum(1, np.rint(prices * scale)) / scale
    rows["count"] = counts
    mean = item.typical * 3
    units = np.rint(counts * mean * np.exp(0.3 * rng.standard_normal(n * steps)) * 10.0**item.lot)
    rows["volume"] = np.maximum(units, counts) / 10.0**item.lot
    rows["vwap"] = (rows["open"] + rows["high"] + rows["low"] + rows["close"]) / 4
    rows["notional"] = rows["vwap"] * rows["volume"]
    rows["timeframe"] = MINUTE // SECOND
    rows["state"] = CLOSED
    made = rows[counts > 0]
    made.flags.writeable = False
    return made
