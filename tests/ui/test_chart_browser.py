"""The chart in Chromium: it is painted, it moves, and it stays where the user put it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workbench.plots.theme import DARK

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1200),
    # Panel's bridge to FastAPI calls Tornado in a way that Tornado is about to drop.
    pytest.mark.filterwarnings("ignore:.*HTTPServerRequest:DeprecationWarning"),
]

#: When the bar that the pointer is at begins, ms UTC.
POINTED = """() => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const {view} = workbench_views.get(models.findLast((m) => m.type == "Figure" && m.renderers.length > 2))
  return view.source.data.utc[view.hovered() - view.source.data.x[0]]
}"""  # noqa: E501 - reads best so


def pixels(png: bytes, color: str) -> int:
    """Return how many pixels of a screenshot have about a colour."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])
    return int((np.abs(image - wanted).max(axis=2) < 12).sum())


def drag(page: Any, dx: int, dy: int = 0) -> None:
    page.mouse.move(600, 250)
    page.mouse.down()
    page.mouse.move(600 + dx, 250 + dy, steps=5)
    page.mouse.up()


def at_edge(state: dict[str, Any]) -> bool:
    return bool(0 < state["end"] - state["x"] < 8)


@pytest.fixture
def tab(open_tab: Callable[..., Any], site: Any) -> Any:
    opened = open_tab("/chart")
    site.feed.trade()  # the newest bar is a forming one from here on
    # Of the price too: a test counts what is sent of its own trades.
    last = site.feed.price("BTC-USD")
    opened.until(lambda s: s["count"] > 400 and s["close"] == last, "a forming bar")
    return opened


def test_candles_are_painted(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/chart?symbol=SOL-USD")  # which no test moves
    wanted = ((DARK.up, 1500), (DARK.down, 1500), (DARK.background, 100_000))

    def painted() -> bool:
        shot = tab.page.screenshot()
        return all(pixels(shot, color) > count for color, count in wanted)

    tab.see(painted, "candles")
    assert tab.clean()


def test_the_newest_bar_moves_with_one_message_a_change(tab: Any, site: Any) -> None:
    tab.until(at_edge)
    del tab.frames[:]
    trades = 0
    for _ in range(8):
        before = tab.state()
        while site.feed.price("BTC-USD") == before["close"]:
            site.feed.trade()  # one of the same price changes the volume all the same
            trades += 1
        want = site.feed.price("BTC-USD")
        tab.until(lambda s, want=want: s["close"] == want, "a trade")
        tab.page.wait_for_timeout(50)
    patches = [frame for frame in tab.frames if "PATCH-DOC" in frame]
    assert 8 <= len(patches) <= trades
    assert sum(map(len, tab.frames)) / len(patches) < 500
    tab.settle()
    tag = tab.page.locator(".wb .tag.last span").first.text_content()
    assert tag == f"{site.feed.price('BTC-USD'):,.2f}"
    assert tab.clean()


def test_the_view_follows_at_the_right_edge(tab: Any, site: Any) -> None:
    first = tab.until(at_edge)
    for _ in range(5):
        site.feed.trade(close=True)
    tab.until(lambda s: s["x"] == first["x"] + 5 and at_edge(s), "five bars")
    last = tab.settle()
    assert last["end"] == pytest.approx(first["end"] + 5)
    assert last["end"] - last["start"] == pytest.approx(first["end"] - first["start"])
    assert tab.clean()


def test_a_view_that_was_moved_stays_while_bars_arrive(tab: Any, site: Any) -> None:
    tab.until(at_edge)
    stop = site.feed.run(rate=60, bar_every=15)
    try:
        drag(tab.page, 300)
        # From the newest bar: the view went on with it until it was seized.
        tab.until(lambda s: s["end"] < s["x"] - 20, "the drag")
        moved = tab.settle()
        assert tab.page.locator(".wb .live").is_visible()
        tab.until(lambda s: s["x"] >= moved["x"] + 4, "four bars")
        later = tab.settle()
        assert (later["start"], later["end"]) == (moved["start"], moved["end"])
        assert (later["bottom"], later["top"]) == (moved["bottom"], moved["top"])
        tab.page.locator(".wb .live").click()
        again = tab.until(at_edge, "the newest bar")
        tab.until(lambda s: s["x"] >= again["x"] + 2 and at_edge(s), "two bars more")
        tab.settle()
        assert tab.page.locator(".wb .live").is_hidden()
    finally:
        stop()
    assert tab.clean()


def test_the_scale_fits_what_is_visible(tab: Any) -> None:
    first = tab.until(at_edge)
    for moved in (first, None):
        if moved is None:
            for _ in range(3):  # so far that no bar is in both views
                drag(tab.page, 450)
            tab.until(lambda s: s["end"] < first["start"], "the drags")
            moved = tab.settle()
        assert moved["bottom"] < moved["low"] < moved["high"] < moved["top"]
        assert moved["high"] - moved["low"] > 0.4 * (moved["top"] - moved["bottom"])
    assert (moved["bottom"], moved["top"]) != (first["bottom"], first["top"])


def test_a_scale_the_user_set_stays(tab: Any, site: Any) -> None:
    first = tab.until(at_edge)
    width = tab.page.viewport_size["width"]
    tab.page.mouse.move(width - 20, 200)
    tab.page.mouse.down()
    tab.page.mouse.move(width - 20, 280, steps=4)
    tab.page.mouse.up()
    tab.until(lambda s: s["top"] > first["top"], "the scale")
    own = tab.settle()
    site.feed.trade(close=True)
    tab.until(lambda s: s["x"] == first["x"] + 1, "a bar")
    later = tab.settle()
    assert (later["bottom"], later["top"]) == (own["bottom"], own["top"])
    tab.page.mouse.dblclick(600, 250)
    tab.until(lambda s: s["top"] < own["top"] and at_edge(s), "the fitted scale")


def test_the_wheel_zooms_about_the_pointer(tab: Any) -> None:
    first = tab.until(at_edge)
    tab.page.mouse.move(500, 250)
    tab.page.mouse.wheel(0, -600)
    close = tab.until(lambda s: s["end"] - s["start"] < first["end"] - first["start"] - 5)
    assert first["start"] < close["start"] < close["end"] < first["end"]


def test_the_pointer_reads_a_bar(tab: Any) -> None:
    tab.until(at_edge)
    tab.settle()
    newest = tab.page.locator(".wb .legend").first.text_content()
    assert "EMA 20" in newest
    tab.page.mouse.move(300, 250)
    legend = tab.page.locator(".wb .legend").first
    tab.see(lambda: legend.text_content() != newest, "another bar")
    tab.settle()
    pointed = datetime.fromtimestamp(tab.page.evaluate(POINTED) / 1000, UTC)
    told = f"{pointed:%a} {pointed.day} {pointed:%b ’%y}  {pointed:%H:%M}"
    assert tab.page.locator(".wb .when").text_content() == told
    assert tab.page.locator(".wb .read").first.is_visible()


def test_a_silent_symbol_says_so(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/chart?symbol=SILENT-USD", wait=False)
    text = "Waiting for the first trade of SILENT-USD"
    tab.page.get_by_text(text).wait_for()
    assert tab.page.locator(".wb .wait").text_content() == text
    assert tab.clean()


def test_small_prices_have_their_decimals(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/chart?symbol=TINY-USD")
    tab.settle()
    tag = tab.page.locator(".wb .tag.last span").first.text_content()
    assert tag.startswith("0.0001")
    assert len(tag) >= 9
