"""Zones of studies over a chart: order blocks, gaps, volume nodes and levels of liquidity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.plots.theme import Theme
from workbench.records import Rows
from workbench.study import Study, fair_value_gaps, liquidity, order_blocks, profile

__all__ = ["COLUMNS", "ZONES", "Zone", "find_zones", "zone_columns"]

#: Open and ended zones of a kind that are drawn: the newest ones.
_OPEN, _ENDED = 10, 6
#: Gaps of a smaller share of the range around them are noise on a chart.
_LEAST_GAP = 0.25
#: Bars to the right of the newest that an open zone covers: further than anybody looks.
_AHEAD = 100_000
COLUMNS = ("left", "right", "low", "high", "color", "fill", "line", "label")
_LEVELS = {
    "equal highs": "EQH",
    "equal lows": "EQL",
    "previous day high": "PDH",
    "previous day low": "PDL",
    "previous week high": "PWH",
    "previous week low": "PWL",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A range of prices that matters from one bar to another.

    Attributes
    ----------
    tone : str
        Name of a colour of the theme.
    label : str
        Short; empty for none.
    low, high : float
        Prices; the same for a line.
    left : int
        Ordinal of the bar it begins with.
    right : int or None
        Ordinal of the bar that ended it; None while it is open.
    """

    tone: str
    label: str
    low: float
    high: float
    left: int
    right: int | None


#: Of a row of a study's table: tone, label, low and high of what is drawn.
_Drawn = list[tuple[str, str, float, float]]


def _block(row: Any) -> _Drawn:
    up = row.kind == "bullish"
    return [("up" if up else "down", "Bull OB" if up else "Bear OB", row.low, row.high)]


def _gap(row: Any) -> _Drawn:
    if row.strength < _LEAST_GAP:
        return []
    return [("accent" if row.kind == "up" else "amber", "FVG", row.low, row.high)]


def _volume(row: Any) -> _Drawn:
    if row.kind == "value area":
        area = ("muted", "Value area", row.low_now, row.high_now)
        return [area, ("amber", "POC", row.peak_now, row.peak_now)]
    return [("accent", "HVN", row.low_now, row.high_now)] if row.kind == "HVN" else []


def _level(row: Any) -> _Drawn:
    tone = "down" if row.kind.endswith(("high", "highs")) else "up"
    return [(tone, _LEVELS[row.kind], row.low_now, row.high_now)]


@dataclass(frozen=True, slots=True)
class _Family:
    study: Callable[[int], Study]
    drawn: Callable[[Any], _Drawn]
    ended: int = _ENDED


def _profile(bars: int) -> Study:
    # A young series has a profile too, of what there is.
    return profile(length=min(200, max(20, bars)))


#: What can be drawn, by the name in the menu.
ZONES: dict[str, _Family] = {
    "Order blocks": _Family(lambda bars: order_blocks(), _block),
    "Fair value gaps": _Family(lambda bars: fair_value_gaps(), _gap),
    "Volume profile": _Family(_profile, _volume, ended=0),
    "Liquidity": _Family(lambda bars: liquidity(), _level, ended=4),
}


def find_zones(names: Iterable[str], bars: Rows, first: int, symbol: str = "") -> list[Zone]:
    """Return the zones of closed bars that are worth drawing.

    Parameters
    ----------
    names : iterable of str
        Of ZONES; others are passed over.
    bars : array of BAR
        Closed, of one series.
    first : int
        Ordinal of the first bar.
    symbol : str
        Whose days count.

    Returns
    -------
    list of Zone
        Ended ones first and lines last, so that open ones and lines lie over the others. They
        begin with the bar they are on and end with the one that made their end known.
    """
    if not len(bars):
        return []
    bars = _measured(bars)
    found: list[Zone] = []
    for name in names:
        family = ZONES.get(name)
        if family is None:
            continue
        table = family.study(len(bars)).over(bars, symbol)
        found += _picked(table, family, partial(_ordinal, first, bars["time"]))
    return sorted(found, key=lambda zone: (zone.right is None, zone.low == zone.high))


def _measured(bars: Rows) -> Rows:
    """Return bars that say how long they are; of those that no clock ends, what was usual."""
    if int(bars["timeframe"][0]) > 0:
        return bars
    told = bars.copy()
    steps = np.diff(bars["time"]) if len(bars) > 1 else np.array([10**9])
    told["timeframe"] = max(1, round(float(np.median(steps)) / 1e9))
    return told


def _ordinal(first: int, starts: npt.NDArray[np.int64], time: pd.Timestamp) -> int:
    """Return the ordinal of the bar a time lies in."""
    return first + max(0, int(np.searchsorted(starts, time.value, side="right")) - 1)


def _picked(
    table: pd.DataFrame, family: _Family, ordinal: Callable[[pd.Timestamp], int]
) -> list[Zone]:
    zones: list[Zone] = []
    room = {True: _OPEN, False: family.ended}
    row: Any
    for row in table.iloc[::-1].itertuples():
        alive = row.mitigated is pd.NaT
        if not room[alive]:
            continue
        drawn = family.drawn(row)
        room[alive] -= bool(drawn)
        left = ordinal(row.formed)
        right = None if alive else max(left, ordinal(row.mitigated) - 1)
        zones += [
            Zone(tone, label, float(low), float(high), left, right)
            for tone, label, low, high in drawn
        ]
    return zones


def zone_columns(zones: Iterable[Zone], theme: Theme) -> dict[str, list[Any]]:
    """Return zones as columns of a Bokeh source, in the colours of a theme.

    >>> from workbench.plots.theme import DARK
    >>> data = zone_columns([Zone("amber", "POC", 5.0, 5.0, 3, None)], DARK)
    >>> data["left"], data["label"], data["color"]
    ([2.5], ['POC'], ['#e9a23b'])
    """
    data: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    tokens = theme.tokens()
    for zone in zones:
        alive, level = zone.right is None, zone.low == zone.high
        right = zone.left + _AHEAD if zone.right is None else zone.right + 0.5
        values = (
            zone.left - 0.5, right, zone.low, zone.high, tokens[zone.tone],
            (0.11 if zone.tone != "muted" else 0.06) if alive else 0.05,
            (0.9 if level else 0.45) if alive else 0.18,
            zone.label if alive else "",
        )  # fmt: skip
        for name, value in zip(COLUMNS, values, strict=True):
            data[name].append(value)
    return data
