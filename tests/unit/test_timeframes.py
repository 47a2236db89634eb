"""Timeframes: how people write them, and where bars begin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import UnknownTimeframeError
from workbench.timeframes import STANDARD, Timeframe, each, timeframe

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "seconds", "name"),
    [
        ("1s", 1, "1s"), ("90s", 90, "90s"), ("60s", 60, "1m"), ("1min", 60, "1m"),
        ("15sec", 15, "15s"), ("2 hours", 7200, "2h"), ("24h", 86_400, "1d"), ("m", 60, "1m"),
        ("7d", 604_800, "1w"), ("1week", 604_800, "1w"), ("10d", 864_000, "10d"), (300, 300, "5m"),
        ("366d", 366 * 86_400, "366d"), ("Minute", 60, "1m"),
    ],
)  # fmt: skip
def test_readings(text: str | int, seconds: int, name: str) -> None:
    tf = timeframe(text)
    assert (tf.seconds, tf.name, str(tf), tf.ns) == (seconds, name, name, seconds * SECOND)
    assert timeframe(tf) is tf
    assert timeframe(name) == tf


@pytest.mark.parametrize(
    "text", ["", "1", "1M", "1x", "0m", 0, -5, "-1m", "367d", "9999999s", "1.5m", "1m1m", "m1"]
)
def test_what_is_none(text: Any) -> None:
    with pytest.raises(UnknownTimeframeError):
        timeframe(text)


def test_numbers_that_are_not_seconds() -> None:
    assert (timeframe(1).name, timeframe(60).name) == ("1s", "1m")
    for text in (True, 60.0, None):
        with pytest.raises(UnknownTimeframeError):
            timeframe(text)  # type: ignore[arg-type]


def test_standard_ones() -> None:
    names = "1s 5s 15s 30s 1m 2m 3m 5m 10m 15m 30m 1h 2h 4h 1d 1w"
    assert [tf.name for tf in STANDARD] == names.split()
    assert list(STANDARD) == sorted(STANDARD)


def test_one_or_several() -> None:
    assert each("1m") == each(60) == each(timeframe("1m")) == [timeframe("1m")]
    assert [tf.name for tf in each(("1m", 300))] == ["1m", "5m"]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*STANDARD, timeframe("7s"), timeframe("10d")]), st.integers(0, 2**62))
def test_every_time_lies_in_exactly_one_bar(tf: Timeframe, time: int) -> None:
    start = tf.start(time)
    assert start <= time < start + tf.ns
    assert tf.start(start) == start
    assert tf.start(start - 1) == start - tf.ns
    assert (start - tf.origin) % tf.ns == 0


def test_weeks_start_on_monday_and_days_at_midnight_utc() -> None:
    time = int(datetime(2024, 8, 8, 23, 54, 3, tzinfo=UTC).timestamp()) * SECOND
    for name in ("1w", "2w"):
        start = datetime.fromtimestamp(timeframe(name).start(time) / SECOND, UTC)
        assert start.weekday() == 0
        assert (start.hour, start.minute, start.second) == (0, 0, 0)
    day = datetime.fromtimestamp(timeframe("1d").start(time) / SECOND, UTC)
    assert day == datetime(2024, 8, 8, tzinfo=UTC)
