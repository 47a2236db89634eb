"""Bars in cases that need exact places (see property/test_bars.py for any market)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import BarBuilder
from workbench.errors import UnknownTimeframeError
from workbench.records import BAR, TRADE
from workbench.timeframes import STANDARD, timeframe

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_800 * SECOND


def trades(*rows: tuple[float, ...], delay: float = 0.0, symbol: int = 0) -> Rows:
    """Trades given as (seconds, price, size, sequence)."""
    made = np.zeros(len(rows), TRADE)
    for row, (seconds, price, *rest) in zip(made, rows, strict=True):
        row["time"] = START + round(seconds * SECOND)
        row["received"] = row["time"] + round(delay * SECOND)
        row["price"], row["symbol"] = price, symbol
        row["size"] = rest[0] if rest else 1.0
        row["sequence"] = rest[1] if len(rest) > 1 else 0
    return made


def starts(bars: Rows) -> list[float]:
    seconds: list[float] = ((bars["time"] - START) / SECOND).tolist()
    return seconds


# -- closing -------------------------------------------------------------------------


def test_bars_that_wait_close_across_a_gap_and_a_long_silence() -> None:
    """Between the bars that wait one is missing, and the next trade is far away."""
    builder = BarBuilder(["1s"], lateness=5)
    assert len(builder.add(trades((0, 1), (2, 1), (3, 1)))) == 0
    assert starts(builder.add(trades((9000, 1)))) == [0, 2, 3]


def test_a_bar_waits_for_lateness_and_is_closed_once() -> None:
    builder = BarBuilder(["1m"], lateness=2)
    assert len(builder.add(trades((10, 1), (60, 2), (61.9, 2)))) == 0
    late = builder.add(trades((59, 5)))
    assert len(late) == 0
    closed = builder.add(trades((62, 2)))
    assert (closed["close"][0], closed["count"][0], closed["revision"][0]) == (5.0, 2, 0)
    revised = builder.add(trades((58, 9)))
    assert (revised["high"][0], revised["count"][0], revised["revision"][0]) == (9.0, 3, 1)


def test_the_clock_closes_when_due_and_not_before() -> None:
    builder = BarBuilder(["1m", "5m"], lateness=2)
    assert builder.due() > 1 << 60
    builder.add(trades((10, 1)))
    due = builder.due()
    assert due == START + 62 * SECOND
    assert len(builder.advance(due - 1)) == 0
    closed = builder.advance(due)
    assert starts(closed) == [0.0]
    assert closed["timeframe"].tolist() == [60]
    assert builder.due() == START + 302 * SECOND
    assert len(builder.advance(due)) == 0
    assert len(builder.forming(0, "1m")) == 0
    assert builder.forming(0, "5m")["count"][0] == 1


def test_a_delayed_feed_is_judged_by_its_own_clock() -> None:
    """Trades that come 15 minutes late do not find their bars closed."""
    builder = BarBuilder(["1m"], lateness=1)
    builder.add(trades((10, 1), delay=900))
    assert builder.due() == START + (61 + 900) * SECOND
    assert len(builder.advance(START + 960 * SECOND)) == 0
    bars = builder.add(trades((50, 2), delay=900))
    assert len(bars) == 0
    assert builder.advance(START + 961 * SECOND)["count"].tolist() == [2]


def test_markets_of_different_delay_are_closed_each_in_its_time() -> None:
    builder = BarBuilder(["1m"], lateness=1)
    builder.add(np.concatenate([trades((10, 1), symbol=0), trades((10, 1), delay=900, symbol=3)]))
    assert builder.advance(START + 61 * SECOND)["symbol"].tolist() == [0]
    assert builder.advance(START + 961 * SECOND)["symbol"].tolist() == [3]


def test_trades_without_a_receipt_are_closed_by_trades_only() -> None:
    builder = BarBuilder(["1m"])
    made = trades((10, 1))
    made["received"] = 0
    builder.add(made)
    assert len(builder.advance(START + 10**6 * SECOND)) == 0
    assert len(builder.finish()) == 1
    assert len(builder.finish()) == 0


# -- open, close, ties ---------------------------------------------------------------


def test_open_and_close_go_by_time_then_sequence_then_price() -> None:
    made = trades((5, 3, 1, 7), (5, 1, 1, 9), (5, 2, 1, 7), (5, 8, 1, 9))
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        bar = time_bars(made[order], "1m")[0]
        assert (bar["open"], bar["close"], bar["high"], bar["low"]) == (2.0, 8.0, 8.0, 1.0)


def test_a_new_timeframe_does_not_begin_with_a_trade_that_is_not_the_newest() -> None:
    """It shares the time of the last trade but comes before it by sequence."""
    builder = BarBuilder(["1s"])
    builder.add(trades((5, 100, 1, 9)))
    builder.add_timeframe("1m")
    builder.add(trades((5, 1, 1, 3)))
    assert len(builder.forming(0, "1m")) == 0
    assert [o.timeframe.name for o in builder.overdue] == ["1m"]
    builder.add(trades((6, 2, 1, 10)))
    bar = builder.forming(0, "1m")[0]
    assert (bar["open"], bar["high"], bar["close"], bar["count"]) == (2.0, 2.0, 2.0, 1)


# -- late trades ---------------------------------------------------------------------


def test_trades_out_of_reach_are_told_and_leave_the_rest_alone() -> None:
    builder = BarBuilder(["1s", "1m"])
    builder.add(trades((0, 1), (50, 1)))
    bars = builder.add(trades((1, 7, 3)))
    assert len(bars) == 0
    (overdue,) = builder.overdue
    assert overdue.timeframe.name == "1s"
    assert overdue.trade["price"].tolist() == [7.0]
    forming = builder.forming(0, "1m")[0]
    assert (forming["count"], forming["volume"], forming["high"]) == (3, 5.0, 7.0)
    assert builder.forming(0, "1s")[0]["count"] == 1


def test_many_overdue_trades_fill_no_fixed_room() -> None:
    builder = BarBuilder(["1s", "2s", "3s"])
    builder.add(trades((5000, 1)))
    builder.add(trades(*[(k % 100, 1) for k in range(3000)]))
    assert len(builder.overdue) == 9000
    assert builder.forming(0, "1s")[0]["count"] == 1


def test_adopted_timeframes_tell_of_overdue_trades_too() -> None:
    builder = BarBuilder([])
    past = trades((5000, 1), (0, 2), symbol=4)
    builder.add(past)
    builder.adopt(4, "1s", past)
    (overdue,) = builder.overdue
    assert (overdue.trade["symbol"][0], overdue.trade["price"][0]) == (4, 2.0)


def test_many_closed_bars_in_one_call() -> None:
    bars = BarBuilder(["1s"]).add(trades(*[(k, k + 1) for k in range(10_000)]))
    assert starts(bars) == list(range(9_999))


# -- timeframes ----------------------------------------------------------------------


def test_timeframes_come_and_go_while_it_runs() -> None:
    builder = BarBuilder(["1m"])
    builder.add(trades((0, 1)))
    builder.add_timeframe("5s", symbols=[0])
    assert builder.builds(0, "5s")
    assert not builder.builds(1, "5s")
    assert not builder.builds(0, "2m")
    assert builder.builds(99, "1m")
    builder.add(trades((3, 2)))
    assert builder.forming(0, "5s")["count"].tolist() == [1]
    builder.remove_timeframe("5s", symbols=[0])
    assert len(builder.forming(0, "5s")) == 0
    builder.add(trades((20, 2), (40, 2)))
    assert set(builder.finish()["timeframe"].tolist()) == {60}
    builder.add_timeframe("5s")
    builder.add(trades((100, 2)))
    assert builder.forming(0, "5s")["count"].tolist() == [1]
    builder.remove_timeframe("2h")
    builder.remove_timeframe("5s")
    assert not builder.builds(0, "5s")
    assert not builder.builds(7, "5s")


def test_sixty_two_timeframes_and_no_more() -> None:
    names = [f"{n}s" for n in range(1, 63)]
    builder = BarBuilder(names)
    made = trades(*[(k * 0.7, 1 + k % 5, 1 + k % 3) for k in range(400)])
    bars = np.concatenate([builder.add(made), builder.finish()])
    for name in names:
        own = bars[bars["timeframe"] == timeframe(name).seconds]
        assert own.tobytes() == time_bars(made, name).tobytes()
    with pytest.raises(UnknownTimeframeError, match="62"):
        builder.add_timeframe("63s")


def test_weeks_start_on_monday() -> None:
    made = trades((0, 1), (86_400 * 3, 1), (86_400 * 7, 1))  # from a Monday's first second
    bars = time_bars(made, "1w")
    first = pd.Timestamp(int(bars["time"][0]), tz="UTC")
    assert (first.day_name(), first.hour) == ("Monday", 0)
    assert bars["count"].tolist() == [2, 1]


# -- symbols -------------------------------------------------------------------------


def test_symbols_join_at_any_time() -> None:
    builder = BarBuilder(["1s", "1m"], lateness=1)
    rng = np.random.default_rng(1)
    calls = []
    for step in range(60):
        made = np.zeros(50, TRADE)
        made["time"] = START + step * SECOND // 2 + np.sort(rng.integers(0, SECOND // 2, 50))
        made["symbol"] = rng.integers(0, 1 + step * 20, 50)
        made["price"], made["size"] = 1 + rng.integers(0, 9, 50), 1 + rng.integers(0, 9, 50)
        calls.append(made)
    bars = np.concatenate([*(builder.add(made) for made in calls), builder.finish()])
    order = ["symbol", "time"]
    for name in ("1s", "1m"):
        own = bars[bars["timeframe"] == timeframe(name).seconds]
        expected = time_bars(np.concatenate(calls), name)
        assert np.sort(own, order=order).tobytes() == expected.tobytes()
    assert repr(builder).startswith("BarBuilder(")


def test_what_is_asked_of_symbols_never_seen() -> None:
    builder = BarBuilder(["1m"])
    assert len(builder.forming(5, "1m")) == 0
    assert len(builder.add(np.zeros(0, TRADE))) == 0
    assert builder.last(5) is None
    assert not builder.touched(5)
    builder.add(trades((1, 2.5), symbol=5))
    assert builder.last(4) is None
    assert builder.last(5) == (START + SECOND, 2.5)
    assert (builder.touched(5), builder.touched(5)) == (True, False)
    assert len(builder.forming(5, "2m")) == 0
    assert len(builder.adopt(5, "2m", trades())) == 0


# -- twins and peers -----------------------------------------------------------------

_TWIN = """
import hashlib, sys
import numpy as np
from workbench.bars.timebars import BarBuilder
from workbench.records import TRADE
rng = np.random.default_rng(3)
builder = BarBuilder(["1s", "5s", "1m"], lateness=2)
digest = hashlib.sha256()
time = 1_723_420_800 * 10**9
for step in range(12):
    rows = np.zeros(25, TRADE)
    rows["time"] = time + rng.integers(-4 * 10**9, 3 * 10**9, 25)
    rows["received"], rows["symbol"] = rows["time"] + 10**8, rng.integers(0, 3, 25)
    rows["price"], rows["size"] = rng.random(25) + 1, rng.random(25) * 1e6
    rows["sequence"] = rng.integers(0, 3, 25)
    time += int(rng.integers(0, 20)) * 10**9
    digest.update(builder.add(rows).tobytes())
    digest.update(builder.forming(1, "1m").tobytes())
    if step % 3 == 0:
        digest.update(builder.advance(time).tobytes())
    if step == 6:
        digest.update(builder.adopt(2, "15s", rows[rows["symbol"] == 2]).tobytes())
digest.update(builder.finish().tobytes())
digest.update(str([(o.timeframe.name, o.trade.tobytes()) for o in builder.overdue]).encode())
sys.stdout.write(digest.hexdigest())
"""


def test_the_kernels_say_the_same_when_python_runs_them() -> None:
    said = []
    for off in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": off, "PYTHONWARNINGS": "ignore"}
        run = subprocess.run(
            [sys.executable, "-c", _TWIN], env=environment, capture_output=True, timeout=120
        )
        assert run.returncode == 0, run.stderr.decode()
        said.append(run.stdout)
    assert said[0] == said[1]
    assert len(said[0]) == 64


@pytest.mark.parametrize("name", ["1s", "1m", "1h", "1d"])
def test_batch_bars_equal_pandas(name: str) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    made = np.zeros(n, TRADE)
    made["time"] = START + np.sort(rng.integers(0, 200_000, n)) * SECOND + np.arange(n)
    made["symbol"] = rng.integers(0, 3, n)
    made["price"] = np.round(rng.lognormal(0, 1, n), 4) + 1e-4
    made["size"] = np.round(rng.lognormal(0, 3, n), 3) + 1e-3
    frame = pd.DataFrame({c: made[c] for c in ("time", "symbol", "price", "size")})
    frame["value"] = frame["price"] * frame["size"]
    frame["start"] = frame["time"] // timeframe(name).ns * timeframe(name).ns
    groups = frame.groupby(["symbol", "start"])
    bars = time_bars(made, name)
    keys = groups.size().index
    assert bars["symbol"].tolist() == keys.get_level_values(0).tolist()
    assert bars["time"].tolist() == keys.get_level_values(1).tolist()
    expected = groups["price"].agg(["first", "max", "min", "last", "count"])
    for ours, theirs in zip(
        ("open", "high", "low", "close", "count"), expected.columns, strict=True
    ):
        assert bars[ours].tolist() == expected[theirs].tolist()
    volume = groups["size"].sum()
    np.testing.assert_allclose(bars["volume"], volume, rtol=1e-12)
    np.testing.assert_allclose(bars["vwap"], groups["value"].sum() / volume, rtol=1e-12)


def test_no_trades_no_bars() -> None:
    for tf in STANDARD:
        assert time_bars(np.zeros(0, TRADE), tf).dtype == BAR
