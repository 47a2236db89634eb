"""Bars that the provider sends beside the trades, around the end of a day."""

from __future__ import annotations

import json
from datetime import date

import pytest

from workbench.sim.barfeed import BarFeed
from workbench.sim.history import History
from workbench.sim.hours import DAY, SECOND, day_bounds
from workbench.sim.synthetic import SyntheticMarket

MIDNIGHT = day_bounds(date(2026, 3, 10))[1]
#: Second and minute bars of the only symbol.
DEMAND = frozenset({2, 3})


@pytest.mark.parametrize("opened", [-20.0, -0.5, 0.05])
@pytest.mark.parametrize("step", [0.05, 5.0])
def test_volumes_so_far_are_those_of_the_day_that_a_bar_is_of(opened: float, step: float) -> None:
    market = SyntheticMarket(["AAPL"], now=MIDNIGHT, rate=5.0, late=0.01)
    position = MIDNIGHT + round(opened * SECOND)
    trades = market.trades("AAPL", MIDNIGHT - DAY, position, position)
    of_old = trades["time"] < MIDNIGHT
    totals = {old: trades["size"][of_old == old].sum() for old in (True, False)}
    feed = BarFeed(History(market, lambda: position), 0.1)
    feed.open("AAPL", feed.day_so_far("AAPL", position), position)
    told = set()
    while position < MIDNIGHT + 10 * SECOND:
        before, position = position, position + round(step * SECOND)
        made = feed.advance(position, DEMAND)
        trades = market.sent("AAPL", before, position)
        for old in totals:
            totals[old] += trades["size"][(trades["time"] < MIDNIGHT) == old].sum()
        for bar in map(json.loads, [] if made is None else made.events()):
            old = bar["s"] * 10**6 < MIDNIGHT
            assert bar["av"] == totals[old] >= bar["v"]
            told.add(old)
    assert told == {True, False}
