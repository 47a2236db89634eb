"""Event bars against plain definitions, and what they do at the edges."""

from __future__ import annotations

import gzip
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from workbench.bars.batchbars import time_bars
from workbench.bars.eventbars import EVENT_FAMILIES, EventBars, event_bars
from workbench.bars.kinds import FAMILIES, bar_kind, kind_of
from workbench.errors import ConfigError, UnknownTimeframeError
from workbench.records import CLOSED, FORMING, TRADE

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_762_180_200 * SECOND


def tape(prices: Any, sizes: Any = 1.0, gap: float = 1.0) -> Rows:
    """Trades `gap` seconds apart."""
    rows = np.zeros(len(prices), TRADE)
    rows["time"] = START + (np.arange(len(prices)) * gap * SECOND).astype(np.int64)
    rows["received"] = rows["time"]
    rows["price"], rows["size"] = prices, sizes
    rows["sequence"] = np.arange(len(prices))
    return rows


def walk(count: int = 5000, seed: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    prices = np.round(100 + np.cumsum(rng.choice([-0.05, -0.01, 0, 0.01, 0.05], count)), 2)
    return tape(prices, np.round(rng.exponential(50, count)) / 8, 0.7)


def equity(folder: Path, count: int) -> Rows:
    """Real trades of a stock; times of day stand for times."""
    with zipfile.ZipFile(folder / "equity/tick/ibm/20131007_trade.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    lines = [line.split(",") for line in text.split()][:count]
    rows = tape([int(line[1]) / 1e4 for line in lines], [float(line[2]) for line in lines])
    rows["time"] = START + np.array([int(float(line[0])) for line in lines]) * 1_000_000
    return rows


def crypto(folder: Path, count: int) -> Rows:
    """Real trades of a coin."""
    found = []
    with gzip.open(folder / "replay_massive_form/crypto_btcusdt_20240808.jsonl.gz", "rt") as lines:
        for line in lines:
            told = json.loads(line)["msg"]
            some = told if isinstance(told, list) else [told]
            found += [(one["t"], one["p"], one["s"]) for one in some if one.get("ev") == "XT"]
            if len(found) >= count:
                break
    rows = tape([price for _, price, _ in found], [size for _, _, size in found])
    rows["time"] = [time * 1_000_000 for time, _, _ in found]
    return rows


def rounds(trades: Rows, kind: str) -> list[int]:
    """How many trades each bar has, by the definition, in plain Python."""
    found = bar_kind(kind)
    family, goal = kind.partition(":")[0], Fraction(found.parameters[0])  # type: ignore[union-attr]
    counts, total, count = [], Fraction(0), 0
    for price, size in trades[["price", "size"]].tolist():
        count += 1
        total += {"trades": 1, "volume": Fraction(size), "dollar": Fraction(price * size)}[family]
        if total >= goal:
            counts.append(count)
            total, count = Fraction(0), 0
    return [*counts, count] if count else counts


@pytest.mark.parametrize("kind", ["trades:7", "trades:1", "volume:300", "dollar:12345.5"])
def test_a_bar_ends_with_the_trade_that_reaches_the_goal(kind: str) -> None:
    trades = walk()
    bars = event_bars(trades, kind)
    assert bars["count"].tolist() == rounds(trades, kind)
    ends = np.cumsum(bars["count"])
    starts = ends - bars["count"]
    assert (bars["time"] == trades["time"][starts]).all()
    assert (bars["open"] == trades["price"][starts]).all()
    assert (bars["close"] == trades["price"][ends - 1]).all()
    parts = [trades["price"][a:b] for a, b in zip(starts, ends, strict=True)]
    assert bars["high"].tolist() == [part.max() for part in parts]
    assert bars["low"].tolist() == [part.min() for part in parts]
    assert {kind_of(int(code)).name for code in bars["timeframe"]} == {bar_kind(kind).name}


def test_range_bars_end_before_the_trade_that_breaks_out() -> None:
    bars = event_bars(tape([1.0, 1.1, 1.2, 1.05, 1.3, 1.1, 9.0, 9.2, 8.99]), "range:0.2")
    found = bars[["open", "high", "low", "close", "count"]].tolist()
    assert found == [
        (1.0, 1.2, 1.0, 1.05, 4),  # 1.2 - 1.0 is 0.2, whatever floats make of it
        (1.3, 1.3, 1.1, 1.1, 2),
        (9.0, 9.2, 9.0, 9.2, 2),  # the gap makes no bars
        (8.99, 8.99, 8.99, 8.99, 1),
    ]
    assert bars["state"].tolist() == [CLOSED, CLOSED, CLOSED, FORMING]


def test_bricks_go_step_by_step_and_turn_after_two() -> None:
    prices = [10.0, 10.5, 11.0, 10.2, 11.9, 12.1, 11.0, 10.0, 8.4, 8.9]
    bars = event_bars(tape(prices), "renko:1")
    found = bars[["open", "high", "low", "close", "count"]].tolist()
    assert found == [
        (10.0, 11.0, 10.0, 11.0, 3),
        (11.0, 12.1, 10.2, 12.0, 3),
        (11.0, 11.0, 10.0, 10.0, 2),
        (10.0, 10.0, 8.4, 9.0, 1),
        (9.0, 9.0, 8.9, 8.9, 1),
    ]
    assert bars["state"].tolist() == [CLOSED] * 4 + [FORMING]


def test_a_jump_makes_bricks_and_its_trade_is_in_the_last() -> None:
    bars = event_bars(tape([10.0, 10.4, 14.3, 14.3]), "renko:1")
    assert bars["close"].tolist() == [11.0, 12.0, 13.0, 14.0, 14.3]
    assert bars["count"].tolist() == [2, 0, 0, 1, 1]
    assert bars["high"].tolist() == [11.0, 12.0, 13.0, 14.3, 14.3]
    assert (np.diff(bars["time"]) > 0).all()


@pytest.mark.parametrize("tick", [0.1, 0.01, 1e-8])
def test_prices_that_are_meant_to_be_on_a_level_are(tick: float) -> None:
    """k * 0.1 is not the float that "0.3" is read as: no brick may come late by that."""
    levels = list(range(1000, 1400)) + list(range(1400, 900, -1))
    digits = round(-np.log10(tick))
    prices = [float(f"{k}e-{digits}") for k in levels]
    bars = event_bars(tape(prices), f"renko:{tick!r}")
    assert bars["state"].tolist() == [CLOSED] * len(bars)
    assert (bars["count"][1:] == np.where(np.arange(1, len(bars)) == 400, 2, 1)).all()


def test_a_huge_jump_is_bounded() -> None:
    bars = event_bars(tape([1.0, 1.5, 1e6, 1.0, 1.0]), "renko:1e-3")
    assert len(bars) <= 2 * 1002 + 1 + 500
    assert bars["count"].sum() == 5
    assert bars["close"][-2] == pytest.approx(1.001, abs=0.0021)


@pytest.mark.parametrize("size", ["1e-12", "1e12", "0.5"])
def test_odd_sizes_of_bricks_end(size: str) -> None:
    for kind in (f"renko:{size}", f"range:{size}", f"renko:{size}@1m"):
        bars = event_bars(tape([1e5, 1e-8, 1e11, 3.0, 1e-8], 1e-3, 90), kind)
        assert bars["count"].sum() == 5
        assert len(bars) < 5000


@pytest.mark.parametrize("family", sorted(EVENT_FAMILIES))
def test_what_is_no_number_ends_too(family: str) -> None:
    for price in (np.nan, np.inf, 0.0):
        trades = tape([100.0, price, 101.0, price, 150.0], 1.0, 90)
        assert len(event_bars(trades, FAMILIES[family].example)) < 2500


def test_bricks_of_closes_equal_those_of_a_tape_of_closes() -> None:
    trades = walk(20_000)
    closes = time_bars(trades, "1m")["close"][:-1]
    found = event_bars(trades, "renko:0.1@1m")
    plain = event_bars(tape(closes), "renko:0.1")
    plain, found = plain[plain["state"] == CLOSED], found[found["state"] == CLOSED]
    assert len(found) > 50
    assert found[["open", "close"]].tolist() == plain[["open", "close"]].tolist()


def test_bricks_have_the_average_true_range_of_closed_bars() -> None:
    trades = walk(20_000)
    bars = event_bars(trades, "renko:atr14@1m")
    base = time_bars(trades, "1m")
    average = talib.ATR(base["high"], base["low"], base["close"], 14)
    done = bars[bars["state"] == CLOSED]
    assert len(done) > 20
    ends = np.cumsum(done["count"])
    for k in range(1, len(done)):
        completed = trades["time"][ends[k - 1] - 1]  # by this trade the brick before was
        known = average[: np.searchsorted(base["time"] + 60 * SECOND, completed, "right")]
        body = abs(done["close"][k] - done["open"][k])
        assert body == pytest.approx(known[-1], rel=1e-9)
    turns = np.sign(np.diff(done["close"]))[1:] != np.sign(np.diff(done["close"]))[:-1]
    assert turns.any()


@pytest.mark.parametrize(
    "family", sorted(f for f in EVENT_FAMILIES if "-" in f[3:] and "atr" not in f)
)
def test_expectations_neither_explode_nor_collapse(family: str) -> None:
    trades = walk(60_000)
    for some in (trades, tape(np.full(5000, 7.0)), tape(np.arange(1.0, 20_001.0))):
        counts = event_bars(some, family)["count"][:-1]
        assert counts[0] == 100
        assert counts.max() <= 1000
        assert 20 < counts.mean() <= 1000
    counts = event_bars(trades, family)["count"]
    assert 40 < np.median(counts) < 300


def test_a_block_does_not_stop_imbalance_bars_for_good() -> None:
    trades = walk(60_000)
    trades["size"][5000] = 1e9
    counts = event_bars(trades, "imbalance-volume")["count"]
    assert np.median(counts[-100:]) < 400


def imbalanced(trades: Rows) -> list[int]:
    """Lengths of bars by imbalance of trades 10x3x5, in plain Python."""
    length, weight, bound = 10, 1 - 2 ** (-1 / 3), 5
    counts: list[int] = []
    last, sign, theta, count = None, 0, 0, 0
    mean_length = mean_each = mean_square = threshold = 0.0
    for price in trades["price"].tolist():
        sign = sign if last is None or price == last else (1 if price > last else -1)
        last, theta, count = price, theta + sign, count + 1
        full = count >= length if not counts else (theta != 0 and abs(theta) >= threshold)
        if not (full or count >= length * bound):
            continue
        if counts:
            signed = max(-2 * threshold, min(2 * threshold, theta))
            mean_length += weight * (count - mean_length)
            mean_each += weight * (signed / count - mean_each)
            mean_square += weight * (signed**2 - mean_square)
        else:
            mean_length, mean_each, mean_square = count, theta / count, count
        expected = max((mean_length * length) ** 0.5, length / bound)
        threshold = max(expected * abs(mean_each), (expected * mean_square / mean_length) ** 0.5)
        counts.append(count)
        theta = count = 0
    return [*counts, count] if count else counts


def test_imbalance_bars_are_as_defined() -> None:
    trades = walk(3000)
    assert event_bars(trades, "imbalance-trades:10x3x5")["count"].tolist() == imbalanced(trades)


def test_run_bars_end_when_one_side_is_more_than_expected() -> None:
    up = tape(np.arange(1.0, 500.0))
    counts = event_bars(up, "run-trades:10x3x5")["count"]
    # At first one of ten has no sign. From then on all are bought, as expected: the length.
    assert counts[:3].tolist() == [10, 10, 10]


def test_real_trades_give_the_same_bits_live_and_in_batch(shared_data: Path) -> None:
    for trades in (equity(shared_data, 4000), crypto(shared_data, 4000)):
        assert len(trades) > 1000
        price = float(trades["price"][0])
        for kind in (
            "trades:50", f"volume:{float(trades['size'].sum() / 40)!r}", "dollar:1e6",
            f"range:{round(price / 5000, 2)}", f"renko:{round(price / 5000, 2)}",
            "renko:atr3@10s", "imbalance-dollar:50", "run-volume:50",
        ):  # fmt: skip
            batch = event_bars(trades, kind)
            live = EventBars(kind, lateness=0.5)
            parts = [live.add(trades[at : at + 97]) for at in range(0, len(trades), 97)]
            assert np.concatenate([*parts, live.finish()]).tobytes() == batch.tobytes()
            assert live.overdue == 0
            assert batch["count"].sum() == len(trades)
            assert len(batch) > 2


def test_trades_wait_for_the_clock_and_late_ones_are_counted() -> None:
    trades = tape([1.0, 2.0, 3.0, 4.0])
    live = EventBars("trades:1", lateness=2.0)
    assert not len(live.add(trades[:1]))
    assert live.due() == START + 2 * SECOND + 1
    assert not len(live.advance(START + 2 * SECOND))
    assert len(live.advance(live.due())) == 1
    assert live.due() > START + 10**17
    assert len(live.add(trades[3:])) == 0
    live.add(trades[:1])
    assert live.overdue == 1
    live.add(trades[1:3])
    assert live.overdue == 1
    assert live.forming()["open"].tolist() == [2.0, 3.0, 4.0]
    assert live.finish()["open"].tolist() == [2.0, 3.0, 4.0]
    assert "trades:1" in repr(live)


def test_the_clock_ends_a_base_bar() -> None:
    live = EventBars("renko:1@1m", lateness=1.0)
    live.add(tape([10.0, 13.0]))
    done = live.advance(START + 5 * SECOND)
    assert not len(done)
    assert live.forming()["count"].tolist() == [2]
    end = START + 60 * SECOND - START % (60 * SECOND)
    assert live.due() == end + SECOND
    live.advance(live.due())
    assert not live._closes_base()
    later = tape([15.0])
    later["time"] += 120 * SECOND
    live.add(later)
    assert live.advance(START + 10**12)["close"].tolist() == [14.0, 15.0]


def test_a_clock_that_is_off_does_not_shut_out_the_rest() -> None:
    trades = tape([1.0, 2.0, 3.0])
    trades["time"][1] += 3600 * SECOND
    live = EventBars("trades:1")
    done = live.add(trades)
    assert live.overdue == 0
    assert np.concatenate([done, live.finish()])["open"].tolist() == [1.0, 3.0, 2.0]


def test_symbols_and_frames() -> None:
    trades = tape([1.0, 2.0, 3.0, 4.0])
    trades["symbol"] = [1, 0, 1, 0]
    bars = event_bars(trades, "trades:2")
    assert bars[["symbol", "open", "close"]].tolist() == [(0, 2.0, 4.0), (1, 1.0, 3.0)]
    frame = pd.DataFrame(
        {"price": [2.0, 1.0], "size": 1.0}, pd.to_datetime([5, 3], unit="s", utc=True)
    )
    assert event_bars(frame, "trades:2")["open"].tolist() == [1.0]
    assert not len(event_bars(trades[:0], "trades:2"))
    assert not len(EventBars("trades:2").add(trades[:0]))
    assert not len(EventBars("trades:2").finish())
    with pytest.raises(TypeError, match="indexed by time"):
        event_bars(frame.reset_index(drop=True), "trades:2")


def test_only_event_bars_are_built_here() -> None:
    for name in ("1m", "session:day", "heikin-ashi@1m"):
        with pytest.raises(UnknownTimeframeError, match="event bars, such as trades:100"):
            EventBars(name)
    for family in EVENT_FAMILIES:
        assert EventBars(FAMILIES[family].example).kind.family == family


def test_a_checkpoint_of_something_else_is_refused() -> None:
    live = EventBars("trades:2")
    live.add(tape([1.0, 2.0, 3.0]))
    kept = live.state()
    for other in (
        EventBars("trades:3"),
        EventBars("trades:2", symbol=1),
        EventBars("trades:2", lateness=1),
    ):
        with pytest.raises(ConfigError, match="the checkpoint has the"):
            other.restore(kept)
    for wrong in (b"", kept[:-1]):
        with pytest.raises(ConfigError, match="no checkpoint"):
            live.restore(wrong)
    again = EventBars("trades:2")
    again.restore(kept)
    assert again.state() == kept
