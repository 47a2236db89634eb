"""What warm-ups make of bars: the values of the indicators and studies, and words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.analytics import ema
from workbench.history.readings import price_words, reading
from workbench.history.warmups import WARMUPS, Warmup, warmup
from workbench.records import BAR, CLOSED, Rows
from workbench.store.frames import dataframe
from workbench.study import order_blocks, profile, structure, trend


def bars(close: np.ndarray, seconds: int = 60, volume: float = 10.0) -> Rows:
    rows = np.zeros(len(close), BAR)
    rows["time"] = 1_762_128_000 * 10**9 + np.arange(len(close)) * seconds * 10**9
    rows["open"] = np.concatenate([close[:1], close[:-1]])
    rows["close"] = close
    rows["high"] = np.maximum(rows["open"], close) + 0.5
    rows["low"] = np.minimum(rows["open"], close) - 0.5
    rows["volume"], rows["timeframe"], rows["state"] = volume, seconds, CLOSED
    return rows


def walk(n: int, seed: int = 3) -> np.ndarray:
    return 1000 + np.cumsum(np.random.default_rng(seed).normal(0, 2, n))


UP = np.arange(100.0, 135.0)


@pytest.mark.parametrize(
    ("close", "words"),
    [(UP, "EMA 9 above 21"), (UP[::-1].copy(), "EMA 9 below 21"), (UP * 0 + 5, "EMA 9 at 21")],
)
def test_averages(close: np.ndarray, words: str) -> None:
    rows = bars(close)
    value, said = reading(warmup("M1_EMA"), rows)
    assert said == words
    frame = dataframe("bar", rows)
    for length in (9, 21):
        pd.testing.assert_series_equal(value[f"ema_{length}"], ema(length).over(frame))


def test_trend() -> None:
    rows = bars(UP[:15] + np.tile([0.0, 1.5, 0.0], 5))
    value, words = reading(warmup("M1_StatisticalTrend"), rows)
    assert len(value) == 1
    assert words == f"uptrend, t={value['t'].iloc[0]:.1f}"
    pd.testing.assert_frame_equal(value, trend(15).over(rows))
    assert reading(warmup("M1_StatisticalTrend"), bars(UP[:15][::-1])).words.startswith("downtrend")
    flat = bars(np.full(15, 7.0))
    assert reading(warmup("M1_StatisticalTrend"), flat).words == "no trend, t=0.0"


def test_structure() -> None:
    rise = np.arange(200) * 0.4 + 10 * np.sin(np.arange(200) / 5) + 500
    for close, words in (
        (rise, "bullish structure: HH/HL"),
        (1100 - rise, "bearish structure: LH/LL"),
        (np.linspace(500, 600, 200), "no break of structure yet"),
    ):
        value, said = reading(warmup("M1_MarketStructure"), bars(close))
        assert said == words
        pd.testing.assert_frame_equal(value, structure().over(bars(close)))


def test_nodes() -> None:
    rows = bars(walk(200))
    value, words = reading(warmup("HVN"), rows)
    pd.testing.assert_frame_equal(value, profile().over(rows))
    nodes = int((value["kind"] == "HVN").sum())
    poc = value.loc[value["kind"] == "value area", "peak_now"].iloc[-1]
    assert words == f"POC {price_words(poc)}, {nodes} HVN {'zone' if nodes == 1 else 'zones'}"
    assert reading(warmup("HVN"), bars(walk(200), volume=0.0)).words == "no volume"
    few = reading(warmup("HVN"), rows[:50])
    assert few.words.startswith("50 of 200 bars: POC ")


def test_blocks() -> None:
    rows = bars(walk(200))
    value, words = reading(warmup("OrderBlocks"), rows)
    pd.testing.assert_frame_equal(value, order_blocks().over(rows))
    kinds = value.loc[value["mitigated"].isna(), "kind"].astype(str)
    for kind in ("bullish", "bearish"):
        count = (kinds == kind).sum()
        assert (f"{count} {kind}" in words) == (count > 0)
    assert reading(warmup("OrderBlocks"), bars(np.full(200, 9.0))).words == "no open order block"


@pytest.mark.parametrize("one", WARMUPS, ids=lambda one: one.name)
@pytest.mark.parametrize("count", [1, 2, 14, 15, 34])
def test_few_bars_tell_less_and_say_so(one: Warmup, count: int) -> None:
    words = reading(one, bars(walk(count)), "SPY").words
    assert words.startswith(f"{count} of {one.bars} bars: ") == (count < one.bars)


def test_no_bar_and_no_bars_are_refused() -> None:
    with pytest.raises(ValueError, match="no bars"):
        reading(warmup("HVN"), bars(UP)[:0])
    broken = bars(walk(200))
    broken["high"][5] = np.nan
    with pytest.raises(ValueError, match="row 5"):
        reading(warmup("M1_MarketStructure"), broken)


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (64210.4, "64,210"), (1.5e6, "1,500,000"), (9.87654, "9.8765"), (0.0, "0"),
        (1e-7, "0.00000010"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_prices_in_words(price: float, words: str) -> None:
    assert price_words(price) == words
