"""Bars of quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.quotebars import PRICES, QuoteBars, QuotePrice, quote_bars, quote_trades
from workbench.digest import newest
from workbench.records import CLOSED, FORMING, QUOTE
from workbench.sim.readers import read_trades
from workbench.store.frames import dataframe
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_790 * SECOND


def quotes(*rows: tuple[float, float, float]) -> Rows:
    """Quotes given as (seconds, bid, ask)."""
    made = np.zeros(len(rows), QUOTE)
    for row, (seconds, bid, ask) in zip(made, rows, strict=True):
        row["time"] = row["received"] = START + round(seconds * SECOND)
        row["bid"], row["ask"] = bid, ask
    return made


@pytest.mark.parametrize(
    ("bid", "ask", "mid", "bids", "asks"),
    [
        (10, 11, [10.5], [10], [11]),
        (10, 10, [10], [10], [10]),  # locked
        (11, 10, [], [], []),  # crossed
        (0, 11, [], [], [11]),
        (10, 0, [], [10], []),
        (np.nan, 11, [], [], [11]),
        (10, np.inf, [], [10], []),
        (-1, 11, [], [], [11]),
        (0, 0, [], [], []),
    ],
)
def test_which_quotes_count(bid: float, ask: float, mid: Any, bids: Any, asks: Any) -> None:
    some = quotes((1, bid, ask))
    for price, expected in zip(PRICES, (mid, bids, asks), strict=True):
        assert quote_trades(some, price)["price"].tolist() == expected
        bars = QuoteBars(["1m"], price)
        bars.add(some)
        assert bars.left_out == 1 - len(expected)


def test_a_bar_counts_quotes_and_has_no_volume() -> None:
    bars = quote_bars(quotes((0, 10, 11), (1, 12, 14), (2, 9, 10), (3, 20, 1)), "5m", "mid")
    names = ["open", "high", "low", "close", "vwap", "volume", "notional", "count"]
    assert bars[names].tolist() == [(10.5, 13.0, 9.5, 9.5, 9.5, 0.0, 0.0, 3)]


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(1, 40))
    rows = np.zeros(n, QUOTE)
    gaps = draw(st.lists(st.sampled_from([0, 1, 400, 2000, 70_000]), min_size=n, max_size=n))
    rows["time"] = rows["received"] = START + np.cumsum(gaps) * 10**6
    for side in ("bid", "ask"):
        rows[side] = draw(
            st.lists(st.sampled_from([0.0, 1.0, 1.1, 1.2, 1.3]), min_size=n, max_size=n)
        )
    rows["sequence"] = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return rows


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from(PRICES), st.lists(st.integers(0, 40), max_size=4))
def test_live_equals_batch_and_the_definition(
    rows: Rows, price: QuotePrice, cuts: list[int]
) -> None:
    live = QuoteBars(["1s", "1m"], price)
    parts = [live.add(some) for some in np.split(rows, sorted(min(c, len(rows)) for c in cuts))]
    emitted = newest(np.concatenate([*parts, live.finish()]))
    emitted["revision"], emitted["state"] = 0, CLOSED
    groups: dict[int, list[Any]] = {}
    for q in rows:
        bid, ask = float(q["bid"]), float(q["ask"])
        value = {"bid": bid, "ask": ask, "mid": (bid + ask) / 2 if bid and ask else 0.0}[price]
        if value and not (bid and ask and bid > ask):
            start = timeframe("1m").start(int(q["time"]))
            groups.setdefault(start, []).append((int(q["time"]), int(q["sequence"]), value))
    for name in ("1s", "1m"):
        bars = quote_bars(rows, name, price)
        some = emitted[emitted["timeframe"] == timeframe(name).seconds]
        assert bars.tobytes() == some.tobytes()
        assert quote_bars(dataframe("quote", rows), name, price).tobytes() == bars.tobytes()
        assert bars["count"].sum() == len(rows) - live.left_out
    assert [(b["open"], b["close"], b["count"]) for b in bars] == [
        (min(g)[2], max(g)[2], len(g)) for g in groups.values()
    ]


def test_forming_and_the_clock() -> None:
    bars = QuoteBars(["1m"], "bid", lateness=1)
    some = quotes((10, 5, 6))
    bars.add(some)
    assert bars.forming(0, "1m")[["close", "state"]].tolist() == [(5.0, FORMING)]
    assert len(bars.advance(int(some["time"][0]) + 70 * SECOND)) == 1
    assert repr(bars) == "QuoteBars('bid', BarBuilder(16 symbols, 1m))"


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match="there are mid, bid, ask"):
        QuoteBars(["1m"], "last")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="indexed by time"):
        quote_bars(pd.DataFrame({"bid": [1.0], "ask": [1.0]}), "1m")
    frame = dataframe("quote", quotes((0, 1, 2)))
    with pytest.raises(ValueError, match="no column ask"):
        quote_bars(frame.drop(columns="ask"), "1m")
    assert len(quote_bars(np.zeros(0, QUOTE), "1m")) == 0


def test_real_quotes(shared_data: Path) -> None:
    """Every quote is counted or left out, and bars stay within what was quoted."""
    found = sorted((shared_data / "crypto" / "binance_raw_ws").rglob("*btc*"))
    readings = [r for path in found[:1] for r in read_trades(path) if len(r.quotes)]
    if not readings:
        pytest.fail("no quotes in the data")
    rows = readings[0].quotes[:20_000]
    bars = quote_bars(rows, "1m", "mid")
    assert bars["count"].sum() == len(quote_trades(rows))
    assert (bars["low"] >= rows["bid"].min()).all()
    assert (bars["high"] <= rows["ask"].max()).all()
