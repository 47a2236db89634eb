"""A series and its window: what readers hold is what a clean run would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analytics import Indicator, ema, rsi, sma, vwap
from workbench.flow.series import Series
from workbench.flow.window import Change, Window
from workbench.records import BAR, CLOSED, FORMING, REVISED
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
MINUTE = 60 * 10**9
START = 1_723_420_800 * 10**9
INDICATORS = (ema(7), sma(70), rsi(3), vwap())
TF = timeframe("1m")


def bars_at(minutes: list[int], seed: int = 0, state: int = CLOSED, revision: int = 0) -> Rows:
    rng = np.random.default_rng([seed, revision, len(minutes)])
    bars = np.zeros(len(minutes), BAR)
    bars["time"] = START + np.array(minutes, np.int64) * MINUTE
    bars["close"] = np.round(100 + rng.standard_normal(len(minutes)), 2)
    bars["open"] = bars["high"] = bars["low"] = bars["vwap"] = bars["close"]
    bars["volume"] = 1.0 + rng.integers(0, 5, len(minutes))
    bars["notional"] = bars["close"] * bars["volume"]
    bars["timeframe"], bars["state"], bars["revision"] = 60, state, revision
    return bars


def clean(bars: Rows, indicators: tuple[Indicator, ...] = INDICATORS) -> npt.NDArray[np.float64]:
    return np.hstack([i.start("BTC-USD").add(bars) for i in indicators])


class Reader:
    """Hold rows as a chart does: apply each change from its first row on."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.epoch = self.version = self.first = 0
        self.rows: list[bytes] = []

    def pull(self) -> Change | None:
        change = self.window.since(self.epoch, self.version)
        if change is None:
            return None
        new = [
            bar.tobytes() + value.tobytes()
            for bar, value in zip(change.bars, change.values, strict=True)
        ]
        if change.reset or not self.rows or change.first > self.first + len(self.rows):
            self.first, self.rows = change.first, new
        else:
            assert change.first >= self.first, "an ordinal before what was sent"
            self.rows[change.first - self.first :] = new
        self.epoch, self.version = change.epoch, change.version
        return change

    def holds(self) -> list[bytes]:
        self.pull()
        return self.rows[-(self.window.capacity + int(self.window.forming)) :]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Closings in order, now and then a revision, a bar in between, a look."""
    ops: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["close", "close", "many", "form", "revise", "insert", "pull"]))
        ops.append((kind, draw(st.integers(0, 10_000))))
    return ops


@settings(max_examples=100, deadline=None)
@given(histories(), st.sampled_from([10, 130, 2000]), st.booleans())
def test_any_history_ends_as_a_clean_run_over_its_bars(
    ops: list[tuple[str, Any]], capacity: int, watched: bool
) -> None:
    series = Series("BTC-USD", TF, INDICATORS if watched else (), capacity)
    window, reader = series.window, Reader(series.window)
    truth: dict[int, Rows] = {}
    minute = 0
    for step, (kind, number) in enumerate(ops):
        if kind in ("close", "many"):
            count = 1 + number % (3 if kind == "close" else 150)
            gaps = [1 + (number >> k) % 2 for k in range(count)]
            minutes = (minute + np.cumsum(gaps)).tolist()
            minute = minutes[-1]
            new = bars_at(minutes, step)
            truth.update(zip(minutes, np.split(new, count), strict=True))
            series.add(new)
        elif kind == "form":
            count = 1 + number % 3
            series.form(bars_at([minute + 1 + k for k in range(count)], step, FORMING))
            assert window.forming
            assert window.latest()["time"] == START + (minute + count) * MINUTE
        elif kind == "pull":
            reader.pull()
        elif truth:
            known = sorted(truth)
            near = known[-1 - number % min(len(known), 60)]
            if kind == "insert":
                near += 1
                if near > known[-1]:
                    continue
            revision = 1 + step
            truth[near] = bars_at([near], step, REVISED, revision)
            series.add(truth[near])
    expected = np.concatenate([truth[m] for m in sorted(truth)]) if truth else bars_at([])
    closed = window.closed()
    assert closed.tobytes() == expected[len(expected) - len(closed) :].tobytes()
    assert len(closed) == min(len(expected), window.capacity)
    if watched:
        values = clean(expected)
        assert window.values().tobytes() == values[len(expected) - len(closed) :].tobytes()
    everything = Reader(window)
    assert reader.holds() == everything.holds(), "pulling at any times ends alike"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 3), st.integers(0, 2**32))
def test_forming_bars_have_the_values_they_would_close_with(n: int, more: int, seed: int) -> None:
    bars = bars_at(list(range(n + more)), seed)
    series = Series("BTC-USD", TF, INDICATORS, 500)
    series.add(bars[:n])
    series.form(bars[n:])
    change = series.window.since(0, 0)
    assert change is not None
    assert change.values.tobytes() == clean(bars).tobytes()
    assert len(change.bars) == n + more
    series.add(bars[n:])
    assert series.window.values().tobytes() == clean(bars).tobytes(), "peeks leave no trace"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 3), st.booleans()), max_size=12),
)
def test_a_window_holds_the_newest_rows_and_readers_keep_up(
    capacity: int, steps: list[tuple[int, int, bool]]
) -> None:
    window = Window("BTC-USD", TF, capacity, ("a",))
    reader = Reader(window)
    total = 0
    for count, forming, look in steps:
        bars = bars_at(list(range(total, total + count)), total)
        window.close(bars, np.arange(total, total + count, dtype=float)[:, None])
        total += count
        if forming:
            ahead = bars_at(list(range(total, total + forming)), 99, FORMING)
            window.form(ahead, np.full((forming, 1), -1.0))
        kept = min(total, capacity)
        assert window.values()[:, 0].tolist() == list(range(total - kept, total))
        assert len(window.closed()) == kept
        if look:
            reader.pull()
            assert reader.first + len(reader.rows) == total + forming, "ordinals count all bars"
            assert reader.pull() is None
    assert reader.holds() == Reader(window).holds()
