"""A chart as Bokeh sees it: one source, small messages, colours, and windows given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, GlyphRenderer
from bokeh.protocol import Protocol

from workbench.analytics import ema, rsi, vwap
from workbench.errors import ConfigError, UnknownSymbolError, UnknownTimeframeError
from workbench.flow.window import Window
from workbench.plots.chart import Chart, chart, time_zone
from workbench.plots.drawing import Drawing
from workbench.plots.overlays import curves
from workbench.plots.theme import CURVES, DARK, LIGHT
from workbench.records import BAR, CLOSED, FORMING, Rows
from workbench.timeframes import timeframe

MINUTE = 60_000_000_000


def rows(first: int, count: int, state: int = CLOSED, price: float = 100.0) -> Rows:
    bars = np.zeros(count, BAR)
    bars["time"] = np.arange(first, first + count) * MINUTE
    bars["open"] = bars["low"] = price
    bars["close"] = bars["high"] = price + np.arange(count) + 1.123456
    bars["volume"] = 123.456
    bars["state"] = state
    return bars


class Desk:
    """A feed of windows that a test fills, which counts who reads them."""

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def watch(self, symbol: str, frame: Any, indicators: Sequence[Any] = ()) -> Window:
        if symbol == "GONE-USD":
            raise UnknownSymbolError("there is no such symbol", symbol=symbol)
        outputs = [key for one in indicators for key in one.keys]
        window = Window(symbol, timeframe(frame), 2000, outputs)
        bars = rows(0, 500)
        window.close(bars, np.full((500, len(outputs)), 101.23456789))
        self.windows.append(window)
        return window

    def unwatch(self, window: Window) -> None:
        self.windows.remove(window)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def drawing(desk: Desk) -> Drawing:
    overlays = [ema(20), vwap(), rsi(14)]
    return Drawing(desk.watch("BTC-USD", "1m", overlays), overlays, DARK)


def test_all_glyphs_but_zones_share_one_source(drawing: Drawing) -> None:
    renderers = list(drawing.layout.select({"type": GlyphRenderer}))
    zones = [r for r in renderers if "label" in r.data_source.data]
    others = [r for r in renderers if r not in zones]
    assert len(others) == 6  # volume, wicks, bodies, two curves, and one below
    assert {r.data_source.id for r in others} == {drawing.columns.source.id}
    assert drawing.figures[0].renderers[0] is zones[0], "zones lie behind the candles"
    document = Document()
    document.add_root(drawing.layout)
    assert len(list(document.select({"type": ColumnDataSource}))) == 2


def test_a_flush_is_one_small_message(drawing: Drawing) -> None:
    document = Document()
    document.add_root(drawing.layout)
    window, events = drawing.columns.window, []
    window.form(rows(500, 1, FORMING), np.full((1, 3), 101.5))
    drawing.columns.pull()
    document.on_change(events.append)
    for k in range(1, 4):
        bar = rows(500, 1, FORMING)
        bar["close"] = bar["high"] = 101.123456 + k / 7
        bar["volume"] += k / 7
        window.form(bar, np.full((1, 3), 101.5 + k / 7))
        drawing.columns.pull()
    assert len(events) == 3
    for event in events:
        message = Protocol().create("PATCH-DOC", [event])
        assert not message.buffers
        size = len(message.header_json) + len(message.metadata_json) + len(message.content_json)
        assert size < 500


def test_a_new_bar_travels_without_binary_frames(drawing: Drawing) -> None:
    document = Document()
    document.add_root(drawing.layout)
    events: list[Any] = []
    document.on_change(events.append)
    drawing.columns.window.form(rows(500, 1, FORMING), np.full((1, 3), np.nan))
    drawing.columns.pull()
    message = Protocol().create("PATCH-DOC", events)
    assert not message.buffers
    assert len(message.content_json) < 1500


def test_colours_change_in_place(drawing: Drawing) -> None:
    source = drawing.columns.source
    assert source.tags[0]["theme"]["name"] == "dark"
    drawing.paint(LIGHT)
    assert source.tags[0]["theme"]["name"] == "light"
    assert {f.background_fill_color for f in drawing.figures} == {LIGHT.background}


def test_indicators_are_placed_where_they_say() -> None:
    over, below = curves([ema(20), rsi(14), vwap()])
    assert [c.label for c in over] == ["EMA 20", "VWAP"]
    assert [p.curves[0].label for p in below] == ["RSI 14"]
    assert below[0].range == (0.0, 100.0)
    assert below[0].levels == (30.0, 70.0)
    assert [c.color for c in (over[0], below[0].curves[0], over[1])] == list(CURVES[:3])


def test_panes_move_together(drawing: Drawing) -> None:
    assert len(drawing.figures) == 2
    assert len({f.x_range.id for f in drawing.figures}) == 1
    assert len({f.min_border_right for f in drawing.figures}) == 1


def test_windows_are_given_back(desk: Desk) -> None:
    shown = chart(desk, "BTC-USD", "1m", [ema(20)])
    shown.__panel__()
    assert [w.outputs for w in desk.windows] == [("ema_20",)]
    shown.symbol = "eth-usd"
    assert [(w.symbol, w.outputs) for w in desk.windows] == [("ETH-USD", ("ema_20",))]
    assert shown.symbol == "ETH-USD"
    shown.timeframe = "5m"
    assert [w.timeframe.name for w in desk.windows] == ["5m"]
    shown.overlays = [vwap()]
    assert [w.outputs for w in desk.windows] == [("vwap",)]
    shown.close()
    assert desk.windows == []


@pytest.mark.parametrize("bad", [{"symbol": "GONE-USD"}, {"timeframe": "7x"}, {"symbol": "<b>"}])
def test_a_refused_change_leaves_the_chart_as_it_was(desk: Desk, bad: dict[str, str]) -> None:
    shown = chart(desk, "BTC-USD", "1m")
    shown.__panel__()
    with pytest.raises((UnknownSymbolError, UnknownTimeframeError)):
        shown.param.update(**bad)
    assert (shown.symbol, shown.timeframe) == ("BTC-USD", "1m")
    assert [w.symbol for w in desk.windows] == ["BTC-USD"]
    shown.close()


def test_flush_brings_all_renderings_up_to_date(desk: Desk) -> None:
    shown = chart(desk, "BTC-USD", "1m", dark=False)
    boxes = [shown.__panel__(), shown.__panel__()]
    assert len(boxes) == 2
    for window in desk.windows:
        window.form(rows(500, 1, FORMING), np.empty((1, 0)))
    shown.flush()
    assert [len(one.drawing.columns) for one in shown._shown if one.drawing] == [501, 501]
    shown.close()


def test_a_chart_without_bars_can_be_drawn(desk: Desk) -> None:
    window = Window("NEW-USD", timeframe("1m"))
    drawing = Drawing(window, [], DARK)
    assert len(drawing.columns) == 0
    assert drawing.columns.source.tags[0]["symbol"] == "NEW-USD"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"symbol": "<script>"}, UnknownSymbolError),
        ({"timeframe": "soon"}, UnknownTimeframeError),
        ({"timezone": "Mars/Phobos"}, ConfigError),
        ({"timezone": "../etc/passwd"}, ConfigError),
    ],
)
def test_what_cannot_be_shown_is_refused(
    desk: Desk, given: dict[str, str], error: type[Exception]
) -> None:
    wanted = {"symbol": "BTC-USD", "timeframe": "1m", **given}
    with pytest.raises(error):
        Chart(desk, **wanted)  # type: ignore[arg-type]
    assert desk.windows == []


def test_time_zones() -> None:
    assert time_zone("exchange", "SPY") == "America/New_York"
    assert time_zone("UTC", "SPY") == "UTC"
    assert time_zone("Europe/Berlin", "SPY") == "Europe/Berlin"
