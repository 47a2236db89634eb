"""Rules: what they may say, what becomes of it, and those that come with Workbench."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.errors import ConfigError
from workbench.records import BAR, CLOSED, REVISED, Rows
from workbench.rules import Rule, RuleRun, SignalBook, enter, leave, rule, table
from workbench.testing.market import invented_bars

MINUTE = 60 * 10**9
START = 1_740_061_800 * 10**9


def bars_of(*closes: float, volume: float = 1.0) -> Rows:
    bars = np.zeros(len(closes), BAR)
    bars["time"] = START + np.arange(len(closes)) * MINUTE
    for name in ("open", "high", "low", "close", "vwap"):
        bars[name] = closes
    bars["volume"] = volume
    bars["notional"] = bars["close"] * volume
    bars["timeframe"], bars["state"] = 60, CLOSED
    return bars


@rule(mean=wb.sma(2))
def above(now: Any, before: Any) -> Any:
    """In while the close is above its mean."""
    if now.close > now.mean:
        return enter("long", confidence=0.6, reason=f"{now.close:g} above {now.mean:g}")
    return leave("long", reason="not above") if not math.isnan(now.mean) else None


def test_a_signal_tells_what_when_and_from_which_bars() -> None:
    found = above.over(bars_of(1, 2, 3, 1), "BTC-USD")
    assert found["action"].tolist() == ["entry", "exit"]
    entry = found.iloc[0]
    assert found.index[0] == pd.Timestamp(START + 2 * MINUTE, tz="UTC"), "the end of the bar"
    assert entry["bar"] == pd.Timestamp(START + MINUTE, tz="UTC")
    assert entry["first"] == pd.Timestamp(START, tz="UTC")
    told = entry[["rule", "symbol", "timeframe", "side", "price", "confidence", "status"]]
    assert told.tolist() == ["above", "BTC-USD", "1m", "long", 2.0, 0.6, "given"]
    assert entry["reason"] == "2 above 1.5"
    assert above.text == "In while the close is above its mean."


def test_an_entry_to_where_one_is_and_an_exit_from_where_one_is_not_are_left_out() -> None:
    assert len(above.over(bars_of(1, 2, 3, 4, 5))) == 1
    assert len(above.over(bars_of(5, 4, 3, 2))) == 0

    @rule()
    def turns(now: Any, before: Any) -> Any:
        sides = ("long", "short") if now.close > 2 else ("short", "long")
        return [leave(sides[1], reason="turn"), enter(sides[0], confidence=1.0, reason="turn")]

    found = turns.over(bars_of(3, 1, 3))
    assert list(zip(found["action"], found["side"], strict=True)) == [
        ("entry", "long"), ("exit", "long"), ("entry", "short"), ("exit", "short"),
        ("entry", "long"),
    ]  # fmt: skip


def test_what_a_rule_sees() -> None:
    seen: list[Any] = []

    @rule(band=wb.bollinger(2), mean=wb.sma(2), shape=wb.structure(left=1, right=1, atr=1))
    def look(now: Any, before: Any) -> None:
        seen.append((now, before))

    bars = bars_of(1, 3, 1, 3, 1)
    look.over(bars, "BTC-USD")
    assert seen[0][1] is None
    assert all(seen[i][1] is seen[i - 1][0] for i in range(1, 5))
    now = seen[2][0]
    assert (now.close, now.mean, now.volume, now.position) == (1.0, 2.0, 1.0, "")
    assert now.band.lower < now.band.middle < now.band.upper
    assert (now.time, now.end) == (int(bars["time"][2]), int(bars["time"][2]) + MINUTE)
    assert [event.kind for event in now.shape.events] == ["swing high"]
    assert [zone.price for zone in seen[3][0].shape.zones] == [3.0, 1.0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: enter("up", confidence=0.5, reason=""), 'side must be "long" or "short"'),
        (lambda: enter("long", confidence=1.5, reason=""), "from 0 to 1, not 1.5"),
        (lambda: enter("long", confidence=math.nan, reason=""), "from 0 to 1"),
        (lambda: Rule("x", {"close": wb.sma(2)}, lambda now, before: None), "'close' cannot name"),
        (lambda: Rule("x", {"a b": wb.sma(2)}, lambda now, before: None), "'a b' cannot name"),
        (lambda: Rule("x", {"a": 5}, lambda now, before: None), "must be an indicator or a study"),  # type: ignore[dict-item]
        (lambda: wb.ema_cross(21, 9), r"fast \(21\) must be below slow \(9\)"),
        (lambda: Rule("x", {}, lambda now, before: 7).over(bars_of(1)), "not 7"),  # type: ignore[arg-type,return-value]
        (lambda: above.over(bars_of(1, 2)[::-1]), "is earlier than row 0"),
        (lambda: above.over(pd.DataFrame({"open": [1.0]})), "indexed by time"),
        (lambda: wb.signals(pd.DataFrame(), 3), "must be a rule"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_a_rule_may_not_say(make: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_frames_and_rows_give_the_same_signals() -> None:
    from workbench.store.frames import dataframe

    bars = invented_bars(400, seed=3)
    for one in (wb.ema_cross(3, 8, 13), wb.structure_change(), wb.vwap_reversion(1.0)):
        by_rows = one.over(bars, "SPY")
        by_frame = one.over(dataframe("bar", bars), "SPY", "5m")
        pd.testing.assert_frame_equal(by_rows, by_frame)
        assert len(by_rows) > 3, one.name


def test_the_rules_that_come_with_workbench_tell_what_they_claim() -> None:
    bars = invented_bars(3000, seed=5)
    closes = pd.Series(bars["close"], bars["time"])
    cross = wb.ema_cross(5, 10, 20).over(bars, "SPY")
    trend = wb.ema(20).over(bars, "SPY").to_numpy()
    level = pd.Series(trend, bars["time"])
    entries = cross[cross["action"] == "entry"]
    assert len(entries) > 10
    for _, signal in entries.iterrows():
        at = signal["bar"].value
        assert (closes[at] > level[at]) == (signal["side"] == "long"), "with the trend"
        assert 0.5 <= signal["confidence"] <= 1.0
    out = wb.zone_breakout(100, 1.2).over(bars, "SPY")
    usual = pd.Series(wb.sma(20, of="volume").over(bars).to_numpy(), bars["time"])
    volume = pd.Series(bars["volume"], bars["time"])
    entries = out[out["action"] == "entry"]
    assert len(entries) > 3
    for _, signal in entries.iterrows():
        at = signal["bar"].value
        assert volume[at] >= 1.2 * usual[at]
        assert "volume node" in signal["reason"]
    back = wb.vwap_reversion(1.5).over(bars, "SPY")
    assert set(back["side"]) == {"long", "short"}
    assert (back.groupby((back["action"] == "entry").cumsum())["side"].nunique() == 1).all()
    turns = wb.structure_change().over(bars, "SPY")
    sides = turns[turns["action"] == "entry"]["side"].tolist()
    assert len(sides) > 5
    assert all(a != b for a, b in pairwise(sides)), "each turn ends the other"


def test_a_rule_steps_back_only_to_what_it_kept() -> None:
    run = RuleRun(above, "BTC-USD")
    run.add(bars_of(*range(1, 200)))
    assert run.reach(199) == 192
    run.rollback(64)
    assert run.count == 64
    with pytest.raises(ValueError, match="no checkpoint at bar 65"):
        run.rollback(65)


def test_bars_put_in_front_and_in_place_of_others_change_only_what_they_change() -> None:
    book = SignalBook(above, "BTC-USD", "1m")
    bars = bars_of(1, 2, 2, 2, 1, 1, 2, 2)
    given = book.add(bars[4:])
    assert [s.action for s in given] == ["entry", "exit"]
    news = book.restart(bars)
    assert [(s.action, s.status, s.bar) for s in news] == [
        ("entry", "given", bars["time"][1]), ("exit", "given", bars["time"][2]),
    ]  # fmt: skip
    assert book.signals[:2] == given
    assert len(book.standing()) == 4
    assert book.restart(bars) == []
    other = bars[6:].copy()
    other["close"] = 1.0
    news = book.restart(other)
    assert [(s.action, s.status) for s in news] == [("entry", "withdrawn"), ("exit", "withdrawn")]
    assert [s.bar for s in book.standing()] == bars["time"][1:3].tolist()
    assert book.restart(bars[:0]) == []
    more = bars_of(1, 2, 2, 2, 1, 1, 1, 1, 2, 2)
    assert [s.action for s in book.restart(more)] == ["entry", "exit"]


def test_a_series_longer_than_a_rule_remembers_can_begin_again() -> None:
    book = SignalBook(above, "BTC-USD", "1m")
    bars = bars_of(*([1, 2] * 3000))
    book.add(bars[100:])
    assert len(book._bars) < 5000
    book.restart(bars)
    assert book.standing()[-1].bar == bars["time"][-1]
    assert {s.bar for s in book.standing()} == set(bars["time"][1:].tolist())
    moved = bars[-3000:].copy()
    moved["close"][0] = 2.0
    book.restart(moved)
    assert book.missed == 0
    assert book.standing()[-1].bar == bars["time"][-1]


def test_a_signal_that_loses_its_ground_is_withdrawn_not_erased() -> None:
    book = SignalBook(above, "BTC-USD", "1m")
    bars = bars_of(1, 2, 2, 2)
    given = book.add(bars)
    assert [s.action for s in given] == ["entry", "exit"]
    late = bars[1:2].copy()
    late["close"], late["state"], late["revision"] = 0.5, REVISED, 1
    news = book.add(late)
    assert [(s.action, s.status) for s in news] == [
        ("entry", "withdrawn"), ("exit", "withdrawn"), ("entry", "given"), ("exit", "given"),
    ]  # fmt: skip
    assert [s.bar for s in book.standing()] == [int(bars["time"][2]), int(bars["time"][3])]
    assert len(book.table()) == 6
    assert table(book.standing())["status"].tolist() == ["given", "given"]
