"""Zones of studies as they are drawn: from which bar to which, how many, in which colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.plots.theme import DARK, LIGHT
from workbench.plots.zones import COLUMNS, ZONES, Zone, find_zones, zone_columns
from workbench.records import BAR, CLOSED, Rows
from workbench.study import fair_value_gaps, liquidity, order_blocks

MINUTE = 60_000_000_000


def walk(count: int, seed: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    bars = np.zeros(count, BAR)
    bars["time"] = (29_000_000 + np.arange(count)) * MINUTE
    bars["close"] = 100 + np.cumsum(rng.normal(0, 0.2, count)).round(2)
    bars["open"] = np.r_[100.0, bars["close"][:-1]]
    bars["high"] = np.fmax(bars["open"], bars["close"]) + rng.uniform(0, 0.1, count).round(2)
    bars["low"] = np.fmin(bars["open"], bars["close"]) - rng.uniform(0, 0.1, count).round(2)
    bars["volume"] = rng.lognormal(2, 0.5, count).round(3)
    bars["timeframe"], bars["state"] = 60, CLOSED
    return bars


def test_order_blocks_span_from_their_bar_to_their_end() -> None:
    bars = walk(400)
    table = order_blocks().over(bars)
    zones = find_zones(["Order blocks"], bars, 1000)
    assert zones
    by_left: dict[Any, Any] = {}
    row: Any
    for row in table.itertuples():
        left = 1000 + int(np.searchsorted(bars["time"], pd.Timestamp(row.formed).value))
        by_left.setdefault((left, row.low, row.high), row)
    for zone in zones:
        row = by_left[zone.left, zone.low, zone.high]
        assert zone.label == ("Bull OB" if row.kind == "bullish" else "Bear OB")
        if row.mitigated is pd.NaT:
            assert zone.right is None
        else:
            assert zone.right is not None
            # The bar whose end made the end of the zone known.
            end = bars["time"][zone.right - 1000] + MINUTE
            assert end == pd.Timestamp(row.mitigated).value


@pytest.mark.parametrize("name", list(ZONES))
def test_few_are_drawn_and_open_ones_on_top(name: str) -> None:
    zones = find_zones([name], walk(2000, 11), 0, "BTC-USD")
    assert 0 < len(zones) <= 17
    closed = [zone.right is not None for zone in zones]
    assert closed == sorted(closed, reverse=True)
    assert all(zone.low <= zone.high and zone.left >= 0 for zone in zones)
    assert all(zone.right is None or zone.right >= zone.left for zone in zones)


def test_small_gaps_are_left_out() -> None:
    bars = walk(400)
    least = fair_value_gaps().over(bars)["strength"]
    assert (least < 0.25).any()
    drawn = {(zone.low, zone.high) for zone in find_zones(["Fair value gaps"], bars, 0)}
    table = fair_value_gaps().over(bars)
    strong = table[table["strength"] >= 0.25]
    assert drawn <= set(zip(strong["low"], strong["high"], strict=True))


def test_levels_are_called_as_traders_call_them() -> None:
    bars = walk(3000, 5)
    labels = {zone.label for zone in find_zones(["Liquidity"], bars, 0, "BTC-USD")}
    kinds = set(liquidity().over(bars, "BTC-USD")["kind"])
    assert labels <= {"EQH", "EQL", "PDH", "PDL", "PWH", "PWL"}
    assert "previous day high" in kinds


def test_a_profile_has_its_value_area_and_point_of_control() -> None:
    zones = find_zones(["Volume profile"], walk(400), 0)
    area = next(zone for zone in zones if zone.label == "Value area")
    peak = next(zone for zone in zones if zone.label == "POC")
    assert peak.low == peak.high
    assert area.low < peak.low < area.high


def test_bars_that_no_clock_ends_have_zones_too() -> None:
    bars = walk(400)
    bars["timeframe"] = -12345
    assert find_zones(["Order blocks"], bars, 0) == find_zones(["Order blocks"], walk(400), 0)


def test_of_nothing_and_of_other_names_there_is_nothing() -> None:
    assert find_zones(["Order blocks"], walk(0), 0) == []
    assert find_zones(["Horoscope"], walk(50), 0) == []


def test_colours_follow_the_theme_and_ended_zones_are_faint() -> None:
    zones = [Zone("up", "Bull OB", 1.0, 2.0, 3, 5), Zone("up", "Bull OB", 1.0, 2.0, 3, None)]
    dark, light = zone_columns(zones, DARK), zone_columns(zones, LIGHT)
    assert tuple(dark) == COLUMNS
    assert (dark["color"][0], light["color"][0]) == (DARK.up, LIGHT.up)
    assert dark["right"][0] == 5.5
    assert dark["right"][1] > 10_000
    assert dark["fill"][0] < dark["fill"][1]
    assert dark["label"] == ["", "Bull OB"]
