"""Once the kernels are warm, nothing is compiled while data streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import workbench as wb
from numba.core import event
from workbench.records import Batch

wb.warm()
rules = (wb.ema_cross(2, 3, 4), wb.zone_breakout(20), wb.vwap_reversion(), wb.structure_change())
with event.install_recorder("numba:compile") as compiled:
    with wb.connect("sim", simulator={"head_start": 30.0, "rate": 20.0, "late": 0.05}) as feed:
        overlays = [getattr(wb, name)() for name in wb.indicators().index]
        channels = ["trade", "quote", "bar:1s"]
        feed.subscribe(["BTC-USD"], ["1s", "5s"], channels=channels, timeout=300)
        window = feed.watch("BTC-USD", "1s", overlays)
        feed.wait("BTC-USD", count=300, timeout=300)
        feed.subscribe("BTC-USD", ["2s", "1m"], timeout=300)  # joins with the trades at hand
        feed.watch("BTC-USD", "2s", overlays)
        for kind in ("trades:20", "renko:atr5@1s", "run-volume", "kagi:5@1s", "session:day"):
            feed.watch("BTC-USD", kind, overlays)
        live = [wb.signals(feed, rule, "BTC-USD", "1s") for rule in rules]
        feed.wait("BTC-USD", count=450, timeout=300)
        trades = feed.trades("BTC-USD", last=None)
        wb.ema(5).over(feed.bars("BTC-USD", "1s"))
        wb.time_bars(trades, "1m")
        assert len(window) > 5 and window.since(0, 0).values.shape[1] > 100
        feed.unsubscribe("BTC-USD")
print([e.data["dispatcher"].py_func.__name__ for _, e in compiled.buffer if e.is_start])
"""


@pytest.mark.timeout(1240)
def test_nothing_is_compiled_while_data_streams() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=1200
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-1] == "[]"


COLD = """
import json, random, threading
from numba.core import event
from workbench.flow.feed import Feed
from workbench.sources.massive import MassiveSource

class Threads(event.Listener):
    def __init__(self): self.seen = []
    def on_start(self, e):
        what = e.data["dispatcher"].py_func
        self.seen.append((what.__module__.rpartition(".")[2], threading.current_thread().name))
    def on_end(self, e): pass

async def nowhere(url, **options):
    raise ConnectionRefusedError("not today")

threads = Threads()
with event.install_listener("numba:compile", threads), Feed(
    lambda market, table: MassiveSource(market, table=table), rng=random.Random(1), connect=nowhere
) as feed:
    feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=None)
    feed.watch("BTC-USD", "trades:10")
    feed.bars("BTC-USD", "heikin-ashi@1m")
print(json.dumps(threads.seen))
"""


@pytest.mark.timeout(1240)
def test_what_builds_a_kind_of_bars_is_compiled_by_who_asks_for_it(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    run = subprocess.run(
        [sys.executable, "-c", COLD],
        env=environment | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    kernels = {(module, thread) for module, thread in seen if module in ("eventbars", "pricebars")}
    assert kernels == {("eventbars", "MainThread"), ("pricebars", "MainThread")}
