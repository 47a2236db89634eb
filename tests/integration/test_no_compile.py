"""Once the kernels are warm, nothing is compiled while data streams."""

from __future__ import annotations

import subprocess
import sys

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
        feed.subscribe(["BTC-USD"], ["1s", "5s"], channels=["trade", "quote", "bar:1s"])
        window = feed.watch("BTC-USD", "1s", overlays)
        feed.wait("BTC-USD", count=300, timeout=300)
        feed.subscribe("BTC-USD", ["2s", "1m"])  # joins with the trades at hand
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
