"""Look-ahead: a zoo of functions that leak or repaint, all flagged, and a clean one, not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.analytics import CATALOGUE, Indicator, ema, rsi, sma
from workbench.analytics.joining import join_timeframes
from workbench.errors import ConfigError
from workbench.records import BAR
from workbench.store.frames import dataframe
from workbench.study import CATALOGUE as STUDIES
from workbench.study import study
from workbench.testing import Leaks, invented_bars, lookahead

ROWS = invented_bars(260, seed=3)
BARS = dataframe("bar", ROWS)
FIVE = pd.Timedelta("5min")
Function = Callable[[pd.DataFrame], Any]


# -- functions that leak ---------------------------------------------------------------


def with_holes(bars: pd.DataFrame) -> pd.Series:
    """A column that lacks every third value."""
    return bars["close"].where(bars["count"] % 3 > 0)


def resampled(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.resample("1h")[["close", "volume"]].agg({"close": "last", "volume": "sum"}).dropna()


def hour_by_its_start(bars: pd.DataFrame) -> pd.DataFrame:
    """The hour's close beside every bar of that hour."""
    return resampled(bars).reindex(bars.index, method="ffill")


def next_hour_back(bars: pd.DataFrame) -> pd.Series:
    """The label of an hour, its start, carries what only its end tells."""
    hours = resampled(bars)["close"].iloc[:-1]  # complete ones only
    return hours.reindex(bars.index)


def highest_of_all(bars: pd.DataFrame) -> np.ndarray[Any, Any]:
    mark = np.zeros(len(bars))
    mark[int(bars["high"].to_numpy().argmax())] = 1.0
    return mark


def turns(bars: pd.DataFrame, reversal: float = 0.01) -> list[tuple[int, float]]:
    """Places and prices of swings, the last one provisional."""
    close = bars["close"].to_numpy()
    found = [(0, close[0])]
    up = True
    for i in range(1, len(close)):
        price = found[-1][1]
        if (close[i] >= price) if up else (close[i] <= price):
            found[-1] = (i, close[i])
        elif abs(close[i] / price - 1.0) > reversal:
            found.append((i, close[i]))
            up = not up
    return found


def zigzag_points(bars: pd.DataFrame) -> pd.Series:
    """The swings but the last, at the bars they were on."""
    values = pd.Series(np.nan, bars.index)
    for at, price in turns(bars)[:-1]:
        values.iloc[at] = price
    return values


def zigzag_line(bars: pd.DataFrame) -> np.ndarray[Any, Any]:
    places, prices = zip(*turns(bars), strict=True)
    return np.interp(np.arange(len(bars)), places, prices)


def line_through_all(bars: pd.DataFrame) -> np.ndarray[Any, Any]:
    close = bars["close"].to_numpy()
    x = np.arange(len(close)) - (len(close) - 1) / 2
    slope = (x * close).sum() / max((x * x).sum(), 1.0)
    return np.asarray(close.mean() + slope * x)


def ranked(bars: pd.DataFrame) -> pd.Series:
    return bars["close"].rank(pct=True)


def smoothed_backwards(bars: pd.DataFrame) -> pd.Series:
    return bars["close"][::-1].ewm(span=5).mean()[::-1]


LEAKS: dict[str, Function] = {
    "centred": lambda bars: bars["close"].rolling(7, center=True).mean(),
    "shifted back": lambda bars: bars["close"].shift(-1),
    "future return": lambda bars: bars["close"].pct_change().shift(-3),
    "rule of the next bar": lambda bars: bars["close"].shift(-1) > bars["close"],
    "whole-sample z-score": lambda bars: (bars.close - bars.close.mean()) / bars.close.std(),
    "whole-sample scale": lambda bars: bars["close"] / bars["close"].max(),
    "back-filled": lambda bars: with_holes(bars).bfill(),
    "highest of all": highest_of_all,
    "zigzag points": zigzag_points,
    "line through all": line_through_all,
    "rank in all": ranked,
    "hour's close at its start": next_hour_back,
    "gradient": lambda bars: np.gradient(bars["close"].to_numpy()) if len(bars) > 1 else [np.nan],
    "fourier": lambda bars: lowpass(bars["close"].to_numpy()),
}
REPAINTS: dict[str, Function] = {
    "hour by its start": hour_by_its_start,
    "zigzag line": zigzag_line,
    "interpolated": lambda bars: with_holes(bars).interpolate(),
    "backwards, soon forgotten": smoothed_backwards,
    "centred, of what there is": lambda bars: bars["close"].rolling(7, 1, center=True).mean(),
}


def lowpass(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    waves = np.fft.rfft(values)
    waves[len(waves) // 8 + 1 :] = 0.0
    return np.fft.irfft(waves, len(values))


# -- functions that do not -------------------------------------------------------------


def hour_when_known(bars: pd.DataFrame) -> pd.DataFrame:
    return join_timeframes(bars, resampled(bars), timeframe="5m", higher_timeframe="1h")


def hour_of_no_told_length(bars: pd.DataFrame) -> pd.DataFrame:
    return join_timeframes(bars, resampled(bars))


def zigzag_when_known(bars: pd.DataFrame) -> pd.Series:
    """Each swing at the bar that confirmed it."""
    seen = np.full(len(bars), np.nan)
    count = 1
    for i in range(len(bars)):
        found = turns(bars.iloc[: i + 1])
        if len(found) > count:
            count = len(found)
            seen[i] = found[-2][1]
    return pd.Series(seen, bars.index)


CLEAN: dict[str, Function] = {
    "rolling": lambda bars: bars["close"].rolling(7).mean(),
    "rolling deviation": lambda bars: bars["close"].rolling(20).std(),
    "expanding": lambda bars: bars["close"].expanding().mean(),
    "expanding z-score": lambda bars: (
        (bars.close - bars.close.expanding().mean()) / bars.close.expanding().std()
    ),
    "shifted on": lambda bars: bars["close"].shift(1),
    "ewm": lambda bars: bars["close"].ewm(span=9).mean(),
    "filled forward": lambda bars: with_holes(bars).ffill(),
    "cumulated": lambda bars: np.log(bars["close"]).diff().cumsum(),
    "rule": lambda bars: bars["close"] > bars["close"].shift(1),
    "words": lambda bars: np.where(bars["close"] > bars["open"], "up", "down").astype(object),
    "hour when known": hour_when_known,
    "hour of no told length": hour_of_no_told_length,
    "zigzag when known": zigzag_when_known,
    "table": lambda bars: pd.DataFrame(
        {"fast": ema(5).over(bars), "slow": sma(20).over(bars), "mood": rsi(14).over(bars)}
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_are_flagged(name: str) -> None:
    found = lookahead(LEAKS[name], BARS)
    assert found.verdict == "leaks", repr(found)
    assert found.first is not None
    assert found.count > 0


@pytest.mark.parametrize("name", REPAINTS)
def test_repaints_are_flagged(name: str) -> None:
    found = lookahead(REPAINTS[name], BARS)
    assert found.verdict == "repaints", repr(found)
    assert found.first is not None
    assert found.first.kind == "changed"


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_clean_is_not_flagged(name: str) -> None:
    found = lookahead(CLEAN[name], BARS)
    assert found.clean, repr(found)
    assert found.first is None
    assert found.count == 0


@pytest.mark.parametrize("step", [1, 7, 12, None])
def test_hours_are_found_out_whatever_the_step(step: int | None) -> None:
    assert lookahead(hour_by_its_start, BARS, step=step).verdict == "repaints"
    assert lookahead(next_hour_back, BARS, step=step).verdict == "leaks"


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_indicator_is_clean(name: str) -> None:
    chosen = Indicator(CATALOGUE[name])
    rows = ROWS if chosen.warmup < 200 else invented_bars(chosen.warmup + 100)
    assert lookahead(chosen, rows).clean
    assert lookahead(chosen.over, dataframe("bar", rows), step=37).clean


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_study_is_clean(name: str) -> None:
    found = lookahead(study(name), BARS, step=23)
    assert found.clean, repr(found)


# -- events ----------------------------------------------------------------------------


def breakouts(bars: pd.DataFrame, delay: int) -> pd.DataFrame:
    """New highs of 20 bars, known as many bars late as told, and when they were given back."""
    rows = []
    high, times = bars["high"].to_numpy(), bars.index
    for i in range(20, len(bars) - delay):
        if high[i] > high[i - 20 : i].max():
            below = np.flatnonzero(high[i + 1 :] < high[i] * 0.99)
            lost = times[i + 1 + below[0]] + FIVE if len(below) else pd.NaT
            rows.append((times[i], times[i] + FIVE, high[i], lost))
    return pd.DataFrame(rows, columns=["formed", "confirmed", "price", "lost"])


def test_events_count_from_the_time_they_say() -> None:
    assert lookahead(lambda bars: breakouts(bars, 0), BARS).clean
    late = lookahead(lambda bars: breakouts(bars, 1), BARS)
    assert late.verdict == "leaks"
    assert late.first is not None
    assert late.first.kind == "appeared"


def test_events_that_are_withdrawn_repaint() -> None:
    def last_only(bars: pd.DataFrame) -> pd.DataFrame:
        return breakouts(bars, 0).iloc[-1:]

    assert lookahead(last_only, BARS).verdict != "clean"


def test_events_need_the_column_that_was_named() -> None:
    with pytest.raises(ConfigError, match="no column 'seen'"):
        lookahead(lambda bars: breakouts(bars, 0), BARS, known="seen")


def test_columns_of_how_things_stand_now_are_left_out_when_told() -> None:
    def filled(bars: pd.DataFrame) -> pd.DataFrame:
        return breakouts(bars, 0).assign(age=len(bars))

    assert lookahead(filled, BARS).verdict == "repaints"
    assert lookahead(filled, BARS, now=["age"]).clean


# -- the report and what is refused ----------------------------------------------------


def test_the_first_offending_bar_its_column_and_both_values() -> None:
    def late(bars: pd.DataFrame) -> pd.DataFrame:
        value = bars["close"].copy()
        if len(bars) > 150:
            value.iloc[100] = -1.0
        return pd.DataFrame({"good": bars["close"], "bad": value})

    found = lookahead(late, BARS, step=1)
    assert isinstance(found, Leaks)
    assert found.verdict == "repaints"
    assert found.counts == {"bad": 1}
    first = found.first
    assert first is not None
    assert (first.bar, first.column, first.later) == (100, "bad", -1.0)
    assert first.given == BARS["close"].iloc[100]
    assert first.time == BARS.index[100]
    assert first.how == "over 150 bars, then over 151"
    assert "repaints, first at bar 100" in repr(found)
    assert "repaints" in found._repr_html_()


def test_the_first_bar_is_found_between_prefixes() -> None:
    found = lookahead(lambda bars: bars["close"].shift(-1), BARS, step=50)
    assert found.first is not None
    assert found.first.bar == 0


def test_settle_tells_a_repaint_from_a_leak() -> None:
    def week(bars: pd.DataFrame) -> pd.Series:
        return bars["close"].rolling(41, 1, center=True).mean()

    assert lookahead(week, BARS, settle=21).verdict == "repaints"
    assert lookahead(week, BARS, settle=5).verdict == "leaks"


def test_rows_arrays_and_plain_numbers() -> None:
    assert lookahead(lambda rows: np.cumsum(rows["close"]), ROWS).clean
    assert lookahead(lambda rows: rows["close"] - rows["close"].mean(), ROWS).verdict == "leaks"
    plain = pd.DataFrame({"close": BARS["close"].to_numpy()})
    assert lookahead(lambda bars: bars["close"].rolling(3).mean(), plain).clean
    assert lookahead(lambda bars: bars["close"].shift(-1), plain).first.time is None  # type: ignore[union-attr]
    both = lookahead(lambda rows: np.stack([rows["close"], rows["close"][::-1]], 1), ROWS)
    assert set(both.counts) == {"column 1"}


def test_the_bars_of_the_caller_stay_as_they_are() -> None:
    before, rows = BARS.copy(), ROWS.copy()

    def careless(bars: pd.DataFrame) -> pd.Series:
        bars["close"] += 1.0
        return bars["close"]

    lookahead(careless, BARS, step=50)
    lookahead(ema(3), ROWS, step=50)
    pd.testing.assert_frame_equal(before, BARS)
    assert rows.tobytes() == ROWS.tobytes()


def test_what_cannot_be_tested() -> None:
    with pytest.raises(ConfigError, match="at least 8 bars"):
        lookahead(ema(3), np.zeros(7, BAR))
    with pytest.raises(ConfigError, match="step must be at least 1"):
        lookahead(ema(3), ROWS, step=0)
    with pytest.raises(ConfigError, match="a function of bars, not int"):
        lookahead(3, ROWS)
    with pytest.raises(ConfigError, match="wanted is a value for each"):
        lookahead(lambda bars: bars["close"].to_numpy()[:-1], BARS)
    with pytest.raises(ConfigError, match="needs a column 'close'"):
        lookahead(ema(3), BARS[["open"]])
