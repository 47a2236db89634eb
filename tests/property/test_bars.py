"""Bars against a plain computation with fractions, however the trades arrive."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import BarBuilder
from workbench.records import BAR, CLOSED, FORMING, REVISED, TRADE
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
NAMES = ("1s", "5s", "1m", "1w")
SECOND = 10**9
#: A Sunday evening, so that weeks, days and minutes all end within the samples.
START = 1_723_420_790 * SECOND
QUANTUM = Fraction(1, 2**74)

steps = st.sampled_from([0, 0, 1, 250, 999, 1000, 2600, 61_000, 700_000])
prices = st.one_of(
    st.sampled_from([1.0, 1.1, 2.0, 64_000.5]),
    st.floats(1e-8, 1e6, allow_subnormal=False),
)
sizes = st.one_of(st.sampled_from([1.0, 100.0, 0.1, 1e12]), st.floats(1e-5, 1e8))


@st.composite
def markets(draw: st.DrawFn, symbols: int = 2, most: int = 40) -> Rows:
    """Trades of a few symbols in order of time; times, sequences and prices collide often."""
    count = draw(st.integers(1, most))
    rows = np.zeros(count, TRADE)
    time = START
    for row in rows:
        time += draw(steps) * 1_000_000
        row["time"], row["received"] = time, time
        row["symbol"] = draw(st.integers(0, symbols - 1))
        price = draw(prices)
        row["price"], row["size"] = price, min(draw(sizes), 1e13 / price)
        row["sequence"] = draw(st.integers(0, 3))
    return rows


def held(value: float) -> Fraction:
    """What the exact sums keep of a float."""
    return round(Fraction(value) / QUANTUM) * QUANTUM


def reference(trades: Rows, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Bars by the definition, in plain Python."""
    groups: dict[tuple[int, int, int], list[Any]] = defaultdict(list)
    for trade in trades:
        for name in names:
            tf = timeframe(name)
            key = (int(trade["symbol"]), tf.seconds, tf.start(int(trade["time"])))
            groups[key].append(trade)
    bars = []
    for (symbol, seconds, start), some in groups.items():
        order = sorted(some, key=lambda t: (t["time"], t["sequence"], t["price"]))
        volume = sum((held(float(t["size"])) for t in some), Fraction(0))
        notional = sum((held(float(t["price"] * t["size"])) for t in some), Fraction(0))
        bars.append(
            (
                symbol,
                seconds,
                start,
                float(order[0]["price"]),
                max(float(t["price"]) for t in some),
                min(float(t["price"]) for t in some),
                float(order[-1]["price"]),
                float(volume),
                float(notional),
                float(notional) / float(volume),
                len(some),
            )
        )
    return sorted(bars)


def told(bars: Rows) -> list[tuple[Any, ...]]:
    """The same columns of bars as built, sorted."""
    names = ["symbol", "timeframe", "time", "open", "high", "low", "close"]
    return sorted(bars[[*names, "volume", "notional", "vwap", "count"]].tolist())


def newest(bars: Rows) -> Rows:
    """The last revision of each bar."""
    rows = {(int(b["symbol"]), int(b["timeframe"]), int(b["time"])): b for b in bars}
    return np.array(list(rows.values()), BAR) if rows else np.zeros(0, BAR)


def run(
    builder: BarBuilder,
    trades: Rows,
    cuts: Sequence[int] = (),
    clocks: Sequence[int | None] = (),
) -> Rows:
    """Feed trades in calls that end at the cuts, with the clock so many ms ahead, and finish."""
    ends = sorted({min(cut, len(trades)) for cut in cuts} | {len(trades)})
    parts, start = [], 0
    for place, end in enumerate(ends):
        parts.append(builder.add(trades[start:end]))
        start = end
        ahead = clocks[place] if place < len(clocks) else None
        if ahead is not None and end:
            newest_time = int(trades["time"][:end].max())
            parts.append(builder.advance(newest_time + ahead * 1_000_000))
    return np.concatenate([*parts, builder.finish()])


def shuffled(trades: Rows, jitter: Sequence[float], lateness: float) -> Rows:
    """Let each trade arrive up to `lateness` after its time."""
    arrival = [
        (int(t["time"]) + int(lateness * SECOND * jitter[i % len(jitter)]), i)
        for i, t in enumerate(trades)
    ]
    return trades[[i for _, i in sorted(arrival)]]


cuts = st.lists(st.integers(0, 40), max_size=6)
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(markets(), cuts)
def test_bars_equal_the_plain_computation(trades: Rows, cuts: list[int]) -> None:
    bars = run(BarBuilder(NAMES), trades, cuts)
    assert told(newest(bars)) == reference(trades, NAMES)


@settings(max_examples=80, deadline=None)
@given(markets(), cuts, fractions, st.sampled_from([0.5, 3.0, 30.0, 90.0]))
def test_any_order_within_lateness_gives_the_same_closed_bars(
    trades: Rows, cuts: list[int], jitter: list[float], lateness: float
) -> None:
    arrived = shuffled(trades, jitter, lateness)
    bars = run(BarBuilder(NAMES, lateness=lateness), arrived, cuts)
    assert not bars["revision"].any(), "a bar was closed before its lateness was over"
    assert set(bars["state"].tolist()) == {CLOSED}
    clean = run(BarBuilder(NAMES, lateness=lateness), trades)
    keys = ["symbol", "timeframe", "time"]
    assert np.sort(bars, order=keys).tobytes() == np.sort(clean, order=keys).tobytes()
    assert told(bars) == reference(trades, NAMES)


@settings(max_examples=80, deadline=None)
@given(markets(most=30), cuts, st.randoms(use_true_random=False), st.sampled_from([0.0, 2.0]))
def test_later_trades_revise_until_the_bars_are_right(
    trades: Rows, cuts: list[int], random: Any, lateness: float
) -> None:
    order = list(range(len(trades)))
    random.shuffle(order)
    builder = BarBuilder(("1m", "1w"), lateness=lateness)
    bars = run(builder, trades[order], cuts)
    last: dict[tuple[int, int, int], int] = {}
    for bar in bars:
        key = (int(bar["symbol"]), int(bar["timeframe"]), int(bar["time"]))
        assert bar["revision"] == last.get(key, -1) + 1, "revisions count up by one"
        assert bar["state"] == (REVISED if key in last else CLOSED)
        last[key] = int(bar["revision"])
    # What was out of reach is told, trade by trade, and nothing else is missing.
    late: dict[str, list[Any]] = {"1m": [], "1w": []}
    for overdue in builder.overdue:
        late[overdue.timeframe.name].append(overdue.trade[0].tobytes())
    expected: list[tuple[Any, ...]] = []
    for name, gone in late.items():
        rest = []
        for trade in trades:
            if trade.tobytes() in gone:
                gone.remove(trade.tobytes())
            else:
                rest.append(trade)
        assert not gone
        expected += reference(np.array(rest, TRADE), [name])
    assert told(newest(bars)) == sorted(expected)


@settings(max_examples=80, deadline=None)
@given(
    markets(),
    cuts,
    st.lists(st.sampled_from([None, -500, 0, 300, 1200, 7000, 70_000, 900_000]), max_size=7),
    fractions,
    st.sampled_from([0.0, 2.0, 30.0]),
)
def test_the_clock_never_changes_final_bars(
    trades: Rows,
    cuts: list[int],
    clocks: list[int | None],
    jitter: list[float],
    lateness: float,
) -> None:
    arrived = shuffled(trades, jitter, lateness)
    builder = BarBuilder(NAMES, lateness=lateness)
    bars = run(builder, arrived, cuts, clocks)
    reported = [o.trade[0] for o in builder.overdue if o.timeframe.name == "1s"]
    if not builder.overdue:
        assert told(newest(bars)) == reference(trades, NAMES)
    else:  # the clock ran ahead of the market by more than the bars at hand reach
        seconds = newest(bars)
        seconds = seconds[seconds["timeframe"] == 1]
        assert int(seconds["count"].sum()) + len(reported) == len(trades)


@settings(max_examples=60, deadline=None)
@given(markets(), cuts, fractions, st.sampled_from([0.0, 2.0]))
def test_nothing_is_lost_or_invented_at_any_moment(
    trades: Rows, cuts: list[int], jitter: list[float], lateness: float
) -> None:
    """Per timeframe, bars and what still forms hold exactly what came in."""
    arrived = shuffled(trades, jitter, lateness)
    bars = run(BarBuilder(NAMES, lateness=lateness), arrived, cuts)
    total = sum((held(float(t["size"])) for t in trades), Fraction(0))
    for name in NAMES:
        some = newest(bars[bars["timeframe"] == timeframe(name).seconds])
        exact = sum(
            (Fraction(float(b["volume"])) + Fraction(float(b["volume_rest"])) for b in some),
            Fraction(0),
        )
        assert abs(exact - total) <= total / 2**100, "a float holds 53 bits of the rest"
        assert int(some["count"].sum()) == len(trades)


@settings(max_examples=60, deadline=None)
@given(markets(symbols=1), st.integers(0, 40), fractions, st.sampled_from([0.0, 2.0, 30.0]))
def test_forming_bars_complete_the_closed_ones(
    trades: Rows, at: int, jitter: list[float], lateness: float
) -> None:
    """At any moment: bars that ended and wait for late trades are not out of sight."""
    arrived = shuffled(trades, jitter, lateness)
    builder = BarBuilder(NAMES, lateness=lateness)
    bars = builder.add(arrived[:at])
    for name in NAMES:
        forming = builder.forming(0, name)
        assert set(forming["state"].tolist()) <= {FORMING}
        closed = bars[bars["timeframe"] == timeframe(name).seconds]
        both = np.concatenate([closed, forming])
        assert told(both) == reference(arrived[:at], [name])
        assert (np.diff(forming["time"]) > 0).all()
        shown = forming.tolist()
        assert builder.forming(0, name).tolist() == shown, "looking changes nothing"


@settings(max_examples=80, deadline=None)
@given(markets(), st.integers(0, 40), cuts, fractions, st.sampled_from([0.0, 2.0, 30.0]))
def test_an_adopted_timeframe_is_as_if_it_had_been_there(
    trades: Rows, at: int, cuts: list[int], jitter: list[float], lateness: float
) -> None:
    arrived = shuffled(trades, jitter, lateness)
    before, after = arrived[:at], arrived[at:]
    builder = BarBuilder(("5s",), lateness=lateness)
    early = builder.add(before)
    symbols = np.unique(trades["symbol"])
    adopted = [builder.adopt(int(s), "1m", before[before["symbol"] == s]) for s in symbols]
    bars = np.concatenate([early, *adopted, run(builder, after, cuts)])
    clean = run(BarBuilder(("5s", "1m"), lateness=lateness), arrived)
    keys = ["symbol", "timeframe", "time", "revision"]
    assert np.sort(bars, order=keys).tobytes() == np.sort(clean, order=keys).tobytes()


@settings(max_examples=60, deadline=None)
@given(markets(symbols=1), st.integers(0, 40), fractions, st.sampled_from([0.0, 30.0]))
def test_a_timeframe_added_between_counts_every_trade_from_then_on(
    trades: Rows, at: int, jitter: list[float], lateness: float
) -> None:
    arrived = shuffled(trades, jitter, lateness)
    builder = BarBuilder(("5s",), lateness=lateness)
    builder.add(arrived[:at])
    builder.add_timeframe("1m")
    bars = run(builder, arrived[at:])
    some = newest(bars[bars["timeframe"] == 60])
    told_late = [o for o in builder.overdue if o.timeframe.name == "1m"]
    assert int(some["count"].sum()) + len(told_late) == len(arrived[at:])
    assert (some["low"] <= np.minimum(some["open"], some["close"])).all()
    assert (some["high"] >= np.maximum(some["open"], some["close"])).all()


@settings(max_examples=60, deadline=None)
@given(markets(), st.randoms(use_true_random=False))
def test_batch_bars_do_not_depend_on_the_order(trades: Rows, random: Any) -> None:
    order = list(range(len(trades)))
    random.shuffle(order)
    bars = time_bars(trades[order], "1s")
    assert told(bars) == reference(trades, ["1s"])
    assert bars[["symbol", "time"]].tolist() == sorted(bars[["symbol", "time"]].tolist())


def test_the_reference_can_fail() -> None:
    trades = np.zeros(2, TRADE)
    trades["time"], trades["price"], trades["size"] = START, [1.0, 2.0], 1.0
    assert reference(trades, ["1s"])[0][3:7] == (1.0, 2.0, 1.0, 2.0)
    assert math.isclose(reference(trades, ["1s"])[0][9], 1.5)
