"""Bars by the calendar: over all edges of many years, live and in one go."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.bars.batchbars import time_bars
from workbench.bars.calendarbars import CalendarBars, calendar_bars
from workbench.bars.folding import fold_bars
from workbench.bars.kinds import bar_kind
from workbench.bars.timebars import BarBuilder
from workbench.calendar import session_edges
from workbench.digest import newest
from workbench.errors import UnknownTimeframeError
from workbench.records import BAR, CLOSED, FORMING, REVISED, TRADE
from workbench.sessions import NEW_YORK
from workbench.store.frames import dataframe

Rows = npt.NDArray[Any]
SECOND = 10**9
MINUTE = 60 * SECOND
KINDS = [f"session:{c}" for c in ("pre", "regular", "after", "day", "week", "month")]


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz=NEW_YORK).as_unit("ns").value)


def minutes(times: Any) -> Rows:
    """A minute bar at each time, of a price of its own."""
    rows = np.zeros(len(times), BAR)
    rows["time"], rows["timeframe"], rows["state"] = times, 60, CLOSED
    rows["close"] = rows["open"] = 100 + np.arange(len(times)) % 97
    rows["high"], rows["low"] = rows["close"] + 1, rows["close"] - 1
    rows["volume"], rows["count"] = 1 + np.arange(len(times)) % 5, 1
    rows["notional"] = rows["volume"] * rows["close"]
    return rows


def around(edges: pd.DataFrame) -> Rows:
    """Minute bars just before and after every open and close."""
    opens, closes = edges["open"].to_numpy(), edges["close"].to_numpy()
    times = np.concatenate([opens - MINUTE, opens, closes - MINUTE, closes])
    return minutes(np.unique(times))


def test_day_bars_of_all_recorded_sessions(shared_data: Path) -> None:
    """34 years of half days and changes of summer time: what is at an edge falls on its side."""
    table = pd.read_csv(shared_data / "calendar" / "xnys.csv", index_col=0)
    opens, closes = (
        pd.DatetimeIndex(pd.to_datetime(table[name], utc=True)).as_unit("ns").asi8
        for name in ("open", "close")
    )
    bars = around(pd.DataFrame({"open": opens, "close": closes}))
    days = calendar_bars(bars, "session:day", "AAPL")
    assert days["time"].tolist() == opens.tolist()
    at = np.searchsorted(bars["time"], opens)
    last = np.searchsorted(bars["time"], closes - MINUTE)
    assert days["open"].tolist() == bars["open"][at].tolist()
    assert days["close"].tolist() == bars["close"][last].tolist()
    assert days["volume"].tolist() == (bars["volume"][at] + bars["volume"][last]).tolist()
    assert set(days["count"].tolist()) == {2}
    live = CalendarBars("session:day", "AAPL")
    assert live.add(bars).tobytes() == days.tobytes()
    assert live.bars.outside == len(bars) - 2 * len(days)
    assert set(days["timeframe"].tolist()) == {bar_kind("session:day").code}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD"])
def test_every_kind_holds_what_is_between_its_edges(kind: str, symbol: str) -> None:
    edges = session_edges(symbol, ns("2007-01-01"), ns("2009-01-03"), kind.partition(":")[2])
    bars = around(session_edges("AAPL", ns("2007-01-03"), ns("2008-12-31 12:00"), "extended"))
    built = calendar_bars(bars, kind, symbol)
    groups = [
        bars[(bars["time"] >= a) & (bars["time"] < b)]
        for a, b in zip(edges["open"], edges["close"], strict=True)
    ]
    groups = [group for group in groups if len(group)]
    if kind in ("session:week", "session:month") and symbol == "AAPL":
        # Between the sessions of a week nothing is left out, as one span.
        assert sum(map(len, groups)) > len(built)
    assert built["count"].tolist() == [len(group) for group in groups]
    assert built["high"].tolist() == [group["high"].max() for group in groups]
    assert built["low"].tolist() == [group["low"].min() for group in groups]
    assert built["notional"].tolist() == [group["notional"].sum() for group in groups]


def some_trades(n: int, start: int, step: int) -> Rows:
    rng = np.random.default_rng(3)
    rows = np.zeros(n, TRADE)
    rows["time"] = start + np.cumsum(rng.integers(0, step, n))
    rows["price"] = 100 + np.cumsum(rng.normal(0, 0.01, n))
    rows["size"] = rng.exponential(3.0, n)
    return rows


@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD"])
@pytest.mark.parametrize("kind", KINDS)
def test_trades_and_all_bars_of_them_give_the_same(kind: str, symbol: str) -> None:
    trades = some_trades(4000, ns("2024-06-28 03:00"), 400 * SECOND)
    expected = calendar_bars(trades, kind, symbol)
    for base in ("1s", "1m", "30m"):
        bars = time_bars(trades, base)
        assert calendar_bars(bars, kind, symbol).tobytes() == expected.tobytes()
        live = CalendarBars(kind, symbol)
        parts = [live.add(some) for some in np.array_split(bars, 7)] + [live.advance(1 << 61)]
        assert np.concatenate(parts).tobytes() == expected.tobytes()
    mixed = np.random.default_rng(0).permutation(trades)
    assert calendar_bars(mixed, kind, symbol).tobytes() == expected.tobytes()
    assert calendar_bars(dataframe("trade", trades), kind, symbol).tobytes() == expected.tobytes()
    inside = calendar_bars(dataframe("bar", time_bars(trades, "1m")), kind, symbol, base="1m")
    np.testing.assert_allclose(inside["volume"], expected["volume"], rtol=1e-13)


def test_a_crypto_day_is_the_day_of_time_bars() -> None:
    trades = some_trades(3000, 1_723_420_790 * SECOND, 600 * SECOND)
    expected = time_bars(trades, "1d")
    days = calendar_bars(trades, "session:day", "BTC-USD")
    days["timeframe"] = expected["timeframe"]
    assert days.tobytes() == expected.tobytes()


def test_a_day_forms_closes_and_is_revised() -> None:
    start = ns("2024-07-03 12:58")
    live = CalendarBars("session:day", "AAPL")
    bars = minutes([start, start + MINUTE])
    assert len(live.add(bars[:1])) == 0
    assert live.forming()[["count", "state"]].tolist() == [(1, FORMING)]
    forming = live.forming(bars[1:])
    assert forming[["count", "state"]].tolist() == [(2, FORMING)]
    assert live.forming()["count"].tolist() == [1]
    closed = live.add(bars[1:])  # its last minute: the market closes early
    assert closed[["count", "state", "revision"]].tolist() == [(2, CLOSED, 0)]
    again = bars[:1].copy()
    again["revision"], again["high"] = 1, 999.0
    revised = live.add(again)
    assert revised[["high", "count", "state", "revision"]].tolist() == [(999.0, 2, REVISED, 1)]
    assert len(live.add(again)) == 0
    assert len(live.forming()) == 0
    late = minutes([start - MINUTE])
    assert live.add(late)[["count", "revision"]].tolist() == [(3, 2)]


def test_a_session_without_its_last_minute_closes_by_the_clock() -> None:
    live = CalendarBars("session:regular", "AAPL")
    live.add(minutes([ns("2024-07-02 15:00")]))
    assert len(live.advance(ns("2024-07-02 15:59:59"))) == 0
    assert len(live.advance(ns("2024-07-02 16:00"))) == 1
    assert len(live.advance(ns("2024-07-02 16:00"))) == 0


def test_revisions_in_one_go() -> None:
    bars = minutes(np.arange(3) * MINUTE)
    again = bars[:1].copy()
    again["revision"], again["high"] = 1, 999.0
    days = calendar_bars(np.concatenate([bars, again]), "session:day", "BTC-USD")
    assert days[["high", "count"]].tolist() == [(999.0, 3)]
    with pytest.raises(ValueError, match="comes twice"):
        calendar_bars(np.concatenate([bars, bars]), "session:day", "BTC-USD")


def test_bars_too_late_are_told() -> None:
    live = CalendarBars("session:day", "BTC-USD")
    day = 24 * 60 * MINUTE
    live.add(minutes(np.arange(100, 110) * day))
    assert len(live.add(minutes([3 * day]))) == 0
    assert [int(row["time"][0]) for row in live.bars.overdue] == [3 * day]
    assert repr(live) == "CalendarBars('session:day', 'BTC-USD')"
    assert repr(live.bars) == "FoldedBars(session:day, 5 bars at hand)"


def test_live_equals_batch_with_revisions_through_the_builder() -> None:
    trades = some_trades(3000, ns("2024-07-02 03:00"), 60 * SECOND)
    trades["received"] = trades["time"]
    order = np.argsort(trades["time"] + np.random.default_rng(1).integers(0, 200, 3000) * SECOND)
    builder, live = BarBuilder(["1m"], lateness=60), CalendarBars("session:day", "AAPL")
    parts = [live.add(builder.add(some)) for some in np.array_split(trades[order], 50)]
    parts += [live.add(builder.finish()), live.advance(1 << 61)]
    assert not builder.overdue
    got = newest(np.concatenate(parts))
    got["revision"], got["state"] = 0, CLOSED
    assert got.tobytes() == calendar_bars(trades, "session:day", "AAPL").tobytes()


def test_wrong_input_is_told() -> None:
    with pytest.raises(UnknownTimeframeError, match="no bar by the calendar"):
        calendar_bars(minutes([0]), "1m", "AAPL")
    with pytest.raises(UnknownTimeframeError, match="session:day"):
        calendar_bars(minutes([0]), "session:dya", "AAPL")
    with pytest.raises(UnknownTimeframeError, match="reaches over an edge of session:regular"):
        calendar_bars(fold_bars(minutes([ns("2024-07-03 12:59")]), "4h"), "session:regular", "AAPL")
    with pytest.raises(UnknownTimeframeError, match="reaches over"):
        CalendarBars("session:day", "AAPL").add(fold_bars(minutes([ns("2024-07-02 09:00")]), "4h"))
    with pytest.raises(UnknownTimeframeError, match="reaches over"):
        calendar_bars(fold_bars(minutes([ns("2024-07-02 09:00")]), "1d"), "session:day", "AAPL")
    both = minutes([0, MINUTE])
    both["symbol"][1] = 4
    with pytest.raises(ValueError, match="of one symbol"):
        calendar_bars(both, "session:day", "BTC-USD")
    assert len(calendar_bars(np.zeros(0, BAR), "session:day", "AAPL")) == 0
    assert len(calendar_bars(np.zeros(0, TRADE), "session:day", "AAPL")) == 0
    assert len(CalendarBars("session:day", "AAPL").add(np.zeros(0, BAR))) == 0


def test_real_minutes_over_the_change_of_summer_time(shared_data: Path) -> None:
    """SHY on the days around 2008-03-09, from files with New York's wall time."""
    parts = []
    for path in sorted((shared_data / "equity" / "minute").rglob("*shy*/*trade.zip")) or sorted(
        (shared_data / "equity" / "minute").rglob("*trade*.zip")
    ):
        day = path.name[:8]
        if not day.startswith("2008"):
            continue
        with zipfile.ZipFile(path) as archive:
            table = pd.read_csv(
                archive.open(archive.namelist()[0]), header=None, names=["ms", *"ohlcv"]
            )
        rows = np.zeros(len(table), BAR)
        rows["time"] = ns(day) + table["ms"].to_numpy() * 10**6
        rows["timeframe"] = 60
        for field, name in zip(("open", "high", "low", "close", "volume"), "ohlcv", strict=True):
            rows[field] = table[name].to_numpy() / (1 if name == "v" else 10_000)
        rows["notional"] = rows["close"] * rows["volume"]
        parts.append(rows)
    if len(parts) < 2:
        pytest.fail("no minutes of 2008 in the data")
    bars = np.concatenate(parts)
    built = calendar_bars(bars, "session:regular", "SHY")
    expected = []
    for rows in parts:
        local = pd.DatetimeIndex(rows["time"], tz="UTC").tz_convert(NEW_YORK)
        minute = local.hour * 60 + local.minute
        some = rows[(minute >= 570) & (minute < 960)]
        if len(some):
            expected.append((some["open"][0], some["high"].max(), some["close"][-1]))
    assert built[["open", "high", "close"]].tolist() == expected
