"""Bars from columns are those of the routed path, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import TF, BarBuilder
from workbench.kernels import batch
from workbench.kernels.barstate import SLOT
from workbench.records import BAR, TRADE
from workbench.store.frames import dataframe
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_790 * SECOND

steps = st.sampled_from([0, 0, 1, 999, 20_000, 61_000, 700_000, 90_000_000])
prices = st.one_of(
    st.sampled_from([1.0, 1.1, 2.0, 64_000.5, 5e-324, 2.0**27]), st.floats(1e-8, 1e6)
)
sizes = st.one_of(
    st.sampled_from([0.0, 1.0, 0.1, 1e12, 1e-9, 2.0**-75, 3 * 2.0**-75, 2.0**27 - 2.0**-25]),
    st.floats(1e-12, 1e8),
)


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    """Trades of one symbol in order of time: a few drawn ones, over and over for large bars."""
    repeat = draw(st.sampled_from([1, 1, 7, 40, 3000]))
    count = draw(st.integers(1, 30))
    some = np.zeros(count, TRADE)
    some["symbol"] = draw(st.sampled_from([0, 3]))
    some["price"] = draw(st.lists(prices, min_size=count, max_size=count))
    some["size"] = draw(st.lists(sizes, min_size=count, max_size=count))
    some["size"] = np.minimum(some["size"], 1e12 / np.maximum(some["price"], 1.0))
    some["sequence"] = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    gaps = np.array(draw(st.lists(steps, min_size=count, max_size=count)))
    rows = np.tile(some, repeat)
    rows["time"] = START + np.cumsum(np.tile(gaps // repeat, repeat)) * 1_000_000
    return rows


def routed(trades: Rows, name: str) -> Rows:
    """The bars of the kernel that serves live data, in order of time."""
    builder = BarBuilder([name])
    return np.concatenate([builder.add(trades), builder.finish()])


@settings(max_examples=200, deadline=None)
@given(markets(), st.sampled_from(["1s", "1m", "1h", "1w"]))
def test_columns_give_the_routed_bars(trades: Rows, name: str) -> None:
    expected = routed(trades, name)
    assert time_bars(trades, name).tobytes() == expected.tobytes()
    expected["symbol"] = 0
    assert time_bars(dataframe("trade", trades), name).tobytes() == expected.tobytes()


@settings(max_examples=60, deadline=None)
@given(markets(), st.randoms(use_true_random=False), st.sampled_from(["1s", "1m", "1w"]))
def test_any_order_gives_the_same_values(trades: Rows, random: Any, name: str) -> None:
    trades = trades[:2000]
    order = list(range(len(trades)))
    random.shuffle(order)
    bars = time_bars(dataframe("trade", trades[order]), name)
    bars["revision"] = 0
    bars["state"] = 2
    bars["symbol"] = trades["symbol"][0]
    assert bars.tobytes() == routed(trades, name).tobytes()


@settings(max_examples=60, deadline=None)
@given(markets(), st.integers(1, 5))
def test_a_full_output_is_drained_and_gone_on_from(trades: Rows, room: int) -> None:
    columns = [np.ascontiguousarray(trades[f]) for f in ("time", "price", "size", "sequence")]
    for column in columns:
        column.flags.writeable = False
    tf = timeframe("1m")
    row = np.zeros(1, TF)
    row["length"], row["origin"], row["seconds"] = tf.ns, tf.origin, tf.seconds
    out, work = np.zeros(room, BAR), np.zeros(1, SLOT)
    parts, start = [], 0
    while start < len(trades):
        start, n = batch.fill(*columns, start, row[0], 0, work[0], out)
        assert n > 0
        parts.append(out[:n].copy())
    expected = routed(trades, "1m")
    expected["symbol"] = 0
    assert np.concatenate(parts).tobytes() == expected.tobytes()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_the_index_does_not_matter(unit: str) -> None:
    index = pd.DatetimeIndex(["2025-11-03 14:30", "2025-11-03 14:31"], tz="UTC").as_unit(unit)
    bars = time_bars(pd.DataFrame({"price": [1.0, 2.0], "size": [3.0, 4.0]}, index), "1m")
    assert bars["time"].tolist() == [1762180200 * SECOND, 1762180260 * SECOND]
    assert bars["volume"].tolist() == [3.0, 4.0]


def test_no_trades_give_no_bars() -> None:
    assert len(time_bars(dataframe("trade", np.zeros(0, TRADE)), "1m")) == 0
    assert len(time_bars(np.zeros(0, TRADE), "1m")) == 0


def test_a_table_without_times_is_refused() -> None:
    with pytest.raises(TypeError, match="indexed by time"):
        time_bars(pd.DataFrame({"price": [1.0], "size": [1.0]}), "1m")


@settings(max_examples=20, deadline=None)
@given(markets())
def test_the_python_twin_agrees(trades: Rows) -> None:
    columns = [np.ascontiguousarray(trades[:60][f]) for f in ("price", "size")]
    compiled, twin = np.zeros(1, SLOT), np.zeros(1, SLOT)
    batch._sum_up(*columns, compiled[0])
    batch._one_by_one(*columns, twin[0])
    assert compiled.tobytes() == twin.tobytes()
    for low, value in zip(batch._extremes(columns[0].view(np.int64)), (min, max), strict=True):
        assert np.int64(low).view(np.float64) == value(columns[0].tolist())
    assert math.isfinite(columns[0].sum())
