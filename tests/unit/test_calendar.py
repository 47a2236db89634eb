"""Market sessions against the exchange's published ones."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from workbench.calendar import (
    SPANS,
    edges,
    expectation,
    fixed_session,
    is_market_open,
    market_session,
    round_the_clock,
    session_edges,
)
from workbench.sessions import NEW_YORK

DAY = 86_400 * 10**9


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz=NEW_YORK).as_unit("ns").value)


def test_every_session_of_the_recorded_calendar_agrees(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "calendar" / "xnys.csv", index_col=0)
    opens, closes = (
        pd.DatetimeIndex(pd.to_datetime(table[name], utc=True)).as_unit("ns").asi8
        for name in ("open", "close")
    )
    found = session_edges("AAPL", int(opens[0]), int(closes[-1]), "day")
    assert found["open"].tolist() == opens.tolist()
    assert found["close"].tolist() == closes.tolist()
    assert found["label"].dt.strftime("%Y-%m-%d").tolist() == table.index.str[:10].tolist()


def test_sessions_by_local_time_of_all_years() -> None:
    """Summer time moves the hours in UTC, and not those of New York."""
    zone = ZoneInfo(NEW_YORK)
    for year in (1990, 2006, 2007, 2024):
        for kind, hours in (
            ("pre", {("04:00", "09:30")}),
            ("regular", {("09:30", "16:00"), ("09:30", "13:00"), ("09:30", "14:00")}),
            ("after", {("16:00", "20:00"), ("13:00", "17:00"), ("14:00", "17:00")}),
            ("extended", {("04:00", "20:00"), ("04:00", "17:00")}),
        ):
            some = edges("AAPL", kind, year)
            for label, *times in zip(some.labels, some.opens, some.closes, strict=True):
                local = [pd.Timestamp(int(t), tz="UTC").tz_convert(zone) for t in times]
                assert {t.date() for t in local} == {label.item()}
                assert tuple(t.strftime("%H:%M") for t in local) in hours


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2024-07-03 03:59:59", "closed"),
        ("2024-07-03 04:00", "pre"),
        ("2024-07-03 09:29:59.999", "pre"),
        ("2024-07-03 09:30", "regular"),
        ("2024-07-03 12:59:59", "regular"),
        ("2024-07-03 13:00", "after"),  # the day before the Fourth closes early
        ("2024-07-03 16:59:59", "after"),
        ("2024-07-03 17:00", "closed"),
        ("2024-07-04 12:00", "closed"),
        ("2024-07-05 19:59:59", "after"),
        ("2024-07-06 12:00", "closed"),
        ("2024-12-31 15:00", "regular"),
    ],
)
def test_the_session_of_a_time(when: str, expected: str) -> None:
    assert market_session(ns(when), "AAPL") == expected
    assert market_session(np.array([ns(when)] * 2), "AAPL").tolist() == [expected] * 2
    assert market_session(ns(when), "BTC-USD") == "regular"


def test_no_times_have_no_session() -> None:
    assert market_session(np.zeros(0, np.int64), "AAPL").tolist() == []


def test_weeks_and_months_run_over_the_turn_of_the_year() -> None:
    week = session_edges("AAPL", ns("2025-01-02 12:00"), ns("2025-01-02 12:01"), "week")
    assert week["label"].tolist() == [pd.Timestamp("2024-12-30")]
    assert week["open"].tolist() == [ns("2024-12-30 09:30")]
    assert week["close"].tolist() == [ns("2025-01-03 16:00")]
    month = session_edges("AAPL", ns("2024-11-05"), ns("2024-11-06"), "month")
    assert month["open"].tolist() == [ns("2024-11-01 09:30")]
    assert month["close"].tolist() == [ns("2024-11-29 13:00")]


@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD"])
@pytest.mark.parametrize("kind", SPANS)
def test_spans_follow_one_another(symbol: str, kind: str) -> None:
    found = session_edges(symbol, ns("1999-12-01"), ns("2003-02-01"), kind)
    opens, closes = found["open"].to_numpy(), found["close"].to_numpy()
    assert (opens < closes).all()
    assert (closes[:-1] <= opens[1:]).all()
    assert found["label"].is_monotonic_increasing
    if round_the_clock(symbol):
        assert (closes[:-1] == opens[1:]).all()
        assert (len(found) > 0) == (kind not in ("pre", "after"))


def test_what_is_not_known_is_told() -> None:
    with pytest.raises(ValueError, match="there are pre, regular"):
        edges("AAPL", "night", 2020)
    with pytest.raises(ValueError, match="1962 to 2100"):
        edges("AAPL", "day", 1900)
    with pytest.raises(ValueError, match="1962 to 2100"):
        market_session(-(1 << 61), "AAPL")
    assert len(session_edges("AAPL", 5, 5)) == 0


def test_the_fixed_table() -> None:
    hours = [fixed_session(h * DAY // 24) for h in range(24)]
    assert [hours.count(s) for s in ("pre", "regular", "after", "closed")] == [5, 7, 4, 8]
    assert fixed_session(DAY * 3 + DAY // 24 * 13 + DAY // 48) == "regular"


@pytest.mark.parametrize(
    ("when", "expected", "is_open", "extended"),
    [
        ("2025-11-03 03:59:59", "closed", False, False),
        ("2025-11-03 04:00", "limited", False, True),
        ("2025-11-03 09:29:59", "limited", False, True),
        ("2025-11-03 09:30", "real-time", True, True),
        ("2025-11-03 15:59:59", "real-time", True, True),
        ("2025-11-03 16:00", "limited", False, True),
        ("2025-11-03 20:00", "closed", False, False),
        ("2025-11-27 12:00", "closed", False, False),  # a holiday
        ("2025-11-28 13:00", "limited", False, True),  # an early close
        ("2025-11-28 17:00", "closed", False, False),
        ("2025-11-01 12:00", "closed", False, False),  # a Saturday
        ("2025-03-10 09:30", "real-time", True, True),  # the first day of summer time
    ],
)
def test_what_to_expect_of_a_feed_follows_the_session(
    when: str, expected: str, is_open: bool, extended: bool
) -> None:
    assert expectation("AAPL", ns(when)) == expected
    assert is_market_open("AAPL", ns(when)) == is_open
    assert is_market_open("AAPL", ns(when), extended=True) == extended
    assert expectation("BTC-USD", ns(when)) == "real-time"
    assert is_market_open("BTC-USD", ns(when))


def test_the_market_is_open_on_all_recorded_sessions(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "calendar" / "xnys.csv", index_col=0)
    opens, closes = (
        pd.DatetimeIndex(pd.to_datetime(table[name], utc=True)).as_unit("ns").asi8
        for name in ("open", "close")
    )
    for times, inside in ((opens, True), (opens - 1, False), (closes - 1, True), (closes, False)):
        assert set(market_session(np.asarray(times), "AAPL") == "regular") == {inside}
