"""Event bars: however the trades arrive, the same bits; and nothing of them is lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.eventbars import EVENT_FAMILIES, EventBars, event_bars
from workbench.bars.kinds import bar_kind
from workbench.records import CLOSED, FORMING, TRADE

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_790 * SECOND
QUANTUM = Fraction(1, 2**74)
KINDS = (
    "trades:3",
    "volume:250",
    "dollar:20000",
    "range:0.5",
    "renko:0.5",
    "renko:0.5@1s",
    "renko:atr2@1s",
    "imbalance-trades:4x2x5",
    "imbalance-volume:4x2x5",
    "imbalance-dollar:4x2x5",
    "run-trades:4x2x5",
    "run-volume:4x2x5",
    "run-dollar:4x2x5",
)

steps = st.sampled_from([0, 0, 1, 250, 999, 1000, 2600, 61_000])
prices = st.one_of(
    st.sampled_from([99.5, 100.0, 100.1, 100.5, 101.0, 102.0]),
    st.floats(98, 103),
    st.sampled_from([1e-8, 1e5]),
)
sizes = st.one_of(st.sampled_from([0.0, 1.0, 100.0, 0.1]), st.floats(1e-5, 1e6), st.just(1e12))
kinds = st.sampled_from(KINDS)


@st.composite
def markets(draw: st.DrawFn, most: int = 60) -> Rows:
    """Trades of one symbol in order of time; times, sequences and prices collide often."""
    count = draw(st.integers(1, most))
    rows = np.zeros(count, TRADE)
    time = START
    for row in rows:
        time += draw(steps) * 1_000_000
        row["time"], row["received"] = time, time
        price = draw(prices)
        row["price"], row["size"] = price, min(draw(sizes), 1e12 / price)
        row["sequence"] = draw(st.integers(0, 3))
    return rows


def test_all_families_are_here() -> None:
    assert {bar_kind(name).family for name in KINDS} == EVENT_FAMILIES  # type: ignore[union-attr]


def closed(bars: Rows) -> bytes:
    return bars[bars["state"] == CLOSED].tobytes()


def run(bars: EventBars, trades: Rows, cuts: Sequence[int] = ()) -> Rows:
    """Feed trades in calls that end at the cuts."""
    ends = sorted({min(cut, len(trades)) for cut in cuts} | {len(trades)})
    parts, start = [], 0
    for end in ends:
        parts.append(bars.add(trades[start:end]))
        start = end
    return np.concatenate([*parts, bars.finish()])


def shuffled(trades: Rows, jitter: Sequence[float], lateness: float) -> Rows:
    """Let each trade arrive up to `lateness` after its time."""
    arrival = [
        (int(t["time"]) + int(lateness * SECOND * jitter[i % len(jitter)]), i)
        for i, t in enumerate(trades)
    ]
    found = trades[[i for _, i in sorted(arrival)]]
    found["received"] = [when for when, _ in sorted(arrival)]
    return found


cuts = st.lists(st.integers(0, 60), max_size=6)
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(markets(), kinds, cuts, fractions, st.sampled_from([0.0, 0.5, 3.0, 90.0]))
def test_any_split_and_any_order_within_lateness_give_the_same_bits(
    trades: Rows, kind: str, cuts: list[int], jitter: list[float], lateness: float
) -> None:
    batch = event_bars(trades, kind).tobytes()
    assert run(EventBars(kind), trades).tobytes() == batch
    assert run(EventBars(kind), trades, range(61)).tobytes() == batch
    late = EventBars(kind, lateness=lateness)
    assert run(late, shuffled(trades, jitter, lateness), cuts).tobytes() == batch
    assert late.overdue == 0
    assert event_bars(trades[::-1], kind).tobytes() == batch


@settings(max_examples=60, deadline=None)
@given(markets(), kinds, st.sampled_from([0.0, 0.5, 3.0]), fractions, st.booleans())
def test_clocks_peeks_and_checkpoints_change_nothing(
    trades: Rows, kind: str, lateness: float, jitter: list[float], by_due: bool
) -> None:
    batch = event_bars(trades, kind)
    live = EventBars(kind, lateness=lateness)
    live._out = live._out[:1]  # full after each bar
    parts = []
    for row in shuffled(trades, jitter, lateness):
        parts.append(live.add(row.reshape(1)))
        now = int(row["received"])
        if by_due:
            due = live.due()
            if due <= now:
                parts.append(live.advance(due))
            before = live.state()
            assert not len(live.advance(min(due, now + 1) - 1)) or due <= now
            if due > now + 1:
                assert live.state()[40:] == before[40:]  # the clock moved, and nothing else
        else:
            parts.append(live.advance(now))
        peek = live.forming()
        assert peek.tobytes() == live.forming().tobytes()
        assert set(peek["state"].tolist()) <= {FORMING}
        kept = live.state()
        live = EventBars(kind, lateness=lateness)
        live.restore(kept)
    assert live.overdue == 0
    whole = np.concatenate([*parts, live.finish()])
    if kind == "renko:0.5@1s":  # the clock may have ended the last base bar
        complete = closed(batch)
        assert closed(whole).startswith(complete)
        assert whole["count"].sum() == len(trades)
    else:
        assert whole.tobytes() == batch.tobytes()


@settings(max_examples=60, deadline=None)
@given(markets(), kinds, st.integers(0, 60))
def test_trades_are_in_exactly_one_bar(trades: Rows, kind: str, cut: int) -> None:
    live = EventBars(kind)
    done = live.add(trades[:cut])
    check(np.concatenate([done, live.forming()]), trades[:cut])
    check(event_bars(trades, kind), trades)


def check(bars: Rows, trades: Rows) -> None:
    """Compare sums with those of fractions; bars hold their own prices, and times go up."""
    assert bars["count"].sum() == len(trades)
    held = [round(Fraction(float(t["size"])) / QUANTUM) * QUANTUM for t in trades]
    values = [round(Fraction(float(t["price"] * t["size"])) / QUANTUM) * QUANTUM for t in trades]
    for name, exact in (("volume", held), ("notional", values)):
        both = [*bars[name].tolist(), *bars[f"{name}_rest"].tolist()]
        lost = abs(sum(map(Fraction, both), Fraction(0)) - sum(exact, Fraction(0)))
        assert lost <= sum(exact, Fraction(0)) / 2**104  # two floats hold no more of a sum
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert (np.diff(bars["time"]) > 0).all()


@settings(max_examples=40, deadline=None)
@given(markets(), kinds)
def test_a_kernel_goes_on_where_its_output_was_full(trades: Rows, kind: str) -> None:
    bars = EventBars(kind)
    order = trades[np.lexsort([trades[n] for n in ("size", "price", "sequence", "time")])]
    order.flags.writeable = False
    found, out, start = b"", bars._out[:1], 0
    while start < len(order):
        taken, n = bars._kernel(bars._p, bars._state, order, start, out)
        assert taken > start or n == 1
        found, start = found + out[:n].tobytes(), taken
    assert found == closed(event_bars(trades, kind))


@settings(max_examples=30, deadline=None)
@given(markets(), kinds, st.integers(1, 59))
def test_bars_once_complete_stay_whatever_comes(trades: Rows, kind: str, cut: int) -> None:
    first = trades[:cut][trades["time"][:cut] < trades["time"][min(cut, len(trades)) - 1]]
    early = closed(event_bars(first, kind))
    assert closed(event_bars(trades, kind)).startswith(early)


def sample() -> Rows:
    """Trades that are the same in every process."""
    rows = np.zeros(700, TRADE)
    i = np.arange(700)
    rows["time"] = START + i * 170_000_000 // (1 + i % 3 // 2)
    rows["time"].sort()
    rows["received"] = rows["time"] + 1_000_000
    wave = (i * 7919 % 97) / 100 + (i // 50 * 31 % 7) * 0.4
    rows["price"] = np.round(98 + wave, 2)
    rows["price"][400] = 40_000.0
    rows["size"] = (i * 104_729 % 1000) / 7
    rows["size"][::50] = 0.0
    rows["sequence"] = i
    return rows


def digest() -> str:
    found = hashlib.sha256()
    trades = sample()
    for kind in KINDS:
        found.update(event_bars(trades, kind).tobytes())
        live = EventBars(kind, lateness=1.0)
        found.update(live.add(trades[::-1][350:]).tobytes())
        found.update(live.advance(int(trades["received"][-1])).tobytes())
        found.update(live.state() + live.forming().tobytes())
    return found.hexdigest()


def test_without_numba_the_bits_are_the_same() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=150
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == digest()


if __name__ == "__main__":
    sys.stdout.write(digest() + "\n")
