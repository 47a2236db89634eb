"""A recorder that is killed at random moments and started again, judged by the provider."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.records import Rows
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.store.store import Store, open_store

__all__ = ["Killed", "kill_a_recorder"]

SYMBOLS = ("BTC-USD", "ETH-USD", "AAPL", "SPY")
_RECORDER = """
import sys, time
from workbench.config import settings
from workbench.feeds import connect
ws, rest, path, last = sys.argv[1:5]
config = settings(api_key="k", ws_url=ws, rest_url=rest, overlap_seconds=100.0, reconnect="crypto")
feed = connect("massive", store=path, config=config)
feed.subscribe(sys.argv[5:], ["1s", "1m"], channels=("trade",), timeout=240)
feed.wait(timeout=240)
print("up", flush=True)
if last == "last":
    feed.wait(timeout=240, whole=True)
    time.sleep(3.0)
    feed.wait(timeout=240, whole=True)
    feed.close()
else:
    time.sleep(600)
"""


@dataclass
class Killed:
    """What became of a recording whose recorder was killed.

    Attributes
    ----------
    kills : int
    trades : int
        That the provider has from the first of ours on.
    missing, duplicate, invented : int
    seconds : float
    """

    kills: int
    trades: int = 0
    missing: int = 0
    duplicate: int = 0
    invented: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the store equals what was traded."""
        return self.trades > 0 and not (self.missing or self.duplicate or self.invented)


def kill_a_recorder(seed: int, folder: Path, *, kills: int = 50, rate: float = 20.0) -> Killed:
    """Kill a recorder so often, let the last one finish, and compare its store with the market.

    Parameters
    ----------
    seed : int
    folder : Path
    kills : int
    rate : float
        Trades per second and symbol.
    """
    dice, begun, path = random.Random(seed), time.monotonic(), folder / "killed.db"
    found = Killed(kills)
    with start_simulator(port=0, symbols=SYMBOLS, seed=seed, rate=rate, late=0.01) as simulator:
        for n in range(kills + 1):
            last = "last" if n == kills else "no"
            arguments = [simulator.url, simulator.rest_url, str(path), last, *SYMBOLS]
            with subprocess.Popen(
                [sys.executable, "-c", _RECORDER, *arguments], stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == "up\n"
                if last == "last":
                    assert child.wait(600) == 0
                else:
                    time.sleep(dice.uniform(0.0, 2.0))
                    os.kill(child.pid, signal.SIGKILL)
        with open_store(path, mode="ro") as store:
            for symbol in SYMBOLS:
                _compare(found, store, simulator, symbol)
    found.seconds = time.monotonic() - begun
    return found


def _compare(found: Killed, store: Store, simulator: RunningSimulator, symbol: str) -> None:
    spans = [one for series, one in store.intervals(symbol) if series.kind == "trade"]
    start = min(one.start for one in spans) // 10**6 * 10**6
    known = [one.end for one in spans if one.state in ("received", "backfilled", "no-trade")]
    end = max(known) // 10**6 * 10**6
    ours = _ids(store.rows("trade", symbol, start=start, end=end))
    truth = simulator.trades(symbol, start, end)
    wanted = set(_ids(truth[truth["received"] <= end]))  # reported before the recorder ended
    found.trades += len(wanted)
    found.duplicate += len(ours) - len(set(ours))
    found.missing += len(wanted - set(ours))
    found.invented += len(set(ours) - set(_ids(truth)))


def _ids(rows: Rows) -> list[tuple[int, int]]:
    # On the wire times have whole ms.
    return list(zip((rows["time"] // 10**6).tolist(), rows["id"].tolist(), strict=True))
