"""The background of a chart: what is looked at when, and what is sent."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document

from workbench.analytics import macd
from workbench.clock import ManualClock
from workbench.errors import FeedClosedError
from workbench.flow.window import Window
from workbench.history.coverage import Coverage
from workbench.history.ledger import Ledger
from workbench.plots.background import Background
from workbench.plots.badges import event_entry, quality_badge
from workbench.plots.drawing import Drawing
from workbench.plots.looks import Look
from workbench.plots.overlays import curves
from workbench.plots.theme import DARK, LIGHT
from workbench.quality.score import Quality, quality_of
from workbench.records import BAR, CLOSED, FORMING, Rows
from workbench.store.coverage import Series
from workbench.timeframes import timeframe

MINUTE = 60 * 10**9
TRADES = Series("sim", "BTC-USD", "trade")


def walk(first: int, count: int) -> Rows:
    rng = np.random.default_rng(first)
    bars = np.zeros(count, BAR)
    bars["time"] = np.arange(first, first + count) * MINUTE
    bars["open"] = 100.0
    bars["close"] = 100 + np.cumsum(rng.normal(0, 0.2, count)).round(2)
    bars["high"], bars["low"] = bars["close"] + 1, np.fmin(bars["close"], 100) - 1
    bars["high"] = np.fmax(bars["high"], 101)
    bars["volume"], bars["timeframe"], bars["state"] = 5.0, 60, CLOSED
    return bars


class Feed:
    """What a background needs of one."""

    def __init__(self) -> None:
        self.ledger, self.asked = Ledger(), 0
        self.ledger.live([TRADES], at=0, connection="1")
        self.ledger.heard("sim", until=300 * MINUTE)

    @property
    def coverage(self) -> Coverage:
        self.asked += 1
        return Coverage(self.ledger.rows())


class Desk:
    """A drawing of 300 bars, its background, and what reaches the page."""

    def __init__(self) -> None:
        self.feed, self.clock = Feed(), ManualClock()
        self.window = Window("BTC-USD", timeframe("1m"), 400)
        self.window.close(walk(0, 300), np.empty((300, 0)))
        self.drawing = Drawing(self.window, [], DARK, strip=True)
        self.background = Background(self.feed, self.clock)
        document, self.sent = Document(), list[Any]()
        document.add_root(self.drawing.layout)
        document.on_change(self.sent.append)

    def refresh(self, seconds: float = 1.0) -> int:
        """Let some time pass and look again; return how many messages that made."""
        self.clock.advance(seconds)
        before = len(self.sent)
        asyncio.run(self.background.refresh(self.drawing, nullcontext))
        return len(self.sent) - before


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_strip_is_sent_once_until_it_changes(desk: Desk) -> None:
    assert desk.refresh() == 1
    assert desk.drawing._x.tags[0] == [[0, None, "received", "live 1", 0.0, None]]
    assert desk.refresh() == 0
    desk.window.form(walk(300, 1), np.empty((1, 0)))
    desk.drawing.columns.pull()
    assert desk.refresh() == 0


@pytest.mark.parametrize("closed", [False, True])
def test_trouble_of_a_look_is_told_once_and_passes(
    desk: Desk, closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    good = desk.feed
    wrong = FeedClosedError("closed") if closed else TimeoutError("busy")

    class Busy:
        looks = 0

        @property
        def coverage(self) -> Coverage:
            self.looks += 1
            if self.looks < 4:
                raise wrong
            return good.coverage

    busy, turns = Busy(), iter(range(60))
    desk.background = Background(busy, desk.clock)
    before = len(desk.sent)

    async def run() -> None:
        desk.background.start(
            lambda: desk.drawing if next(turns, None) is not None else None, nullcontext
        )
        assert desk.background._task is not None
        await asyncio.wait_for(desk.background._task, 400)

    asyncio.run(run())
    sent = len(desk.sent) - before
    # Other loggers may tell at any moment of what tests before have left behind.
    told = [r.message for r in caplog.records if r.name == "workbench.plots.background"]
    if closed:
        assert (busy.looks, sent, told) == (1, 0, [])
    else:
        assert busy.looks > 4
        assert sent == 1
        assert len(told) == 1


def test_zones_are_drawn_when_chosen_and_taken_away(desk: Desk) -> None:
    desk.refresh()
    desk.background.zones = ("Volume profile",)
    assert desk.refresh(0.0) == 1
    assert "POC" in desk.drawing._zone_source.data["label"]
    assert desk.refresh(10.0) == 0, "nothing closed, nothing is computed"
    desk.drawing.paint(LIGHT)
    assert LIGHT.amber in desk.drawing._zone_source.data["color"]
    desk.background.zones = ()
    assert desk.refresh(0.0) >= 1
    assert desk.drawing.zones == []


def test_zones_have_time_after_a_bar_has_closed(desk: Desk) -> None:
    desk.background.zones = ("Volume profile",)
    desk.refresh(0.0)
    before = desk.drawing.zones
    late = walk(300, 40)
    late["close"] = late["open"] = 120.0
    late["high"], late["low"], late["volume"] = 121.0, 119.0, 500.0
    desk.window.close(late, np.empty((40, 0)))
    desk.drawing.columns.pull()
    desk.refresh(1.0)
    assert desk.drawing.zones == before
    desk.refresh(3.0)
    assert desk.drawing.zones != before


def test_another_series_begins_without_strip_and_zones(desk: Desk) -> None:
    desk.background.zones = ("Volume profile",)
    desk.refresh()
    other = Window("ETH-USD", timeframe("1m"), 400)
    other.close(walk(0, 50), np.empty((50, 0)))
    desk.drawing.show(other, "UTC")
    assert desk.drawing._x.tags[:3] == [[], [], False]
    assert desk.drawing.zones == []
    desk.refresh()
    assert desk.drawing.zones != []


def test_without_a_ledger_there_is_no_room_for_a_strip() -> None:
    background = Background(object())
    assert not background.strip
    window = Window("BTC-USD", timeframe("1m"), 400)
    with_strip, without = Drawing(window, [], DARK, strip=True), Drawing(window, [], DARK)
    feet = [d.figures[-1].min_border_bottom for d in (with_strip, without)]
    assert 8 <= feet[0] - feet[1] <= 12


@pytest.mark.parametrize(
    ("costs", "times"),
    [
        # Cheap ones come every second, however many ask; one that took long changes nothing.
        ([0.0] * 5, [0, 1, 2, 3, 4]),
        ([0.0, 0.6, 0.0, 0.0], [0, 1, 2, 3]),
        # Where each takes long, they rest in proportion, but never for long.
        ([0.1, 0.1, 0.1, 0.1], [0, 1, 3.1, 5.2]),
        ([2.0, 2.0, 2.0, 0.0, 0.0], [0, 2, 9, 16, 17]),
    ],
)
def test_a_look_serves_all_who_come_and_rests_as_looks_take(
    costs: list[float], times: list[float]
) -> None:
    clock, seen = ManualClock(), list[float]()

    def read(feed: Any) -> int:
        seen.append(round(clock.monotonic(), 2))
        clock.advance(costs[len(seen) - 1])
        return len(seen)

    one = Look(read, 1.0, clock)

    async def ask() -> None:
        while len(seen) < len(costs):
            assert await one.of(None) == len(seen)
            assert await one.of(None) == len(seen)
            clock.advance(0.05)

    asyncio.run(ask())
    assert np.allclose(seen, times, atol=0.06)


def test_a_look_that_failed_is_tried_again() -> None:
    clock, trouble = ManualClock(), [True]

    def read(feed: Any) -> str:
        if trouble:
            trouble.pop()
            raise ValueError("not now")
        return "seen"

    one = Look(read, 1.0, clock)
    with pytest.raises(ValueError, match="not now"):
        asyncio.run(one.of(None))
    clock.advance(1.0)
    assert asyncio.run(one.of(None)) == "seen"


def test_a_look_whose_asker_went_away_is_taken_by_the_next() -> None:
    clock, began, go = ManualClock(), threading.Event(), threading.Event()
    answers = iter(["lost", "seen"])

    def read(feed: Any) -> str:
        began.set()
        assert go.wait(600)
        return next(answers)

    async def ask() -> str | None:
        one = Look(read, 1.0, clock)
        first = asyncio.create_task(one.of(None))
        while not began.is_set():
            await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        clock.advance(1.0)
        return await one.of(None)

    assert asyncio.run(ask()) in ("lost", "seen")  # whichever of the two threads came first
    assert list(answers) == []


def test_to_see_what_a_feed_has_asks_it_nothing(desk: Desk) -> None:
    class Slow:
        @property
        def coverage(self) -> Coverage:
            raise AssertionError("asked on the loop that serves pages")

    assert Background(Slow()).strip
    assert not Background(object()).strip


def test_the_histogram_of_macd_is_drawn_as_bars() -> None:
    _, (pane,) = curves([macd()])
    assert [curve.bars for curve in pane.curves] == [True, False, False]
    assert pane.curves[0].column.endswith("histogram")
    window = Window("BTC-USD", timeframe("1m"), 400, macd().keys)
    rows = walk(0, 3)
    rows["state"] = FORMING
    window.form(rows, np.ones((3, 3)))
    drawing = Drawing(window, [macd()], DARK)
    glyphs = [r.glyph for r in drawing.figures[1].renderers]
    quad = next(glyph for glyph in glyphs if type(glyph).__name__ == "Quad")
    assert quad.top == pane.curves[0].column
    assert quad.fill_color.transform.palette == [DARK.down, DARK.up]
    drawing.paint(LIGHT)
    assert quad.fill_color.transform.palette == [LIGHT.down, LIGHT.up]


def test_a_quality_badge_never_rounds_a_flaw_away() -> None:
    assert quality_badge(None) == {}
    badge = quality_badge(Quality([quality_of("A", accepted=10**6, refused=1)]))
    assert badge["text"] == "99"
    assert badge["rows"] == [["A", 99.9, 100.0, 99.9, 100.0, 100.0]]
    assert quality_badge(Quality([]))["text"] == "100"
    many = quality_badge(Quality(quality_of(f"S{k}") for k in range(50)))
    assert (len(many["rows"]), many["more"]) == (30, 20)


def test_events_are_lines_whatever_their_form() -> None:
    assert event_entry((2_000_000, "gap", "x")) == [2.0, "gap", "x"]
