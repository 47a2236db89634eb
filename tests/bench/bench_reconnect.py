"""Seconds from a cut connection to the next trade, and to the filled hole; preset `patient`.

Run: python tests/bench/bench_reconnect.py
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from pathlib import Path

from workbench.feeds import connect
from workbench.sim.run import start_simulator

ROUNDS = 5


def main() -> None:
    """Cut the connection of a living server again and again."""
    logging.disable(logging.WARNING)
    again: list[float] = []
    whole: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        start_simulator(port=0, symbols=("BTC-USD",), rate=20.0) as simulator,
        connect("sim", simulator=simulator, store=Path(folder) / "m.db") as feed,
    ):
        feed.subscribe("BTC-USD", ["1s", "1m"], channels=("trade",))
        feed.wait("BTC-USD", timeout=60, whole=True)
        for _ in range(ROUNDS):
            time.sleep(12.0)  # one that has settled is tried again after a second
            begun = time.monotonic()
            simulator.drop()
            while feed.health.state == "connected":
                time.sleep(0.001)
            before = feed.health.numbers()["trades_accepted"]
            while feed.health.numbers()["trades_accepted"] == before:
                time.sleep(0.001)
            again.append(time.monotonic() - begun)
            feed.wait(timeout=60, whole=True)
            whole.append(time.monotonic() - begun)
    for name, found in (("next trade", again), ("hole filled", whole)):
        print(
            f"{name}: median {statistics.median(found):.2f} s, longest {max(found):.2f} s "
            f"of {ROUNDS}; {max(found) / 5.0:.2f} of the 5 s allowed for a trade"
        )


if __name__ == "__main__":
    main()
