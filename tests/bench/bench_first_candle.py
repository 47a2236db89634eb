"""From the command to the first painted candle, with warm and with cold kernels.

Run: python tests/bench/bench_first_candle.py
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PAINTED = """() => {
  const documents = globalThis.Bokeh?.documents ?? []
  for (const document of documents)
    for (const model of document._all_models?.values() ?? [])
      if (model.type == "ColumnDataSource" && (model.data.close?.length ?? 0) > 0) return true
  return false
}"""
FRAMES = "() => new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(ok)))"


def run(browser: Browser, cache: str | None) -> tuple[float, float]:
    """Return seconds until the page is served and until a candle is painted."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | ({"XDG_CACHE_HOME": cache} if cache else {})
    workbench = Path(sys.executable).with_name("workbench")
    page = browser.new_page(viewport={"width": 1440, "height": 860})
    start = time.perf_counter()
    process = subprocess.Popen(
        [workbench, "demo", "--no-open", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                # The port listens before the kernels are compiled: the answer waits.
                urllib.request.urlopen(f"{url}/health", timeout=120).read()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        served = time.perf_counter() - start
        page.goto(f"{url}/monitor")
        page.wait_for_function(PAINTED, polling=20, timeout=60_000)
        page.evaluate(FRAMES)
        return served, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(20)
        page.close()


def main() -> None:
    """Print medians of warm runs and one cold run."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        run(browser, None)  # files of the interpreter and the browser into memory
        warm = [run(browser, None) for _ in range(3)]
        with tempfile.TemporaryDirectory() as cache:
            cold = run(browser, cache)
        browser.close()
    served, painted = (statistics.median(column) for column in zip(*warm, strict=True))
    print("command -> served, painted (s)")
    print(f"  warm kernels  {served:6.2f}  {painted:6.2f}   aim: painted under 6")
    print(f"  cold kernels  {cold[0]:6.2f}  {cold[1]:6.2f}   ({cold[1] / painted:.1f}x warm)")


if __name__ == "__main__":
    main()
