"""The monitor in Chromium: choices, colours, narrow screens, sessions that come and go."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1200),
    # Panel's bridge to FastAPI calls Tornado in a way that Tornado is about to drop.
    pytest.mark.filterwarnings("ignore:.*HTTPServerRequest:DeprecationWarning"),
]

PATIENCE = 240_000.0  # ms


@pytest.fixture
def tab(open_tab: Callable[..., Any]) -> Any:
    return open_tab("/monitor")


def test_the_page_is_whole_and_asks_nobody_else(tab: Any) -> None:
    page = tab.page
    assert page.get_by_label("Symbol").input_value() == "BTC-USD"
    page.get_by_text("Live 42 ms").wait_for()
    tab.see(lambda: page.locator("button.row").count() >= 7, "the list")  # a part of its own
    assert page.locator("button[aria-pressed=true]").text_content() == "1m"
    page.wait_for_function("document.title.includes('BTC-USD')")
    assert tab.clean()


def test_choices_show_in_chart_and_address(tab: Any) -> None:
    page = tab.page
    page.locator("button.row", has_text="ETH-USD").click()
    tab.until(lambda s: s["symbol"] == "ETH-USD", "the symbol")
    page.get_by_role("button", name="5m", exact=True).click()
    tab.until(lambda s: s["timeframe"] == "5m", "the timeframe")
    page.wait_for_url("**/monitor?symbol=ETH-USD&tf=5m&theme=dark")
    page.locator(".overlays > button").click()
    page.get_by_role("menuitemcheckbox", name="RSI 14").click()
    page.get_by_text("RSI 14").nth(1).wait_for()
    page.get_by_label("Symbol").click()
    page.keyboard.type("aap")
    page.keyboard.press("Enter")
    tab.until(lambda s: s["symbol"] == "AAPL", "the typed symbol")
    assert tab.clean()


def test_other_kinds_of_bars_are_chosen_and_typed(tab: Any) -> None:
    page = tab.page
    page.get_by_title("Other kinds of bars").click()
    page.get_by_role("button", name="heikin-ashi@1m").click()
    tab.until(lambda s: s["timeframe"] == "heikin-ashi@1m", "the chosen kind")
    pressed = page.locator(".frames button[aria-pressed=true]")
    tab.see(lambda: pressed.count() == 0, "no timeframe pressed")
    page.get_by_title("Other kinds of bars").click()
    page.get_by_label("Kind of bars").fill("volume:25")
    page.keyboard.press("Enter")
    tab.until(lambda s: s["timeframe"] == "volume:25", "the typed kind")
    page.wait_for_url("**tf=volume*")
    page.get_by_title("Other kinds of bars").click()
    page.get_by_label("Kind of bars").fill("volum:25")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("volum").wait_for()
    assert tab.state()["timeframe"] == "volume:25", "what cannot be shown changes nothing"
    page.get_by_role("button", name="5m", exact=True).click()
    tab.until(lambda s: s["timeframe"] == "5m", "a timeframe again")
    assert tab.clean()


def test_an_address_is_followed(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/monitor?symbol=sol-usd&tf=5m&theme=light")
    state = tab.state()
    assert (state["symbol"], state["timeframe"], state["theme"]) == ("SOL-USD", "5m", "light")
    assert tab.clean()


def test_an_address_of_nonsense_is_refused_in_words(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/monitor?symbol=<img src=x onerror=alert(1)>&tf=soon&theme=pink")
    state = tab.state()
    assert (state["symbol"], state["timeframe"], state["theme"]) == ("BTC-USD", "1m", "dark")
    tab.page.get_by_role("alert").wait_for()  # the head may be shown later than the chart
    assert tab.page.locator("img").count() == 0
    assert tab.clean()


def test_colours_change_at_a_press(tab: Any) -> None:
    page = tab.page
    color = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(color)
    page.get_by_label("Light colours").click()
    tab.until(lambda s: s["theme"] == "light", "light colours")
    tab.see(lambda: page.evaluate(color) != dark, "a light page")
    page.get_by_label("Dark colours").click()
    tab.until(lambda s: s["theme"] == "dark", "dark colours")
    assert tab.clean()


def test_outside_text_is_only_text(tab: Any, site: Any) -> None:
    said = "<img src=x onerror=\"document.title='owned'\">"
    site.feed.log.append((1_763_650_800_000_000_000, "error", said))
    try:
        tab.page.get_by_text(said).first.wait_for()
        assert tab.page.locator("img").count() == 0
    finally:
        site.feed.log.clear()


def test_a_change_of_the_connection_shows(tab: Any, site: Any) -> None:
    site.feed.health.state = "reconnecting"
    try:
        tab.page.get_by_text("Reconnecting").wait_for()
    finally:
        site.feed.health.state = "connected"
    tab.page.get_by_text("Live 42 ms").wait_for()


def test_a_phone_shows_all_without_sideways_scrolling(open_tab: Callable[..., Any]) -> None:
    tab = open_tab("/monitor", width=390, height=844)
    page = tab.page
    page.locator("button.row", has_text="ETH-USD").wait_for()
    page.get_by_text("Live 42 ms").wait_for(state="attached")
    one_minute = page.get_by_role("button", name="1m", exact=True)
    one_minute.wait_for()
    fits = "document.documentElement.scrollWidth <= 390"
    tab.see(lambda: page.evaluate(fits), "a page that fits")
    wide = """() => [...document.querySelectorAll("*")].filter((el) => {
        const box = el.getBoundingClientRect()
        return box.width && box.right > innerWidth + 1 }).length"""
    tab.see(lambda: page.evaluate(wide) == 0, "parts that fit")
    tab.see(lambda: page.locator(".bar").bounding_box()["height"] < 110, "a low head")
    assert page.evaluate(fits)
    assert one_minute.is_visible()
    page.locator("button.row", has_text="ETH-USD").click()
    tab.until(lambda s: s["symbol"] == "ETH-USD", "the symbol")
    assert tab.clean()


def test_sessions_share_one_feed(open_tab: Callable[..., Any], site: Any) -> None:
    tabs = [open_tab("/monitor"), open_tab("/monitor")]
    before = [tab.state()["close"] for tab in tabs]
    while site.feed.price("BTC-USD") in before:
        site.feed.trade()
    want = site.feed.price("BTC-USD")
    for tab in tabs:
        tab.until(lambda s: s["close"] == want, "the same price")
        assert tab.clean()


def test_sessions_that_end_leave_nothing(chromium: Any, site: Any) -> None:
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    for turn in range(20):
        page.goto(f"{site.url}/{'chart' if turn % 4 else 'monitor'}")
        page.wait_for_selector(".wb .legend")
    page.goto("about:blank")
    # The server looks for such sessions when it has time.
    end = time.monotonic() + PATIENCE / 1000
    while site.feed.watched or len(site.charts) or len(site.monitors):
        if time.monotonic() > end:
            break
        site.expire()
        gc.collect()
        page.wait_for_timeout(200)
    page.close()
    assert site.feed.watched == 0
    assert len(site.monitors) == 0
    assert len(site.charts) == 0
