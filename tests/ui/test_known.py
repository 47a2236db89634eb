"""What is known of the data, in Chromium: strip, hatch, zones, quality, alerts, warm-ups."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
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
MINUTE = 60 * 10**9
NOW = 1_763_650_800_000_000_000  # the newest bar of the fake feed begins then
STRIP = ".wb canvas.strip"
#: What is told of each run of bars in the strip.
RUNS = """() => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const tags = models.findLast((m) => m.type == "Figure" && m.renderers.length > 2).x_range.tags
  return (tags[0] ?? []).map(([first, last, ...told]) => told)
}"""


def pixels(png: bytes, color: str) -> int:
    """Return how many pixels of a screenshot have about a colour."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])
    return int((np.abs(image - wanted).max(axis=2) < 16).sum())


@pytest.fixture
def book(site: Any) -> Iterator[Any]:
    """Return the feed's book, whole again after the test."""
    held = site.known.book
    ledger, quality = held.ledger, held.quality
    held.ledger = type(ledger)(ledger.rows())
    held.ledger.live(held.series, at=NOW - 3000 * MINUTE, connection="crypto 1")
    held.ledger.heard("sim", until=NOW + 600 * MINUTE)
    yield held
    held.ledger, held.quality = ledger, quality


@pytest.fixture
def tab(open_tab: Callable[..., Any], book: Any) -> Any:
    opened = open_tab("/known")
    opened.page.wait_for_selector(f"{STRIP}[aria-label^='What']", state="attached")
    return opened


def painted(tab: Any, color: str) -> int:
    return pixels(tab.page.locator(STRIP).screenshot(), color)


def hover_strip(tab: Any, bars_back: float) -> str:
    """Point at the strip so many bars before the newest; return what is told at that moment."""
    state, box = tab.state(), tab.page.locator(STRIP).bounding_box()
    share = (state["x"] - bars_back - state["start"]) / (state["end"] - state["start"])
    tab.page.mouse.move(box["x"] + share * box["width"], box["y"] + 4)
    tip = tab.page.locator(".wb .tip").last
    tip.wait_for(state="visible")
    return str(tip.text_content())


def test_a_feed_without_a_ledger_shows_no_strip(open_tab: Callable[..., Any], site: Any) -> None:
    tab = open_tab("/monitor")
    try:
        tab.pass_round(site.feed.log)
    finally:
        site.feed.log.clear()
    assert tab.page.locator(STRIP).count() == 0
    assert tab.page.locator(".quality").is_hidden()
    assert tab.page.locator(".alerts").is_hidden()
    assert tab.page.get_by_text("Warm-up").count() == 0
    assert tab.clean()


def test_the_strip_tells_what_is_missing_and_why(tab: Any, book: Any) -> None:
    tab.see(lambda: painted(tab, DARK.down) == 0, "a strip")
    series, at = [book.series[0]], NOW - 20 * MINUTE
    book.ledger.doubted(series, at, at + 3 * MINUTE, NOW, why="bad frame")
    tab.see(lambda: painted(tab, DARK.amber) > 60, "the doubt")
    told = "In doubt20 Nov 14:40:00 – 14:43:00bad frame"
    tab.see(lambda: hover_strip(tab, 19).startswith(told), told)
    book.ledger.declare_missing(series[0], at, at + 3 * MINUTE, tries=3, at=NOW, why="429")
    tab.see(lambda: painted(tab, DARK.down) > 5, "what is missing")
    told = "declared after 3 tries: 429"
    tab.see(lambda: told in hover_strip(tab, 19), told)
    book.ledger.fetched(series[0], at, at + 3 * MINUTE, 9, begun=NOW + 1, fetch="gap fill")
    tab.see(lambda: "fetch gap fill" in hover_strip(tab, 19), "the fetch")
    tab.see(lambda: painted(tab, DARK.down) == 0, "nothing missing")
    told = "Received20 Nov 05:00:00 – 14:40:00live crypto 1"
    tab.see(lambda: hover_strip(tab, 30).startswith(told), told)
    assert tab.clean()


def test_the_forming_bar_is_hollow_while_its_trades_are_in_doubt(
    tab: Any, book: Any, site: Any
) -> None:
    site.known.trade()
    flag = tab.page.locator(".wb .tag .flag").first
    flag.wait_for(state="hidden")
    book.ledger.lost("sim", since=NOW, at=NOW + 1, why="closed by the peer")
    flag.wait_for(state="visible")
    tab.until(lambda s: abs(s["close"] - site.known.price("BTC-USD")) < 1e-9, "the trade")
    for _ in range(60):  # a body that can be seen
        site.known.trade()
    tab.page.locator(".wb .hollow").first.wait_for(state="visible")
    pill = tab.page.locator(".alerts .badge")
    pill.wait_for(state="visible")
    told = f"{len(book.series)} series without data"
    tab.see(lambda: pill.get_attribute("aria-label") == told, told)
    pill.click()
    tab.page.locator(".alerts .line").first.get_by_text("closed by the peer").wait_for()
    tab.page.keyboard.press("Escape")
    book.ledger.live(book.series, at=NOW + 2 * MINUTE, connection="crypto 2")
    tab.see(lambda: "filled" in str(pill.get_attribute("aria-label")), "the repair")
    for one in book.series:
        book.ledger.fetched(
            one, NOW - MINUTE, NOW + 2 * MINUTE, 5, begun=NOW + 3 * MINUTE, fetch="gap fill"
        )
    pill.wait_for(state="hidden")
    flag.wait_for(state="hidden")
    assert tab.clean()


def test_nothing_is_sent_while_nothing_changes(tab: Any, book: Any, site: Any) -> None:
    feed = site.known

    def looked() -> None:
        """Wait until all has been looked at, from a moment on that comes after now."""
        before = book.looks, book.scores, feed.asked
        tab.see(
            lambda: (
                min(book.looks - before[0], book.scores - before[1], feed.asked - before[2]) >= 2
            ),
            "looks",
        )

    try:
        # First comes what belongs to the opening of the page, or to the test before.
        whole = [["received", "live crypto 1", (NOW - 600 * MINUTE) / 1e6, None]]
        tab.see(lambda: tab.page.evaluate(RUNS) == whole, "the strip")
        looked()
        tab.pass_round(feed.log)
        del tab.frames[:]
        for k in range(4):
            book.ledger.heard("sim", until=NOW + (601 + k) * MINUTE)
            looked()
        marks = tab.pass_round(feed.log)
    finally:
        feed.log.clear()
    assert len([frame for frame in tab.frames if "PATCH-DOC" in frame]) == len(marks), tab.frames
    rest = [frame for frame in tab.frames if not any(mark in frame for mark in marks)]
    assert sum(map(len, rest)) < 300, rest


def test_zones_are_drawn_behind_the_candles(tab: Any) -> None:
    page = tab.page
    page.get_by_title("Zones", exact=True).click()
    for name in ("Volume profile", "Order blocks"):
        page.get_by_role("menuitemcheckbox", name=name).click()
    page.keyboard.press("Escape")
    page.locator(".wb .zone", has_text="POC").first.wait_for(state="visible")
    page.locator(".wb .zone", has_text="Value area").first.wait_for(state="visible")
    shown = """() => {
      const all = [...Bokeh.documents[0]._all_models.values()]
      const zones = all.findLast((m) => m.type == "ColumnDataSource" && "fill" in m.data)
      return zones.data.label.length }"""
    tab.see(lambda: 2 < page.evaluate(shown) <= 33, "the zones of both")
    page.locator("button.row", has_text="ETH-USD").click()
    tab.until(lambda s: s["symbol"] == "ETH-USD", "the symbol")
    page.locator(".wb .zone", has_text="POC").first.wait_for(state="visible")
    page.get_by_title("Zones", exact=True).click()
    for name in ("Volume profile", "Order blocks"):
        page.get_by_role("menuitemcheckbox", name=name).click()
    tab.see(lambda: page.locator(".wb .zone:visible").count() == 0, "no zones")
    assert tab.clean()


def test_the_quality_badge_opens_its_factors(tab: Any, book: Any) -> None:
    page, badge = tab.page, tab.page.locator(".quality .badge")
    badge.get_by_text("100").wait_for()
    book.worsen("ETH-USD", 0.5)
    badge.get_by_text("92").wait_for()
    assert badge.get_attribute("data-level") == "warn"
    badge.click()
    first = page.locator(".quality tbody tr").first
    assert first.locator("td").all_text_contents() == ["ETH-USD", "50.0", "50.0", *["100"] * 3]
    page.keyboard.press("Escape")
    page.locator(".quality table").wait_for(state="hidden")
    assert tab.clean()


def test_warm_ups_follow_the_symbol(tab: Any, site: Any) -> None:
    page, warmups = tab.page, site.warmups
    panel = page.locator("details", has=page.get_by_text("Warm-up", exact=True))
    panel.get_by_text("0 of 11").wait_for()
    tab.see(lambda: panel.locator(".row").count() == 11, "a row each")
    page.locator("button.row", has_text="AAPL").click()
    tab.see(lambda: warmups.asked[-1] == ("AAPL", False), "the switch")
    warmups.end(failing=("HVN",))
    panel.get_by_text("AAPL 1 with trouble").wait_for()
    assert panel.locator(".wrong").all_text_contents() == ["HVN: 429: too many requests"]
    tab.see(lambda: panel.locator(".row[data-state=done]").count() == 10, "ten that are done")
    panel.get_by_label("Fetch the warm-ups again").click()
    tab.see(lambda: warmups.asked[-1] == ("AAPL", True), "another fetch")
    warmups.end()
    panel.get_by_text("AAPL 11 ready").wait_for()
    assert panel.locator(".wrong").count() == 0
    assert tab.clean()


#: Holds back what tells the server that the page has loaded, until the test lets it go.
LOADING = """
const send = WebSocket.prototype.send
let parts = []
WebSocket.prototype.send = function (part) {
  parts.push(part)
  if (parts.length < 3) return
  const message = parts, go = () => message.forEach((one) => send.call(this, one))
  parts = []
  if (message.some((one) => String(one).includes("document_ready"))) window.load = go
  else go()
}"""


def test_what_is_chosen_while_the_page_loads_is_shown_when_it_has(
    open_tab: Callable[..., Any], site: Any, book: Any
) -> None:
    tab = open_tab("/known", script=LOADING)
    page = tab.page
    page.wait_for_function("!!window.load")
    page.get_by_label("Light colours").click()
    page.get_by_label("Symbol").click()
    page.keyboard.type("TINY")
    page.keyboard.press("Enter")
    tab.see(lambda: any(m.top.symbol == "TINY-USD" for m in list(site.monitors)), "the choice")
    page.evaluate("window.load()")
    tab.until(lambda s: (s["symbol"], s["theme"]) == ("TINY-USD", "light"), "what was chosen")
    current = page.locator("button.row[aria-current=true]")
    tab.see(lambda: "TINY-USD" in str(current.all_text_contents()), "the row")
    page.get_by_text("TINY-USD 0 of 11").wait_for()
    tab.see(lambda: site.warmups.asked[-1] == ("TINY-USD", False), "the warm-ups")
    page.wait_for_url("**symbol=TINY-USD**theme=light")
    assert tab.clean()


def test_on_a_narrow_screen_all_fits_and_warm_ups_are_folded(
    open_tab: Callable[..., Any], book: Any
) -> None:
    book.ledger.lost("sim", since=NOW, at=NOW + 1, why="closed by the peer")
    tab = open_tab("/known", width=390, height=844)
    page = tab.page
    page.locator(".alerts .badge").wait_for(state="visible")
    page.locator(".quality .badge").wait_for(state="visible")
    tab.see(lambda: page.locator("button.row").count() >= 7, "the list")
    panel = page.locator("details", has=page.get_by_text("Warm-up", exact=True))
    panel.get_by_text("0 of 11").wait_for()
    fits = "document.documentElement.scrollWidth <= 390"
    tab.see(lambda: page.evaluate(fits), "a page that fits")
    wide = """() => [...document.querySelectorAll("*")].filter((el) => {
        const box = el.getBoundingClientRect()
        return box.width && box.right > innerWidth + 1 }).length"""
    tab.see(lambda: page.evaluate(wide) == 0, "parts that fit")
    tab.see(lambda: page.locator(".bar").first.bounding_box()["height"] < 110, "a low head")
    assert page.evaluate(fits)
    assert panel.get_attribute("open") is None
    page.locator(".quality .badge").click()
    box = page.locator(".quality .menu").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert tab.clean()


def test_events_of_gaps_have_their_colours(tab: Any, site: Any) -> None:
    site.known.log[:] = [
        (NOW, "missing", "BTC-USD trade 14:40 to 14:43: 429"), (NOW, "gap", "crypto: 7 series"),
    ]  # fmt: skip
    try:
        line = tab.page.locator("footer li")
        tab.see(lambda: line.count() == 2, "two events")
        classes = line.locator("span").evaluate_all("all => all.map((one) => one.className)")
        assert classes == ["bad", "warn"]
    finally:
        site.known.log.clear()
