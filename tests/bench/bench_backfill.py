"""Rate of a backfill beside a plain loop of downloads, and beside ours without a store.

Prints medians of alternating rounds, and ratios within a run. Pages of a million minute bars
are answered from memory, so that the server is not what is measured.
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import requests

from workbench.clock import SystemClock
from workbench.history.archive import Archive
from workbench.history.backfill import backfill
from workbench.history.fetch import fetch_rows
from workbench.history.request import request
from workbench.net.rest import Rest
from workbench.sim.run import start_simulator
from workbench.sources.massive_rest import MassiveRest

BARS = 1_000_000
PAGE = 50_000
ROUNDS = 3
_DAY = 86_400 * 10**9
FIRST = 1_577_836_800_000  # 2020-01-01, ms


def _page(first: int, prices: np.ndarray) -> list[dict[str, float]]:
    return [
        {"v": 1.5 + i % 7, "vw": p, "o": p, "c": p + 0.01, "h": p + 0.02, "l": p - 0.01}
        | {"t": FIRST + (first + i) * 60_000, "n": 3 + i % 11}
        for i, p in enumerate(prices.round(4).tolist())
    ]


class Server:
    """Answers the pages in turn, packed beforehand."""

    def __init__(self) -> None:
        prices = 100 + np.random.default_rng(1).normal(0, 0.01, BARS).cumsum().clip(-50, 50)
        self.count = 0
        self._pages: dict[str, bytes] = {}
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.base = f"http://127.0.0.1:{server.server_port}"
        for first in range(0, BARS, PAGE):
            body: dict[str, object] = {"status": "OK", "resultsCount": PAGE}
            body["results"] = _page(first, prices[first : first + PAGE])
            if first + PAGE < BARS:
                start = FIRST + (first + PAGE) * 60_000
                body["next_url"] = f"{self.base}/v2/aggs/ticker/X:BTCUSD/range/1/minute/{start}/0"
            self._pages[str(FIRST + first * 60_000)] = gzip.compress(json.dumps(body).encode(), 1)
        self._server = server
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.count += 1
                body = owner._pages[urlsplit(self.path).path.split("/")[8]]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _plain(base: str) -> int:
    """Download and decode as a script would: requests, json, pandas."""
    url, frames = f"{base}/v2/aggs/ticker/X:BTCUSD/range/1/minute/{FIRST}/0", []
    with requests.Session() as session:
        session.trust_env = False
        while url:
            page = session.get(url, timeout=30).json()
            frames.append(pd.DataFrame(page["results"]))
            url = page.get("next_url")
    frame = pd.concat(frames)
    frame.index = pd.to_datetime(frame["t"], unit="ms", utc=True)
    return len(frame)


def _archive(base: str) -> Archive:
    return Archive("bench", Rest(base), MassiveRest())


def _decoded(base: str) -> int:
    start = FIRST * 10**6
    wish = request("BTC-USD", start=start, end=start + BARS * 60 * 10**9)
    with _archive(base) as archive:
        return len(fetch_rows(archive, wish))


def _filled(base: str, bars: int = BARS, start: int = FIRST * 10**6) -> int:
    with tempfile.TemporaryDirectory() as folder, _archive(base) as archive:
        report = backfill(
            "BTC-USD",
            start=start,
            end=start + bars * 60 * 10**9,
            source=archive,
            store=Path(folder) / "market.db",
            progress=False,
        )
    return report.stored


def _simulated() -> None:
    """Print the same two ways against the simulator, which makes its pages as it is asked."""
    bars = 4 * PAGE
    start = SystemClock().now() // _DAY * _DAY - 200 * _DAY
    taken: dict[str, list[float]] = {"download and decode": [], "backfill into a store": []}
    with start_simulator(port=0, symbols=("BTC-USD",)) as running:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            wish = request("BTC-USD", start=start, end=start + bars * 60 * 10**9)
            with _archive(running.rest_url) as archive:
                found = len(fetch_rows(archive, wish))
            taken["download and decode"].append(time.perf_counter() - begun)
            begun = time.perf_counter()
            assert _filled(running.rest_url, bars, start) == found
            taken["backfill into a store"].append(time.perf_counter() - begun)
    first, second = (statistics.median(times) for times in taken.values())
    print(f"from the simulator: download and decode {found / first:,.0f} rows/s, ", end="")
    print(f"backfill {found / second:,.0f} rows/s: {first / second:.2f} times its rate")


def main() -> None:
    """Print rows a second of each way, the ratios, and requests against the fewest possible."""
    server = Server()
    ways: dict[str, Callable[[str], int]] = {
        "requests + json + pandas": _plain,
        "download and decode": _decoded,
        "backfill into a store": _filled,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    asked: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            server.count, begun = 0, time.perf_counter()
            assert way(server.base) == BARS
            taken[name].append(time.perf_counter() - begun)
            asked[name] = server.count
    server.close()
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:26s} {BARS / median:12,.0f} rows/s  {median:6.2f} s")
    ours = medians["backfill into a store"]
    for name in ("requests + json + pandas", "download and decode"):
        print(f"backfill against {name}: {medians[name] / ours:.2f} times its rate")
    print(f"requests {asked['backfill into a store']}, the fewest {-(-BARS // PAGE)}")
    _simulated()


if __name__ == "__main__":
    main()
