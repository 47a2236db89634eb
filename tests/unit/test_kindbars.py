"""Bars of other kinds beside a feed: begun at any time, and moved by late trades."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.bars.batchbars import time_bars
from workbench.bars.eventbars import event_bars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.bars.pricebars import price_bars
from workbench.flow.kindbars import KindBars, base_of
from workbench.records import CLOSED, REVISED, TRADE, Batch, Rows, empty

START = 1_762_180_200 * 10**9
EVENTS = ("trades:7", "volume:40", "dollar:3000", "range:0.2", "renko:0.1", "renko:atr3@1s",
          "imbalance-trades:10", "run-volume:10")  # fmt: skip
LINES = ("heikin-ashi@1s", "line-break:3@1s", "kagi:0.1@1s", "point-figure:0.05x3@1s")


def trades(n: int = 2000, seed: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, TRADE)
    rows["time"] = START + np.sort(rng.integers(0, 300 * 10**9, n))
    rows["received"] = rows["time"] + 10**6
    rows["price"] = np.round(100 + np.cumsum(rng.normal(0, 0.02, n)), 2)
    rows["size"] = rng.integers(1, 9, n)
    rows["sequence"] = np.arange(n)
    return rows


def kind_named(name: str) -> BarKind:
    kind = bar_kind(name)
    assert isinstance(kind, BarKind)
    return kind


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("at", [0, 1, 777, 2000])
def test_bars_begun_at_any_time_are_those_of_the_start(name: str, at: int) -> None:
    rows, kind = trades(), kind_named(name)
    kinds = KindBars(lateness=0.0)
    parts = [kinds.open(0, "BTC-USD", kind, rows[:at], empty("bar"))]
    for start in range(at, len(rows), 100):
        parts += kinds.trades(Batch("trade", rows[start : start + 100].copy()))
    forming = kinds.forming(0, kind, empty("bar"))
    whole = event_bars(rows, kind)
    closed = whole[whole["state"] == CLOSED]
    made = np.concatenate([part[part["state"] == CLOSED] for part in [*parts, forming]])
    assert made[: len(closed)].tobytes() == closed.tobytes()
    assert sum(part["count"].sum() for part in [*parts, forming]) == len(rows)


@pytest.mark.parametrize("name", LINES)
def test_lines_follow_time_bars_and_their_revisions(name: str) -> None:
    seconds, kind = time_bars(trades(), "1s"), kind_named(name)
    kinds = KindBars(lateness=0.0)
    parts = [kinds.open(0, "BTC-USD", kind, empty("trade"), seconds[:50])]
    for number, of, bars, anew in kinds.bars(seconds[50:150].copy()):
        assert (number, of, anew) == (0, kind, False)
        parts.append(bars)
    assert np.concatenate(parts).tobytes() == price_bars(seconds[:150], kind).tobytes()
    late = seconds[100:101].copy()
    late["high"] += 1.0
    late["close"] += 1.0
    late["state"], late["revision"] = REVISED, 1
    moved = seconds[:150].copy()
    moved[100] = late[0]
    ((_, _, again, anew),) = kinds.bars(late)
    assert anew, "all lines after it may have moved"
    assert again.tobytes() == price_bars(moved, kind).tobytes()
    ((_, again),) = kinds.begin_again(0, 1, seconds[:40])
    assert again.tobytes() == price_bars(seconds[:40], kind).tobytes()
    ((_, _, bars, _),) = kinds.bars(seconds[40:].copy())
    whole = np.concatenate([again, bars])
    assert whole.tobytes() == price_bars(seconds, kind).tobytes()
    assert not list(kinds.begin_again(0, 60, seconds[:40]))
    assert not list(kinds.begin_again(1, 1, seconds[:40]))


def test_days_by_the_calendar_are_revised() -> None:
    kind = kind_named("session:day")
    assert base_of(kind) == bar_kind("1m")
    minutes = np.zeros(5, time_bars(trades(), "1m").dtype)
    minutes["time"] = START - 1_800 * 10**9 + np.array([0, 600, 86_400, 87_000, 87_060]) * 10**9
    for field in ("open", "high", "low", "close"):
        minutes[field] = [1.0, 2.0, 3.0, 4.0, 5.0]
    minutes["volume"], minutes["timeframe"], minutes["state"] = 1.0, 60, CLOSED
    kinds = KindBars(lateness=0.0)
    assert len(kinds.open(0, "BTC-USD", kind, empty("trade"), minutes[:2])) == 0
    ((*_, day, _),) = kinds.bars(minutes[2:].copy())
    assert day[["open", "close", "volume", "state"]].tolist() == [(1.0, 2.0, 2.0, CLOSED)]
    late = minutes[1:2].copy()
    late["close"], late["high"], late["revision"] = 9.0, 9.0, 1
    ((*_, day, _),) = kinds.bars(late)
    assert day[["close", "state", "revision"]].tolist() == [(9.0, REVISED, 1)]
    assert kinds.forming(0, kind, empty("bar"))["close"].tolist() == [5.0]


def test_what_nobody_watches_is_not_built() -> None:
    kinds, kind = KindBars(lateness=0.0), kind_named("trades:2")
    kinds.open(0, "BTC-USD", kind, empty("trade"), empty("bar"))
    assert kinds.has(0, kind)
    kinds.close(0, kind)
    assert not kinds.has(0, kind)
    assert list(kinds.trades(Batch("trade", trades(10)))) == []
    assert len(kinds.forming(0, kind, empty("bar"))) == 0


def test_the_clock_releases_trades_that_wait() -> None:
    kinds, kind = KindBars(lateness=5.0), kind_named("trades:2")
    rows = trades(4)
    rows["time"] = rows["received"] = START + np.arange(4) * 10**9
    assert len(kinds.open(0, "BTC-USD", kind, rows, empty("bar"))) == 0
    assert len(kinds.forming(0, kind, empty("bar"))) == 2
    assert not list(kinds.advance(START + 3 * 10**9))
    (bars,) = kinds.advance(START + 20 * 10**9)
    assert bars["count"].tolist() == [2, 2]
