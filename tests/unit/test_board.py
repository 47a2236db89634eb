"""The board: series by symbol and timeframe, and what screens see of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.analytics import ema, sma
from workbench.bars.timebars import BarBuilder
from workbench.flow.board import Board
from workbench.records import FORMING, TRADE, Batch, empty
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
START = 1_723_420_800 * 10**9
TF = timeframe("1m")


class Desk:
    """A board fed by a builder, as the pipeline feeds it."""

    def __init__(self, lateness: float = 0.0) -> None:
        self.table = SymbolTable(["A", "B"])
        self.builder = BarBuilder(["1m"], lateness=lateness)
        self.board = Board(self.table, self.builder, 100)

    def trade(self, *seconds: float, symbol: int = 0) -> None:
        rows = np.zeros(len(seconds), TRADE)
        rows["time"] = rows["received"] = START + np.round(np.array(seconds) * 1e9).astype(int)
        rows["price"], rows["size"], rows["symbol"] = 1.0 + np.array(seconds), 1.0, symbol
        self.take(self.builder.add(rows))

    def clock(self, seconds: float) -> None:
        self.take(self.builder.advance(START + int(seconds * 1e9)))

    def take(self, bars: Rows) -> None:
        if len(bars):
            self.board.add(Batch("bar", bars))


def shown(series: Any) -> list[tuple[int, bool]]:
    change = series.window.since(0, 0)
    return [(int(b["time"] - START) // 10**9, bool(b["state"] == FORMING)) for b in change.bars]


def test_bars_go_to_their_series_only() -> None:
    desk = Desk()
    a = desk.board.open(0, TF, (), empty("bar"))
    b = desk.board.open(1, TF, (), empty("bar"))
    desk.trade(0, 60, 120)
    desk.trade(0, 180, symbol=1)
    assert a.window.closed()["symbol"].tolist() == [0, 0]
    assert b.window.closed()["symbol"].tolist() == [1]
    assert desk.board.base(0, TF) is a
    assert desk.board.base(0, timeframe("5m")) is None
    assert len(desk.board) == 2


def test_a_bar_that_waits_for_late_trades_stays_in_sight() -> None:
    desk = Desk(lateness=1)
    series = desk.board.open(0, TF, (ema(2),), empty("bar"))
    series.users = 1
    desk.trade(10)
    desk.board.refresh()
    assert shown(series) == [(0, True)]
    desk.trade(60.2)
    desk.board.refresh()
    assert shown(series) == [(0, True), (60, True)]
    desk.clock(61)
    assert shown(series) == [(0, False), (60, True)], "the forming bar stays, with no new trade"


def test_only_watched_series_are_refreshed() -> None:
    desk = Desk()
    series = desk.board.open(0, TF, (), empty("bar"))
    desk.trade(1)
    desk.board.refresh()
    assert shown(series) == []
    series.users = 1
    assert not desk.board.watched(1, TF)
    assert desk.board.watched(0, TF)
    desk.trade(2)
    desk.board.refresh()
    assert shown(series) == [(0, True)]
    version = series.window.version
    desk.board.refresh()
    assert series.window.version == version, "nothing new, nothing done"


def test_opening_again_shows_what_forms() -> None:
    desk = Desk()
    desk.board.open(0, TF, (), empty("bar"))
    desk.trade(1)
    assert shown(desk.board.open(0, TF, (), empty("bar"))) == [(0, True)]


def test_series_begin_with_their_past() -> None:
    desk = Desk()
    base = desk.board.open(0, TF, (), empty("bar"))
    desk.trade(*range(0, 600, 20))
    chosen = desk.board.open(0, TF, (sma(3),), base.window.closed())
    assert chosen is desk.board.open(0, TF, (sma(3),), empty("bar"))
    assert chosen is not base
    assert chosen.window.closed().tobytes() == base.window.closed().tobytes()
    desk.trade(600, 660)
    assert np.isfinite(chosen.window.values()[2:]).all()
    assert len(chosen.window) == len(base.window) == 11


def test_what_nobody_uses_goes() -> None:
    desk = Desk()
    base = desk.board.open(0, TF, (), empty("bar"))
    chosen = desk.board.open(0, TF, (sma(3),), empty("bar"))
    chosen.users = 2
    assert not desk.board.release(chosen.window)
    assert desk.board.release(chosen.window)
    assert not desk.board.release(chosen.window), "given back already"
    assert len(desk.board) == 1
    base.users = 1
    desk.board.drop(0, TF)
    assert len(desk.board) == 1, "somebody looks at it"
    base.users = 0
    desk.board.drop(0, TF)
    assert len(desk.board) == 0
    desk.board.drop(0, TF)


def test_a_replay_keeps_every_series_that_comes() -> None:
    desk = Desk()
    desk.board.every = True
    desk.trade(0, 60, symbol=1)
    base = desk.board.base(1, TF)
    assert base is not None
    assert len(base.window) == 1
