"""The window, case by case (see property/test_series.py for any history)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.flow.window import Change, Window
from workbench.records import BAR, FORMING
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]


def bars(*times: int, close: float = 1.0, state: int = 2) -> Rows:
    rows = np.zeros(len(times), BAR)
    rows["time"], rows["close"], rows["state"] = times, close, state
    return rows


def filled(n: int, capacity: int) -> Window:
    window = Window("BTC-USD", timeframe("1m"), capacity, ("a",))
    for k in range(n):
        window.close(bars(k), np.full((1, 1), float(k)))
    return window


def since(window: Window, epoch: int = 0, version: int = 0) -> Change:
    change = window.since(epoch, version)
    assert change is not None
    return change


def test_nothing_yet() -> None:
    window = Window("BTC-USD", timeframe("1m"))
    change = since(window)
    assert (change.first, len(change.bars), change.reset) == (0, 0, True)
    assert window.since(change.epoch, change.version) is None
    assert (len(window), len(window.latest()), window.forming) == (0, 0, False)
    assert window.last_time < 0


def test_only_what_changed_is_sent() -> None:
    window = filled(5, 100)
    change = since(window)
    window.form(bars(5, state=FORMING), np.zeros((1, 1)))
    change = since(window, change.epoch, change.version)
    assert (change.first, change.bars["time"].tolist(), change.reset) == (5, [5], False)
    window.close(bars(5), np.zeros((1, 1)))
    window.form(bars(6, state=FORMING), np.zeros((1, 1)))
    change = since(window, change.epoch, change.version)
    assert (change.first, change.bars["time"].tolist()) == (5, [5, 6])
    window.revise(2, bars(2, close=9.0), np.ones((1, 1)))
    change = since(window, change.epoch, change.version)
    assert (change.first, change.bars["time"].tolist()) == (2, [2, 3, 4, 5, 6])
    assert change.bars["close"][0] == 9.0
    assert change.values[0, 0] == 1.0


def test_the_left_edge_falls_off_and_ordinals_stay() -> None:
    window = filled(25, 10)
    assert len(window.closed()) == 10
    change = since(window)
    assert (change.first, change.bars["time"][0], change.bars["time"][-1]) == (15, 15, 24)
    assert change.values[:, 0].tolist() == list(range(15, 25))


def test_more_bars_at_once_than_it_holds() -> None:
    window = Window("BTC-USD", timeframe("1m"), 10, ("a",))
    window.close(bars(*range(37)), np.arange(37.0)[:, None])
    change = since(window)
    assert (change.first, len(change.bars)) == (27, 10)
    assert change.values[:, 0].tolist() == list(range(27, 37))


def test_revising_a_row_of_a_full_window() -> None:
    window = filled(25, 10)
    window.revise(0, bars(15, close=7.0), np.full((1, 1), 7.0))
    assert window.closed()["close"].tolist() == [7.0] + [1.0] * 9
    assert window.values()[0, 0] == 7.0


def test_bars_in_between_renumber() -> None:
    window = filled(5, 10)
    before = since(window)
    window.replace(bars(*range(6)), np.zeros((6, 1)))
    change = since(window, before.epoch, before.version)
    assert change.reset
    assert (change.first, len(change.bars)) == (0, 6)


def test_several_bars_form_while_one_waits() -> None:
    window = filled(64, 64)
    window.form(bars(64, 65, state=FORMING), np.array([[1.0], [2.0]]))
    change = since(window)
    assert change.bars["time"][-2:].tolist() == [64, 65]
    assert change.values[-2:, 0].tolist() == [1.0, 2.0]
    assert window.latest()["time"].tolist() == [65]
    assert len(window.closed()) == 64
    window.form(bars(65, state=FORMING), np.array([[3.0]]))
    change = since(window, change.epoch, change.version)
    assert (change.first, change.bars["time"].tolist()) == (64, [65])


def test_readers_get_copies() -> None:
    window = filled(3, 10)
    since(window).bars["close"] = 99.0
    window.closed()["close"] = 99.0
    window.values()[:] = 99.0
    window.latest()["close"] = 99.0
    assert window.closed()["close"].tolist() == [1.0] * 3
    assert window.values()[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert repr(window) == "Window(BTC-USD 1m, 3 bars)"
