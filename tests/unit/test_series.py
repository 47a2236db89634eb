"""A series in cases that need exact places (see property/test_series.py for the rest)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workbench.analytics import Indicator, Run, ema, sma
from workbench.flow.series import Series
from workbench.records import BAR, CLOSED, REVISED
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
CHOSEN = (ema(5), sma(4))


def bars(first: int, count: int, state: int = CLOSED, offset: float = 0.0) -> Rows:
    rows = np.zeros(count, BAR)
    rows["time"] = np.arange(first, first + count) * 60
    rows["close"] = np.sin(np.arange(first, first + count)) + 5 + offset
    rows["state"] = state
    return rows


def clean(rows: Rows) -> npt.NDArray[np.float64]:
    return np.hstack([i.start().add(rows) for i in CHOSEN])


def test_a_small_window_still_steps_back_for_a_late_trade() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 10)
    whole = bars(0, 1000)
    series.add(whole)
    whole[997] = bars(997, 1, REVISED, 3.0)[0]
    series.add(whole[997:998])
    assert series.window.values()[-5:].tobytes() == clean(whole)[-5:].tobytes()
    assert len(series.window.closed()) >= 2 * Run.EVERY


def test_without_indicators_a_window_is_as_small_as_asked() -> None:
    series = Series("BTC-USD", timeframe("1m"), (), 10)
    series.add(bars(0, 1000))
    assert len(series.window.closed()) == 10
    series.add(bars(995, 1, REVISED, 3.0))
    assert series.window.closed()["state"].tolist() == [2, 2, 2, 2, 2, 3, 2, 2, 2, 2]


def test_the_oldest_rows_are_amended_even_if_their_state_is_gone() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 200)
    series.add(bars(0, 7001))
    oldest = int(series.window.closed()["time"][0]) // 60
    before = series.window.values()
    series.add(bars(oldest + 1, 1, REVISED, 3.0))
    assert series.window.closed()["state"][:3].tolist() == [CLOSED, REVISED, CLOSED]
    assert series.window.values().tobytes() == before.tobytes()
    series.add(bars(7001, 50))
    closed = series.window.closed()
    assert (np.diff(closed["time"]) == 60).all()
    assert closed["time"][-1] == 7050 * 60


def test_bars_older_than_the_window_are_the_stores() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 200)
    series.add(bars(0, 1000))
    before = series.window.closed().tobytes(), series.window.values().tobytes()
    series.add(bars(3, 1, REVISED))
    assert (series.window.closed().tobytes(), series.window.values().tobytes()) == before


def test_the_first_bar_may_be_a_revised_one() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 200)
    series.add(bars(5, 1, REVISED))
    series.add(bars(3, 1))
    series.add(bars(6, 10))
    times = [3, 5, *range(6, 16)]
    assert (series.window.closed()["time"] // 60).tolist() == times
    whole = np.concatenate([bars(3, 1), bars(5, 1, REVISED), bars(6, 10)])
    assert series.window.values().tobytes() == clean(whole).tobytes()
    assert repr(series) == "Series(Window(BTC-USD 1m, 12 bars): EMA 5, SMA 4)"


@pytest.mark.parametrize("chosen", [CHOSEN, ()])
@pytest.mark.parametrize("gone", [0, 1, 63, 64, 65, 199, 200, 201, 300])
def test_the_newest_bars_are_made_again(chosen: tuple[Indicator, ...], gone: int) -> None:
    series = Series("BTC-USD", timeframe("1m"), chosen, 200)
    whole = bars(0, 1000)
    series.add(whole)
    redone = bars(1000 - gone, gone + 3, offset=2.0)
    series.redo(redone, gone)
    whole = np.concatenate([whole[: 1000 - gone], redone])
    assert series.window.closed().tobytes() == whole[-200:].tobytes()
    if gone > 200 - Run.EVERY:  # the state of before is gone: they run over what is at hand
        whole = whole[min(800, 1000 - gone) :]
    if chosen:
        assert series.window.values().tobytes() == clean(whole)[-200:].tobytes()
        series.add(bars(1003, 5))
        whole = np.concatenate([whole, bars(1003, 5)])
        assert series.window.values().tobytes() == clean(whole)[-200:].tobytes()


def test_more_bars_are_made_again_than_indicators_remember() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 200)
    series.add(bars(0, 9000))
    redone = bars(1000, 8002, offset=2.0)
    series.redo(redone, 8000)
    assert series.window.closed().tobytes() == redone[-200:].tobytes()
    assert series.window.values().tobytes() == clean(redone)[-200:].tobytes()


def test_a_series_may_be_made_again_from_its_first_bar() -> None:
    series = Series("BTC-USD", timeframe("1m"), CHOSEN, 200)
    series.add(bars(10, 20))
    redone = bars(0, 31)
    series.redo(redone, 20)
    assert series.window.closed().tobytes() == redone.tobytes()
    assert series.window.values().tobytes() == clean(redone).tobytes()
