"""Chromium, and a server in this process whose pages show a feed without a market."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import panel as pn
import pytest
import uvicorn
from fastapi import FastAPI

from workbench.api.http import listen, mount
from workbench.plots.chart import Chart, chart
from workbench.plots.monitor import Monitor

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]

#: Seconds to wait for what must come; a page that shows it is waited for no longer than needed.
PATIENCE = 240.0

#: What the chart on a page shows, read from Bokeh's own models.
_STATE = """() => {
  const models = [...window.Bokeh?.documents?.[0]?._all_models.values() ?? []]
  const source = models.findLast((m) => m.type == "ColumnDataSource" && "close" in m.data)
  const figure = models.findLast((m) => m.type == "Figure" && m.renderers.length > 2)
  if (source == null || figure == null) return null
  const d = source.data, n = d.x.length, {x_range: x, y_range: y} = figure
  let low = Infinity, high = -Infinity
  for (let k = 0; k < n; k++)
    if (d.x[k] >= x.start && d.x[k] <= x.end) { low = Math.min(low, d.low[k]); high = Math.max(high, d.high[k]) }
  return {count: n, x: d.x[n - 1], close: d.close[n - 1], start: x.start, end: x.end,
          bottom: y.start, top: y.end, low, high, symbol: source.tags[0].symbol,
          timeframe: source.tags[0].timeframe, theme: source.tags[0].theme.name}
}"""  # noqa: E501 - reads best so


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fake = _load("fake_feed")
known = _load("known_feed")


@dataclass
class Site:
    """A server on loopback with two pages of one feed."""

    feed: Any
    url: str
    known: Any  # another, with a ledger, qualities and warm-ups
    warmups: Any
    charts: WeakSet[Chart] = field(default_factory=WeakSet)
    monitors: WeakSet[Monitor] = field(default_factory=WeakSet)
    contexts: WeakSet[Any] = field(default_factory=WeakSet)

    def expire(self) -> None:
        """Let all sessions end whose page has gone, or as soon as that is noticed."""
        for context in list(self.contexts):
            if context.session is not None:
                context.session.request_expiration()


@dataclass
class Tab:
    """A page in the browser, what it complained of and what it asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(_STATE)
        return found

    def until(self, holds: Callable[[dict[str, Any]], bool], what: str = "") -> dict[str, Any]:
        """Return the state of the chart as soon as it is as wanted."""
        end = time.monotonic() + PATIENCE
        while True:
            state = self.page.evaluate(_STATE)
            if state is not None and holds(state):
                return dict(state)
            if time.monotonic() > end:
                pytest.fail(f"waited in vain for {what}; the chart is {state}; {self.complaints}")
            self.page.wait_for_timeout(40)

    def see(self, holds: Callable[[], object], what: str = "") -> None:
        """Wait until something on the page is as wanted."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"waited in vain for {what}; {self.complaints}")
            self.page.wait_for_timeout(40)

    def settle(self) -> dict[str, Any]:
        """Return the state of the chart once two frames were drawn since now."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return self.state()

    def pass_round(self, log: list[Any], count: int = 2) -> list[str]:
        """Let the page show that it looked at the feed from one end to the other since now.

        Whatever a look changes is sent before the events that the next look finds.
        """
        marks = [f"mark {len(log) + k}" for k in range(count)]
        for mark in marks:
            log.append((0, "mark", mark))
            self.page.locator("footer li", has_text=mark).wait_for(state="attached")
        return marks

    def clean(self) -> bool:
        """Tell that nothing went wrong on the page and nothing was asked of others."""
        assert self.complaints == []
        assert self.foreign == []
        return True


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return a browser; module-wide, since it occupies the thread's event loop."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        reason = "there is no Chromium; .ci/chromium --install gets one"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and CI=true asks for it")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=ARGS, timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def no_leaked_threads() -> None:
    """Count no threads here: those of the module's server come and go with requests."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Serve the monitor and a bare chart of a fake feed, and of one that knows its data."""
    feed = fake.FakeFeed()
    told = fake.FakeFeed()
    since = fake.START - 600 * known.MINUTE
    until = fake.START + 600 * known.MINUTE
    known.with_book(told, known.Book(told.symbols(), since, until))
    warmups = known.FakeWarmups()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    place = Site(feed, f"http://127.0.0.1:{port}", told, warmups)

    def shown(one: Monitor) -> Any:
        place.contexts.add(pn.state.curdoc.session_context)
        place.monitors.add(one)
        place.charts.add(one.chart)
        return one.page()

    def alone() -> Any:
        place.contexts.add(pn.state.curdoc.session_context)
        symbol = (pn.state.session_args.get("symbol") or [b"BTC-USD"])[0].decode()
        one = chart(feed, symbol, "1m", [fake.EMA, fake.RSI], dark=True)
        place.charts.add(one)
        return pn.Column(one, sizing_mode="stretch_both", min_height=500)

    app = FastAPI()
    # A session waits for a browser that is slow to open its socket, and ends when a test says.
    mount(
        app,
        {
            "/monitor": lambda: shown(Monitor(feed)),
            "/chart": alone,
            "/known": lambda: shown(Monitor(told, warmups=warmups)),
        },
        origins=[f"127.0.0.1:{port}"],
        unused_session_lifetime_milliseconds=3_600_000,
        check_unused_sessions_milliseconds=400,
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_ping_interval=None,  # a browser that stands still for a while has not gone
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="workbench-sim_test-server"
    )
    thread.start()
    yield place
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def open_tab(chromium: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Return a function that opens a page of the site and waits for its chart."""
    tabs: list[Tab] = []

    def open_one(
        path: str, width: int = 1200, height: int = 720, wait: bool = True, script: str = ""
    ) -> Tab:
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE * 1000)
        tab = Tab(page)
        tabs.append(tab)

        def listened(socket: Any) -> None:
            socket.on("framereceived", lambda frame: tab.frames.append(str(frame)))

        page.on("console", lambda m: _note(tab, m.type, f"{m.text} {m.location['url']}"))
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        page.on("request", lambda request: _asked(tab, request.url, site.url))
        page.on("websocket", listened)
        if script:
            page.add_init_script(script)
        page.goto(site.url + path)
        page.wait_for_selector(".wb .legend")
        if wait:
            tab.until(lambda s: s["end"] > 10, "the first range")
        return tab

    yield open_one
    for tab in tabs:
        tab.page.close()
    site.expire()


def _note(tab: Tab, kind: str, text: str) -> None:
    if kind in ("error", "warning") and "favicon.ico" not in text:
        tab.complaints.append(text)


def _asked(tab: Tab, url: str, own: str) -> None:
    if not url.startswith((own, "data:", "blob:")):
        tab.foreign.append(url)
