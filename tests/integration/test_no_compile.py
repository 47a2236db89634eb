"""Once the kernels are warm, nothing is compiled while data streams."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import workbench as wb
from numba.core import event
from workbench.records import Batch

wb.warm()
with event.install_recorder("numba:compile") as compiled:
    with wb.connect("sim", simulator={"head_start": 30.0, "rate": 20.0, "late": 0.05}) as feed:
        overlays = [wb.ema(5), wb.sma(5), wb.rsi(5), wb.vwap()]
        feed.subscribe(["BTC-USD"], ["1s", "5s"], channels=["trade", "quote", "bar:1s"])
        window = feed.watch("BTC-USD", "1s", overlays)
        feed.wait("BTC-USD", count=300, timeout=30)
        feed.subscribe("BTC-USD", ["2s", "1m"])  # joins with the trades at hand
        feed.watch("BTC-USD", "2s", overlays)
        feed.wait("BTC-USD", count=450, timeout=30)
        trades = feed.trades("BTC-USD", last=None)
        wb.ema(5).over(feed.bars("BTC-USD", "1s"))
        wb.time_bars(trades, "1m")
        assert len(window) > 5 and window.since(0, 0).values.shape[1] == 4
        feed.unsubscribe("BTC-USD")
print([e.data["dispatcher"].py_func.__name__ for _, e in compiled.buffer if e.is_start])
"""


def test_nothing_is_compiled_while_data_streams() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-1] == "[]"
