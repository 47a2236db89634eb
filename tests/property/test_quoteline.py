"""Bars of quotes of a running series: in any order, however late, those of all quotes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.kinds import BarKind, bar_kind
from workbench.bars.news import news
from workbench.bars.quotebars import quote_bars
from workbench.errors import ConfigError
from workbench.flow.quoteline import QuoteLine
from workbench.records import BAR, FORMING, QUOTE

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_800 * SECOND
NEVER = -(1 << 62)


def line_of(name: str, lateness: float = 0.0) -> QuoteLine:
    kind = bar_kind(name)
    assert isinstance(kind, BarKind)
    return QuoteLine(kind, 0, lateness=lateness)


def merged(bars: Rows, new: Rows) -> Rows:
    """Return what a window holds after bars came: the newest of each time."""
    every = np.concatenate([bars, new])
    every = every[np.lexsort((every["revision"], every["time"]))]
    newest = np.ones(len(every), np.bool_)
    newest[:-1] = every["time"][1:] != every["time"][:-1]
    return every[newest]


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(1, 60))
    rows = np.zeros(n, QUOTE)
    gaps = draw(st.lists(st.sampled_from([0, 200, 1000, 5000, 400_000]), min_size=n, max_size=n))
    rows["time"] = START + np.cumsum(gaps) * 10**6
    side = st.one_of(st.sampled_from([0.0, 99.0, 100.0, 101.0]), st.floats(90, 110))
    rows["bid"] = draw(st.lists(side, min_size=n, max_size=n))
    rows["ask"] = draw(st.lists(side, min_size=n, max_size=n))
    rows["sequence"] = np.arange(n)
    return rows


@settings(max_examples=120, deadline=None)
@given(st.data(), markets(), st.sampled_from(["mid", "bid", "ask"]), st.sampled_from([0.0, 3.0]))
def test_any_order_ends_in_the_bars_of_all_quotes(
    data: st.DataObject, quotes: Rows, price: Any, lateness: float
) -> None:
    line = line_of(f"{price}@1s", lateness)
    order = np.array(data.draw(st.permutations(range(len(quotes)))))
    begun = data.draw(st.integers(0, len(quotes)))
    held = quotes[order[:begun]]
    bars = merged(np.zeros(0, BAR), line.begin(held))
    for at in range(begun, len(quotes), 7):
        some = quotes[order[at : at + 7]]
        held = np.concatenate([held, some])
        bars = merged(bars, line.add(some))
        if data.draw(st.booleans()):
            bars = merged(bars, news(line.again(held, NEVER), bars))
    bars = merged(bars, news(line.again(held, NEVER), bars))
    assert not line.late
    forming = line.forming()
    assert set(forming["state"]) <= {FORMING}
    clean = quote_bars(quotes, "1s", price)
    clean["timeframe"] = line.kind.code
    every = np.concatenate([bars, forming])
    assert every["time"].tolist() == clean["time"].tolist()
    for name in ("open", "high", "low", "close", "count", "timeframe", "volume"):
        assert every[name].tolist() == clean[name].tolist(), name


def test_bars_older_than_the_quotes_at_hand_stay_as_they_are() -> None:
    quotes = np.zeros(400, QUOTE)
    quotes["time"] = START + np.arange(400) * SECOND
    quotes["bid"], quotes["ask"] = 10.0, 12.0
    line = line_of("mid@1s")
    line.begin(quotes[100:])
    late = quotes[:1].copy()
    assert len(line.add(late)) == 0
    assert line.late == {START}
    assert len(line.again(quotes, START + 50 * SECOND)) == 0
    assert not line.late
    line.add(late)
    assert line.again(quotes, START)["close"].tolist() == [11.0]


def test_what_is_not_made_from_quotes() -> None:
    with pytest.raises(ConfigError, match="trades:5 is not a kind"):
        line_of("trades:5")
