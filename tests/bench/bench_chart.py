"""What an update of the chart costs, beside a HoloViews redraw of the same bars.

Run it with ``python tests/bench/bench_chart.py``: bytes and CPU on the server for each, then
the time from an event to its paint in Chromium at 10 updates a second.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.document import Document
from bokeh.protocol import Protocol

from workbench.analytics import ema, vwap
from workbench.flow.window import Window
from workbench.plots.candles import candles
from workbench.plots.drawing import Drawing
from workbench.plots.theme import DARK
from workbench.records import BAR, CLOSED, FORMING
from workbench.timeframes import timeframe

BARS = 2000
#: Notes, for each update, how long the page took from its start on the server to its paint.
_PAINTED = """() => {
  const source = [...Bokeh.documents[0]._all_models.values()].find((m) => m.type == "ColumnDataSource" && "close" in m.data)
  globalThis.painted = []
  source.patching.connect(() => {
    const close = source.data.close.at(-1)
    requestAnimationFrame(() => setTimeout(() => painted.push([close, Date.now()]), 0))
  })
}"""  # noqa: E501 - reads best so


def measure(document: Document, update: Callable[[int], None], rounds: int) -> tuple[float, float]:
    """Return median bytes and median CPU milliseconds of an update and its message."""
    events: list[Any] = []
    document.on_change(events.append)
    sizes, costs = [], []
    for k in range(rounds):
        del events[:]
        start = time.process_time()
        update(k)
        message = Protocol().create("PATCH-DOC", events)
        size = len(message.header_json) + len(message.metadata_json) + len(message.content_json)
        size += sum(len(b.to_bytes()) if hasattr(b, "to_bytes") else 0 for b in message.buffers)
        costs.append((time.process_time() - start) * 1e3)
        sizes.append(size)
    return statistics.median(sizes), statistics.median(costs)


def bars(rng: np.random.Generator) -> Any:
    rows = np.zeros(BARS, BAR)
    rows["time"] = np.arange(BARS) * 60_000_000_000
    rows["close"] = 64_000 + np.cumsum(rng.normal(0, 20, BARS)).round(2)
    rows["open"] = np.r_[64_000, rows["close"][:-1]]
    rows["high"], rows["low"] = rows["close"] + 60, rows["close"] - 60
    rows["volume"] = rng.lognormal(2, 0.5, BARS).round(3)
    rows["state"] = CLOSED
    return rows


def patched(rng: np.random.Generator) -> tuple[float, float]:
    overlays = [ema(20), vwap()]
    window = Window("BTC-USD", timeframe("1m"), BARS, [key for o in overlays for key in o.keys])
    rows = bars(rng)
    window.close(rows, np.full((BARS, 2), 64_000.0))
    drawing = Drawing(window, list(overlays), DARK)
    document = Document()
    document.add_root(drawing.layout)
    bar = np.zeros(1, BAR)
    bar["time"], bar["state"] = BARS * 60_000_000_000, FORMING

    def update(k: int) -> None:
        bar["close"] = round(64_000 + float(rng.normal(0, 20)), 2)
        bar["high"] = max(bar["high"][0], bar["close"][0])
        bar["volume"] += 0.123
        window.form(bar, np.full((1, 2), 64_000 + k / 7))
        drawing.columns.pull()

    update(0)
    return measure(document, update, 300)


def redrawn(rng: np.random.Generator) -> tuple[float, float]:
    rows = bars(rng)
    frame = pd.DataFrame({name: rows[name] for name in ("open", "high", "low", "close", "volume")})
    x = np.arange(BARS, dtype=float)
    frame = frame.assign(x=x, left=x - 0.36, right=x + 0.36, zero=0.0)
    frame = frame.assign(up=(frame["close"] >= frame["open"]) * 1.0)
    pipe = hv.streams.Pipe(data=frame)
    candles()  # loads the backend

    def picture(data: Any) -> Any:
        wicks = hv.Segments(data, ["left", "low", "right", "high"])
        return wicks * hv.Rectangles(data, ["left", "open", "right", "close"], ["up"]).opts(
            color="up", cmap=[DARK.down, DARK.up]
        )

    document = Document()
    plot = hv.renderer("bokeh").get_plot(hv.DynamicMap(picture, streams=[pipe]), doc=document)
    document.add_root(plot.state)

    def update(k: int) -> None:
        changed = frame.copy()
        changed.loc[BARS - 1, "close"] = 64_000.0 + k
        pipe.send(changed)

    return measure(document, update, 12)


def painted(seconds: float = 12.0) -> list[float]:
    """Return milliseconds from a trade in the feed to the frame that shows it."""
    from playwright.sync_api import sync_playwright

    path = Path(__file__).parents[1] / "ui" / "conftest.py"
    spec = importlib.util.spec_from_file_location("ui_parts", path)
    assert spec is not None
    assert spec.loader is not None
    parts = sys.modules["ui_parts"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parts)
    serving = parts.site._get_wrapped_function()()
    site = next(serving)
    made: dict[float, float] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=parts.ARGS)
        page = browser.new_page(viewport={"width": 1200, "height": 720})
        page.goto(f"{site.url}/chart")
        page.wait_for_selector(".wb .legend")
        page.wait_for_timeout(1000)
        site.feed.trade()
        page.wait_for_timeout(300)
        page.evaluate(_PAINTED)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            site.feed.trade()
            made.setdefault(site.feed.price("BTC-USD"), time.time() * 1e3)
            page.wait_for_timeout(100)
        found = page.evaluate("painted")
        browser.close()
    next(serving, None)
    return [at - made[close] for close, at in found if close in made]


def main() -> None:
    """Print the figures."""
    rng = np.random.default_rng(7)
    size, cost = patched(rng)
    full_size, full_cost = redrawn(rng)
    print(f"an update of {BARS} bars, on the server")
    print(f"  patch            {size:9,.0f} B  {cost:8.3f} ms CPU")
    print(f"  HoloViews redraw {full_size:9,.0f} B  {full_cost:8.3f} ms CPU")
    print(f"  ratio            {full_size / size:9,.0f}    {full_cost / cost:8.0f}")
    delays = sorted(painted())
    if delays:
        p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
        print(f"event to paint, 10 a second: p50 {p50:.0f} ms, p99 {p99:.0f} ms, n {len(delays)}")


if __name__ == "__main__":
    main()
