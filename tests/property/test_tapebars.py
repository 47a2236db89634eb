"""Bars by the rules of the tape: against plain Python, live and in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.property.sums import kept_whole
from workbench.bars.batchbars import time_bars
from workbench.bars.conditions import NO_HIGHLOW, NO_LAST, NO_VOLUME, RESTRICTED, marked, rules_for
from workbench.bars.tapebars import TapeBuilder, tape_bars
from workbench.bars.timebars import BarBuilder
from workbench.digest import newest
from workbench.records import CLOSED, REVISED, TRADE
from workbench.sim.readers import read_trades
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_790 * SECOND
QUANTUM = Fraction(1, 2**74)
#: All, high and low with volume, volume, prices without volume, high and low alone, nothing.
MARKS = [0, NO_LAST, NO_LAST | NO_HIGHLOW, NO_VOLUME, NO_LAST | NO_VOLUME, RESTRICTED]
NO_HL_OR_LAST = NO_LAST | NO_HIGHLOW


@st.composite
def markets(draw: st.DrawFn, most: int = 40) -> Rows:
    n = draw(st.integers(1, most))
    rows = np.zeros(n, TRADE)
    gaps = draw(st.lists(st.sampled_from([0, 1, 400, 1000, 20_000]), min_size=n, max_size=n))
    rows["time"] = rows["received"] = START + np.cumsum(gaps) * 10**6
    rows["price"] = draw(
        st.lists(st.one_of(st.just(1.1), st.floats(0.01, 1e5)), min_size=n, max_size=n)
    )
    rows["size"] = draw(
        st.lists(st.one_of(st.just(0.1), st.floats(1e-4, 1e5)), min_size=n, max_size=n)
    )
    rows["sequence"] = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    rows["symbol"] = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    rows["flags"] = draw(st.lists(st.sampled_from(MARKS), min_size=n, max_size=n))
    assume(kept_whole(rows))
    return rows


def held(value: float) -> Fraction:
    return round(Fraction(value) / QUANTUM) * QUANTUM


def reference(trades: Rows, name: str) -> tuple[list[tuple[Any, ...]], int, Fraction]:
    """Bars by the rules; trades and volume that are in none for want of a price."""
    groups: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for trade in trades:
        if trade["flags"] & RESTRICTED != RESTRICTED:
            key = (int(trade["symbol"]), timeframe(name).start(int(trade["time"])))
            groups[key].append(trade)
    bars, lost, lost_volume = [], 0, Fraction(0)
    for (symbol, start), some in sorted(groups.items()):
        priced = [t for t in some if not t["flags"] & NO_LAST]
        priced.sort(key=lambda t: (t["time"], t["sequence"], t["price"]))
        ranged = [float(t["price"]) for t in some if not t["flags"] & NO_HIGHLOW]
        counted = [t for t in some if not t["flags"] & NO_VOLUME]
        volume = sum((held(float(t["size"])) for t in counted), Fraction(0))
        notional = sum((held(float(t["price"] * t["size"])) for t in counted), Fraction(0))
        if not priced:
            lost += len(some)
            lost_volume += volume
            continue
        close = float(priced[-1]["price"])
        bars.append(
            (
                *(symbol, start, float(priced[0]["price"]), max(ranged), min(ranged), close),
                *(float(volume), float(notional)),
                float(notional) / float(volume) if volume else close,
                len(some),
            )
        )
    return bars, lost, lost_volume


def told(bars: Rows) -> list[tuple[Any, ...]]:
    names = ["symbol", "time", "open", "high", "low", "close", "volume", "notional", "vwap"]
    rows: list[tuple[Any, ...]] = bars[[*names, "count"]].tolist()
    return rows


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from(["1s", "1m"]), st.randoms(use_true_random=False))
def test_in_one_go_they_are_what_the_rules_say(trades: Rows, name: str, random: Any) -> None:
    expected, lost, volume = reference(trades, name)
    for _ in range(2):
        bars, unpriced = tape_bars(trades, name)
        assert told(bars) == expected
        assert unpriced == (lost, float(volume))
        order = list(range(len(trades)))
        random.shuffle(order)
        trades = trades[order]


@settings(max_examples=60, deadline=None)
@given(markets(), st.lists(st.integers(0, 40), max_size=6), st.sampled_from([0.0, 2.0, 90.0]))
def test_live_equals_batch(trades: Rows, cuts: list[int], lateness: float) -> None:
    """Also with trades that come late, within the reach of the bars at hand."""
    names = ("1s", "1m")
    order = np.argsort(trades["time"] + (trades["sequence"] * lateness * SECOND).astype(np.int64))
    builder = TapeBuilder(names, lateness=lateness)
    parts = []
    for some in np.split(trades[order], sorted(min(cut, len(trades)) for cut in cuts)):
        parts.append(builder.add(some))
        for symbol in (0, 1):
            builder.forming(symbol, "1s")
    parts.append(builder.finish())
    emitted = np.concatenate(parts)
    assert builder.left_out == (trades["flags"] == RESTRICTED).sum()
    assert set(emitted["state"].tolist()) <= {CLOSED, REVISED}
    if builder.overdue:
        return
    bars = newest(emitted)
    for name in names:
        some = bars[bars["timeframe"] == timeframe(name).seconds].copy()
        some["revision"], some["state"] = 0, CLOSED
        expected, unpriced = tape_bars(trades, name)
        expected["revision"], expected["state"] = 0, CLOSED
        assert some.tobytes() == expected.tobytes()
        assert builder.unpriced(name) == unpriced


@settings(max_examples=30, deadline=None)
@given(markets(), st.integers(0, 40))
def test_a_timeframe_adopted_later_has_the_same_bars(trades: Rows, n: int) -> None:
    trades["symbol"] = 0
    builder, whole = TapeBuilder(["1m"]), TapeBuilder(["1m", "5m"])
    parts = [builder.add(trades[:n]), builder.adopt(0, "5m", trades[:n])]
    parts += [builder.add(trades[n:]), builder.finish()]
    expected = newest(
        np.concatenate([whole.add(trades[:n]), whole.add(trades[n:]), whole.finish()])
    )
    got = newest(np.concatenate(parts))
    if builder.overdue or whole.overdue:
        return
    for some in (got, expected):
        some["revision"], some["state"] = 0, CLOSED
    assert got.tobytes() == expected.tobytes()
    assert builder.unpriced("5m") == whole.unpriced("5m")


@settings(max_examples=30, deadline=None)
@given(markets())
def test_unmarked_trades_give_the_bars_of_the_plain_builder(trades: Rows) -> None:
    trades["flags"] &= 1
    builder, plain = TapeBuilder(["1s", "1m"]), BarBuilder(["1s", "1m"])
    assert builder.add(trades).tobytes() == plain.add(trades).tobytes()
    assert builder.finish().tobytes() == plain.finish().tobytes()
    assert tape_bars(trades, "1m")[0].tobytes() == time_bars(trades, "1m").tobytes()
    assert builder.unpriced("1m") == (0, 0.0)


def marked_trade(seconds: float, price: float, flags: int = 0) -> Rows:
    row = np.zeros(1, TRADE)
    row["time"] = row["received"] = START + 10 * SECOND + round(seconds * SECOND)
    row["price"], row["size"], row["flags"] = price, 2.0, flags
    return row


def test_a_closed_bar_is_revised_by_late_volume() -> None:
    builder = TapeBuilder(["1m"])
    builder.add(marked_trade(1, 5.0))
    closed = builder.add(marked_trade(61, 5.0))
    assert closed[["volume", "count", "revision"]].tolist() == [(2.0, 1, 0)]
    late = builder.add(marked_trade(30, 9.0, NO_HL_OR_LAST))
    assert late[["high", "volume", "count", "revision", "state"]].tolist() == [
        (5.0, 4.0, 2, 1, REVISED)
    ]
    higher = builder.add(marked_trade(31, 9.0, NO_LAST))
    assert higher[["high", "close", "volume", "revision"]].tolist() == [(9.0, 5.0, 6.0, 2)]


def test_trades_that_go_back_by_two_bars_are_sorted() -> None:
    """The last trade is two intervals before the first: no room for bars in order at all."""
    back = np.concatenate([marked_trade(130, 5.0), marked_trade(62, 6.0)])
    for seconds in (60, 67, 68):
        rows = np.concatenate([marked_trade(seconds + 68, 5.0), marked_trade(seconds, 6.0)])
        assert time_bars(rows, "1m")["close"].tolist() == [6.0, 5.0]
    assert tape_bars(back, "1m")[0]["count"].tolist() == [1, 1]


def test_what_waited_in_vain_is_told_and_what_is_too_late_too() -> None:
    builder = TapeBuilder(["1s"])
    for second in range(40):
        assert len(builder.add(marked_trade(second, 5.0, NO_HL_OR_LAST))) == 0
    assert builder.unpriced("1s") == (40, 80.0)
    assert len(builder.forming(0, "1s")) == 0
    builder.add(marked_trade(39.5, 7.0))
    assert builder.unpriced("1s") == (39, 78.0)
    assert builder.forming(0, "1s")[["open", "volume", "count"]].tolist() == [(7.0, 4.0, 2)]
    builder.add(marked_trade(3, 5.0, NO_HL_OR_LAST))
    assert [o.timeframe.name for o in builder.overdue] == ["1s"]
    builder.remove_timeframe("1s")
    assert builder.unpriced("1s")[0] == 34  # those that still waited went with it


def test_a_real_day_keeps_its_volume(shared_data: Path) -> None:
    found = sorted((shared_data / "equity" / "tick" / "spy").glob("*trade.zip"))
    if not found:
        pytest.fail("no trades of SPY in the data")
    rows = marked(read_trades(found[0])[0].trades, rules_for("SPY"))
    bars, (lost, volume) = tape_bars(rows, "1m")
    nothing = (rows["flags"] & NO_VOLUME) != 0
    assert bars["volume"].sum() + volume == rows["size"][~nothing].sum()
    assert bars["count"].sum() + lost == (rows["flags"] & RESTRICTED != RESTRICTED).sum()
    builder = TapeBuilder(["1m"])
    parts = [builder.add(some) for some in np.array_split(rows, 200)]
    got = newest(np.concatenate([*parts, builder.finish()]))
    for some in (got, bars):
        some["revision"], some["state"] = 0, CLOSED
    assert got.tobytes() == bars.tobytes()
    plain = time_bars(rows, "1m")
    assert plain["volume"].tolist() == bars["volume"].tolist()
    assert (rows["flags"] & NO_LAST).any()


_DIGEST = """
import numpy as np
from workbench.bars.conditions import NO_LAST
from workbench.digest import digest
from workbench.records import TRADE
from workbench.bars.tapebars import TapeBuilder
rng = np.random.default_rng(8)
rows = np.zeros(800, TRADE)
rows["time"] = rows["received"] = np.sort(rng.integers(0, 200 * 10**9, 800)) + 10**18
rows["price"], rows["size"] = rng.uniform(9, 11, 800), rng.exponential(3, 800)
rows["flags"] = rng.choice([0, 2, 6, 8, 10, 14], 800)
builder = TapeBuilder(["5s", "1m"])
parts = [builder.add(some) for some in np.array_split(rows, 50)]
print(digest({"": np.concatenate([*parts, builder.finish()])}), builder.unpriced("5s"))
"""


def test_uncompiled_kernels_give_the_same_bits() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for off in ("0", "1")
    ]
    assert told[0] == told[1] != ""
